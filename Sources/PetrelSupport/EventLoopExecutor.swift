public import NIOCore
import NIOPosix

/// A task executor that runs jobs on one event loop.
///
/// The host passes the same executor to everything that takes part in a command: backends, modules and their clients of
/// other services. A command is then processed on one thread, from the message to the request and from the response to the
/// reply, without a switch to another thread. Do not run blocking work or long computations, such as decoding thousands
/// of aliases, on this executor. Tasks without this executor run on the threads of Swift's global executor.
public final class EventLoopExecutor: TaskExecutor {
    /// The event loop that runs the jobs. Connections that the tasks read and write should use it as well.
    public let eventLoop: any EventLoop

    /// Creates an executor that runs jobs on an event loop.
    public init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Creates an executor for one of the event loops that NIO shares in the process.
    public convenience init() { self.init(MultiThreadedEventLoopGroup.singleton.next()) }

    /// Calls a closure once on the event loop, after a delay.
    public func after(_ delay: Duration, _ work: @escaping @Sendable () -> Void) {
        eventLoop.scheduleTask(in: TimeAmount(delay), work)
    }

    /// Runs a job on the event loop as soon as possible.
    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        eventLoop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
