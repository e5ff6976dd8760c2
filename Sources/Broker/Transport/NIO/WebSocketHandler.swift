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
    private var connection: Connection?
    private var isInMessage = false
    private let idleTimeout: Int64
    private var idle: IdleDeadline?

    /// - Parameter idleTimeout: milliseconds between two frames; `.max` for any time.
    init(loop: NIOShardLoop, listener: ListenerContext, idleTimeout: Int64) {
        self.loop = loop
        self.listener = listener
        self.idleTimeout = idleTimeout
    }

    func handlerAdded(context: ChannelHandlerContext) {
        loop.beginTick()
        if idleTimeout != .max {
            idle = IdleDeadline(on: context.eventLoop, timeout: .milliseconds(idleTimeout)) { [unowned self] in
                end("idle_timeout", context)
            }
        }
        connection = Connection(
            shard: loop.shard, transport: NIOTransport(context: context, isWebSocket: true),
            endpoints: Endpoints(context.channel), listener: listener)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        loop.beginTick()
        idle?.noteActivity()
        let frame = Self.unwrapInboundIn(data)
        guard frame.maskKey != nil else {
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
        var data = context.channel.allocator.buffer(capacity: 2)
        data.write(webSocketErrorCode: code)
        let frame = WebSocketFrame(fin: true, opcode: .connectionClose, data: data)
        context.writeAndFlush(Self.wrapOutboundOut(frame), promise: nil)
        end("protocol_error", context)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable else { return }
        loop.beginTick()
        connection?.transportWritable()
    }

    func channelInactive(context: ChannelHandlerContext) { end("tcp_closed", context) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        loop.shard.logger.debug(
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

/// What a WebSocket listener asks of a request before it becomes a WebSocket.
struct WebSocketRules: Sendable {
    var path = "/mqtt"
    var failsWithoutSubprotocol = true
    var subprotocols = ["mqtt"]
    /// Empty for all.
    var origins: [String] = []
    var allowsMissingOrigin = true

    /// - Returns: the headers of the answer, nil to refuse.
    func accept(_ head: HTTPRequestHead) -> HTTPHeaders? {
        guard head.uri.split(separator: "?", maxSplits: 1).first.map(String.init) == path else { return nil }
        if !origins.isEmpty {
            guard let origin = head.headers.first(name: "Origin") else {
                return allowsMissingOrigin ? chosen(head) : nil
            }
            guard origins.contains(origin) else { return nil }
        }
        return chosen(head)
    }

    private func chosen(_ head: HTTPRequestHead) -> HTTPHeaders? {
        let offered = head.headers[canonicalForm: "Sec-WebSocket-Protocol"]
        // MQTT over WebSocket names "mqtt"; the others are older habits. [MQTT-6.0.0-3]
        if let chosen = subprotocols.first(where: { name in offered.contains { $0 == name } }) {
            return ["Sec-WebSocket-Protocol": chosen]
        }
        return failsWithoutSubprotocol ? nil : HTTPHeaders()
    }
}

/// Answers requests that do not become a WebSocket.
final class NoWebSocketHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let path: String
    private let timeout: TimeAmount
    private let awaitsHandshake: Bool
    private var deadline: Scheduled<Void>?

    /// - Parameters:
    ///   - timeout: from accept to the upgrade.
    ///   - awaitsHandshake: from the end of the TLS handshake instead, which has its own time.
    init(path: String, timeout: TimeAmount, awaitsHandshake: Bool) {
        self.path = path
        self.timeout = timeout
        self.awaitsHandshake = awaitsHandshake
    }

    func handlerAdded(context: ChannelHandlerContext) { if !awaitsHandshake { begin(context) } }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if awaitsHandshake, TLSHandshake.isCompleted(event) { begin(context) }
        context.fireUserInboundEventTriggered(event)
    }

    private func begin(_ context: ChannelHandlerContext) {
        let channel = context.channel
        deadline = context.eventLoop.scheduleTask(in: timeout) { channel.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(let head) = Self.unwrapInboundIn(data) else { return }
        let isPath = head.uri.split(separator: "?", maxSplits: 1).first.map(String.init) == path
        let text =
            isPath
            ? "MQTT over WebSocket: ask for an upgrade with the subprotocol \"mqtt\".\n"
            : "MQTT over WebSocket is at \(path).\n"
        var body = context.channel.allocator.buffer(capacity: text.utf8.count)
        body.writeString(text)
        let headers: HTTPHeaders = [
            "Content-Type": "text/plain; charset=utf-8", "Content-Length": String(body.readableBytes),
            "Connection": "close",
        ]
        let answer = HTTPResponseHead(version: .http1_1, status: isPath ? .badRequest : .notFound, headers: headers)
        context.write(Self.wrapOutboundOut(.head(answer)), promise: nil)
        context.write(Self.wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        let context = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.value.writeAndFlush(Self.wrapOutboundOut(.end(nil))).whenComplete { _ in
            context.value.close(promise: nil)
        }
    }
}
