import PetrelKit
import PetrelSupport

/// A built-in verb with its arguments: `help …`, `status [ID]`, `output ID`, `cancel ID`, `rerun ID`, `reload`,
/// `form [ALIAS]`, `inquiry list|show|answer`.
struct VerbCall: Sendable {
    enum Verb: String, CaseIterable, Sendable {
        case help, status, output, cancel, rerun, reload, form, inquiry
    }

    /// The syntax of the verbs, for help.
    static let usage = "status [ID], output ID, cancel ID, rerun ID, form [ALIAS], inquiry [show ID], reload"

    var verb: Verb
    /// The ID of an execution, the name of an alias, or the arguments of `help`.
    var argument: String?
    var inquiry: InquiryCall?
    /// The line for the audit log. The values of answers are masked, because they may be secret.
    var masked: String

    /// Parses a line, or returns nil if it is not a built-in verb.
    ///
    /// - Parameter values: The answers, if the line is that of a form.
    init?(_ line: String, _ values: [String: String]? = nil) {
        let words = line.words
        guard let verb = Verb.allCases.first(where: { words.first?.isKeyword($0.rawValue) == true }) else { return nil }
        self.verb = verb
        masked = line
        switch verb {
        case .inquiry:
            guard let call = InquiryCall(line, values) else { return nil }
            inquiry = call
            masked = call.masked
        case .help: argument = line.firstWord.rest
        case .reload: guard words.count == 1 else { return nil }
        case .status, .output, .cancel, .rerun, .form:
            guard words.count <= 2 else { return nil }
            argument = words.dropFirst().first
        }
    }

    /// The readings that differ from the text of the line, for the access rules.
    var readings: [LineReading] { inquiry?.readings ?? [] }
}
