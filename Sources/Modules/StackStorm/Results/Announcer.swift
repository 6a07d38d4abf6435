import CoreMetrics
import Foundation
import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

/// Posts each announcement of StackStorm in chat, once.
struct Announcer: Sendable {
    static let eventPrefix = "st2.announcement__"

    private let chat: any Speaking
    private let places: any PlaceFinding
    private let ledger: any Ledger
    private let logger: Logger
    private let overtaken: OvertakenResults
    private let open: OpenExecutions?
    private let origins: Origins
    private let orphans: Orphans?
    private let writer: ResultWriter
    /// The backend for the names of places that several backends can have.
    private let defaultBackend: String?
    /// The module whose results are posted. Results of commands of another module are left to that module.
    private let instance: String?
    /// The announcements that were replayed from the history and may still arrive on the stream.
    private let replayed = RecentlyReplayed()
    /// Called if an announcement could not be posted and has to be fetched again.
    private let missed: @Sendable () -> Void
    private let posted: Counter
    private let invalid: Counter

    init(
        chat: any Speaking, places: any PlaceFinding, ledger: any Ledger, metrics: any MetricsFactory, logger: Logger,
        overtaken: OvertakenResults = OvertakenResults(), open: OpenExecutions? = nil,
        origins: Origins = Origins(), orphans: Orphans? = nil, writer: ResultWriter = ResultWriter(),
        defaultBackend: String? = nil,
        instance: String? = nil,
        missed: @escaping @Sendable () -> Void = {}
    ) {
        self.instance = instance
        self.chat = chat
        self.places = places
        self.ledger = ledger
        self.logger = logger
        self.overtaken = overtaken
        self.open = open
        self.origins = origins
        self.orphans = orphans
        self.writer = writer
        self.defaultBackend = defaultBackend
        self.missed = missed
        func counter(_ outcome: String) -> Counter {
            Counter(label: "petrel_announcements_total", dimensions: [("outcome", outcome)], factory: metrics)
        }
        posted = counter("posted")
        invalid = counter("invalid")
    }

    /// Posts the announcement of an event. A malformed event is logged and skipped.
    func announce(_ event: ServerSentEvent) {
        // StackStorm can send invalid JSON such as NaN; the rest of the event is used.
        let json = JSONReader.value(event.data) ?? LenientJSON.read(event.data)?.value
        guard let payload = json?["payload"], let announcement = Announcement(json: payload) else {
            invalid.increment()
            let reason = json == nil ? "it is not JSON" : "it has no `payload` with a `message`"
            return logger.error(
                "An announcement \(event.name) of \(event.data.count) bytes was skipped: \(reason).")
        }
        take(Announced(announcement, route: String(event.name.dropFirst(Self.eventPrefix.count))))
    }

    /// Posts an announcement of the history that did not arrive on the stream.
    ///
    /// - Parameter mayStillCome: True if it may still arrive on the stream.
    func replay(_ announced: Announced, mayStillCome: Bool) {
        if mayStillCome { replayed.note(announced.content) }
        take(announced)
    }

    private func take(_ announced: Announced) {
        guard isOurs(announced) else { return }
        if announced.source == nil, replayed.absorbs(announced.content) { return }
        if orphans?.hold(announced) == true { return }
        if !overtaken.hold(announced) { say(announced) }
    }

    /// Returns true if the announcement is not the result of a command of another module.
    func isOurs(_ announced: Announced) -> Bool {
        guard let request = announced.request, let instance, origins[request] == nil else { return true }
        return !RequestID.isForeign(request, to: instance)
    }

    /// Posts an announcement, or logs the reason why it cannot be posted.
    func say(_ announced: Announced) {
        do {
            let request = announced.request
            let origin = request.flatMap { origins[$0] }
            let progress = request.flatMap { open?.progress($0, isOver: true) }
            let transaction = MessageTransaction(
                entry: announced.entry, closes: request.flatMap { open?.record(of: $0) }, age: announced.age)
            let say = { try self.say(announced.announcement, origin, settles: request, transaction) }
            if let request, let open { try open.end(request, saying: say) } else { try say() }
            if let progress, let origin, let request {
                chat.replace(request, with: progress, on: origin.address.backend)
            }
        } catch let error as Refusal {
            invalid.increment()
            // Otherwise each comparison with the history would find it again.
            ledger.note(announced.entry)
            logger.error("An announcement cannot be posted: \(error)")
        } catch {
            logger.error("An announcement cannot be posted now and will be fetched again: \(error)")
            missed()
        }
    }

    /// Posts an announcement. Throws ``Refusal`` if it has no recipient.
    ///
    /// - Parameters:
    ///   - origin: The origin of the command whose result it is. If it is nil, the announcement goes to the recipient
    ///     that it names.
    ///   - request: The request ID of that command.
    func say(
        _ announcement: Announcement, _ origin: Origin? = nil, settles request: String? = nil,
        _ transaction: MessageTransaction = MessageTransaction()
    ) throws {
        guard let address = address(of: announcement, origin) else {
            throw Refusal("it names neither a channel nor a user")
        }
        // An object is posted as JSON, which must not be read as markup.
        let isText = announcement.message.string != nil
        var reply = (isText ? writer : ResultWriter()).reply(announcement.text, .result, extra: announcement.extra)
        reply.isPrivate = announcement.whisper
        try chat.say(reply, at: address, DeliveryMarks(settles: request), transaction)
        posted.increment()
    }

    /// Returns the recipient: the user for a whisper, otherwise the channel, or the user if there is no channel.
    private func address(of announcement: Announcement, _ origin: Origin?) -> Address? {
        let user = announcement.user.flatMap { $0.isEmpty ? nil : $0 }
        let channel = announcement.channel.flatMap { $0.isEmpty ? nil : $0 }
        if let user, announcement.whisper || channel == nil {
            // The name that was sent with the command. Users of StackStorm may have other names.
            if let origin, Templates.disarmed(origin.person) == user {
                return Address(backend: origin.address.backend, place: .direct(origin.person))
            }
            var address = place(user, origin)
            // It is the name of a user, even if it looks like that of a room.
            if !address.isUndecided, !address.place.isDirect { address.place = .direct(address.place.id) }
            return address
        }
        guard let channel else { return nil }
        if let origin, Templates.disarmed(origin.address.place.id) == channel { return origin.address }
        var address = place(channel, origin)
        address.thread = announcement.context?["thread_ts"]?.string
        return address
    }

    private func place(_ name: String, _ origin: Origin?) -> Address {
        switch places.route(name, in: origin?.address.backend, orElse: defaultBackend) {
        case .to(let address): address
        case .undecided: .undecided(name)
        }
    }
}

/// The digests of announcements that were replayed while they could still arrive on the stream. Each suppresses one
/// event.
private final class RecentlyReplayed: Sendable {
    private static let window = Duration.seconds(30)
    private static let capacity = 10_000

    private let state = Locked<[[UInt8]: [ContinuousClock.Instant]]>([:])

    func note(_ content: [UInt8]) {
        state.withLock { state in
            let oldest = ContinuousClock.now - Self.window
            if state.count >= Self.capacity { state = state.filter { $0.value.contains { $0 > oldest } } }
            state[content, default: []].append(.now)
        }
    }

    func absorbs(_ content: [UInt8]) -> Bool {
        state.withLock { state in
            guard !state.isEmpty, let times = state.removeValue(forKey: content) else { return false }
            let fresh = times.filter { $0.duration(to: .now) < Self.window }
            if fresh.count > 1 { state[content] = Array(fresh.dropFirst()) }
            return !fresh.isEmpty
        }
    }
}
