import Foundation
import PetrelSupport
import SystemPackage

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Waits for descriptors, all on one thread.
///
/// The sources of libdispatch are no alternative: on Linux, one that is suspended while its pipe hangs up ends the process.
final class DescriptorPoll: Sendable {
    /// The poll of this process.
    static let shared = DescriptorPoll()

    private struct Wait: Sendable {
        var descriptors: [Int32]
        var isReady: Signal
    }

    private struct State: Sendable {
        var next: UInt64 = 0
        var waits: [UInt64: Wait] = [:]
    }

    /// The time in milliseconds after which the thread looks for new waits if it cannot be woken, and the pause in
    /// microseconds after an error.
    private static let pause: (wake: Int32, error: UInt32) = (50, 10_000)

    private let state = Locked(State())
    /// A pipe that wakes the thread; nil if there were no descriptors for it.
    private let waker: (readEnd: FileDescriptor, writeEnd: FileDescriptor)?

    private init() {
        waker = try? FileDescriptor.pipe()
        for end in [waker?.readEnd, waker?.writeEnd].compactMap(\.self) {
            _ = fcntl(end.rawValue, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end.rawValue, F_SETFL, O_NONBLOCK)
        }
        Thread.detachNewThread { while true { self.turn() } }
    }

    /// Waits until one of the descriptors can be read or is at its end, or the current task is cancelled. Until the call
    /// returns, none of them may be closed.
    func wait(for descriptors: [Int32]) async {
        let wait = Wait(descriptors: descriptors, isReady: Signal())
        let id = state.withLock { state in
            state.next += 1
            state.waits[state.next] = wait
            return state.next
        }
        wake()
        await wait.isReady.wait()
        // After a cancellation, the thread must not hold the descriptors open any longer.
        if state.withLock({ $0.waits.removeValue(forKey: id) }) != nil { wake() }
    }

    private func wake() {
        // A full pipe wakes the thread as well.
        _ = try? waker?.writeEnd.writeAll([0])
    }

    /// Waits once, and tells the waits that are ready.
    private func turn() {
        let waits = state.value.waits
        var entries = [pollfd(fd: waker?.readEnd.rawValue ?? -1, events: Int16(POLLIN), revents: 0)]
        var owners: [UInt64] = [0]
        for (id, wait) in waits {
            for descriptor in wait.descriptors {
                entries.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0))
                owners.append(id)
            }
        }
        guard poll(&entries, nfds_t(entries.count), waker == nil ? Self.pause.wake : -1) >= 0 else {
            if errno != EINTR { usleep(Self.pause.error) }
            return
        }
        if entries[0].revents != 0 {
            // One wake-up is enough for all that has changed until now.
            withUnsafeTemporaryAllocation(byteCount: 512, alignment: 1) { _ = try? waker?.readEnd.read(into: $0) }
        }
        let ready = Set(zip(entries, owners).filter { $0.0.revents != 0 && $0.1 != 0 }.map(\.1))
        let signals = state.withLock { state in ready.compactMap { state.waits.removeValue(forKey: $0)?.isReady } }
        for signal in signals { signal.open() }
    }
}
