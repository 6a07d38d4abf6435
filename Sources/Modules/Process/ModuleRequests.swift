import PetrelKit
import PetrelSupport
import PlugInProtocol

/// Answers the requests that a module's program sends, other than `commands`.
final class ModuleRequests: Sendable {
    private static let mostBytes = 65_536
    private static let mostBytesOfPage = 1 << 19
    private static let mostRecords = 10_000

    private struct State: Sendable {
        var lines: [StatusLine] = []
        var gauges: [(name: String, labels: [(String, String)], value: Double)] = []
    }

    private let host: ModuleHost
    private let calls: RunningCalls
    private let recorder: (any CommandRecording)?
    private let state = Locked(State())

    init(_ host: ModuleHost, _ calls: RunningCalls, _ recorder: (any CommandRecording)? = nil) {
        self.host = host
        self.calls = calls
        self.recorder = recorder
    }

    /// The status that the program has reported.
    var lines: [StatusLine] { state.withLock { $0.lines } }

    /// The gauges that the program has reported.
    var gauges: [(name: String, labels: [(String, String)], value: Double)] { state.withLock { $0.gauges } }

    /// Forgets what an earlier run has reported.
    func forget() { state.withLock { $0 = State() } }

    /// Answers a request. Throws an ``RPCError``.
    func answer(_ method: String, _ params: JSONValue) async throws -> JSONValue {
        let members = try Members(params)
        switch method {
        case "say": try say(members)
        case "replace":
            host.chat.replace(
                try handle(members.string("handle")), with: try Wire.reply(members["reply"]),
                on: try members.string("backend"))
        case "output" where recorder != nil:
            await recorder?.printed(
                try members.string("text"), on: try members.choice("stream") ?? .output, by: try members.string("call"))
        case "tell_admins": host.chat.tellAdmins(try members.string("text"))
        case "records.get":
            let bytes = try await records(members).value(for: try key(members))
            return ["value": try bytes.map { try JSONValue.parse($0) } ?? .null]
        case "records.set": try await set(members)
        case "records.remove": try await records(members).remove(try key(members))
        case "records.all":
            return try await page(members)
        default: throw RPCError(-32601, "the method \(Printable.line(String(method.prefix(40)))) does not exist")
        }
        return [:]
    }
}

extension ModuleRequests {
    private func say(_ members: Members) throws {
        let reply = try Wire.reply(members["reply"])
        let marks = DeliveryMarks(handle: try members.optionalString("handle").map(handle))
        if let call = try members.optionalString("call") {
            guard let invocation = calls.invocation(call) else {
                throw RPCError.parameters("the call “\(Self.short(call))” is not running")
            }
            return invocation.say(reply, marks)
        }
        do {
            try host.chat.say(reply, at: try address(try Members(members["to"], "to")), marks)
        } catch let error as RPCError {
            throw error
        } catch {
            throw RPCError(RPCError.notSent, "\(error)", data: ["remedy": "later"])
        }
    }

    /// Returns the handle as the host knows it, which does not collide with those of other modules.
    private func handle(_ text: String) -> String { "plugin \(host.module) \(text)" }

    private func address(_ to: Members) throws(RPCError) -> Address {
        if let name = try to.optionalString("name") {
            switch host.places.route(name, in: try to.optionalString("backend"), orElse: nil) {
            case .to(let address): return address
            case .undecided(let reason): throw RPCError(RPCError.notSent, reason, data: ["remedy": "never"])
            }
        }
        let place: Address.Place
        switch (try to.optionalString("room"), try to.optionalString("person")) {
        case (let room?, nil): place = .room(room)
        case (nil, let person?): place = .direct(person)
        default: throw .parameters("`to` must have exactly one of `room`, `person` and `name`")
        }
        return Address(backend: try to.string("backend"), place: place, thread: try to.optionalString("thread"))
    }
}

extension ModuleRequests {
    private func records(_ members: Members) throws(RPCError) -> any RecordCollection {
        let name = try members.string("collection")
        let isName =
            (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F || $0 == 0x2D
            }
        guard isName else { throw .parameters("`collection` must be 1 to 64 of a-z, 0-9, `_` and `-`") }
        return try members.bool("sealed") ? host.storage.sealed(name) : host.storage.records(name)
    }

    private func key(_ members: Members) throws(RPCError) -> String {
        let key = try members.string("key")
        guard (1...256).contains(key.utf8.count) else { throw .parameters("`key` must have 1 to 256 bytes") }
        return key
    }

    /// Returns the records after a key, up to the size of a page.
    private func page(_ members: Members) async throws -> JSONValue {
        let after = try members.optionalString("after")
        var page: [String: JSONValue] = [:]
        var bytes = 0
        var last: String?
        for (key, value) in try await records(members).all() {
            if let after, key.utf8.lexicographicallyPrecedes(after.utf8) || key.utf8.elementsEqual(after.utf8) {
                continue
            }
            bytes += key.utf8.count + value.count
            if let last, bytes > Self.mostBytesOfPage { return ["records": .object(page), "next": .string(last)] }
            page[key] = try JSONValue.parse(value)
            last = key
        }
        return ["records": .object(page)]
    }

    private func set(_ members: Members) async throws {
        let (records, key) = (try records(members), try key(members))
        guard let value = members.object["value"] else { throw RPCError.parameters("`value` is missing") }
        let bytes: [UInt8] = try JSONValue.encode(value)
        guard bytes.count <= Self.mostBytes else {
            throw RPCError.parameters("`value` has \(bytes.count) bytes; at most \(Self.mostBytes) are allowed")
        }
        if try await records.value(for: key) == nil, try await records.all().count >= Self.mostRecords {
            throw RPCError.parameters("the collection has \(Self.mostRecords) records, which is the limit")
        }
        try await records.set(bytes, for: key)
    }
}

extension ModuleRequests {
    /// Receives a notification. Returns false for one of another method. Throws for one that is invalid as a whole.
    func receive(_ method: String, _ params: JSONValue) throws(RPCError) -> Bool {
        switch method {
        case "status":
            var lines: [StatusLine] = []
            for value in try Members(params).list("lines", atMost: 20) {
                let line = try Members(value, "lines")
                lines.append(
                    StatusLine(
                        "\(host.module) \(Self.short(try line.string("subject")))",
                        isHealthy: try line.bool("healthy", default: true), Self.short(try line.string("detail"))))
            }
            state.withLock { [lines] in $0.lines = lines }
        case "gauges":
            var gauges: [(name: String, labels: [(String, String)], value: Double)] = []
            for value in try Members(params).list("gauges", atMost: 100) { gauges.append(try gauge(value)) }
            state.withLock { [gauges] in $0.gauges = gauges }
        default: return false
        }
        return true
    }

    private static func short(_ text: String) -> String {
        Printable.line(String(String.UnicodeScalarView(text.unicodeScalars.prefix(200))))
    }

    private func gauge(
        _ value: JSONValue
    ) throws(RPCError) -> (name: String, labels: [(String, String)], value: Double) {
        let members = try Members(value, "gauges")
        let name = try members.string("name")
        let labels = try members.stringMap("labels") ?? [:]
        guard Self.isMetricName(name), labels.count <= 10, labels.keys.allSatisfy(Self.isMetricName) else {
            throw .parameters("`gauges.name` and at most 10 labels must each be 1 to 64 of a-z, 0-9 and `_`")
        }
        guard let number = try members.number("value") else { throw .parameters("`gauges.value` is missing") }
        let own = labels.filter { $0.key != "plugin" }.sorted { $0.key < $1.key }.map { ($0.key, Self.short($0.value)) }
        return ("petrel_plugin_\(name)", [("plugin", host.module)] + own, number)
    }

    private static func isMetricName(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count) && name != "running"
            && name.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F }
            && !(0x30...0x39).contains(name.utf8.first ?? 0x30)
    }
}
