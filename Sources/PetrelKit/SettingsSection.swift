public import Foundation
public import PetrelSupport

/// One object of the configuration file, read key by key.
///
/// Reading never stops at the first mistake: problems are collected with their JSON path, so that `petrel check` can
/// print all of them. ``finish()`` reports the keys that nobody asked for.
public final class SettingsSection {
    /// The place in the file, such as `stackstorm.api_auth`.
    public let path: String
    private let object: [String: JSONValue]
    private let context: SettingsContext
    private var known: Set<String> = []

    public init(_ object: [String: JSONValue], at path: String, in context: SettingsContext) {
        self.object = object
        self.path = path
        self.context = context
    }

    /// The folder that relative paths start from: that of the configuration file.
    public var folder: URL { context.folder }
    /// The environment of the process.
    public var environment: [String: String] { context.environment }
    /// A path, taken from that folder where it is relative.
    public func path(of file: String) -> String { context.path(of: file) }
    public var keys: [String] { object.keys.sorted() }

    public func contains(_ key: String) -> Bool {
        known.insert(key)
        return object[key].map { $0 != .null } ?? false
    }

    public func place(of key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    public func problem(_ key: String, _ message: String) {
        context.problems.append(SettingsProblem(path: place(of: key), message: message))
    }

    public func warn(_ key: String, _ message: String) {
        context.warnings.append(SettingsProblem(path: key.isEmpty ? path : place(of: key), message: message))
    }

    /// Reports every key that was never asked for, with the nearest one that was.
    public func finish() {
        for key in keys where !known.contains(key) {
            let hint = Nearness.nearest(to: key, among: known.sorted(), limit: 1).first
            problem(key, "unknown key" + (hint.map { "; did you mean \"\($0)\"?" } ?? ""))
        }
    }
}

extension SettingsSection {
    public func value(_ key: String) -> JSONValue? {
        known.insert(key)
        return object[key].flatMap { $0 == .null ? nil : $0 }
    }

    public func optionalString(_ key: String) -> String? {
        value(key).flatMap { context.text($0, at: place(of: key)) }
    }

    public func string(_ key: String, default fallback: String) -> String { optionalString(key) ?? fallback }

    public func requiredString(_ key: String) -> String {
        guard value(key) != nil else {
            problem(key, "is required")
            return ""
        }
        return optionalString(key) ?? ""
    }

    public func secret(_ key: String) -> Secret? { optionalString(key).map { Secret($0) } }

    public func bool(_ key: String, default fallback: Bool) -> Bool {
        guard let value = value(key) else { return fallback }
        guard let bool = value.bool else {
            problem(key, "must be true or false, not \(value.typeName)")
            return fallback
        }
        return bool
    }

    public func optionalBool(_ key: String) -> Bool? {
        refuseNull(key)
        return contains(key) ? bool(key, default: false) : nil
    }

    /// For keys where `null` could mean "nothing" as well as "everything".
    public func refuseNull(_ key: String) {
        known.insert(key)
        if object[key] == .null { problem(key, "must not be null; leave the key out instead") }
    }

    public func integer(_ key: String, default fallback: Int, in range: ClosedRange<Int>) -> Int {
        guard let value = value(key) else { return fallback }
        guard let int = value.int else {
            problem(key, "must be a whole number, not \(value.typeName)")
            return fallback
        }
        guard range.contains(int) else {
            problem(key, "must be from \(range.lowerBound) to \(range.upperBound), not \(int)")
            return fallback
        }
        return int
    }

    public func strings(_ key: String, default fallback: [String] = []) -> [String] {
        guard let value = value(key) else { return fallback }
        guard let list = value.array else {
            problem(key, "must be a list of strings, not \(value.typeName)")
            return fallback
        }
        return list.enumerated().compactMap { index, item in context.text(item, at: "\(place(of: key))[\(index)]") }
    }

    /// A list of people, in which `group:NAME` stands for a list of `groups`.
    public func people(_ key: String) -> [String] {
        strings(key).enumerated().flatMap { index, item -> [String] in
            guard item.hasPrefix("group:") else { return [item] }
            let name = String(item.dropFirst("group:".count))
            if context.groups[name] == nil { problem("\(key)[\(index)]", "there is no group \"\(name)\"") }
            return context.groups[name] ?? []
        }
    }

    /// Makes the lists of `groups` known to every section of the file.
    package func define(groups: [String: [String]]) { context.groups = groups }

    public func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ key: String, default fallback: Choice
    ) -> Choice {
        guard let text = optionalString(key) else { return fallback }
        guard let choice = Choice(rawValue: text) else {
            let all = Choice.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
            problem(key, "must be one of \(all), not \"\(text)\"")
            return fallback
        }
        return choice
    }

    public func url(_ key: String, default fallback: String) -> URL {
        let text = string(key, default: fallback)
        guard let url = URL(string: text), let scheme = url.scheme, ["http", "https"].contains(scheme), url.host != nil
        else {
            problem(key, "must be an http:// or https:// address")
            return URL(string: fallback) ?? URL(fileURLWithPath: "/")
        }
        return url
    }

    /// A path, taken from the folder of the configuration file where it is relative.
    public func file(_ key: String) -> String? {
        optionalString(key).map { context.path(of: $0) }
    }

    /// An object; an absent one reads as empty.
    public func section(_ key: String) -> SettingsSection { optionalSection(key) ?? empty(key) }

    public func optionalSection(_ key: String) -> SettingsSection? {
        guard let value = value(key) else { return nil }
        guard let object = value.object else {
            problem(key, "must be an object, not \(value.typeName)")
            return nil
        }
        return SettingsSection(object, at: place(of: key), in: context)
    }

    /// An object or a list of objects, as a list.
    public func sections(_ key: String) -> [SettingsSection] {
        guard case .array? = value(key) else { return optionalSection(key).map { [$0] } ?? [] }
        return list(key, of: "objects").map(\.1)
    }

    /// A list of objects, with their places; anything else is a problem.
    /// - Parameter items: what the list is of, for that problem.
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

    /// An item of a list that may hold other things besides objects; nil where it is none.
    public func item(_ key: String, _ index: Int) -> SettingsSection? {
        guard let list = value(key)?.array, list.indices.contains(index), let object = list[index].object else {
            return nil
        }
        return SettingsSection(object, at: "\(place(of: key))[\(index)]", in: context)
    }

    private func empty(_ key: String) -> SettingsSection { SettingsSection([:], at: place(of: key), in: context) }
}

/// A mistake, and where it is.
public struct SettingsProblem: Hashable, Sendable, CustomStringConvertible {
    public var path: String
    public var message: String

    public init(path: String, message: String) {
        self.path = path
        self.message = message
    }

    public var description: String { path.isEmpty ? message : "\(path): \(message)" }
}

/// What the sections of one file share: the folder, the environment, and the problems found.
public final class SettingsContext {
    public let folder: URL
    let environment: [String: String]
    public internal(set) var problems: [SettingsProblem] = []
    public internal(set) var warnings: [SettingsProblem] = []
    var groups: [String: [String]] = [:]

    public init(folder: URL, environment: [String: String]) {
        self.folder = folder
        self.environment = environment
    }

    /// A path of the configuration, taken from its folder where it is relative.
    func path(of file: String) -> String {
        file.hasPrefix("/") ? file : folder.appendingPathComponent(file).standardized.path
    }

    /// A string, or what `{"env": NAME}` or `{"file": path}` stands for.
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

    private func contents(of file: String, at path: String) -> String? {
        let whole = self.path(of: file)
        guard let data = FileManager.default.contents(atPath: whole), data.count <= 1 << 20 else {
            problems.append(SettingsProblem(path: path, message: "the file \(whole) cannot be read"))
            return nil
        }
        // The last line's end is not part of it; CR LF is one.
        var scalars = String(decoding: data, as: UTF8.self).unicodeScalars
        if scalars.last == "\n" {
            scalars.removeLast()
            if scalars.last == "\r" { scalars.removeLast() }
        }
        return String(scalars)
    }
}
