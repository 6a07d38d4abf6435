import Foundation
package import PetrelKit
import PetrelSupport

/// The `store` section.
package struct StoreSettings: Sendable {
    package var path = "petrel.db"
    package var key = StoreKeySource.usual("petrel.key")
    package var retentionDays = 90
    /// Bytes of the audit that are kept.
    package var auditBytes = 256 << 20

    package init() {}

    package init(_ root: SettingsSection) {
        let section = root.section("store")
        path = Self.path(in: section)
        key = Self.keySource(section)
        retentionDays = section.integer("retention_days", default: 90, in: 1...36_500)
        auditBytes = section.integer("audit_bytes", default: auditBytes, in: (1 << 20)...(1 << 40))
        section.finish()
    }

    /// Where the database is, and nothing else of the section.
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
        // The file itself is read by the store, which looks at who else can read it.
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
    /// The store of a configuration file; nothing else in the file has to be right.
    package static func read(_ file: String, environment: [String: String]) throws(ConfigurationFailure)
        -> StoreSettings
    {
        let (root, context) = try SettingsSection.root(ofFile: file, environment: environment)
        let settings = StoreSettings(root)
        guard context.problems.isEmpty else { throw ConfigurationFailure(file: file, problems: context.problems) }
        return settings
    }

    /// Where the store of a configuration file is: for what does not open anything that is sealed.
    package static func path(ofFile file: String, environment: [String: String]) throws(ConfigurationFailure) -> String
    {
        let (root, context) = try SettingsSection.root(ofFile: file, environment: environment)
        let path = Self.path(in: root.section("store"))
        guard context.problems.isEmpty else { throw ConfigurationFailure(file: file, problems: context.problems) }
        return path
    }
}
