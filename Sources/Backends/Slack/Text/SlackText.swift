import Foundation
import PetrelKit
import PetrelSupport

/// The parsed text of a message. The names of its mentions may be supplied later.
struct SlackText: Sendable, Equatable {
    private let parts: [Mrkdwn.Part]

    init(_ raw: String) {
        parts = Mrkdwn.parts(of: raw)
    }

    /// The distinct IDs of mentioned users and channels whose names the text does not contain.
    var unnamed: [String] {
        var ids: [String] = []
        var known: Set<String> = []
        for case .mention(_, let id, nil) in parts where known.insert(id).inserted { ids.append(id) }
        return ids
    }

    /// Returns the text as it was typed; a user or channel without a known name appears with its ID.
    /// - Parameter names: returns the name for an ID of a user or a channel; nil if it is unknown.
    func typed(names: (String) -> String? = { _ in nil }) -> String {
        parts.map { part in
            switch part {
            case .text(let raw): Mrkdwn.unescaped(raw)
            case .mention(let mark, let id, let label): Self.mention(mark, label ?? names(id) ?? id)
            case .special(let name, let argument, let label): Self.special(name, argument, label)
            case .link(let target, let label): Self.link(target, label)
            }
        }.joined()
    }

    private static func mention(_ mark: Unicode.Scalar, _ name: String) -> String {
        name.unicodeScalars.first == mark ? name : "\(mark)\(name)"
    }

    private static func special(_ name: String, _ argument: String?, _ label: String?) -> String {
        switch name {
        case "here", "channel", "everyone": "@\(name)"
        case "subteam": label ?? "@\(argument ?? "")"
        default: label ?? "\(name)\(argument.map { "^\($0)" } ?? "")"
        }
    }

    /// Slack turns text that looks like an address into a link, with the typed text as its label. The label of a link
    /// that was made by hand does not tell its address: there, the address is returned.
    private static func link(_ target: String, _ label: String?) -> String {
        for scheme in ["tel:", "mailto:"] where target.utf8.starts(with: scheme.utf8) {
            return label ?? String(target.unicodeScalars.dropFirst(scheme.utf8.count))
        }
        guard let label, bare(label) == bare(target) else { return target }
        return label
    }

    /// Normalizes an address for comparison: decoded, in lowercase, without the scheme and a trailing slash.
    private static func bare(_ address: String) -> String {
        var text = (address.removingPercentEncoding ?? address).lowercased()
        if let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")),
            text[..<colon].utf8.allSatisfy({ (0x61...0x7A).contains($0) })
        {
            text = String(text[text.utf8.index(after: colon)...].utf8.drop { $0 == UInt8(ascii: "/") }) ?? text
        }
        if text.utf8.last == UInt8(ascii: "/") { text.removeLast() }
        return text
    }
}
