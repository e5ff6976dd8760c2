import ConfigSchema
import Testing

struct NetworkAddressTests {
    @Test(arguments: [
        ("10.0.0.1", "10.0.0.1" as String?), ("::ffff:10.0.0.1", "10.0.0.1"), ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::", "::"), ("::1", "::1"), ("0.0.0.0", "0.0.0.0"), ("10.1", nil), ("010.0.0.1", nil), ("10.0.0.256", nil),
        ("1.2.3.4 ", nil), ("[::1]", nil), ("fe80::1%eth0", nil), ("", nil), ("localhost", nil), ("1.2.3.4\0", nil),
    ])
    func `addresses are read and written`(_ text: String, _ expected: String?) {
        #expect(NetworkAddress(text)?.text == expected)
    }

    @Test(arguments: [
        ("10.0.0.0/8", ["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"], ["11.0.0.0", "9.255.255.255", "::1"]),
        ("192.0.2.7", ["192.0.2.7"], ["192.0.2.6", "192.0.2.8"]),
        ("0.0.0.0/0", ["0.0.0.0", "255.255.255.255"], ["::1", "2001:db8::1"]),
        ("::/0", ["::", "2001:db8::1", "1.2.3.4"], []),
        ("2001:db8::/32", ["2001:db8::", "2001:db8:ffff::1"], ["2001:db9::", "2001:db7:ffff::"]),
        ("2001:db8:0:0:8000::/65", ["2001:db8::8000:0:0:0", "2001:db8::ffff:0:0:1"], ["2001:db8::7fff:0:0:0"]),
        ("::1", ["::1"], ["::", "::2", "127.0.0.1"]),
        ("10.0.0.4/30", ["10.0.0.4", "10.0.0.7"], ["10.0.0.3", "10.0.0.8"]),
        ("::ffff:10.0.0.0/104", ["10.9.9.9"], ["11.0.0.0"]),
    ])
    func `a range holds its addresses and no others`(_ range: String, _ inside: [String], _ outside: [String]) throws {
        let range = try #require(AddressRange(range))
        for text in inside { #expect(range.contains(try #require(NetworkAddress(text))), "\(text)") }
        for text in outside { #expect(!range.contains(try #require(NetworkAddress(text))), "\(text)") }
    }

    @Test(arguments: [
        "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8/8", "/8", "::1/129", "::1/64",
        "10.0.0.0/+8",
    ])
    func `what is no range is refused`(_ text: String) { #expect(AddressRange(text) == nil) }

    @Test func `listeners take EMQX's words for proxies and rates`() throws {
        let environment = Environment(variables: [:]) { path in
            path == "sluice.yaml"
                ? Array(
                    """
                    allow_anonymous: true
                    listeners:
                      tcp:
                        a: {bind: 1, proxy_protocol: true, proxy_protocol_timeout: 5s, proxy_trusted_addresses: 10.0.0.0/8}
                        b: {bind: "unix:/run/b.sock", proxy_protocol: auto, max_conn_rate: 100/s, bytes_rate: 1MB/s}
                        c: {bind: 3, proxy_protocol: false, messages_rate: 10/m, max_conn_rate: infinity}
                    """.utf8) : nil
        }
        let configuration = try #require(
            BrokerConfiguration.load(file: "sluice.yaml", environment: environment).configuration)
        let listeners = configuration.listeners
        #expect(listeners.map(\.proxy.mode) == [.on, .auto, .off])
        #expect(listeners[0].proxy.timeout == .seconds(5))
        #expect(
            listeners.map { $0.proxy.trustedAddresses.description }
                == ["[10.0.0.0/8]", "[127.0.0.0/8, ::1/128]", "[127.0.0.0/8, ::1/128]"])
        #expect(listeners[1].bind.description == "unix:/run/b.sock")
        #expect(listeners[1].rates.connections == .at(Rate(count: 100, per: .seconds(1))))
        #expect(listeners[1].rates.bytes == .at(Rate(count: 1 << 20, per: .seconds(1))))
        #expect(listeners[2].rates.messages == .at(Rate(count: 10, per: .seconds(60))))
        #expect(listeners[2].rates.connections == .infinity)
    }

    @Test(arguments: [
        ("proxy_protocol: maybe", "auto, on or off"), ("proxy_trusted_addresses: [10.0.0.1/8]", "an address or range"),
        ("messages_rate: fast", "a rate such as 1000/s"), ("bytes_rate: 1MB", "a rate such as 1MB/s"),
        ("bind: \"unix:relative\"", "a port or an address"),
    ])
    func `a wrong value of a listener says what it takes`(_ line: String, _ expected: String) {
        let bind = line.hasPrefix("bind") ? "" : "bind: 1, "
        let environment = Environment(variables: [:]) { path in
            path == "sluice.yaml" ? Array("listeners: {tcp: {a: {\(bind)\(line)}}}".utf8) : nil
        }
        let problems = BrokerConfiguration.load(file: "sluice.yaml", environment: environment).problems
        #expect(problems.contains { $0.headline.contains(expected) }, "\(problems.map(\.headline))")
    }
}
