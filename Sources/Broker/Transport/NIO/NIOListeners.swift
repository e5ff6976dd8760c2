import Logging
import NIOCore
import NIOPosix

/// The event loops of the listeners that need a pipeline: TLS, WebSocket, both, and plain TCP where the configuration
/// asks for NIO.
final class NIOListeners: Sendable {
    private let group: MultiThreadedEventLoopGroup
    private let logger: Logger

    init(threads: Int, logger: Logger) {
        group = MultiThreadedEventLoopGroup(numberOfThreads: threads)
        self.logger = logger
    }

    /// Gives each shard an event loop of its own.
    func makeLoops(_ shards: [Shard]) -> [NIOShardLoop] {
        shards.map { NIOShardLoop(shard: $0, eventLoop: group.next()) }
    }

    func shutDown() {
        do { try group.syncShutdownGracefully() } catch {
            logger.warning("The event loops did not end in order.", metadata: ["error": "\(error)"])
        }
    }
}
