/// What somebody shows on the login page to prove who they are.
public enum LoginProof: Sendable {
    case password(name: String, password: Secret)
    case token(Secret)
    case apiKey(Secret)
}

/// What became of a proof. The texts are for the page.
public enum LoginVerdict: Sendable {
    case accepted(String)
    /// The proof is wrong: one try is used up.
    case refused(String)
    /// Nothing could be found out: no try is used up.
    case undecided(String)
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
    /// The link is worth nothing any more, after too many wrong tries.
    public var withdrawn: @Sendable () async -> Void

    public init(
        key: String, person: String, word: Secret, check: @escaping @Sendable (LoginProof) async -> LoginVerdict,
        withdrawn: @escaping @Sendable () async -> Void
    ) {
        self.key = key
        self.person = person
        self.word = word
        self.check = check
        self.withdrawn = withdrawn
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
