import Logging
package import PetrelKit
import PetrelSupport

/// The route `POST /log`, which shows records of programs' logs in rooms.
final class LogRelay: Sendable {
    private static let bodyLimit = 64 << 10

    private let host: ModuleHost
    private let state: Locked<State>
    /// The number of records that were not shown, and the time of the last report about them.
    private let lost = Locked((count: 0, last: ContinuousClock.Instant?.none))
    /// The requests without the secret, by address.
    private let failures = Locked(RateLimit(burst: 20, perSecond: 0.5))

    private struct State: Sendable {
        /// The settings; nil if there is no relay.
        var settings: LogRelaySettings?
        /// The records, by room.
        var records: RateLimit

        init(_ settings: LogRelaySettings?) {
            self.settings = settings
            let perMinute = settings?.perMinute ?? 1
            records = RateLimit(burst: perMinute, perSecond: Double(perMinute) / 60)
        }
    }

    init(_ settings: LogRelaySettings?, _ host: ModuleHost) {
        self.host = host
        state = Locked(State(settings))
    }

    /// Replaces the settings.
    func replace(_ settings: LogRelaySettings?) { state.withLock { $0 = State(settings) } }

    var route: WebRoute {
        WebRoute(.post, "/log", bodyLimit: Self.bodyLimit) { self.answer($0) }.refusing { self.refusal($0) }
    }

    /// Refuses a request without the secret before its body is read.
    private func refusal(_ request: WebRequest) -> WebResponse? {
        guard let settings = state.withLock({ $0.settings }) else {
            return .text("There is no such page.", status: 404)
        }
        let (scheme, sent) = (request.headers["authorization"] ?? "").firstWord
        if scheme.isKeyword("bearer"), settings.secret.matches(sent) { return nil }
        if let seconds = failures.withLock({ $0.take(request.origin, at: .now) }) { return Self.tooMany(seconds) }
        return .text("The Authorization header must be `Bearer` followed by jobs.log_relay.secret.", status: 401)
    }

    private static func tooMany(_ seconds: Int) -> WebResponse {
        var response = WebResponse.text("too many requests", status: 429)
        response.headers["retry-after"] = "\(seconds)"
        return response
    }

    private func answer(_ request: WebRequest) -> WebResponse {
        if let refusal = refusal(request) { return refusal }
        guard let settings = state.withLock({ $0.settings }) else {
            return .text("There is no such page.", status: 404)
        }
        do {
            let record = try LogRecord(request.body)
            var addresses: [Address] = []
            for channel in record.channels {
                let address = try address(of: channel, settings)
                if !addresses.contains(address) { addresses.append(address) }
            }
            let rooms = addresses.map { "\($0.backend)/\($0.place.id)" }
            if let seconds = take(rooms) { return Self.tooMany(seconds) }
            for address in addresses { try say(record, at: address, from: request.origin) }
            return .text("", status: 204)
        } catch let problem as LogRecord.Problem {
            return .text("\(problem)", status: 400)
        } catch {
            host.logger.error("A record of a log cannot be said: \(error)")
            return .text("The record cannot be said; see the log of Petrel.", status: 503)
        }
    }

    /// Takes a record from the limit of each room, or from none of them. Returns the number of seconds to wait if a room
    /// has reached its limit.
    private func take(_ rooms: [String]) -> Int? {
        let now = ContinuousClock.now
        let seconds = state.withLock { state -> Int? in
            var taken = state.records
            for room in rooms { if let seconds = taken.take(room, at: now) { return seconds } }
            state.records = taken
            return nil
        }
        if seconds != nil { noteLoss(for: rooms, at: now) }
        return seconds
    }

    /// Logs that records are not shown, at most once a minute.
    private func noteLoss(for rooms: [String], at now: ContinuousClock.Instant) {
        let count = lost.withLock { lost -> Int? in
            lost.count += 1
            if let last = lost.last, last.duration(to: now) < .seconds(60) { return nil }
            defer { lost = (0, now) }
            return lost.count
        }
        guard let count else { return }
        host.logger.warning(
            "Records of logs exceed jobs.log_relay.per_minute; \(count) since the last report are not shown, the last one for \(rooms.joined(separator: ", "))."
        )
    }

    private func address(of channel: String, _ settings: LogRelaySettings) throws(LogRecord.Problem) -> Address {
        guard settings.channels.contains(where: { $0 == "*" || $0.utf8.elementsEqual(channel.utf8) }) else {
            throw LogRecord.Problem(description: "jobs.log_relay.channels does not contain \(Printable.name(channel)).")
        }
        switch host.places.route(channel, in: settings.backend, orElse: settings.backend) {
        case .to(let address) where !address.place.isDirect: return address
        case .to: throw LogRecord.Problem(description: "\(Printable.name(channel)) is not a room.")
        case .undecided(let reason):
            throw LogRecord.Problem(description: "\(Printable.name(channel)) is not a room: \(reason)")
        }
    }

    private func say(_ record: LogRecord, at address: Address, from origin: String) throws {
        let traits = host.chat.traits(of: address.backend) ?? BackendTraits()
        let reply = record.reply(from: origin, isRich: traits.attachments && traits.mrkdwn)
        try host.chat.say(reply, at: address)
    }
}

extension JobsPlugIn: ConfigurationReviewing {
    package func review(_ facts: ConfigurationFacts, _ root: SettingsSection) {
        let others = facts.commands.filter { $0.module != JobsModule.moduleName }.map { command in
            (command.name, command.module == "builtins" ? "Petrel" : "the module \(command.module)")
        }
        let taken = settings?.takenNames(others) ?? []
        for problem in taken.prefix(20) { root.warn("jobs.scripts", problem.line) }
        if taken.count > 20 { root.warn("jobs.scripts", "\(taken.count - 20) more files are not loaded") }
        if settings?.logRelay != nil, facts.web == nil {
            root.problem("web", "is required: jobs.log_relay needs the web server")
        }
        if let backend = settings?.logRelay?.backend, !facts.backends.contains(where: { $0.name == backend }) {
            root.problem("jobs.log_relay.backend", "there is no backend \"\(backend)\"")
        }
    }
}
