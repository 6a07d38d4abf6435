import Foundation
import PetrelKit
import PetrelSupport

/// The description that a script gives of itself: in its first comment, or as JSON when it is called with `--petrel-help`.
struct ScriptHelp: Sendable, Equatable {
    /// The option with which a script prints its help. It is used only if the file contains this text: other programs
    /// might do their work instead.
    static let option = "--petrel-help"

    /// The one-line description.
    var summary = ""
    /// The description of each argument.
    var arguments: [String] = []
    /// Lines that show how the command is called.
    var examples: [String] = []
    /// Further lines that help and completion offer.
    var suggestions: [String] = []
    /// The way in which the output is answered; nil for that of the folder.
    var answer: CommandAnswer?

    private static let mostItems = 50
    private static let longestItem = 300
    /// The part of a file in which the comment is looked for.
    private static let head = 4_096
    /// The part of a file in which the option is looked for.
    private static let longestFile = 64 << 20

    /// Reads the comments of a file, in its first 20 lines: `petrel: summary` and `petrel-answer: text`.
    init(commentOf path: String) {
        guard let bytes = Self.head(of: path) else { return }
        for line in String(decoding: bytes, as: UTF8.self)[...].textLines.prefix(20) {
            if summary.isEmpty, let text = Self.comment("petrel:", in: line) { summary = Self.item(text) }
            if answer == nil, let text = Self.comment("petrel-answer:", in: line) {
                // What cannot be read must not give people the say about replies.
                answer = text.isKeyword("json") ? .json : .text
            }
        }
    }

    /// Returns the text behind a word at the beginning of a comment; nil if the line is no such comment.
    private static func comment(_ word: String, in line: Substring) -> String? {
        let scalars = line.unicodeScalars.drop { $0.isSeparator }
        let text = scalars.drop { "#/*;-\"'%".unicodeScalars.contains($0) || $0.isSeparator }
        guard text.startIndex > scalars.startIndex, text.starts(with: word.unicodeScalars) else { return nil }
        var comment = text.dropFirst(word.unicodeScalars.count).drop { $0.isSeparator }
        // The end of a comment in C or of a string in Python.
        while let last = comment.last, last.isSeparator || last == "*" || last == "/" || last == "\"" {
            comment = comment.dropLast()
        }
        return String(comment)
    }

    /// Reads the JSON that a script has printed.
    init(json bytes: [UInt8], of name: String) throws(AnswerReply.Problem) {
        let value: JSONValue
        do {
            value = try JSONValue.parse(bytes)
        } catch {
            throw AnswerReply.Problem(JSONValue.reason(of: error, in: bytes))
        }
        guard value.object != nil else { throw AnswerReply.Problem("it is \(value.typeName), not an object") }
        summary = Self.item(try AnswerReply.string(value["summary"], "summary") ?? "")
        arguments = try Self.list(value["arguments"], "arguments") { item, place throws(AnswerReply.Problem) in
            let name = try AnswerReply.string(item["name"] ?? item, place) ?? ""
            let summary = try AnswerReply.string(item["summary"], "\(place).summary") ?? ""
            return summary.isEmpty ? name : "\(name): \(summary)"
        }
        examples = try Self.lines(value["examples"], "examples", of: name)
        suggestions = try Self.lines(value["suggestions"], "suggestions", of: name)
    }

    private static func lines(_ value: JSONValue?, _ place: String, of name: String) throws(AnswerReply.Problem)
        -> [String]
    {
        try list(value, place) { item, place throws(AnswerReply.Problem) in
            let line = try AnswerReply.string(item, place) ?? ""
            let isWhole = Command.key(line.firstWord.word) == Command.key(name)
            return isWhole ? line : "\(name) \(line)"
        }
    }

    private static func list(
        _ value: JSONValue?, _ place: String,
        _ text: (JSONValue, String) throws(AnswerReply.Problem) -> String
    ) throws(AnswerReply.Problem) -> [String] {
        guard let value, value != .null else { return [] }
        guard let items = value.array else {
            throw AnswerReply.Problem("\(place) is \(value.typeName), not a list")
        }
        var list: [String] = []
        for (index, item) in items.prefix(mostItems).enumerated() {
            list.append(Self.item(try text(item, "\(place)[\(index)]")))
        }
        return list.filter { !$0.isBlank }
    }

    private static func item(_ text: String) -> String {
        String(String.UnicodeScalarView(Printable.line(text).unicodeScalars.prefix(longestItem)))
    }

    /// Returns whether a file begins with `#!`.
    static func isScript(_ path: String) -> Bool { head(of: path)?.starts(with: "#!".utf8) == true }

    /// Returns whether a file contains the text of the option.
    static func offersOption(_ path: String) -> Bool {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        // A file that cannot be read offers nothing; running it fails, too.
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        let wanted = Data(option.utf8)
        var (rest, total) = (Data(), 0)
        var buffer = [UInt8](repeating: 0, count: 256 << 10)
        while total < longestFile {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return false }
            total += count
            rest.append(contentsOf: buffer.prefix(count))
            if rest.range(of: wanted) != nil { return true }
            // The text may be in two pieces.
            rest = Data(rest.suffix(wanted.count - 1))
        }
        return false
    }

    #if os(Linux)
        /// The first bytes of programs (ELF).
        private static let machineCode: [[UInt8]] = [[0x7F, 0x45, 0x4C, 0x46]]
    #else
        /// The first bytes of programs: Mach-O for one or several processors.
        private static let machineCode: [[UInt8]] = [
            [0xFE, 0xED, 0xFA, 0xCE], [0xFE, 0xED, 0xFA, 0xCF], [0xCE, 0xFA, 0xED, 0xFE], [0xCF, 0xFA, 0xED, 0xFE],
            [0xCA, 0xFE, 0xBA, 0xBE],
        ]
    #endif

    /// Returns the reason for which the system cannot start a file because of its first line, as a clause; nil if it can.
    static func problem(ofFirstLineOf path: String) -> String? {
        guard let bytes = head(of: path) else { return nil }
        guard bytes.starts(with: "#!".utf8) else {
            if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
                return "it begins with a byte order mark; save it without one"
            }
            if machineCode.contains(where: { bytes.starts(with: $0) }) { return nil }
            return bytes.contains(0)
                ? "it is neither a script nor machine code" : "it has no first line such as #!/bin/sh"
        }
        let line = bytes.dropFirst(2).prefix { $0 != 0x0A }
        if line.last == 0x0D { return "its lines end with CR LF; save it with LF" }
        let words = String(decoding: line, as: UTF8.self).unicodeScalars.split { $0 == " " || $0 == "\t" }
        guard let program = words.first.map({ String(String.UnicodeScalarView($0)) }) else {
            return "its first line names no program"
        }
        var status = stat()
        let subject = "the program \(program) of its first line"
        guard stat(program, &status) == 0 else {
            return errno == ENOENT || errno == ENOTDIR
                ? "\(subject) does not exist" : "\(subject) cannot be found: \(String(cString: strerror(errno)))"
        }
        if status.st_mode & S_IFMT != S_IFREG { return "\(subject) is not a file" }
        return access(program, X_OK) == 0 ? nil : "\(subject) cannot be executed"
    }

    private static func head(of path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: head)
        let count = read(descriptor, &bytes, bytes.count)
        return count < 0 ? nil : Array(bytes.prefix(count))
    }
}
