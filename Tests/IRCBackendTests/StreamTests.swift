import FaultSuite
import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import IRCBackend

/// The backend on the host, with a server that follows a script.
@Suite(.timeLimit(.minutes(30))) struct StreamTests {
    @Test func `a command in a channel is answered there, and one in a private message is answered in private`()
        async throws
    {
        try await ScriptedServer.serve([
            { server in
                try await server.login()
                try await server.say(":alice!a@h PRIVMSG #ops :!say hello")
                #expect(try await server.hear("PRIVMSG").parameters == ["#ops", "hello"])
                try await server.confirm()
                try await server.say(":alice!a@h PRIVMSG petrel :!say there")
                #expect(try await server.hear("PRIVMSG").parameters == ["alice", "there"])
                try await server.confirm()
                try await server.say(":alice!a@h PRIVMSG #ops :!whisper psst")
                #expect(try await server.hear("PRIVMSG").parameters == ["alice", "psst"])
                try await server.confirm()
            }
        ])
    }

    @Test func `line breaks in a reply become messages, and fences are not shown`() async throws {
        try await ScriptedServer.serve([
            { server in
                try await server.login()
                try await server.say(":alice!a@h PRIVMSG #ops :!lines x")
                for text in ["first x", "QUIT :injected", "last"] {
                    #expect(try await server.next()?.parameters == ["#ops", text])
                }
                try await server.confirm()
                try await server.say(":alice!a@h PRIVMSG #ops :!long")
                var text = ""
                while text.unicodeScalars.count < 1_000 {
                    let part = try await server.hear("PRIVMSG")[1] ?? ""
                    #expect(part.unicodeScalars.first == "e")
                    text += part
                }
                #expect(text.utf8.elementsEqual(String(repeating: "e\u{301}", count: 500).utf8))
            }
        ]) { $0.floodLines = 100 }
    }

    @Test func `PLAIN logs the bot in before it joins, and account tags identify people`() async throws {
        try await ScriptedServer.serve([
            { server in
                try await server.hear("USER")
                try await server.say(":s CAP * LS :sasl=PLAIN account-tag")
                try await server.hear("CAP", "sasl")
                try await server.hear("CAP", "account-tag")
                try await server.say(":s CAP * ACK :sasl", ":s CAP * ACK :account-tag")
                #expect(try await server.hear("AUTHENTICATE")[0] == "PLAIN")
                try await server.say("AUTHENTICATE +")
                let data = try await server.hear("AUTHENTICATE")[0] ?? ""
                #expect(Data(base64Encoded: data) == Data("bot\0bot\0secret".utf8))
                try await server.say(":s 900 * * bot :You are logged in", ":s 903 * :SASL authentication successful")
                try await server.hear("CAP", "END")
                try await server.welcome()
                try await server.enter()
                try await server.say("@account=Alice :al!a@h PRIVMSG #ops :!who")
                #expect(try await server.hear("PRIVMSG")[1] == "alice true #ops")
                try await server.confirm()
                try await server.say(":alice!a@h PRIVMSG #ops :!who")
                #expect(try await server.hear("PRIVMSG")[1]?.hasPrefix("alice!") == true)
            }
        ]) { $0.login = .plain(account: "bot", password: Secret("secret")) }
    }

    @Test func `EXTERNAL logs the bot in with its certificate`() async throws {
        let isOver = Signal()
        let script: ScriptedServer.Script = { server in
            defer { isOver.open() }
            try await server.hear("USER")
            try await server.say(":s CAP * LS :sasl=EXTERNAL", ":s CAP * ACK :sasl")
            #expect(try await server.hear("AUTHENTICATE")[0] == "EXTERNAL")
            try await server.say("AUTHENTICATE +")
            #expect(try await server.hear("AUTHENTICATE")[0] == "+")
            try await server.say(":s 903 * :SASL authentication successful")
            try await server.hear("CAP", "END")
            try await server.welcome()
            try await server.enter()
        }
        try await ScriptedServer.run(asksForCertificate: true, [script]) { server in
            let backend = server.backend { settings in
                settings.login = .external(account: nil)
                settings.certificate = server.certificate.certificate
                settings.key = server.certificate.key
            }
            try await TestHost.unhurried(backend).run([Say()]) { await isOver.wait() }
        }
    }

    @Test func `a rejected login is final, and no secret is in the error`() async throws {
        let script: ScriptedServer.Script = { server in
            try await server.hear("USER")
            try await server.say(":s CAP * LS :sasl", ":s CAP * ACK :sasl", "AUTHENTICATE +", ":s 904 * :SASL failed")
            while try await server.next() != nil {}
        }
        try await ScriptedServer.run([script]) { server in
            let backend = server.backend { $0.login = .plain(account: "bot", password: Secret("wr0ng")) }
            let failure = await #expect(throws: BackendFailure.self) { try await backend.run { _ in } }
            #expect(failure?.isFinal == true && failure?.message.contains("wr0ng") == false)
        }
    }

    @Test func `a server whose certificate is not trusted gets nothing`() async throws {
        let script: ScriptedServer.Script = { server in
            // The handshake fails on this side too, or the connection ends after it.
            #expect((try? await server.next()) == nil)
        }
        try await ScriptedServer.run([script]) { server in
            try await withFolder { folder in
                let other = try await SelfSigned(in: folder)
                let backend = server.backend { $0.authority = other.certificate }
                let failure = await #expect(throws: BackendFailure.self) { try await backend.run { _ in } }
                #expect(failure?.message.contains("ca_cert") == true && failure?.isFinal == false)
            }
        }
    }

    @Test func `a reply is sent again if the connection is cut before the server has confirmed it`() async throws {
        try await ScriptedServer.serve([
            { server in
                try await server.login()
                try await server.say(":alice!a@h PRIVMSG #ops :!say once")
                try await server.hear("PRIVMSG", "once")
            },
            { server in
                try await server.login()
                try await server.hear("PRIVMSG", "once")
                try await server.confirm()
                try await server.say(":alice!a@h PRIVMSG #ops :!say twice")
                try await server.hear("PRIVMSG", "twice")
                try await server.confirm()
            },
        ])
    }

    @Test func `with echo-message, a reply that the server does not relay is sent again`() async throws {
        try await ScriptedServer.serve([
            { server in
                try await server.login("echo-message")
                try await server.say(":alice!a@h PRIVMSG #ops :!say hello")
                try await server.hear("PRIVMSG", "hello")
                try await server.confirm()
                try await server.hear("PRIVMSG", "hello")
                try await server.say(":petrel!p@host PRIVMSG #ops :hello")
                try await server.confirm()
                try await server.say(":alice!a@h PRIVMSG #ops :!say more")
                try await server.hear("PRIVMSG", "more")
            }
        ])
    }

    @Test func `a reply that the channel refuses is sent again, and one to a nick that is gone is not`() async throws {
        try await ScriptedServer.serve([
            { server in
                try await server.login()
                try await server.say(":alice!a@h PRIVMSG #ops :!say hello")
                try await server.hear("PRIVMSG", "hello")
                try await server.say(":s 404 petrel #ops :Cannot send to channel")
                try await server.confirm()
                try await server.hear("PRIVMSG", "hello")
                try await server.confirm()
                try await server.say(":eve!e@h PRIVMSG petrel :!say hi")
                try await server.hear("PRIVMSG", "hi")
                try await server.say(":s 401 petrel eve :No such nick")
                try await server.confirm()
                try await server.say(":alice!a@h PRIVMSG #ops :!say end")
                #expect(try await server.hear("PRIVMSG").parameters == ["#ops", "end"])
            }
        ])
    }

    @Test func `a private reply to an account is sent to the nick that the server confirms`() async throws {
        try await ScriptedServer.serve([
            { server in
                try await server.login("account-tag")
                try await server.say("@account=alice :al!a@h PRIVMSG petrel :!say hello")
                #expect(try await server.hear("WHOIS")[0] == "al")
                // The nick belongs to another person now.
                try await server.say(":s 330 petrel al mallory :is logged in as")
                try await server.confirm()
                #expect(try await server.hear("WHOIS")[0] == "al")
                try await server.say(":s 330 petrel al Alice :is logged in as")
                try await server.confirm()
                #expect(try await server.hear("PRIVMSG").parameters == ["al", "hello"])
            }
        ])
    }

    @Test func `after a kick, replies wait until the bot is in the channel again`() async throws {
        try await ScriptedServer.serve([
            { server in
                try await server.login()
                try await server.say(":alice!a@h PRIVMSG #ops :!say hello", ":op!o@h KICK #ops petrel :out")
                try await server.enter()
                try await server.hear("PRIVMSG", "hello")
            }
        ])
    }

    @Test func `a nick that is in use is replaced, and both nicks address the bot`() async throws {
        try await ScriptedServer.serve([
            { server in
                try await server.hear("USER")
                try await server.say(":s CAP * LS :", ":s 433 * petrel :Nickname is already in use")
                #expect(try await server.hear("NICK")[0] == "petrel_")
                try await server.welcome("petrel_")
                try await server.enter(nick: "petrel_")
                try await server.say(":alice!a@h PRIVMSG #ops :petrel: say one")
                try await server.hear("PRIVMSG", "one")
                try await server.confirm()
                try await server.say(":alice!a@h PRIVMSG #ops :petrel_, say two")
                try await server.hear("PRIVMSG", "two")
                #expect(try await server.hear("NICK")[0] == "petrel")
                try await server.say(":petrel_!p@host NICK :petrel", ":alice!a@h PRIVMSG petrel :!say three")
                try await server.hear("PRIVMSG", "three")
            }
        ]) { $0.regaining = .milliseconds(50) }
    }

    @Test func `replies respect the flood limit, and pings of the server are answered at once`() async throws {
        let start = ContinuousClock.now
        try await ScriptedServer.serve([
            { server in
                try await server.login()
                for number in 1...3 { try await server.say(":alice!a@h PRIVMSG #ops :!say \(number)") }
                try await server.say("PING :now")
                try await server.hear("PONG", "now")
                try await server.say("PING :later")
                // Commands run side by side, so their replies come in any order.
                var texts: Set<String> = []
                for _ in 1...3 {
                    texts.insert(try await server.hear("PRIVMSG")[1] ?? "")
                    try await server.confirm()
                }
                #expect(texts == ["1", "2", "3"])
            }
        ]) { settings in
            settings.floodLines = 1
            settings.floodPeriod = .seconds(1)
        }
        // A JOIN and three replies: at most one each second.
        #expect(start.duration(to: .now) >= .seconds(3))
    }

    @Test func `a server that answers no pings is left`() async throws {
        let message = Locked("")
        let script: ScriptedServer.Script = { server in
            do {
                try await server.login()
                try await server.hear("PING")
                while try await server.next() != nil {}
            } catch {
                // The bot has given up the login; the message tells that.
            }
        }
        // A machine that stands still may exceed the first times during the login.
        for silence in [3, 30, 100] where message.value != "the server does not respond to pings" {
            try await ScriptedServer.run([script]) { server in
                let backend = server.backend { $0.silence = .seconds(silence) }
                let failure = await #expect(throws: BackendFailure.self) { try await backend.run { _ in } }
                message.withLock { $0 = failure?.message ?? "" }
            }
        }
        #expect(message.value == "the server does not respond to pings")
    }

    @Test func `at shutdown the bot quits, also while a reply waits for its confirmation`() async throws {
        let isAsked = Signal()
        let script: ScriptedServer.Script = { server in
            try await server.login()
            try await server.say(":alice!a@h PRIVMSG #ops :hello")
            try await server.hear("PING")
            isAsked.open()
            try await server.hear("QUIT")
            #expect(try await server.next() == nil)
        }
        try await ScriptedServer.run([script]) { server in
            let backend = server.backend { $0.patience = .seconds(3_600) }
            let isInside = Signal()
            let running = Task { try await backend.run { _ in isInside.open() } }
            let sending = Task {
                await isInside.wait()
                _ = try await backend.send(Reply("x"), to: Address(backend: "irc", place: .room("#ops")))
            }
            await isAsked.wait()
            running.cancel()
            await #expect(throws: CancellationError.self) { try await running.value }
            let failure = await #expect(throws: SendFailure.self) { try await sending.value }
            #expect(failure?.remedy == .later(after: nil))
        }
    }

    @Test func `a shutdown during the login closes the connection`() async throws {
        let isConnected = Signal()
        let script: ScriptedServer.Script = { server in
            try await server.hear("USER")
            isConnected.open()
            try await server.hear("QUIT")
            #expect(try await server.next() == nil)
        }
        try await ScriptedServer.run([script]) { server in
            let running = Task { [backend = server.backend()] in try await backend.run { _ in } }
            await isConnected.wait()
            running.cancel()
            await #expect(throws: CancellationError.self) { try await running.value }
        }
    }
}
