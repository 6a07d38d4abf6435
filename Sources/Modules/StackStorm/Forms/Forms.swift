import PetrelKit
import PetrelSupport
import StackStormClient

/// The verb `form`, and the buttons of executions.
struct Forms: Sendable {
    /// A function that authorizes and runs a line that the user did not type.
    typealias RunLine = (_ line: String) async throws -> Reply?

    /// The name of the field for the choice of a command.
    private static let picked = "command"

    let catalog: AliasCatalog
    let callers: Callers
    let settings: StackStormModuleSettings

    private func ownLine(_ rest: String) -> String { settings.ownLine(rest) }

    /// Runs `form [ALIAS]`: shows the form of an alias, or runs the alias with the answers.
    func form(
        _ ref: String?, _ caller: Caller, _ invocation: Invocation, run: RunLine
    ) async throws -> Reply? {
        guard let table = catalog.table.value else { throw Refusal(catalog.starting) }
        let values = invocation.message.values
        guard let ref else {
            guard let picked = values?[Self.picked] else { return try pick(table, invocation) }
            return try await offer(alias(called: picked, table, invocation), caller, invocation)
        }
        let alias = try alias(called: ref, table, invocation)
        guard let values else { return try await offer(alias, caller, invocation) }
        return try await fill(alias, values, caller, invocation, run)
    }

    private func pick(_ table: AliasTable, _ invocation: Invocation) throws -> Reply {
        guard invocation.traits.forms else {
            throw Refusal("An alias is missing. Write `\(invocation.typed(ownLine("form PACK.ALIAS")))`.")
        }
        let refs = table.aliases.filter { $0.enabled && isShown($0, to: invocation) }.map(\.ref)
        guard !refs.isEmpty else { throw Refusal("There is no command that you may run from here.") }
        let field = Form.Field(Self.picked, label: "Command", kind: .choice(refs), isRequired: true)
        return Reply(
            "Which command?",
            form: Form("StackStorm", fields: [field], submit: "Next", line: ownLine("form")))
    }

    private func isShown(_ alias: Alias, to invocation: Invocation) -> Bool {
        alias.formats.contains { format in
            (format.representations + [format.display].compactMap { $0 }).contains {
                catalog.isShown($0, to: invocation)
            }
        }
    }

    /// Returns an alias by `pack.name`, or by its name if only one pack has it.
    private func alias(called name: String, _ table: AliasTable, _ invocation: Invocation) throws -> Alias {
        let candidates = table.aliases.filter {
            ($0.ref == name || $0.name == name) && $0.enabled && isShown($0, to: invocation)
        }
        if let exact = candidates.first(where: { $0.ref == name }) { return exact }
        guard let first = candidates.first else {
            throw Refusal(
                "StackStorm has no alias “\(name.prefix(60))” that you may run. Write the name of an alias, as in "
                    + "`\(invocation.typed(ownLine("form PACK.ALIAS")))`.")
        }
        guard candidates.count == 1 else {
            throw Refusal("Which one: \(candidates.map(\.ref).joined(separator: " or "))?")
        }
        return first
    }

    /// Returns the first format that a form can fill in and that the user may run.
    private func template(of alias: Alias, _ invocation: Invocation) throws -> CommandTemplate {
        let usable = alias.formats.flatMap(\.representations).filter { catalog.isShown($0, to: invocation) }
        guard let template = usable.lazy.compactMap({ CommandTemplate($0) }).first
        else { throw Refusal("\(alias.ref) has no format that a form can fill in. Please type the command.") }
        return template
    }

    /// Returns the form of an alias, or a description of its parameters if the backend has no forms.
    private func offer(_ alias: Alias, _ caller: Caller, _ invocation: Invocation) async throws -> Reply {
        let template = try template(of: alias, invocation)
        let fields = SchemaFields(try await parameters(of: alias, caller, invocation))
        let form = fields.form(for: alias, template, line: ownLine("form \(alias.ref)"))
        guard !form.fields.isEmpty else {
            let line = ownLine(template.line([:], others: []) ?? template.source)
            return Reply(
                "\(Markdown.escaped(alias.ref)) has no parameters: \(Markdown.code(invocation.typed(line))) runs it.",
                style: .markdown,
                buttons: invocation.traits.forms ? [Button("Run", line: line, style: .primary)] : [])
        }
        guard invocation.traits.forms else {
            let example = "`\(invocation.typed(ownLine(template.example)))`"
            return Reply(
                "\(alias.ref)\(alias.description.isEmpty ? "" : ": \(alias.description)")\n\(form.description)\n"
                    + "Write \(example); append any other parameter as name=value.")
        }
        return Reply(
            "Enter the parameters of \(alias.ref)\(alias.description.isEmpty ? "." : ": \(alias.description)")",
            form: form)
    }

    private func parameters(
        of alias: Alias, _ caller: Caller, _ invocation: Invocation
    ) async throws -> [String: JSONValue] {
        let schema = try await callers.call(.action(alias.actionRef), as: caller, invocation)
        catalog.actions.withLock { $0.learn(schema) }
        return schema.parameters.filter { alias.fixed?.contains($0.key) != true }
    }

    /// Runs the line with the answers, subject to the access rules for that line.
    private func fill(
        _ alias: Alias, _ values: [String: String], _ caller: Caller, _ invocation: Invocation, _ run: RunLine
    ) async throws -> Reply? {
        let template = try template(of: alias, invocation)
        let fields = SchemaFields(try await parameters(of: alias, caller, invocation))
        let form = fields.form(for: alias, template, line: ownLine("form \(alias.ref)"))
        return try await form.correctable(values, fields) {
            var answers: [String: String] = [:]
            for (name, value) in values { answers[name] = fields.typed(value, for: name) }
            return try await run(line(of: alias, template, form, answers))
        }
    }

    /// Returns the line with the answers.
    private func line(
        of alias: Alias, _ template: CommandTemplate, _ form: Form, _ values: [String: String]
    ) throws -> String {
        let known = Set(form.fields.map(\.name))
        // Normalized like a typed line, so that the dispatcher does not change the line.
        var answers = values.filter { known.contains($0.key) && !$0.value.isEmpty }.mapValues(\.typed)
        for field in form.fields where field.isRequired && answers[field.name] == nil {
            throw Refusal("\(field.name) is required. Nothing was started.")
        }
        let blanks = Set(template.blanks.map(\.name))
        // A default value need not be in the line.
        for field in form.fields where !blanks.contains(field.name) && answers[field.name] == field.initial {
            answers[field.name] = nil
        }
        let others = form.fields.map(\.name).filter { !blanks.contains($0) }
        guard let line = template.line(answers, others: others) else {
            throw Refusal(
                "These answers cannot be written as one command of \(alias.ref), because of their quotation marks or "
                    + "white space. Nothing was started.")
        }
        return line
    }

    /// Returns the buttons below an execution that was just started.
    func buttons(for id: String, isMasked: Bool, _ invocation: Invocation) -> [Button] {
        guard invocation.traits.forms else { return [] }
        var buttons = [
            Button("Output", line: ownLine("output \(id)")),
            Button(
                "Cancel", line: ownLine("cancel \(id)"), style: .danger,
                question: "This cancels the execution in StackStorm."),
        ]
        if !isMasked {
            buttons.insert(
                Button("Re-run", line: ownLine("rerun \(id)"), question: "This runs the same command once more."), at: 1
            )
        }
        return buttons
    }
}

extension Form {
    /// Runs an operation with the answers. If it fails, the form is offered again with these answers.
    func correctable(
        _ answers: [String: String], _ fields: SchemaFields, _ work: () async throws -> Reply?
    ) async throws -> Reply? {
        let filled = filled(with: answers, isSecret: fields.isSecret)
        do {
            var reply = try await work()
            if reply?.kind == .error { reply?.form = filled }
            return reply
        } catch let error as OutcomeUnknown {
            throw error
        } catch let error as any ReplyError {
            throw FormRefusal(cause: error, form: filled)
        }
    }
}

/// The error of answers that were rejected, with the form to correct them.
private struct FormRefusal: ReplyError, CustomStringConvertible {
    var cause: any ReplyError
    var form: Form?

    var reply: String { cause.reply }
    var description: String { "\(cause)" }
}

extension SchemaFields {
    /// Returns the form of an alias. The parameters for which the format has blanks come first.
    fileprivate func form(for alias: Alias, _ template: CommandTemplate, line: String) -> Form {
        // A blank may occur several times.
        var blanks: [CommandTemplate.Blank] = []
        for blank in template.blanks where !blanks.contains(where: { $0.name == blank.name }) { blanks.append(blank) }
        let initials = blanks.compactMap { blank in blank.initial.map { (blank.name, $0) } }
        let all = fields(initials: Dictionary(initials) { first, _ in first })
        let first = blanks.map { blank in
            var field = all.first { $0.name == blank.name } ?? Form.Field(blank.name, initial: blank.initial)
            field.isRequired = blank.initial == nil
            return field
        }
        let placed = Set(blanks.map(\.name))
        return Form(
            alias.name, fields: first + all.filter { !placed.contains($0.name) }, submit: "Run", line: line)
    }
}
