import JobEngine
import PetrelKit
import PetrelSupport

/// The beginning of the standard output of a job.
struct StandardOutput {
    private var content: TerminalText
    /// True if nothing is missing.
    var isWhole = true
    /// True if it contains remarks about missing bytes.
    private(set) var hasRemarks = false
    /// The number of bytes of the whole output, of both streams.
    private var size: Int64 = 0

    /// Creates an empty output.
    /// - Parameter keepsStates: True if its bytes are kept as they are, for output that is no text.
    init(keepsStates: Bool) { content = TerminalText(at: 0, keepsStates: keepsStates) }

    /// The bytes.
    var bytes: [UInt8] { content.bytes }

    /// Adds the bytes of standard output in a part of a log.
    mutating func add(_ part: LogPart, limit: Int) {
        size = part.extent.end
        if part.extent.start > 0 { isWhole = false }
        var rest = Int64(part.extent.end) - part.next
        for piece in part.pieces where [ProgramStream.output.rawValue, LogPart.remarks].contains(piece.stream) {
            if piece.stream == LogPart.remarks { hasRemarks = true }
            var left = piece.bytes[...]
            while !left.isEmpty, content.bytes.count < limit {
                let first = left.prefix(limit - content.bytes.count)
                content.add(first)
                left = left.dropFirst(first.count)
            }
            if !left.isEmpty { rest += 1 }
        }
        if bytes.count >= limit, rest > 0 { isWhole = false }
    }

    /// Returns the text, cut at a line, with a notice about what is missing.
    /// - Parameter command: the line that shows the output; nil if the output is not kept.
    func text(_ command: String?, lines: Int = .max) -> String {
        var shown = OutputExcerpt.first(lines, of: bytes[...])
        let isWhole = isWhole && shown.count == bytes.count
        if !isWhole { shown = shown.lastIndex(of: 0x0A).map { shown[...$0] } ?? shown.withoutBrokenEnd }
        let text = String(decoding: shown, as: UTF8.self)
        let whole = text.withoutLineEnd
        if isWhole { return whole }
        guard let command else { return "\(whole)\n\(OutputExcerpt.notKept)" }
        return "\(whole)\n… The output has \(Humanized.size(Double(size))): \(command) shows all of it."
    }
}
