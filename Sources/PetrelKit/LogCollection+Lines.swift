extension LogCollection {
    /// The number of bytes that are read at once.
    private var step: Int { 64 << 10 }

    /// Returns the first lines of a log, or fewer if they have more bytes than the limit.
    public func head(of log: String, lines: Int, limit: Int = 1 << 20) async throws -> LogPart {
        var whole = try await read(log, from: 0, limit: min(step, limit))
        while true {
            if let cut = whole.index(afterLineFeed: lines) {
                return LogPart(place: whole.place, pieces: whole.prefix(cut), extent: whole.extent)
            }
            let count = Int(whole.next - whole.place)
            guard whole.next < whole.extent.end, count < limit else { return whole }
            let more = try await read(log, from: whole.next, limit: min(step, limit - count))
            guard !more.pieces.isEmpty, more.place == whole.next else { return whole }
            whole.pieces += more.pieces
        }
    }

    /// Returns the last lines of a log, or the end of them if they have more bytes than the limit.
    public func tail(of log: String, lines: Int, limit: Int = 1 << 20) async throws -> LogPart {
        let end = try await extent(of: log) ?? LogExtent(start: 0, end: 0)
        var whole = LogPart(place: end.end, pieces: [], extent: end)
        while whole.place > end.start, end.end - whole.place < Int64(limit) {
            let count = Int(min(Int64(step), whole.place - end.start, Int64(limit) - (end.end - whole.place)))
            let part = try await read(log, from: whole.place - Int64(count), limit: count)
            guard part.place == whole.place - Int64(count), part.next == whole.place else { break }
            whole = LogPart(place: part.place, pieces: part.pieces + whole.pieces, extent: end)
            if let cut = whole.index(beforeLastLines: lines) {
                return LogPart(
                    place: whole.place + Int64(cut), pieces: whole.suffix(from: cut), extent: end)
            }
        }
        return whole
    }
}

extension LogPart {
    private var count: Int { pieces.reduce(0) { $0 + $1.bytes.count } }

    /// Returns the number of bytes up to the line feed of this number; nil if there are fewer.
    fileprivate func index(afterLineFeed number: Int) -> Int? {
        var (seen, index) = (0, 0)
        for piece in pieces {
            for byte in piece.bytes {
                index += 1
                if byte == 0x0A { seen += 1 }
                if seen == number { return index }
            }
        }
        return number == 0 ? 0 : nil
    }

    /// Returns the number of bytes before the last lines; nil if there are fewer lines. A line feed at the end does not
    /// begin a line.
    fileprivate func index(beforeLastLines number: Int) -> Int? {
        let count = count
        if number == 0 { return count }
        var (seen, index) = (0, count)
        for piece in pieces.reversed() {
            for byte in piece.bytes.reversed() {
                if byte == 0x0A, index != count { seen += 1 }
                if seen == number { return index }
                index -= 1
            }
        }
        return nil
    }

    /// Returns the first bytes, as pieces.
    fileprivate func prefix(_ count: Int) -> [Piece] {
        var left = count
        return pieces.compactMap { piece in
            guard left > 0 else { return nil }
            defer { left -= piece.bytes.count }
            return Piece(stream: piece.stream, bytes: Array(piece.bytes.prefix(left)))
        }
    }

    /// Returns the bytes from an index on, as pieces.
    fileprivate func suffix(from index: Int) -> [Piece] {
        var skipped = index
        return pieces.compactMap { piece in
            defer { skipped = max(skipped - piece.bytes.count, 0) }
            guard piece.bytes.count > skipped else { return nil }
            return Piece(stream: piece.stream, bytes: Array(piece.bytes.dropFirst(skipped)))
        }
    }
}
