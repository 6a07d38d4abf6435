import PetrelKit
import PetrelSupport

/// A response to the login page: an outcome for its script, and a message for the user.
struct LoginAnswer: Error {
    enum Outcome: String {
        case opened, accepted
        /// StackStorm accepts the login, which has to be confirmed before it begins.
        case proven
        /// The user has cancelled the login on the page.
        case declined
        /// The login was rejected, and another attempt is possible.
        case refused
        /// The link can no longer be used.
        case ended
        /// StackStorm cannot be reached. The link can still be used.
        case unavailable
        case busy, slow, malformed, foreign, failed
    }

    var status: Int
    var outcome: Outcome
    var message: String
    private var more: [String: JSONValue] = [:]
    private var headers: [String: String] = [:]

    init(_ status: Int, _ outcome: Outcome, _ message: String) {
        self.status = status
        self.outcome = outcome
        self.message = message
    }

    init(_ fault: LoginBook.Fault, _ command: String) {
        let again = "Write \(command) to the bot in a direct chat to get another."
        switch fault {
        case .unknown:
            self.init(
                404, .ended,
                "This link is no longer valid: it was replaced, withdrawn, or the bot was restarted. \(again)")
        case .alreadyOpened:
            self.init(
                410, .ended,
                "This link was opened before, and works only once. If that was not you, another person has "
                    + "seen it: tell an administrator. \(again)")
        case .expired: self.init(410, .ended, "This link has expired. \(again)")
        case .used: self.init(410, .ended, "This login is complete: the link is no longer valid.")
        case .tooManyTries: self.init(410, .ended, "There were too many failed attempts with this link. \(again)")
        case .notThisPage:
            self.init(403, .foreign, "This page did not open the link, or its cookie is gone. \(again)")
        case .unconfirmed:
            self.init(409, .busy, "This login is already verified. Confirm or cancel it on the page.")
        case .unproven: self.init(409, .busy, "There is nothing to confirm. Log in on this page first.")
        case .declined:
            self.init(410, .ended, "This login was cancelled: the link is no longer valid. \(again)")
        case .busy: self.init(409, .busy, "The previous attempt is still being verified. Please wait a moment.")
        }
    }

    func with(_ more: [String: JSONValue]) -> LoginAnswer {
        var answer = self
        answer.more.merge(more) { _, new in new }
        return answer
    }

    func with(_ header: String, _ value: String) -> LoginAnswer {
        var answer = self
        answer.headers[header] = value
        return answer
    }

    var response: WebResponse {
        var object = more
        object["outcome"] = .string(outcome.rawValue)
        object["message"] = .string(message)
        var headers = headers
        headers["content-type"] = "application/json"
        // The encoding of strings and integers cannot fail.
        let body = (try? JSONValue.encode(JSONValue.object(object))) ?? []
        return WebResponse(status: status, headers: headers, body: body)
    }
}
