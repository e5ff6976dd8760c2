import Access
import MQTTCodec

/// The end, whoever brings it about, and the clocks that do.
extension Connection {
    /// The client broke the protocol: says so where the version can, then closes. [MQTT-4.13.1-1]
    func fail(_ violation: ProtocolViolation) {
        shard.lines.debug(
            "A client broke the protocol.",
            metadata: [
                "client.id": "\((session?.clientID ?? "").escaped)", "client.peer": "\(endpoints.peerName)",
                "mqtt.clause": "\(violation.clause)", "error": "\(violation.message)",
            ])
        if phase == .awaitingConnect {
            refuseMalformedConnect(violation)
        } else if phase == .exchanging {
            // No DISCONNECT before a CONNACK. [MQTT-3.14.0-1]
            refuse(violation.reason, connect)
        } else {
            close(reason: violation.reason.eventName, code: violation.reason)
        }
    }

    /// Ends the connection from our side: DISCONNECT to a 5.0 client, then the rest of what was written, then the end.
    /// [MQTT-3.14.4-1] [MQTT-3.14.4-2]
    /// - Parameter reference: where the client may go instead; nil says nothing of that.
    func close(reason: String, code: ReasonCode?, reference: String? = nil) {
        guard phase != .closed else { return }
        // Who has no CONNACK gets no DISCONNECT. [MQTT-3.14.0-1]
        if let code, isV5, phase == .connected {
            var packet = DisconnectPacket(reason: code)
            packet.properties.serverReference = reference
            write(.disconnect) { packet.encode(to: $0) }
        }
        end(reason: reason)
        closesAfterFlush = true
        // Also writes what waited for a client that does not read: it gets five seconds.
        shard.keepAlive.add(self, at: shard.now + 5000)
        if out == nil, heldCount == 0, released == nil { finishClosing() } else { shard.markDirty(self) }
    }

    /// Looks whether the client is late: with its CONNECT, with anything at all, with taking our last words.
    func checkDeadline() {
        switch phase {
        case .awaitingConnect:
            // From the accept on: a client that dribbles its CONNECT has as long as one that sends nothing.
            let deadline = acceptedAt + shard.settings.idleTimeout
            if shard.now >= deadline {
                close(reason: "idle_timeout", code: nil)
            } else {
                shard.keepAlive.add(self, at: deadline)
            }
        case .authenticating, .exchanging: checkAuthenticationDeadline()
        case .awaitingSession, .connected:
            guard nextDeadline != .max else { return }
            // Who is not read from cannot be heard.
            if isPausedByPressure || isPausedByRate || !isReading { lastReceived = shard.now }
            if shard.now >= min(credentialsEndAt, authentication?.endsAt ?? .max) {
                close(reason: ReasonCode.notAuthorized.eventName, code: .notAuthorized)
            } else if shard.now >= nextDeadline {
                close(reason: "keepalive_timeout", code: .keepAliveTimeout)
            } else {
                shard.keepAlive.add(self, at: nextDeadline)
            }
        case .closed: finishClosing()
        }
    }

    /// Monotonic milliseconds at which to look at the client next; `.max` for never.
    var nextDeadline: Int64 {
        let client = min(keepAliveLimit > 0 ? lastReceived + keepAliveLimit : .max, credentialsEndAt)
        return min(client, authentication?.endsAt ?? .max)
    }

    func finishClosing() {
        closesAfterFlush = false
        shard.keepAlive.remove(self)
        transport.close()
    }

    /// The transport is gone.
    func transportClosed(_ reason: String) {
        guard phase != .closed else {
            if closesAfterFlush { finishClosing() }
            return
        }
        end(reason: reason)
        transport.close()
    }

    private func end(reason: String) {
        let wasConnected = phase == .connected
        phase = .closed
        shard.connections.remove(self)
        shard.keepAlive.remove(self)
        if let buffer = pending {
            pending = nil
            shard.giveBack(buffer)
        }
        if wasConnected { leaveSession(reason: reason) }
    }
}
