import NIOCore
import NIOHTTPTypes

/// A handler that closes a connection whose request or response exceeds its time limit, even if data still arrives.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let connections: Connections
    private let limits: WebLimits
    private var phases = RequestPhases()
    private var number: Int?
    private var timer: Scheduled<Void>?

    init(_ connections: Connections, _ limits: WebLimits) {
        self.connections = connections
        self.limits = limits
    }

    func channelActive(context: ChannelHandlerContext) {
        number = connections.open(context.channel)
        if number == nil { context.close(promise: nil) } else { begin(.head, context) }
        context.fireChannelActive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
        if let number { connections.close(number) }
        number = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head: begin(phases.readHead(), context)
        case .body: break
        case .end: begin(phases.readEnd(), context)
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) { begin(phases.wroteEnd(), context) }
        context.write(data, promise: promise)
    }

    private func begin(_ phase: RequestPhases.Phase?, _ context: ChannelHandlerContext) {
        guard let phase, let number else { return }
        timer?.cancel()
        timer = context.eventLoop.scheduleTask(in: TimeAmount(limits.time(for: phase))) { [channel = context.channel] in
            channel.close(promise: nil)
        }
        connections.note(number, isWaiting: phase != .answer)
    }
}
