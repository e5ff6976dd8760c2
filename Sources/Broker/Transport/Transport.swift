import Access
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
}

/// The two ends of a connection as text, and who the client has proved to be.
struct Endpoints: Sendable {
    var peerHost: String
    var peerPort: Int
    var localName: String
    /// Nil where the client showed none, or none was asked for.
    var certificate: PeerCertificate?

    var peerName: String { Self.name(peerHost, peerPort) }

    static func name(_ host: String, _ port: Int) -> String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

extension Endpoints {
    /// What a trusted proxy says instead of what the socket does.
    mutating func replace(by header: ProxyHeader) {
        if let source = header.source {
            peerHost = source.address.text
            peerPort = Int(source.port)
        }
        if let destination = header.destination {
            localName = Self.name(destination.address.text, Int(destination.port))
        }
        if let name = header.commonName { certificate = PeerCertificate(commonName: name) }
    }
}
