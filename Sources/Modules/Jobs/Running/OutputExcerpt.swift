import Foundation
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

    /// The notice about output that is neither shown nor kept.
    static let notKept = "… The rest of the output was not kept."

    /// Creates an excerpt from a part of a log.
    /// - Parameter isTail: true if the part ends at the end of the output, so that its beginning is cut at a line.
    init(_ part: LogPart, isTail: Bool) {
        var bytes = part.bytes[...]
        // The beginning of a line may have been removed with what was before it.
        let isRemoved = part.place == part.extent.start && part.extent.start > 0
        if isTail && part.place > part.extent.start || isRemoved {
            bytes = Self.withoutBrokenLine(bytes)
        } else if part.place > part.extent.start {
            bytes = Self.withoutBrokenScalar(bytes)
        }
        if !isTail, part.next < part.extent.end {
            let end = bytes.lastIndex(of: 0x0A).map { $0 + 1 } ?? Self.endOfScalars(bytes)
            bytes = bytes[..<end]
        }
        let start = Int64(bytes.startIndex)
        before = isRemoved ? 0 : part.place - part.extent.start + start
        after = part.extent.end - part.place - Int64(bytes.endIndex)
        removed = part.extent.start + (isRemoved ? start : 0)
        size = part.extent.end
        text = String(decoding: bytes, as: UTF8.self)
        if let last = bytes.last, last != 0x0A { text += "\n" }
    }

    /// Removes the rest of a line whose beginning is missing, unless nothing would be left.
    private static func withoutBrokenLine(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard let end = bytes.firstIndex(of: 0x0A), end < bytes.endIndex - 1 else { return withoutBrokenScalar(bytes) }
        return bytes[(end + 1)...]
    }

    /// Removes the rest of a character whose beginning is missing.
    private static func withoutBrokenScalar(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        bytes.dropFirst(bytes.prefix(3).prefix { UTF8.isContinuation($0) }.count)
    }

    /// Returns the end of the last whole character.
    private static func endOfScalars(_ bytes: ArraySlice<UInt8>) -> Int {
        let rest = bytes.suffix(4)
        guard let lead = rest.lastIndex(where: { !UTF8.isContinuation($0) }) else { return bytes.endIndex }
        let length = rest[lead] >= 0xF0 ? 4 : rest[lead] >= 0xE0 ? 3 : rest[lead] >= 0xC0 ? 2 : 1
        return lead + length > bytes.endIndex && lead > bytes.startIndex ? lead : bytes.endIndex
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

    /// Returns the beginning or the end of the output of a job.
    func excerpt(of job: JobRecord, limit: Int, fromEnd: Bool) async throws -> OutputExcerpt {
        if fromEnd {
            let extent = try await logs.extent(of: job.key) ?? LogExtent(start: 0, end: 0)
            let start = max(extent.end - Int64(limit), extent.start)
            return OutputExcerpt(try await logs.read(job.key, from: start, limit: limit), isTail: true)
        }
        return OutputExcerpt(try await logs.read(job.key, from: 0, limit: limit), isTail: false)
    }
}
