import Foundation

/// The files that are installed with the program.
public enum Installation {
    /// Returns the path of an installed file: below `share/petrel` beside the folder of the program, or in the checkout
    /// that contains the program; nil if it does not exist.
    public static func file(_ path: String) -> String? {
        guard let program = Bundle.main.executableURL?.resolvingSymlinksInPath() else { return nil }
        var folder = program.deletingLastPathComponent()
        var places = [folder.appendingPathComponent("../share/petrel")]
        while folder.pathComponents.count > 1 {
            folder.deleteLastPathComponent()
            let manifest = folder.appendingPathComponent("Package.swift").path
            if FileManager.default.fileExists(atPath: manifest) { places.append(folder) }
        }
        return places.map { $0.appendingPathComponent(path).standardized.path }.first {
            FileManager.default.fileExists(atPath: $0)
        }
    }
}
