import PetrelKit
import StackStormClient

extension AliasTable {
    /// What StackStorm makes of a line where that is not what people read in it. It cuts `key=value` pairs off the end;
    /// a pair replaces a value that was typed before; quotes fall away; and what stands in `{{ … }}` is evaluated.
    func readings(of line: String) -> [LineReading] {
        guard Self.isRewritten(line) else { return [] }
        if ["{{", "{%", "{#"].contains(where: line.contains) { return [.unforeseeable] }
        switch matcher.match(line) {
        // Nothing runs.
        case .none, .ambiguous: return []
        // Where StackStorm alone knows the format, it is asked later, and takes no pairs from us.
        case .unknown: return [.text(line.filter { $0 != "\"" && $0 != "'" })]
        case .one(let match):
            guard let reading = (try? AliasFormat(match.representation))?.reading(of: CommandStream(line)) else {
                return [.unforeseeable]
            }
            return [.text(reading.whole), .part(reading.part)]
        }
    }

    /// Holds `=`, a quote or a brace: without them a line is read as it stands.
    static func isRewritten(_ line: String) -> Bool {
        line.utf8.contains { [0x3D, 0x22, 0x27, 0x7B].contains($0) }
    }
}
