import Glibc

/// An IPv4 or IPv6 address as a number. IPv4 has its IPv4-mapped form, so that `::ffff:10.0.0.1` and `10.0.0.1` are one.
package struct NetworkAddress: Sendable, Hashable {
    package let high: UInt64
    package let low: UInt64

    /// - Parameter v4: in host order.
    package init(v4: UInt32) {
        high = 0
        low = 0xFFFF_0000_0000 | UInt64(v4)
    }

    /// - Parameter bytes: 4 or 16 of them, in network order; nil for any other number.
    package init?(bytes: some Collection<UInt8>) {
        switch bytes.count {
        case 4: self.init(v4: bytes.reduce(0) { $0 << 8 | UInt32($1) })
        case 16:
            self.init(
                high: bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) },
                low: bytes.reduce(0) { $0 << 8 | UInt64($1) })
        default: return nil
        }
    }

    fileprivate init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A numeric address without brackets, zone or port; nil for anything else.
    package init?(_ text: String) {
        guard (2...45).contains(text.utf8.count), !text.utf8.contains(0) else { return nil }
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &bytes) == 1 {
            self.init(bytes: bytes.prefix(4))
        } else if inet_pton(AF_INET6, text, &bytes) == 1 {
            self.init(bytes: bytes)
        } else {
            return nil
        }
    }

    package var isV4: Bool { high == 0 && low >> 32 == 0xFFFF }

    package var bytes: [UInt8] {
        isV4
            ? (0..<4).map { UInt8(truncatingIfNeeded: low >> (24 - 8 * UInt64($0))) }
            : [high, low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * UInt64($0))) } }
    }

    /// As the system writes it.
    package var text: String {
        let bytes = bytes
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(isV4 ? AF_INET : AF_INET6, bytes, &buffer, socklen_t(buffer.count)) != nil else { return "" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Addresses with a common beginning: `10.0.0.0/8`, `::1`.
package struct AddressRange: Sendable, Hashable, CustomStringConvertible {
    private let first: NetworkAddress
    /// Of the 128 bits.
    private let bits: Int

    /// An address (with `/` and the number of bits that count, all of them when it is left out); nil for anything else,
    /// and where bits behind the prefix are set: `10.0.0.1/8` is somebody's mistake.
    /// - Parameter masks: such bits are left out instead.
    package init?(_ text: String, masks: Bool = false) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = parts.first.flatMap({ NetworkAddress(String($0)) }) else { return nil }
        let offset = address.isV4 && !parts[0].contains(":") ? 96 : 0
        if parts.count == 2 {
            guard parts[1].allSatisfy({ $0.isASCII && $0.isNumber }), let count = Int(parts[1]),
                (0...(128 - offset)).contains(count)
            else { return nil }
            bits = offset + count
        } else {
            bits = 128
        }
        let (high, low) = Self.masked(address, bits)
        guard masks || (high, low) == (address.high, address.low) else { return nil }
        first = NetworkAddress(high: high, low: low)
    }

    package func contains(_ address: NetworkAddress) -> Bool {
        Self.masked(address, bits) == (first.high, first.low)
    }

    private static func masked(_ address: NetworkAddress, _ bits: Int) -> (UInt64, UInt64) {
        (
            bits >= 64 ? address.high : address.high & ~(UInt64.max >> UInt64(bits)),
            bits <= 64 ? 0 : bits >= 128 ? address.low : address.low & ~(UInt64.max >> UInt64(bits - 64))
        )
    }

    package var isV4: Bool { first.isV4 && bits >= 96 }

    package var description: String { "\(first.text)/\(isV4 ? bits - 96 : bits)" }
}

extension FieldType where Value == AddressRange {
    package static var addressRange: FieldType {
        .scalar("an address or range such as 10.0.0.0/8 or \"::1\"") { text, _ in AddressRange(text) }
    }
}
