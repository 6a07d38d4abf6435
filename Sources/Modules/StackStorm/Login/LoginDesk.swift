import Foundation
import PetrelKit
package import PetrelSupport

/// The credential that a user enters on the login page.
package enum LoginProof: Sendable {
    case password(name: String, password: Secret)
    case token(Secret)
    case apiKey(Secret)
}

/// The result of checking a credential. The messages are shown on the page.
package enum LoginVerdict: Sendable {
    /// The credential is valid. The login begins after the user has confirmed both accounts on the page.
    case proven(ProvenLogin)
    /// The credential is invalid. The attempt counts.
    case refused(String)
    /// The credential could not be checked. The attempt does not count.
    case undecided(String)
}

/// A login whose credential is valid and that waits for its confirmation.
package struct ProvenLogin: Sendable {
    /// The name of the StackStorm account, for display.
    package var account: String
    /// Begins the login and returns a message for the page. It is called at most once, and not if the login was
    /// withdrawn.
    package var begin: @Sendable (_ origin: String) async -> String
    /// Cancels the login. It is called instead of ``begin`` if the user says that the chat account is not theirs.
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

/// An event of a login link.
package enum LoginEvent: String, Sendable {
    /// The link was opened.
    case opened
    /// The link was opened a second time. Later attempts are not reported.
    case openedAgain
    /// An attempt was made with a wrong word or an invalid credential.
    case wrongWord, refusedProof
    /// The link was withdrawn after too many failed attempts.
    case withdrawn
}

/// A login that a user has requested in chat.
package struct LoginRequest: Sendable {
    /// The identity of the requester. A later request with the same key replaces this one.
    package var key: String
    /// The chat account for display, such as `@alice on slack`.
    package var person: String
    /// The word that the user chose in chat and has to enter on the page.
    package var word: Secret
    /// A function that checks a credential.
    package var check: @Sendable (LoginProof) async -> LoginVerdict
    /// A function that is called for each event of the link, with the address of the client.
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
    /// The minimum length of a word after normalization, in Unicode scalars.
    package static let shortestWord = 8

    /// Normalizes a word for comparison: NFC, ASCII quotation marks, single spaces, and no white space at its ends.
    ///
    /// A phone and a keyboard can produce different texts for the same word.
    package static func plain(_ word: String) -> Secret {
        var text = String.UnicodeScalarView()
        for part in word.unicodeScalars.split(whereSeparator: \.properties.isWhitespace) {
            if !text.isEmpty { text.append(" ") }
            text.append(contentsOf: part.map(\.typed))
        }
        return Secret(String(text).precomposedStringWithCanonicalMapping)
    }
}

/// A registry of one-time logins, which are completed on the login page.
package protocol LoginDesk: Sendable {
    /// The lifetime of a link.
    var lifetime: Duration { get }
    /// Prepares a login and returns its identifier, for the fragment of a link.
    ///
    /// - Throws: ``Refusal`` if too many logins are open or the user has made too many failed attempts.
    func prepare(_ request: LoginRequest) throws -> Secret
    /// Removes the login with a key. Returns true if there was one that could still be used.
    @discardableResult
    func withdraw(_ key: String) -> Bool
}
