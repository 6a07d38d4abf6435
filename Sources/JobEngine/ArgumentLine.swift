import PetrelSupport

/// A line that is split into arguments, as people type it in a chat.
///
/// Spaces and tabs separate arguments; a line break is an ordinary character. `"`, `'` and `` ` `` are equal: everything
/// up to the same mark is literal, and the closing mark ends the argument. A backslash outside of quotation marks makes
/// the next scalar ordinary. Curly quotation marks count as the straight ones.
package struct ArgumentLine: Sendable, Equatable {
    /// The error of a line that cannot be split.
    package enum Problem: Error, Equatable {
        /// A quotation mark is not closed.
        case unclosed(Unicode.Scalar)
        /// The line ends with a backslash.
        case danglingBackslash
        /// An argument contains a NUL character, which no program can receive.
        case nul
    }

    /// An argument.
    package struct Argument: Sendable, Equatable {
        /// The text of the argument.
        package var text: String
        /// True if a part of the argument was in quotation marks or after a backslash.
        package var isQuoted: Bool
    }

    /// The arguments.
    package let arguments: [Argument]

    /// The texts of the arguments.
    package var texts: [String] { arguments.map(\.text) }

    /// Splits a line.
    package init(_ line: String) throws(Problem) {
        var splitter = ArgumentSplitter(line)
        arguments = try splitter.split()
    }
}

/// Reads a line from its beginning.
private struct ArgumentSplitter {
    private var rest: Substring.UnicodeScalarView
    private var arguments: [ArgumentLine.Argument] = []
    /// The argument that is being read.
    private var current: (scalars: String.UnicodeScalarView, isQuoted: Bool)?

    init(_ line: String) { rest = line.unicodeScalars[...] }

    mutating func split() throws(ArgumentLine.Problem) -> [ArgumentLine.Argument] {
        while let scalar = rest.popFirst() {
            switch scalar.typed {
            case "\0": throw .nul
            case " ", "\t": finish()
            case "\"", "'", "`": try readQuoted(after: scalar)
            case "\\": try readEscaped()
            default: append(CollectionOfOne(scalar), isQuoted: false)
            }
        }
        finish()
        return arguments
    }

    /// Reads up to the second quotation mark, which ends the argument.
    private mutating func readQuoted(after first: Unicode.Scalar) throws(ArgumentLine.Problem) {
        let mark = first.typed
        guard let end = rest.firstIndex(where: { $0.typed == mark }) else { throw .unclosed(first) }
        if rest[..<end].contains("\0") { throw .nul }
        append(rest[..<end], isQuoted: true)
        finish()
        rest = rest[rest.index(after: end)...]
    }

    private mutating func readEscaped() throws(ArgumentLine.Problem) {
        guard let scalar = rest.popFirst() else { throw .danglingBackslash }
        if scalar == "\0" { throw .nul }
        append(CollectionOfOne(scalar), isQuoted: true)
    }

    private mutating func append(_ scalars: some Collection<Unicode.Scalar>, isQuoted: Bool) {
        var argument = current ?? (String.UnicodeScalarView(), false)
        // Without a second owner, so that appending does not copy.
        current = nil
        argument.scalars.append(contentsOf: scalars)
        argument.isQuoted = argument.isQuoted || isQuoted
        current = argument
    }

    private mutating func finish() {
        guard let argument = current else { return }
        arguments.append(ArgumentLine.Argument(text: String(argument.scalars), isQuoted: argument.isQuoted))
        current = nil
    }
}

extension ArgumentLine.Problem: CustomStringConvertible {
    /// A sentence for the person who typed the line.
    package var description: String {
        switch self {
        case .unclosed(let mark):
            "Unclosed quote on command: the \(mark) has no second one. Put a backslash before a \(mark) that is a part of an argument."
        case .danglingBackslash: "The line ends with a backslash. Write \\\\ for a backslash."
        case .nul: "An argument cannot contain a NUL character."
        }
    }
}
