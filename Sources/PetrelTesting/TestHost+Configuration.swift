import Foundation
public import Logging
import PetrelCore
public import PetrelKit
public import PetrelSupport

extension TestHost {
    /// Creates a host with the settings of a configuration, such as prefixes, limits and access rules:
    ///
    /// ```swift
    /// try TestHost([chat], configuration: [
    ///     "bot": ["prefix": "?", "limits": ["line_bytes": 256]],
    ///     "admins": ["@root"],
    ///     "access_controls": [["command": "lock*", "allowrooms": ["#ops"]]],
    /// ])
    /// ```
    ///
    /// Throws an error with all problems of the configuration. The sections of plug-ins, such as `backends`, are unknown
    /// keys here: the test creates its backends and modules itself.
    public convenience init(
        _ backends: [any ChatBackend], configuration: [String: JSONValue], store: TestStore? = nil,
        logger: Logger? = nil
    ) throws {
        let context = SettingsContext(folder: FileManager.default.temporaryDirectory, environment: [:])
        let root = SettingsSection(configuration, at: "", in: context)
        let settings = CoreSettings(root)
        root.finish()
        guard context.problems.isEmpty else {
            throw ConfigurationFailure(file: "configuration", problems: context.problems)
        }
        try self.init(
            backends, policy: settings.policy(modules: []), settings: settings, store: store, logger: logger,
            adminRooms: settings.adminRooms)
    }
}
