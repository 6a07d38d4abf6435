import PetrelKit
import PetrelSupport
import StackStormClient

/// The verb `inquiry`, which lists, shows and answers the inquiries of workflows.
struct Inquiries: Sendable {
    /// The time after the last command during which inquiries are polled: an execution without an announced result can
    /// have inquiries too.
    private static let attention = Duration.seconds(3_600)

    private let client: StackStormClient
    private let callers: Callers
    private let executions: StartedExecutions
    private let settings: StackStormModuleSettings
    private let host: ModuleHost
    let watch: InquiryWatch

    init(
        _ client: StackStormClient, _ callers: Callers, _ results: Results, _ settings: StackStormModuleSettings,
        _ host: ModuleHost
    ) {
        self.client = client
        self.callers = callers
        executions = results.started
        self.settings = settings
        self.host = host
        watch = InquiryWatch(
            client, host: host, executions: results.started,
            interval: min(max(settings.gracePeriod / 20, .milliseconds(100)), .seconds(3))
        ) {
            results.open.count > 0
                || results.lastStart.value.map { $0.duration(to: .now) < Self.attention } ?? false
        } question: { inquiry, started in
            Self.question(inquiry, of: started, settings) { host.bot.prefix + $0 }
        }
    }

    private func ownLine(_ rest: String) -> String { settings.ownLine(rest) }

    func run(_ call: InquiryCall, _ caller: Caller, _ invocation: Invocation) async throws -> Reply? {
        switch call.kind {
        case .list: return try await inquiries(invocation)
        case .show(let id): return try await show(id, invocation)
        case .malformed(let id):
            throw Refusal(
                "Write the answer as `\(invocation.typed(ownLine("inquiry answer \(id) name=value …")))`, such as "
                    + "approved=yes.")
        case .answer(let id, _, isGiven: false): return try await show(id, invocation)
        case .answer(let id, let answers, isGiven: true): return try await answer(id, answers, caller, invocation)
        }
    }

    /// Lists the inquiries of executions that were started in this conversation or by the user, or of all executions
    /// that were started from chat if the user is an administrator.
    private func inquiries(_ invocation: Invocation) async throws -> Reply {
        var lines: [String] = []
        for inquiry in try await client.call(.pendingInquiries()).items {
            guard let started = try await executions.first(of: inquiry.ancestors), concerns(started, invocation) else {
                continue
            }
            let names = SchemaFields(inquiry: inquiry.schema).names.joined(separator: ", ")
            lines.append("\(inquiry.id) of \(started.alias) (\(started.line)): \(names)")
        }
        guard !lines.isEmpty else { return Reply("No execution that was started here waits for an answer.") }
        let how = "`\(invocation.typed(ownLine("inquiry show ID")))` shows the details."
        return Reply(
            ([lines.count == 1 ? "One inquiry is pending:" : "\(lines.count) inquiries are pending:"] + lines + [how])
                .joined(separator: "\n"))
    }

    /// Returns the handle by which the message of an inquiry is replaced.
    static func handle(of inquiry: String) -> String { "inquiry \(inquiry)" }

    /// Returns true if an execution was started in this conversation or by the user, or the user is an administrator.
    private func concerns(_ started: StartedExecution, _ invocation: Invocation) -> Bool {
        let isHere =
            started.address.backend == invocation.address.backend
            && (started.address.place == invocation.address.place || started.person == invocation.message.sender.id)
        return isHere || invocation.isAdmin
    }

    /// Returns a pending inquiry of an execution that was started from chat. Throws ``Refusal`` if none exists.
    private func find(_ id: String, _ invocation: Invocation) async throws -> (PendingInquiry, StartedExecution) {
        let inquiry: PendingInquiry
        do {
            inquiry = try await client.call(.pendingInquiry(id))
        } catch let error as StackStormError where error.code == .notFound {
            throw Refusal("StackStorm has no inquiry “\(id.prefix(40))”.")
        }
        guard let started = try await executions.first(of: inquiry.ancestors), inquiry.schema != nil,
            concerns(started, invocation)
        else { throw Refusal("“\(id.prefix(40))” is not an inquiry of an execution that was started here.") }
        guard inquiry.status == PendingInquiry.pending else {
            throw Refusal("The inquiry \(id) is no longer pending: it is \(inquiry.status).")
        }
        return (inquiry, started)
    }

    private func show(_ id: String, _ invocation: Invocation) async throws -> Reply? {
        let (inquiry, started) = try await find(id, invocation)
        invocation.say(
            Self.question(inquiry, of: started, settings, typed: invocation.typed),
            DeliveryMarks(handle: Self.handle(of: id)))
        return nil
    }

    private static func form(for inquiry: PendingInquiry, _ settings: StackStormModuleSettings) -> Form {
        Form(
            "Answer", fields: SchemaFields(inquiry: inquiry.schema).fields(), submit: "Answer",
            line: settings.ownLine("inquiry answer \(inquiry.id)"))
    }

    /// Returns an inquiry as text and as a form.
    private static func question(
        _ inquiry: PendingInquiry, of started: StartedExecution, _ settings: StackStormModuleSettings,
        typed: (String) -> String
    ) -> Reply {
        let form = form(for: inquiry, settings)
        let example = form.fields.map { "\($0.name)=…" }.joined(separator: " ")
        let time = inquiry.ttl.map { ", for \(Duration.seconds(clamping: Double($0) * 60).inWords)" } ?? ""
        return Reply(
            "\(started.alias) (\(started.line)) waits for an answer\(time):\n\(form.description)\n"
                + "Answer with `\(typed("\(form.line) \(example)"))`.", form: form)
    }

    /// Sends an answer with the permissions of the user.
    private func answer(
        _ id: String, _ answers: [String: String], _ caller: Caller, _ invocation: Invocation
    ) async throws -> Reply? {
        let (inquiry, started) = try await find(id, invocation)
        let fields = SchemaFields(inquiry: inquiry.schema)
        return try await Self.form(for: inquiry, settings).correctable(answers, fields) {
            try await answer(inquiry, of: started, answers, fields, caller, invocation)
        }
    }

    private func answer(
        _ inquiry: PendingInquiry, of started: StartedExecution, _ answers: [String: String], _ fields: SchemaFields,
        _ caller: Caller, _ invocation: Invocation
    ) async throws -> Reply? {
        let id = inquiry.id
        let response = try fields.values(of: answers)
        // The values that StackStorm receives: `approved=yes` has become `approved=true`.
        let final = fields.names.compactMap { name in
            response[name].map { (name: name, value: $0.string ?? $0.prettyText) }
        }
        let line = ownLine(InquiryCall.line(answering: id, with: final))
        if case .denied(let reply) = host.rules.verdict(on: line, for: invocation) { return reply }
        try TemplateGuard(settings, host).refuse(in: response, invocation)
        do {
            try await callers.call(.answer(id, response), as: caller, invocation)
        } catch let error as StackStormError where [.refused, .forbidden].contains(error.code) {
            throw Refusal("StackStorm rejected the answer: \(error.message)")
        }
        let told = final.map { name, value in "\(name)=\(fields.isSecret(name) ? KnownActions.mask : value)" }
            .joined(separator: " ")
        await watch.answered(id)
        host.chat.replace(
            Self.handle(of: id),
            with: Reply(
                "\(started.alias) (\(started.line)) was answered by \(invocation.message.sender.name): \(told)"),
            on: started.address.backend)
        invocation.started(id, ownLine("inquiry answer \(id) \(told)"))
        return Reply("\(invocation.message.sender.name) answered \(started.alias): \(told)")
    }
}
