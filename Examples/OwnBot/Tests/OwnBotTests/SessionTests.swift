import Testing
import UnixBackend

@Suite(.timeLimit(.minutes(10)))
struct SessionTests {
    @Test func `Bytes become actions, however they are cut`() {
        let bytes = Array("alice\r\n#ops\n#ops !lock list\n\nhello\n".utf8)
        let actions: [UnixSession.Action] = [
            .enter(nick: "alice"), .join(room: "#ops"), .say("!lock list", room: "#ops"), .say("hello", room: nil),
        ]
        var whole = UnixSession()
        #expect(whole.feed(bytes) == actions)
        var single = UnixSession()
        #expect(bytes.flatMap { single.feed([$0]) } == actions)
    }

    @Test(arguments: ["", "Alice", "a b", String(repeating: "a", count: 33), "\u{e4}"])
    func `A line that is no nick closes the session`(nick: String) {
        var session = UnixSession()
        #expect(
            session.feed("\(nick)\nalice\n".utf8)
                == [.close("the first line must be a nick: 1 to 32 of a-z, 0-9, _ and -")])
    }

    @Test func `A line has at most 65536 bytes`() {
        var session = UnixSession()
        _ = session.feed("alice\n".utf8)
        let line = String(repeating: "x", count: UnixSession.longestLine)
        #expect(session.feed("\(line)\n".utf8) == [.say(line, room: nil)])
        #expect(session.feed("\(line)x\nhello\n".utf8) == [.close("a line has more than 65536 bytes")])
        #expect(session.feed("hello\n".utf8).isEmpty)
    }
}
