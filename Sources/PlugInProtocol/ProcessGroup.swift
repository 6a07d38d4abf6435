import PetrelSupport

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The process group of a plug-in. The leader is reaped only after this value is no longer used, so that the number
/// cannot belong to another process.
struct ProcessGroup: Sendable {
    private static let interval = Duration.milliseconds(10)

    private let leader: pid_t

    init(_ leader: pid_t) { self.leader = leader }

    /// Ends all processes of the group.
    /// - Parameters:
    ///   - patience: The time for the leader to end by itself.
    ///   - limit: The time between SIGTERM and SIGKILL.
    func end(patience: Duration, beforeKill limit: Duration) async {
        if await !hasEnded(within: patience) {
            kill(-leader, SIGTERM)
            _ = await hasEnded(within: limit)
        }
        // Also ends processes that the plug-in has left behind.
        kill(-leader, SIGKILL)
    }

    private func hasEnded(within limit: Duration) async -> Bool {
        let end = ContinuousClock.now + limit
        while !hasEnded {
            guard ContinuousClock.now < end, (try? await Task.sleep(for: Self.interval)) != nil else { return false }
        }
        return true
    }

    /// True if the leader has ended. It remains to be reaped.
    private var hasEnded: Bool {
        var info = siginfo_t()
        return waitid(P_PID, id_t(leader), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_signo == SIGCHLD
    }
}
