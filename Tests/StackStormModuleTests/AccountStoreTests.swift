import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormClient
import Testing

@testable import StackStormModule

/// Sessions and their records.
@Suite struct AccountStoreTests {
    @Test func `credentials are not sent to another StackStorm`() async throws {
        let store = try TestStore()
        for port in [1, 2] {
            let accounts = Accounts(store.storage(for: "m").sealed("sessions"), logger: Bench.logger) { .now }
            await accounts.restore(for: "here")
            guard port == 1 else {
                let elsewhere = Accounts(store.storage(for: "m").sealed("sessions"), logger: Bench.logger) { .now }
                await elsewhere.restore(for: "elsewhere")
                #expect(await elsewhere.all().isEmpty)
                continue
            }
            await accounts.begin(
                Session(
                    id: UUID(), owner: Identity(backend: "a", id: "b"), name: "@b", account: "b", method: "token",
                    credential: .token(Secret("t")), stackStorm: "here", since: .now, until: .now + 3_600))
            #expect(await accounts.all().count == 1)
        }
    }

    @Test func `stored links and tokens that cannot be read are logged once each`() async throws {
        let lines = Locked<[String]>([])
        let logger = Logger(label: "test") { _ in CollectingLogHandler(lines) }
        let links = MemoryRecords()
        try await links.set(Array("{\"half".utf8), for: "here b")
        try await links.set(Array("[]".utf8), for: "here c")
        await Accounts(MemoryRecords(), links: links, logger: logger) { .now }.restore(for: "here")
        #expect(lines.value.filter { $0.contains("accounts that have used one StackStorm account") }.count == 1)
        let tokens = MemoryRecords()
        try await tokens.set(Array("{\"half".utf8), for: "a b")
        let client = try StackStormClient(Bench.client(port: 1), logger: Bench.logger)
        for _ in 0..<2 {
            await ImpersonatedTokens(client, tokens, for: "here", logger: logger) { .now }.restore()
        }
        #expect(lines.value.filter { $0.contains("A stored token of a user cannot be read") }.count == 1)
        #expect(lines.value.count == 2, "\(lines.value)")
    }

    @Test func `a login that was verified before it was ended in chat does not begin`() async throws {
        let clock = Locked(Date.now)
        let accounts = Accounts(MemoryRecords(), logger: Bench.logger) { clock.value }
        let owner = Identity(backend: "a", id: "b")
        func session() -> Session {
            Session(
                id: UUID(), owner: owner, name: "@b", account: "b", method: "token", credential: .token(Secret("t")),
                stackStorm: "here", since: clock.value, until: clock.value + 60)
        }
        let early = session()
        try await accounts.endAll(of: owner)
        #expect(await accounts.begin(early) == false)
        clock.withLock { $0 += 1 }
        #expect(await accounts.begin(session()))
        #expect(await accounts.all().count == 1)
    }

    @Test func `a logout that the store rejects is reported, and can be repeated`() async throws {
        let records = StubbornRecords()
        let accounts = Accounts(records, logger: Bench.logger) { .now }
        let owner = Identity(backend: "a", id: "b")
        await accounts.begin(
            Session(
                id: UUID(), owner: owner, name: "@b", account: "b", method: "token", credential: .token(Secret("t")),
                stackStorm: "here", since: .now, until: .now + 3_600))
        await #expect(throws: Refusal.self) { try await accounts.endAll(of: owner) }
        #expect(await accounts.session(of: owner) == nil)
        records.isBroken.withLock { $0 = false }
        #expect(try await accounts.endAll(of: owner))
        #expect(try await records.inner.all().isEmpty)
        #expect(try await accounts.endAll(of: owner) == false)
    }

    @Test func `different identities have different keys`() {
        #expect(Identity(backend: "a", id: "b:c").key != Identity(backend: "a:b", id: "c").key)
        #expect(Identity(backend: "1:a", id: "x").key != Identity(backend: "1", id: "a:x").key)
    }
}

/// Records that cannot be removed while ``isBroken`` is true.
private final class StubbornRecords: RecordCollection {
    let inner = MemoryRecords()
    let isBroken = Locked(true)

    func value(for key: String) async throws -> [UInt8]? { try await inner.value(for: key) }
    func all() async throws -> [(key: String, value: [UInt8])] { try await inner.all() }
    func set(_ value: [UInt8], for key: String) async throws { try await inner.set(value, for: key) }
    func replaceAll(with records: [(key: String, value: [UInt8])]) async throws {}
    func trim(to count: Int) async throws {}
    func put(_ value: [UInt8]?, for key: String) { inner.put(value, for: key) }
    func keep(_ value: [UInt8], for key: String) async { inner.put(value, for: key) }

    func remove(_ key: String) async throws {
        if isBroken.value { throw Refusal("the disk is full") }
        try await inner.remove(key)
    }
}
