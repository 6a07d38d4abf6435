import CoreMetrics
import Foundation
import Logging
import PetrelKit
import StackStormClient

/// Where a result goes back to. It travels through StackStorm as `source_context` and returns as `context`.
struct ReturnAddress: Equatable {
    var backend: String
    var place: Address.Place
    var thread: String?
    var message: String?
    var request: String
    /// The section of the configuration that asked; nil in what an older version sent.
    var instance: String?

    init(_ address: Address, request: String, instance: String? = nil) {
        self.instance = instance
        backend = address.backend
        place = address.place
        thread = address.thread
        message = address.inReplyTo
        self.request = request
    }

    /// Nil where the context is not Petrel's.
    init?(_ context: [String: JSONValue]?) {
        guard let own = context?["petrel"], let backend = own["backend"]?.string, let request = own["request"]?.string
        else { return nil }
        if let room = own["room"]?.string {
            place = .room(room)
        } else if let person = own["direct"]?.string {
            place = .direct(person)
        } else {
            return nil
        }
        self.backend = backend
        self.request = request
        instance = own["instance"]?.string
        thread = own["thread"]?.string
        message = own["message"]?.string
    }

    var context: [String: JSONValue] {
        var own: [String: JSONValue] = ["backend": .string(backend), "request": .string(request)]
        switch place {
        case .room(let id): own["room"] = .string(id)
        case .direct(let id): own["direct"] = .string(id)
        }
        own["instance"] = instance.map { .string($0) }
        own["thread"] = thread.map { .string($0) }
        own["message"] = message.map { .string($0) }
        return ["petrel": .object(own)]
    }

    var address: Address { Address(backend: backend, place: place, thread: thread, inReplyTo: message) }
}

/// Results that come while StackStorm's answer to the command itself is still on its way. They are said after the
/// acknowledgement, which people expect first.
final class OvertakenResults: Sendable {
    private let held = Locked<[String: [Announcement]]>([:])

    func begin(_ request: String) { held.withLock { $0[request] = [] } }

    /// Whether the announcement belongs to a command that is not acknowledged yet, and is kept for ``end(_:)``.
    func hold(_ announcement: Announcement) -> Bool {
        guard let request = ReturnAddress(announcement.context)?.request else { return false }
        return held.withLock { held in
            guard held[request] != nil else { return false }
            held[request]?.append(announcement)
            return true
        }
    }

    func end(_ request: String) -> [Announcement] { held.withLock { $0.removeValue(forKey: request) ?? [] } }
}

/// Says in chat what StackStorm announces.
struct Announcer: Sendable {
    private struct Event: Decodable {
        var payload: Announcement
    }

    private let host: any ModuleHost
    private let overtaken: OvertakenResults
    /// Whose results are said: those that another section of the configuration asked for are its own to say.
    private let instance: String?
    private let received: Counter
    private let unusable: Counter

    init(host: some ModuleHost, overtaken: OvertakenResults = OvertakenResults(), instance: String? = nil) {
        self.instance = instance
        self.host = host
        self.overtaken = overtaken
        received = Counter(
            label: "petrel_announcements_total", dimensions: [("outcome", "said")], factory: host.metrics)
        unusable = Counter(
            label: "petrel_announcements_total", dimensions: [("outcome", "unusable")], factory: host.metrics)
    }

    /// One event of the stream. A malformed one costs itself only.
    func announce(_ event: ServerSentEvent) async {
        do {
            let announcement = try JSONDecoder().decode(Event.self, from: Data(event.data)).payload
            if let asker = ReturnAddress(announcement.context)?.instance, let instance, asker != instance { return }
            if !overtaken.hold(announcement) { try await announce(announcement) }
        } catch {
            unusable.increment()
            host.logger.error("An announcement \(event.name) of \(event.data.count) bytes could not be used: \(error)")
        }
    }

    /// What was held back until its acknowledgement was said.
    func say(_ announcement: Announcement) async {
        do {
            try await announce(announcement)
        } catch {
            unusable.increment()
            host.logger.error("An announcement could not be used: \(error)")
        }
    }

    /// Throws ``Refusal`` when the announcement names nobody to tell.
    func announce(_ announcement: Announcement) async throws {
        guard let address = address(of: announcement) else {
            throw Refusal("it names neither a channel nor a user")
        }
        let reply = Reply(
            announcement.text, style: .markdown, kind: .result, isPrivate: announcement.whisper,
            extra: announcement.extra ?? [:], settles: ReturnAddress(announcement.context)?.request)
        received.increment()
        try host.say(reply, at: address)
    }

    /// A whisper goes to the user, all else to the channel, or to the user where there is no channel.
    private func address(of announcement: Announcement) -> Address? {
        let origin = ReturnAddress(announcement.context)
        let user = announcement.user.flatMap { $0.isEmpty ? nil : $0 }
        let channel = announcement.channel.flatMap { $0.isEmpty ? nil : $0 }
        if let user, announcement.whisper || channel == nil {
            guard var address = host.address(named: user, in: origin?.backend) else { return nil }
            address.place = .direct(user)
            return address
        }
        guard let channel else { return nil }
        if let origin, origin.place.id == channel { return origin.address }
        var address = host.address(named: channel, in: origin?.backend)
        address?.thread = announcement.context?["thread_ts"]?.string
        return address
    }
}
