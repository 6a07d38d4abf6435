import Foundation
import PetrelKit

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

    private enum State {
        case issued
        case opened(cookie: Secret, token: Secret)
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
        let link = UUID().uuidString.lowercased()
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
        guard let entry = entries[link] else { throw .unknown }
        switch entry.state {
        case .over(let fault): throw fault
        case .opened:
            entries[link]?.wasOpenedAgain = true
            return .again(entry.wasOpenedAgain ? nil : entry.request)
        case .issued: break
        }
        let left = try timeLeft(of: entry, at: now)
        let (cookie, token) = (Secret(Self.random(bytes: 32)), Secret(Self.random(bytes: 32)))
        entries[link]?.state = .opened(cookie: cookie, token: token)
        let opened = Opened(
            page: entry.page, cookie: cookie, token: token, person: entry.request.person,
            secondsLeft: Int(left.components.seconds), tries: entry.tries)
        return .first(opened, entry.request)
    }

    /// Begins one try, which is used up from this moment on: no number of requests at once makes more of them.
    mutating func begin(
        page: String, cookie: String, token: String, word: String, at now: ContinuousClock.Instant
    ) throws(Fault) -> Try {
        guard let link = linksByPage[page], let entry = entries[link] else { throw .unknown }
        switch entry.state {
        case .over(let fault): throw fault
        case .issued: throw .notThisPage
        case .opened(let ownCookie, let ownToken):
            // Both are always compared, so that the time tells nothing.
            let isOwn = [ownCookie.matches(cookie), ownToken.matches(token)]
            guard isOwn == [true, true] else { throw .notThisPage }
        }
        _ = try timeLeft(of: entry, at: now)
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
        case .accepted:
            entries[link]?.state = .over(.used)
            wrong[entry.request.key] = nil
        case .undecided: entries[link]?.tries += 1
        case .refused: end(link, at: now)
        }
        return entries[link]?.tries
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
    }

    private static func random(bytes: Int) -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<bytes).map { _ in String(format: "%02x", UInt8.random(in: 0...255, using: &generator)) }.joined()
    }
}
