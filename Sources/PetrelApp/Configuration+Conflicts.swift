import Foundation
import PetrelCore
import PetrelKit
import PetrelStore
import PetrelSupport

extension Configuration {
    /// Returns warnings about commands that modules declared in their latest run, and that cannot be called because
    /// another module has a command of the same name.
    func conflicts() async -> [SettingsProblem] {
        let path = core.store.path
        // There is no store before the first start.
        guard modules.contains(where: { $0 is any CommandRecalling }), FileManager.default.fileExists(atPath: path)
        else {
            return []
        }
        do {
            return try await conflicts(in: try Store(readingOnly: path))
        } catch {
            let message = "cannot be read, so that the commands of plug-ins were not compared: \(error)"
            return [SettingsProblem(path: "store.path", message: message)]
        }
    }

    private func conflicts(in store: Store) async throws -> [SettingsProblem] {
        var commands: [(module: String, command: Command)] = []
        var sections: [String: String] = [:]
        for plugIn in modules {
            for outline in plugIn.outlines {
                var names = outline.commands
                if let plugIn = plugIn as? any CommandRecalling {
                    names += try await plugIn.recalledCommands(
                        of: outline.name, from: store.storage(for: outline.name))
                    sections[outline.name] = type(of: plugIn).section
                }
                commands += names.map { (outline.name, Command($0, summary: "") { _ in nil }) }
            }
        }
        return CommandTable(commands).conflicts.compactMap { conflict in
            sections[conflict.module].map { section in
                SettingsProblem(
                    path: "\(section).\(conflict.module)",
                    message: "declares the command \"\(conflict.name)\", which cannot be called: the module "
                        + "\"\(conflict.owner)\" has a command of this name")
            }
        }
    }
}
