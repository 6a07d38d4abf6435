import PetrelKit
import PetrelSupport

/// The answers to what the bot has sent to one target, up to the server's answer to a ping.
///
/// A server processes the messages of a client in order, so that errors and echoes arrive before that answer.
struct IRCExchange: Sendable {
    /// The target, as the server compares it.
    let target: String
    private(set) var echoes = 0
    private(set) var refusal: (code: String, reason: String)?
    /// The account of the target, after a WHOIS request.
    private(set) var account: String?

    init(target: String) { self.target = target }

    mutating func take(_ action: IRCAction, _ fold: (String) -> String) {
        switch action {
        case .echo(let target) where target == self.target: echoes += 1
        case .refused(let target, let code, let reason) where target == self.target:
            refusal = refusal ?? (code, reason)
        case .account(let nick, let account) where fold(nick) == target: self.account = account
        default: break
        }
    }

    /// Returns the reason why the messages were not delivered; nil if they were.
    /// - Parameters:
    ///   - lines: the number of messages.
    ///   - isEchoed: true if the server relays messages to their sender as well.
    ///   - isSteady: true if the target is the same when the message is sent again.
    func failure(lines: Int, isEchoed: Bool, isSteady: Bool) -> SendFailure? {
        if let (code, reason) = refusal {
            return SendFailure("the server rejected the message: \(reason) (\(code))", Self.remedy(code, isSteady))
        }
        guard isEchoed, echoes < lines else { return nil }
        return SendFailure("the server did not relay the message", .later(after: nil))
    }

    private static func remedy(_ code: String, _ isSteady: Bool) -> SendFailure.Remedy {
        switch code {
        // No such nick: an account may connect again, but a nick may then belong to another person.
        case "401": isSteady ? .later(after: nil) : .never
        case "403", "407", "411", "412", "414", "716", "531": .never
        // 404 and 442: the bot may get a voice, or join again.
        default: .later(after: nil)
        }
    }
}
