public import NIOCore
import NIOPosix

/// The one thread on which commands run, replies leave, and StackStorm's answers and events come in: on its way from a
/// message to the request and from the answer to the reply, a command wakes no other thread.
///
/// What computes for longer than a command may wait, such as reading thousands of aliases, belongs elsewhere: tasks
/// that are not given this executor run on Swift's own threads.
public final class ChatLoop: TaskExecutor {
    public static let shared = ChatLoop(MultiThreadedEventLoopGroup.singleton.next())

    /// Where connections belong whose bytes such tasks send and receive.
    public let eventLoop: any EventLoop

    private init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Does something on this thread in a while, once.
    public func after(_ delay: Duration, _ work: @escaping @Sendable () -> Void) {
        eventLoop.scheduleTask(in: TimeAmount(delay), work)
    }

    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        eventLoop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
