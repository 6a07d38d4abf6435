package import PetrelKit

/// The desk at which chat and page meet.
package final class OneTimeLogins: LoginDesk {
    private let book: Locked<LoginBook>
    private let now: @Sendable () -> ContinuousClock.Instant

    package convenience init() { self.init(now: { .now }) }

    /// - Parameter now: the time by which links expire.
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
        guard let link = book.withLock({ $0.prepare(request, at: now) }) else {
            throw Refusal("Too many logins are open at the moment. Please try again in some minutes.")
        }
        return link
    }

    @discardableResult
    package func withdraw(_ key: String) -> Bool { book.withLock { $0.withdraw(key) } }

    func open(_ link: String) -> Result<LoginBook.Opened, LoginBook.Fault> {
        let now = now()
        return book.withLock { book in
            Result { () throws(LoginBook.Fault) -> LoginBook.Opened in try book.open(link, at: now) }
        }
    }

    /// What became of a try.
    struct Outcome: Sendable {
        var verdict: LoginVerdict
        var triesLeft: Int
        /// It was the word that was wrong; nobody was asked.
        var isAboutWord = false
    }

    /// One whole try.
    func attempt(
        page: String, cookie: String, token: String, word: String, _ proof: LoginProof
    ) async throws(LoginBook.Fault) -> Outcome {
        let now = now()
        let begun = book.withLock { book in
            Result { () throws(LoginBook.Fault) -> LoginBook.Try in
                try book.begin(page: page, cookie: cookie, token: token, word: word, at: now)
            }
        }
        switch try begun.get() {
        case .wrongWord(let request, let left):
            if left == 0 { await request.withdrawn() }
            return Outcome(
                verdict: .refused("That is not the word that you chose in chat."), triesLeft: left, isAboutWord: true)
        case .check(let request):
            let verdict = await request.check(proof)
            let left = book.withLock { $0.finish(page: page, verdict) }
            if case .refused = verdict, left == 0 { await request.withdrawn() }
            return Outcome(verdict: verdict, triesLeft: left)
        }
    }
}
