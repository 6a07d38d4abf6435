public import PetrelSupport

/// An action alias, as `GET /actionalias` lists it.
public struct Alias: Sendable, Hashable, Codable {
    /// One entry of `formats`: what help shows, and what is matched.
    public struct Format: Sendable, Hashable, Codable {
        public var display: String?
        public var representations: [String]
        public var matchesMultiple: Bool

        public init(display: String?, representations: [String], matchesMultiple: Bool = false) {
            self.display = display
            self.representations = representations
            self.matchesMultiple = matchesMultiple
        }
    }

    /// What is said at once when the alias runs.
    public struct Acknowledgement: Sendable, Hashable, Codable {
        public var enabled: Bool
        public var appendURL: Bool

        public init(enabled: Bool = true, appendURL: Bool = false) {
            self.enabled = enabled
            self.appendURL = appendURL
        }
    }

    public var id: String
    public var name: String
    public var pack: String
    public var ref: String
    public var description: String
    public var enabled: Bool
    public var actionRef: String
    public var formats: [Format]
    public var acknowledgement: Acknowledgement
    /// Whether its end is announced.
    public var announcesResult: Bool
    /// Parameters whose values nobody can change (`immutable_parameters`); nil in what an older version kept.
    public var fixed: Set<String>?

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
    /// Reads StackStorm's JSON. Throws ``MalformedAlias`` with the field that is wrong.
    public init(json: JSONValue) throws {
        guard let name = json["name"]?.string else { throw MalformedAlias(ref: json["ref"]?.string, field: "name") }
        let prefix = json["ref"]?.string?.split(separator: ".", maxSplits: 1).first.map(String.init)
        guard let pack = json["pack"]?.string ?? prefix else { throw MalformedAlias(ref: name, field: "pack") }
        // One format that cannot be read costs itself.
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
    /// A string, or `{display, representation, match_multiple}`; nil for anything else.
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

    /// What is matched: a format with a display only matches the empty command.
    package var patterns: [String] {
        representations.isEmpty && !(display ?? "").isEmpty ? [""] : representations
    }
}

/// An alias that StackStorm listed but that cannot be read.
public struct MalformedAlias: Error, CustomStringConvertible, Sendable {
    public var ref: String?
    public var field: String

    public var description: String { "the alias \(ref ?? "without a name") has no usable `\(field)`" }
}
