import Buffers
import MQTTCodec

/// Bytes → packets → their handlers.
extension Connection {
    /// Takes bytes from the transport; valid during this call only. What makes no whole packet yet is kept.
    func receive(_ bytes: Bytes) {
        guard phase != .closed else { return }
        lastReceived = shard.now
        shard.counters.bytesReceived.add(bytes.count)
        if let limiter, !limiter.received(bytes: bytes.count, now: shard.now) { shard.throttle(self) }
        if let pending {
            pending.append(bytes)
            if isReading, !isPausedByRate { consumePending() }
        } else if isReading, !isPausedByRate {
            let consumed = consume(bytes)
            if consumed < bytes.count, phase != .closed { keep(Bytes(rebasing: bytes[consumed...])) }
        } else {
            keep(bytes)
        }
        if backlog > answerLimit { pauseForBacklog() }
    }

    /// Messages stop at the high-water mark by themselves; answers stop when nothing is read that asks for them.
    func pauseForBacklog() {
        guard !isPausedByBacklog, phase != .closed else { return }
        isPausedByBacklog = true
        transport.pauseReading()
    }

    private func keep(_ bytes: Bytes) {
        let buffer = shard.takeBuffer()
        buffer.append(bytes)
        pending = buffer
    }

    /// Reads on where an earlier call had to stop.
    func consumePending() {
        guard let buffer = pending else { return }
        // A packet in it may close the connection, which gives `pending` back: not while it is being read.
        pending = nil
        buffer.consume(consume(buffer.bytes))
        if buffer.isEmpty || phase == .closed { shard.giveBack(buffer) } else { pending = buffer }
    }

    /// Handles the whole packets at the front.
    /// - Returns: how many bytes they took.
    private func consume(_ bytes: Bytes) -> Int {
        var offset = 0
        do throws(ProtocolViolation) {
            while isReading, !isPausedByRate {
                let rest = Bytes(rebasing: bytes[offset...])
                guard let header = try FrameHeader.read(rest, version: version) else { break }
                let size = header.headerLength + header.remainingLength
                if size > limit { throw tooLarge(size) }
                if phase != .connected { try requireOpening(header) }
                guard rest.count >= size else { break }
                offset += size
                try handle(header, body: Bytes(rebasing: rest[header.headerLength..<size]))
                // It is read once more when it is known whether it may be.
                if isAwaitingDecision { offset -= size }
            }
        } catch {
            fail(error)
        }
        return offset
    }

    /// Whether packets are taken from what has been received.
    @inline(__always)
    var isReading: Bool { (phase == .connected || isOpening) && !isAwaitingDecision }

    /// Whether the client has not been let in and is to say more.
    var isOpening: Bool { phase == .awaitingConnect || phase == .exchanging }

    /// The largest packet that is accepted now: small before the client has introduced itself.
    private var limit: Int {
        phase != .connected
            ? min(shard.settings.maxPacketSize, ListenerContext.maximumConnectSize) : shard.settings.maxPacketSize
    }

    private func tooLarge(_ size: Int) -> ProtocolViolation {
        ProtocolViolation(
            .packetTooLarge, clause: "MQTT-3.1.2-24", "A packet of \(size) bytes was announced, \(limit) are accepted.")
    }

    private func requireOpening(_ header: FrameHeader) throws(ProtocolViolation) {
        guard phase == .awaitingConnect else { return try requireExchange(header) }
        guard header.type == .connect else {
            throw ProtocolViolation(.protocolError, clause: "MQTT-3.1.0-1", "The first packet was no CONNECT.")
        }
    }

    @inline(__always)
    private func handle(_ header: FrameHeader, body: Bytes) throws(ProtocolViolation) {
        shard.counters.received(header.type)
        switch header.type {
        case .publish:
            try handlePublish(body, flags: header.flags)
            if let limiter, !limiter.receivedMessage(now: shard.now) { shard.throttle(self) }
        case .puback, .pubrec, .pubrel, .pubcomp: try handleAcknowledgement(body, header: header)
        default: try handleOther(header, body: body)
        }
    }

    private func handleOther(_ header: FrameHeader, body: Bytes) throws(ProtocolViolation) {
        // Before it is decoded: what is wrong with its contents are reasons for a CONNACK, not for a DISCONNECT.
        if header.type == .connect, phase != .awaitingConnect {
            throw ProtocolViolation(.protocolError, clause: "MQTT-3.1.0-2", "A second CONNECT came on one connection.")
        }
        let packet = try Packet.decode(header: header, body: body, version: version, from: .client)
        switch packet {
        case .connect(let packet): handleConnect(packet)
        case .subscribe(let packet): try handleSubscribe(packet)
        case .unsubscribe(let packet): handleUnsubscribe(packet)
        case .pingreq: handlePing()
        case .disconnect(let packet): try handleDisconnect(packet)
        case .auth(let packet): try handleAuth(packet)
        default:
            throw ProtocolViolation(.protocolError, clause: "MQTT-4.8", "A client does not send \(header.type).")
        }
    }

    func resumeIfPossible() {
        guard isReading, !isPausedByPressure, !isPausedByBacklog, !isPausedByRate else { return }
        consumePending()
        // What was read may have stopped the reading again.
        guard isReading, !isPausedByPressure, !isPausedByRate else { return }
        if backlog > answerLimit { pauseForBacklog() } else { transport.resumeReading() }
    }
}
