import JobEngine
import PetrelSupport
import Testing

@Suite struct ArgumentLineTests {
    @Test(
        arguments: [
            ("", []), ("   \t ", []), ("a b", ["a", "b"]), ("  a\tb  ", ["a", "b"]),
            ("echo a\nb", ["echo", "a\nb"]), ("a\r\nb", ["a\r\nb"]),
            (#"a"b c"d"#, ["ab c", "d"]), ("'a'\"b\"", ["a", "b"]), (#"--flag="v w""#, ["--flag=v w"]),
            (#""""#, [""]), ("'' x", ["", "x"]), ("`ls -l`", ["ls -l"]),
            (#"a\ b"#, ["a b"]), (#"\"a\""#, ["\"a\""]), (#""a\b""#, [#"a\b"#]), (#"it\'s"#, ["it's"]),
            ("echo é 日本 👩‍👩‍👧", ["echo", "é", "日本", "👩‍👩‍👧"]),
            ("“curly quotes” ‘one two’", ["curly quotes", "one two"]),
            // A combining mark after a space or a quotation mark does not hide it.
            ("a \u{301}b", ["a", "\u{301}b"]), ("\"a\"\u{301}b", ["a", "\u{301}b"]),
            // The space and the quotation mark that chat clients insert.
            ("a\u{A0}b", ["a", "b"]),
            ("$HOME; rm -rf * | cat > x", ["$HOME;", "rm", "-rf", "*", "|", "cat", ">", "x"]),
        ] as [(String, [String])])
    func `A line is split by scalars`(line: String, arguments: [String]) throws {
        let split = try ArgumentLine(line).texts
        #expect(split.map { Array($0.unicodeScalars) } == arguments.map { Array($0.unicodeScalars) })
    }

    @Test(arguments: ["echo it's", "\"a", "a `b", "“a‘", "'\\'' x"])
    func `An unclosed quotation mark is an error`(line: String) {
        #expect { try ArgumentLine(line) } throws: { error in
            guard case .unclosed? = error as? ArgumentLine.Problem else { return false }
            return "\(error)".utf8.starts(with: "Unclosed quote on command".utf8)
        }
    }

    @Test func `A backslash at the end and a NUL character are errors`() {
        #expect(throws: ArgumentLine.Problem.danglingBackslash) { try ArgumentLine("a\\") }
        for line in ["a\0b", "'\0'", "\\\0"] {
            #expect(throws: ArgumentLine.Problem.nul) { try ArgumentLine(line) }
        }
    }

    @Test func `A line tells which arguments were quoted`() throws {
        let line = try ArgumentLine(#"a "b" c\d"#)
        #expect(line.arguments.map(\.isQuoted) == [false, true, true])
    }
}
