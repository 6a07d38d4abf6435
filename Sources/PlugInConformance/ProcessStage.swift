package import Logging
package import PetrelKit
package import PetrelSupport
package import PetrelTesting
package import PlugInProtocol
import ProcessBackend

/// A stage with a program that stands in for its service; see docs/PluginProtocol.md, “Testing”.
package final class ProcessStage: ConformanceStage {
    /// The description of a stand-in, which the program gives in its response to `hello`.
    package struct Service: Sendable {
        package var traits: BackendTraits
        package var abilities: Set<ConformanceAbility>
        package var rooms: [String]
        package var people: [String]
        package var unknownPlaces: [Address.Place]

        /// Reads the result of `hello`; nil if it describes no stand-in. Throws an ``RPCError``.
        package init?(_ greeting: JSONValue) throws(RPCError) {
            guard let value = greeting["test"] else { return nil }
            traits = try Wire.traits(greeting["traits"])
            let test = try Members(value, "test")
            abilities = []
            for name in try test.strings("abilities", atMost: 100) {
                guard let ability = ConformanceAbility(rawValue: name) else {
                    throw .parameters("`test.abilities` has “\(name.prefix(40))”, which is not an ability")
                }
                abilities.insert(ability)
            }
            rooms = try test.strings("rooms", atMost: 100)
            people = try test.strings("people", atMost: 100)
            unknownPlaces =
                try test.strings("unknown_rooms", atMost: 10).map { .room($0) }
                + (try test.strings("unknown_people", atMost: 10).map { .direct($0) })
            guard people.count >= (abilities.contains(.people) ? 2 : 1) else {
                throw .parameters("`test.people` names too few people")
            }
            guard !rooms.isEmpty || !abilities.contains(.rooms) else { throw .parameters("`test.rooms` is empty") }
        }
    }

    private let service: Service
    private let process: ProcessBackend
    private let shown: Mailbox<JSONValue>

    /// Creates a stage for a new backend.
    package init(_ launch: PlugInLaunch, _ service: Service, logger: Logger) {
        self.service = service
        let shown = Mailbox<JSONValue>()
        self.shown = shown
        process = ProcessBackend(launch, version: "test", logger: logger) { method, params in
            if method == "test.shown" { shown.put(params) }
        }
    }

    package var backend: any ChatBackend { process }
    package var traits: BackendTraits { service.traits }
    package var abilities: Set<ConformanceAbility> { service.abilities }
    package var rooms: [String] { service.rooms }
    package var people: [String] { service.people }
    package var unknownPlaces: [Address.Place] { service.unknownPlaces }

    package func untilConnected() async throws {
        await process.untilConnected()
        try Task.checkCancellation()
    }

    package func say(_ text: String, as person: String, in room: String?, thread: String?) async throws -> String {
        var params: [String: JSONValue] = ["text": .string(text), "person": .string(person)]
        params["room"] = room.map { .string($0) }
        params["thread"] = thread.map { .string($0) }
        let result = try await process.rehearse("test.say", .object(params))
        return try Members(result, "result").string("message")
    }

    package func next(within limit: Duration) async throws -> ConformanceShown? {
        try await shown.next(within: limit).map(Self.shown)
    }

    private static func shown(_ value: JSONValue) throws -> ConformanceShown {
        let members = try Members(value)
        let place: Address.Place =
            try members.optionalString("room").map { .room($0) } ?? .direct(try members.string("person"))
        return ConformanceShown(
            try members.string("text"), at: place, thread: try members.optionalString("thread"),
            reader: try members.optionalString("reader"), isReplacement: try members.bool("replacement"),
            file: try members.optionalString("file"))
    }

    package func set(_ connection: ConformanceConnection) async throws {
        let state =
            switch connection {
            case .open: "open"
            case .cut: "cut"
            case .stalled: "stalled"
            }
        _ = try await process.rehearse("test.connection", ["state": .string(state)])
    }

    package func refuseNext(_ remedy: SendFailure.Remedy) async throws {
        _ = try await process.rehearse("test.refuse", ["remedy": remedy == .never ? "never" : "later"])
    }

    package func redeliver(_ message: String) async throws {
        _ = try await process.rehearse("test.redeliver", ["message": .string(message)])
    }
}
