import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@Suite struct RecordingBackendTests {
    @Test func `a missing reply is reported with its place`() async {
        let messages = Locked<[String]>([])
        let backend = RecordingBackend(onTimeout: { message in messages.withLock { $0.append(message) } })
        #expect(await backend.next(within: .milliseconds(1)) == nil)
        #expect(await backend.nextCompleted(within: .milliseconds(1)) == nil)
        #expect(messages.value.count == 2)
        #expect(messages.value.allSatisfy { $0.hasPrefix("PetrelKitTests/RecordingBackendTests.swift:") })
        #expect(messages.value.first?.contains("the backend test got no reply within") == true)
    }

    @Test func `an expected reply is not reported`() async throws {
        let messages = Locked<[String]>([])
        let backend = RecordingBackend(onTimeout: { message in messages.withLock { $0.append(message) } })
        _ = try await backend.send(Reply("text"), to: Address(backend: "test", place: .room("#ops")))
        #expect(await backend.next()?.reply.text == "text")
        #expect(messages.value.isEmpty)
    }
}
