import Foundation
public import Logging
public import PetrelSupport

/// A client of StackStorm's REST API and event stream (https://api.stackstorm.com).
///
/// The client authenticates with the login in its settings and renews tokens by itself.
public final class StackStormClient: Sendable {
    /// A closure that is called after each call of the API.
    ///
    /// Its parameters are the outcome, which is `ok`, `cancelled` or the raw value of a ``StackStormError/Code``, and the
    /// duration of the call.
    public typealias Observer = @Sendable (_ outcome: String, _ duration: Duration) -> Void

    /// The settings of the client.
    package let settings: StackStormSettings
    let transport: Transport
    let loop: EventLoopExecutor
    let keeper: CredentialKeeper?
    let logger: Logger
    private let observer: Observer
    /// The last time in a `Date` header, and the local time at which it was received.
    private let clock = Locked<(time: StackStormTime, at: ContinuousClock.Instant)?>(nil)

    /// True if a call has failed since the last one that succeeded.
    private let isDown = Locked(false)
    private let recovered = Locked<@Sendable () -> Void> {}

    /// Creates a client. Connections are opened with the first call.
    ///
    /// - Parameters:
    ///   - settings: The addresses, the login and the limits.
    ///   - loop: The executor on which responses and events are read.
    ///   - logger: The logger of the client.
    ///   - observer: A closure that is called after each call, for instance to update metrics.
    /// - Throws: ``StackStormError`` if a certificate or key in the settings cannot be read.
    public init(
        _ settings: StackStormSettings, on loop: EventLoopExecutor = EventLoopExecutor(), logger: Logger,
        observer: @escaping Observer = { _, _ in }
    ) throws {
        self.settings = settings
        self.loop = loop
        self.logger = logger
        self.observer = observer
        let transport = try Transport(settings, on: loop)
        self.transport = transport
        keeper = settings.login.map { login in
            CredentialKeeper(login, lifetime: .seconds(settings.tokenLifetime)) { name, password in
                try await Self.token(for: name, password, settings, transport)
            }
        }
    }

    static func token(
        for name: String, _ password: Secret, _ settings: StackStormSettings, _ transport: Transport,
        _ person: Impersonated? = nil
    ) async throws -> Token {
        let basic = Data("\(name):\(password.reveal())".utf8).base64EncodedString()
        let endpoint = try Endpoint.token(ttl: settings.tokenLifetime, of: person)
        do {
            return try endpoint.decode(
                try await transport.send(endpoint, headers: [("Authorization", "Basic \(basic)")]))
        } catch let error as StackStormError where error.status == 400 {
            throw refusal(error, of: person)
        } catch let error as StackStormError where error.isCancellation {
            throw CancellationError()
        } catch let error as StackStormError where error.leavesOutcomeOpen {
            // The call that needs the token was not sent, so its outcome is not unknown.
            throw StackStormError(.unreachable, "cannot log in: \(error.message)", cause: error.cause)
        }
    }

    /// Calls an endpoint of the API.
    ///
    /// After a response with status 401, the call is repeated once with a new token if the login is a password. Nothing
    /// else is repeated.
    ///
    /// - Parameters:
    ///   - endpoint: The endpoint, with its parameters.
    ///   - credential: The credential of another account, or nil to use the login in the settings. A call with another
    ///     credential is never repeated.
    /// - Returns: The decoded response.
    /// - Throws: ``StackStormError``. If the task is cancelled, `CancellationError`, or ``StackStormError`` with the code
    ///   `noAnswer` if the request may have been sent and may change something in StackStorm.
    package func call<Value>(_ endpoint: Endpoint<Value>, as credential: Credential? = nil) async throws -> Value {
        let start = ContinuousClock.now
        do {
            let value =
                if let credential {
                    try await send(endpoint, [credential.field])
                } else {
                    try await withCredential { headers in try await self.send(endpoint, headers) }
                }
            observer("ok", ContinuousClock.now - start)
            noteSuccess()
            return value
        } catch let error where error is CancellationError || (error as? StackStormError)?.isCancellation == true {
            // The end of the caller says nothing about StackStorm.
            observer("cancelled", ContinuousClock.now - start)
            throw endpoint.isSafe ? CancellationError() : error
        } catch {
            noteFailure(error)
            let code = (error as? StackStormError)?.code.rawValue ?? "error"
            observer(code, ContinuousClock.now - start)
            // The message is not logged, because it may repeat secret values of the request.
            logger.debug("\(endpoint.method) \(endpoint.path): \(code)")
            throw error
        }
    }

    /// Sets a closure that is called each time a call succeeds after earlier calls have failed.
    package func onRecovery(_ call: @escaping @Sendable () -> Void) { recovered.withLock { $0 = call } }

    private func noteSuccess() {
        let isBack = isDown.withLock { isDown in
            defer { isDown = false }
            return isDown
        }
        if isBack { recovered.value() }
    }

    private func noteFailure(_ error: any Error) {
        switch (error as? StackStormError)?.code {
        case .noAnswer, .serverFailure, .unexpectedAnswer, .unreachable: isDown.withLock { $0 = true }
        case .forbidden, .notFound, .refused, .unauthorized, nil: break
        }
    }

    private func send<Value>(_ endpoint: Endpoint<Value>, _ headers: [(String, String)]) async throws -> Value {
        let response = try await transport.send(endpoint, headers: headers)
        noteTime(of: response)
        let value = try endpoint.decode(response)
        tellLosses(of: response, endpoint.path)
        return value
    }

    /// The first path segments for which a warning about unreadable values was logged.
    private let lossy = Locked<Set<String>>([])

    private func tellLosses(of response: StackStormResponse, _ path: String) {
        let count = response.losses.value
        guard count > 0 else { return }
        losses.withLock { $0 += count }
        let parts = path.split(separator: "/").prefix(1)
        guard let kind = parts.first.map(String.init), lossy.withLock({ $0.insert(kind).inserted }) else { return }
        logger.warning(
            "StackStorm's response for \(kind) contains \(count) values or rows that cannot be read; they are skipped."
        )
    }

    /// The number of values and rows that were skipped in responses because they could not be read.
    package var lossCount: Int { losses.value }
    private let losses = Locked(0)

    /// The time by StackStorm's clock, derived from the `Date` headers of its responses, or nil before the first one.
    /// It may be a few seconds behind.
    package var now: StackStormTime? { clock.value.map { $0.time - ($0.at - .now) } }

    private func noteTime(of response: StackStormResponse) {
        if let last = clock.value, last.at.duration(to: .now) < .seconds(10) { return }
        guard let time = response.time else { return }
        clock.withLock { $0 = (time, .now) }
    }

    /// The error while StackStorm does not accept the login in the settings.
    private let loginFailure = Locked<StackStormError?>(nil)
    /// The last error of the login in the settings, or nil if StackStorm accepts it.
    package var loginProblem: StackStormError? { loginFailure.value }

    func withCredential<Value: Sendable>(_ work: ([(String, String)]) async throws -> Value) async throws -> Value {
        do {
            let value = try await renewingOnce(work)
            if loginFailure.value != nil { loginFailure.withLock { $0 = nil } }
            return value
        } catch let error as StackStormError where error.code == .unauthorized {
            let told = StackStormError(
                .unauthorized, "it does not accept the bot's login (\(error.clause))", status: error.status,
                requestID: error.requestID, cause: error.cause
            ).pointing(at: "api_auth")
            loginFailure.withLock { $0 = told }
            throw told
        }
    }
    private func renewingOnce<Value: Sendable>(_ work: ([(String, String)]) async throws -> Value) async throws -> Value
    {
        guard let keeper else { return try await work([]) }
        let credential = try await keeper.credential()
        do {
            return try await work([credential.field])
        } catch let error as StackStormError where error.code == .unauthorized {
            guard let other = try await keeper.replacement(for: credential) else { throw error }
            return try await work([other.field])
        }
    }
}

extension StackStormClient {
    /// Returns the account of the login in the settings (`GET /user`).
    ///
    /// - Throws: ``StackStormError`` with the code `unauthorized` if StackStorm does not accept the login.
    public func account() async throws -> Account { try await call(.user()) }

    /// Returns the account of a credential (`GET /user`).
    ///
    /// - Throws: ``StackStormError`` with the code `unauthorized` if StackStorm does not accept the credential.
    public func account(of credential: Credential) async throws -> Account {
        try await call(.user(), as: credential)
    }

    /// Returns all action aliases (`GET /actionalias`).
    ///
    /// They are requested at once if StackStorm allows that, and otherwise page by page. Aliases that cannot be read
    /// are listed in ``Page/malformed``.
    ///
    /// - Parameter credential: The credential of the account that sends the requests, or nil for the client's own.
    public func aliases(as credential: Credential? = nil) async throws -> Page<Alias> {
        try await all(as: credential) { try .aliases(offset: $0, limit: $1) }
    }

    /// Returns the references of all action aliases that an account may see, such as `packs.pack_install`.
    public func aliasRefs(as credential: Credential) async throws -> Set<String> {
        Set(try await all(as: credential) { try .aliasRefs(offset: $0, limit: $1) }.items)
    }

    /// Returns the schemas of all actions (`GET /actions`).
    public func actions() async throws -> [ActionSchema] {
        try await all { try .actions(offset: $0, limit: $1) }.items
    }

    private func all<Item>(
        as credential: Credential? = nil, _ endpoint: (_ offset: Int, _ limit: Int) throws -> Endpoint<Page<Item>>
    ) async throws -> Page<Item> {
        do {
            return try await call(endpoint(0, -1), as: credential)
        } catch let error as StackStormError where error.code == .forbidden || error.code == .refused {
            return try await pages(as: credential, endpoint)
        }
    }

    private func pages<Item>(
        as credential: Credential?, _ endpoint: (_ offset: Int, _ limit: Int) throws -> Endpoint<Page<Item>>
    ) async throws -> Page<Item> {
        let size = 100
        var all = Page<Item>(items: [], total: nil)
        var offset = 0
        while true {
            let page = try await call(endpoint(offset, size), as: credential)
            all.items += page.items
            all.malformed += page.malformed
            all.total = page.total
            let count = page.items.count + page.malformed.count
            offset += count
            if count < size || offset >= page.total ?? .max { return all }
        }
    }
}
