import Foundation

/// What somebody shows on the login page to prove who they are.
public enum LoginProof: Sendable {
    case password(name: String, password: Secret)
    case token(Secret)
    case apiKey(Secret)
}

/// What became of a proof. The texts are for the page.
public enum LoginVerdict: Sendable {
    /// The proof is good. What it gives begins only where the login was not withdrawn meanwhile: then this is called,
    /// once, and returns the text.
    case accepted(@Sendable () async -> String)
    /// The proof is wrong: one try is used up.
    case refused(String)
    /// Nothing could be found out: no try is used up.
    case undecided(String)
}

/// What happens to a login link.
public enum LoginEvent: String, Sendable {
    case opened
    /// Somebody tried to open it a second time. Told once.
    case openedAgain
    case wrongWord, refusedProof
    /// After too many wrong tries it is worth nothing any more.
    case withdrawn
}

/// A login that somebody asked for in chat.
public struct LoginRequest: Sendable {
    /// Whose login this is: a later request takes the place of this one.
    public var key: String
    /// For people: `@alice on slack`.
    public var person: String
    /// What the person chose in chat, and says again on the page.
    public var word: Secret
    public var check: @Sendable (LoginProof) async -> LoginVerdict
    /// Told of everything that happens to the link, and from which address.
    public var happened: @Sendable (_ event: LoginEvent, _ origin: String) async -> Void

    public init(
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
    /// A word as words are compared: composed (NFC), with plain quotes and single spaces, none at its ends. A phone and
    /// a keyboard write the same word differently.
    public static func plain(_ word: String) -> Secret {
        let quotes: [Character: Character] = [
            "‘": "'", "’": "'", "‚": "'", "‛": "'", "“": "\"", "”": "\"", "„": "\"", "‟": "\"",
        ]
        let words = word.split(whereSeparator: \.isWhitespace).joined(separator: " ").map { quotes[$0] ?? $0 }
        return Secret(String(words).precomposedStringWithCanonicalMapping)
    }
}

/// Where one-time logins are prepared. The page that carries them out is PetrelWeb's.
public protocol LoginDesk: Sendable {
    /// How long a link is good for.
    var lifetime: Duration { get }
    /// Prepares a login; returns what identifies it, for the fragment of a link. Throws ``Refusal`` when too many wait.
    func prepare(_ request: LoginRequest) throws -> Secret
    /// Forgets what was prepared for somebody. Returns whether there was something.
    @discardableResult
    func withdraw(_ key: String) -> Bool
}
