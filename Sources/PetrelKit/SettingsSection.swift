public import Foundation
public import PetrelSupport

/// One object of the configuration file, read key by key.
///
/// Reading continues after an error: problems are collected with their JSON paths, so that `petrel check` can report
/// all of them, and the accessor returns its default. ``finish()`` reports the keys that were never read.
public final class SettingsSection {
    /// The JSON path of the object, such as `stackstorm.api_auth`; empty for the root.
    public let path: String
    private let object: [String: JSONValue]
    private let context: SettingsContext
    private var known: Set<String> = []

    /// Creates a section.
    public init(_ object: [String: JSONValue], at path: String, in context: SettingsContext) {
        self.object = object
        self.path = path
        self.context = context
        if path.isEmpty { context.mentioned = Set(JSONValue.object(object).mentionedVariables) }
    }

    /// The folder of the configuration file, which relative paths refer to.
    public var folder: URL { context.folder }
    /// The environment of the process.
    public var environment: [String: String] { context.environment }
    /// Returns the absolute path of a file.
    public func path(of file: String) -> String { context.path(of: file) }
    /// The keys of the object, sorted.
    public var keys: [String] { object.keys.sorted() }

    /// Returns true if the key has a value other than null.
    public func contains(_ key: String) -> Bool {
        known.insert(key)
        return object[key].map { $0 != .null } ?? false
    }

    /// Returns the JSON path of a key.
    public func place(of key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    /// Reports an error, which prevents the start. The message follows the path of the key: `must be a string`.
    public func problem(_ key: String, _ message: String) {
        context.problems.append(SettingsProblem(path: place(of: key), message: message))
    }

    /// Reports a warning. An empty key stands for the section itself.
    public func warn(_ key: String, _ message: String) {
        context.warnings.append(SettingsProblem(path: key.isEmpty ? path : place(of: key), message: message))
    }

    /// Reports each key that was never read as unknown, with the most similar known key.
    public func finish() {
        for key in keys where !known.contains(key) {
            let hint = Nearness.nearest(to: key, among: known.sorted(), limit: 1).first
            problem(key, "unknown key" + (hint.map { "; did you mean \"\($0)\"?" } ?? ""))
        }
    }
}

extension SettingsSection {
    /// Returns the value of a key; nil if it is absent or null.
    public func value(_ key: String) -> JSONValue? {
        known.insert(key)
        return object[key].flatMap { $0 == .null ? nil : $0 }
    }

    /// Returns a string, or the text that `{"env": "NAME"}` or `{"file": "path"}` refers to; nil if it is absent.
    public func optionalString(_ key: String) -> String? {
        value(key).flatMap { context.text($0, at: place(of: key)) }
    }

    /// Returns a string; see ``optionalString(_:)``.
    public func string(_ key: String, default fallback: String) -> String { optionalString(key) ?? fallback }

    /// Returns a string, or reports a problem and returns the empty string; see ``optionalString(_:)``.
    public func requiredString(_ key: String) -> String {
        guard value(key) != nil else {
            problem(key, "is required")
            return ""
        }
        return optionalString(key) ?? ""
    }

    /// Returns a secret; see ``optionalString(_:)``.
    public func secret(_ key: String) -> Secret? { optionalString(key).map { Secret($0) } }

    /// Returns a value of any form, in which each `{"env": "NAME"}` and `{"file": "path"}` is replaced by the text that
    /// it refers to; nil if it is absent.
    /// - Returns: The value, and the texts that were inserted, which are secret.
    public func resolved(_ key: String) -> (value: JSONValue?, secrets: [Secret]) {
        var secrets: [Secret] = []
        let value = value(key).map { context.resolved($0, at: place(of: key), &secrets) }
        return (value, secrets)
    }

    /// Returns a Boolean value.
    public func bool(_ key: String, default fallback: Bool) -> Bool {
        guard let value = value(key) else { return fallback }
        guard let bool = value.bool else {
            problem(key, "must be true or false, not \(value.typeName)")
            return fallback
        }
        return bool
    }

    /// Returns a Boolean value; nil if it is absent. Null is a problem.
    public func optionalBool(_ key: String) -> Bool? {
        refuseNull(key)
        return contains(key) ? bool(key, default: false) : nil
    }

    /// Reports null as a problem, for keys where it could be taken for "nothing" as well as for "everything".
    public func refuseNull(_ key: String) {
        known.insert(key)
        if object[key] == .null { problem(key, "must not be null; leave the key out instead") }
    }

    /// Returns a whole number. A number outside the range is a problem.
    public func integer(_ key: String, default fallback: Int, in range: ClosedRange<Int>) -> Int {
        guard let value = value(key) else { return fallback }
        guard let int = value.int else {
            let shown = if case .number(let number) = value { "\(number)" } else { value.typeName }
            problem(key, "must be a whole number, not \(shown)")
            return fallback
        }
        guard range.contains(int) else {
            problem(key, "must be from \(range.lowerBound) to \(range.upperBound), not \(int)")
            return fallback
        }
        return int
    }

    /// Returns a list of strings; see ``optionalString(_:)`` for each of them.
    public func strings(_ key: String, default fallback: [String] = []) -> [String] {
        guard let value = value(key) else { return fallback }
        guard let list = value.array else {
            problem(key, "must be a list of strings, not \(value.typeName)")
            return fallback
        }
        return list.enumerated().compactMap { index, item in context.text(item, at: "\(place(of: key))[\(index)]") }
    }

    /// Returns a list of people, in which each `group:NAME` is replaced by the members of the group.
    public func people(_ key: String) -> [String] {
        strings(key).enumerated().flatMap { index, item -> [String] in
            guard item.hasPrefix("group:") else { return [item] }
            let name = String(item.dropFirst("group:".count))
            if context.groups[name] == nil { problem("\(key)[\(index)]", "there is no group \"\(name)\"") }
            return context.groups[name] ?? []
        }
    }

    /// Defines the groups that ``people(_:)`` resolves in every section of the file, and the administrators.
    package func define(groups: [String: [String]], admins: [String]) {
        context.groups = groups
        context.admins = admins
    }

    /// The groups of the access rules, with their members.
    public var groups: [String: [String]] { context.groups }
    /// The administrators.
    public var admins: [String] { context.admins }

    /// The environment of the process without the variables that the configuration refers to with `{"env": "NAME"}`,
    /// which may be secrets, and without those that systemd and Petrel pass to Petrel itself.
    public var environmentForPrograms: [String: String] {
        context.environment.filter { name, _ in
            !context.mentioned.contains(name) && !SettingsContext.own.contains(name)
                && !name.utf8.starts(with: "PETREL_".utf8)
        }
    }

    /// Returns one of the raw values of an enumeration. Any other string is a problem.
    public func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ key: String, default fallback: Choice
    ) -> Choice {
        guard let text = optionalString(key) else { return fallback }
        // An enumeration can have further cases, which are not settings.
        guard let choice = Choice.allCases.first(where: { $0.rawValue.utf8.elementsEqual(text.utf8) }) else {
            let all = Choice.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
            problem(key, "must be one of \(all), not \"\(text)\"")
            return fallback
        }
        return choice
    }

    /// Returns an HTTP or HTTPS URL.
    public func url(_ key: String, default fallback: String) -> URL {
        let text = string(key, default: fallback)
        let instead = URL(string: fallback) ?? URL(fileURLWithPath: "/")
        guard let url = URL(string: text), let scheme = url.scheme, ["http", "https"].contains(scheme), url.host != nil
        else {
            problem(key, "must be an http:// or https:// address")
            return instead
        }
        guard url.hasValidPort else {
            problem(key, "must have a port from 1 to 65535, if it has one")
            return instead
        }
        return url
    }

    /// Returns the absolute path of a file; nil if the key is absent.
    public func file(_ key: String) -> String? {
        optionalString(key).map { context.path(of: $0) }
    }

    /// Returns an object; an empty one if the key is absent.
    public func section(_ key: String) -> SettingsSection { optionalSection(key) ?? empty(key) }

    /// Returns an object; nil if the key is absent.
    public func optionalSection(_ key: String) -> SettingsSection? {
        guard let value = value(key) else { return nil }
        guard let object = value.object else {
            problem(key, "must be an object, not \(value.typeName)")
            return nil
        }
        return SettingsSection(object, at: place(of: key), in: context)
    }

    /// Returns an object, or a list of objects, as a list.
    public func sections(_ key: String) -> [SettingsSection] {
        guard case .array? = value(key) else { return optionalSection(key).map { [$0] } ?? [] }
        return list(key, of: "objects").map(\.1)
    }

    /// Returns a list of objects with their indices. Any other value is a problem.
    /// - Parameter items: the name of the items, for the message of that problem.
    public func list(_ key: String, of items: String) -> [(Int, SettingsSection)] {
        refuseNull(key)
        guard let value = value(key) else { return [] }
        guard let list = value.array else {
            problem(key, "must be a list of \(items), not \(value.typeName)")
            return []
        }
        return list.enumerated().compactMap { index, item in
            guard let object = item.object else {
                problem("\(key)[\(index)]", "must be an object, not \(item.typeName)")
                return nil
            }
            return (index, SettingsSection(object, at: "\(place(of: key))[\(index)]", in: context))
        }
    }

    /// Returns an item of a list that may also contain other values; nil if the item is not an object.
    public func item(_ key: String, _ index: Int) -> SettingsSection? {
        guard let list = value(key)?.array, list.indices.contains(index), let object = list[index].object else {
            return nil
        }
        return SettingsSection(object, at: "\(place(of: key))[\(index)]", in: context)
    }

    private func empty(_ key: String) -> SettingsSection { SettingsSection([:], at: place(of: key), in: context) }
}

/// An error in a configuration, or a warning.
public struct SettingsProblem: Hashable, Sendable, CustomStringConvertible {
    /// The JSON path of the value; empty for the root.
    public var path: String
    /// The message, which follows the path.
    public var message: String

    /// Creates a problem.
    public init(path: String, message: String) {
        self.path = path
        self.message = message
    }

    /// The path and the message.
    public var description: String { Printable.line(path.isEmpty ? message : "\(path): \(message)") }
}

/// The state that the sections of a file share: the folder, the environment, and the problems found.
public final class SettingsContext {
    /// The folder of the configuration file.
    public let folder: URL
    let environment: [String: String]
    /// The errors found so far.
    public internal(set) var problems: [SettingsProblem] = []
    /// The warnings so far.
    public internal(set) var warnings: [SettingsProblem] = []
    var groups: [String: [String]] = [:]
    var admins: [String] = []
    /// The environment variables that the configuration refers to.
    var mentioned: Set<String> = []
    /// The variables that systemd passes to this process only.
    static let own: Set = [
        "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID",
        "LISTEN_FDNAMES", "JOURNAL_STREAM", "INVOCATION_ID",
    ]

    /// Creates the state for a file in this folder.
    public init(folder: URL, environment: [String: String]) {
        self.folder = folder
        self.environment = environment
    }

    /// Returns the absolute path of a file. A relative path refers to the folder of the configuration file.
    func path(of file: String) -> String {
        file.hasPrefix("/") ? file : folder.appendingPathComponent(file).standardized.path
    }

    /// Returns a string, or the text that `{"env": "NAME"}` or `{"file": "path"}` refers to; nil after a problem.
    func text(_ value: JSONValue, at path: String) -> String? {
        switch value {
        case .string(let text): return text
        case .object(let object):
            if object.count == 1, let name = object["env"]?.string {
                if let text = environment[name] {
                    if text.isEmpty {
                        warnings.append(
                            SettingsProblem(
                                path: path, message: "the environment variable \(name) is set, but empty"))
                    }
                    return text
                }
                problems.append(SettingsProblem(path: path, message: "the environment variable \(name) is not set"))
                return nil
            }
            if object.count == 1, let file = object["file"]?.string { return contents(of: file, at: path) }
            problems.append(
                SettingsProblem(path: path, message: "must be a string, {\"env\": \"NAME\"} or {\"file\": \"path\"}"))
            return nil
        default:
            problems.append(SettingsProblem(path: path, message: "must be a string, not \(value.typeName)"))
            return nil
        }
    }

    func resolved(_ value: JSONValue, at path: String, _ secrets: inout [Secret]) -> JSONValue {
        switch value {
        case .array(let items):
            return .array(items.enumerated().map { resolved($1, at: "\(path)[\($0)]", &secrets) })
        case .object(let object):
            if object.count == 1, object["env"]?.string != nil || object["file"]?.string != nil {
                guard let text = text(value, at: path) else { return .null }
                secrets.append(Secret(text))
                return .string(text)
            }
            return .object(
                Dictionary(
                    uniqueKeysWithValues: object.map { ($0, resolved($1, at: "\(path).\($0)", &secrets)) }))
        default: return value
        }
    }

    private func contents(of file: String, at path: String) -> String? {
        let whole = self.path(of: file)
        guard let data = FileManager.default.contents(atPath: whole), data.count <= 1 << 20 else {
            problems.append(SettingsProblem(path: path, message: "the file \(whole) cannot be read"))
            return nil
        }
        // Editors end a file with a line break (LF or CR LF), which is not part of the value.
        var scalars = String(decoding: data, as: UTF8.self).unicodeScalars
        if scalars.last == "\n" {
            scalars.removeLast()
            if scalars.last == "\r" { scalars.removeLast() }
        }
        return String(scalars)
    }
}

extension JSONValue {
    /// The names of the environment variables in each `{"env": "NAME"}`.
    fileprivate var mentionedVariables: [String] {
        switch self {
        case .array(let items): items.flatMap(\.mentionedVariables)
        case .object(let object):
            if object.count == 1, let name = object["env"]?.string {
                [name]
            } else {
                object.values.flatMap(\.mentionedVariables)
            }
        default: []
        }
    }
}
