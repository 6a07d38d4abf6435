/// A program to run: what it is, and what it receives.
package struct Program: Sendable {
    /// The path of the executable, or a name that is looked up in `PATH`.
    package var executable: String
    /// The arguments after the name of the program.
    package var arguments: [String]
    /// The complete environment.
    package var environment: [String: String]
    /// The working directory; nil for that of this process.
    package var folder: String?
    /// The time after which the program is stopped; nil for no limit.
    package var timeout: Duration?
    /// The bytes of standard input; nil for none. A few hundred kilobytes at most, because they are written at once.
    package var input: [UInt8]?

    /// Creates a program.
    package init(
        _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:], folder: String? = nil,
        timeout: Duration? = nil
    ) {
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
        self.folder = folder
        self.timeout = timeout
    }
}

/// One of the two output streams of a program.
package enum ProgramStream: UInt8, Sendable {
    /// Standard output.
    case output = 1
    /// Standard error.
    case error = 2
}

/// Receives the output of a program.
package protocol OutputSink: Sendable {
    /// Takes bytes in the order in which they arrived. The program waits, once its pipe is full, until the call returns.
    func write(_ bytes: [UInt8], from stream: ProgramStream) async
}

/// The reason for which a program was stopped before it ended by itself.
package enum StopCause: Sendable, Equatable {
    /// Its time was over.
    case timedOut
    /// The person who started it stopped it, or this other person.
    case cancelled(by: String?)
    /// The process that runs it is stopping.
    case shutdown
    /// Something else stopped it, for this reason.
    case interrupted(String)
}

/// The end of a program, or of another work.
package struct ProgramEnd: Sendable, Equatable {
    /// The way in which the program ended.
    package enum Status: Sendable, Equatable {
        /// It exited with this code.
        case exited(Int32)
        /// It was ended by this signal.
        case signalled(Int32)
        /// It could not be started, for this reason.
        case notStarted(String)
        /// It was a call, which was answered, or failed for this reason.
        case answered(failure: String?)
    }

    /// The way in which the program ended.
    package var status: Status
    /// The reason for which it was stopped; nil if it ended by itself.
    package var cause: StopCause?
    /// True if a process that it left behind went on writing, so that the rest was not read.
    package var hasOpenOutput: Bool

    /// Creates an end.
    package init(_ status: Status, cause: StopCause? = nil, hasOpenOutput: Bool = false) {
        self.status = status
        self.cause = cause
        self.hasOpenOutput = hasOpenOutput
    }
}
