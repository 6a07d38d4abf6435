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

    /// Creates an excerpt from a part of a log.
    /// - Parameter isTail: true if the part ends at the end of the output, so that its beginning is cut at a line.
    init(_ part: LogPart, isTail: Bool) {
        var bytes = part.bytes[...]
        if isTail, part.place > part.extent.start, let end = bytes.firstIndex(of: 0x0A), end < bytes.endIndex - 1 {
            bytes = bytes[(end + 1)...]
        } else if !isTail, part.next < part.extent.end, let end = bytes.lastIndex(of: 0x0A) {
            bytes = bytes[...end]
        }
        before = part.place - part.extent.start + Int64(bytes.startIndex)
        after = part.extent.end - part.place - Int64(bytes.endIndex)
        removed = part.extent.start
        size = part.extent.end
        text = String(decoding: bytes, as: UTF8.self)
        if let last = bytes.last, last != 0x0A { text += "\n" }
    }

    /// Returns a sentence about what is missing, on a line of its own; the empty text if nothing is.
    /// - Parameter command: the line that shows the output.
    func notice(_ command: String) -> String {
        var notices: [String] = []
        if before > 0 { notices.append("\(Humanized.size(Double(before))) before this") }
        if after > 0 { notices.append("\(Humanized.size(Double(after))) after this") }
        var text = notices.isEmpty ? "" : "\n… \(notices.joined(separator: " and ")): \(command) shows the output."
        if removed > 0 { text += "\nThe first \(Humanized.size(Double(removed))) were removed." }
        return text
    }
}

extension JobCenter {
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
