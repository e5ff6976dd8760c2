import Access
import NIOCore
import NIOSSL
import NIOTLS

/// Stands behind TLS until the handshake is over: then it is known who the client is, and the protocol begins.
final class HandshakeHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let listener: NIOListener
    private let loop: NIOShardLoop
    private var endpoints: Endpoints
    /// Milliseconds; `.max` for any time.
    private let timeout: Int64
    private var deadline: Scheduled<Void>?

    init(listener: NIOListener, loop: NIOShardLoop, endpoints: Endpoints, timeout: Int64) {
        self.listener = listener
        self.loop = loop
        self.endpoints = endpoints
        self.timeout = timeout
    }

    func handlerAdded(context: ChannelHandlerContext) {
        guard timeout != .max else { return }
        let channel = context.channel
        deadline = context.eventLoop.scheduleTask(in: .milliseconds(timeout)) {
            channel.close(mode: .all, promise: nil)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? TLSUserEvent, case .handshakeCompleted = event else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        do {
            let tls = try context.pipeline.syncOperations.handler(type: NIOSSLServerHandler.self)
            if let certificate = tls.peerCertificate {
                endpoints.certificate = try PeerCertificate(der: certificate.toDERBytes())
            }
            try listener.beginProtocol(context.channel, loop, endpoints)
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        } catch {
            errorCaught(context: context, error: error)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        loop.shard.lines.debug(
            "A TLS handshake failed.",
            metadata: [
                "listener.id": "\(listener.context.id)", "client.peer": "\(endpoints.peerName)", "error": "\(error)",
            ])
        context.close(promise: nil)
    }
}
