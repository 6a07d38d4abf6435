import Foundation
import PetrelKit
import PetrelSupport

/// The capability negotiation and the login with SASL (IRCv3), up to `CAP END`.
struct IRCRegistration: Sendable {
    /// The capabilities that the bot uses, besides `sasl`.
    private static let wanted = [
        "account-notify", "account-tag", "chghost", "echo-message", "extended-join", "message-tags", "multi-prefix",
        "userhost-in-names",
    ]
    /// The length of a chunk of SASL data.
    private static let chunk = 400

    private let login: IRCSettings.Login?
    private(set) var enabled: Set<String> = []
    private var offered: [String: String] = [:]
    private var unanswered = 0
    private var isListed = false
    private var isAuthenticating = false
    private(set) var isLoggedIn = false
    /// True after `CAP END`, or if the server does not support the negotiation.
    private(set) var isOver = false

    init(_ login: IRCSettings.Login?) { self.login = login }

    /// Processes a message. Returns nil if it does not belong to the negotiation.
    mutating func receive(_ message: IRCMessage) -> [IRCAction]? {
        switch message.command {
        case "CAP": capability(message)
        case "AUTHENTICATE": isAuthenticating ? authenticate(message) : []
        case "421" where message[1]?.uppercased() == "CAP" && !isOver: unsupported()
        case "900" where isAuthenticating: []
        case "903" where isAuthenticating, "907" where isAuthenticating: succeeded()
        case "902", "904", "905": isAuthenticating ? rejected(message) : []
        case "906" where isAuthenticating: [.fail(BackendFailure("the server aborted the SASL login"))]
        case "908": mechanisms(message)
        default: nil
        }
    }

    private mutating func capability(_ message: IRCMessage) -> [IRCAction] {
        let words = (message.parameters.last ?? "").words
        switch message[1]?.uppercased() {
        case "LS":
            for word in words { offer(word) }
            guard message.parameters.count < 4 || message[2] != "*" else { return [] }
            return isListed ? [] : request()
        case "NEW":
            for word in words { offer(word) }
            let new = Self.wanted.filter { offered[$0] != nil && !enabled.contains($0) }
            return new.isEmpty ? [] : [.send(IRCMessage("CAP", "REQ", new.joined(separator: " ")))]
        case "DEL":
            for word in words {
                offered[word] = nil
                enabled.remove(word)
            }
            return []
        case "ACK":
            for word in words { acknowledge(word) }
            return answered()
        case "NAK": return answered()
        default: return []
        }
    }

    private mutating func offer(_ word: String) {
        let scalars = word.unicodeScalars
        let name = scalars.prefix { $0 != "=" }
        guard offered.count < 1_000 else { return }
        offered[String(name)] = String(scalars[name.endIndex...].dropFirst())
    }

    private mutating func acknowledge(_ word: String) {
        if word.utf8.first == UInt8(ascii: "-") {
            enabled.remove(String(word.unicodeScalars.dropFirst()))
        } else {
            enabled.insert(word)
        }
    }

    private mutating func request() -> [IRCAction] {
        isListed = true
        var requests: [String] = []
        if let login {
            guard let mechanisms = offered["sasl"] else {
                return [.fail(BackendFailure("the server does not offer SASL now, which the settings require"))]
            }
            let names = mechanisms.unicodeScalars.split(separator: ",").map { String($0).uppercased() }
            guard names.isEmpty || names.contains(login.mechanism) else {
                return [
                    .fail(BackendFailure("the server offers SASL \(mechanisms), but not \(login.mechanism)"))
                ]
            }
            requests.append("sasl")
        }
        let more = Self.wanted.filter { offered[$0] != nil }
        if !more.isEmpty { requests.append(more.joined(separator: " ")) }
        unanswered = requests.count
        return requests.isEmpty ? end() : requests.map { .send(IRCMessage("CAP", "REQ", $0)) }
    }

    private mutating func answered() -> [IRCAction] {
        // Requests after the login change only what is enabled.
        guard !isOver, unanswered > 0 else { return [] }
        unanswered -= 1
        guard unanswered == 0 else { return [] }
        guard let login else { return end() }
        guard enabled.contains("sasl") else { return [.fail(BackendFailure("the server rejected SASL"))] }
        isAuthenticating = true
        return [.send(IRCMessage("AUTHENTICATE", login.mechanism))]
    }

    private mutating func end() -> [IRCAction] {
        isOver = true
        return [.send(IRCMessage("CAP", "END"))]
    }

    private mutating func unsupported() -> [IRCAction] {
        isOver = true
        return login == nil ? [] : [.fail(BackendFailure("the server does not support SASL", isFinal: true))]
    }

    private func authenticate(_ message: IRCMessage) -> [IRCAction] {
        guard message[0] == "+" else {
            return [.fail(BackendFailure("the server sent unexpected SASL data"))]
        }
        return Self.chunks(of: credentials).map { .send(IRCMessage("AUTHENTICATE", $0)) }
    }

    private var credentials: String {
        switch login {
        case .plain(let account, let password): "\(account)\0\(account)\0\(password.reveal())"
        case .external(let account): account ?? ""
        case nil: ""
        }
    }

    /// Returns SASL data as parameters of `AUTHENTICATE`. A chunk of the full length is followed by another one.
    static func chunks(of data: String) -> [String] {
        let text = Array(Data(data.utf8).base64EncodedString().utf8)
        var chunks = stride(from: 0, to: text.count, by: chunk).map {
            String(decoding: text[$0..<min($0 + chunk, text.count)], as: UTF8.self)
        }
        if text.count.isMultiple(of: chunk) { chunks.append("+") }
        return chunks
    }

    private mutating func succeeded() -> [IRCAction] {
        isAuthenticating = false
        isLoggedIn = true
        return end()
    }

    private func rejected(_ message: IRCMessage) -> [IRCAction] {
        let reason = Printable.line(message.parameters.last ?? "")
        return [.fail(BackendFailure("the server rejected the SASL login: \(reason)", isFinal: true))]
    }

    private func mechanisms(_ message: IRCMessage) -> [IRCAction] {
        [.note("The server supports these SASL mechanisms: \(Printable.line(message[1] ?? "")).", isWarning: true)]
    }
}
