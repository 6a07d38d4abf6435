import Foundation
import PetrelKit
import PetrelSupport
import Stencil

/// A template of a reply, in the language of Stencil.
struct ReplyTemplate: Sendable {
    /// The text of the template.
    let text: String

    init(_ text: String) { self.text = text }

    /// The default template.
    static func standard(_ occasion: ReplyOccasion) -> ReplyTemplate {
        let output = "{% if output %}\n```\n{{ output }}```{% endif %}"
        // The answers of built-in commands are about no job.
        let job = "{% if jobid %} (job {{ jobid }}){% endif %}"
        switch occasion {
        case .handshake: return ReplyTemplate("{{ handshake|any_value }}\(job)")
        case .success: return ReplyTemplate("{{ userlink }} {{ success|any_value }}\(job)\(output)")
        case .failure:
            return ReplyTemplate(
                "{{ userlink }} {{ failure|any_value }}: {{ error }} (job {{ jobid }}, {{ command }})\(output)")
        case .unknowncommand: return ReplyTemplate("{{ userlink }} {{ unknowncommand|any_value }} {{ command }}")
        case .unauthorized:
            return ReplyTemplate("{{ userlink }} {{ unauthorized|any_value }} {{ command }}: {{ error }}")
        }
    }

    /// Returns the text for values. A template that was checked with ``problem()`` does not fail.
    func render(_ values: ReplyValues) throws -> String {
        // A fence has to be longer than every run of backticks in the output.
        let mark = TextBlock.mark(around: values.output[...].textLines)
        let source = mark == TextBlock.mark ? text : text.replacing(TextBlock.mark, with: mark)
        return try Template(templateString: source, environment: Self.environment).render(values.context)
    }

    /// Returns the reason for which the template cannot be used, as a clause; nil if it can. Every name in it is
    /// checked, also in branches that are not taken.
    func problem() -> String? {
        let names = TemplateNames(text, texts: ReplyValues.texts, lists: ReplyValues.lists)
        if let problem = names.problem { return problem }
        do {
            for sample in ReplyValues.samples { _ = try render(sample) }
            _ = try ReplyTemplate(names.unconditional).render(ReplyValues.full)
            for (content, loopVariable) in names.expressions {
                if let problem = try Self.emptiness(of: content, in: loopVariable) { return problem }
            }
            return nil
        } catch {
            let text = "\(error)".unicodeScalars.split { $0.isLineEnd }.map { String(String.UnicodeScalarView($0)) }
            return "is not a valid template: \(text.joined(separator: " "))"
        }
    }

    /// Returns the reason for which a `{{ }}` cannot be used, as a clause: Stencil renders what it cannot read as nothing.
    private static func emptiness(of content: String, in loopVariable: String?) throws -> String? {
        let tag = "{{\(content)}}"
        let template = loopVariable.map { "{% for \($0) in handshake %}\(tag){% endfor %}" } ?? tag
        guard try ReplyTemplate(template).render(ReplyValues.many).isEmpty else { return nil }
        return "contains \(tag), which is always empty"
    }

    private static var environment: Environment {
        let filters = Extension()
        filters.registerFilter("any_value") { value in
            guard let value else { return nil }
            guard let list = value as? [Any] else { throw TemplateSyntaxError("any_value needs a list") }
            return list.randomElement()
        }
        filters.registerFilter("humanize_time") { value in
            guard let value else { return nil }
            guard let date = value as? Date else { throw TemplateSyntaxError("humanize_time needs a time") }
            return Humanized.time(date)
        }
        filters.registerFilter("humanize_size") { value in
            guard let value else { return nil }
            guard let number = Self.number(value) else { throw TemplateSyntaxError("humanize_size needs a number") }
            return Humanized.size(number)
        }
        filters.registerFilter("humanize_number") { value in
            guard let value else { return nil }
            guard let number = Self.number(value) else { throw TemplateSyntaxError("humanize_number needs a number") }
            return Humanized.number(number)
        }
        // Stencil's own end the process for a negative width, and run a text as a filter.
        for name in ["indent", "filter"] {
            filters.registerFilter(name) { _ in throw TemplateSyntaxError("there is no filter \(name)") }
        }
        return Environment(extensions: [filters])
    }

    private static func number(_ value: Any?) -> Double? {
        switch value {
        case let number as Int: Double(number)
        case let number as Double: number
        case let text as String: Double(text)
        default: nil
        }
    }
}
