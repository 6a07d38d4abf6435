import Logging
import PetrelCore
import PetrelKit
import PetrelSupport
import SlackBackend
import TextBackend
import XMPPBackend

/// The one list of the backends that a configuration can name. A third party adds a line here, and its target to
/// Package.swift.
enum Catalog {
    static let backends: [String: BackendKind] = [
        "slack": BackendKind(
            namesChange: true, names: AccessNames(areLowercase: true) { isSlackID($0, $1) }, webKey: "signing_secret"
        ) { name, section, options in
            let settings = SlackSettings(section, environment: options.environment)
            return { SlackBackend(name: name, settings: settings, on: $1, logger: $0) }
        },
        "text": BackendKind(
            isShared: false,
            caution: "whoever types here may be anybody (/as, or “from” in JSON lines): rules do not keep them out"
        ) { name, section, options in
            var settings = TextSettings(section)
            if let linger = options.linger { settings.linger = .seconds(linger) }
            let final = settings
            return { logger, _ in TextBackend(name: name, settings: final, logger: logger) }
        },
        "xmpp": BackendKind(
            names: AccessNames(haveSigils: false, areLowercase: true) { text, _ in
                text.unicodeScalars.dropFirst().contains("@")
            },
            caution: "in a room that hides accounts people are known as room@host/nick, and anybody may take a nick: "
                + "rules that name people hold only where the room shows accounts, and in direct chats"
        ) { name, section, _ in
            let settings = XMPPSettings(section)
            return { XMPPBackend(name: name, settings: settings, version: PetrelApp.version, on: $1, logger: $0) }
        },
    ]

    /// `U…` and `W…` are people, `C…`, `D…` and `G…` channels.
    private static func isSlackID(_ text: String, _ kind: AccessMention.Kind) -> Bool {
        let bytes = text.utf8
        let initials = kind == .person ? "UW" : "CDG"
        return bytes.count > 1 && bytes.first.map { initials.utf8.contains($0) } == true
            && bytes.allSatisfy { (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) }
    }
}

/// What a configuration's `kind` stands for.
struct BackendKind: Sendable {
    /// Somebody may take a name that was somebody else's, so that rules had better go by ids.
    var namesChange = false
    /// Several people write to it.
    var isShared = true
    /// How people and rooms are written in access rules.
    var names = AccessNames()
    /// What whoever writes access rules should know.
    var caution: String?
    /// The key by which the backend takes requests, for which the web server has to run.
    var webKey: String?
    /// Reads a section and returns what makes the backend of it.
    var read: @Sendable (_ name: String, _ section: SettingsSection, _ options: RunOptions) -> MakeBackend
}

typealias MakeBackend = @Sendable (Logger, EventLoopExecutor) throws -> any ChatBackend

/// What there is besides the file: of the command line, and the environment.
struct RunOptions: Sendable {
    /// Seconds that results are waited for after the end of the input.
    var linger: Int?
    var environment: [String: String] = [:]
}
