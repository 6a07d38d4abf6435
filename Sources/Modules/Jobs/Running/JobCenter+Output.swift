import Foundation
import JobEngine
import PetrelKit
import PetrelSupport

extension JobCenter {
    /// Returns the line that shows the output of a job; nil if records are not kept.
    func logs(of job: JobRecord) -> String? { keepsRecords ? typed("logs \(job.id)") : nil }

    /// Returns the sentence about an output that cannot be read.
    func unreadable(_ job: JobRecord) -> String {
        let text = "The output cannot be read"
        return logs(of: job).map { "\(text) at the moment; \($0) shows it." } ?? "\(text)."
    }

    /// Returns the number of bytes of output that a reply shows.
    func excerptLimit(on backend: String) -> Int {
        guard let traits = host.chat.traits(of: backend) else { return 2_000 }
        // Long texts are sent as a file.
        if traits.files { return 512 << 10 }
        return min(max(traits.maximumLength - 500, 500), 8_000)
    }

    /// The maximum number of lines that a result shows.
    private static let usualLines = 100

    /// Returns the number of lines of output that a reply shows; nil for no limit.
    func lineLimit(on backend: String) -> Int? {
        guard let traits = host.chat.traits(of: backend) else { return nil }
        return traits.files ? .max : traits.maximumLines
    }

    /// Returns the number of lines of output that a result shows.
    func resultLines(on backend: String) -> Int { lineLimit(on: backend) ?? Self.usualLines }

    /// Returns the beginning or the end of the output of a job, for its reply.
    func excerpt(of job: JobRecord, limit: Int, fromEnd: Bool) async throws -> OutputExcerpt {
        let lines = resultLines(on: job.address.backend)
        return fromEnd
            ? try await end(of: job, limit: limit, lines: lines)
            : try await part(of: job, from: 0, limit: limit, lines: lines)
    }

    /// The number of bytes of output that are read for a reply, while most of them are overwritten, as by a progress bar.
    private static let longestSearch = 4 << 20
    /// The number of bytes that are read at once.
    private static let step = 64 << 10

    /// Returns a part of the output of a job, from a place on.
    /// - Parameter keepsStates: True if lines are shown in all of their states.
    func part(
        of job: JobRecord, from place: Int64, limit: Int, lines: Int, keepsStates: Bool = false
    ) async throws -> OutputExcerpt {
        var part = try await logs.read(job.key, from: place, limit: limit)
        var text = TerminalText(at: part.place, keepsStates: keepsStates)
        var extent = part.extent
        text.add(part.bytes)
        while text.bytes.count < limit, text.next < extent.end, text.next - text.start < Self.longestSearch {
            part = try await logs.read(job.key, from: text.next, limit: Self.step)
            // The beginning of a long output is removed while it grows.
            guard part.place == text.next, !part.pieces.isEmpty else { break }
            extent = part.extent
            text.add(part.bytes)
        }
        return OutputExcerpt(text, of: extent, limit: limit, lines: lines, isTail: false)
    }

    private func end(of job: JobRecord, limit: Int, lines: Int) async throws -> OutputExcerpt {
        var span = Int64(limit)
        while true {
            let extent = try await logs.extent(of: job.key) ?? LogExtent(start: 0, end: 0)
            let part = try await logs.read(job.key, from: max(extent.end - span, extent.start), limit: Int(span))
            var text = TerminalText(at: part.place)
            text.add(part.bytes)
            let isAll = text.bytes.count >= limit || text.start <= part.extent.start || span >= Self.longestSearch
            if isAll { return OutputExcerpt(text, of: part.extent, limit: limit, lines: lines, isTail: true) }
            span = min(span * 8, Int64(Self.longestSearch))
        }
    }

    /// Returns the first or the last lines of the output of a job, or those that have no more bytes than the limit.
    func lines(_ count: Int, of job: JobRecord, limit: Int, fromEnd: Bool) async throws -> OutputExcerpt {
        let most = 1 << 20
        let part =
            fromEnd
            ? try await logs.tail(of: job.key, lines: count, limit: most)
            : try await logs.head(of: job.key, lines: count, limit: most)
        var text = TerminalText(at: part.place)
        text.add(part.bytes)
        let isWhole = part.next - part.place < Int64(most)
        return OutputExcerpt(text, of: part.extent, limit: limit, lines: count, isTail: fromEnd, isWhole: isWhole)
    }
}
