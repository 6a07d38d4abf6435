import PetrelKit
package import PetrelSupport

/// The one-time logins, which are requested in chat and completed on the login page.
package final class OneTimeLogins: LoginDesk {
    private let book: Locked<LoginBook>
    private let now: @Sendable () -> ContinuousClock.Instant

    package convenience init() { self.init(now: { .now }) }

    /// Creates the registry.
    ///
    /// - Parameter now: A function that returns the current time, for the expiry of links.
    package convenience init(now: @escaping @Sendable () -> ContinuousClock.Instant) {
        self.init(limits: LoginBook.Limits(), now: now)
    }

    init(limits: LoginBook.Limits, now: @escaping @Sendable () -> ContinuousClock.Instant) {
        book = Locked(LoginBook(limits: limits))
        self.now = now
    }

    package var lifetime: Duration { book.withLock { $0.limits.lifetime } }

    package func prepare(_ request: LoginRequest) throws -> Secret {
        let now = now()
        let prepared = book.withLock { book in
            Result { () throws(LoginBook.Refusal) -> Secret in try book.prepare(request, at: now) }
        }
        switch prepared {
        case .success(let link): return link
        case .failure(.full):
            throw Refusal("Too many logins are open at the moment. Please try again in some minutes.")
        case .failure(.wait(let time)):
            throw Refusal("There were too many failed attempts. Please wait \(time.inWords) before you try again.")
        }
    }

    @discardableResult
    package func withdraw(_ key: String) -> Bool { book.withLock { $0.withdraw(key) } }

    /// Opens a link for the first and only time.
    func open(_ link: String, from origin: String) async throws(LoginBook.Fault) -> LoginBook.Opened {
        let now = now()
        let opening = book.withLock { book in
            Result { () throws(LoginBook.Fault) -> LoginBook.Opening in try book.open(link, at: now) }
        }
        switch try opening.get() {
        case .first(let opened, let request):
            await request.happened(.opened, origin)
            return opened
        case .again(let request):
            await request?.happened(.openedAgain, origin)
            throw .alreadyOpened
        }
    }

    /// The outcome of an attempt.
    enum Outcome: Sendable {
        /// The credential is valid. The login has to be confirmed before it begins.
        case proven(person: String, account: String)
        case refused(String, triesLeft: Int)
        /// The word is wrong. The credential was not checked.
        case wrongWord(triesLeft: Int)
        case undecided(String, triesLeft: Int)
    }

    /// Makes an attempt to log in.
    func attempt(
        page: String, cookie: String, token: String, word: String, _ proof: LoginProof, from origin: String
    ) async throws(LoginBook.Fault) -> Outcome {
        let now = now()
        let begun = book.withLock { book in
            Result { () throws(LoginBook.Fault) -> LoginBook.Try in
                try book.begin(page: page, cookie: cookie, token: token, word: word, at: now)
            }
        }
        switch try begun.get() {
        case .wrongWord(let request, let left):
            await request.happened(.wrongWord, origin)
            if left == 0 { await request.happened(.withdrawn, origin) }
            return .wrongWord(triesLeft: left)
        case .check(let request):
            let verdict = await request.check(proof)
            let end = self.now()
            guard let left = book.withLock({ $0.finish(page: page, verdict, at: end) }) else { throw .unknown }
            switch verdict {
            case .proven(let login): return .proven(person: request.person, account: login.account)
            case .undecided(let text): return .undecided(text, triesLeft: left)
            case .refused(let text):
                await request.happened(.refusedProof, origin)
                if left == 0 { await request.happened(.withdrawn, origin) }
                return .refused(text, triesLeft: left)
            }
        }
    }

    /// Begins a login that was confirmed on its page. Returns a message for the page.
    func confirm(
        page: String, cookie: String, token: String, account: String, from origin: String
    ) async throws(LoginBook.Fault) -> String {
        let login = try take(page, cookie, token, account)
        return await login.begin(origin)
    }

    /// Cancels a login whose chat account does not belong to the user of the page.
    func decline(page: String, cookie: String, token: String, from origin: String) async throws(LoginBook.Fault) {
        let login = try take(page, cookie, token, nil)
        await login.decline(origin)
    }

    private func take(
        _ page: String, _ cookie: String, _ token: String, _ account: String?
    ) throws(LoginBook.Fault) -> ProvenLogin {
        let now = now()
        let taken = book.withLock { book in
            Result { () throws(LoginBook.Fault) -> ProvenLogin in
                try book.confirm(page: page, cookie: cookie, token: token, account: account, at: now)
            }
        }
        return try taken.get()
    }
}
