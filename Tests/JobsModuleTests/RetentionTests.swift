import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import JobsModule

@Suite struct RetentionTests {
    @Test func `Old jobs are removed with their output, and those that run are not`() async throws {
        let house = try JobsHouse([
            "commands": [
                "x": ["command": "echo", "args": ["hello"], "auth_strategy": "any", "no_handshake": true],
                "y": ["command": "sh", "args": ["-c", "echo up; exec sleep 300"], "auth_strategy": "any"],
            ],
            "templates": ["handshake": "accepted", "success": "{{ output }}", "failure": "{{ error }}"],
        ])
        try await house.run { house in
            let center = try #require(house.modules.compactMap { $0 as? JobsModule }.first).center
            for _ in 0..<3 { #expect(await house.ask("!x") == "hello\n") }
            #expect(await house.ask("!y") == "accepted")
            while await !house.ask("!tail").contains("up") {}
            // Nothing is as old as the retention setting.
            try await center.trim()
            #expect(await house.ask("!logs 1") == "hello\n")
            #expect(try await center.book.purge(before: .now, center.logs) == 3)
            for number in 1...3 {
                #expect(await house.ask("!job \(number)").contains("There is no job \(number) of yours"))
                #expect(try await center.logs.extent(of: JobRecord.key(number)) == nil)
            }
            let jobs = await house.ask("!jobs")
            #expect(jobs.hasPrefix("4 - ") && !jobs.contains("3 - "))
            #expect(await house.ask("!tail").contains("up"))
        }
    }

    @Test func `Of an output that was removed as a whole, its size is told`() async throws {
        let house = try JobsHouse([
            "commands": ["x": ["command": "echo", "args": ["hello"], "auth_strategy": "any", "no_handshake": true]],
            "templates": ["success": "{{ output }}"],
        ])
        try await house.run { house in
            let center = try #require(house.modules.compactMap { $0 as? JobsModule }.first).center
            #expect(await house.ask("!x") == "hello\n")
            try await center.logs.trim(toBytes: 0)
            for line in ["!tail 1", "!head 1", "!logs 1"] {
                let text = await house.ask(line)
                #expect(text.contains("The output of job 1, 6 B, was removed because of its age or size."), "\(text)")
            }
        }
    }

    @Test func `The output of a job that has run for longer than the retention is kept`() async throws {
        let store = try TestStore()
        let house = try JobsHouse(
            [
                "commands": [
                    "y": ["command": "sh", "args": ["-c", "echo up; exec sleep 300"], "auth_strategy": "any"]
                ],
                "templates": ["handshake": "accepted", "failure": "{{ error }}"], "stop_timeout": 1,
            ], store: store)
        try await house.run { house in
            let center = try #require(house.modules.compactMap { $0 as? JobsModule }.first).center
            #expect(await house.ask("!y") == "accepted")
            while await !house.ask("!tail").contains("up") {}
            try await center.trim(before: .now)
            #expect(await house.ask("!tail").contains("up"))
        }
    }
}
