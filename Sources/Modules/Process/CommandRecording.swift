package import PetrelKit

/// A command that a program declares.
package struct DeclaredCommand: Sendable, Hashable {
    /// The name.
    package var name: String
    /// The one-line description.
    package var summary: String

    /// Creates a command.
    package init(_ name: String, summary: String) {
        self.name = name
        self.summary = summary
    }
}

/// One of the two streams of what a call prints.
package enum PrintedStream: String, Sendable {
    /// The answer, and what belongs to it.
    case output
    /// Everything else.
    case error
}

/// Offers the commands of a program in place of its module, and records their calls.
package protocol CommandRecording: Sendable {
    /// Takes the commands that the program has declared, in place of the earlier ones.
    func declared(_ commands: [DeclaredCommand])
    /// Takes a part of what a call has printed. The program waits until this returns.
    func printed(_ text: String, on stream: PrintedStream, by call: String) async
}

extension ProcessModule {
    /// Returns the commands that the program declared in its latest run.
    package static func recalledCommands(from storage: any Storage) async throws -> [DeclaredCommand] {
        guard let value = try await DeclarationRecord(storage).value() else { return [] }
        return try CommandDeclaration.list(value, timeout: .zero).map { DeclaredCommand($0.name, summary: $0.summary) }
    }
}
