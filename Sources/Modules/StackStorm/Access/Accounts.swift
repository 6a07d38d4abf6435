import Foundation
import Logging
import PetrelKit
import StackStormClient

/// Who is logged in to StackStorm. Kept over a restart where the records are durable.
actor Accounts {
    /// Why somebody's login ended, until they have been told.
    enum End: Sendable {
        case expired, refused
    }

    private let records: any RecordCollection
    private let logger: Logger
    private let now: @Sendable () -> Date
    private var sessions: [Identity: Session] = [:]
    private var ended: [Identity: End] = [:]
    private static let mostEnded = 10_000

    init(_ records: any RecordCollection, logger: Logger, now: @escaping @Sendable () -> Date) {
        self.records = records
        self.logger = logger
        self.now = now
    }

    /// Takes over what the last run kept. A session that cannot be read costs itself only.
    func restore() async {
        do {
            for record in try await records.all() {
                do {
                    let session = try Session(unsealed: record.value)
                    if sessions[session.owner] == nil { sessions[session.owner] = session }
                } catch {
                    logger.error("A stored login cannot be read, and is left out.")
                }
            }
        } catch {
            logger.error("The stored logins cannot be read; people have to log in again: \(error)")
        }
        await dropExpired()
    }

    /// The session of somebody; nil where there is none. One that has expired ends here.
    func session(of owner: Identity) async -> Session? {
        guard let session = sessions[owner] else { return nil }
        guard session.until > now() else {
            await end(session, because: .expired)
            return nil
        }
        return session
    }

    /// Why the last session of somebody ended, where they do not know yet. Told once.
    func lastEnd(of owner: Identity) -> End? { ended.removeValue(forKey: owner) }

    /// All that are alive, the oldest first.
    func all() async -> [Session] {
        await dropExpired()
        return sessions.values.sorted { $0.since < $1.since }
    }

    /// How many are alive, as far as was looked.
    var count: Int { sessions.count }

    /// Begins a session, in place of an earlier one of the same owner.
    func begin(_ session: Session) async {
        sessions[session.owner] = session
        ended[session.owner] = nil
        do {
            try await records.set(session.sealable(), for: session.owner.key)
        } catch {
            logger.error("A login could not be kept for the next start: \(error)")
        }
    }

    /// Ends a session, if it is still that one: a later login of the same owner is not touched. Throws where it would
    /// come back with the next start.
    func end(_ session: Session) async throws {
        guard sessions[session.owner]?.id == session.id else { return }
        sessions[session.owner] = nil
        try await records.remove(session.owner.key)
    }

    /// The same, for what ended by itself.
    func end(_ session: Session, because end: End) async {
        guard sessions[session.owner]?.id == session.id else { return }
        if ended.count >= Self.mostEnded { ended = [:] }
        ended[session.owner] = end
        do {
            try await self.end(session)
        } catch {
            // It is worthless: at the next start it would end again.
            logger.error("An ended login could not be removed from the store: \(error)")
        }
    }

    func dropExpired() async {
        let moment = now()
        for session in sessions.values where session.until <= moment { await end(session, because: .expired) }
    }
}
