import Foundation
package import PetrelKit
import PetrelSupport

/// The settings in the section `store`.
package struct StoreSettings: Sendable {
    /// The path of the database.
    package var path = "petrel.db"
    /// The source of the key that encrypts secrets.
    package var key = StoreKeySource.usual("petrel.key")
    /// The number of days after which audit entries, dead letters and unused secrets are removed.
    package var retentionDays = 90
    /// The maximum size of the audit log, in bytes.
    package var auditBytes = 256 << 20

    /// Creates the default settings.
    package init() {}

    /// Reads the settings from the root of a configuration.
    package init(_ root: SettingsSection) {
        let section = root.section("store")
        path = Self.path(in: section)
        key = Self.keySource(section)
        retentionDays = section.integer("retention_days", default: 90, in: 1...36_500)
        auditBytes = section.integer("audit_bytes", default: auditBytes, in: (1 << 20)...(1 << 40))
        section.finish()
    }

    /// Reads the path of the database.
    private static func path(in section: SettingsSection) -> String {
        let path = section.file("path") ?? section.path(of: "petrel.db")
        let folder = (path as NSString).deletingLastPathComponent
        var isFolder: ObjCBool = false
        if !FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder) {
            section.problem("path", "the folder \(folder) does not exist; create it, or set another path")
        } else if !isFolder.boolValue {
            section.problem("path", "\(folder) is not a folder")
        } else if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue {
            section.problem("path", "\(path) is a folder; name a file in it")
        }
        return path
    }

    private static func keySource(_ store: SettingsSection) -> StoreKeySource {
        // The store reads the file, because it also checks the permissions.
        if let file = store.value("key")?["file"]?.string {
            let path = store.path(of: file)
            if !FileManager.default.fileExists(atPath: path) { store.problem("key", "the file \(path) does not exist") }
            return .file(path)
        }
        if let key = store.secret("key") { return .value(key) }
        return .usual(store.path(of: "petrel.key"))
    }
}

extension StoreSettings {
    /// Reads the settings of the store from a configuration file. Errors in other sections are ignored.
    package static func read(_ file: String, environment: [String: String]) throws(ConfigurationFailure)
        -> StoreSettings
    {
        let (root, context) = try SettingsSection.root(ofFile: file, environment: environment)
        let settings = StoreSettings(root)
        guard context.problems.isEmpty else { throw ConfigurationFailure(file: file, problems: context.problems) }
        return settings
    }

    /// Reads the path of the database from a configuration file. Errors elsewhere are ignored, also in `store.key`.
    package static func path(ofFile file: String, environment: [String: String]) throws(ConfigurationFailure) -> String
    {
        let (root, context) = try SettingsSection.root(ofFile: file, environment: environment)
        let path = Self.path(in: root.section("store"))
        guard context.problems.isEmpty else { throw ConfigurationFailure(file: file, problems: context.problems) }
        return path
    }
}
