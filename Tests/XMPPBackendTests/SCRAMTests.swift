import Testing

@testable import XMPPBackend

@Suite struct SCRAMTests {
    /// The examples of RFC 5802, section 5, and RFC 7677, section 3.
    @Test(
        arguments: [
            (
                SCRAM.Hash.sha1, "fyko+d2lbbFgONRv9qkxdawL",
                "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
                "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
                "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="
            ),
            (
                .sha256, "rOprNGfwEbeRWgbNEkqO",
                "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
            ),
        ] as [(SCRAM.Hash, String, String, String, String)])
    func `the client's messages match the examples of the RFCs`(
        hash: SCRAM.Hash, nonce: String, challenge: String, final: String, proof: String
    )
        throws
    {
        var scram = SCRAM(hash, user: "user", password: "pencil", nonce: nonce)
        #expect(scram.first == "n,,n=user,r=\(nonce)")
        let answer = try scram.final(to: challenge)
        #expect(answer == final)
        try scram.verify(proof)
        let asked = scram
        #expect(throws: SCRAM.Failure.self) { try asked.verify("v=AAAA") }
        #expect(throws: SCRAM.Failure.self) { try asked.verify("e=other-error") }
    }

    @Test(
        arguments: [
            "", "r=other,s=QSXCR+Q6sek8bf92,i=4096", "r=abc,s=QSXCR+Q6sek8bf92,i=4096", "r=abcd,s=,i=4096",
            "r=abcd,s=%%,i=4096", "r=abcd,s=QSXCR+Q6sek8bf92,i=1", "r=abcd,s=QSXCR+Q6sek8bf92,i=99999999999",
            "r=abcd,s=QSXCR+Q6sek8bf92", "m=ext,r=abcd,s=QSXCR+Q6sek8bf92,i=4096",
        ]) func `an invalid challenge is rejected`(challenge: String)
    {
        var scram = SCRAM(.sha256, user: "user", password: "pencil", nonce: "abc")
        do throws(SCRAM.Failure) {
            let answer = try scram.final(to: challenge)
            Issue.record("\(challenge) was answered with \(answer)")
        } catch {
            #expect(!error.description.contains("pencil"))
        }
        // A signature without a preceding challenge proves nothing.
        let unasked = scram
        #expect(throws: SCRAM.Failure.self) { try unasked.verify("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=") }
    }

    @Test func `names are escaped and normalized`() {
        #expect(SCRAM(.sha1, user: "a=b,c", password: "", nonce: "n").first == "n,,n=a=3Db=2Cc,r=n")
        #expect(SCRAM(.sha1, user: "e\u{301}\u{AD}", password: "", nonce: "n").first == "n,,n=é,r=n")
        #expect(SCRAM.nonce() != SCRAM.nonce())
    }
}
