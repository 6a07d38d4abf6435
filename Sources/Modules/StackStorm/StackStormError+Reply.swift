public import PetrelKit
package import StackStormClient

extension StackStormError: ReplyError {
    package var reply: String {
        if let setting {
            return
                "StackStorm cannot be used: \(clause). Nothing was started; an administrator has to check \(setting)."
        }
        return switch code {
        case .unauthorized: "StackStorm does not accept this login: \(clause). Nothing was started."
        case .forbidden: "StackStorm denied access: \(message)"
        case .notFound, .refused: message
        case .serverFailure: "StackStorm failed: \(message)\(requestID.map { " (request \($0))" } ?? "")"
        case .unreachable: "StackStorm cannot be reached at the moment. Nothing was started; please try again."
        case .noAnswer: "StackStorm did not respond in time."
        case .unexpectedAnswer: "StackStorm's response could not be read: \(message)"
        }
    }
}
