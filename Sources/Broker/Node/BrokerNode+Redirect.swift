import MQTTCodec

/// Where clients may go instead of this node. [MQTT5 §4.11]
package struct Redirection: Sendable, Equatable {
    /// `host:port`, or several with spaces in between; nil leaves it to the client to know.
    package var reference: String?
    /// For good (0x9D, Server moved) rather than for now (0x9C, Use another server).
    package var isPermanent: Bool

    package init(to reference: String?, isPermanent: Bool = false) {
        self.reference = reference
        self.isPermanent = isPermanent
    }

    var reason: ReasonCode { isPermanent ? .serverMoved : .useAnotherServer }
}

extension BrokerNode {
    /// While it is set, who connects is sent there. From any thread.
    package var redirection: Redirection? {
        get { redirectionInForce.withLock { $0 } }
        set { redirectionInForce.withLock { $0 = newValue } }
    }

    /// Sends up to `count` connected clients elsewhere; their sessions stay for their time. Blocks; not for a shard's
    /// thread.
    /// - Returns: how many went.
    @discardableResult
    package func redirectClients(atMost count: Int, _ redirection: Redirection) -> Int {
        var left = count
        for shard in shards where left > 0 {
            let (done, gone, most) = (DoneSignal(), Guarded(0), left)
            shard.execute { shard in
                let leaving = shard.connections.filter { $0.phase == .connected }.prefix(most)
                for connection in leaving { connection.redirect(redirection) }
                gone.withLock { $0 = leaving.count }
                done.signal()
            }
            done.wait(milliseconds: 5000)
            left -= gone.withLock { $0 }
        }
        return count - left
    }

    /// Sends one client elsewhere. Blocks; not for a shard's thread.
    /// - Returns: false when it is not connected here.
    package func redirect(_ clientID: String, _ redirection: Redirection) -> Bool {
        !collect { shard -> [Bool] in
            let session = shard.sessions.values.first { $0.clientID.utf8.elementsEqual(clientID.utf8) }
            guard let connection = session?.connection else { return [] }
            connection.redirect(redirection)
            return [true]
        }.isEmpty
    }
}

extension Connection {
    /// DISCONNECT with a Server Reference, and the end.
    func redirect(_ redirection: Redirection) {
        close(
            reason: redirection.reason.eventName, code: redirection.reason,
            reference: redirection.reference.flatMap { fits($0) ? $0 : nil })
    }

    /// Whether a packet with this text is one that the client takes. [MQTT-3.1.2-24]
    private func fits(_ reference: String) -> Bool { reference.utf8.count + 16 <= min(maximumPacketSize, 65_535) }
}
