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
            try await center.logs.trim(toBytes: 0, sparing: [])
            for line in ["!tail 1", "!head 1", "!logs 1"] {
                let text = await house.ask(line)
                #expect(text.contains("The output of job 1, 6 B, was removed because of its age or size."), "\(text)")
            }
        }
    }

    /// A command that prints a line, waits for a file, and prints another line.
    private static func quiet(_ gate: String) -> JSONValue {
        [
            "command": "sh", "auth_strategy": "any", "timeout": 0,
            "args": ["-c", .string("echo first; until [ -e \(gate) ]; do sleep 0.05; done; echo last")],
        ]
    }

    @Test func `The output of a job that runs is kept, however long ago it was written`() async throws {
        let gate = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        defer { try? FileManager.default.removeItem(atPath: gate) }
        let house = try JobsHouse([
            "commands": ["quiet": Self.quiet(gate)],
            "templates": ["handshake": "accepted", "success": "{{ output }}"],
        ])
        try await house.run { house in
            let center = try #require(house.modules.compactMap { $0 as? JobsModule }.first).center
            #expect(await house.ask("!quiet") == "accepted")
            while await !house.ask("!tail").contains("first") {}
            try await center.logs.append(Array("stray".utf8), stream: 1, to: JobRecord.key(77))
            #expect(await center.logs.written())
            let later = Date.now + 1_000 * 86_400
            try await center.trim(at: later)
            #expect(try await center.logs.extent(of: JobRecord.key(77)) == nil)
            #expect(await house.ask("!tail") == "first\n")
            try Data().write(to: URL(fileURLWithPath: gate))
            #expect(await house.next() == "first\nlast\n")
            // It goes with its record.
            try await center.trim(at: later)
            #expect(try await center.logs.extent(of: JobRecord.key(1)) == nil)
        }
    }

    @Test func `For the size of all output, that of jobs that run is removed last`() async throws {
        let gate = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        defer { try? FileManager.default.removeItem(atPath: gate) }
        let house = try JobsHouse([
            "retention_mb": 1,
            "commands": [
                "quiet": Self.quiet(gate),
                "big": [
                    "command": "sh", "args": ["-c", "head -c 700000 /dev/zero | tr '\\0' x"], "auth_strategy": "any",
                    "no_handshake": true,
                ],
            ],
            "templates": ["handshake": "accepted", "success": "{{ size }} {{ jobid }}"],
        ])
        try await house.run { house in
            let center = try #require(house.modules.compactMap { $0 as? JobsModule }.first).center
            #expect(await house.ask("!quiet") == "accepted")
            while await !house.ask("!tail 1").contains("first") {}
            for number in 2...3 { #expect(await house.ask("!big").hasPrefix("700000 \(number)")) }
            try await center.trim()
            #expect(try await center.logs.extent(of: JobRecord.key(1)) == LogExtent(start: 0, end: 6))
            #expect(try #require(await center.logs.extent(of: JobRecord.key(2))).start > 0)
            try Data().write(to: URL(fileURLWithPath: gate))
            #expect(await house.next().hasPrefix("11 1"))
        }
    }
}
