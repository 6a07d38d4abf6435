import Foundation
import PetrelKit
import PetrelStore
import PetrelTesting
import Testing

@Suite struct LogTests {
    private func logs() throws -> any LogCollection { try Store().storage(for: "m").logs("jobs") }

    private func text(_ part: LogPart) -> String { String(decoding: part.bytes, as: UTF8.self) }

    @Test func `A log is read as it was appended, with its streams in order`() async throws {
        let logs = try logs()
        try await logs.append(Array("out ".utf8), stream: 1, to: "a")
        try await logs.append(Array("more\n".utf8), stream: 1, to: "a")
        try await logs.append(Array("err\n".utf8), stream: 2, to: "a")
        try await logs.append(Array("other".utf8), stream: 1, to: "b")
        let part = try await logs.read("a", from: 0, limit: 1_000)
        #expect(part.pieces.map(\.stream) == [1, 2] && text(part) == "out more\nerr\n")
        #expect(part.extent == LogExtent(start: 0, end: 13))
        #expect(try await text(logs.read("a", from: 4, limit: 6)) == "more\ne")
        #expect(try await text(logs.read("a", from: 99, limit: 6)) == "")
        #expect(try await logs.extent(of: "none") == nil)
        #expect(try await logs.read("none", from: 0, limit: 5).pieces.isEmpty)
    }

    @Test func `Head and tail return lines`() async throws {
        let logs = try logs()
        for index in 1...20_000 { try await logs.append(Array("line \(index)\n".utf8), stream: 1, to: "a") }
        try await logs.append(Array("end".utf8), stream: 1, to: "a")
        #expect(try await text(logs.head(of: "a", lines: 2)) == "line 1\nline 2\n")
        #expect(try await text(logs.tail(of: "a", lines: 2)) == "line 20000\nend")
        #expect(try await logs.tail(of: "a", lines: 15_000).bytes.count { $0 == 0x0A } == 14_999)
        #expect(try await logs.head(of: "a", lines: 15_000).bytes.count { $0 == 0x0A } == 15_000)
        #expect(try await logs.tail(of: "a", lines: 0).pieces.isEmpty)
        // No more than the limit, even if the lines are longer.
        #expect(try await logs.tail(of: "a", lines: 10_000, limit: 100).bytes.count == 100)
        #expect(try await logs.head(of: "a", lines: 10_000, limit: 100).bytes.count == 100)
        #expect(try await text(logs.tail(of: "a", lines: 99_999)) == text(logs.head(of: "a", lines: 99_999)))
    }

    @Test func `A log keeps the places of its bytes when its beginning is removed`() async throws {
        let logs = try logs()
        for byte in 0..<10 as Range<UInt8> {
            try await logs.append(Array(repeating: byte, count: 64 << 10), stream: 1, to: "a")
        }
        try await logs.trim("a", toBytes: 200_000)
        let extent = try #require(try await logs.extent(of: "a"))
        #expect(extent.end == 655_360 && extent.end - extent.start <= 200_000 && extent.end - extent.start > 130_000)
        let part = try await logs.read("a", from: 0, limit: 1)
        #expect(part.place == extent.start && part.bytes == [7])
        #expect(try await logs.read("a", from: 600_000, limit: 1).bytes == [9])
    }

    @Test func `The oldest bytes of a collection are removed first`() async throws {
        let logs = try logs()
        for name in ["a", "b", "c"] {
            try await logs.append(Array(repeating: 0x78, count: 100_000), stream: 1, to: name)
            // Each log is written in a transaction of its own, and so has a time of its own.
            _ = try await logs.extent(of: name)
        }
        #expect(try await logs.trim(toBytes: 150_000, sparing: []) >= 150_000)
        #expect(try await logs.read("a", from: 0, limit: 10).pieces.isEmpty)
        #expect(try await logs.extent(of: "c") == LogExtent(start: 0, end: 100_000))
        #expect(try await logs.names(before: .now, after: nil, limit: 2) == ["a", "b"])
        #expect(try await logs.names(before: .now, after: "b", limit: 2) == ["c"])
        #expect(try await logs.names(before: .distantPast, after: nil, limit: 2) == [])
    }

    @Test func `The bytes of spared logs are removed last, and their places stay valid`() async throws {
        let logs = try logs()
        for name in ["a", "b", "c"] {
            for _ in 0..<2 { try await logs.append(Array(repeating: 0x78, count: 64 << 10), stream: 1, to: name) }
            _ = try await logs.extent(of: name)
        }
        try await logs.trim(toBytes: 300_000, sparing: ["a"])
        #expect(try await logs.extent(of: "a") == LogExtent(start: 0, end: 131_072))
        #expect(try await logs.extent(of: "b") == LogExtent(start: 131_072, end: 131_072))
        #expect(try await logs.extent(of: "c")?.start == 0)
        // The limit holds nevertheless.
        try await logs.trim(toBytes: 70_000, sparing: ["a"])
        #expect(try await logs.extent(of: "c") == LogExtent(start: 131_072, end: 131_072))
        #expect(try await logs.extent(of: "a") == LogExtent(start: 65_536, end: 131_072))
    }

    @Test func `A removed log can be written again`() async throws {
        let logs = try logs()
        try await logs.append(Array(repeating: 1, count: 5 << 20), stream: 1, to: "a")
        try await logs.remove("a")
        try await logs.append([7], stream: 1, to: "a")
        #expect(try await logs.read("a", from: 0, limit: 9).bytes == [7])
    }

    @Test func `Pages of records follow the order of their keys`() async throws {
        let records = try Store().storage(for: "m").records("r")
        for key in ["b", "a", "d", "c"] { try await records.set([1], for: key) }
        #expect(try await records.page(after: nil, limit: 2, backwards: true).map(\.key) == ["d", "c"])
        #expect(try await records.page(after: "c", limit: 9, backwards: true).map(\.key) == ["b", "a"])
        #expect(try await records.page(after: "b", limit: 1, backwards: false).map(\.key) == ["c"])
        let memory = MemoryRecords()
        for key in ["b", "a", "d", "c"] { try await memory.set([1], for: key) }
        #expect(try await memory.page(after: "c", limit: 9, backwards: true).map(\.key) == ["b", "a"])
    }
}
