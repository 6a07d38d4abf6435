import PetrelKit
import PetrelSupport

/// One of Petrel's own verbs: `help …`, `status [ID]`, `output ID`, `cancel ID`, `rerun ID`, `reload`, `form [ALIAS]`,
/// `inquiry list|show|answer`.
struct VerbCall: Sendable {
    enum Verb: String, CaseIterable, Sendable {
        case help, status, output, cancel, rerun, reload, form, inquiry
    }

    /// How they are written, for help.
    static let usage = "status [ID], output ID, cancel ID, rerun ID, form [ALIAS], inquiry [show ID], reload"

    var verb: Verb
    /// Of an execution, or of an alias; for `help` what is asked.
    var argument: String?
    var inquiry: InquiryCall?
    /// The line as the audit may keep it: nobody knows yet what is secret in an answer.
    var masked: String

    /// Nil when the line is none of them.
    /// - Parameter values: the answers of a form whose line this is.
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

    /// What it amounts to besides what it says.
    var readings: [LineReading] { inquiry?.readings ?? [] }
}
