package import ConfigSchema
import NIOCore
import NIOHTTP1
import NIOWebSocket

/// The HTTP stage of a WebSocket listener: one request, which becomes a WebSocket or is answered and closed.
struct WebSocketUpgrade: Sendable {
    private let listener: NIOListener
    private let loop: NIOShardLoop
    private let endpoints: Endpoints
    private let maxFrameSize: Int
    private let rules: WebSocketRules

    init(listener: NIOListener, loop: NIOShardLoop, endpoints: Endpoints, maxFrameSize: Int) {
        self.listener = listener
        self.loop = loop
        self.endpoints = endpoints
        self.maxFrameSize = maxFrameSize
        let options = listener.options
        rules = WebSocketRules(
            path: options.webSocketPath, failsWithoutSubprotocol: options.failsWithoutSubprotocol,
            subprotocols: options.subprotocols, origins: options.origins,
            allowsMissingOrigin: options.allowsMissingOrigin)
    }

    func begin(_ channel: any Channel) throws {
        let refusal = NoWebSocketHandler(
            path: rules.path, timeout: .milliseconds(min(loop.shard.settings.idleTimeout, 86_400_000)))
        let limit = RequestLimitHandler()
        let bound = NIOLoopBound((refusal, limit), eventLoop: loop.eventLoop)
        let upgrader = NIOWebSocketServerUpgrader(
            maxFrameSize: maxFrameSize, automaticErrorHandling: true,
            shouldUpgrade: { channel, head in channel.eventLoop.makeSucceededFuture(rules.accept(head)) },
            upgradePipelineHandler: { channel, head in
                channel.eventLoop.makeCompletedFuture {
                    let (refusal, limit) = bound.value
                    channel.pipeline.syncOperations.removeHandler(refusal, promise: nil)
                    channel.pipeline.syncOperations.removeHandler(limit, promise: nil)
                    try channel.pipeline.syncOperations.addHandler(
                        WebSocketHandler(
                            loop: loop, listener: listener.context, endpoints: client(of: head),
                            idleTimeout: listener.options.webSocketIdleTimeout))
                }
            })
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(limit)
        try pipeline.configureHTTPServerPipeline(
            withServerUpgrade: (upgraders: [upgrader], completionHandler: { _ in }))
        try pipeline.addHandler(refusal)
    }

    /// The ends of the connection, as a trusted proxy says in its headers.
    private func client(of head: HTTPRequestHead) -> Endpoints {
        let entries = head.headers[canonicalForm: listener.options.addressHeader]
        guard !entries.isEmpty, let peer = NetworkAddress(endpoints.peerHost),
            let found = ForwardedFor.client(
                entries.map(String.init), peer: peer, isTrusted: { listener.context.trusts($0) })
        else { return endpoints }
        var endpoints = endpoints
        endpoints.peerHost = found.address.text
        let port = head.headers.first(name: listener.options.portHeader).flatMap { UInt16($0) }
        endpoints.peerPort = Int(found.port ?? port ?? 0)
        return endpoints
    }
}

/// Reads X-Forwarded-For.
package enum ForwardedFor {
    /// The client: the last entry that no trusted proxy has written about another one. Each proxy appends whom it was
    /// connected to, so what stands in front of an address that isn't trusted may be anybody's invention.
    ///
    /// - Parameter peer: who is connected; its own entry counts only when it is trusted.
    /// - Returns: nil when the header says nothing that counts.
    package static func client(
        _ entries: [String], peer: NetworkAddress, isTrusted: (NetworkAddress) -> Bool
    ) -> (address: NetworkAddress, port: UInt16?)? {
        guard isTrusted(peer) else { return nil }
        var found: (address: NetworkAddress, port: UInt16?)?
        for entry in entries.reversed() {
            guard let next = parse(entry) else { return found }
            found = next
            if !isTrusted(next.address) { return found }
        }
        return found
    }

    /// `1.2.3.4`, `1.2.3.4:567`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:567`.
    private static func parse(_ text: String) -> (address: NetworkAddress, port: UInt16?)? {
        if let address = NetworkAddress(text) { return (address, nil) }
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            let rest = text[text.index(after: end)...]
            guard let address = NetworkAddress(String(text[..<end].dropFirst())) else { return nil }
            if rest.isEmpty { return (address, nil) }
            guard rest.first == ":", let port = UInt16(rest.dropFirst()) else { return nil }
            return (address, port)
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = NetworkAddress(String(parts[0])), let port = UInt16(parts[1]) else {
            return nil
        }
        return (address, port)
    }
}

/// What a WebSocket listener asks of a request before it becomes a WebSocket.
struct WebSocketRules: Sendable {
    let path: String
    let failsWithoutSubprotocol: Bool
    let subprotocols: [String]
    /// Empty for all.
    let origins: [String]
    let allowsMissingOrigin: Bool

    /// - Returns: the headers of the answer, nil to refuse.
    func accept(_ head: HTTPRequestHead) -> HTTPHeaders? {
        guard head.uri.split(separator: "?", maxSplits: 1).first.map(String.init) == path, allowsOrigin(head) else {
            return nil
        }
        return chosen(head)
    }

    private func allowsOrigin(_ head: HTTPRequestHead) -> Bool {
        guard !origins.isEmpty else { return true }
        guard let origin = head.headers.first(name: "Origin") else { return allowsMissingOrigin }
        // Scheme and host have no case.
        return origins.contains { $0.lowercased() == origin.lowercased() }
    }

    private func chosen(_ head: HTTPRequestHead) -> HTTPHeaders? {
        let offered = head.headers[canonicalForm: "Sec-WebSocket-Protocol"].map(String.init)
        // MQTT over WebSocket names "mqtt"; the others are older habits. [MQTT-6.0.0-3]
        if let chosen = offered.first(where: subprotocols.contains) { return ["Sec-WebSocket-Protocol": chosen] }
        return failsWithoutSubprotocol ? nil : HTTPHeaders()
    }
}

/// Answers requests that do not become a WebSocket.
final class NoWebSocketHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let path: String
    private let timeout: TimeAmount
    private var deadline: Scheduled<Void>?

    /// - Parameter timeout: from accept, or the end of the TLS handshake, to the upgrade.
    init(path: String, timeout: TimeAmount) {
        self.path = path
        self.timeout = timeout
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        deadline = context.eventLoop.scheduleTask(in: timeout) { channel.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    /// What is not HTTP has been answered by now; a refused upgrade comes as a request next.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is HTTPServerUpgradeErrors || error is NIOWebSocketUpgradeError { return }
        context.close(promise: nil)
    }

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

/// Bounds what a client may send before it has become a WebSocket: the HTTP stage keeps headers, however many.
final class RequestLimitHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private var received = 0

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received += Self.unwrapInboundIn(data).readableBytes
        if received > ListenerContext.maximumConnectSize {
            context.close(promise: nil)
        } else {
            context.fireChannelRead(data)
        }
    }
}
