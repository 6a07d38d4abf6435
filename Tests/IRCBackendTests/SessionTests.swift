import PetrelKit
import PetrelSupport
import Testing

@testable import IRCBackend

/// A session without a network.
struct Dialog {
    var session: IRCSession
    var now = ContinuousClock.now
    /// All actions since the last call of ``take()``.
    private var actions: [IRCAction] = []

    init(_ change: (inout IRCSettings) -> Void = { _ in }) {
        var settings = IRCSettings(server: "localhost", nick: "petrel")
        settings.channels = [IRCSettings.Channel(name: "#Ops"), IRCSettings.Channel(name: "#sec", key: Secret("k3y"))]
        change(&settings)
        session = IRCSession(settings, version: "1.2.3")
        actions = session.start()
    }

    /// A session that is logged in and inside #Ops.
    static func open(
        _ capabilities: String = "", support: String = "CASEMAPPING=ascii",
        _ change: (inout IRCSettings) -> Void = { _ in }
    ) -> Dialog {
        var dialog = Dialog(change)
        dialog.hear(
            ":s CAP * LS :\(capabilities)", ":s CAP * ACK :\(capabilities)", ":s 001 petrel :Welcome",
            ":s 005 petrel \(support) :are supported", ":s 376 petrel :End", ":petrel!~p@host JOIN #Ops",
            ":s 353 petrel = #Ops :petrel @alice", ":s 366 petrel #Ops :End")
        _ = dialog.take()
        return dialog
    }

    mutating func hear(_ lines: String...) {
        for line in lines {
            guard let message = IRCMessage(line: Array(line.utf8)) else { continue }
            actions += session.receive(message, at: now)
        }
    }

    mutating func fire(_ timer: IRCTimer) { actions += session.fired(timer, at: now) }

    mutating func take() -> [IRCAction] {
        defer { actions = [] }
        return actions
    }

    /// The lines that the session has sent since the last call.
    mutating func sent() -> [String] { take().sent }

    /// The messages for the host that a line results in.
    mutating func delivered(_ line: String) -> [ChatMessage] {
        hear(line)
        return take().compactMap { if case .deliver(let message) = $0 { message } else { nil } }
    }

    /// Returns the sender of a message.
    mutating func person(_ source: String, tags: String = "", to target: String = "#ops") throws -> Person {
        try #require(delivered("\(tags.isEmpty ? "" : "@\(tags) "):\(source) PRIVMSG \(target) :!x").first).sender
    }
}

extension [IRCAction] {
    var sent: [String] {
        compactMap { action in
            guard case .send(let message) = action, let line = try? message.encoded() else { return nil }
            return String(decoding: line.dropLast(2), as: UTF8.self)
        }
    }

    var failure: BackendFailure? {
        compactMap { if case .fail(let failure) = $0 { failure } else { nil } }.first
    }

    var timers: [IRCTimer] { compactMap { if case .schedule(let timer, _) = $0 { timer } else { nil } } }
}

@Suite(.timeLimit(.minutes(30))) struct LoginTests {
    @Test func `a login without capabilities joins the channels`() {
        var dialog = Dialog { $0.password = Secret("server word") }
        #expect(
            dialog.sent() == ["CAP LS 302", "PASS :server word", "NICK petrel", "USER petrel 0 * petrel"])
        dialog.hear(":s 421 * CAP :Unknown command", ":s 001 petrel :Welcome", ":s 376 petrel :End")
        #expect(dialog.sent() == ["JOIN #Ops", "JOIN #sec k3y"])
        #expect(dialog.session.phase == .open)
    }

    @Test func `only capabilities that the server offers are requested, also when the list has several lines`() {
        var dialog = Dialog()
        dialog.hear(":s CAP * LS * :multi-prefix unknown", ":s CAP * LS :account-tag extended-join batch=x")
        #expect(dialog.sent().last == "CAP REQ :account-tag extended-join multi-prefix")
        dialog.hear(":s CAP petrel ACK :account-tag extended-join multi-prefix ")
        #expect(dialog.sent() == ["CAP END"])
        #expect(dialog.session.registration.enabled == ["account-tag", "extended-join", "multi-prefix"])
        dialog.hear(
            ":s CAP petrel NEW :echo-message", ":s CAP petrel ACK :echo-message", ":s CAP petrel DEL :account-tag")
        #expect(dialog.sent() == ["CAP REQ echo-message"])
        #expect(dialog.session.registration.enabled == ["echo-message", "extended-join", "multi-prefix"])
        dialog.hear(":s CAP petrel NAK :x")
        #expect(dialog.sent().isEmpty)
    }

    @Test func `PLAIN sends the account and the password, and ends the negotiation after the success`() {
        var dialog = Dialog { $0.login = .plain(account: "bot", password: Secret("pä ss")) }
        dialog.hear(":s CAP * LS :sasl=EXTERNAL,PLAIN multi-prefix", ":s CAP * ACK :sasl", ":s CAP * ACK :multi-prefix")
        #expect(dialog.sent().suffix(3) == ["CAP REQ sasl", "CAP REQ multi-prefix", "AUTHENTICATE PLAIN"])
        dialog.hear("AUTHENTICATE +")
        // printf 'bot\0bot\0pä ss' | base64
        #expect(dialog.sent() == ["AUTHENTICATE Ym90AGJvdABww6Qgc3M="])
        dialog.hear(":s 900 petrel petrel!p@h bot :You are now logged in", ":s 903 petrel :SASL successful")
        #expect(dialog.sent() == ["CAP END"])
    }

    @Test(arguments: [(String?.none, "+"), (String?.some("bot"), "Ym90")])
    func `EXTERNAL sends the account or nothing`(_ account: String?, _ data: String) {
        var dialog = Dialog { $0.login = .external(account: account) }
        dialog.hear(":s CAP * LS :sasl", ":s CAP * ACK :sasl")
        #expect(dialog.sent().last == "AUTHENTICATE EXTERNAL")
        dialog.hear("AUTHENTICATE +")
        #expect(dialog.sent() == ["AUTHENTICATE \(data)"])
    }

    @Test(arguments: [(0, [1]), (297, [396]), (300, [400, 1]), (301, [400, 4]), (600, [400, 400, 1])])
    func `long SASL data is sent in chunks of 400 bytes`(_ count: Int, _ lengths: [Int]) {
        let chunks = IRCRegistration.chunks(of: String(repeating: "a", count: count))
        #expect(chunks.map(\.utf8.count) == lengths)
        if lengths.last == 1 { #expect(chunks.last == "+") }
    }

    @Test(arguments: [
        ("902", true), ("904", true), ("905", true), ("906", false),
    ])
    func `a rejected SASL login ends the connection`(_ code: String, _ isFinal: Bool) throws {
        var dialog = Dialog { $0.login = .plain(account: "bot", password: Secret("wrong")) }
        dialog.hear(":s CAP * LS :sasl", ":s CAP * ACK :sasl", "AUTHENTICATE +", ":s \(code) petrel :no")
        let failure = try #require(dialog.take().failure)
        #expect(failure.isFinal == isFinal && !failure.message.contains("wrong"))
    }

    @Test(arguments: [
        [":s CAP * LS :multi-prefix"], [":s CAP * LS :sasl=EXTERNAL"], [":s CAP * LS :sasl", ":s CAP * NAK :sasl"],
        [":s 421 * CAP :Unknown command"], [":s 001 petrel :Welcome"],
        [":s CAP * LS :sasl", ":s CAP * ACK :sasl", "AUTHENTICATE xyz"],
    ])
    func `the bot does not log in without the SASL login that the settings require`(_ lines: [String]) {
        var dialog = Dialog { $0.login = .plain(account: "bot", password: Secret("secret")) }
        for line in lines { dialog.hear(line) }
        let actions = dialog.take()
        #expect(actions.failure != nil)
        #expect(!actions.sent.contains { $0.contains("CAP END") || $0.contains("c2VjcmV0") })
    }

    @Test(arguments: [
        (":s 464 petrel :Password incorrect", true), (":s 465 petrel :You are banned", true),
        ("ERROR :Closing Link: Bad password", true), ("ERROR :Closing Link: too many connections", false),
    ])
    func `a wrong password and a ban are final`(_ line: String, _ isFinal: Bool) {
        var dialog = Dialog()
        dialog.hear(line)
        #expect(dialog.take().failure?.isFinal == isFinal)
        var later = Dialog.open()
        later.hear("ERROR :password")
        #expect(later.take().failure?.isFinal == false)
    }

    @Test func `a nick that is in use gets an underscore, and the bot takes its own when it is free`() {
        var dialog = Dialog()
        _ = dialog.take()
        dialog.hear(
            ":s 433 * petrel :Nickname is already in use", ":s 432 * petrel_ :Erroneous", ":s 437 * petrel__ :x")
        #expect(dialog.sent() == ["NICK petrel_", "NICK petrel__", "NICK petrel___"])
        dialog.hear(":s CAP * LS :", ":s 001 petrel___ :Welcome", ":s 376 petrel___ :End")
        var actions = dialog.take()
        #expect(actions.timers.contains(.regain))
        dialog.fire(.regain)
        actions = dialog.take()
        #expect(actions.sent == ["NICK petrel"] && actions.timers == [.regain])
        dialog.hear(":s 433 petrel___ petrel :Nickname is already in use")
        #expect(dialog.sent().isEmpty)
        dialog.hear(":petrel___!p@h JOIN #Ops", ":s 353 petrel___ = #Ops :petrel petrel___")
        #expect(dialog.sent() == ["MODE #Ops"])
        dialog.hear(":petrel!x@y QUIT :bye")
        #expect(dialog.sent() == ["NICK petrel"])
        dialog.hear(":petrel___!p@h NICK :petrel")
        #expect(dialog.session.nick == "petrel")
        dialog.fire(.regain)
        #expect(dialog.sent().isEmpty)
    }

    @Test func `a server that rejects every nick ends the connection`() {
        var dialog = Dialog()
        for _ in 0..<6 { dialog.hear(":s 433 * petrel :in use") }
        #expect(dialog.take().failure?.isFinal == false)
    }

    @Test func `a change of the nick by the server is followed`() {
        var dialog = Dialog.open()
        dialog.hear(":petrel!p@h NICK 042AAAB")
        #expect(dialog.session.nick == "042AAAB" && dialog.take().timers == [.regain])
        #expect(dialog.delivered(":042aaab!p@h PRIVMSG #ops :own").isEmpty)
        #expect(dialog.delivered(":alice!a@h PRIVMSG 042AAAB :!x").first?.isDirect == true)
    }

    @Test(arguments: [
        ":NickServ!s@services NOTICE petrel :You are now identified for petrel.", ":petrel MODE petrel :+r",
        ":s 900 petrel petrel!p@h petrel :You are now logged in", ":nickserv!s@h NOTICE petrel :Invalid password.",
    ])
    func `the bot identifies to NickServ before it joins`(_ answer: String) {
        var dialog = Dialog { $0.nickServ = IRCSettings.NickServ(password: Secret("secret")) }
        _ = dialog.take()
        dialog.hear(":s CAP * LS :", ":s 001 petrel :Welcome", ":s 376 petrel :End")
        #expect(dialog.sent() == ["CAP END", "PRIVMSG NickServ :IDENTIFY secret"])
        dialog.hear(":NickServ!s@services NOTICE petrel :This nickname is registered. Please identify.")
        dialog.hear(":mallory!s@services NOTICE petrel :You are now identified")
        #expect(dialog.sent().isEmpty)
        dialog.hear(answer)
        #expect(dialog.sent() == ["JOIN #Ops", "JOIN #sec k3y"])
    }

    @Test func `the bot joins if NickServ does not answer, and names its nick if it has another one`() {
        var dialog = Dialog { $0.nickServ = IRCSettings.NickServ(nick: "NickServ@x", password: Secret("secret")) }
        dialog.hear(":s 433 * petrel :in use", ":s 001 petrel_ :Welcome", ":s 422 petrel_ :No MOTD")
        #expect(dialog.sent().last == "PRIVMSG NickServ@x :IDENTIFY petrel secret")
        dialog.fire(.identification)
        #expect(dialog.sent().contains("JOIN #Ops"))
        dialog.fire(.identification)
        #expect(dialog.sent().isEmpty)
    }

    @Test func `a login that takes too long ends the connection`() {
        var dialog = Dialog()
        dialog.fire(.registration)
        #expect(dialog.take().failure?.isFinal == false)
        var open = Dialog.open()
        open.fire(.registration)
        #expect(open.take().failure == nil)
    }
}

@Suite(.timeLimit(.minutes(30))) struct ChannelTests {
    @Test func `pings are answered, and pongs are passed on`() {
        var dialog = Dialog.open()
        dialog.hear("PING :a b", "PING")
        #expect(dialog.sent() == ["PONG :a b", "PONG :"])
        dialog.hear(":s PONG s :token")
        guard case .pong("token")? = dialog.take().first else {
            Issue.record("no pong")
            return
        }
    }

    @Test func `after a kick the bot joins again, with growing pauses`() throws {
        var dialog = Dialog.open()
        var pauses: [Duration] = []
        for _ in 0..<3 {
            dialog.hear(":op!o@h KICK #OPS petrel :out")
            let actions = dialog.take()
            for case .schedule(let timer, let pause) in actions {
                pauses.append(pause)
                dialog.fire(timer)
            }
            #expect(dialog.sent() == ["JOIN #Ops"])
            #expect(dialog.session.troubles.contains("not in #Ops: the bot was kicked from the channel"))
            dialog.hear(":petrel!p@h JOIN #Ops")
            _ = dialog.take()
        }
        #expect(pauses.count == 3 && pauses[0] < pauses[1] && pauses[1] < pauses[2])
        dialog.now += .seconds(100)
        dialog.hear(":petrel!p@h PART #Ops")
        #expect(dialog.take().timers.count == 1)
    }

    @Test(arguments: ["403", "471", "473", "474", "475", "477"])
    func `a channel that the bot may not enter is tried again, and reported once`(_ code: String) {
        var dialog = Dialog.open()
        dialog.hear(":s \(code) petrel #SEC :Cannot join channel", ":s \(code) petrel #sec :Cannot join channel")
        let notes = dialog.take().filter { if case .note = $0 { true } else { false } }
        #expect(notes.count == 1 && dialog.session.troubles == ["not in #sec: Cannot join channel"])
        dialog.fire(.join(channel: "#sec", attempt: 1))
        #expect(dialog.sent() == ["JOIN #sec k3y"])
        // The timer of an earlier attempt.
        dialog.fire(.join(channel: "#sec", attempt: 1))
        #expect(dialog.sent().isEmpty)
        dialog.hear(":petrel!p@h JOIN #sec")
        #expect(dialog.session.troubles.isEmpty)
    }

    @Test func `the bot leaves channels that are not in the settings`() {
        var dialog = Dialog.open()
        dialog.hear(":petrel!p@h JOIN #overflow")
        #expect(dialog.sent() == ["PART #overflow"])
        #expect(dialog.delivered(":alice!a@h PRIVMSG #overflow :!x").isEmpty)
    }

    @Test func `many channels are joined with few messages that fit`() {
        var dialog = Dialog { settings in
            settings.channels = (0..<100).map { IRCSettings.Channel(name: "#channel-number-\($0)") }
        }
        dialog.hear(":s CAP * LS :", ":s 001 petrel :Welcome", ":s 376 petrel :End")
        let joins = dialog.sent().filter { $0.hasPrefix("JOIN") }
        #expect(joins.count == 5 && joins.allSatisfy { $0.utf8.count <= 410 })
        #expect(joins.flatMap { $0.dropFirst(5).split(separator: ",") }.count == 100)
    }

    @Test func `a netsplit removes the people on the other side, and they come back as others`() throws {
        var dialog = Dialog.open()
        dialog.hear(":bob!b@h JOIN #ops")
        #expect(dialog.session.people.count(in: "#Ops") == 2)
        let bob = try dialog.person("bob!b@h")
        let alice = try dialog.person("alice!a@h")
        dialog.hear(":bob!b@h QUIT :hub.example.com leaf.example.com")
        #expect(dialog.session.people.count(in: "#Ops") == 1 && dialog.session.troubles == ["not in #sec"])
        #expect(dialog.session.people.nick(during: bob.id) == nil)
        dialog.hear(":bob!b@h JOIN #ops")
        #expect(try dialog.person("bob!b@h").id != bob.id)
        #expect(try dialog.person("alice!a@h") == alice)
    }
}

@Suite(.timeLimit(.minutes(30))) struct ChannelModeTests {
    private func isPrivate(_ dialog: inout Dialog) -> Bool? {
        dialog.delivered(":alice!~a@host PRIVMSG #ops :!x").first?.room?.isPrivate
    }

    @Test func `a channel counts as private until the server has told its modes`() {
        var dialog = Dialog { _ in }
        dialog.hear(":s 001 petrel :Welcome", ":s 376 petrel :End", ":petrel!~p@host JOIN #Ops")
        #expect(dialog.sent().last == "MODE #Ops")
        #expect(isPrivate(&dialog) == true)
        // A change of unknown modes tells nothing.
        dialog.hear(":op!~o@host MODE #ops -s")
        #expect(isPrivate(&dialog) == true)
        dialog.hear(":s 324 petrel #OPS +nt")
        #expect(isPrivate(&dialog) == false)
    }

    @Test(arguments: [
        ("+s", true), ("+nts", true), ("+kl key 5", true), ("+i", true), ("+p", true), ("", false), ("+", false),
        ("+s-s", false), ("+n", false),
    ])
    func `secret, private, closed and locked channels are private`(_ modes: String, _ expected: Bool) {
        var dialog = Dialog.open()
        dialog.hear(":s 324 petrel #ops \(modes)")
        #expect(isPrivate(&dialog) == expected)
    }

    @Test func `changes of the modes are followed, and a new visit starts without them`() {
        var dialog = Dialog.open()
        dialog.hear(":s 324 petrel #ops +n", ":op!~o@host MODE #ops +so alice", ":op!~o@host MODE petrel +i")
        #expect(isPrivate(&dialog) == true)
        dialog.hear(":op!~o@host MODE #ops -s+t")
        #expect(isPrivate(&dialog) == false)
        dialog.hear(":op!~o@host KICK #ops petrel :out", ":petrel!~p@host JOIN #Ops")
        #expect(isPrivate(&dialog) == true)
    }
}
