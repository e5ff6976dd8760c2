import Buffers
import NIOCore
import NIOSSL
import NIOWebSocket

/// A connection's channel. Frames what it writes when the channel speaks WebSocket.
final class NIOTransport: Transport {
    private let context: ChannelHandlerContext
    private let isWebSocket: Bool
    private var isClosed = false

    init(context: ChannelHandlerContext, isWebSocket: Bool) {
        self.context = context
        self.isWebSocket = isWebSocket
    }

    override func write(_ out: OutputBuffer) -> Bool {
        guard context.channel.isActive else { return false }
        // What the socket has no room for stays with the connection, where its bounds are.
        guard context.channel.isWritable, !out.isEmpty else { return true }
        var buffer = context.channel.allocator.buffer(capacity: out.count)
        buffer.writeBytes(out.bytes)
        out.consume(out.count)
        if isWebSocket {
            let frame = WebSocketFrame(fin: true, opcode: .binary, data: buffer)
            context.writeAndFlush(NIOAny(frame), promise: nil)
        } else {
            context.writeAndFlush(NIOAny(buffer), promise: nil)
        }
        return true
    }

    override var peerCertificate: [UInt8]? {
        // Neither throws but for a pipeline without TLS, which has no certificates.
        guard let handler = try? context.pipeline.syncOperations.handler(type: NIOSSLServerHandler.self) else {
            return nil
        }
        return try? handler.peerCertificate?.toDERBytes()
    }

    override func pauseReading() { setAutoRead(false) }
    override func resumeReading() { setAutoRead(true) }

    private func setAutoRead(_ value: Bool) {
        guard !isClosed, let options = context.channel.syncOptions else { return }
        // Fails only on a channel that has closed meanwhile, which its handler hears of.
        do { try options.setOption(.autoRead, value: value) } catch { return }
    }

    override func close() {
        guard !isClosed else { return }
        isClosed = true
        let context = NIOLoopBound(context, eventLoop: context.eventLoop)
        // What was written before leaves first: a close would drop it.
        let last = self.context.eventLoop.makePromise(of: Void.self)
        if isWebSocket {
            var code = self.context.channel.allocator.buffer(capacity: 2)
            code.write(webSocketErrorCode: .normalClosure)
            self.context.writeAndFlush(
                NIOAny(WebSocketFrame(fin: true, opcode: .connectionClose, data: code)), promise: last)
        } else {
            self.context.writeAndFlush(NIOAny(ByteBuffer()), promise: last)
        }
        // A client that does not read would hold the channel for ever.
        let limit = self.context.eventLoop.scheduleTask(in: .seconds(5)) { context.value.close(promise: nil) }
        last.futureResult.whenComplete { _ in
            limit.cancel()
            context.value.close(promise: nil)
        }
    }
}

/// The one handler of a plain or TLS channel: hands bytes to the connection, in place.
final class NIOConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let loop: NIOShardLoop
    private let listener: ListenerContext
    private let awaitsHandshake: Bool
    private var connection: Connection?

    /// - Parameter awaitsHandshake: the time for CONNECT begins behind the TLS handshake, which has its own.
    init(loop: NIOShardLoop, listener: ListenerContext, awaitsHandshake: Bool) {
        self.loop = loop
        self.listener = listener
        self.awaitsHandshake = awaitsHandshake
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive, !awaitsHandshake { open(context) }
    }

    func channelActive(context: ChannelHandlerContext) { if !awaitsHandshake { open(context) } }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if awaitsHandshake, TLSHandshake.isCompleted(event) { open(context) }
        context.fireUserInboundEventTriggered(event)
    }

    private func open(_ context: ChannelHandlerContext) {
        guard connection == nil else { return }
        loop.beginTick()
        connection = Connection(
            shard: loop.shard, transport: NIOTransport(context: context, isWebSocket: false),
            endpoints: Endpoints(context.channel), listener: listener)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        loop.beginTick()
        let buffer = Self.unwrapInboundIn(data)
        buffer.withUnsafeReadableBytes { connection?.receive($0) }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable else { return }
        loop.beginTick()
        connection?.transportWritable()
    }

    func channelInactive(context: ChannelHandlerContext) { end("tcp_closed") }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        loop.shard.logger.debug(
            "A connection failed.", metadata: ["listener.id": "\(listener.id)", "error": "\(error)"])
        end("tcp_closed")
        context.close(promise: nil)
    }

    private func end(_ reason: String) {
        loop.beginTick()
        connection?.transportClosed(reason)
        connection = nil
    }
}

extension Endpoints {
    init(_ channel: any Channel) {
        self.init(
            peerHost: channel.remoteAddress?.ipAddress ?? "", peerPort: channel.remoteAddress?.port ?? 0,
            localName: channel.localAddress.map { "\($0.ipAddress ?? ""):\($0.port ?? 0)" } ?? "")
    }
}
