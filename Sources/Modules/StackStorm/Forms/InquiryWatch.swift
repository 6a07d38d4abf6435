import Logging
import PetrelKit
import StackStormClient

/// Finds questions of executions that were started from chat, and asks them there: StackStorm announces them to nobody.
actor InquiryWatch {
    /// Between two looks where StackStorm does not let the bot see them.
    private static let patience = Duration.seconds(600)
    private static let kept = 1_000
    /// After this time an inquiry whose execution nobody knows is none of ours.
    private static let doubt = Duration.seconds(300)

    private let client: StackStormClient
    private let host: ModuleHost
    private let executions: StartedExecutions
    private let isBusy: @Sendable () -> Bool
    private let interval: Duration
    private let question: @Sendable (PendingInquiry, StartedExecution) -> Reply
    private let records: any RecordCollection
    /// What was asked, or is none of ours.
    private var known: Set<String> = []
    /// Where questions stand that wait, as far as this process has asked them.
    private var asked: [String: (started: StartedExecution, reply: Reply)] = [:]
    private var isRefused = false

    /// - Parameters:
    ///   - interval: between two looks.
    ///   - isBusy: whether something that was started from chat may have a question.
    ///   - question: how one is asked.
    init(
        _ client: StackStormClient, host: ModuleHost, executions: StartedExecutions, interval: Duration,
        isBusy: @escaping @Sendable () -> Bool,
        question: @escaping @Sendable (PendingInquiry, StartedExecution) -> Reply
    ) {
        self.client = client
        self.host = host
        self.executions = executions
        self.interval = interval
        self.isBusy = isBusy
        self.question = question
        records = host.storage.records("inquiries")
    }

    func run() async {
        do {
            known = Set(try await records.all().map(\.key))
        } catch {
            host.logger.error("Which questions were asked before cannot be read: \(error)")
        }
        while !Task.isCancelled {
            // Only cancellation ends a sleep early, and the loop looks for it.
            try? await Task.sleep(for: isRefused ? Self.patience : interval)
            if isBusy() { await look() }
        }
    }

    private func look() async {
        do {
            let page = try await client.call(.pendingInquiries())
            // Of more than a page the rest is not known.
            if page.count < HistoryFilter.usual { showEnds(but: Set(page.items.map(\.id))) }
            for inquiry in page.items.reversed()
            where inquiry.status == PendingInquiry.pending && !known.contains(inquiry.id) {
                guard let started = try await executions.first(of: inquiry.ancestors) else {
                    // StackStorm may ask before it has answered to the command.
                    if isOld(inquiry) { known.insert(inquiry.id) }
                    continue
                }
                known.insert(inquiry.id)
                // Before it is asked: rather never than again and again. It can be listed.
                records.put([], for: inquiry.id)
                var reply = question(inquiry, started)
                reply.kind = .result
                try host.chat.say(reply, at: started.address)
                if asked.count < Self.kept { asked[inquiry.id] = (started, reply) }
            }
            isRefused = false
            if known.count > Self.kept { try await forget() }
        } catch let error as StackStormError where error.code == .forbidden {
            isRefused = true
            host.logger.warning(
                "StackStorm does not let the bot list executions: questions of workflows are not asked here. (\(error))"
            )
        } catch {
            host.logger.info("Which questions wait cannot be found out yet: \(error)")
        }
    }

    /// It was answered here, and that is shown in its place.
    func answered(_ id: String) { asked[id] = nil }

    /// A question that was answered elsewhere, or whose workflow has ended, takes no answer any more.
    private func showEnds(but waiting: Set<String>) {
        for (id, (started, question)) in asked where !waiting.contains(id) {
            asked[id] = nil
            let reply = Reply(
                "\(started.alias) (\(started.line)) waits no longer for an answer.", kind: .result,
                handle: question.handle)
            host.chat.show(reply, on: started.address.backend)
        }
    }

    private func isOld(_ inquiry: PendingInquiry) -> Bool {
        guard let now = client.now, let start = inquiry.start else { return false }
        return now - start > Self.doubt
    }

    private func forget() async throws {
        try await records.trim(to: Self.kept)
        known = Set(try await records.all().map(\.key))
    }
}

extension StartedExecutions {
    /// The first of these that was started from chat.
    func first(of ids: [String]) async throws -> StartedExecution? {
        for id in ids { if let started = try await find(id) { return started } }
        return nil
    }
}
