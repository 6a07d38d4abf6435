import Foundation
import PetrelSupport

/// The shared files `~/.aws/credentials` and `~/.aws/config`
/// (https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html).
struct SharedProfiles: Sendable {
    private static let mostBytes = 1 << 20

    private let environment: [String: String]

    init(_ environment: [String: String]) { self.environment = environment }

    /// The name of the profile in `AWS_PROFILE`; nil if the variable is not set.
    var selected: String? { value("AWS_PROFILE") ?? value("AWS_DEFAULT_PROFILE") }

    /// Reads a profile from the files. Returns nil if no file has it.
    func profile(_ name: String) throws -> SharedProfile? {
        let config = try section(of: path("AWS_CONFIG_FILE", "config"), name, prefix: "profile ")
        let credentials = try section(of: path("AWS_SHARED_CREDENTIALS_FILE", "credentials"), name)
        guard config != nil || credentials != nil else { return nil }
        return SharedProfile(name: name, credentials: credentials, config: config)
    }

    private func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

    private func path(_ variable: String, _ file: String) -> String? {
        if let path = value(variable) {
            return path.utf8.starts(with: "~/".utf8) ? value("HOME").map { $0 + path.dropFirst() } : path
        }
        return value("HOME").map { "\($0)/.aws/\(file)" }
    }

    /// Returns the section of a profile. Returns nil if the file does not exist or does not have the section.
    private func section(of path: String?, _ name: String, prefix: String = "") throws -> SharedProfile.Section? {
        guard let path, FileManager.default.fileExists(atPath: path) else { return nil }
        guard let data = FileManager.default.contents(atPath: path), data.count <= Self.mostBytes else {
            throw AWSError(.noCredentials, "\(path) cannot be read")
        }
        let names = [prefix + name] + (name == "default" ? [name] : [])
        return Self.section(String(decoding: data, as: UTF8.self), names).map {
            SharedProfile.Section(file: path, settings: $0)
        }
    }

    /// Returns the settings of the sections with one of the names. Returns nil if the text does not have such a section.
    static func section(_ text: String, _ names: [String]) -> [String: String]? {
        var settings: [String: String]?
        var isIn = false
        // Editors of Windows begin a file with a byte order mark.
        let text = text.unicodeScalars.first == "\u{FEFF}" ? Substring(text.unicodeScalars.dropFirst()) : text[...]
        for line in text.textLines {
            let scalars = line.unicodeScalars
            guard let first = scalars.first(where: { !$0.isSeparator }), first != "#", first != ";" else { continue }
            if first == "[" {
                let inner = scalars.drop { $0 != "[" }.dropFirst().prefix { $0 != "]" }
                // A name may be in quotation marks.
                let title = String(String.UnicodeScalarView(inner))
                isIn = names.contains((ShellWords.split(title) ?? title.words).joined(separator: " "))
                if isIn { settings = settings ?? [:] }
            } else if isIn, scalars.first?.isSeparator == false, let equals = scalars.firstIndex(of: "=") {
                // A line that is indented belongs to a nested setting, which has no credentials.
                let name = String(String.UnicodeScalarView(scalars[..<equals])).words.joined()
                settings?[name.lowercased()] = trimmed(scalars[equals...].dropFirst())
            }
        }
        return settings
    }

    private static func trimmed(_ scalars: Substring.UnicodeScalarView) -> String {
        let start = scalars.drop { $0.isSeparator }
        let end = start.lastIndex { !$0.isSeparator }.map { start.index(after: $0) } ?? start.startIndex
        return String(String.UnicodeScalarView(start[..<end]))
    }
}
