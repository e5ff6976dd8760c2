import Buffers

/// What carries a connection's bytes: the four operations that the protocol and session code sees.
///
/// A class and not a protocol: one virtual call, no existential. Confined to the shard's thread. The transport in turn
/// calls ``Connection/receive(_:)``, ``Connection/transportWritable()`` and ``Connection/transportClosed(_:)``.
class Transport {
    /// Writes as much as goes without waiting and consumes it; the rest stays and the connection hears of room later.
    /// - Returns: false when the connection is gone.
    func write(_ out: OutputBuffer) -> Bool { preconditionFailure("each kind of transport writes in its own way") }
    func pauseReading() {}
    func resumeReading() {}
    /// Closes after what `write` has taken has left; the connection is not called again.
    func close() {}
    /// The client's certificate as DER, when TLS has asked for one and verified it.
    var peerCertificate: [UInt8]? { nil }
}

/// The two ends of a connection as text.
struct Endpoints {
    var peerHost: String
    var peerPort: Int
    var localName: String

    var peerName: String { peerHost.contains(":") ? "[\(peerHost)]:\(peerPort)" : "\(peerHost):\(peerPort)" }
}
