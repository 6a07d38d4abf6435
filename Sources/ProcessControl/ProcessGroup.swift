import Dispatch
package import PetrelSupport

#if canImport(Glibc)
    package import Glibc
#else
    package import Darwin
#endif

/// The process group of a child. The leader is reaped only after this value is no longer used, so that the number
/// cannot belong to another process.
package struct ProcessGroup: Sendable {
    private static let interval = Duration.milliseconds(10)

    private let leader: pid_t

    package init(_ leader: pid_t) { self.leader = leader }

    /// Ends all processes of the group.
    /// - Parameters:
    ///   - patience: The time for the leader to end by itself.
    ///   - limit: The time between SIGTERM and SIGKILL.
    /// - Returns: True if the leader has ended by itself.
    @discardableResult
    package func end(patience: Duration, beforeKill limit: Duration) async -> Bool {
        let endedAlone = await hasEnded(within: patience)
        if !endedAlone {
            terminate()
            _ = await hasEnded(within: limit)
        }
        // Also ends processes that the leader has left behind.
        kill()
        return endedAlone
    }

    /// Asks all processes of the group to end.
    package func terminate() { _ = Self.signal(-leader, SIGTERM) }

    /// Ends all processes of the group at once.
    package func kill() { _ = Self.signal(-leader, SIGKILL) }

    /// Opens a signal when the leader has ended.
    /// - Parameter descriptor: a descriptor of the leader that becomes readable then (`pidfd_open`); -1 if there is none.
    package func watch(_ descriptor: Int32, opening ended: Signal) async {
        guard descriptor >= 0 else {
            // Without a descriptor the state is polled. Sleeping fails only if the task is cancelled.
            while !hasEnded, (try? await Task.sleep(for: Self.interval)) != nil {}
            if hasEnded { ended.open() }
            return
        }
        let source = DispatchSource.makeReadSource(fileDescriptor: descriptor)
        let closed = Signal()
        source.setEventHandler { ended.open() }
        source.setCancelHandler { closed.open() }
        source.activate()
        await ended.wait()
        source.cancel()
        // The descriptor must not be closed before. In a task of its own, because this one may be cancelled.
        await Task { await closed.wait() }.value
    }

    private func hasEnded(within limit: Duration) async -> Bool {
        let end = ContinuousClock.now + limit
        while !hasEnded {
            guard ContinuousClock.now < end, (try? await Task.sleep(for: Self.interval)) != nil else { return false }
        }
        return true
    }

    private static func signal(_ process: pid_t, _ number: Int32) -> Int32 {
        #if canImport(Glibc)
            Glibc.kill(process, number)
        #else
            Darwin.kill(process, number)
        #endif
    }

    /// True if the leader has ended. It remains to be reaped.
    package var hasEnded: Bool {
        var info = siginfo_t()
        return waitid(P_PID, id_t(leader), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_signo == SIGCHLD
    }
}
