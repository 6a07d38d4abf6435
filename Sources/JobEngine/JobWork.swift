/// The work of a job: the run of a program, or a call that a program which goes on running answers.
package protocol JobWork: Sendable {
    /// Stops the work. Further calls, and calls after its end, have no effect, and return false.
    /// - Parameter grace: the time for which the work may go on; nil for the usual one.
    @discardableResult
    func stop(_ cause: StopCause, grace: Duration?) -> Bool
    /// Does the work until its end. Must not be cancelled; use ``stop(_:grace:)``.
    /// - Parameter started: a closure that is called at the start, with the process identifier if the work has a process
    ///   of its own.
    func run(started: @escaping @Sendable (Int32?) -> Void) async -> ProgramEnd
}

extension JobWork {
    /// Does the work until its end.
    package func run() async -> ProgramEnd { await run { _ in } }
}

extension RunningProgram: JobWork {}
