import JobEngine
import PetrelKit
import PetrelSupport

/// The arguments of a call, as they were parsed before the decision.
struct JobCall: Sendable {
    /// The arguments; nil if the line cannot be split.
    var arguments: [String]?
    /// The reason for which the line cannot be split.
    var problem: String?

    /// Splits a line, and returns what the access rules and the audit log see of it.
    private static func parse(_ line: String, _ secrets: SecretArguments) -> ParsedLine {
        do {
            let split = try ArgumentLine(line)
            let texts = split.texts
            let readings: @Sendable () -> [LineReading] = {
                // A program receives the text without the marks, so rules have to allow that, too.
                guard split.arguments.contains(where: \.isQuoted) else { return [] }
                return [.text(texts.joined(separator: " "))] + texts.map { .part($0) }
            }
            return ParsedLine(JobCall(arguments: texts), masked: secrets.masked(line), readings: readings)
        } catch {
            return ParsedLine(JobCall(problem: error.description), masked: secrets.masked(line))
        }
    }
}

extension JobCall {
    /// Splits a line at white space, as CatOps does: quotation marks are part of the words.
    private static func words(_ line: String, _ secrets: SecretArguments) -> ParsedLine {
        let words = line.unicodeScalars.split { $0.properties.isWhitespace }.map {
            String(String.UnicodeScalarView($0))
        }
        return ParsedLine(
            JobCall(arguments: words),
            masked: SecretArguments.line(line, words, masked: secrets.masked(words: words)))
    }

    /// Splits the line of a command, and returns what the access rules and the audit log see of it.
    static func parse(_ line: String, of definition: CommandDefinition) -> ParsedLine {
        definition.isFunction ? words(line, definition.secrets) : parse(line, definition.secrets)
    }
}

extension JobCenter {
    /// Returns a warning about the line of an alias or a token that calls a command of jobs, if it cannot be split as it
    /// stands; nil if it can.
    func warning(aboutStored line: String, of caller: CommandCaller) -> String? {
        do {
            // Found as in chat, where names may have several words.
            guard let call = try host.rules.call(line, by: caller)?.parsed as? JobCall, let problem = call.problem
            else { return nil }
            return "Warning: as it stands, the line cannot be split into arguments. \(problem)"
        } catch {
            return "Warning: as it stands, the line cannot run. \(error)"
        }
    }
}

/// The origin of a job.
struct JobOrigin: Sendable {
    /// The person as whom it runs, and the place.
    var caller: CommandCaller
    /// The destination of the replies.
    var address: Address
    /// The short identifier of the token, if one started it.
    var token: String?
    /// The line that was typed, without the prefix; nil for one that consists of the name and the arguments.
    var text: String?
    /// The arguments as they were typed.
    var arguments = ""
}
