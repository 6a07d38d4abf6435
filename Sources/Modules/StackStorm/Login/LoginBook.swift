import Foundation
import PetrelKit
import PetrelSupport

/// The state machine of the open one-time logins. It reads no clock: its caller passes the time.
///
/// A link can be opened once. The page that opens it gets a cookie and an anti-forgery token, which allow a few
/// attempts to log in. Opening the link again does not affect that page.
struct LoginBook {
    struct Limits: Sendable {
        var lifetime = Duration.seconds(600)
        var tries = 3
        /// The maximum number of open logins.
        var capacity = 1_000
        /// The number of failed attempts of a user, over all links, after which the user has to wait.
        var wrongTries = 9
        /// The time for which failed attempts are remembered.
        var memory = Duration.seconds(3_600)
    }

    /// The reason why a login cannot be prepared.
    enum Refusal: Error, Hashable {
        /// Too many logins are open.
        case full
        /// The user has made too many failed attempts and has to wait.
        case wait(Duration)
    }

    /// The reason why a request of the page is rejected. The page shows a message for each.
    enum Fault: Error, Hashable {
        /// The link does not exist, was replaced, or ended long ago.
        case unknown
        case alreadyOpened, expired, used, tooManyTries
        /// The cookie or the anti-forgery token is not that of the page.
        case notThisPage
        /// The last attempt is still being checked.
        case busy
        /// The account is verified and has to be confirmed on the page.
        case unconfirmed
        /// There is no verified account to confirm.
        case unproven
        /// The user has cancelled the login on the page.
        case declined
    }

    /// The result of opening a link.
    enum Opening {
        case first(Opened, LoginRequest)
        /// The link was opened before. The request is returned only once, so that its owner is notified once.
        case again(LoginRequest?)
    }

    /// The data for the page that opens a link.
    struct Opened {
        var page: String
        var cookie: Secret
        var token: Secret
        var person: String
        var secondsLeft: Int
        var tries: Int
    }

    /// The start of an attempt.
    enum Try {
        case check(LoginRequest)
        case wrongWord(LoginRequest, triesLeft: Int)
    }

    /// The secrets of the page that opened the link.
    private struct Keys {
        var cookie = Secret(LoginBook.random(bytes: 32))
        var token = Secret(LoginBook.random(bytes: 32))

        /// Compares both in any case, so that the time reveals nothing.
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
    /// The logins by link. They are kept longer than their lifetime, so that the page can show what happened to a link.
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

    /// Removes the login with a key in any state. Returns true if it could still be used.
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

    /// Returns the login of a page, if the request has the secrets of that page.
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

    /// Begins an attempt. It counts from this moment on, so that concurrent requests do not get more attempts.
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

    /// Ends an attempt. Returns the number of attempts that are left, or nil if the login was withdrawn and must not
    /// begin.
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

    /// Confirms or cancels a verified login, and returns it.
    ///
    /// - Parameter account: The account that the page has shown, or nil to cancel the login.
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

    /// Removes old logins and failed attempts.
    private mutating func forget(at now: ContinuousClock.Instant) {
        wrong = wrong.filter { $0.value.since.duration(to: now) < limits.memory }
        for (link, entry) in entries where entry.issued.duration(to: now) > limits.lifetime * 2 && !entry.isChecking {
            remove(link, entry)
        }
        // A credential that was not confirmed in time must not stay in memory.
        for (link, entry) in entries where limits.lifetime - entry.issued.duration(to: now) <= .zero {
            if case .proven = entry.state { entries[link]?.state = .over(.expired) }
        }
    }

    private static func random(bytes: Int) -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<bytes).map { _ in String(format: "%02x", UInt8.random(in: 0...255, using: &generator)) }.joined()
    }
}
