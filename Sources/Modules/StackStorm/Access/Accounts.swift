import Foundation
import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

/// The logins of users to StackStorm. They survive a restart if the records are durable.
actor Accounts {
    /// The reason why a login ended, until its user is told.
    enum End: Sendable {
        case expired, refused
    }

    private let records: any RecordCollection
    private let logger: Logger
    private let now: @Sendable () -> Date
    private var sessions: [Identity: Session] = [:]
    private var ended: [Identity: End] = [:]
    /// The users whose ended sessions are still in the store, because they could not be removed.
    private var unremoved: Set<Identity> = []
    /// The times at which sessions were last ended on request, by user.
    private var endedAt: [Identity: Date] = [:]
    private static let mostEnded = 10_000

    /// A chat account that has used a StackStorm account.
    struct Link: Codable, Sendable {
        var owner: Identity
        /// The display name of the owner.
        var name: String
    }

    private let linkRecords: any RecordCollection
    private var links: [String: [Link]] = [:]
    private static let mostLinks = 8

    /// Creates an empty collection; ``restore(for:)`` loads stored sessions.
    ///
    /// - Parameters:
    ///   - records: The sessions, which contain credentials.
    ///   - links: The chat accounts by StackStorm account, without secrets.
    ///   - now: A function that returns the current time, for the expiry of sessions.
    init(
        _ records: any RecordCollection, links: any RecordCollection = MemoryRecords(), logger: Logger,
        now: @escaping @Sendable () -> Date
    ) {
        self.records = records
        linkRecords = links
        self.logger = logger
        self.now = now
    }

    /// Loads the sessions of the last run. A session that cannot be read is skipped.
    ///
    /// - Parameter stackStorm: The StackStorm to which credentials are sent. Sessions for another one are removed.
    func restore(for stackStorm: String) async {
        await restoreLinks()
        do {
            for record in try await records.all() {
                do {
                    let session = try Session(unsealed: record.value)
                    sessions[session.owner] = session
                    guard session.stackStorm != stackStorm else { continue }
                    logger.notice("The login of \(session.name) is for another StackStorm and was removed.")
                    await end(session, because: .refused)
                } catch {
                    logger.error("A stored login cannot be read and was skipped.")
                }
            }
        } catch is CancellationError {
            return
        } catch {
            logger.error("Cannot read the stored logins; users have to log in again: \(error)")
        }
        // An earlier version stored logins without links.
        for session in sessions.values { link(session) }
        await dropExpired()
    }

    private func restoreLinks() async {
        do {
            for (key, value) in try await linkRecords.all() {
                do {
                    links[key] = try JSONDecoder().decode([Link].self, from: Data(value))
                } catch {
                    logger.error(
                        """
                        The stored list of chat accounts that have used one StackStorm account cannot be read and was \
                        skipped; they are not notified of other logins: \(JSONValue.reason(of: error))
                        """)
                }
            }
        } catch is CancellationError {
            return
        } catch {
            logger.error("Cannot read which chat accounts have used which StackStorm accounts: \(error)")
        }
    }

    /// Records that a chat account uses a StackStorm account. Returns the chat accounts that used it before, or none if
    /// this one did.
    @discardableResult
    func link(_ session: Session) -> [Link] {
        let key = "\(session.stackStorm) \(session.account.lowercased())"
        let before = links[key] ?? []
        guard !before.contains(where: { $0.owner == session.owner }) else { return [] }
        let all = Array((before + [Link(owner: session.owner, name: session.name)]).suffix(Self.mostLinks))
        links[key] = all
        // The encoding of an array of strings cannot fail.
        if let value = try? JSONValue.encode(all) { linkRecords.put(value, for: key) }
        return before
    }

    /// Returns the session of a user, or nil. A session that has expired is ended.
    func session(of owner: Identity) async -> Session? {
        guard let session = sessions[owner] else { return nil }
        guard session.until > now() else {
            await end(session, because: .expired)
            return nil
        }
        return session
    }

    /// Returns the reason why the last session of a user ended, if the user was not told yet. It is returned only once.
    func lastEnd(of owner: Identity) -> End? { ended.removeValue(forKey: owner) }

    /// Returns all valid sessions, the oldest first.
    func all() async -> [Session] {
        await dropExpired()
        return sessions.values.sorted { $0.since < $1.since }
    }

    /// Begins a session, which replaces an earlier one of the same user. Returns false and does nothing if the user or
    /// an administrator has ended it since its credential was verified.
    @discardableResult
    func begin(_ session: Session) async -> Bool {
        if let end = endedAt[session.owner], session.since <= end { return false }
        sessions[session.owner] = session
        ended[session.owner] = nil
        unremoved.remove(session.owner)
        do {
            try await records.set(session.sealable(), for: session.owner.key)
        } catch {
            logger.error("Cannot store a login for the next start: \(error)")
        }
        return true
    }

    /// Ends the session of a user. Returns true if there was one. Throws ``Refusal`` if it cannot be removed from the
    /// store.
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
            logger.error("Cannot remove an ended login from the store: \(error)")
            throw Refusal(
                "The login has ended, but could not be removed from the database and would be valid again after a "
                    + "restart. Please try again.")
        }
    }

    /// Ends a session that has expired or was rejected. A later session of the same user is not affected.
    func end(_ session: Session, because end: End) async {
        guard sessions[session.owner]?.id == session.id else { return }
        if ended.count >= Self.mostEnded { ended = [:] }
        ended[session.owner] = end
        // A failure of the store is logged, and the session would end again after the next start.
        _ = try? await remove(session.owner)
    }

    func dropExpired() async {
        let moment = now()
        for session in sessions.values where session.until <= moment { await end(session, because: .expired) }
    }
}
