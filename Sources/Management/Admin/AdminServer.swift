package import Broker
package import Cluster
import Foundation
package import Logging
import NIOCore
import NIOPosix

/// The node's administration over a unix socket in its data directory: one JSON object a line, both ways.
///
/// A request is `{"command": "rules show", "arguments": ["r1"]}`, an answer `{"text": …, "data": …}` or
/// `{"error": …, "code": …}`. Who may open the socket (mode 0600) may administrate.
package final class AdminServer: Sendable {
    private let path: String
    private let commands: AdminCommands
    private let logger: Logger
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    /// Commands may wait for files, sinks and other nodes.
    private let workers = NIOThreadPool(numberOfThreads: 4)

    package init(
        path: String, node: BrokerNode, rules: RuleManager, cluster: ClusterNode? = nil,
        discovery: ClusterDiscovery? = nil, logger: Logger
    ) {
        self.path = path
        commands = AdminCommands(node: node, rules: rules, cluster: cluster, discovery: discovery)
        self.logger = logger
    }

    /// The socket's place in a data directory.
    package static func path(dataDirectory: String) -> String { dataDirectory + "/sluice.sock" }

    /// Calls `body` with a path of the same socket that is short enough for an address: a long one goes by the
    /// directory's descriptor, which is open during the call.
    static func withShortPath<R>(_ path: String, _ body: (String) throws -> R) rethrows -> R {
        guard path.utf8.count > 100, let slash = path.lastIndex(of: "/") else { return try body(path) }
        let directory = open(String(path[..<slash]), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { return try body(path) }
        defer { close(directory) }
        return try body("/proc/self/fd/\(directory)\(path[slash...])")
    }

    package func start() throws {
        let commands = commands
        let workers = workers
        workers.start()
        let old = umask(0o177)
        defer { umask(old) }
        let bootstrap = ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ByteToMessageHandler(LineDecoder()))
                    try channel.pipeline.syncOperations.addHandler(AdminHandler(commands: commands, workers: workers))
                }
            }
        _ = try Self.withShortPath(path) { short in
            try bootstrap.bind(unixDomainSocketPath: short, cleanupExistingSocketFile: true).wait()
        }
    }

    package func stop() {
        do {
            try workers.syncShutdownGracefully()
            try group.syncShutdownGracefully()
        } catch {
            logger.warning("The admin socket did not close in order.", metadata: ["error": "\(error)"])
        }
        unlink(path)
    }
}

/// Cuts the stream at line feeds; a line has at most 32 MB: rule files come this way.
private struct LineDecoder: ByteToMessageDecoder {
    typealias InboundOut = ByteBuffer
    private static let limit = 32 * 1024 * 1024
    /// Bytes that hold no line feed.
    private var searched = 0

    mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        let rest = buffer.readableBytesView.dropFirst(searched)
        guard let length = rest.firstIndex(of: UInt8(ascii: "\n")).map({ $0 - buffer.readerIndex }) else {
            searched = buffer.readableBytes
            if searched > Self.limit { throw AdminError.usage("the request is longer than 32 MB") }
            return .needMoreData
        }
        searched = 0
        if let line = buffer.readSlice(length: length) { context.fireChannelRead(Self.wrapInboundOut(line)) }
        buffer.moveReaderIndex(forwardBy: 1)
        return .continue
    }
}

private struct AdminRequest: Decodable {
    var command: String
    var arguments: [String]?
}

private final class AdminHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let commands: AdminCommands
    private let workers: NIOThreadPool

    init(commands: AdminCommands, workers: NIOThreadPool) {
        self.commands = commands
        self.workers = workers
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let line = Data(Self.unwrapInboundIn(data).readableBytesView)
        let channel = context.channel
        let commands = commands
        workers.submit { state in
            guard case .active = state else { return }
            let answer = Self.answer(to: line, commands)
            var buffer = channel.allocator.buffer(capacity: answer.count + 1)
            buffer.writeBytes(answer)
            buffer.writeInteger(UInt8(ascii: "\n"))
            channel.writeAndFlush(buffer, promise: nil)
        }
    }

    private static func answer(to line: Data, _ commands: AdminCommands) -> Data {
        do {
            let request = try JSONDecoder().decode(AdminRequest.self, from: line)
            let result = try commands.run(request.command, request.arguments ?? [])
            return JSONValue.object(["text": .string(result.text), "data": result.data]).encoded
        } catch let error as AdminError {
            return JSONValue.object(["error": .string(error.description), "code": .integer(Int(error.exitCode))])
                .encoded
        } catch {
            return JSONValue.object(["error": .string("not a request: \(error)"), "code": .integer(2)]).encoded
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
