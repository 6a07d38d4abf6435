import Foundation
public import Logging
public import PetrelSupport

/// StackStorm's REST API and stream. Knows nothing of chat.
public final class StackStormClient: Sendable {
    /// Told of each call: how it ended (`ok` or an error code), and how long it took.
    public typealias Observer = @Sendable (_ outcome: String, _ duration: Duration) -> Void

    package let settings: StackStormSettings
    let transport: Transport
    let loop: EventLoopExecutor
    let keeper: CredentialKeeper?
    let logger: Logger
    private let observer: Observer
    /// StackStorm's clock as it last told it, and when that was by ours.
    private let clock = Locked<(time: StackStormTime, at: ContinuousClock.Instant)?>(nil)

    /// A call has failed since the last one that succeeded.
    private let isDown = Locked(false)
    private let recovered = Locked<@Sendable () -> Void> {}

    /// - Parameters:
    ///   - loop: on which answers and events are read.
    ///   - observer: told of each call when it has ended.
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
        } catch let error as StackStormError where error.leavesOutcomeOpen {
            // What the token was wanted for was not even tried.
            throw StackStormError(.unreachable, "no login: \(error.message)", cause: error.cause)
        }
    }

    /// Makes one call as the bot; after a 401 once more with a new credential, where there is a way to get one.
    /// - Parameter credential: somebody else's, with which the call is made once.
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
        } catch {
            noteFailure(error)
            let code = (error as? StackStormError)?.code.rawValue ?? "error"
            observer(code, ContinuousClock.now - start)
            // Without StackStorm's own words, which may repeat what was secret in the request.
            logger.debug("\(endpoint.method) \(endpoint.path): \(code)")
            throw error
        }
    }

    /// Calls back each time that a call succeeds after others have failed.
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

    /// Paths of which it was said that something could not be read.
    private let lossy = Locked<Set<String>>([])

    private func tellLosses(of response: StackStormResponse, _ path: String) {
        let count = response.losses.value
        guard count > 0 else { return }
        losses.withLock { $0 += count }
        let parts = path.split(separator: "/").prefix(1)
        guard let kind = parts.first.map(String.init), lossy.withLock({ $0.insert(kind).inserted }) else { return }
        logger.warning(
            "\(count) values or rows of StackStorm's answer to \(kind) could not be read and are left out; the rest is used."
        )
    }

    /// Values and rows that could not be read in what was used otherwise.
    package var lossCount: Int { losses.value }
    private let losses = Locked(0)

    /// What time it is for StackStorm, as far as its answers have told: some seconds too early at most.
    package var now: StackStormTime? { clock.value.map { $0.time - ($0.at - .now) } }

    private func noteTime(of response: StackStormResponse) {
        if let last = clock.value, last.at.duration(to: .now) < .seconds(10) { return }
        guard let time = response.time else { return }
        clock.withLock { $0 = (time, .now) }
    }

    /// Why StackStorm does not accept the bot's own login, as long as it does not.
    private let loginFailure = Locked<StackStormError?>(nil)
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
    /// Proves the bot's credential. Throws `.unauthorized` when StackStorm does not accept it.
    public func account() async throws -> Account { try await call(.user()) }

    /// All aliases: in one answer where StackStorm allows that, else page by page.
    package func aliases() async throws -> Page<Alias> {
        try await all { try .aliases(offset: $0, limit: $1) }
    }

    /// The references of the aliases that somebody may see.
    package func aliasRefs(as credential: Credential) async throws -> Set<String> {
        Set(try await all(as: credential) { try .aliasRefs(offset: $0, limit: $1) }.items)
    }

    /// What every action takes.
    package func actions() async throws -> [ActionSchema] {
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
