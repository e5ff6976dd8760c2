internal import Buffers

/// What stands for a key or for a row's values in a rule's state: 128 bits, whatever their length.
struct KeyDigest: BitwiseCopyable, Sendable, Hashable {
    var first: UInt64
    var second: UInt64

    static let zero = KeyDigest(first: 0, second: 0)
}

/// Makes digests: SipHash-1-3 with 128 bits of result, under a key that is drawn anew for each rule, so that nobody who
/// writes payloads can make two of them meet.
struct DigestSeed: Sendable {
    private let k0: UInt64
    private let k1: UInt64

    init(_ random: inout RandomSource) {
        k0 = random.next()
        k1 = random.next()
    }

    func digest(_ bytes: Bytes) -> KeyDigest {
        var state = State(k0, k1)
        var offset = 0
        while offset + 8 <= bytes.count {
            state.take(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
            offset += 8
        }
        var last = UInt64(truncatingIfNeeded: bytes.count) << 56
        for position in offset..<bytes.count { last |= UInt64(bytes[position]) << UInt64((position - offset) * 8) }
        state.take(last)
        return state.finish()
    }

    private struct State {
        var v0: UInt64
        var v1: UInt64
        var v2: UInt64
        var v3: UInt64

        init(_ k0: UInt64, _ k1: UInt64) {
            v0 = k0 ^ 0x736F_6D65_7073_6575
            v1 = k1 ^ 0x646F_7261_6E64_6F6D ^ 0xEE
            v2 = k0 ^ 0x6C79_6765_6E65_7261
            v3 = k1 ^ 0x7465_6462_7974_6573
        }

        @inline(__always)
        mutating func take(_ word: UInt64) {
            v3 ^= word
            round()
            v0 ^= word
        }

        mutating func finish() -> KeyDigest {
            v2 ^= 0xEE
            for _ in 0..<3 { round() }
            let first = v0 ^ v1 ^ v2 ^ v3
            v1 ^= 0xDD
            for _ in 0..<3 { round() }
            return KeyDigest(first: first, second: v0 ^ v1 ^ v2 ^ v3)
        }

        @inline(__always)
        private mutating func round() {
            v0 &+= v1
            v1 = Self.rotate(v1, 13) ^ v0
            v0 = Self.rotate(v0, 32)
            v2 &+= v3
            v3 = Self.rotate(v3, 16) ^ v2
            v0 &+= v3
            v3 = Self.rotate(v3, 21) ^ v0
            v2 &+= v1
            v1 = Self.rotate(v1, 17) ^ v2
            v2 = Self.rotate(v2, 32)
        }

        @inline(__always)
        private static func rotate(_ word: UInt64, _ count: UInt64) -> UInt64 {
            word << count | word >> (64 - count)
        }
    }
}
