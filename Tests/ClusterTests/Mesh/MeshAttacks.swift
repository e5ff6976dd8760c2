import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// Connections of somebody who is no node.
final class Attacker {
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private var channels: [any Channel] = []

    deinit {
        for channel in channels { channel.close(promise: nil) }
        try? group.syncShutdownGracefully()
    }

    /// What a connection has got, and whether it still is one.
    final class Watch: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer

        let state = Mutex<(received: [UInt8], isClosed: Bool)>(([], false))

        var isClosed: Bool { state.withLock { $0.isClosed } }
        var received: [UInt8] { state.withLock { $0.received } }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = unwrapInboundIn(data).readableBytesView
            state.withLock { $0.received += bytes }
        }
        func channelInactive(context: ChannelHandlerContext) { state.withLock { $0.isClosed = true } }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    /// Opens a connection and sends these bytes, in TLS or as they are.
    func connect(_ port: Int, tls: Bool, sending bytes: [UInt8]) async throws -> Watch {
        let watch = Watch()
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        let context = try NIOSSLContext(configuration: configuration)
        let channel = try await ClientBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if tls {
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLClientHandler(context: context, serverHostname: nil))
                    }
                    try channel.pipeline.syncOperations.addHandler(watch)
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        channels.append(channel)
        if !bytes.isEmpty { try await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get() }
        return watch
    }

    /// A man in the middle: ends TLS with a certificate of its own, and opens TLS to the real node.
    func relay(to port: Int, certificate: [NIOSSLCertificate], key: NIOSSLPrivateKey) async throws -> Int {
        let server = try NIOSSLContext(
            configuration: .makeServerConfiguration(
                certificateChain: certificate.map { .certificate($0) }, privateKey: .privateKey(key)))
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        let client = try NIOSSLContext(configuration: configuration)
        let group = group
        let channel = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                let outer = Pipe()
                let inner = Pipe()
                outer.other.withLock { $0 = inner }
                inner.other.withLock { $0 = outer }
                return ClientBootstrap(group: group)
                    .channelInitializer { there in
                        there.eventLoop.makeCompletedFuture {
                            try there.pipeline.syncOperations.addHandlers(
                                NIOSSLClientHandler(context: client, serverHostname: nil), inner)
                        }
                    }
                    .connect(host: "127.0.0.1", port: port).flatMap { _ in
                        channel.eventLoop.submit {
                            try channel.pipeline.syncOperations.addHandlers(NIOSSLServerHandler(context: server), outer)
                        }
                    }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        channels.append(channel)
        return channel.localAddress?.port ?? 0
    }

    private final class Pipe: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        let other = Mutex<Pipe?>(nil)
        let channel = Mutex<(any Channel)?>(nil)

        func handlerAdded(context: ChannelHandlerContext) { channel.withLock { $0 = context.channel } }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let buffer = unwrapInboundIn(data)
            let partner = other.withLock { $0 }
            partner?.channel.withLock { $0 }?.writeAndFlush(buffer, promise: nil)
        }
        func channelInactive(context: ChannelHandlerContext) {
            let partner = other.withLock { $0 }
            partner?.channel.withLock { $0 }?.close(promise: nil)
        }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
