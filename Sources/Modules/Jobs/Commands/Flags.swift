import JobEngine
import PetrelKit
import PetrelSupport

/// The arguments of a built-in command: options such as `-limit 5`, before or after the others, with one hyphen or two.
struct Flags: Sendable {
    /// The values of the options that were given.
    private(set) var values: [String: String] = [:]
    /// The other arguments.
    private(set) var rest: [String] = []

    /// Reads a line.
    /// - Parameters:
    ///   - valued: the options with a value.
    ///   - bare: the options without a value.
    init(_ line: String, valued: [String] = [], bare: [String] = []) throws {
        var arguments: [String]
        do {
            arguments = try ArgumentLine(line).texts
        } catch {
            throw Refusal(error.description)
        }
        arguments.reverse()
        while let argument = arguments.popLast() {
            guard let (name, value) = Self.option(argument) else {
                rest.append(argument)
                continue
            }
            if bare.contains(name), value == nil {
                values[name] = ""
            } else if valued.contains(name) {
                guard let value = value ?? arguments.popLast() else { throw Refusal("-\(name) requires a value.") }
                values[name] = value
            } else {
                let known = (valued + bare).map { "-\($0)" }
                let list =
                    known.isEmpty ? "This command has no options." : "The options are \(known.joined(separator: ", "))."
                throw Refusal("Unknown option \(argument). \(list)")
            }
        }
    }

    /// Splits `-name`, `--name`, `-name=value`; nil for another argument. Phones replace two hyphens by a dash.
    private static func option(_ argument: String) -> (name: String, value: String?)? {
        let scalars = argument.unicodeScalars
        let name = scalars.drop { $0 == "-" || $0 == "—" || $0 == "–" }
        guard name.startIndex > scalars.startIndex, let first = name.first, first.properties.isAlphabetic else {
            return nil
        }
        guard let equals = name.firstIndex(of: "=") else { return (String(name), nil) }
        return (String(name[..<equals]), String(name[name.index(after: equals)...]))
    }

    /// Returns whether an option without a value was given.
    func has(_ name: String) -> Bool { values[name] != nil }

    /// Returns the value of `-limit`.
    /// - Parameter lines: the number of lines that a reply shows; nil for no limit.
    func limit(_ fallback: Int = 5, most: Int = 200, lines: Int? = nil) throws -> Int {
        let most = min(most, lines ?? most)
        guard let text = values["limit"] else { return min(fallback, most) }
        guard let limit = Int(text), (1...most).contains(limit) else {
            throw Refusal("-limit must be a whole number from 1 to \(most), not \(text).")
        }
        return limit
    }

    /// Returns the value of `-status`; nil for every status.
    func status() throws -> JobRecord.Status? {
        try values["status"].map { try JobRecord.Status.required($0) }
    }

    /// Returns the number of a job; nil if none was given.
    func job() throws -> Int? {
        guard let text = rest.first else { return nil }
        guard rest.count == 1 else {
            throw Refusal("Only one job ID is possible, not \(rest.joined(separator: ", ")).")
        }
        guard let id = Int(text), id > 0, text.utf8.first != UInt8(ascii: "+") else {
            throw Refusal("Invalid job ID \(text): it is a whole number, such as 12.")
        }
        return id
    }

    /// Returns the number of a job, which is required.
    func requiredJob() throws -> Int {
        guard let job = try job() else { throw Refusal("No job ID was given. Write it after the command.") }
        return job
    }

    /// Refuses arguments other than options.
    func refuseRest() throws {
        if let first = rest.first { throw Refusal("Unexpected argument “\(first)”.") }
    }
}
