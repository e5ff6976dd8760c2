import NIOCore
import NIOTLS

/// Closes a channel whose TLS handshake takes too long. Stands behind the TLS handler.
final class HandshakeDeadline: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let timeout: TimeAmount
    private var deadline: Scheduled<Void>?

    init(timeout: TimeAmount) { self.timeout = timeout }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        deadline = context.eventLoop.scheduleTask(in: timeout) { channel.close(promise: nil) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if TLSHandshake.isCompleted(event) { cancel() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        cancel()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { cancel() }

    private func cancel() {
        deadline?.cancel()
        deadline = nil
    }
}

enum TLSHandshake {
    static func isCompleted(_ event: Any) -> Bool {
        if case .some(.handshakeCompleted) = event as? TLSUserEvent { true } else { false }
    }
}

/// Calls back when something has been quiet for a time: one scheduled task, however much comes meanwhile.
///
/// Confined to the event loop.
final class IdleDeadline {
    private let eventLoop: any EventLoop
    private let timeout: TimeAmount
    private let onIdle: () -> Void
    private var lastActivity = NIODeadline.now()
    private var task: Scheduled<Void>?

    init(on eventLoop: any EventLoop, timeout: TimeAmount, _ onIdle: @escaping () -> Void) {
        self.eventLoop = eventLoop
        self.timeout = timeout
        self.onIdle = onIdle
        schedule()
    }

    func noteActivity() { lastActivity = .now() }

    func cancel() {
        task?.cancel()
        task = nil
    }

    private func schedule() {
        task = eventLoop.assumeIsolated().scheduleTask(deadline: lastActivity + timeout) { [weak self] in
            self?.look()
        }
    }

    private func look() {
        if lastActivity + timeout <= .now() { onIdle() } else { schedule() }
    }
}
