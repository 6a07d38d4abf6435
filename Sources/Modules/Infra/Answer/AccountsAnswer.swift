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
    /// A part of the names or numbers of the accounts to list; empty for all.
    let part: String
    /// The line that lists some accounts, for a part of a name.
    let listing: @Sendable (String) -> String

    /// The maximum number of accounts that are listed.
    private static let mostAccounts = 30
    /// The maximum number if each line is a message of its own.
    private static let mostLines = 5

    /// Returns the reply for a backend.
    func reply(for traits: BackendTraits) -> Reply {
        let style: InfraStyle = traits.markdown ? .markdown : .plain
        var lines: [String] = []
        let most = traits.sendsLines ? Self.mostLines : Self.mostAccounts
        let accounts = accounts(most)
        for account in accounts.prefix(most) {
            let (heading, states) = facts(about: account, style)
            lines.append(style.list(heading, states, isCompact: traits.sendsLines))
        }
        if accounts.isEmpty { lines.append("No account has \(style.code(part)) in its name or number.") }
        let more = accounts.count - most
        if more > 0 {
            let line = style.code(listing("WORD"))
            lines.append("… and \(InfraAnswer.count(more, "more account")). For a part of them: \(line)")
        }
        if let note = ClockNote.text(clockOffset) { lines.append(note) }
        return Reply(
            lines.joined(separator: "\n"), style: traits.markdown ? .markdown : .plain, isPrivate: accounts.isEmpty)
    }

    /// The accounts in the order of the configuration, each with its places; if not all are listed, those that fail first.
    private func accounts(_ most: Int) -> [[InfraPlace]] {
        let wanted = part.lowercased().utf8
        let all = search.places.chunked(by: \.account).filter { places in
            wanted.isEmpty
                || [places[0].account, places[0].role.account].contains { $0.lowercased().utf8.contains(wanted) }
        }
        guard all.count > most else { return all }
        let failing = all.filter { $0.contains { search.health[$0].isFailing } }
        return failing + all.filter { !$0.contains { search.health[$0].isFailing } }
    }

    /// Returns the heading of an account, and the states of its regions. Regions in the same state share one.
    private func facts(about places: [InfraPlace], _ style: InfraStyle) -> (heading: String, states: [String]) {
        var states: [(text: String, regions: [String])] = []
        for place in places {
            let text = state(of: search.health[place], style)
            if let index = states.firstIndex(where: { $0.text == text }) {
                states[index].regions.append(place.region)
            } else {
                states.append((text, [place.region]))
            }
        }
        let role = "\(places[0].role.account), role \(style.text(places[0].role.name))"
        return (
            "\(style.bold(places[0].account)) (\(role))",
            states.map { "\($0.regions.joined(separator: ", ")): \($0.text)" }
        )
    }

    private func state(of entry: InfraHealth.Entry, _ style: InfraStyle) -> String {
        func ago(_ time: Date) -> String { "\(Duration.seconds(now.timeIntervalSince(time)).inWords) ago" }
        let good =
            entry.lastGood.map { "last good answer \(ago($0))" }
            ?? (entry.hasSession ? "ready, not searched yet" : "no good answer yet")
        guard let (error, time) = entry.lastError else { return good }
        return "\(good); last error \(ago(time)): \(style.text(error.clause))"
    }
}

extension [InfraPlace] {
    /// Returns the runs of places with an equal property.
    fileprivate func chunked(by property: KeyPath<InfraPlace, String>) -> [[InfraPlace]] {
        reduce(into: []) { runs, place in
            if let last = runs.last?.last, last[keyPath: property] == place[keyPath: property] {
                runs[runs.count - 1].append(place)
            } else {
                runs.append([place])
            }
        }
    }
}

/// The sentence about a clock that is off.
enum ClockNote {
    /// Returns the sentence for a correction in seconds. Returns nil if the correction is zero.
    static func text(_ offset: Int64) -> String? {
        guard offset != 0 else { return nil }
        let direction = offset > 0 ? "behind" : "ahead of"
        return "The clock of this machine is \(Duration.seconds(abs(offset)).inWords) \(direction) that of AWS. "
            + "Calls are signed with the corrected time; synchronize the clock, for example with NTP."
    }
}
