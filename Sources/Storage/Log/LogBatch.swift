package import Buffers
import CCRC32C

/// Records on their way into a log, encoded one after another; they are written together and in this order.
///
/// Confined to one thread. Kept and used again: the log takes the bytes and leaves an empty buffer.
package final class LogBatch {
    package internal(set) var buffer = OutputBuffer(capacity: 4096)
    /// Finished records.
    package internal(set) var records = 0
    private var frameStart = 0
    private var type: UInt8 = 0

    package init() {}

    package var isEmpty: Bool { records == 0 }
    package var byteCount: Int { buffer.count }

    /// Begins a record; its payload is what is appended to ``buffer`` until ``end()``.
    /// - Parameter type: 1–254.
    /// - Returns: where the record begins in the batch.
    @inline(__always) @discardableResult
    package func begin(_ type: UInt8) -> Int {
        frameStart = buffer.count
        self.type = type
        buffer.reserve(LogFormat.frameBytes)
        buffer.advance(LogFormat.frameBytes)
        return frameStart
    }

    /// - Returns: the record's bytes in the log. More than ``LogFormat/maximumPayload`` must have been refused before.
    @inline(__always) @discardableResult
    package func end() -> Int {
        let length = buffer.count - frameStart - LogFormat.frameBytes
        buffer.pad()
        let size = buffer.count - frameStart
        let frame = buffer.start + buffer.head + frameStart
        buffer.patch(frameStart, sluice_crc32c(0, frame + LogFormat.frameBytes, size - LogFormat.frameBytes))
        buffer.patch(frameStart + 4, UInt32(length))
        buffer.patch(frameStart + 8, UInt64(type) << 56)
        records += 1
        return size
    }

    /// Takes back the record that was begun.
    package func cancel() { buffer.truncate(to: frameStart) }

    /// Gives each record its sequence and its final CRC.
    static func place(_ bytes: Bytes, first: UInt64, at location: LogLocation, salt: UInt64) {
        guard let start = UnsafeMutableRawPointer(mutating: bytes.baseAddress) else { return }
        var offset = 0
        var sequence = first
        while offset < bytes.count {
            let length = bytes.raw(offset + 4, as: UInt32.self)
            let kind = bytes.raw(offset + 8, as: UInt64.self) | sequence
            let crc = LogFormat.frameCRC(
                payload: bytes.raw(offset, as: UInt32.self), length: length, kind: kind,
                location: LogLocation(rawValue: location.rawValue + UInt64(offset)), salt: salt)
            start.storeBytes(of: crc.littleEndian, toByteOffset: offset, as: UInt32.self)
            start.storeBytes(of: kind.littleEndian, toByteOffset: offset + 8, as: UInt64.self)
            offset += LogFormat.frameSize(payload: Int(length))
            sequence += 1
        }
    }
}
