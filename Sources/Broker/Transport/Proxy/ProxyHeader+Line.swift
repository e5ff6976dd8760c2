import ConfigSchema

extension ProxyHeader {
    /// Version 1.
    /// - Parameter line: from `PROXY ` to the line feed, both included.
    init(line: [UInt8]) throws(ProxyHeaderError) {
        guard line.count > 2, line.suffix(2) == [0x0D, 0x0A], let text = Self.ascii(line.dropLast(2)) else {
            throw .badLine
        }
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        self.init(version: 1)
        // What stands behind UNKNOWN is to be ignored.
        if words.count >= 2, words[1] == "UNKNOWN" { return }
        guard words.count == 6, words[1] == "TCP4" || words[1] == "TCP6" else { throw .badLine }
        let isV4 = words[1] == "TCP4"
        source = try Self.endpoint(words[2], words[4], isV4: isV4)
        destination = try Self.endpoint(words[3], words[5], isV4: isV4)
    }

    /// Printable ASCII as text.
    private static func ascii(_ bytes: ArraySlice<UInt8>) -> String? {
        guard bytes.allSatisfy({ (0x20...0x7E).contains($0) }) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func endpoint(_ host: Substring, _ port: Substring, isV4: Bool) throws(ProxyHeaderError) -> Endpoint
    {
        guard host.contains(":") != isV4, let address = NetworkAddress(String(host)),
            (1...5).contains(port.utf8.count), port.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            port == "0" || port.first != "0", let number = UInt16(port)
        else { throw .badAddress }
        return Endpoint(address: address, port: number)
    }
}
