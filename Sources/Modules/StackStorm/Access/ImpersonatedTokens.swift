import Foundation
import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

/// The tokens that StackStorm gives the bot's account for people: one for each person, until it ends. Kept over a
/// restart where the records are durable.
actor ImpersonatedTokens {
    private let client: StackStormClient
    private let records: any RecordCollection
    /// Where credentials are sent now.
    private let stackStorm: String
    private let logger: Logger
    private let now: @Sendable () -> Date
    private var sessions: [Identity: Session] = [:]
    private var requests: [Identity: Task<Session, any Error>] = [:]
    private static let most = 10_000

    init(
        _ client: StackStormClient, _ records: any RecordCollection, for stackStorm: String, logger: Logger,
        now: @escaping @Sendable () -> Date
    ) {
        self.client = client
        self.records = records
        self.stackStorm = stackStorm
        self.logger = logger
        self.now = now
    }

    /// Takes over what the last run kept, but for what has ended or was for another StackStorm.
    func restore() async {
        do {
            for (key, value) in try await records.all() {
                if let session = try? Session(unsealed: value), session.stackStorm == stackStorm, session.until > now()
                {
                    sessions[session.owner] = session
                } else {
                    records.put(nil, for: key)
                }
            }
        } catch is CancellationError {
            return
        } catch {
            logger.error("The stored tokens of people cannot be read; StackStorm is asked for new ones: \(error)")
        }
    }

    /// Somebody's token: the one that is kept, or a new one. Who asks meanwhile waits for the same.
    /// - Parameter refused: one that StackStorm does not accept any more.
    func session(
        of owner: Identity, called name: String, as person: Impersonated, refused: Session? = nil
    ) async throws -> Session {
        if let session = sessions[owner], session.until > now(), session.id != refused?.id, person.isMeant(by: session)
        {
            return session
        }
        if let request = requests[owner] { return try await request.sharedValue }
        let request = Task { [client, stackStorm, now] in
            let since = now()
            let account = try await client.impersonate(person)
            let lifetime = TimeInterval(client.settings.tokenLifetime)
            return Session(
                id: UUID(), owner: owner, name: name, account: account.user, method: person.method,
                credential: account.credential, stackStorm: stackStorm, since: since,
                // A tenth of its life before the end, so that no request meets an expired one.
                until: since + lifetime * 0.9)
        }
        requests[owner] = request
        defer { requests[owner] = nil }
        let session = try await request.sharedValue
        logger.info("\(name) on \(owner.backend) acts in StackStorm as \(session.account).")
        await keep(session)
        return session
    }

    private func keep(_ session: Session) async {
        if sessions.count >= Self.most, let oldest = sessions.values.min(by: { $0.until < $1.until }) {
            sessions[oldest.owner] = nil
            records.put(nil, for: oldest.owner.key)
        }
        sessions[session.owner] = session
        do {
            try await records.set(session.sealable(), for: session.owner.key)
        } catch {
            logger.error("The token of \(session.name) could not be kept for the next start: \(error)")
        }
    }
}

extension Impersonated {
    /// As it is kept with a session.
    fileprivate var method: String {
        switch self {
        case .user: Session.mapped
        case .nickname: Session.nicknamed
        }
    }

    /// Whether a token that was kept is the one that is asked for: the map may have changed since.
    fileprivate func isMeant(by session: Session) -> Bool {
        guard session.method == method else { return false }
        if case .user(let name) = self { return session.account.utf8.elementsEqual(name.utf8) }
        return true
    }
}

extension Session {
    fileprivate static let mapped = "impersonation"
    fileprivate static let nicknamed = "impersonation by nickname"

    /// It is no login: StackStorm gave the token to the bot's account.
    var isImpersonated: Bool { [Self.mapped, Self.nicknamed].contains(method) }
}
