import CoreMetrics
import Foundation
import Logging
import PetrelKit
import PetrelStore
import PetrelSupport
import PetrelTesting
import ServiceLifecycle
import Testing

@testable import PetrelApp
@testable import PetrelCore

@Suite(.timeLimit(.minutes(30))) struct StoreKeepingTests {
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private static func entry(_ line: String, age: TimeInterval) -> AuditEntry {
        AuditEntry(
            time: .now - age, backend: "test", person: "U1", name: "@ann", room: nil, line: line, isAllowed: true,
            rule: nil, reason: "")
    }

    @Test func `each maintenance run removes expired records and sends revived messages`() async throws {
        try await withFolder { folder in
            try await Self.keep(Store(path: folder.appendingPathComponent("petrel.db").path, keys: .ephemeral()))
        }
    }

    private static func keep(_ store: Store) async throws {
        let backend = RecordingBackend()
        let pool = TaskPool()
        let delivery = try Delivery(
            to: [backend], outbox: store.outbox, pool: pool, logger: Self.logger, metrics: NOOPMetricsHandler.instance,
            limits: .unhurried)
        let clock = HastyClock()
        let keeping = StoreKeeping(store: store, delivery: delivery, days: 30, logger: Self.logger, clock: clock)
        let services = ServiceGroup(services: [keeping], logger: Self.logger)
        let day: TimeInterval = 86_400
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await pool.run() }
            group.addTask { try await services.run() }
            for round in 0..<3 {
                store.audit.record(Self.entry("old \(round)", age: 31 * day))
                store.audit.record(Self.entry("kept \(round)", age: 29 * day))
                while try await store.audit.entries(AuditQuery()).count > round + 1 { await Task.yield() }
                let number = Int64(1_000 + round)
                _ = store.outbox.add(
                    OutboxEntry(
                        number: number, reply: Reply("revived \(round)"),
                        address: Address(backend: "test", place: .room("#ops")), said: .now), nil, of: "")
                store.outbox.markDead(number, reason: "no such room") {}
                #expect(try await store.outbox.retry(number) == 1)
                #expect(await backend.next()?.reply.text == "revived \(round)")
            }
            await services.triggerGracefulShutdown()
            group.cancelAll()
        }
        #expect(try await store.audit.entries(AuditQuery()).map(\.line) == ["kept 2", "kept 1", "kept 0"])
        try store.close()
        let pauses = Set(clock.sleeps.value.map { Int(($0 / .seconds(1)).rounded()) })
        #expect(pauses == [10, 15, 3_600])
    }
}
