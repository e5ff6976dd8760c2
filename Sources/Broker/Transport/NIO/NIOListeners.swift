import Glibc
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOWebSocket

/// The listeners that need a pipeline: TLS, WebSocket, both, and plain TCP where the configuration asks for NIO.
final class NIOListeners: @unchecked Sendable {  // the lists are the node's, filled before connections come
    private let group: MultiThreadedEventLoopGroup
    private var loops: [ObjectIdentifier: NIOShardLoop] = [:]
    private var channels: [any Channel] = []
    private let logger: Logger

    init(threads: Int, logger: Logger) {
        group = MultiThreadedEventLoopGroup(numberOfThreads: threads)
        self.logger = logger
    }

    /// Gives each shard an event loop of its own.
    func makeLoops(_ shards: [Shard]) -> [NIOShardLoop] {
        shards.map { shard in
            let loop = NIOShardLoop(shard: shard, eventLoop: group.next())
            loops[ObjectIdentifier(loop.eventLoop)] = loop
            return loop
        }
    }

    /// - Returns: the port in use.
    func bind(_ options: ListenerOptions, context: ListenerContext, maxFrameSize: Int) throws -> Int {
        let tls = try options.tls.map { try NIOSSLContext(configuration: Self.configuration($0)) }
        let loops = loops
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Int32(clamping: options.backlog))
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: options.noDelay ? 1 : 0)
            .childChannelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 256, initial: 256, maximum: 65_536)
            )
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(
                .writeBufferWaterMark,
                value: ChannelOptions.Types.WriteBufferWaterMark(low: 256 * 1024, high: 1024 * 1024)
            )
            .childChannelInitializer { channel in
                guard context.admit() else { return channel.close() }
                channel.closeFuture.whenComplete { _ in context.release() }
                return channel.eventLoop.makeCompletedFuture {
                    try Self.configure(channel, options)
                    guard let loop = loops[ObjectIdentifier(channel.eventLoop)] else {
                        throw ChannelError.inappropriateOperationForState
                    }
                    let pipeline = channel.pipeline.syncOperations
                    if let tls {
                        try pipeline.addHandler(NIOSSLServerHandler(context: tls))
                        if let timeout = options.tls?.handshakeTimeout, timeout != .max {
                            try pipeline.addHandler(HandshakeDeadline(timeout: .milliseconds(timeout)))
                        }
                    }
                    switch options.kind {
                    case .tcp, .ssl:
                        try pipeline.addHandler(
                            NIOConnectionHandler(loop: loop, listener: context, awaitsHandshake: tls != nil))
                    case .ws, .wss:
                        try Self.addWebSocket(
                            pipeline, loop: loop, context: context, options, maxFrameSize: maxFrameSize)
                    }
                }
            }
        let channel = try bootstrap.bind(host: options.host, port: options.port).wait()
        channels.append(channel)
        return channel.localAddress?.port ?? options.port
    }

    private static func configure(_ channel: any Channel, _ options: ListenerOptions) throws {
        guard let channelOptions = channel.syncOptions else { return }
        if let bytes = options.receiveBuffer {
            try channelOptions.setOption(.socketOption(.so_rcvbuf), value: SocketOptionValue(bytes))
        }
        if let bytes = options.sendBuffer {
            try channelOptions.setOption(.socketOption(.so_sndbuf), value: SocketOptionValue(bytes))
        }
        guard let keepAlive = options.keepAlive else { return }
        try channelOptions.setOption(.socketOption(.so_keepalive), value: 1)
        for (name, value) in [
            (TCP_KEEPIDLE, keepAlive.idle), (TCP_KEEPINTVL, keepAlive.interval), (TCP_KEEPCNT, keepAlive.probes),
        ] {
            try channelOptions.setOption(
                .tcpOption(NIOBSDSocket.Option(rawValue: name)), value: SocketOptionValue(value))
        }
    }

    private static func addWebSocket(
        _ pipeline: ChannelPipeline.SynchronousOperations, loop: NIOShardLoop, context: ListenerContext,
        _ options: ListenerOptions, maxFrameSize: Int
    ) throws {
        var rules = WebSocketRules()
        rules.path = options.webSocketPath
        rules.failsWithoutSubprotocol = options.failsWithoutSubprotocol
        rules.subprotocols = options.subprotocols
        rules.origins = options.origins
        rules.allowsMissingOrigin = options.allowsMissingOrigin
        let accepted = rules
        let refusal = NoWebSocketHandler(
            path: options.webSocketPath, timeout: .milliseconds(min(loop.shard.settings.idleTimeout, 86_400_000)),
            awaitsHandshake: options.tls != nil)
        let bound = NIOLoopBound(refusal, eventLoop: loop.eventLoop)
        let upgrader = NIOWebSocketServerUpgrader(
            maxFrameSize: min(maxFrameSize + 16, options.maxFrameSize, Int(UInt32.max) - 1),
            automaticErrorHandling: true,
            shouldUpgrade: { channel, head in channel.eventLoop.makeSucceededFuture(accepted.accept(head)) },
            upgradePipelineHandler: { channel, _ in
                channel.eventLoop.makeCompletedFuture {
                    channel.pipeline.syncOperations.removeHandler(bound.value, promise: nil)
                    try channel.pipeline.syncOperations.addHandler(
                        WebSocketHandler(loop: loop, listener: context, idleTimeout: options.webSocketIdleTimeout))
                }
            })
        try pipeline.configureHTTPServerPipeline(
            withServerUpgrade: (upgraders: [upgrader], completionHandler: { _ in }))
        try pipeline.addHandler(refusal)
    }

    private static func configuration(_ options: TLSOptions) throws -> TLSConfiguration {
        let certificates = try NIOSSLCertificate.fromPEMFile(options.certificateFile).map {
            NIOSSLCertificateSource.certificate($0)
        }
        let key: NIOSSLPrivateKey
        if let password = options.keyPassword {
            key = try NIOSSLPrivateKey(file: options.keyFile, format: .pem) {
                (provide: NIOSSLPassphraseSetter<[UInt8]>) in
                provide(Array(password.utf8))
            }
        } else {
            key = try NIOSSLPrivateKey(file: options.keyFile, format: .pem)
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: certificates, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        if let file = options.authorityFile { configuration.trustRoots = .file(file) }
        if options.verifiesPeer {
            configuration.certificateVerification =
                options.failsWithoutPeerCertificate ? .noHostnameVerification : .optionalVerification
        }
        return configuration
    }

    func closeListeners() { for channel in channels { channel.close(promise: nil) } }

    func shutDown() {
        do { try group.syncShutdownGracefully() } catch {
            logger.warning("The event loops did not end in order.", metadata: ["error": "\(error)"])
        }
    }
}
