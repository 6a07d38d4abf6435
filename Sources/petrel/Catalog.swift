import Logging
import PetrelKit
import TextBackend

/// The one list of the backends that a configuration can name. A third party adds a line here, and its target to
/// Package.swift.
enum Catalog {
    /// Reads a section and returns what makes the backend of it.
    typealias BackendEntry =
        @Sendable (_ name: String, _ section: SettingsSection, _ options: RunOptions) -> MakeBackend
    typealias MakeBackend = @Sendable (Logger) throws -> any ChatBackend

    static let backends: [String: BackendEntry] = [
        "text": { name, section, options in
            var settings = TextSettings(section)
            if let linger = options.linger { settings.linger = .seconds(linger) }
            let final = settings
            return { TextBackend(name: name, settings: final, logger: $0) }
        }
    ]
}

/// What the command line says besides the file.
struct RunOptions: Sendable {
    /// Seconds that results are waited for after the end of the input.
    var linger: Int?
}
