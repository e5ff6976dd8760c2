import Buffers
import NIOCore

/// The outermost stage of a channel: takes the PROXY header off its front, or says that there is one that nobody waits for.
/// Leaves once the first bytes have shown which.
final class OpeningHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let listener: NIOListener
    private let loop: NIOShardLoop
    private var endpoints: Endpoints
    /// Nil where no header is awaited.
    private var parser: ProxyHeaderParser?
    private var deadline: Scheduled<Void>?

    init(listener: NIOListener, loop: NIOShardLoop, accepted: Accepted) {
        self.listener = listener
        self.loop = loop
        endpoints = accepted.endpoints
        if case .header(let isRequired) = accepted.opening { parser = ProxyHeaderParser(isRequired: isRequired) }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        guard parser != nil else {
            begin(context)
            return
        }
        let channel = context.channel
        let (listener, peer) = (listener.context, endpoints.peerHost)
        deadline = context.eventLoop.scheduleTask(in: .milliseconds(listener.proxyTimeout)) {
            listener.sayNoHeader(from: peer)
            channel.close(promise: nil)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    private func begin(_ context: ChannelHandlerContext) {
        do { try listener.begin(context.channel, loop, endpoints) } catch { context.fireErrorCaught(error) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = Self.unwrapInboundIn(data)
        if parser == nil {
            guard !buffer.withUnsafeReadableBytes(ProxyHeaderParser.looksLikeHeader) else {
                listener.context.sayUnexpectedHeader(from: endpoints.peerHost)
                context.close(promise: nil)
                return
            }
        } else {
            guard takeHeader(from: &buffer, context) else { return }
        }
        if buffer.readableBytes > 0 { context.fireChannelRead(Self.wrapInboundOut(buffer)) }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    /// - Returns: whether the header's end has come, or it is clear that there is none; the buffer then begins with the
    ///   client's own bytes.
    private func takeHeader(from buffer: inout ByteBuffer, _ context: ChannelHandlerContext) -> Bool {
        var taken = 0
        let progress = buffer.withUnsafeReadableBytes { parser?.feed($0, taken: &taken) } ?? .absent
        buffer.moveReaderIndex(forwardBy: taken)
        switch progress {
        case .needsMore: return false
        case .failed(let error):
            listener.context.sayBadHeader(error, from: endpoints.peerHost)
            context.close(promise: nil)
            return false
        case .header(let header):
            endpoints.replace(by: header)
            begin(context)
        case .absent:
            begin(context)
            if let held = parser?.held, !held.isEmpty {
                var first = context.channel.allocator.buffer(bytes: held)
                first.writeBuffer(&buffer)
                buffer = first
            }
        }
        return true
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        loop.shard.lines.debug(
            "A connection failed.", metadata: ["listener.id": "\(listener.context.id)", "error": "\(error)"])
        context.close(promise: nil)
    }
}
