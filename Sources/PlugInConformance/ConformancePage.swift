/// The page that describes the requirements for programs.
package enum ConformancePage {
    /// The path of the page in the repository.
    package static let path = "docs/PluginProtocol.md"

    /// The sections by the identifiers of cases, or the beginnings of identifiers. The first one that fits decides.
    private static let sections = [
        ("protocol.ping", "Start and end"), ("protocol.shutdown", "Start and end"), ("protocol.test", "Testing"),
        ("protocol.", "Messages"),
        ("declare.", "Capabilities of a backend"), ("names.", "Capabilities of a backend"),
        ("deliver.", "Delivering messages"), ("arrive.", "Delivering messages"), ("redeliver.", "Delivering messages"),
        ("answer.", "Sending messages"), ("send.", "Sending messages"), ("long.", "Sending messages"),
        ("file.", "Sending messages"), ("error.", "Sending messages"), ("edit.", "Sending messages"),
        ("private.", "Replies"), ("markdown.", "Replies"), ("mrkdwn.", "Replies"),
        ("reconnect.", "Connection state"), ("restart.", "Start and end"), ("stop.", "Start and end"),
        ("module.", "Declaring commands"), ("commands.", "Declaring commands"),
        ("arguments.masking", "Declaring commands"), ("arguments.secrets", "Declaring commands"),
        ("arguments.", "Answering calls"), ("handler.", "Answering calls"),
        ("run.", "Start and end"), ("status.", "Requests of a module"),
    ]

    /// Returns the heading of the section that describes a case; nil for a case that is not known.
    package static func section(of id: String) -> String? {
        sections.first { id.utf8.starts(with: $0.0.utf8) }?.1
    }

    /// Returns the page and the section that describe a case.
    package static func of(_ id: String) -> String { path + (section(of: id).map { ", “\($0)”" } ?? "") }
}
