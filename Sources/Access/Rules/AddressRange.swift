import Glibc

/// An address or a network such as `10.0.0.0/8` or `fd00::/8`.
package struct AddressRange: Sendable, Equatable {
    /// 4 or 16 bytes.
    private let network: [UInt8]
    private let prefix: Int

    package init(_ text: String) throws(AccessRuleError) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = Self.bytes(String(parts[0])) else {
            throw AccessRuleError("\"\(text)\" is no address or network")
        }
        network = address
        if parts.count == 2 {
            guard parts[1].allSatisfy({ $0.isASCII && $0.isNumber }), let bits = Int(parts[1]),
                (0...address.count * 8).contains(bits)
            else { throw AccessRuleError("\"\(text)\" is no network") }
            prefix = bits
        } else {
            prefix = address.count * 8
        }
    }

    /// - Parameter host: a numeric address; false for anything else.
    package func contains(_ host: String) -> Bool {
        guard let address = Self.bytes(host), address.count == network.count else { return false }
        for (index, byte) in address.enumerated() {
            let bits = min(8, prefix - index * 8)
            guard bits > 0 else { return true }
            let mask = UInt8(truncatingIfNeeded: 0xFF00 >> bits)
            guard byte & mask == network[index] & mask else { return false }
        }
        return true
    }

    private static func bytes(_ text: String) -> [UInt8]? {
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 { return withUnsafeBytes(of: &four) { Array($0) } }
        var six = in6_addr()
        guard inet_pton(AF_INET6, text, &six) == 1 else { return nil }
        let bytes = withUnsafeBytes(of: &six) { Array($0) }
        // An IPv4 address in IPv6's clothes is the IPv4 address.
        let isMapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
        return isMapped ? Array(bytes[12...]) : bytes
    }
}
