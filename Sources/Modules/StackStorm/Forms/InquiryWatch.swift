import Logging
import PetrelKit
import StackStormClient

/// Polls the pending inquiries of executions that were started from chat, and posts them there. StackStorm does not
/// announce inquiries.
actor InquiryWatch {
    /// The pause between two polls if StackStorm does not permit them.
    private static let patience = Duration.seconds(600)
    /// The maximum number of inquiries in memory and in the store.
    private static let kept = 1_000
    /// The age after which an inquiry of an unknown execution is ignored.
    private static let doubt = Duration.seconds(300)

    private let client: StackStormClient
    private let host: ModuleHost
    private let executions: StartedExecutions
    private let isBusy: @Sendable () -> Bool
    private let interval: Duration
    private let question: @Sendable (PendingInquiry, StartedExecution) -> Reply
    private let records: any RecordCollection
    /// The inquiries that were posted or are ignored.
    private var known: Set<String> = []
    /// The pending inquiries that this process has posted.
    private var asked: [String: StartedExecution] = [:]
    private var isRefused = false

    /// - Parameters:
    ///   - interval: The pause between two polls.
    ///   - isBusy: A function that returns true if an execution that was started from chat may have an inquiry.
    ///   - question: A function that returns the message for an inquiry.
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

    /// Polls until cancelled.
    func run() async {
        do {
            known = Set(try await records.all().map(\.key))
        } catch is CancellationError {
            return
        } catch {
            host.logger.error("Cannot read which inquiries were posted before: \(error)")
        }
        while !Task.isCancelled {
            // Only cancellation ends the sleep early, and the loop checks for it.
            try? await Task.sleep(for: isRefused ? Self.patience : interval)
            if isBusy() { await look() }
        }
    }

    private func look() async {
        do {
            let page = try await client.call(.pendingInquiries())
            // If there is more than one page, the rest is not known.
            if page.count < HistoryFilter.usual { showEnds(but: Set(page.items.map(\.id))) }
            for inquiry in page.items.reversed()
            where inquiry.status == PendingInquiry.pending && !known.contains(inquiry.id) {
                guard let started = try await executions.first(of: inquiry.ancestors) else {
                    // The inquiry can exist before the response to the command has arrived.
                    if isOld(inquiry) { known.insert(inquiry.id) }
                    continue
                }
                known.insert(inquiry.id)
                // Stored before it is posted: after a crash it is not posted again, but it can be listed.
                records.put([], for: inquiry.id)
                var reply = question(inquiry, started)
                reply.kind = .result
                try host.chat.say(
                    reply, at: started.address, DeliveryMarks(handle: Inquiries.handle(of: inquiry.id)))
                if asked.count < Self.kept { asked[inquiry.id] = started }
            }
            isRefused = false
            if known.count > Self.kept { try await forget() }
        } catch let error as StackStormError where error.code == .forbidden {
            isRefused = true
            host.logger.warning(
                "StackStorm does not permit the bot to list executions; inquiries are not posted in chat: \(error)"
            )
        } catch is CancellationError {
            return
        } catch {
            host.logger.info("Cannot list the pending inquiries yet: \(error)")
        }
    }

    /// Forgets an inquiry that was answered in chat, whose message shows the answer.
    func answered(_ id: String) { asked[id] = nil }

    /// Replaces the messages of inquiries that were answered elsewhere, or whose workflows have ended.
    private func showEnds(but waiting: Set<String>) {
        for (id, started) in asked where !waiting.contains(id) {
            asked[id] = nil
            let reply = Reply(
                "\(started.alias) (\(started.line)) no longer waits for an answer.", kind: .result)
            host.chat.replace(Inquiries.handle(of: id), with: reply, on: started.address.backend)
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
    /// Returns the first of these executions that was started from chat.
    func first(of ids: [String]) async throws -> StartedExecution? {
        for id in ids { if let started = try await find(id) { return started } }
        return nil
    }
}
