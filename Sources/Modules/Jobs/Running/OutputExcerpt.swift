import Foundation
import JobEngine
import PetrelKit
import PetrelSupport

/// A part of the output of a job, cut at lines.
struct OutputExcerpt: Sendable {
    /// The text, which ends with a line feed unless it is empty.
    var text: String
    /// The number of bytes before and after the text.
    var before: Int64
    var after: Int64
    /// The number of bytes at the beginning that were removed.
    var removed: Int64
    /// The number of bytes of the whole output.
    var size: Int64
    /// True if it would be longer without the limit for lines.
    let isCutAtLines: Bool

    /// The notice about output that is neither shown nor kept.
    static let notKept = "… The rest of the output was not kept."

    /// Creates an excerpt from a part of a log.
    /// - Parameters:
    ///   - isTail: true if the part ends at the end of the output, so that its beginning is cut at a line.
    ///   - isFinal: true if only the last state of each line is shown; see ``OverwrittenLines``.
    ///   - lines: the maximum number of lines.
    init(_ part: LogPart, isTail: Bool, isFinal: Bool = true, lines: Int = .max) {
        var bytes = part.bytes[...]
        // The beginning of a line may have been removed with what was before it.
        let isRemoved = part.place == part.extent.start && part.extent.start > 0
        if isTail && part.place > part.extent.start || isRemoved {
            bytes = Self.withoutBrokenLine(bytes, orState: isFinal)
        } else if part.place > part.extent.start {
            bytes = bytes.withoutBrokenStart
        }
        if !isTail, part.next < part.extent.end {
            let line = bytes.lastIndex(of: 0x0A) ?? (isFinal ? bytes.lastIndex(of: 0x0D) : nil)
            bytes = line.map { bytes[...$0] } ?? bytes.withoutBrokenEnd
        }
        let start = Int64(bytes.startIndex)
        before = isRemoved ? 0 : part.place - part.extent.start + start
        after = part.extent.end - part.place - Int64(bytes.endIndex)
        removed = part.extent.start + (isRemoved ? start : 0)
        size = part.extent.end
        let whole = isFinal ? OverwrittenLines.final(of: bytes) : Array(bytes)
        let shown = isTail ? Self.last(lines, of: whole) : Self.first(lines, of: whole)
        let dropped = Int64(whole.count - shown.count)
        isCutAtLines = dropped > 0
        if isTail { before += dropped } else { after += dropped }
        text = String(decoding: shown, as: UTF8.self)
        if let last = shown.last, last != 0x0A { text += "\n" }
    }

    /// Returns the first lines of a text.
    static func first(_ lines: Int, of bytes: [UInt8]) -> ArraySlice<UInt8> {
        var (seen, index) = (0, 0)
        while seen < lines, index < bytes.count {
            if bytes[index] == 0x0A { seen += 1 }
            index += 1
        }
        return bytes[..<index]
    }

    /// Returns the last lines of a text.
    static func last(_ lines: Int, of bytes: [UInt8]) -> ArraySlice<UInt8> {
        // A line feed at the end does not begin a line.
        var (seen, index) = (0, bytes.last == 0x0A ? bytes.count - 1 : bytes.count)
        while index > 0 {
            if bytes[index - 1] == 0x0A { seen += 1 }
            if seen == lines { break }
            index -= 1
        }
        return bytes[index...]
    }

    /// Removes the rest of a line whose beginning is missing, unless nothing would be left.
    /// - Parameter orState: true if a carriage return begins a line anew.
    private static func withoutBrokenLine(_ bytes: ArraySlice<UInt8>, orState: Bool) -> ArraySlice<UInt8> {
        let end = bytes.firstIndex { $0 == 0x0A || orState && $0 == 0x0D }
        guard let end, end < bytes.endIndex - 1 else { return bytes.withoutBrokenStart }
        return bytes[(end + 1)...]
    }

    /// Returns a sentence about what is missing, on a line of its own; the empty text if nothing is.
    /// - Parameter command: the line that shows the output; nil if the output is not kept.
    func notice(_ command: String?) -> String {
        guard let command else { return before > 0 || after > 0 ? "\n\(Self.notKept)" : "" }
        var notices: [String] = []
        if before > 0 { notices.append("\(Humanized.size(Double(before))) before this") }
        if after > 0 { notices.append("\(Humanized.size(Double(after))) after this") }
        let text = notices.isEmpty ? "" : "\n… \(notices.joined(separator: " and ")): \(command) shows the output."
        return text + removalNotice
    }

    /// A sentence about what was removed, on a line of its own; the empty text if nothing was.
    var removalNotice: String { removed > 0 ? "\nThe first \(Humanized.size(Double(removed))) were removed." : "" }
}

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

    /// The number of bytes in which lines are looked for that are shown.
    private static let longestWindow = 1 << 20

    /// Returns the beginning or the end of the output of a job. If most of that was overwritten, as by a progress bar,
    /// it is taken from a larger part of the output.
    func excerpt(of job: JobRecord, limit: Int, fromEnd: Bool) async throws -> OutputExcerpt {
        var window = limit
        var excerpt = try await excerpt(of: job, window: window, fromEnd: fromEnd)
        while excerpt.text.utf8.count < limit / 2, !excerpt.isCutAtLines, excerpt.before + excerpt.after > 0,
            window < Self.longestWindow
        {
            window = min(window * 8, Self.longestWindow)
            let larger = try await self.excerpt(of: job, window: window, fromEnd: fromEnd)
            guard larger.text.utf8.count <= limit else { break }
            excerpt = larger
        }
        return excerpt
    }

    private func excerpt(of job: JobRecord, window: Int, fromEnd: Bool) async throws -> OutputExcerpt {
        var place: Int64 = 0
        if fromEnd {
            let extent = try await logs.extent(of: job.key) ?? LogExtent(start: 0, end: 0)
            place = max(extent.end - Int64(window), extent.start)
        }
        let lines = resultLines(on: job.address.backend)
        return OutputExcerpt(
            try await logs.read(job.key, from: place, limit: window), isTail: fromEnd, lines: lines)
    }
}
