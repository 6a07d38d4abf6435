import Foundation
import Logging
import PetrelKit
import PetrelSupport
import Testing

@testable import TextBackend

@Suite struct TextTests {
    @Test func `slash commands change the user and the place`() {
        var place = TextPlace(user: "@you", room: nil)
        #expect(place.take("!st2 echo /as @bob") == .message)
        _ = place.take("/as @bob")
        _ = place.take("/room #ops")
        _ = place.take("/thread t1")
        var message = place.message("hi")
        #expect(message.sender.id == "@bob" && message.room?.id == "#ops" && message.thread == "t1")
        _ = place.take("/dm")
        message = place.message("hi")
        #expect(message.isDirect && message.thread == nil && message.id == "2")
        #expect(place.take("/quit") == .quit)
    }

    @Test(arguments: ["/as", "/as bob", "/room ops", "/nonsense", "/quit now", "/exit 1"])
    func `an invalid slash command changes nothing`(
        line: String
    ) {
        var place = TextPlace(user: "@you", room: "#ops")
        let before = place
        guard case .note = place.take(line) else {
            Issue.record("no note")
            return
        }
        #expect(place == before)
    }

    @Test func `the end of an interactive input states what it waits for`() {
        #expect(
            TextBackend.waitNotice(for: 1, within: .seconds(10))
                == "Waiting up to 10 s for 1 result; press Ctrl-C to quit now.")
        #expect(TextBackend.waitNotice(for: 2, within: .seconds(90))?.contains("1 min for 2 results;") == true)
        #expect(TextBackend.waitNotice(for: 0, within: .seconds(10)) == nil)
        #expect(TextBackend.waitNotice(for: 1, within: .zero) == nil)
    }

    @Test func `a JSON line is a message`() throws {
        let message = try JSONLines.message(
            ##"{"id":"1","from":"@alice","room":"#ops","text":"!st2 pack list","thread":"t1"}"##)
        #expect(message.id == "1" && message.sender.id == "@alice" && message.room?.id == "#ops")
        #expect(message.thread == "t1" && message.text == "!st2 pack list")
        #expect(try JSONLines.message(#"{"id":"1","from":"@a","text":"x","room":null}"#).isDirect)
    }

    @Test(arguments: [
        (
            "nonsense",
            "it is not valid JSON: nonsense is neither a number nor true, false or null (line 1, column 1)"
        ), ("[]", "`from` is missing"), (#"{"id":"1","text":"x"}"#, "`from` is missing"),
        (#"{"id":1,"from":"@a","text":"x"}"#, "`id` must be a string, not a number"),
        (#"{"id":"1","from":"@a"}"#, "`text` is missing"),
    ]) func `an invalid line is rejected with the reason`(line: String, fault: String) {
        #expect { try JSONLines.message(line) } throws: { "\($0)" == fault }
    }

    @Test func `a reply is written as one line with all keys`() {
        let reply = Reply("two\nlines", extra: ["slack": ["color": "good"]])
        let address = Address(backend: "text", place: .room("#ops"), thread: "t1", inReplyTo: "1")
        #expect(
            JSONLines.line(reply, at: address)
                == ##"{"extra":{"slack":{"color":"good"}},"in_reply_to":"1","private":false,"room":"#ops","text":"two\nlines","thread":"t1","to":null}"##
        )
        let direct = JSONLines.line(Reply("x"), at: Address(backend: "text", place: .direct("@alice")))
        let secret = Reply("x", isPrivate: true)
        #expect(JSONLines.line(secret, at: address).contains(#""private":true"#))
        #expect(direct.contains(#""room":null"#) && direct.contains(#""to":"@alice""#))
    }

    @Test func `the input stays open until the backend has read it`() async throws {
        var settings = TextSettings()
        settings.format = .jsonl
        settings.linger = .zero
        let writer: FileHandle
        let backend: TextBackend
        do {
            let input = Pipe()
            writer = input.fileHandleForWriting
            backend = TextBackend(
                name: "text", settings: settings, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
                from: input.fileHandleForReading, to: StandardStream(FileHandle.nullDevice))
        }
        let texts = Locked<[String]>([])
        let running = Task { try await backend.run { message in texts.withLock { $0.append(message.text) } } }
        try writer.write(contentsOf: Data(##"{"id":"1","from":"@a","text":"one"}"##.utf8))
        try writer.close()
        try await running.value
        #expect(texts.value == ["one"])
    }

    @Test func `answers settle open requests, even if they arrive early`() async {
        let open = PendingRequests()
        open.asked("a")
        open.answered("b")
        open.asked("b")
        open.answered("a")
        await open.settled(within: .seconds(60))
        open.asked("never")
        await open.settled(within: .milliseconds(1))
    }
}
