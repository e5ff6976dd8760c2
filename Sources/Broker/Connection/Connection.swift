import Access
import Buffers
import MQTTCodec

/// One network connection: bytes → packets → what they ask for. Confined to its shard's thread.
///
/// The packet handlers stand in the extensions, one file a concern. PUBLISH and its acknowledgements are read in place;
/// everything else is decoded into values.
final class Connection: Hashable {
    enum Phase {
        case awaitingConnect
        /// Somebody else is asked who the client is; nothing is read meanwhile.
        case authenticating
        /// The session is on its way from another shard; nothing is read meanwhile.
        case awaitingSession
        case connected
        case closed
    }

    /// The node keeps its shards until their threads, and so all their connections, have ended.
    unowned(unsafe) let shard: Shard
    /// Set once, by the transport that made the connection.
    var transport: Transport
    /// Bytes that the client has not taken, from which on messages wait in its session.
    let highWaterMark: Int
    /// Bytes that the client has not taken, from which on nothing more is read from it: messages and answers to it.
    var answerLimit: Int { highWaterMark + shard.settings.maxPacketSize + 64 * 1024 }
    /// Milliseconds; `.max` for none.
    let sendTimeout: Int64
    let endpoints: Endpoints
    let listener: ListenerContext
    var phase = Phase.awaitingConnect
    var version = ProtocolVersion.v5
    var connect: ConnectPacket?
    var hasAssignedClientID = false
    /// What the client's DISCONNECT brought.
    var disconnectProperties = Properties()
    var session: Session?
    var connectedAt: Int64 = 0

    // Who the client is and what it may do: `Connection+Access.swift`.
    var access: ClientAccess?
    var decisions: ConnectionDecisions?
    var allowedPublishes = AllowedPublishes()
    /// Somebody else is asked whether the packet at the front may be; nothing is read meanwhile.
    var isAwaitingDecision = false
    /// Monotonic milliseconds: when the client's credentials end, and when an authentication is given up.
    var credentialsEndAt: Int64 = .max
    var authenticationEndsAt: Int64 = .max

    // What was agreed in CONNECT and CONNACK.
    var keepAliveLimit: Int64 = 0
    var receiveMaximum = 0
    var maximumPacketSize = Int.max
    /// Aliases that the client lets us set; 0 before version 5.0.
    var outboundAliasMaximum = 0
    /// Made with the first message that gets one.
    var outboundAliases: OutboundAliases?
    /// Alias → topic, as the client set them. [MQTT-3.3.2-7]
    var inboundAliases: [UInt16: [UInt8]] = [:]
    var inboundAliasBytes = 0
    /// What the topics of all of a client's aliases may take: 65,535 of the longest topics would be 4 GiB.
    static let maximumAliasBytes = 4 * 1024 * 1024

    // Bytes.
    private(set) var out: OutputBuffer?
    /// Something that was written since the last tick waits for the log.
    var isHeld = false
    /// The first of the shard's holds that it waits for.
    var heldSince: UInt64 = 0
    /// Buffers that wait for the log, and their bytes: all that is written meanwhile goes behind them.
    var heldCount = 0
    var heldBytes = 0
    private var pending: OutputBuffer?
    private var released: OutputBuffer?
    var isDirty = false
    var isPausedByPressure = false
    /// Not read from until the client has taken its answers.
    private var isPausedByBacklog = false
    /// Not read from until its rates allow it; ``limiter`` knows when.
    var isPausedByRate = false
    let limiter: ReceiveLimiter?
    private var closesAfterFlush = false
    /// Monotonic milliseconds.
    var lastReceived: Int64
    private let acceptedAt: Int64
    /// What had been sent when unacknowledged messages were last looked at.
    var retryMark: UInt64 = 0
    /// Monotonic milliseconds at which the client last took something, while it is behind.
    private var lastTaken: Int64 = 0
    private var isStalled = false
    /// Where the shard's wheel holds this connection.
    var wheelPlace: (slot: Int, position: Int)?

    init(shard: Shard, transport: Transport, endpoints: Endpoints, listener: ListenerContext) {
        self.shard = shard
        self.transport = transport
        self.endpoints = endpoints
        self.listener = listener
        highWaterMark = listener.highWaterMark
        sendTimeout = listener.sendTimeout
        limiter = listener.makeLimiter(now: shard.now)
        lastReceived = shard.now
        acceptedAt = shard.now
        shard.connections.insert(self)
        shard.keepAlive.add(self, at: shard.now + shard.settings.idleTimeout)
    }

    deinit { allowedPublishes.deallocate() }

    static func == (a: Connection, b: Connection) -> Bool { a === b }
    func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }

    var isV5: Bool { version == .v5 }

    // MARK: In

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
    private func pauseForBacklog() {
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
                if phase == .awaitingConnect { try requireConnect(header) }
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
    var isReading: Bool { (phase == .connected || phase == .awaitingConnect) && !isAwaitingDecision }

    /// The largest packet that is accepted now: small before the client has introduced itself.
    private var limit: Int {
        phase == .awaitingConnect
            ? min(shard.settings.maxPacketSize, ListenerContext.maximumConnectSize) : shard.settings.maxPacketSize
    }

    private func tooLarge(_ size: Int) -> ProtocolViolation {
        ProtocolViolation(
            .packetTooLarge, clause: "MQTT-3.1.2-24", "A packet of \(size) bytes was announced, \(limit) are accepted.")
    }

    private func requireConnect(_ header: FrameHeader) throws(ProtocolViolation) {
        guard header.type == .connect else {
            throw ProtocolViolation(.protocolError, clause: "MQTT-3.1.0-1", "The first packet was no CONNECT.")
        }
    }

    @inline(__always)
    private func handle(_ header: FrameHeader, body: Bytes) throws(ProtocolViolation) {
        shard.counters.packetsReceived.add(1)
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
        case .auth:
            throw ProtocolViolation(.protocolError, clause: "MQTT-4.12.0-7", "No enhanced authentication was begun.")
        default:
            throw ProtocolViolation(.protocolError, clause: "MQTT-4.8", "A client does not send \(header.type).")
        }
    }

    // MARK: Out

    /// Appends what `body` writes to the out-buffer, which leaves at the end of the tick.
    @inline(__always)
    func write(_ body: (OutputBuffer) -> Void) {
        guard phase != .closed else { return }
        body(outBuffer())
        shard.markDirty(self)
        shard.counters.packetsSent.add(1)
    }

    @inline(__always)
    private func outBuffer() -> OutputBuffer {
        if let out { return out }
        let buffer = shard.takeBuffer()
        out = buffer
        return buffer
    }

    /// Bytes that the client has not taken yet.
    @inline(__always)
    var backlog: Int { (out?.count ?? 0) + heldBytes }

    /// Writes what has gathered; called once per tick, and when the transport has room again.
    func flush() {
        isDirty = false
        if isHeld || heldCount > 0, let durable = shard.durable, durable.holdBack(self) { return }
        if released != nil {
            writeReleased()
            guard released == nil else { return }
        }
        guard let buffer = out else { return }
        let before = buffer.count
        guard transport.write(buffer) else {
            transportClosed("tcp_closed")
            return
        }
        shard.counters.bytesSent.add(before - buffer.count)
        if isPausedByBacklog, buffer.count < highWaterMark {
            isPausedByBacklog = false
            shard.resumeReading(self)
        }
        guard buffer.isEmpty else {
            if !isStalled || buffer.count < before { noteStall() }
            return
        }
        out = nil
        shard.giveBack(buffer)
        if closesAfterFlush {
            finishClosing()
        } else if let session, session.hasWaiting || session.inflight.hasResends {
            sendWaiting()
        }
    }

    func transportWritable() {
        // What waits for the log is looked at when the tick ends.
        if isHeld || heldCount > 0 || released != nil { writeReleased() } else { flush() }
    }

    // MARK: Held back until the log has it

    /// What has gathered since the last flush, and what the client has not taken of what was before.
    func takeOutput() -> OutputBuffer? {
        defer { out = nil }
        return out
    }

    /// The log has what these bytes depend on.
    func releaseHeld(_ bytes: OutputBuffer) {
        heldCount -= 1
        if let unsent = released {
            unsent.append(bytes.bytes)
            shard.giveBack(bytes)
        } else {
            released = bytes
        }
        writeReleased()
    }

    /// Released bytes that the socket has not taken yet: in front of all others.
    private func writeReleased() {
        guard let buffer = released else { return }
        let before = buffer.count
        guard transport.write(buffer) else {
            transportClosed("tcp_closed")
            return
        }
        shard.counters.bytesSent.add(before - buffer.count)
        heldBytes -= before - buffer.count
        guard buffer.isEmpty else {
            if !isStalled || buffer.count < before { noteStall() }
            return
        }
        released = nil
        shard.giveBack(buffer)
        // The rest is the ordinary flush's.
        if out != nil {
            shard.markDirty(self)
        } else if heldCount == 0 {
            if isPausedByBacklog {
                isPausedByBacklog = false
                shard.resumeReading(self)
            }
            if closesAfterFlush {
                finishClosing()
            } else if let session, session.hasWaiting || session.inflight.hasResends {
                sendWaiting()
            }
        }
    }

    /// These bytes must not leave: what they say has not been stored. The client learns it by the end of the connection.
    func abandonHeld(_ bytes: OutputBuffer) {
        heldCount -= 1
        heldBytes -= bytes.count
        shard.giveBack(bytes)
        if phase != .closed { transportClosed("storage_failed") } else if closesAfterFlush { finishClosing() }
    }

    @inline(never)
    private func noteStall() {
        lastTaken = shard.now
        guard !isStalled else { return }
        isStalled = true
        shard.stalled.append(self)
    }

    /// Ends a connection whose socket has been full for `tcp_options.send_timeout` without its client taking a byte.
    /// - Returns: whether it is to be looked at again.
    func checkStall() -> Bool {
        guard phase != .closed, (released ?? out).map({ !$0.isEmpty }) ?? false else {
            isStalled = false
            return false
        }
        guard shard.now - lastTaken >= sendTimeout else { return true }
        isStalled = false
        shard.counters.sendTimeouts.add(1)
        transportClosed("send_timeout")
        return false
    }

    func resumeIfPossible() {
        guard isReading, !isPausedByPressure, !isPausedByBacklog, !isPausedByRate else { return }
        consumePending()
        // What was read may have stopped the reading again.
        guard isReading, !isPausedByPressure, !isPausedByRate else { return }
        if backlog > answerLimit { pauseForBacklog() } else { transport.resumeReading() }
    }

    // MARK: The end

    /// The client broke the protocol: says so where the version can, then closes. [MQTT-4.13.1-1]
    private func fail(_ violation: ProtocolViolation) {
        shard.lines.debug(
            "A client broke the protocol.",
            metadata: [
                "client.id": "\(session?.clientID ?? "")", "client.peer": "\(endpoints.peerName)",
                "mqtt.clause": "\(violation.clause)", "error": "\(violation.message)",
            ])
        if phase == .awaitingConnect {
            refuseMalformedConnect(violation)
        } else {
            close(reason: violation.reason.eventName, code: violation.reason)
        }
    }

    /// Ends the connection from our side: DISCONNECT to a 5.0 client, then the rest of what was written, then the end.
    func close(reason: String, code: ReasonCode?) {
        guard phase != .closed else { return }
        if let code, isV5, phase == .connected || phase == .awaitingSession {
            write { DisconnectPacket(reason: code).encode(to: $0) }
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
        case .authenticating: checkAuthenticationDeadline()
        case .awaitingSession, .connected:
            guard nextDeadline != .max else { return }
            // Who is not read from cannot be heard.
            if isPausedByPressure || isPausedByRate || !isReading { lastReceived = shard.now }
            if shard.now >= credentialsEndAt {
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
    var nextDeadline: Int64 { min(keepAliveLimit > 0 ? lastReceived + keepAliveLimit : .max, credentialsEndAt) }

    private func finishClosing() {
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
