import Foundation
import PetrelKit
import PetrelSupport

/// The one-time logins that wait, as a value: it is told the time, and says what may be done.
///
/// A link is good for opening the page once. The page then has a cookie and an anti-forgery token, and with both of
/// them a few tries. Whatever is done with a link later harms nothing that came of it.
struct LoginBook {
    struct Limits: Sendable {
        var lifetime = Duration.seconds(600)
        var tries = 3
        /// Logins that wait at the same time.
        var capacity = 1_000
        /// Wrong tries of one person, over all their links, before they have to wait.
        var wrongTries = 9
        /// How long wrong tries are remembered.
        var memory = Duration.seconds(3_600)
    }

    /// Why a login cannot be prepared.
    enum Refusal: Error, Hashable {
        /// Too many people log in at the moment.
        case full
        /// Too many wrong tries of this person.
        case wait(Duration)
    }

    /// Why something is refused. The page shows a sentence for each.
    enum Fault: Error, Hashable {
        /// No such link, or one that was replaced or ended long ago.
        case unknown
        case alreadyOpened, expired, used, tooManyTries
        /// The cookie or the anti-forgery token is not that of the page.
        case notThisPage
        /// The last try is still looked into.
        case busy
        /// The account is proven, and the page has to confirm it.
        case unconfirmed
        /// There is nothing to confirm.
        case unproven
        /// The person at the page declined.
        case declined
    }

    /// What came of a link.
    enum Opening {
        case first(Opened, LoginRequest)
        /// It was opened before; the request comes along once, so that its owner is told once.
        case again(LoginRequest?)
    }

    /// What the page gets when it opens the link.
    struct Opened {
        var page: String
        var cookie: Secret
        var token: Secret
        var person: String
        var secondsLeft: Int
        var tries: Int
    }

    /// What a try begins with.
    enum Try {
        case check(LoginRequest)
        case wrongWord(LoginRequest, triesLeft: Int)
    }

    /// What only the page that opened the link has.
    private struct Keys {
        var cookie = Secret(LoginBook.random(bytes: 32))
        var token = Secret(LoginBook.random(bytes: 32))

        /// Both are always compared, so that the time tells nothing.
        func match(cookie: String, token: String) -> Bool {
            [self.cookie.matches(cookie), self.token.matches(token)] == [true, true]
        }
    }

    private enum State {
        case issued
        case opened(Keys)
        case proven(Keys, ProvenLogin)
        case over(Fault)
    }

    private struct Entry {
        var request: LoginRequest
        var page: String
        var issued: ContinuousClock.Instant
        var state = State.issued
        var tries: Int
        var isChecking = false
        var wasOpenedAgain = false
    }

    let limits: Limits
    /// By the link; for a while longer than the link is good, so that people read what happened to it.
    private var entries: [String: Entry] = [:]
    private var linksByPage: [String: String] = [:]
    private var linksByKey: [String: String] = [:]
    private var wrong: [String: (count: Int, since: ContinuousClock.Instant)] = [:]

    init(limits: Limits = Limits()) {
        self.limits = limits
    }

    mutating func prepare(_ request: LoginRequest, at now: ContinuousClock.Instant) throws(Refusal) -> Secret {
        forget(at: now)
        if let tries = wrong[request.key], tries.count >= limits.wrongTries {
            throw .wait(limits.memory - tries.since.duration(to: now))
        }
        withdraw(request.key)
        guard entries.count < limits.capacity, wrong.count < limits.capacity else { throw .full }
        let link = Self.random(bytes: 24)
        let page = Self.random(bytes: 8)
        entries[link] = Entry(request: request, page: page, issued: now, tries: limits.tries)
        linksByPage[page] = link
        linksByKey[request.key] = link
        return Secret(link)
    }

    /// Forgets what somebody prepared, however far it came. Returns whether it could still have been used.
    @discardableResult
    mutating func withdraw(_ key: String) -> Bool {
        guard let link = linksByKey[key], let entry = entries[link] else { return false }
        remove(link, entry)
        if case .over = entry.state { return false }
        return true
    }

    private mutating func remove(_ link: String, _ entry: Entry) {
        entries[link] = nil
        linksByPage[entry.page] = nil
        if linksByKey[entry.request.key] == link { linksByKey[entry.request.key] = nil }
    }

    /// Opens a link for the first and only time.
    mutating func open(_ link: String, at now: ContinuousClock.Instant) throws(Fault) -> Opening {
        forget(at: now)
        guard let entry = entries[link] else { throw .unknown }
        switch entry.state {
        case .over(let fault): throw fault
        case .opened, .proven:
            entries[link]?.wasOpenedAgain = true
            return .again(entry.wasOpenedAgain ? nil : entry.request)
        case .issued: break
        }
        let left = try timeLeft(of: entry, at: now)
        let keys = Keys()
        entries[link]?.state = .opened(keys)
        let opened = Opened(
            page: entry.page, cookie: keys.cookie, token: keys.token, person: entry.request.person,
            secondsLeft: Int(left.components.seconds), tries: entry.tries)
        return .first(opened, entry.request)
    }

    /// The login of a page, for the page itself only.
    private func login(of page: String, cookie: String, token: String) throws(Fault) -> (link: String, entry: Entry) {
        guard let link = linksByPage[page], let entry = entries[link] else { throw .unknown }
        switch entry.state {
        case .over(let fault): throw fault
        case .issued: throw .notThisPage
        case .opened(let keys), .proven(let keys, _):
            guard keys.match(cookie: cookie, token: token) else { throw .notThisPage }
        }
        return (link, entry)
    }

    /// Begins one try, which is used up from this moment on: no number of requests at once makes more of them.
    mutating func begin(
        page: String, cookie: String, token: String, word: String, at now: ContinuousClock.Instant
    ) throws(Fault) -> Try {
        let (link, entry) = try login(of: page, cookie: cookie, token: token)
        _ = try timeLeft(of: entry, at: now)
        guard case .opened = entry.state else { throw .unconfirmed }
        if entry.isChecking { throw .busy }
        entries[link]?.tries -= 1
        guard entry.request.word.matches(LoginRequest.plain(word).reveal()) else {
            end(link, at: now)
            return .wrongWord(entry.request, triesLeft: entry.tries - 1)
        }
        entries[link]?.isChecking = true
        return .check(entry.request)
    }

    /// Ends a try. Returns how many are left; nil where the login was withdrawn meanwhile, so that nothing may come of
    /// it.
    mutating func finish(page: String, _ verdict: LoginVerdict, at now: ContinuousClock.Instant) -> Int? {
        guard let link = linksByPage[page], let entry = entries[link] else { return nil }
        entries[link]?.isChecking = false
        switch verdict {
        case .proven(let login):
            guard case .opened(let keys) = entry.state else { return nil }
            entries[link]?.state = .proven(keys, login)
        case .undecided: entries[link]?.tries += 1
        case .refused: end(link, at: now)
        }
        return entries[link]?.tries
    }

    /// Ends the wait for the confirmation. Returns what begins now, where the person agreed, or is declined.
    /// - Parameter account: what the page showed; nil where the person declines.
    mutating func confirm(
        page: String, cookie: String, token: String, account: String?, at now: ContinuousClock.Instant
    ) throws(Fault) -> ProvenLogin {
        let (link, entry) = try login(of: page, cookie: cookie, token: token)
        guard case .proven(_, let login) = entry.state else { throw .unproven }
        guard let account else {
            entries[link]?.state = .over(.declined)
            return login
        }
        _ = try timeLeft(of: entry, at: now)
        guard login.account.utf8.elementsEqual(account.utf8) else { throw .notThisPage }
        entries[link]?.state = .over(.used)
        wrong[entry.request.key] = nil
        return login
    }

    private mutating func end(_ link: String, at now: ContinuousClock.Instant) {
        guard let entry = entries[link] else { return }
        wrong[entry.request.key, default: (0, now)].count += 1
        if entry.tries == 0 { entries[link]?.state = .over(.tooManyTries) }
    }

    private func timeLeft(of entry: Entry, at now: ContinuousClock.Instant) throws(Fault) -> Duration {
        let left = limits.lifetime - entry.issued.duration(to: now)
        guard left > .zero else { throw .expired }
        return left
    }

    /// Drops what nobody will ask for any more.
    private mutating func forget(at now: ContinuousClock.Instant) {
        wrong = wrong.filter { $0.value.since.duration(to: now) < limits.memory }
        for (link, entry) in entries where entry.issued.duration(to: now) > limits.lifetime * 2 && !entry.isChecking {
            remove(link, entry)
        }
        // A credential that nobody confirmed does not stay in memory.
        for (link, entry) in entries where limits.lifetime - entry.issued.duration(to: now) <= .zero {
            if case .proven = entry.state { entries[link]?.state = .over(.expired) }
        }
    }

    private static func random(bytes: Int) -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<bytes).map { _ in String(format: "%02x", UInt8.random(in: 0...255, using: &generator)) }.joined()
    }
}
