import PetrelKit
package import PetrelSupport
package import StackStormModule

/// The desk without its page: a test says what somebody would enter there.
package final class TestDesk: LoginDesk {
    package let requests = Locked<[LoginRequest]>([])
    package let lifetime = Duration.seconds(600)

    package init() {}

    package func prepare(_ request: LoginRequest) throws -> Secret {
        Secret(
            requests.withLock { requests in
                requests.append(request)
                return "link-\(requests.count)"
            })
    }

    package func withdraw(_ key: String) -> Bool { false }

    /// Does what the page does with a good proof and a confirmation, unless `isWithdrawn`; `agrees` is what the person
    /// answers. Throws where nobody has asked for a link.
    @discardableResult
    package func enter(_ proof: LoginProof, isWithdrawn: Bool = false, agrees: Bool = true) async throws -> LoginVerdict
    {
        guard let request = requests.value.last else { throw Refusal("Nobody has asked for a login.") }
        let verdict = await request.check(proof)
        guard case .proven(let login) = verdict, !isWithdrawn else { return verdict }
        if agrees { _ = await login.begin("192.0.2.1") } else { await login.decline("192.0.2.1") }
        return verdict
    }
}
