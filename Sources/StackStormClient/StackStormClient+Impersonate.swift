import Foundation
import PetrelSupport

/// Whose token an account of StackStorm that is a service asks for.
package enum Impersonated: Sendable, Equatable {
    /// A user, by name.
    case user(String)
    /// The user whose `nicknames` hold this one of that origin.
    case nickname(String, origin: String)

    var body: [String: JSONValue] {
        switch self {
        case .user(let name): ["user": .string(name)]
        case .nickname(let name, let origin):
            ["impersonate_user": .string(name), "nickname_origin": .string(origin)]
        }
    }
}

extension StackStormClient {
    /// Asks for somebody's token with the bot's name and password (`POST /tokens`).
    ///
    /// Throws `.notFound` where StackStorm knows nobody like that, and an error with the setting to look at where the
    /// bot's account is no service, or where StackStorm gave another user's token.
    package func impersonate(_ person: Impersonated) async throws -> ProvenAccount {
        guard case .password(let name, let password)? = settings.login else {
            throw StackStormError(.unauthorized, "it gives people's tokens to a name and password only")
                .pointing(at: "api_auth")
        }
        let asked = Date.now
        let token: Token
        do {
            token = try await Self.token(for: name, password, settings, transport, person)
        } catch let error as StackStormError where error.code == .unauthorized {
            throw StackStormError(.unauthorized, "it does not accept the bot's login (\(error.clause))")
                .pointing(at: "api_auth")
        }
        // A StackStorm that passes over what it was asked would give the token of the bot.
        let isMeant =
            switch person {
            case .user(let wanted):
                token.user.utf8.elementsEqual(wanted.utf8) && !wanted.utf8.elementsEqual(name.utf8)
            case .nickname: !token.user.utf8.elementsEqual(name.utf8)
            }
        guard isMeant else {
            throw StackStormError(
                .unexpectedAnswer, "nobody may act as the bot, and it gave the token of the bot or of another user"
            )
            .pointing(at: "rbac_auth")
        }
        return ProvenAccount(
            user: token.user, credential: .token(token.token), expiry: asked + TimeInterval(settings.tokenLifetime))
    }

    /// What a refused request for a token has to be told as.
    static func refusal(_ error: StackStormError, of person: Impersonated?) -> StackStormError {
        guard person != nil else { return error.pointing(at: "user_token_ttl") }
        if error.message.utf8.contains("Could not locate user".utf8) {
            return StackStormError(.notFound, error.message, status: error.status, requestID: error.requestID)
        }
        return error.pointing(at: error.message.utf8.contains("is not a service".utf8) ? "rbac_auth" : "user_token_ttl")
    }
}
