import Foundation
import RuleEngine
import Sinks
import Testing

@Suite struct SinkSecurityTests {
    @Test(arguments: [
        ("dev-1", "/d/dev-1?t=dev-1"), ("a b", "/d/a%20b?t=a%20b"), ("a/../b", "/d/a%2F..%2Fb?t=a%2F..%2Fb"),
        ("x?y=1&z#f", "/d/x%3Fy%3D1%26z%23f?t=x%3Fy%3D1%26z%23f"),
        ("a\r\nHost: evil", "/d/a%0D%0AHost%3A%20evil?t=a%0D%0AHost%3A%20evil"),
        ("%2e%2e", "/d/%252e%252e?t=%252e%252e"), ("ü", "/d/%C3%BC?t=%C3%BC"),
    ])
    func `a value in the path stays one part of it`(value: String, target: String) async throws {
        let receiver = try HTTPReceiver()
        defer { receiver.stop() }
        var settings = WebhookSettings(url: receiver.url)
        settings.path = "d/${c}?t=${c}"
        let rig = try SinkRig(.webhook("w", settings))
        try rig.append([("c", .text(value))])
        rig.appender.handOver()
        await rig.settle()
        #expect(receiver.requests.map(\.target) == [target])
        rig.drain()
    }

    @Test(arguments: ["..", "."])
    func `a value that is a dot segment fails the record and nothing is sent`(value: String) async throws {
        let receiver = try HTTPReceiver()
        defer { receiver.stop() }
        var settings = WebhookSettings(url: receiver.url)
        settings.path = "d/${c}/x"
        let rig = try SinkRig(.webhook("w", settings))
        try rig.append([("c", .text(value))])
        rig.appender.handOver()
        #expect(rig.counters.failed == 1)
        #expect(rig.counters.addsUp)
        #expect(rig.drain() == 0)
        #expect(receiver.requests.isEmpty)
    }

    @Test(arguments: ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b", "\u{1B}[2J", "\u{7F}"])
    func `a value cannot end its header line`(value: String) async throws {
        let receiver = try HTTPReceiver()
        defer { receiver.stop() }
        var settings = WebhookSettings(url: receiver.url)
        settings.headers = [("X-Client", "c=${c}")]
        let rig = try SinkRig(.webhook("w", settings))
        try rig.append([("c", .text(value))])
        try rig.append([("c", .text("fine"))])
        rig.appender.handOver()
        await rig.settle()
        #expect(rig.counters.failed == 1)
        #expect(rig.worker.status().lastError?.contains("control character") == true)
        #expect(receiver.requests.map { $0.header("x-client") } == ["c=fine"])
        rig.drain()
    }

    @Test func `headers of the action override the connector's in any case, and a name can be a template`() async throws
    {
        let receiver = try HTTPReceiver()
        defer { receiver.stop() }
        var settings = WebhookSettings(url: receiver.url)
        settings.headers = [("X-A", "1"), ("Content-Type", "text/plain"), ("x-a", "2"), ("X-${c}", "v")]
        settings.body = .text("temp=${n}")
        settings.method = .put
        let rig = try SinkRig(.webhook("w", settings))
        try rig.append([("c", .text("Dyn")), ("n", .number(3))])
        try rig.append([("c", .text("no token")), ("n", .number(3))])
        rig.appender.handOver()
        await rig.settle()
        let request = try #require(receiver.requests.first)
        #expect(request.method == "PUT")
        #expect(request.text == "temp=3")
        #expect(request.header("x-a") == "2")
        #expect(request.headers.filter { $0.name.lowercased() == "content-type" }.map(\.value) == ["text/plain"])
        #expect(request.header("x-dyn") == "v")
        #expect(rig.counters.failed == 1)
        rig.drain()
    }

    @Test func `a typed body escapes what its values hold`() async throws {
        let receiver = try HTTPReceiver()
        defer { receiver.stop() }
        var settings = WebhookSettings(url: receiver.url)
        settings.body = .json(.object([("t", .template("${n}")), ("s", .template("<${c}>"))]))
        let rig = try SinkRig(.webhook("w", settings))
        try rig.append([("c", .text("\",\"admin\":true,\"x\":\"")), ("n", .number(3))])
        rig.appender.handOver()
        await rig.settle()
        #expect(receiver.requests.first?.text == #"{"t":3,"s":"<\",\"admin\":true,\"x\":\">"}"#)
        rig.drain()
    }

    @Test(arguments: [HTTPMethod.get, .delete])
    func `get and delete send no body`(method: HTTPMethod) async throws {
        let receiver = try HTTPReceiver()
        defer { receiver.stop() }
        var settings = WebhookSettings(url: receiver.url + "/x?c=${c}")
        settings.method = method
        let rig = try SinkRig(.webhook("w", settings))
        try rig.append([("c", .text("1"))])
        rig.appender.handOver()
        await rig.settle()
        #expect(receiver.requests.first?.method == method.rawValue.uppercased())
        #expect(receiver.requests.first?.target == "/x?c=1")
        #expect(receiver.requests.first?.body == [])
        rig.drain()
    }

    @Test(arguments: [
        "file:///etc/passwd", "gopher://h/", "ftp://h/", "http://u:p@h/", "http://${host}/", "http://", "",
        "http://h/#f", "javascript:1",
    ])
    func `a URL that is no plain http is refused`(url: String) {
        #expect(throws: SinkFailure.self) { try SinkDefinition.webhook("w", WebhookSettings(url: url)) }
    }

    @Test(arguments: [
        ("hooks.example.com", "93.184.216.34", true), ("hooks.example.com", "127.0.0.1", false),
        ("hooks.example.com", "10.1.2.3", false), ("hooks.example.com", "172.31.0.1", false),
        ("hooks.example.com", "172.32.0.1", true), ("hooks.example.com", "192.168.1.1", false),
        ("hooks.example.com", "100.64.0.1", false), ("hooks.example.com", "169.254.169.254", false),
        ("hooks.example.com", "0.0.0.0", false), ("hooks.example.com", "::1", false),
        ("hooks.example.com", "::ffff:10.0.0.1", false),
        ("hooks.example.com", "fd00:ec2::254", false), ("hooks.example.com", "fe80::1", false),
        ("hooks.example.com", "64:ff9b::7f00:1", false),
        ("hooks.example.com", "2606:2800:220::1", true), ("hooks.example.com", "224.0.0.1", false),
        ("flask", "172.18.0.3", true), ("localhost", "::1", true), ("flask", "169.254.169.254", false),
        ("flask", "fe80::1", false),
        ("10.0.0.5", "10.0.0.5", true), ("listed.example.com", "10.0.0.5", true),
        ("listed.example.com", "169.254.169.254", true),
    ])
    func `a public name may not lead to a private address`(host: String, address: String, isAllowed: Bool) {
        let guardian = AddressGuard(host: host, allowHosts: ["Listed.example.com"])
        #expect(guardian.allows(address) == isAllowed)
    }
}
