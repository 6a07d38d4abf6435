import PetrelKit
import PetrelSupport
import Testing

@testable import PlugInProtocol

@Suite(.timeLimit(.minutes(30))) struct ProtocolTests {
    @Test(arguments: [1, 2, 3, 7, 100]) func `lines are found however the stream is cut`(size: Int) {
        let bytes = Array("one\ntwo\r\n\n\(String(repeating: "x", count: 50))\nlast".utf8)
        var lines = LineSplitter(limit: 20)
        var found: [LineSplitter.Line] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            found += lines.feed(bytes[start..<min(start + size, bytes.count)])
        }
        let texts = found.map { if case .line(let bytes) = $0 { String(decoding: bytes, as: UTF8.self) } else { "-" } }
        #expect(texts == ["one", "two", "", "-"])
        #expect(lines.hasRest)
    }

    @Test func `a line that never ends is kept up to its limit`() {
        var lines = LineSplitter(limit: 1_000)
        let chunk = [UInt8](repeating: 0x78, count: 999)
        let first = lines.feed(chunk)
        let second = lines.feed(chunk)
        #expect(first.isEmpty && second == [.tooLong])
        for _ in 0..<1_000 {
            let more = lines.feed(chunk)
            #expect(more.isEmpty)
        }
        let rest = lines.feed(Array("\nok\n".utf8))
        #expect(rest == [.line(Array("ok".utf8))])
    }

    @Test(arguments: [
        ("", "the line is not JSON"), ("[]", "not an object"), ("{}", "`jsonrpc`"),
        (#"{"jsonrpc": "2.0"}"#, "neither `method` nor"), (#"{"jsonrpc": 2.0, "method": "a"}"#, "`jsonrpc`"),
        (#"{"jsonrpc": "2.0", "method": 1}"#, "`method` is not a string"),
        (#"{"jsonrpc": "2.0", "method": "a", "params": [1]}"#, "`params` is not an object"),
        (#"{"jsonrpc": "2.0", "id": 1.5, "method": "a"}"#, "`id`"),
        (#"{"jsonrpc": "2.0", "id": 1, "result": 1, "error": {}}"#, "exactly one"),
        (#"{"jsonrpc": "2.0", "id": 1, "error": {"code": "x", "message": ""}}"#, "no `code`"),
        (#"{"jsonrpc": "2.0", "id": 1, "result": NaN}"#, "not JSON"),
        (String(repeating: "[", count: 100_000), "not JSON"),
    ])
    func `a line that is not a message is rejected with a reason`(line: String, reason: String) {
        let error = #expect(throws: RPCError.self) { try RPCMessage(Array(line.utf8)) }
        #expect(error?.message.contains(reason) == true)
    }

    @Test func `traits are read back as they were written, and their limits are checked`() throws {
        for traits in [BackendTraits(), BackendTraits(edits: true, maximumLength: 400, maximumLines: 10)] {
            #expect(try Wire.traits(Wire.json(traits)) == traits)
        }
        for wrong: JSONValue in [["maximum_lines": 0], ["maximum_lines": "10"], ["maximum_length": 9]] {
            #expect(throws: RPCError.self) { try Wire.traits(wrong) }
        }
    }

    @Test func `messages are read back as they were written`() throws {
        let odd: JSONValue = ["text": "a\r\n\u{301}👩‍👩‍👧\u{0}\u{2028}\"\\", "number": .number(1.5), "list": [.null, true]]
        let messages: [RPCMessage] = [
            .request(.number(7), method: "send", params: odd), .request(.text("a"), method: "say", params: [:]),
            .notification(method: "log", params: odd), .response(.number(7), .success(odd)),
            .response(nil, .failure(RPCError(-32700, "no", data: odd))),
        ]
        for message in messages {
            let line = try message.line()
            #expect(line.last == 0x0A && line.count { $0 == 0x0A } == 1)
            #expect(try RPCMessage(line.dropLast()) == message)
        }
        #expect(throws: RPCError.self) { try RPCMessage([0x22, 0xFF, 0x22]) }
    }

    @Test func `a reply is read back as it was written`() throws {
        let form = Form(
            "T",
            fields: [
                Form.Field("a", kind: .choice(["x", "y"]), isRequired: true, initial: "x"),
                Form.Field("b", label: "B", hint: "h", kind: .lines), Form.Field("c", kind: .integer),
                Form.Field("d", kind: .number), Form.Field("e", kind: .boolean), Form.Field("f"),
            ], submit: "Go", line: "do it")
        let reply = Reply(
            "text", style: .markdown, kind: .error, isPrivate: true, isConfidential: true,
            extra: ["slack": ["color": "good"]],
            buttons: [Button("b", line: "l", style: .danger, question: "q?"), Button("c", line: "m")], form: form)
        #expect(try Wire.reply(Wire.json(reply)) == reply)
        #expect(try Wire.reply(["text": ""]) == Reply(""))
        for (value, place) in [
            ([:], "`reply.text`"), (["text": 1], "`reply.text`"), (["text": "", "style": "x"], "`reply.style`"),
            (["text": "", "buttons": [["label": "x"]]], "`reply.buttons.line`"), ("x", "`reply`"),
            (["text": "", "form": ["title": "x", "line": "y", "fields": [["name": "a", "type": "z"]]]], "type"),
        ] as [(JSONValue, String)] {
            let error = #expect(throws: RPCError.self) { try Wire.reply(value) }
            #expect(error?.message.contains(place) == true)
        }
    }

    @Test func `a call gets its response, and only its own`() async throws {
        let peer = RPCPeer()
        async let one = peer.call("a", [:], within: .seconds(60))
        async let two = peer.call("b", [:], within: .seconds(60))
        var methods: [String: Int] = [:]
        while methods.count < 2 {
            for line in try #require(await peer.taken()).split(separator: 0x0A) {
                guard case .request(.number(let number), let method, _) = try RPCMessage(line) else { continue }
                methods[method] = number
            }
        }
        #expect(peer.receive(Array(#"{"jsonrpc": "2.0", "id": 99, "result": 1}"#.utf8)) != .response(99, .success(1)))
        for (method, number) in methods { peer.settle(number, .success(.string(method))) }
        #expect(try await one == "a")
        #expect(try await two == "b")
        // A second response has no effect.
        peer.settle(methods["a"] ?? 0, .success("late"))
    }

    @Test func `a call fails when it is late, cancelled, closed or blocked`() async throws {
        let peer = RPCPeer()
        let late = Task { try await peer.call("late", [:], within: .seconds(5)) }
        _ = await peer.taken()
        peer.expire(at: .now + .seconds(6))
        await #expect(throws: RPCPeer.Failure.late(.seconds(5))) { try await late.value }
        let cancelled = Task { try await peer.call("cancelled", [:], within: .seconds(60)) }
        _ = await peer.taken()
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        let big: JSONValue = ["text": .string(String(repeating: "x", count: RPCPeer.capacity))]
        await #expect(throws: RPCPeer.Failure.blocked) { try await peer.call("big", big, within: .seconds(60)) }
        let open = Task { try await peer.call("open", [:], within: .seconds(60)) }
        _ = await peer.taken()
        peer.close("ended with status 1")
        await #expect(throws: RPCPeer.Failure.closed("ended with status 1")) { try await open.value }
        await #expect(throws: RPCPeer.Failure.unavailable("ended with status 1")) {
            try await peer.call("after", [:], within: .seconds(60))
        }
        #expect(await peer.taken() == nil)
    }

    @Test func `a throttle passes its burst at once and the rest at its rate`() {
        var throttle = Throttle(burst: 10, perSecond: 5)
        let now = ContinuousClock.now
        let pauses = [throttle.take(10, at: now), throttle.take(5, at: now), throttle.take(0, at: now + .seconds(1))]
        #expect(pauses == [.zero, .seconds(1), .zero])
        let passes = [throttle.takeOne(at: now + .seconds(1)), throttle.takeOne(at: now + .seconds(2))]
        #expect(passes == [false, true])
    }

    @Test func `secrets of the settings are masked`() {
        let launch = PlugInLaunch(name: "p", command: ["x"], folder: "/", secrets: [Secret("sesame"), Secret("")])
        #expect(launch.masked("token=sesame, again sesame") == "token=•••, again •••")
    }
}
