import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// A listener whose connections have a NIO pipeline, built from the outside in: PROXY header, TLS, WebSocket, MQTT. Each
/// stage adds the next when it knows what that needs, and leaves.
final class NIOListener: Sendable {
    let options: ListenerOptions
    let context: ListenerContext
    /// Bytes of a WebSocket frame.
    private let maxFrameSize: Int
    /// There for `ssl` and `wss`.
    let tls: TLSContexts?

    init(_ options: ListenerOptions, context: ListenerContext, maxPacketSize: Int) throws {
        self.options = options
        self.context = context
        maxFrameSize = min(maxPacketSize + 16, options.maxFrameSize, Int(UInt32.max) - 1)
        tls = try options.tls.map { try TLSContexts($0) }
    }

    /// Takes over an accepted socket. On the acceptor's thread.
    func adopt(_ accepted: Accepted, on loop: NIOShardLoop) {
        let admission = Admission(context)
        ClientBootstrap(group: loop.eventLoop)
            .channelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 256, initial: 256, maximum: 65_536)
            )
            .channelOption(.tcpOption(.tcp_nodelay), value: options.noDelay ? 1 : 0)
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelOption(
                .writeBufferWaterMark,
                value: ChannelOptions.Types.WriteBufferWaterMark(low: 256 * 1024, high: 1024 * 1024)
            )
            .channelInitializer { channel in
                channel.closeFuture.whenComplete { _ in admission.end() }
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        OpeningHandler(listener: self, loop: loop, accepted: accepted))
                }
            }
            .withConnectedSocket(accepted.descriptor)
            .whenFailure { error in
                admission.end()
                loop.shard.lines.debug(
                    "A connection could not be set up.",
                    metadata: ["listener.id": "\(self.context.id)", "error": "\(error)"])
            }
    }

    // MARK: Stages

    /// Behind the PROXY header: TLS, or the protocol at once.
    func begin(_ channel: any Channel, _ loop: NIOShardLoop, _ endpoints: Endpoints) throws {
        guard let tls else { return try beginProtocol(channel, loop, endpoints) }
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(tls.makeHandler())
        try pipeline.addHandler(
            HandshakeHandler(listener: self, loop: loop, endpoints: endpoints, timeout: tls.handshakeTimeout))
    }

    /// MQTT, or HTTP that becomes it.
    func beginProtocol(_ channel: any Channel, _ loop: NIOShardLoop, _ endpoints: Endpoints) throws {
        switch options.kind {
        case .tcp, .ssl:
            try channel.pipeline.syncOperations.addHandler(
                NIOConnectionHandler(loop: loop, listener: context, endpoints: endpoints))
        case .ws, .wss:
            try WebSocketUpgrade(listener: self, loop: loop, endpoints: endpoints, maxFrameSize: maxFrameSize).begin(
                channel)
        }
    }
}

/// A connection's place in its listener's count, given back once.
private final class Admission: Sendable {
    private let context: ListenerContext
    private let isOver = Atomic<Bool>(false)

    init(_ context: ListenerContext) { self.context = context }

    func end() { if !isOver.exchange(true, ordering: .relaxed) { context.release() } }
}
