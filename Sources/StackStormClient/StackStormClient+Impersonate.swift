import Foundation
import PetrelSupport

/// A user whose token a service account can request.
public enum Impersonated: Sendable, Equatable {
    /// The user with a name.
    case user(String)
    /// The user with a nickname for an origin, such as `slack`.
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
    /// Requests a token of another user with the bot's user name and password (`POST /tokens`).
    ///
    /// - Throws: ``StackStormError`` with the code `notFound` if there is no such user. An error with a
    ///   ``StackStormError/setting`` if the bot's account is not a service, or if StackStorm returned a token of
    ///   another user.
    public func impersonate(_ person: Impersonated) async throws -> ProvenAccount {
        guard case .password(let name, let password)? = settings.login else {
            throw StackStormError(.unauthorized, "tokens of other users require a login with a user name and password")
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
        // A StackStorm that ignores the request for another user would return a token of the bot.
        let isMeant =
            switch person {
            case .user(let wanted):
                token.user.utf8.elementsEqual(wanted.utf8) && !wanted.utf8.elementsEqual(name.utf8)
            case .nickname: !token.user.utf8.elementsEqual(name.utf8)
            }
        guard isMeant else {
            throw StackStormError(
                .unexpectedAnswer, "it returned a token of the bot or of another user than the requested one"
            )
            .pointing(at: "rbac_auth")
        }
        return ProvenAccount(
            user: token.user, credential: .token(token.token), expiry: asked + TimeInterval(settings.tokenLifetime))
    }

    /// Returns the error to throw for a rejected token request, with the setting to check.
    static func refusal(_ error: StackStormError, of person: Impersonated?) -> StackStormError {
        guard person != nil else { return error.pointing(at: "user_token_ttl") }
        if error.message.utf8.contains("Could not locate user".utf8) {
            return StackStormError(.notFound, error.message, status: error.status, requestID: error.requestID)
        }
        return error.pointing(at: error.message.utf8.contains("is not a service".utf8) ? "rbac_auth" : "user_token_ttl")
    }
}
