import Access
import ConfigSchema
import Logging
import Synchronization

/// What a listener's connections share: its name, its limits, whom it trusts, how many there are.
final class ListenerContext: Sendable {
    /// Bytes that a client may send before its CONNECT has been accepted.
    static let maximumConnectSize = 64 * 1024

    /// What a connection begins with.
    enum Opening {
        /// The client's bytes; a PROXY header in its first ones is an error worth a line.
        case client
        /// A PROXY header, which may be absent unless it is required.
        case header(isRequired: Bool)
    }

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
    let proxyMode: ListenerOptions.ProxyMode
    /// Milliseconds.
    let proxyTimeout: Int64
    let connectionRate: TokenBucket.Rate?
    private let trustedAddresses: [AddressRange]
    private let messageRate: TokenBucket.Rate?
    private let byteRate: TokenBucket.Rate?
    /// Of proxies: a line of a kind and listener in ten seconds.
    private let lines: LogThrottle
    private let connections = Atomic<Int>(0)
    private let refused = Atomic<Int>(0)

    init(_ options: ListenerOptions, logger: Logger) {
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
        proxyMode = options.proxyMode
        proxyTimeout = options.proxyTimeout
        trustedAddresses = options.trustedAddresses
        connectionRate = options.connectionRate
        messageRate = options.messageRate
        byteRate = options.byteRate
        lines = LogThrottle(logger, burst: 1)
    }

    // MARK: Numbers

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

    /// The limits of one client; nil where there are none.
    func makeLimiter(now: Int64) -> ReceiveLimiter? {
        ReceiveLimiter(messages: messageRate, bytes: byteRate, now: now)
    }

    // MARK: Proxies

    /// Whether what this peer says about a client's address counts.
    /// - Parameter peer: nil for a unix socket, whose file mode decides who reaches it.
    func trusts(_ peer: NetworkAddress?) -> Bool {
        guard let peer else { return true }
        return trustedAddresses.contains { $0.contains(peer) }
    }

    /// What to expect of a peer; nil to refuse it, which is logged.
    func opening(for peer: NetworkAddress?) -> Opening? {
        switch proxyMode {
        case .off: return .client
        case .auto: return trusts(peer) ? .header(isRequired: false) : .client
        case .on where trusts(peer): return .header(isRequired: true)
        case .on:
            refused.wrappingAdd(1, ordering: .relaxed)
            say(.untrusted, peer: peer?.text ?? "")
            return nil
        }
    }

    /// A connection began with a PROXY header that nobody waited for.
    func sayUnexpectedHeader(from peer: String) { say(proxyMode == .off ? .unasked : .untrusted, peer: peer) }

    func sayBadHeader(_ error: ProxyHeaderError, from peer: String) {
        say(error == .absent ? .absent : .malformed, peer: peer, error: error.rawValue)
    }

    func sayNoHeader(from peer: String) { say(.late, peer: peer) }

    // MARK: Lines

    /// Says how many lines were left out lately.
    func flushLines() { lines.flush() }

    private enum Notice: Hashable {
        case unasked, untrusted, absent, malformed, late

        var text: Logger.Message {
            switch self {
            case .unasked:
                "A PROXY header came unasked; set proxy_protocol to on or auto for this listener, or switch it off in the proxy."
            case .untrusted:
                "PROXY headers are not taken from this address; name it in proxy_trusted_addresses if it is your proxy."
            case .absent:
                "A connection did not begin with a PROXY header; switch it on in the proxy, or set proxy_protocol to auto."
            case .malformed: "A PROXY header could not be read."
            case .late: "A PROXY header did not come in time."
            }
        }
    }

    private func say(_ notice: Notice, peer: String, error: String? = nil) {
        var metadata: Logger.Metadata = ["listener.id": "\(id)", "client.peer": "\(peer)"]
        if let error { metadata["error"] = "\(error)" }
        lines.warning(notice.text, metadata: metadata)
    }
}
