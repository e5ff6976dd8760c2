import Synchronization

/// What a listener's connections share: its name, its limits, how many there are.
final class ListenerContext: Sendable {
    /// Bytes that a client may send before its CONNECT has been accepted.
    static let maximumConnectSize = 64 * 1024

    /// As `ctl listeners` shows it: `tcp:default`.
    let id: String
    let authentication: ListenerOptions.Authentication
    let usesTLS: Bool
    let maxConnections: Int
    let noDelay: Bool
    let highWaterMark: Int
    /// Milliseconds that a full socket may go without its client taking a byte; `.max` for any time.
    let sendTimeout: Int64
    let receiveBuffer: Int?
    let sendBuffer: Int?
    let keepAlive: (idle: Int, interval: Int, probes: Int)?
    private let connections = Atomic<Int>(0)
    private let refused = Atomic<Int>(0)

    init(_ options: ListenerOptions) {
        id = options.id
        authentication = options.authentication
        usesTLS = options.tls != nil
        maxConnections = options.maxConnections
        noDelay = options.noDelay
        highWaterMark = options.highWaterMark
        sendTimeout = options.sendTimeout
        receiveBuffer = options.receiveBuffer
        sendBuffer = options.sendBuffer
        keepAlive = options.keepAlive
    }

    /// Counts a connection in.
    /// - Returns: false when the listener is full.
    func admit() -> Bool {
        if connections.wrappingAdd(1, ordering: .relaxed).newValue <= maxConnections { return true }
        connections.wrappingSubtract(1, ordering: .relaxed)
        refused.wrappingAdd(1, ordering: .relaxed)
        return false
    }

    func release() { connections.wrappingSubtract(1, ordering: .relaxed) }

    var current: Int { connections.load(ordering: .relaxed) }
    var refusedCount: Int { refused.load(ordering: .relaxed) }
}
