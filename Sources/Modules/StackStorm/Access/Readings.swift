import PetrelKit
import StackStormClient

extension AliasTable {
    /// What StackStorm's parser makes of a line where that is not what people read in it. It cuts `key=value` pairs off
    /// the end, wherever else their text stands; a pair replaces a value that was typed before; and quotes fall away.
    func readings(of line: String) -> [String] {
        guard line.utf8.contains(where: Self.isRewritten) else { return [] }
        let stream = CommandStream(line)
        var readings = [stream.text]
        if case .one(let match) = matcher.match(line), let format = try? AliasFormat(match.representation),
            let filled = format.filled(with: match.parameters)
        {
            readings.append(filled)
        } else {
            // Nobody knows what becomes of it: at least it is looked at without quotes.
            readings.append(stream.text.filter { $0 != "\"" && $0 != "'" })
        }
        return readings
    }

    /// `=`, `"`, `'` and `{`: without them a line is read as it stands.
    private static func isRewritten(_ byte: UInt8) -> Bool { [0x3D, 0x22, 0x27, 0x7B].contains(byte) }
}
