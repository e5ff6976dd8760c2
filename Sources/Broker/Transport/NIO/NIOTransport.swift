import Buffers
import NIOCore
import NIOSSL
import NIOWebSocket

/// A connection's channel. Frames what it writes when the channel speaks WebSocket.
final class NIOTransport: Transport {
    private let context: ChannelHandlerContext
    private let isWebSocket: Bool
    /// What the close frame of a WebSocket says.
    var closeCode = WebSocketErrorCode.normalClosure
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
            code.write(webSocketErrorCode: closeCode)
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
    private let endpoints: Endpoints
    private var connection: Connection?

    init(loop: NIOShardLoop, listener: ListenerContext, endpoints: Endpoints) {
        self.loop = loop
        self.listener = listener
        self.endpoints = endpoints
    }

    func handlerAdded(context: ChannelHandlerContext) { if context.channel.isActive { open(context) } }
    func channelActive(context: ChannelHandlerContext) { open(context) }

    private func open(_ context: ChannelHandlerContext) {
        guard connection == nil else { return }
        loop.beginTick()
        connection = Connection(
            shard: loop.shard, transport: NIOTransport(context: context, isWebSocket: false),
            endpoints: endpoints, listener: listener)
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
        loop.shard.lines.debug(
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
