import Buffers

/// What must not leave before the log has what it speaks of.
extension Connection {
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
    func writeReleased() {
        guard let buffer = released else { return }
        guard let taken = give(buffer) else { return }
        heldBytes -= taken
        guard buffer.isEmpty else { return }
        released = nil
        shard.giveBack(buffer)
        // The rest is the ordinary flush's.
        if out != nil {
            shard.markDirty(self)
        } else if heldCount == 0 {
            endBacklogPause()
            goOnAfterFlush()
        }
    }

    /// These bytes must not leave: what they say has not been stored. The client learns it by the end of the connection.
    func abandonHeld(_ bytes: OutputBuffer) {
        heldCount -= 1
        heldBytes -= bytes.count
        shard.giveBack(bytes)
        if phase != .closed { transportClosed("storage_failed") } else if closesAfterFlush { finishClosing() }
    }
}
