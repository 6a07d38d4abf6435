import Foundation
import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

/// The tokens that StackStorm issues to the bot's account for users, one for each user until it expires. They survive
/// a restart if the records are durable.
actor ImpersonatedTokens {
    private let client: StackStormClient
    private let records: any RecordCollection
    /// The StackStorm to which credentials are sent.
    private let stackStorm: String
    private let logger: Logger
    private let now: @Sendable () -> Date
    private var sessions: [Identity: Session] = [:]
    private var requests: [Identity: Task<Session, any Error>] = [:]
    private static let capacity = 10_000

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

    /// Loads the tokens of the last run, except for those that have expired or are for another StackStorm.
    func restore() async {
        do {
            for (key, value) in try await records.all() {
                guard let session = restored(value), session.stackStorm == stackStorm, session.until > now() else {
                    records.put(nil, for: key)
                    continue
                }
                sessions[session.owner] = session
            }
        } catch is CancellationError {
            return
        } catch {
            logger.error("Cannot read the stored tokens of users; StackStorm issues new ones: \(error)")
        }
    }

    private func restored(_ record: [UInt8]) -> Session? {
        do {
            return try Session(unsealed: record)
        } catch {
            logger.error("A stored token of a user cannot be read and was removed; StackStorm issues a new one.")
            return nil
        }
    }

    /// Returns the token of a user: the stored one, or a new one. Concurrent callers wait for the same request.
    ///
    /// - Parameter refused: A token that StackStorm no longer accepts, and that must not be returned.
    func session(
        of owner: Identity, called name: String, as person: Impersonated, refused: Session? = nil
    ) async throws -> Session {
        if let session = sessions[owner], session.until > now(), session.id != refused?.id, person.matches(session) {
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
                // Replaced when a tenth of its lifetime is left, so that no call is made with an expired token.
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
        if sessions.count >= Self.capacity, let oldest = sessions.values.min(by: { $0.until < $1.until }) {
            sessions[oldest.owner] = nil
            records.put(nil, for: oldest.owner.key)
        }
        sessions[session.owner] = session
        do {
            try await records.set(session.sealable(), for: session.owner.key)
        } catch {
            logger.error("Cannot store the token of \(session.name) for the next start: \(error)")
        }
    }
}

extension Impersonated {
    /// The value of ``Session/method`` for this kind of impersonation.
    fileprivate var method: String {
        switch self {
        case .user: Session.mapped
        case .nickname: Session.nicknamed
        }
    }

    /// Returns true if a stored token is for this user: the map may have changed since.
    fileprivate func matches(_ session: Session) -> Bool {
        guard session.method == method else { return false }
        if case .user(let name) = self { return session.account.utf8.elementsEqual(name.utf8) }
        return true
    }
}

extension Session {
    fileprivate static let mapped = "impersonation"
    fileprivate static let nicknamed = "impersonation by nickname"

    /// True if StackStorm has issued the token to the bot's account, without a login of the user.
    var isImpersonated: Bool { [Self.mapped, Self.nicknamed].contains(method) }
}
