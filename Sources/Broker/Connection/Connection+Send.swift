import Buffers
import MQTTCodec

/// What is written gathers in one buffer and leaves at the end of the tick.
extension Connection {
    /// Appends the packet that `body` writes to the out-buffer, which leaves at the end of the tick.
    @inline(__always)
    func write(_ type: PacketType, _ body: (OutputBuffer) -> Void) {
        guard phase != .closed else { return }
        body(outBuffer())
        shard.markDirty(self)
        shard.counters.sent(type)
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
        guard give(buffer) != nil else { return }
        if buffer.count < highWaterMark { endBacklogPause() }
        guard buffer.isEmpty else { return }
        out = nil
        shard.giveBack(buffer)
        goOnAfterFlush()
    }

    /// Gives the socket what it takes of these bytes.
    /// - Returns: how many it took; nil when the connection has ended.
    @inline(__always)
    func give(_ buffer: OutputBuffer) -> Int? {
        let before = buffer.count
        guard transport.write(buffer) else {
            transportClosed("tcp_closed")
            return nil
        }
        let taken = before - buffer.count
        shard.counters.bytesSent.add(taken)
        if !buffer.isEmpty, !isStalled || taken > 0 { noteStall() }
        return taken
    }

    @inline(__always)
    func endBacklogPause() {
        guard isPausedByBacklog else { return }
        isPausedByBacklog = false
        shard.resumeReading(self)
    }

    /// All is written: the end, if it waited for that, or what waits for room.
    @inline(__always)
    func goOnAfterFlush() {
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
}
