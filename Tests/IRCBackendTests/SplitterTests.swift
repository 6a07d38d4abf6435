import PetrelSupport
import Testing

@testable import IRCBackend

/// The conversion of texts to messages.
@Suite(.timeLimit(.minutes(30))) struct SplitterTests {
    @Test func `line breaks of every kind become separate messages`() {
        #expect(IRCSplitter.lines(of: "a\nb\r\nc\rd\n\n \ne", atMost: 100) == ["a", "b", "c", "d", "e"])
        #expect(IRCSplitter.lines(of: "", atMost: 100).isEmpty)
        #expect(IRCSplitter.lines(of: "\n \r\n\t", atMost: 100).isEmpty)
    }

    @Test func `control characters cannot add commands, requests or formatting`() {
        let lines = IRCSplitter.lines(of: "\u{1}VERSION\u{1} \u{3}4x\u{0}\ty\u{7F}\r\nQUIT :x", atMost: 100)
        #expect(lines == ["VERSION 4x y", "QUIT :x"])
    }

    @Test(arguments: [5, 16, 64, 390, 400])
    func `no line is too long, no character is cut and nothing is lost`(_ limit: Int) {
        let family = "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}"
        let text = String(repeating: "words and \(family) e\u{301} ", count: 300)
        let lines = IRCSplitter.lines(of: text, atMost: limit)
        #expect(lines.allSatisfy { $0.utf8.count <= limit && !$0.isEmpty })
        #expect(Array(lines.joined().utf8) == Array(text.utf8))
        if limit >= 64 {
            #expect(lines.allSatisfy { $0.unicodeScalars.first != "\u{200D}" && $0.unicodeScalars.first != "\u{301}" })
            #expect(lines.dropLast().allSatisfy { $0.utf8.last == 0x20 })
        }
    }

    @Test func `a cluster that is longer than a line is cut between scalars`() {
        let tower = "a" + String(repeating: "\u{301}", count: 1_000)
        let lines = IRCSplitter.lines(of: "x\(tower)y", atMost: 101)
        #expect(lines.allSatisfy { $0.utf8.count <= 101 })
        #expect(Array(lines.joined().utf8) == Array("x\(tower)y".utf8))
    }

    @Test func `a text of 200 kB is split completely`() {
        let text = String(repeating: "0123456789abcdefé", count: 11_200)
        let lines = IRCSplitter.lines(of: text, atMost: 400)
        #expect(Array(lines.joined().utf8) == Array(text.utf8) && lines.count == (text.utf8.count + 399) / 400)
    }

    @Test(arguments: ["petrel", "p", "[petrel]^", "m\u{FC}ller"])
    func `the relayed message has at most 512 bytes`(_ nick: String) {
        let mask = "~" + String(repeating: "u", count: 11) + "@" + String(repeating: "h", count: 63)
        let room = IRCSplitter.room(for: "#operations", from: nick, mask: mask.utf8.count)
        for line in IRCSplitter.lines(of: String(repeating: "é", count: 2_000), atMost: room).dropLast() {
            let relayed = ":\(nick)!\(mask) PRIVMSG #operations :\(line)\r\n".utf8.count
            #expect(relayed <= 512 && relayed > 508)
        }
    }
}
