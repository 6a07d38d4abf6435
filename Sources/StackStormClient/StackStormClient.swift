import Foundation
public import Logging
import PetrelKit

/// StackStorm's REST API and stream. Knows nothing of chat.
public final class StackStormClient: Sendable {
    /// Told of each call: how it ended (`ok` or an error code), and how long it took.
    public typealias Observer = @Sendable (_ outcome: String, _ duration: Duration) -> Void

    package let settings: StackStormSettings
    let transport: Transport
    let keeper: CredentialKeeper?
    let logger: Logger
    private let observer: Observer

    public init(
        _ settings: StackStormSettings, logger: Logger, observer: @escaping Observer = { _, _ in }
    ) throws {
        self.settings = settings
        self.logger = logger
        self.observer = observer
        let transport = try Transport(settings)
        self.transport = transport
        keeper = settings.login.map { login in
            CredentialKeeper(login, lifetime: .seconds(settings.tokenLifetime)) { name, password in
                let basic = Data("\(name):\(password.reveal())".utf8).base64EncodedString()
                let endpoint = try Endpoint.token(ttl: settings.tokenLifetime)
                do {
                    return try endpoint.decode(
                        try await transport.send(endpoint, headers: [("Authorization", "Basic \(basic)")]))
                } catch let error as StackStormError where error.leavesOutcomeOpen {
                    // What the token was wanted for was not even tried.
                    throw StackStormError(.unreachable, "no login: \(error.message)", cause: error.cause)
                }
            }
        }
    }

    /// Makes one call as the bot; after a 401 once more with a new credential, where there is a way to get one.
    package func call<Value>(_ endpoint: Endpoint<Value>) async throws -> Value {
        let start = ContinuousClock.now
        do {
            let value = try await withCredential { headers in
                try endpoint.decode(try await self.transport.send(endpoint, headers: headers))
            }
            observer("ok", ContinuousClock.now - start)
            return value
        } catch {
            let code = (error as? StackStormError)?.code.rawValue ?? "error"
            observer(code, ContinuousClock.now - start)
            logger.debug("\(endpoint.method) \(endpoint.path): \(error)")
            throw error
        }
    }

    func withCredential<Value: Sendable>(_ work: ([(String, String)]) async throws -> Value) async throws -> Value {
        guard let keeper else { return try await work([]) }
        let credential = try await keeper.credential()
        do {
            return try await work([(credential.header, credential.value.reveal())])
        } catch let error as StackStormError where error.code == .unauthorized {
            guard let other = try await keeper.replacement(for: credential) else { throw error }
            return try await work([(other.header, other.value.reveal())])
        }
    }
}

extension StackStormClient {
    /// Proves the bot's credential. Throws `.unauthorized` when StackStorm does not accept it.
    public func account() async throws -> Account { try await call(.user()) }

    /// All aliases: in one answer where StackStorm allows that, else page by page.
    package func aliases() async throws -> Page<Alias> {
        do {
            return try await call(.aliases(limit: -1))
        } catch let error as StackStormError where error.code == .forbidden || error.code == .refused {
            return try await aliasPages()
        }
    }

    private func aliasPages() async throws -> Page<Alias> {
        let size = 100
        var all = Page<Alias>(items: [], total: nil)
        var offset = 0
        while true {
            let page = try await call(.aliases(offset: offset, limit: size))
            all.items += page.items
            all.malformed += page.malformed
            all.total = page.total
            let count = page.items.count + page.malformed.count
            offset += count
            if count < size || offset >= page.total ?? .max { return all }
        }
    }
}
