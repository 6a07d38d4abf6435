/// A command that matches a format, with the places of the values in it.
///
/// The access rules, the audit log and the execution of a command use one match.
package struct AliasCapture: Sendable {
    /// A named group of the format in the command.
    struct Span: Sendable {
        /// The name of the parameter.
        var name: String
        /// The offsets of the value in the scalars of the stream.
        var range: Range<Int>
    }

    /// The command.
    package let stream: CommandStream
    /// The groups that took part in the match, in the order of the format.
    let spans: [Span]
    /// The parameters of the command, in order.
    package let parameters: [AliasFormat.Parameter]

    /// All named values in the command, including those that are overridden by a later value.
    package var written: [AliasFormat.Parameter] {
        spans.map { AliasFormat.Parameter(name: $0.name, value: stream.scalars[$0.range].text) }
            + stream.pairs.map { AliasFormat.Parameter(name: $0.key, value: $0.value) }
    }

    /// The command as StackStorm interprets it, and its part without the parameters that the format does not name.
    ///
    /// Each parameter of the format is replaced with its effective value, without quotes. Other parameters follow as
    /// `name=value`. Default values are left out.
    package var reading: (whole: String, part: String) {
        let scalars = stream.scalars
        var part: [UInt32] = []
        var done = 0
        for span in spans.sorted(by: { $0.range.lowerBound < $1.range.lowerBound })
        where span.range.lowerBound >= done {
            var before = scalars[done..<span.range.lowerBound]
            if before.last.map(Self.isQuote) == true { before.removeLast() }
            part += before
            part += (parameters.first { $0.name == span.name }?.value ?? "").unicodeScalars.map(\.value)
            done = span.range.upperBound
            if done < scalars.count, Self.isQuote(scalars[done]) { done += 1 }
        }
        part += scalars[done...]
        let placed = Set(spans.map(\.name))
        var others: [String: String] = [:]
        for pair in stream.pairs where !placed.contains(pair.key) { others[pair.key] = pair.value }
        let rest = others.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
        return (part.text + rest, part.text)
    }

    private static func isQuote(_ value: UInt32) -> Bool { value == 0x22 || value == 0x27 }
}
