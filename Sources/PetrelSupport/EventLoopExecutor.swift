public import NIOCore
import NIOPosix

/// A task executor that runs jobs on one event loop.
///
/// The host hands the same executor to everything that takes part in a command: backends, modules and the StackStorm
/// client. A command then runs on one thread from the message to the request and from the answer to the reply, and wakes
/// no other thread on its way. Work that computes for longer than a command may wait, such as decoding thousands of
/// aliases, and work that blocks belong elsewhere: a task that is not given this executor runs on Swift's own threads.
public final class EventLoopExecutor: TaskExecutor {
    /// The event loop to which connections belong whose bytes such tasks read and write.
    public let eventLoop: any EventLoop

    /// Creates an executor for an event loop.
    public init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Creates an executor for one of the event loops that NIO shares in the process.
    public convenience init() { self.init(MultiThreadedEventLoopGroup.singleton.next()) }

    /// Calls a closure on the event loop once, after a delay.
    public func after(_ delay: Duration, _ work: @escaping @Sendable () -> Void) {
        eventLoop.scheduleTask(in: TimeAmount(delay), work)
    }

    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        eventLoop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
