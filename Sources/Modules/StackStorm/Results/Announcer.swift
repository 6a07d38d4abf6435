import CoreMetrics
import Foundation
import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

/// Says in chat what StackStorm announces, once.
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
    /// For places that several backends could have.
    private let defaultBackend: String?
    /// Whose results are said: those that another section of the configuration asked for are its own to say.
    private let instance: String?
    /// What was said out of the history and may still come on the stream.
    private let replayed = RecentlyReplayed()
    /// Called when something could not be said now, and has to be had again.
    private let missed: @Sendable () -> Void
    private let received: Counter
    private let unusable: Counter

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
        received = counter("said")
        unusable = counter("unusable")
    }

    /// One event of the stream. A malformed one costs itself only.
    func announce(_ event: ServerSentEvent) {
        // What is not plain JSON is read as far as it can be.
        let json = JSONReader.value(event.data) ?? LenientJSON.read(event.data)?.value
        guard let payload = json?["payload"], let announcement = Announcement(json: payload) else {
            unusable.increment()
            let reason = json == nil ? "it is no JSON" : "it has no `payload` with a `message`"
            return logger.error(
                "An announcement \(event.name) of \(event.data.count) bytes could not be used: \(reason)")
        }
        take(Announced(announcement, route: String(event.name.dropFirst(Self.eventPrefix.count))))
    }

    /// One out of the history that the stream did not bring.
    /// - Parameter mayStillCome: the stream may bring it yet.
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

    /// Whether no other section of the configuration asked for it.
    func isOurs(_ announced: Announced) -> Bool {
        guard let request = announced.request, let instance, origins[request] == nil else { return true }
        return !RequestID.isForeign(request, to: instance)
    }

    /// Says it, or logs why it cannot be said.
    func say(_ announced: Announced) {
        do {
            let request = announced.request
            let origin = request.flatMap { origins[$0] }
            let progress = request.flatMap { open?.progress($0, isOver: true) }
            let receipt = Receipt(
                entry: announced.entry, closes: request.flatMap { open?.record(of: $0) }, age: announced.age)
            let say = { try self.say(announced.announcement, origin, settles: request, receipt) }
            if let request, let open { try open.end(request, saying: say) } else { try say() }
            if let progress, let origin { chat.show(progress, on: origin.address.backend) }
        } catch let error as Refusal {
            unusable.increment()
            // The history has it too, where it would be found again and again.
            ledger.note(announced.entry)
            logger.error("An announcement could not be used: \(error)")
        } catch {
            logger.error("An announcement cannot be said now, and is asked for again later: \(error)")
            missed()
        }
    }

    /// Throws ``Refusal`` when the announcement names nobody to tell.
    /// - Parameters:
    ///   - origin: of the command that it speaks of; nil where that is not known: then it goes where it says itself.
    ///   - request: the id of that command.
    func say(
        _ announcement: Announcement, _ origin: Origin? = nil, settles request: String? = nil,
        _ receipt: Receipt = Receipt()
    ) throws {
        guard let address = address(of: announcement, origin) else {
            throw Refusal("it names neither a channel nor a user")
        }
        // An object is shown as JSON, whose marks are its own.
        let isText = announcement.message.string != nil
        var reply = (isText ? writer : ResultWriter()).reply(announcement.text, .result, extra: announcement.extra)
        reply.isPrivate = announcement.whisper
        reply.settles = request
        received.increment()
        try chat.say(reply, at: address, receipt)
    }

    /// A whisper goes to the user, all else to the channel, or to the user where there is no channel.
    private func address(of announcement: Announcement, _ origin: Origin?) -> Address? {
        let user = announcement.user.flatMap { $0.isEmpty ? nil : $0 }
        let channel = announcement.channel.flatMap { $0.isEmpty ? nil : $0 }
        if let user, announcement.whisper || channel == nil {
            // As it was sent with the command; StackStorm's own people may be called otherwise.
            if let origin, Templates.disarmed(origin.person) == user {
                return Address(backend: origin.address.backend, place: .direct(origin.person))
            }
            var address = place(user, origin)
            // The name of a person, whatever it looks like.
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

/// Contents that were said out of the history, while the stream may still bring the same. Each absorbs one event.
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
