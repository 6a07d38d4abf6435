import JobEngine
import PetrelKit
import PetrelSupport

/// A call of a command that is a program.
struct ProgramCall: Sendable {
    /// The arguments that people typed.
    var arguments: [String]
    /// The line, without the prefix; nil for one that consists of the name and the arguments.
    var text: String?
    /// The person and the place.
    var caller: CommandCaller
    /// The identifier of the thread.
    var thread: String?
    /// The number of the job.
    var job: Int
}

extension CommandDefinition {
    /// Returns the program of a call: its arguments, environment and input.
    /// - Parameter inherited: The environment that programs inherit.
    func program(for call: ProgramCall, inheriting inherited: [String: String]) throws -> Program {
        var environment = inherited.merging(self.environment) { $1 }
        let caller = call.caller
        environment["PETREL_USER"] = Self.variable(caller.person.name)
        environment["PETREL_USER_ID"] = Self.variable(caller.person.id)
        environment["PETREL_ROOM"] = Self.variable(caller.room?.name ?? "")
        environment["PETREL_BACKEND"] = Self.variable(caller.backend)
        environment["PETREL_JOB_ID"] = "\(call.job)"
        environment["PATH"] = environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        var program = Program(
            self.program, arguments + call.arguments, environment: environment, folder: folder, timeout: timeout)
        guard hasInput else { return program }
        let words = [name] + call.arguments
        program.input = try CallDocument(
            arguments: words, text: call.text ?? words.joined(separator: " "), caller: caller, thread: call.thread,
            job: call.job
        ).bytes
        return program
    }

    /// Returns a text as the value of an environment variable, which cannot contain NUL.
    private static func variable(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.filter { $0 != "\0" }))
    }
}
