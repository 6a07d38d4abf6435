/// A form that a person fills in, on backends that support it; see ``BackendTraits/forms``.
public struct Form: Sendable, Hashable, Codable {
    /// A field of a form.
    public struct Field: Sendable, Hashable, Codable {
        /// The type of a value.
        public enum Kind: Sendable, Hashable, Codable {
            /// One line of text.
            case text
            /// Several lines of text.
            case lines
            /// A whole number.
            case integer
            /// A number.
            case number
            /// `true` or `false`.
            case boolean
            /// One of these values.
            case choice([String])
        }

        /// The key of the value in ``ChatMessage/values``.
        public var name: String
        /// The label of the field.
        public var label: String
        /// A one-line explanation.
        public var hint: String?
        /// The type of the value.
        public var kind: Kind
        /// True if the field must not be empty.
        public var isRequired: Bool
        /// The initial value, as text.
        public var initial: String?

        /// Creates a field. The label defaults to the name.
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

    /// The title of the form.
    public var title: String
    /// The fields, in their order.
    public var fields: [Field]
    /// The label of the button that submits the form.
    public var submit: String
    /// The command line that receives the values, without the prefix. Without values it requests this form.
    public var line: String

    /// Creates a form.
    public init(_ title: String, fields: [Field], submit: String, line: String) {
        self.title = title
        self.fields = fields
        self.submit = submit
        self.line = line
    }
}

extension Form {
    /// Returns the form with these values as initial values. Values of fields for which `isSecret` returns true are
    /// left out.
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
    /// A text with one line for each field, for backends without forms.
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

/// A button below a reply. It runs a command line on behalf of the person who presses it.
public struct Button: Sendable, Hashable, Codable {
    /// The appearance of a button.
    public enum Style: String, Sendable, Codable {
        /// A button without emphasis.
        case normal
        /// The recommended action.
        case primary
        /// A destructive action.
        case danger
    }

    /// The label of the button.
    public var label: String
    /// The command line, without the prefix.
    public var line: String
    /// The appearance of the button.
    public var style: Style
    /// A question that the person has to confirm first, if any.
    public var question: String?

    /// Creates a button.
    public init(_ label: String, line: String, style: Style = .normal, question: String? = nil) {
        self.label = label
        self.line = line
        self.style = style
        self.question = question
    }
}
