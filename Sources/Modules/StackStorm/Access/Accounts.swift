import Foundation
import Logging
import PetrelKit
import PetrelSupport
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
    /// Whose ended session the store still has.
    private var unremoved: Set<Identity> = []
    /// When somebody's sessions were last ended.
    private var endedAt: [Identity: Date] = [:]
    private static let mostEnded = 10_000

    /// A chat account that has acted as an account of StackStorm.
    struct Link: Codable, Sendable {
        var owner: Identity
        /// What people call the owner.
        var name: String
    }

    private let linkRecords: any RecordCollection
    private var links: [String: [Link]] = [:]
    private static let mostLinks = 8

    /// - Parameter links: who has acted as which account; no secrets.
    init(
        _ records: any RecordCollection, links: any RecordCollection = MemoryRecords(), logger: Logger,
        now: @escaping @Sendable () -> Date
    ) {
        self.records = records
        linkRecords = links
        self.logger = logger
        self.now = now
    }

    /// Takes over what the last run kept. A session that cannot be read costs itself only.
    /// - Parameter stackStorm: where credentials are sent now; those for another are dropped.
    func restore(for stackStorm: String) async {
        await restoreLinks()
        do {
            for record in try await records.all() {
                do {
                    let session = try Session(unsealed: record.value)
                    sessions[session.owner] = session
                    guard session.stackStorm != stackStorm else { continue }
                    logger.notice("The login of \(session.name) was for another StackStorm, and is dropped.")
                    await end(session, because: .refused)
                } catch {
                    logger.error("A stored login cannot be read, and is left out.")
                }
            }
        } catch is CancellationError {
            return
        } catch {
            logger.error("The stored logins cannot be read; people have to log in again: \(error)")
        }
        // Logins that were kept before links were.
        for session in sessions.values { link(session) }
        await dropExpired()
    }

    private func restoreLinks() async {
        do {
            for (key, value) in try await linkRecords.all() {
                // One that cannot be read costs a message to its owner, no more.
                links[key] = (try? JSONDecoder().decode([Link].self, from: Data(value))) ?? []
            }
        } catch is CancellationError {
            return
        } catch {
            logger.error("Who has acted as which StackStorm account cannot be read: \(error)")
        }
    }

    /// Notes that a chat account acts as an account of StackStorm. Returns who did before it; nobody where it did itself.
    @discardableResult
    func link(_ session: Session) -> [Link] {
        let key = "\(session.stackStorm) \(session.account.lowercased())"
        let before = links[key] ?? []
        guard !before.contains(where: { $0.owner == session.owner }) else { return [] }
        let all = Array((before + [Link(owner: session.owner, name: session.name)]).suffix(Self.mostLinks))
        links[key] = all
        // An array of texts always encodes.
        if let value = try? JSONValue.encode(all) { linkRecords.put(value, for: key) }
        return before
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

    /// Begins a session, in place of an earlier one of the same owner. Returns false, and does nothing, where the owner
    /// or an administrator ended it since it was proven.
    @discardableResult
    func begin(_ session: Session) async -> Bool {
        if let end = endedAt[session.owner], session.since <= end { return false }
        sessions[session.owner] = session
        ended[session.owner] = nil
        unremoved.remove(session.owner)
        do {
            try await records.set(session.sealable(), for: session.owner.key)
        } catch {
            logger.error("A login could not be kept for the next start: \(error)")
        }
        return true
    }

    /// Ends whatever session somebody has. Returns whether there was one.
    @discardableResult
    func endAll(of owner: Identity) async throws -> Bool {
        if endedAt.count >= Self.mostEnded { endedAt = [:] }
        endedAt[owner] = now()
        return try await remove(owner)
    }

    private func remove(_ owner: Identity) async throws -> Bool {
        let wasThere = sessions.removeValue(forKey: owner) != nil || unremoved.contains(owner)
        guard wasThere else { return false }
        do {
            try await records.remove(owner.key)
            unremoved.remove(owner)
            return true
        } catch {
            unremoved.insert(owner)
            logger.error("An ended login could not be removed from the store: \(error)")
            throw Refusal(
                "The login is ended for now, but the store cannot be written: it would come back with the next start. "
                    + "Please try again.")
        }
    }

    /// Ends a session that came to its end by itself, if it is still that one: a later login of the same owner is not
    /// touched.
    func end(_ session: Session, because end: End) async {
        guard sessions[session.owner]?.id == session.id else { return }
        if ended.count >= Self.mostEnded { ended = [:] }
        ended[session.owner] = end
        // Where the store fails that was logged; at the next start the session would end again.
        _ = try? await remove(session.owner)
    }

    func dropExpired() async {
        let moment = now()
        for session in sessions.values where session.until <= moment { await end(session, because: .expired) }
    }
}
