public import PetrelSupport

/// An action alias (`GET /actionalias`).
public struct Alias: Sendable, Hashable, Codable {
    /// An entry of the `formats` of an alias.
    public struct Format: Sendable, Hashable, Codable {
        /// The text for help.
        public var display: String?
        /// The patterns that commands are matched against, such as `deploy {{ app }} to {{ env=staging }}`.
        public var representations: [String]
        /// True if one command can contain several matches, which run as several executions (`match_multiple`).
        public var matchesMultiple: Bool

        /// Creates a format.
        public init(display: String?, representations: [String], matchesMultiple: Bool = false) {
            self.display = display
            self.representations = representations
            self.matchesMultiple = matchesMultiple
        }
    }

    /// The `ack` of an alias: the reply that is sent when its action is started.
    public struct Acknowledgement: Sendable, Hashable, Codable {
        /// True if an acknowledgement is sent.
        public var enabled: Bool
        /// True if the URL of the execution is appended.
        public var appendURL: Bool

        /// Creates the settings of an acknowledgement.
        public init(enabled: Bool = true, appendURL: Bool = false) {
            self.enabled = enabled
            self.appendURL = appendURL
        }
    }

    /// The ID.
    public var id: String
    /// The name, without the pack.
    public var name: String
    /// The pack.
    public var pack: String
    /// The reference: the pack and the name, joined with a full stop.
    public var ref: String
    /// The description.
    public var description: String
    /// False if the alias is disabled and does not match any command.
    public var enabled: Bool
    /// The reference of the action that the alias runs.
    public var actionRef: String
    /// The formats of the command.
    public var formats: [Format]
    /// The acknowledgement.
    public var acknowledgement: Acknowledgement
    /// True if the result of the execution is announced.
    public var announcesResult: Bool
    /// The names of the parameters that commands cannot set (`immutable_parameters`), or nil if they are not known
    /// because the alias was encoded by an older version.
    public var fixed: Set<String>?

    /// Creates an alias. The reference is made from the pack and the name.
    public init(
        id: String, name: String, pack: String, description: String = "", enabled: Bool = true, actionRef: String = "",
        formats: [Format], acknowledgement: Acknowledgement = Acknowledgement(), announcesResult: Bool = true,
        fixed: Set<String>? = nil
    ) {
        self.id = id
        self.name = name
        self.pack = pack
        ref = "\(pack).\(name)"
        self.description = description
        self.enabled = enabled
        self.actionRef = actionRef
        self.formats = formats
        self.acknowledgement = acknowledgement
        self.announcesResult = announcesResult
        self.fixed = fixed
    }
}

extension Alias {
    /// Reads an alias from StackStorm's JSON. Formats that cannot be read are skipped.
    ///
    /// - Throws: ``MalformedAlias`` with the field that is missing or invalid.
    public init(json: JSONValue) throws {
        guard let name = json["name"]?.string else { throw MalformedAlias(ref: json["ref"]?.string, field: "name") }
        let prefix = json["ref"]?.string?.split(separator: ".", maxSplits: 1).first.map(String.init)
        guard let pack = json["pack"]?.string ?? prefix else { throw MalformedAlias(ref: name, field: "pack") }
        // A format that cannot be read does not affect the others.
        let listed = json["formats"]?.array ?? []
        let formats = listed.compactMap { Format(json: $0) }
        guard listed.isEmpty || !formats.isEmpty else { throw MalformedAlias(ref: "\(pack).\(name)", field: "formats") }
        let fixed = json["immutable_parameters"]?.object.map { Set($0.keys) }
        self.init(
            id: json["id"]?.string ?? "", name: name, pack: pack, description: json["description"]?.string ?? "",
            enabled: json["enabled"]?.bool ?? true, actionRef: json["action_ref"]?.string ?? "", formats: formats,
            acknowledgement: Acknowledgement(
                enabled: json["ack"]?["enabled"]?.bool ?? true, appendURL: json["ack"]?["append_url"]?.bool ?? false),
            announcesResult: json["result"]?["enabled"]?.bool ?? true,
            fixed: fixed)
    }
}

extension Alias.Format {
    /// Reads a format from StackStorm's JSON: a string, or an object with `display`, `representation` and
    /// `match_multiple`. Returns nil for anything else.
    public init?(json: JSONValue) {
        switch json {
        case .string(let text): self.init(display: text, representations: [text])
        case .object(let object):
            let representations: [String]
            switch object["representation"] ?? .null {
            case .string(let text): representations = text.isEmpty ? [] : [text]
            case .array(let items): representations = items.compactMap(\.string)
            default: representations = []
            }
            self.init(
                display: object["display"]?.string, representations: representations,
                matchesMultiple: object["match_multiple"]?.bool ?? false)
        default: return nil
        }
    }

    /// The patterns that commands are matched against. A format that has only a display matches the empty command.
    package var patterns: [String] {
        representations.isEmpty && !(display ?? "").isEmpty ? [""] : representations
    }
}

/// The error of an alias that cannot be read.
public struct MalformedAlias: Error, CustomStringConvertible, Sendable {
    /// The reference of the alias, or nil if it has no name.
    public var ref: String?
    /// The field that is missing or invalid.
    public var field: String

    /// The message, which starts in lower case and has no full stop.
    public var description: String { "the alias \(ref ?? "without a name") has no valid `\(field)`" }
}
