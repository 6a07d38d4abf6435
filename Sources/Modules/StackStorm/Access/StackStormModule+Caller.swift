import Foundation
import Logging
import PetrelKit
import StackStormClient

extension StackStormModule {
    /// Whose rights a command runs with.
    struct Caller: Sendable {
        /// Nil where everything runs as the bot.
        var session: Session?
    }

    /// Whoever asks, as StackStorm knows them. Throws ``Refusal`` with what to do where they are not logged in.
    func caller(_ invocation: Invocation) async throws -> Caller {
        guard settings.access != .standalone else { return Caller() }
        guard let accounts = accounts.value else { throw Refusal(starting) }
        guard invocation.message.sender.isStable else {
            throw Refusal(
                "Your name here is not bound to an account, so I cannot know whose StackStorm rights you have. "
                    + "Write to me in a direct chat of your own account.")
        }
        let owner = Identity(invocation)
        if let session = await accounts.session(of: owner) { return Caller(session: session) }
        let how = loginHint(invocation.prefix)
        switch await accounts.lastEnd(of: owner) {
        case .expired: throw Refusal("Your login to StackStorm has expired. \(how)")
        case .refused: throw Refusal("StackStorm has ended your login. \(how)")
        case nil: throw Refusal("You are not logged in to StackStorm. \(how)")
        }
    }

    /// Makes one call with the rights of whoever asked. A login that StackStorm no longer accepts ends here.
    func call<Value>(_ endpoint: Endpoint<Value>, as caller: Caller, _ invocation: Invocation) async throws -> Value {
        try await with(caller, invocation) { try await self.client.call(endpoint, as: $0) }
    }

    func with<Value: Sendable>(
        _ caller: Caller, _ invocation: Invocation, _ work: (Credential?) async throws -> Value
    ) async throws -> Value {
        do {
            return try await work(caller.session?.credential)
        } catch let error as StackStormError where error.code == .unauthorized {
            guard let session = caller.session, let accounts = accounts.value else { throw error }
            await accounts.end(session, because: .refused)
            // Told here and now: what was kept to be told later is not needed.
            _ = await accounts.lastEnd(of: session.owner)
            logger.notice("StackStorm no longer accepts the login of \(session.account); it was ended.")
            throw Refusal(
                "StackStorm no longer accepts your login: it expired or was revoked. Nothing was started. "
                    + loginHint(invocation.prefix))
        }
    }

    func loginHint(_ prefix: String) -> String {
        "Write `\(prefix)\(settings.commandName("session_start")) WORD`, with a word of at least "
            + "\(LoginRequest.shortestWord) characters of your choice, to me in a direct chat to log in."
    }
}
