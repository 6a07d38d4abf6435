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

    /// An argument, and its place in the line.
    package struct Argument: Sendable, Equatable {
        /// The text of the argument.
        package var text: String
        /// The place of the first scalar of the argument in the line, as an index of `unicodeScalars`.
        package var start: String.Index
        /// True if a part of the argument was in quotation marks or after a backslash.
        package var isQuoted: Bool
    }

    /// The arguments.
    package var arguments: [Argument] = []

    /// The texts of the arguments.
    package var texts: [String] { arguments.map(\.text) }

    /// Splits a line.
    package init(_ line: String) throws(Problem) {
        var current: (scalars: String.UnicodeScalarView, start: String.Index, isQuoted: Bool)?
        let scalars = line.unicodeScalars
        var index = scalars.startIndex
        while index < scalars.endIndex {
            let (start, scalar) = (index, scalars[index])
            scalars.formIndex(after: &index)
            var argument = current ?? (String.UnicodeScalarView(), start, false)
            switch scalar.typed {
            case "\0": throw .nul
            case " ", "\t":
                finish(&current)
                continue
            case "\"", "'", "`":
                let mark = scalar.typed
                guard let end = scalars[index...].firstIndex(where: { $0.typed == mark }) else {
                    throw .unclosed(scalar)
                }
                if scalars[index..<end].contains("\0") { throw .nul }
                argument.scalars.append(contentsOf: scalars[index..<end])
                argument.isQuoted = true
                current = argument
                finish(&current)
                index = scalars.index(after: end)
                continue
            case "\\":
                guard index < scalars.endIndex else { throw .danglingBackslash }
                if scalars[index] == "\0" { throw .nul }
                argument.scalars.append(scalars[index])
                argument.isQuoted = true
                scalars.formIndex(after: &index)
            default: argument.scalars.append(scalar)
            }
            current = argument
        }
        finish(&current)
    }

    private mutating func finish(
        _ current: inout (scalars: String.UnicodeScalarView, start: String.Index, isQuoted: Bool)?
    ) {
        guard let argument = current else { return }
        arguments.append(
            Argument(text: String(argument.scalars), start: argument.start, isQuoted: argument.isQuoted))
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
