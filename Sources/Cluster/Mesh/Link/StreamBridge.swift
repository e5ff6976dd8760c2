import Glibc
import NIOCore
import NIOPosix

/// Carries bytes between a proven connection and a descriptor that somebody else reads and writes: one end of a socket pair,
/// whose other end is here. Reads from either side only while the other can take more.
///
/// Confined to the mesh's event loop, hence the unchecked conformance.
final class StreamBridge: ConnectionUser, @unchecked Sendable {
    let connection: MeshConnection
    let name: NodeName
    let nodeID: UInt64
    private unowned let core: MeshCore
    private let inner = LocalEnd()
    private var early = ByteBuffer()
    private var isLocal = false

    init(core: MeshCore, connection: MeshConnection, hello: MeshHello) {
        self.core = core
        self.connection = connection
        name = hello.name
        nodeID = hello.nodeID
        inner.bridge = self
    }

    /// - Parameter done: gets the descriptor, which is then its; nil when there is none to be had.
    func start(_ done: @escaping (Int32?) -> Void) {
        var ends: [Int32] = [0, 0]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            connection.close("no socket pair: \(String(cString: strerror(errno)))")
            return done(nil)
        }
        let (here, there) = (ends[0], ends[1])
        _ = fcntl(there, F_SETFL, fcntl(there, F_GETFL) | O_NONBLOCK)
        connection.user = self
        let inner = NIOLoopBound(inner, eventLoop: core.loop)
        ClientBootstrap(group: core.loop).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(inner.value) }
        }.withConnectedSocket(here).assumeIsolated().whenComplete { [self] result in
            guard case .success = result, connection.isOpen else {
                if case .success(let channel) = result { channel.close(promise: nil) }
                Glibc.close(there)
                connection.close("no local end")
                return done(nil)
            }
            isLocal = true
            if early.readableBytes > 0 { inner.value.write(early) }
            early = ByteBuffer()
            connection.resumeReading()
            done(there)
        }
    }

    // MARK: From the other node

    func received(_ buffer: inout ByteBuffer) {
        core.counters.streamBytes += buffer.readableBytes
        if isLocal { inner.write(buffer) } else { early.writeBuffer(&buffer) }
    }

    func readComplete() {}
    var mayRead: Bool { isLocal && inner.isWritable }
    func writabilityChanged() { if connection.isWritable { inner.resumeReading() } }

    func closed(_ reason: String) {
        core.ended(self)
        inner.close()
    }

    // MARK: From here

    fileprivate func local(_ buffer: ByteBuffer) {
        core.counters.streamBytes += buffer.readableBytes
        connection.write(buffer)
    }

    fileprivate var mayReadLocal: Bool { connection.isWritable }
    fileprivate func localWritable() { connection.resumeReading() }
    /// What was written before the end still leaves.
    fileprivate func localClosed() { connection.closeAfterFlush("the stream has ended here") }
}

/// The end of the socket pair.
private final class LocalEnd: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Until either end closes; holds the bridge as long as the descriptor is open.
    var bridge: StreamBridge?
    private var context: ChannelHandlerContext?
    private var isReadWanted = false

    var isWritable: Bool { context?.channel.isWritable ?? false }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        bridge = nil
    }

    func write(_ buffer: ByteBuffer) { context?.writeAndFlush(wrapOutboundOut(buffer), promise: nil) }

    func close() {
        bridge = nil
        context?.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { bridge?.local(unwrapInboundIn(data)) }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { bridge?.localWritable() }
    }

    func read(context: ChannelHandlerContext) {
        if bridge?.mayReadLocal ?? true { context.read() } else { isReadWanted = true }
    }

    func resumeReading() {
        guard isReadWanted else { return }
        isReadWanted = false
        context?.read()
    }

    func channelInactive(context: ChannelHandlerContext) {
        bridge?.localClosed()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
