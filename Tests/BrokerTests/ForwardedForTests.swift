import Broker
import ConfigSchema
import Testing

@Suite struct ForwardedForTests {
    /// The client as text, where 10.0.0.0/8 and ::1 are trusted; nil for none.
    private func client(_ entries: [String], peer: String) throws -> String? {
        let ranges = ["10.0.0.0/8", "::1"].compactMap { AddressRange($0) }
        let address = try #require(NetworkAddress(peer))
        let found = ForwardedFor.client(entries, peer: address) { peer in ranges.contains { $0.contains(peer) } }
        return found.map { $0.address.text + ($0.port.map { " \($0)" } ?? "") }
    }

    @Test(arguments: [
        (["203.0.113.9"], "10.0.0.1", "203.0.113.9" as String?),
        // From somebody else: an invention.
        (["203.0.113.9"], "192.0.2.1", nil),
        // What stands in front of the first untrusted address from the right is the client's own word.
        (["1.1.1.1", "203.0.113.9"], "10.0.0.1", "203.0.113.9"),
        (["1.1.1.1", "203.0.113.9", "10.0.0.2"], "10.0.0.1", "203.0.113.9"),
        (["10.0.0.3", "10.0.0.2"], "10.0.0.1", "10.0.0.3"),
        (["203.0.113.9:1234"], "::1", "203.0.113.9 1234"),
        (["[2001:db8::1]:1234"], "10.0.0.1", "2001:db8::1 1234"),
        (["[2001:db8::1]"], "10.0.0.1", "2001:db8::1"),
        (["2001:db8::1"], "10.0.0.1", "2001:db8::1"),
        (["::ffff:203.0.113.9"], "10.0.0.1", "203.0.113.9"),
        (["unknown"], "10.0.0.1", nil), (["203.0.113.9", "_hidden", "10.0.0.2"], "10.0.0.1", "10.0.0.2"),
        (["203.0.113.9:99999"], "10.0.0.1", nil), (["[::1"], "10.0.0.1", nil), (["[::1]x"], "10.0.0.1", nil),
        ([""], "10.0.0.1", nil), ([], "10.0.0.1", nil),
    ])
    func `the client is the last that no trusted proxy vouches for`(
        _ entries: [String], _ peer: String, _ expected: String?
    ) throws {
        #expect(try client(entries, peer: peer) == expected)
    }
}
