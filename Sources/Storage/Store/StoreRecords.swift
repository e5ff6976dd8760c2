import Buffers
import CCRC32C

/// The payloads of the store's records; docs/reference/log-format.md says them in words.
enum StoreRecord {
    static let message: UInt8 = 1
    static let remove: UInt8 = 2
    static let queue: UInt8 = 3
    static let drop: UInt8 = 4
    static let removedState: UInt8 = 5
    static let put: UInt8 = 6
    static let delete: UInt8 = 7

    /// A message: body and targets.
    struct Message {
        static let prefixBytes = 16

        var body: Bytes
        var targets: Bytes
        var targetCount: Int

        init?(_ payload: Bytes) {
            guard payload.count >= Self.prefixBytes else { return nil }
            let length = Int(payload.raw(0, as: UInt32.self))
            targetCount = Int(payload.raw(4, as: UInt32.self))
            let start = Self.prefixBytes + LogFormat.padded(length)
            guard start <= payload.count, (payload.count - start) / QueueEntry.targetBytes == targetCount,
                (payload.count - start) % QueueEntry.targetBytes == 0
            else { return nil }
            body = Bytes(rebasing: payload[Self.prefixBytes..<(Self.prefixBytes + length)])
            targets = Bytes(rebasing: payload[start...])
        }

        func target(_ index: Int) -> (queue: UInt64, position: UInt64, note: UInt32) {
            let at = index * QueueEntry.targetBytes
            return (
                targets.raw(at, as: UInt64.self), targets.raw(at + 8, as: UInt64.self),
                targets.raw(at + 16, as: UInt32.self)
            )
        }

        /// What is read of a shared message: without the targets.
        static func sharedReadSize(body: Int) -> Int {
            LogFormat.frameBytes + prefixBytes + LogFormat.padded(body)
        }

        /// The check of a shared message's body, which is read without its record's end.
        static func bodyCheck(_ body: Bytes) -> UInt32 { sluice_crc32c(0, body.baseAddress, body.count) }
    }

    struct Queue {
        var id: UInt64
        var next: UInt64
        var name: Bytes
        var metadata: Bytes

        init?(_ payload: Bytes) {
            guard payload.count >= 24 else { return nil }
            id = payload.raw(0, as: UInt64.self)
            next = payload.raw(8, as: UInt64.self)
            let nameCount = Int(payload.raw(16, as: UInt32.self))
            let metadataCount = Int(payload.raw(20, as: UInt32.self))
            guard nameCount + metadataCount == payload.count - 24 else { return nil }
            name = Bytes(rebasing: payload[24..<(24 + nameCount)])
            metadata = Bytes(rebasing: payload[(24 + nameCount)...])
        }
    }

    struct Entry {
        var table: UInt32
        var key: Bytes
        var value: Bytes

        init?(_ payload: Bytes) {
            guard payload.count >= 8 else { return nil }
            table = payload.raw(0, as: UInt32.self)
            let keyCount = Int(payload.raw(4, as: UInt32.self))
            guard keyCount <= payload.count - 8 else { return nil }
            key = Bytes(rebasing: payload[8..<(8 + keyCount)])
            value = Bytes(rebasing: payload[(8 + keyCount)...])
        }
    }
}
