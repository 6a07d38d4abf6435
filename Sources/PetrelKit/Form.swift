/// Questions that a person answers in one go, where the backend can show them; see ``BackendTraits/forms``.
public struct Form: Sendable, Hashable, Codable {
    public struct Field: Sendable, Hashable, Codable {
        public enum Kind: Sendable, Hashable, Codable {
            case text
            /// Text of several lines.
            case lines
            case integer
            case number
            case boolean
            case choice([String])
        }

        /// What the answer is called; see ``ChatMessage/values``.
        public var name: String
        public var label: String
        /// A line of explanation.
        public var hint: String?
        public var kind: Kind
        public var isRequired: Bool
        /// What is there from the beginning, as text.
        public var initial: String?

        public init(
            _ name: String, label: String? = nil, hint: String? = nil, kind: Kind = .text, isRequired: Bool = false,
            initial: String? = nil
        ) {
            self.name = name
            self.label = label ?? name
            self.hint = hint
            self.kind = kind
            self.isRequired = isRequired
            self.initial = initial
        }
    }

    public var title: String
    public var fields: [Field]
    /// What the button says that sends the answers.
    public var submit: String
    /// The line that takes the answers, without the prefix; by itself it asks for this form.
    public var line: String

    public init(_ title: String, fields: [Field], submit: String, line: String) {
        self.title = title
        self.fields = fields
        self.submit = submit
        self.line = line
    }
}

extension Form {
    /// With these answers in place of what was there from the beginning, but for those that are secret.
    public func filled(with answers: [String: String], isSecret: (_ name: String) -> Bool) -> Form {
        var form = self
        for index in fields.indices {
            let name = fields[index].name
            form.fields[index].initial = isSecret(name) ? nil : answers[name]
        }
        return form
    }
}

extension Form: CustomStringConvertible {
    /// One line for each question, for where forms cannot be shown.
    public var description: String {
        fields.map { field in
            var parts = [field.isRequired ? "required" : "optional"]
            switch field.kind {
            case .choice(let choices): parts.append("one of \(choices.joined(separator: ", "))")
            case .boolean: parts.append("true or false")
            case .integer: parts.append("a whole number")
            case .number: parts.append("a number")
            case .text, .lines: break
            }
            if let initial = field.initial, !initial.isEmpty { parts.append("default \(initial)") }
            return "  \(field.name) (\(parts.joined(separator: "; ")))\(field.hint.map { ": \($0)" } ?? "")"
        }.joined(separator: "\n")
    }
}

/// What a person may press below a reply: it is as if they had typed the line, which is decided as theirs.
public struct Button: Sendable, Hashable, Codable {
    public enum Style: String, Sendable, Codable {
        case normal, primary, danger
    }

    public var label: String
    /// Without the prefix.
    public var line: String
    public var style: Style
    /// Asked before it counts.
    public var question: String?

    public init(_ label: String, line: String, style: Style = .normal, question: String? = nil) {
        self.label = label
        self.line = line
        self.style = style
        self.question = question
    }
}
