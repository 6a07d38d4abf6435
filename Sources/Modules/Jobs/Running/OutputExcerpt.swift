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
    /// True if the limits have cut it.
    let isCut: Bool

    /// The notice about output that is neither shown nor kept.
    static let notKept = "… The rest of the output was not kept."

    /// Creates an excerpt from a part of an output.
    /// - Parameters:
    ///   - text: The part.
    ///   - extent: The extent of the log.
    ///   - limit: The maximum number of bytes.
    ///   - lines: The maximum number of lines.
    ///   - isTail: True if the part ends at the end of the output, so that its beginning is cut at a line.
    ///   - isWhole: True if the part consists of whole lines.
    init(
        _ text: TerminalText, of extent: LogExtent, limit: Int, lines: Int = .max, isTail: Bool, isWhole: Bool = false
    ) {
        var bytes = isTail ? text.bytes.suffix(limit) : text.bytes[...]
        var isCut = !isWhole || text.bytes.count > limit
        let isInside = bytes.startIndex > 0 || text.start > extent.start
        // The beginning of a line may have been removed with what was before it.
        let isRemoved = !isInside && extent.start > 0
        if isRemoved || isTail && isInside && isCut {
            bytes = Self.withoutBrokenLine(bytes)
        } else if isInside {
            bytes = bytes.withoutBrokenStart
        }
        removed = isRemoved ? max(text.place(after: bytes.startIndex), extent.start) : extent.start
        if !isTail, bytes.count > limit || text.next < extent.end {
            bytes = bytes.prefix(limit)
            bytes = bytes.lastIndex(of: 0x0A).map { bytes[...$0] } ?? bytes.withoutBrokenEnd
        }
        let shown = isTail ? Self.last(lines, of: bytes) : Self.first(lines, of: bytes)
        if shown.count < bytes.count { isCut = true }
        self.isCut = isCut
        before = max(text.place(after: shown.startIndex) - removed, 0)
        after = max(extent.end - text.place(after: shown.endIndex), 0)
        size = extent.end
        var last = shown
        while last.last == 0x0D { last.removeLast() }
        self.text = String(decoding: last, as: UTF8.self)
        if let end = last.last, end != 0x0A { self.text += "\n" }
    }

    /// Returns the first lines of a text.
    static func first(_ lines: Int, of bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var (seen, index) = (0, bytes.startIndex)
        while seen < lines, index < bytes.endIndex {
            if endsLine(index, bytes) { seen += 1 }
            index += 1
        }
        return bytes[..<index]
    }

    /// Returns the last lines of a text.
    private static func last(_ lines: Int, of bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var (seen, index) = (0, bytes.endIndex)
        while index > bytes.startIndex {
            // The end of the last line does not begin another one.
            if index < bytes.endIndex, endsLine(index - 1, bytes) { seen += 1 }
            if seen == lines { break }
            index -= 1
        }
        return bytes[index...]
    }

    /// Returns true if the text is shown with a line break after a byte; see ``ShownText/clean(_:)``.
    private static func endsLine(_ index: Int, _ bytes: ArraySlice<UInt8>) -> Bool {
        switch bytes[index] {
        case 0x0A, 0x0B, 0x0C: true
        // Of several ones, and of one before a line feed, the last byte counts.
        case 0x0D: index + 1 < bytes.endIndex && bytes[index + 1] != 0x0A && bytes[index + 1] != 0x0D
        case 0x85: index > bytes.startIndex && bytes[index - 1] == 0xC2
        default: false
        }
    }

    /// Removes the rest of a line whose beginning is missing, unless nothing would be left.
    private static func withoutBrokenLine(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard let end = bytes.firstIndex(of: 0x0A), end < bytes.endIndex - 1 else { return bytes.withoutBrokenStart }
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
