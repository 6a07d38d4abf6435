import PetrelKit
import PetrelSupport

/// An answer to the page: a word for its code, a sentence for people.
struct LoginAnswer: Error {
    enum Outcome: String {
        case opened, accepted
        /// StackStorm accepts it; nothing begins before it is confirmed.
        case proven
        /// Cancelled by the person at the page.
        case declined
        /// Wrong, and there is another try.
        case refused
        /// Nothing more can be done with this link.
        case ended
        /// StackStorm cannot be asked; the link is still good.
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
                "This link is not valid any more: it was replaced, withdrawn, or the bot was restarted. \(again)")
        case .alreadyOpened:
            self.init(
                410, .ended,
                "This link was opened before, and works only once. If that was not you, somebody else has "
                    + "seen it: tell an administrator. \(again)")
        case .expired: self.init(410, .ended, "This link has expired. \(again)")
        case .used: self.init(410, .ended, "This login is complete: the link does not work any more.")
        case .tooManyTries: self.init(410, .ended, "There were too many wrong tries with this link. \(again)")
        case .notThisPage:
            self.init(403, .foreign, "This page has not opened the link, or its cookie is gone. \(again)")
        case .unconfirmed:
            self.init(409, .busy, "This login is proven already. Confirm it or cancel it on the page.")
        case .unproven: self.init(409, .busy, "There is nothing to confirm. Log in on this page first.")
        case .declined:
            self.init(410, .ended, "This login was cancelled: the link does not work any more. \(again)")
        case .busy: self.init(409, .busy, "The last try is still being looked into. Please wait a moment.")
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
        // A dictionary of texts and numbers always encodes.
        let body = (try? JSONValue.encode(JSONValue.object(object))) ?? []
        return WebResponse(status: status, headers: headers, body: body)
    }
}
