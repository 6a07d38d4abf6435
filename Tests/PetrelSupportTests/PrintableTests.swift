import Testing

@testable import PetrelSupport

@Suite struct PrintableTests {
    @Test(arguments: [
        ("#ops", "#ops"), ("#x\u{1B}]0;PWN\u{7}", "\"#x ]0;PWN \""), ("@x\" person=@alice", #""@x\" person=@alice""#),
        ("a=b", "\"a=b\""), ("a\u{9B}31m", "\"a 31m\""), ("\u{202E}spo#", "\" spo#\""), ("a\u{2028}b", "\"a b\""),
        ("", "\"\""),
        ("Zoë", "Zoë"), ("👨‍👩‍👧", "👨‍👩‍👧"),
    ]) func `a name has no unsafe characters and is quoted if it is ambiguous`(raw: String, shown: String) {
        #expect(Printable.name(raw) == shown)
    }
}
