import Broker
import ConfigSchema

/// Headers of the PROXY protocol, and what they say.
enum ProxyHeaderCases {
    struct Good: Sendable, CustomStringConvertible {
        let description: String
        let bytes: [UInt8]
        let header: ProxyHeader
    }

    struct Bad: Sendable, CustomStringConvertible {
        let description: String
        let bytes: [UInt8]
        let error: ProxyHeaderError
    }

    static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
    static let v4: [UInt8] = [192, 0, 2, 1, 198, 51, 100, 7, 0x30, 0x39, 0x07, 0x5B]
    static let v6: [UInt8] =
        [0x20, 1, 0xD, 0xB8] + Array(repeating: 0, count: 11) + [1] + [0x20, 1, 0xD, 0xB8]
        + Array(repeating: 0, count: 11) + [2] + [0x30, 0x39, 0x07, 0x5B]

    static func line(_ text: String) -> [UInt8] { Array(text.utf8) }

    static func binary(
        _ family: UInt8, _ rest: [UInt8], command: UInt8 = 0x21, announced: Int? = nil
    ) -> [UInt8] {
        let length = announced ?? rest.count
        return signature + [command, family, UInt8(length >> 8), UInt8(length & 0xFF)] + rest
    }

    static func entry(_ type: UInt8, _ value: [UInt8]) -> [UInt8] {
        [type, UInt8(value.count >> 8), UInt8(value.count & 0xFF)] + value
    }

    /// PP2_TYPE_SSL.
    static func tls(bits: UInt8, result: UInt8 = 0, _ entries: [UInt8]) -> [UInt8] {
        entry(0x20, [bits, 0, 0, 0, result] + entries)
    }

    static func endpoint(_ text: String, _ port: UInt16) -> ProxyHeader.Endpoint? {
        NetworkAddress(text).map { ProxyHeader.Endpoint(address: $0, port: port) }
    }

    private static func header(
        _ version: Int, _ source: String, _ destination: String, name: String? = nil
    ) -> ProxyHeader {
        ProxyHeader(
            version: version, source: endpoint(source, 12345), destination: endpoint(destination, 1883),
            commonName: name)
    }

    private static let four = header(2, "192.0.2.1", "198.51.100.7")
    private static let named = header(2, "192.0.2.1", "198.51.100.7", name: "sensor é")
    private static let name = entry(0x21, line("TLSv1.3")) + entry(0x22, line("sensor é"))
    /// CRC32C of the header with this extension, from an independent implementation (see the test of the checksum).
    static let checksummed = binary(0x11, v4 + [0x03, 0, 4] + [0, 0, 0, 0])

    static let good: [Good] = [
        Good(
            description: "TCP4", bytes: line("PROXY TCP4 192.0.2.1 198.51.100.7 12345 1883\r\n"),
            header: header(1, "192.0.2.1", "198.51.100.7")),
        Good(
            description: "TCP6", bytes: line("PROXY TCP6 2001:db8::1 2001:db8::2 12345 1883\r\n"),
            header: header(1, "2001:db8::1", "2001:db8::2")),
        Good(
            description: "the longest TCP6 addresses",
            bytes: line(
                "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"
            ),
            header: ProxyHeader(
                version: 1, source: endpoint("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535),
                destination: endpoint("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535))),
        Good(
            description: "ports of 0", bytes: line("PROXY TCP4 192.0.2.1 198.51.100.7 0 0\r\n"),
            header: ProxyHeader(
                version: 1, source: endpoint("192.0.2.1", 0), destination: endpoint("198.51.100.7", 0))),
        Good(description: "UNKNOWN", bytes: line("PROXY UNKNOWN\r\n"), header: ProxyHeader(version: 1)),
        Good(
            description: "UNKNOWN with something behind it", bytes: line("PROXY UNKNOWN any thing 1 :: 2\r\n"),
            header: ProxyHeader(version: 1)),
        Good(description: "2, IPv4", bytes: binary(0x11, v4), header: four),
        Good(description: "2, IPv6", bytes: binary(0x21, v6), header: header(2, "2001:db8::1", "2001:db8::2")),
        Good(
            description: "2, unix", bytes: binary(0x31, Array(repeating: 0x61, count: 216)),
            header: ProxyHeader(version: 2)),
        Good(description: "2, LOCAL", bytes: binary(0, [], command: 0x20), header: ProxyHeader(version: 2)),
        Good(
            description: "2, LOCAL with addresses, which do not count", bytes: binary(0x11, v4, command: 0x20),
            header: ProxyHeader(version: 2)),
        Good(description: "2, unspecified", bytes: binary(0, []), header: ProxyHeader(version: 2)),
        Good(
            description: "2, unspecified transport", bytes: binary(0x10, v4), header: ProxyHeader(version: 2)),
        Good(
            description: "2, extensions that mean nothing here",
            bytes: binary(0x11, v4 + entry(0x01, line("mqtt")) + entry(0x04, []) + entry(0xEE, [1, 2, 3])), header: four
        ),
        Good(
            description: "2, a verified client certificate", bytes: binary(0x11, v4 + tls(bits: 0x07, name)),
            header: named),
        Good(
            description: "2, a certificate of this session alone", bytes: binary(0x11, v4 + tls(bits: 0x05, name)),
            header: named),
        Good(
            description: "2, a certificate that was not verified",
            bytes: binary(0x11, v4 + tls(bits: 0x07, result: 1, name)), header: four),
        Good(
            description: "2, a name without a certificate", bytes: binary(0x11, v4 + tls(bits: 0x01, name)),
            header: four),
        Good(
            description: "2, as long as may be",
            bytes: binary(0x11, v4 + entry(0x04, Array(repeating: 7, count: 4096 - 12 - 3))), header: four),
    ]

    static let bad: [Bad] = [
        Bad(description: "an MQTT CONNECT", bytes: [0x10, 0x0C, 0, 4], error: .absent),
        Bad(description: "a TLS record", bytes: [0x16, 3, 1], error: .absent),
        Bad(description: "an HTTP POST", bytes: line("POST /mqtt"), error: .absent),
        Bad(description: "lower case", bytes: line("proxy TCP4"), error: .absent),
        Bad(description: "a broken signature", bytes: [0x0D, 0x0A, 0x0D, 0x0B], error: .absent),
        Bad(
            description: "108 bytes without an end", bytes: line("PROXY UNKNOWN ") + Array(repeating: 0x61, count: 120),
            error: .tooLong),
        Bad(description: "LF alone", bytes: line("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n"), error: .badLine),
        Bad(description: "no family", bytes: line("PROXY \r\n"), error: .badLine),
        Bad(description: "UDP4", bytes: line("PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n"), error: .badLine),
        Bad(description: "two blanks", bytes: line("PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n"), error: .badLine),
        Bad(description: "a word too few", bytes: line("PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n"), error: .badLine),
        Bad(description: "a word too many", bytes: line("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n"), error: .badLine),
        Bad(description: "a NUL", bytes: line("PROXY TCP4 1.2.3.4\0 5.6.7.8 1 2\r\n"), error: .badLine),
        Bad(
            description: "a carriage return inside", bytes: line("PROXY TCP4 1.2.3.4\r5.6.7.8 1 2\r\n"), error: .badLine
        ),
        Bad(
            description: "a name for an address", bytes: line("PROXY TCP4 localhost 5.6.7.8 1 2\r\n"),
            error: .badAddress),
        Bad(description: "IPv6 as TCP4", bytes: line("PROXY TCP4 ::1 ::1 1 2\r\n"), error: .badAddress),
        Bad(description: "IPv4 as TCP6", bytes: line("PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n"), error: .badAddress),
        Bad(description: "256 in an address", bytes: line("PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n"), error: .badAddress),
        Bad(description: "a port of 65536", bytes: line("PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n"), error: .badAddress),
        Bad(description: "a signed port", bytes: line("PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n"), error: .badAddress),
        Bad(
            description: "a port with a leading zero", bytes: line("PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n"),
            error: .badAddress),
        Bad(description: "version 1 in binary", bytes: binary(0x11, v4, command: 0x11), error: .badVersion),
        Bad(description: "an unknown command", bytes: binary(0x11, v4, command: 0x22), error: .badVersion),
        Bad(
            description: "an unknown command, before the rest", bytes: binary(0x11, [], command: 0x22, announced: 12),
            error: .badVersion),
        Bad(description: "an unknown family", bytes: binary(0x41, v4), error: .badFamily),
        Bad(description: "a datagram", bytes: binary(0x12, v4), error: .badFamily),
        Bad(description: "too short for IPv4", bytes: binary(0x11, Array(v4.dropLast())), error: .tooShort),
        Bad(description: "too short for IPv6", bytes: binary(0x21, v4), error: .tooShort),
        Bad(description: "too short for unix", bytes: binary(0x31, v4), error: .tooShort),
        Bad(description: "65,535 announced", bytes: binary(0x11, [], announced: 65_535), error: .tooLong),
        Bad(description: "4,097 announced", bytes: binary(0x11, [], announced: 4097), error: .tooLong),
        Bad(description: "an extension cut in its length", bytes: binary(0x11, v4 + [0x04, 0]), error: .badExtension),
        Bad(
            description: "an extension beyond the end", bytes: binary(0x11, v4 + [0x04, 0, 2, 1]), error: .badExtension),
        Bad(description: "TLS too short", bytes: binary(0x11, v4 + entry(0x20, [7, 0, 0, 0])), error: .badExtension),
        Bad(
            description: "a name beyond its extension", bytes: binary(0x11, v4 + tls(bits: 7, [0x22, 0, 9, 0x61])),
            error: .badExtension),
        Bad(
            description: "a name that is no UTF-8", bytes: binary(0x11, v4 + tls(bits: 7, entry(0x22, [0xC0, 0x80]))),
            error: .badExtension),
        Bad(
            description: "a name with a NUL", bytes: binary(0x11, v4 + tls(bits: 7, entry(0x22, [0x61, 0, 0x62]))),
            error: .badExtension),
        Bad(description: "a wrong checksum", bytes: checksummed, error: .badChecksum),
        Bad(description: "a checksum of 3 bytes", bytes: binary(0x11, v4 + entry(3, [1, 2, 3])), error: .badExtension),
    ]
}
