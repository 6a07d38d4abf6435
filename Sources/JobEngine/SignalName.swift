#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The names of the signals that end programs.
package enum SignalName {
    private static let names: [Int32: String] = [
        SIGHUP: "SIGHUP", SIGINT: "SIGINT", SIGQUIT: "SIGQUIT", SIGILL: "SIGILL", SIGABRT: "SIGABRT", SIGBUS: "SIGBUS",
        SIGFPE: "SIGFPE", SIGKILL: "SIGKILL", SIGSEGV: "SIGSEGV", SIGPIPE: "SIGPIPE", SIGALRM: "SIGALRM",
        SIGTERM: "SIGTERM", SIGXCPU: "SIGXCPU", SIGXFSZ: "SIGXFSZ", SIGUSR1: "SIGUSR1", SIGUSR2: "SIGUSR2",
    ]

    /// Returns a phrase such as `signal 11 (SIGSEGV)`, for a signal that Petrel has not sent.
    package static func of(_ number: Int32) -> String {
        let name = names[number].map { "signal \(number) (\($0))" } ?? "signal \(number)"
        return number == SIGKILL ? "\(name), which Petrel has not sent; the machine may be out of memory" : name
    }
}
