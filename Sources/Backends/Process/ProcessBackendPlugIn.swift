package import PetrelKit
import PetrelSupport
import PlugInProtocol

/// The plug-in for backends of the kind `process`: programs that speak the protocol of docs/PluginProtocol.md.
package struct ProcessBackendPlugIn: BackendPlugIn {
    /// The kind in the configuration.
    package static let kind = "process"
    /// The facts for the review of access rules.
    package static let facts = BackendFacts(
        // An id may have any form.
        names: NameForms { text, _ in !["@", "#", nil].contains(text.unicodeScalars.first) },
        caution: "the program decides the ids of users and rooms: access rules are only as reliable as the program")

    private let launch: PlugInLaunch

    /// Reads the settings of a section.
    package init(name: String, _ section: SettingsSection, _ options: LaunchOptions) {
        launch = PlugInLaunch(name: name, section)
    }

    /// Creates the backend.
    package func makeBackend(_ context: BackendContext) throws -> any ChatBackend {
        ProcessBackend(launch, version: context.version, logger: context.logger)
    }
}
