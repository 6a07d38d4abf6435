import Foundation
import PetrelKit
import PetrelSupport

/// A comparison of expected and received messages.
final class Tally: Sendable {
    private struct State {
        var sent: [String: ContinuousClock.Instant] = [:]
        var missing: Set<String> = []
        var seen: [String: Int] = [:]
        var recoveries: [Duration] = []
        var marks: Set<String> = []
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Locked(State())

    /// Records an expected message.
    /// - Parameter marks: True to record the time until the message arrives as the time of recovery from a fault.
    func sent(_ name: String, marks: Bool = false) {
        state.withLock { state in
            state.sent[name] = .now
            if state.seen[name] == nil { state.missing.insert(name) }
            if marks { state.marks.insert(name) }
        }
    }

    /// Records a message of Petrel. It contains names as `[name]`.
    func said(_ text: String) {
        // Petrel's own messages about a command quote it and are not results.
        guard !text.contains("`echo ") else { return }
        let names = text.matches(of: /\[([a-z]+\d+)\]/).map { String($0.1) }
        let waiter = state.withLock { state in
            for name in names {
                state.seen[name, default: 0] += 1
                state.missing.remove(name)
                if state.marks.remove(name) != nil, let sent = state.sent[name] {
                    state.recoveries.append(sent.duration(to: .now))
                }
            }
            guard state.missing.isEmpty else { return nil as CheckedContinuation<Void, Never>? }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    func hasSeen(_ name: String) -> Bool { state.withLock { $0.seen[name] != nil } }

    /// Waits until no message is missing, or until the limit is reached.
    func untilComplete(within limit: Duration) async {
        let timer = Task {
            try await Task.sleep(for: limit)
            state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }?.resume()
        }
        await withCheckedContinuation { continuation in
            let isComplete = state.withLock { state in
                if !state.missing.isEmpty { state.waiter = continuation }
                return state.missing.isEmpty
            }
            if isComplete { continuation.resume() }
        }
        timer.cancel()
    }

    func fill(_ outcome: inout Outcome) {
        state.withLock { state in
            outcome.sent = state.sent.count
            outcome.lost = state.missing.count
            outcome.missing = Array(state.missing.sorted().prefix(5))
            outcome.delivered = outcome.sent - outcome.lost
            outcome.duplicated = state.sent.keys.reduce(0) { $0 + max((state.seen[$1] ?? 1) - 1, 0) }
            outcome.recoveries = state.recoveries
        }
    }
}

/// The outcome of one fault.
package struct Outcome: Sendable {
    package var fault: String
    package var injected = 0
    package var recoveries: [Duration] = []
    package var sent = 0
    package var delivered = 0
    package var lost = 0
    package var duplicated = 0
    /// The number of repeated runs of commands.
    package var ranTwice = 0
    /// The number of messages that may be duplicated.
    package var mayBeDuplicated = 0
    /// The names of up to five missing messages.
    package var missing: [String] = []
    /// The reason why the fault could not be injected.
    package var obstacle: String?

    package init(_ fault: String) {
        self.fault = fault
    }

    package var isGood: Bool { lost == 0 && ranTwice == 0 && duplicated <= mayBeDuplicated }

    package static let heading =
        "fault                                injected  recovery p50     max    sent  delivered  lost  twice  ran twice"

    package var line: String {
        func cell(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.count)) + text
        }
        func seconds(_ duration: Duration?) -> String {
            duration.map { String(format: "%.2f s", $0 / .seconds(1)) } ?? "-"
        }
        if let obstacle { return "\(fault): \(obstacle)" }
        let sorted = recoveries.sorted()
        let half = sorted.isEmpty ? nil : sorted[sorted.count / 2]
        let name = fault + String(repeating: " ", count: max(0, 37 - fault.count))
        return name + cell("\(injected)", 8) + cell(seconds(half), 14) + cell(seconds(sorted.last), 8)
            + cell("\(sent)", 8) + cell("\(delivered)", 11) + cell("\(lost)", 6) + cell("\(duplicated)", 7)
            + cell("\(ranTwice)", 11) + (isGood ? "" : "  FAILED \(missing)")
    }
}
