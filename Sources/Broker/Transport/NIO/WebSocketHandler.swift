import Buffers
import NIOCore
import NIOHTTP1
import NIOWebSocket

/// MQTT in WebSocket frames: binary only, masked by the client, packet borders independent of frames. [MQTT-6.0.0-1]
final class WebSocketHandler: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private let loop: NIOShardLoop
    private let listener: ListenerContext
    private let endpoints: Endpoints
    private var connection: Connection?
    private var transport: NIOTransport?
    private var isInMessage = false
    private let idleTimeout: Int64
    private var idle: IdleDeadline?

    /// - Parameter idleTimeout: milliseconds between two frames; `.max` for any time.
    init(loop: NIOShardLoop, listener: ListenerContext, endpoints: Endpoints, idleTimeout: Int64) {
        self.loop = loop
        self.listener = listener
        self.endpoints = endpoints
        self.idleTimeout = idleTimeout
    }

    func handlerAdded(context: ChannelHandlerContext) {
        loop.beginTick()
        if idleTimeout != .max {
            idle = IdleDeadline(on: context.eventLoop, timeout: .milliseconds(idleTimeout)) { [unowned self] in
                end("idle_timeout", context)
            }
        }
        let transport = NIOTransport(context: context, isWebSocket: true)
        self.transport = transport
        connection = Connection(shard: loop.shard, transport: transport, endpoints: endpoints, listener: listener)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        loop.beginTick()
        idle?.noteActivity()
        let frame = Self.unwrapInboundIn(data)
        // No extension has been agreed that would give the reserved bits a meaning.
        guard frame.maskKey != nil, !frame.rsv1, !frame.rsv2, !frame.rsv3 else {
            refuse(context, .protocolError)
            return
        }
        switch frame.opcode {
        case .binary where !isInMessage, .continuation where isInMessage:
            isInMessage = !frame.fin
            let payload = frame.unmaskedData
            payload.withUnsafeReadableBytes { connection?.receive($0) }
        case .ping:
            // Not for a client that takes nothing: pongs would gather.
            guard context.channel.isWritable else { return }
            let pong = WebSocketFrame(fin: true, opcode: .pong, data: frame.unmaskedData)
            context.writeAndFlush(Self.wrapOutboundOut(pong), promise: nil)
        case .pong: break
        case .connectionClose: end("normal_closure", context)
        case .text: refuse(context, .unacceptableData)
        default: refuse(context, .protocolError)
        }
    }

    private func refuse(_ context: ChannelHandlerContext, _ code: WebSocketErrorCode) {
        transport?.closeCode = code
        end("protocol_error", context)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable else { return }
        loop.beginTick()
        connection?.transportWritable()
    }

    func channelInactive(context: ChannelHandlerContext) {
        end("tcp_closed", context)
        transport = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        loop.shard.lines.debug(
            "A WebSocket failed.", metadata: ["listener.id": "\(listener.id)", "error": "\(error)"])
        end("protocol_error", context)
    }

    /// The connection answers with a close frame of its own and closes.
    private func end(_ reason: String, _ context: ChannelHandlerContext) {
        loop.beginTick()
        idle?.cancel()
        if let connection {
            self.connection = nil
            connection.transportClosed(reason)
        } else {
            context.close(promise: nil)
        }
    }
}
