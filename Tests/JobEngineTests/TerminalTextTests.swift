import JobEngine
import Testing

@Suite struct TerminalTextTests {
    /// Returns the text of an output, and checks the place of each byte of the text.
    private func text(_ output: String, at start: Int64 = 7, keepsStates: Bool = false) -> String {
        let whole = Array(output.utf8)
        var results: Set<String> = []
        for size in 1...max(whole.count, 1) {
            var text = TerminalText(at: start, keepsStates: keepsStates)
            for index in stride(from: 0, to: whole.count, by: size) { text.add(whole[index...].prefix(size)) }
            #expect(text.next == start + Int64(whole.count) && text.place(after: 0) == start)
            for count in text.bytes.indices {
                let place = Int(text.place(after: count + 1) - start)
                #expect((1...whole.count).contains(place) && whole[place - 1] == text.bytes[count])
            }
            if !text.bytes.isEmpty { #expect(text.place(after: text.bytes.count) == text.next) }
            results.insert(String(decoding: text.bytes, as: UTF8.self))
        }
        #expect(results.count == 1, "The text depends on the sizes of the chunks: \(results)")
        return results.first ?? ""
    }

    @Test(
        arguments: [
            ("a\nb\n", "a\nb\n"), ("", ""), ("a\r\nb\r\n", "a\r\nb\r\n"), ("\r1\r2\r3", "3"), ("1\r2\r3\r", "3\r"),
            ("x\n\r1\r2\ny\n", "x\n2\ny\n"), ("long\rx\n", "x\n"), ("1\r2\r\r\n3", "2\r\r\n3"), ("1\r\r2", "2"),
            ("\r", "\r"), ("1\r\n2\r3\n4\r5", "1\r\n3\n5"), ("a\n\r\u{1B}[K", "a\n\u{1B}[K"),
        ])
    func `Of a line that is started over, the last state is left`(output: String, shown: String) {
        #expect(text(output) == shown)
        #expect(text(output, keepsStates: true) == output)
    }

    @Test func `A long progress bar takes no more memory than its last state`() {
        var text = TerminalText(at: 0)
        for count in 1...100_000 { text.add("\rprogress \(count)".utf8) }
        #expect(text.bytes == Array("progress 100000".utf8))
        for count in 1...1_000 { text.add("\n\(count)\r\(count)".utf8) }
        #expect(text.place(after: text.bytes.count) == text.next)
    }
}
