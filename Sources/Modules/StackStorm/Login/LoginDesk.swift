import Foundation
import PetrelKit
package import PetrelSupport

/// What somebody shows on the login page to prove who they are.
package enum LoginProof: Sendable {
    case password(name: String, password: Secret)
    case token(Secret)
    case apiKey(Secret)
}

/// The outcome of a proof. The texts are for the page.
package enum LoginVerdict: Sendable {
    /// The proof is good. Nothing begins before the page has named both accounts and been told to go on.
    case proven(ProvenLogin)
    /// The proof is wrong: one try is used up.
    case refused(String)
    /// Nothing could be found out: no try is used up.
    case undecided(String)
}

/// A login that is proven and waits for its confirmation.
package struct ProvenLogin: Sendable {
    /// The account that was proven, for people.
    package var account: String
    /// Begins the login; returns a text for the page. Called at most once, and not where the login was withdrawn meanwhile.
    package var begin: @Sendable (_ origin: String) async -> String
    /// Called instead where the person at the page says that the chat account is not theirs.
    package var decline: @Sendable (_ origin: String) async -> Void

    package init(
        account: String, begin: @escaping @Sendable (_ origin: String) async -> String,
        decline: @escaping @Sendable (_ origin: String) async -> Void
    ) {
        self.account = account
        self.begin = begin
        self.decline = decline
    }
}

/// What happens to a login link.
package enum LoginEvent: String, Sendable {
    case opened
    /// Somebody tried to open it a second time. Told once.
    case openedAgain
    case wrongWord, refusedProof
    /// After too many wrong tries it is worth nothing any more.
    case withdrawn
}

/// A login that somebody asked for in chat.
package struct LoginRequest: Sendable {
    /// Whose login this is: a later request takes the place of this one.
    package var key: String
    /// For people: `@alice on slack`.
    package var person: String
    /// What the person chose in chat, and says again on the page.
    package var word: Secret
    package var check: @Sendable (LoginProof) async -> LoginVerdict
    /// Told of everything that happens to the link, and from which address.
    package var happened: @Sendable (_ event: LoginEvent, _ origin: String) async -> Void

    package init(
        key: String, person: String, word: Secret, check: @escaping @Sendable (LoginProof) async -> LoginVerdict,
        happened: @escaping @Sendable (_ event: LoginEvent, _ origin: String) async -> Void
    ) {
        self.key = key
        self.person = person
        self.word = LoginRequest.plain(word.reveal())
        self.check = check
        self.happened = happened
    }
}

extension LoginRequest {
    /// The fewest Unicode scalars of a word, as words are compared.
    package static let shortestWord = 8

    /// A word as words are compared: composed (NFC), with plain quotes and single spaces, none at its ends. A phone and
    /// a keyboard write the same word differently.
    package static func plain(_ word: String) -> Secret {
        var text = String.UnicodeScalarView()
        for part in word.unicodeScalars.split(whereSeparator: \.properties.isWhitespace) {
            if !text.isEmpty { text.append(" ") }
            text.append(contentsOf: part.map(\.typed))
        }
        return Secret(String(text).precomposedStringWithCanonicalMapping)
    }
}

/// Where one-time logins are prepared. The page that carries them out is PetrelWeb's.
package protocol LoginDesk: Sendable {
    /// How long a link is good for.
    var lifetime: Duration { get }
    /// Prepares a login; returns what identifies it, for the fragment of a link. Throws ``Refusal`` when too many wait.
    func prepare(_ request: LoginRequest) throws -> Secret
    /// Forgets what was prepared for somebody. Returns whether there was something.
    @discardableResult
    func withdraw(_ key: String) -> Bool
}
