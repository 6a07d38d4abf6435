import AWSClient
import Foundation
import PetrelKit
import PetrelSupport

/// The answer to `infra accounts`.
struct AccountsAnswer: Sendable {
    let search: InfraSearch
    /// The correction of the clock, in seconds.
    let clockOffset: Int64
    let now: Date

    /// Returns the reply for a backend.
    func reply(for traits: BackendTraits) -> Reply {
        let style: InfraStyle = traits.markdown ? .markdown : .plain
        var lines: [String] = []
        var last: String?
        for place in search.places {
            if last != place.account {
                lines.append(
                    "\(style.bold(place.account)) (\(place.role.account), role \(style.text(place.role.name)))")
                last = place.account
            }
            lines.append(style.item("\(place.region): \(state(of: search.health[place], style))"))
        }
        if let note = ClockNote.text(clockOffset) { lines.append(note) }
        return Reply(lines.joined(separator: "\n"), style: traits.markdown ? .markdown : .plain)
    }

    private func state(of entry: InfraHealth.Entry, _ style: InfraStyle) -> String {
        func ago(_ time: Date) -> String { "\(Duration.seconds(now.timeIntervalSince(time)).inWords) ago" }
        let good = entry.lastGood.map { "last good answer \(ago($0))" } ?? "no good answer yet"
        guard let (error, time) = entry.lastError else { return good }
        return "\(good); last error \(ago(time)): \(style.text(error.clause))"
    }
}

/// The sentence about a clock that is off.
enum ClockNote {
    /// Returns the sentence for a correction in seconds; nil for none.
    static func text(_ offset: Int64) -> String? {
        guard offset != 0 else { return nil }
        let direction = offset > 0 ? "behind" : "ahead of"
        return "The clock of this machine is \(Duration.seconds(abs(offset)).inWords) \(direction) that of AWS. "
            + "Calls are signed with the corrected time; synchronize the clock, for example with NTP."
    }
}
