import JobEngine
import Testing

@Suite struct RecentLinesTests {
    private func text(_ chunks: [String], lines: Int = 3, longest: Int = 10) -> String {
        var recent = RecentLines(lines: lines, longest: longest)
        for chunk in chunks { recent.add(Array(chunk.utf8)) }
        #expect(recent.bytes == chunks.reduce(0) { $0 + Int64($1.utf8.count) })
        #expect(recent.lineFeeds == chunks.reduce(0) { $0 + Int64($1.utf8.count { $0 == 0x0A }) })
        return recent.text
    }

    @Test func `The last lines are kept, whatever the chunks`() {
        let whole = (1...9).map { "line \($0)\n" }.joined()
        for size in 1...whole.utf8.count {
            let bytes = Array(whole.utf8)
            let chunks = stride(from: 0, to: bytes.count, by: size).map {
                String(decoding: bytes[$0..<min($0 + size, bytes.count)], as: UTF8.self)
            }
            #expect(text(chunks) == "line 7\nline 8\nline 9")
        }
    }

    @Test func `Long lines are cut, and an unfinished line counts`() {
        #expect(text(["0123456789abc\nx"]) == "0123456789…\nx")
        #expect(text(["0123456789", "abc"]) == "…3456789abc")
        #expect(text(["0123456789", "abc", "defghijklmnop"]) == "…ghijklmnop")
        #expect(text(["01234", "56789ab", "c\n"]) == "0123456789…")
        #expect(text(["a\n\n\n\n"]) == "\n\n")
        #expect(text([]) == "")
    }

    @Test func `A carriage return begins the line anew, whatever the chunks`() {
        let whole = "a\r\nb\r\r\n" + (1...9).map { "\rstep \($0)" }.joined()
        for size in 1...whole.utf8.count {
            let bytes = Array(whole.utf8)
            let chunks = stride(from: 0, to: bytes.count, by: size).map {
                String(decoding: bytes[$0..<min($0 + size, bytes.count)], as: UTF8.self)
            }
            #expect(text(chunks) == "a\nb\nstep 9", "\(size)")
            #expect(text(chunks + ["\r"]) == "a\nb\nstep 9", "\(size)")
            #expect(text(chunks + ["\r", "\n"]) == "a\nb\nstep 9", "\(size)")
            #expect(text(chunks + ["\r", "x\n"]) == "a\nb\nx", "\(size)")
        }
    }

    @Test func `No character is cut in two`() {
        #expect(text(["012345678é\n", "éééééé"]) == "012345678…\n…ééééé")
        #expect(text(["x", "éééééé"]) == "…ééééé")
        #expect(text(Array(repeating: ".", count: 99) + ["x"]) == "….........x")
    }

    @Test func `The end of an unfinished line is kept, whatever the chunks`() {
        let bytes = Array("01234567890123456789abcdef".utf8)
        for size in 1...bytes.count {
            let chunks = stride(from: 0, to: bytes.count, by: size).map {
                String(decoding: bytes[$0..<min($0 + size, bytes.count)], as: UTF8.self)
            }
            #expect(text(chunks) == "…6789abcdef", "\(size)")
        }
    }
}
