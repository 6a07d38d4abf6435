import JobEngine
import PetrelKit
import PetrelSupport

/// The beginning of the standard output of a job.
struct StandardOutput {
    private(set) var bytes: [UInt8] = []
    /// True if nothing is missing.
    var isWhole = true
    /// True if it contains remarks about missing bytes.
    private(set) var hasRemarks = false
    /// The number of bytes of the whole output, of both streams.
    private var size: Int64 = 0

    /// Adds the bytes of standard output in a part of a log.
    mutating func add(_ part: LogPart, limit: Int) {
        size = part.extent.end
        if part.extent.start > 0 { isWhole = false }
        var rest = Int64(part.extent.end) - part.next
        for piece in part.pieces where [ProgramStream.output.rawValue, LogPart.remarks].contains(piece.stream) {
            if piece.stream == LogPart.remarks { hasRemarks = true }
            let room = limit - bytes.count
            bytes.append(contentsOf: piece.bytes.prefix(room))
            if piece.bytes.count > room { rest += 1 }
        }
        if bytes.count >= limit, rest > 0 { isWhole = false }
    }

    /// Returns the text, cut at a line, with a notice about what is missing.
    /// - Parameter command: the line that shows the output; nil if the output is not kept.
    func text(_ command: String?, lines: Int = .max) -> String {
        let all = OverwrittenLines.final(of: bytes)
        var shown = OutputExcerpt.first(lines, of: all)
        let isWhole = isWhole && shown.count == all.count
        if !isWhole { shown = shown.lastIndex(of: 0x0A).map { shown[...$0] } ?? shown.withoutBrokenEnd }
        let text = String(decoding: shown, as: UTF8.self)
        let whole = text.withoutLineEnd
        if isWhole { return whole }
        guard let command else { return "\(whole)\n\(OutputExcerpt.notKept)" }
        return "\(whole)\n… The output has \(Humanized.size(Double(size))): \(command) shows all of it."
    }
}
