import ConfigSchema

extension ProxyHeader {
    /// PP2_TYPE_* and PP2_SUBTYPE_SSL_*, and what an SSL extension says in its bits.
    private enum Extension {
        static let checksum: UInt8 = 0x03
        static let tls: UInt8 = 0x20
        static let commonName: UInt8 = 0x22
        /// The client showed a certificate, on this connection or earlier in its TLS session.
        static let hasCertificate: UInt8 = 0x02 | 0x04
    }

    /// LOCAL and PROXY of version 2.
    static func isKnown(command: UInt8) -> Bool { command == 0x20 || command == 0x21 }

    /// Version 2.
    /// - Parameter bytes: the whole header.
    init(binary bytes: [UInt8]) throws(ProxyHeaderError) {
        self.init(version: 2)
        guard bytes.count >= 16, Self.isKnown(command: bytes[12]) else { throw .badVersion }
        let isLocal = bytes[12] & 0x0F == 0
        let size: Int
        switch bytes[13] >> 4 {
        case 0: size = 0
        case 1: size = 4
        case 2: size = 16
        case 3: size = 108
        default: throw .badFamily
        }
        // A stream, or unspecified: a connection is no datagram.
        guard bytes[13] & 0x0F <= 1 else { throw .badFamily }
        let isInternet = size == 4 || size == 16
        let extensions = 16 + size * 2 + (isInternet ? 4 : 0)
        // LOCAL is taken whatever follows: the sender may leave the addresses out.
        if isLocal { return }
        guard bytes.count >= extensions else { throw .tooShort }
        if isInternet, bytes[13] & 0x0F == 1 {
            source = Self.endpoint(bytes, at: 16, port: 16 + 2 * size, size: size)
            destination = Self.endpoint(bytes, at: 16 + size, port: 18 + 2 * size, size: size)
        }
        // Where no addresses are known, so is the meaning of what follows.
        if size > 0 { try readExtensions(bytes, from: extensions) }
    }

    private static func endpoint(_ bytes: [UInt8], at start: Int, port: Int, size: Int) -> Endpoint? {
        NetworkAddress(bytes: bytes[start..<(start + size)]).map {
            Endpoint(address: $0, port: UInt16(bytes[port]) << 8 | UInt16(bytes[port + 1]))
        }
    }

    private mutating func readExtensions(_ bytes: [UInt8], from start: Int) throws(ProxyHeaderError) {
        var position = start
        while let (type, value) = try Self.next(bytes, &position, end: bytes.count) {
            switch type {
            case Extension.checksum: try Self.check(bytes, checksum: value)
            case Extension.tls: commonName = try Self.commonName(bytes, value)
            default: break
            }
        }
    }

    /// The extension at `position`, which moves behind it; nil at the end.
    private static func next(
        _ bytes: [UInt8], _ position: inout Int, end: Int
    ) throws(ProxyHeaderError) -> (type: UInt8, value: Range<Int>)? {
        guard position < end else { return nil }
        guard end - position >= 3 else { throw .badExtension }
        let length = Int(bytes[position + 1]) << 8 | Int(bytes[position + 2])
        let start = position + 3
        guard end - start >= length else { throw .badExtension }
        defer { position = start + length }
        return (bytes[position], start..<(start + length))
    }

    /// The common name, if the client's certificate has been verified. The value: bits (1), result (4), extensions.
    private static func commonName(_ bytes: [UInt8], _ value: Range<Int>) throws(ProxyHeaderError) -> String? {
        guard value.count >= 5 else { throw .badExtension }
        let start = value.lowerBound
        let isVerified =
            bytes[start] & Extension.hasCertificate != 0 && bytes[(start + 1)..<(start + 5)].allSatisfy { $0 == 0 }
        var position = start + 5
        var name: String?
        while let (type, inner) = try next(bytes, &position, end: value.upperBound) {
            guard type == Extension.commonName else { continue }
            guard let text = String(validating: bytes[inner], as: UTF8.self), !text.utf8.contains(0) else {
                throw .badExtension
            }
            name = text
        }
        return isVerified ? name : nil
    }

    /// CRC32C over the header with the checksum's own bytes as zero.
    private static func check(_ bytes: [UInt8], checksum value: Range<Int>) throws(ProxyHeaderError) {
        guard value.count == 4 else { throw .badExtension }
        var crc: UInt32 = ~0
        for (position, byte) in bytes.enumerated() {
            crc ^= UInt32(value.contains(position) ? 0 : byte)
            for _ in 0..<8 { crc = crc & 1 == 0 ? crc >> 1 : crc >> 1 ^ 0x82F6_3B78 }
        }
        guard ~crc == bytes[value].reduce(0, { $0 << 8 | UInt32($1) }) else { throw .badChecksum }
    }
}
