import Buffers
import RuleEngine
import Testing

@Suite struct ActionTests {
    func text(_ bytes: Bytes?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

    func message(
        _ arguments: RepublishArguments, row: String, event: RepublishEvent = RepublishEvent(), _ bench: Workbench = Workbench(), check: (RepublishedMessage?) -> Void
    ) throws {
        let action = RepublishAction(arguments, ruleID: "rule1")
        check(try action.message(row: try bench.json(row), event: event, context: TemplateContext(arena: bench.arena)))
    }

    @Test func `a rule does not republish its own message again [EMQX rule-sql: republish]`() throws {
        var event = RepublishEvent()
        event.republishedBy = "rule1"
        try message(RepublishArguments(topic: "out"), row: "{}", event: event) { #expect($0 == nil) }
        event.republishedBy = "rule2"
        try message(RepublishArguments(topic: "out"), row: "{}", event: event) { #expect($0 != nil) }
    }

    @Test func `the user properties of the event are copied with their duplicates`() throws {
        let bench = Workbench()
        var event = RepublishEvent()
        event.publishProperties = try bench.json(#"{"User-Property":{"k":"2"},"User-Property-Pairs":[{"key":"k","value":"1"},{"key":"k","value":"2"}]}"#)
        for spelling in ["${pub_props.'User-Property'}", "${.pub_props.'User-Property'}"] {
            var arguments = RepublishArguments(topic: "out")
            arguments.userProperties = spelling
            try message(arguments, row: "{}", event: event, bench) { message in
                #expect(message?.userProperties.map { [text($0.name), text($0.value)] } == [["k", "1"], ["k", "2"]])
            }
        }
        event.publishProperties = try bench.json(#"{"User-Property":{"k":"2","n":1}}"#)
        var arguments = RepublishArguments(topic: "out")
        arguments.userProperties = "${pub_props.'User-Property'}"
        try message(arguments, row: "{}", event: event, bench) { message in
            #expect(message?.userProperties.map { [text($0.name), text($0.value)] } == [["k", "2"], ["n", "1"]])
        }
    }

    @Test func `an empty payload template is the whole row, and the sender can be chosen`() throws {
        var arguments = RepublishArguments(topic: "out/${c}")
        arguments.payload = ""
        arguments.from = "dev-${c}"
        try message(arguments, row: #"{"c":1}"#) { message in
            #expect(text(message?.payload) == #"{"c":1}"#)
            #expect(text(message?.from) == "dev-1")
            #expect(text(message?.topic) == "out/1")
        }
    }

    @Test(arguments: [("${q}", #"{"q":3}"#), ("${q}", #"{"q":"x"}"#), ("${q}", #"{"q":-1}"#), ("${q}", #"{"q":1.0}"#), ("high", "{}")])
    func `a quality of service that is none raises`(qos: String, row: String) throws {
        var arguments = RepublishArguments(topic: "out")
        arguments.qos = .template(qos)
        #expect(failure { try message(arguments, row: row) { _ in } }?.name == "bad_argument")
    }

    @Test(arguments: ["a/+", "#", "", "a\u{0}b"])
    func `a rendered topic that is no topic name raises [MQTT-3.3.2-2]`(topic: String) throws {
        let bench = Workbench()
        let row = try bench.arena.object([Member(key: try bench.bytes("t"), value: .string(try bench.bytes(topic)))])
        let action = RepublishAction(RepublishArguments(topic: "${t}"), ruleID: "r")
        let context = TemplateContext(arena: bench.arena)
        #expect(failure { _ = try action.message(row: row, event: RepublishEvent(), context: context) }?.name == "bad_argument")
    }

    @Test func `numeric properties that are out of range are left out`() throws {
        var arguments = RepublishArguments(topic: "out")
        arguments.mqttProperties = [("Message-Expiry-Interval", "4294967296"), ("Payload-Format-Indicator", "2"), ("Content-Type", "${ct}"), ("Subscription-Identifier", "1")]
        try message(arguments, row: #"{"ct":"text/plain"}"#) { message in
            #expect(message?.messageExpiryInterval == nil)
            #expect(message?.payloadFormatIndicator == nil)
            #expect(text(message?.contentType) == "text/plain")
        }
    }

    @Test func `what the check needs of an action is there`() {
        let action = RepublishAction(RepublishArguments(topic: "out/${a}"), ruleID: "r")
        #expect(action.placeholders.map(\.path) == [["a"], ["payload"]])
        #expect(action.constantTopic == nil)
        #expect(RepublishAction(RepublishArguments(topic: "out"), ruleID: "r").constantTopic == Array("out".utf8))
    }

    func request(
        _ connector: HTTPRequestParts, _ action: HTTPRequestParts, method: String = "post", body: HTTPBodySource = .row,
        options: HTTPRequestTemplate.Options = .init(), row: String, check: (HTTPRequest) -> Void
    ) throws {
        let bench = Workbench()
        let template = try HTTPRequestTemplate(connector: connector, action: action, method: method, body: body, options: options)
        check(try template.request(row: try bench.json(row), context: TemplateContext(arena: bench.arena)))
    }

    @Test(arguments: [
        ("", "", "/"), ("", "x", "/x"), ("/", "", "/"), ("/b", "/${v}", "/b/a%2Fb%20c"), ("/b/", "/${v}?q=${v}", "/b/a%2Fb%20c?q=a%2Fb%20c"), ("/b", "?q=1", "/b?q=1"),
        ("/a b", "x y", "/a%20b/x%20y"), ("b/", "/x", "/b/x"), ("/${v}", "", "/a%2Fb%20c"),
    ])
    func `values in a path are percent-encoded, and the parts joined with one slash`(base: String, path: String, expected: String) throws {
        try request(HTTPRequestParts(path: base), HTTPRequestParts(path: path), row: #"{"v":"a/b c"}"#) { #expect(text($0.target) == expected) }
    }

    @Test func `as in EMQX values go into the path as they are, but cannot break the request line`() throws {
        try request(HTTPRequestParts(path: "/b"), HTTPRequestParts(path: "${v}"), options: .emqx, row: #"{"v":"a/b c\r\nX: y"}"#) {
            #expect(text($0.target) == "/b/a/b%20c%0D%0AX:%20y")
        }
    }

    @Test func `headers of the action override those of the connector, and cannot carry line breaks`() throws {
        try request(
            HTTPRequestParts(headers: [("accept", "*/*"), ("x-id", "${v}")]), HTTPRequestParts(headers: [("x-id", "own-${v}"), ("X-ID", "1")]),
            row: #"{"v":"a\r\nb"}"#
        ) { request in
            #expect(request.headers.map { [text($0.name), text($0.value)] } == [["accept", "*/*"], ["x-id", "own-a  b"], ["X-ID", "1"]])
        }
        #expect(failure { try request(HTTPRequestParts(), HTTPRequestParts(headers: [("x ${v}", "1")]), row: #"{"v":"a"}"#) { _ in } }?.name == "bad_argument")
    }

    @Test(arguments: [("${m}", "PATCH", "patch"), ("${m}", "Post", nil), ("${m}", "trace", nil), ("put", "", "put")] as [(String, String, String?)])
    func `the rendered method must be one that is allowed`(method: String, value: String, expected: String?) throws {
        var actual: String?
        _ = failure { try request(HTTPRequestParts(), HTTPRequestParts(), method: method, row: "{\"m\":\"\(value)\"}") { actual = $0.method.rawValue } }
        #expect(actual == expected)
    }

    @Test func `a body is the row, text or typed JSON, and get has none`() throws {
        let row = #"{"a":"x\"y","n":1}"#
        try request(HTTPRequestParts(), HTTPRequestParts(), row: row) { #expect(text($0.body) == row) }
        try request(HTTPRequestParts(), HTTPRequestParts(), body: .text(""), row: row) { #expect(text($0.body) == "") }
        try request(HTTPRequestParts(), HTTPRequestParts(), body: .json(.object([("a", .template("${a}")), ("n", .template("${n}"))])), row: row) {
            #expect(text($0.body) == row)
        }
        try request(HTTPRequestParts(), HTTPRequestParts(), method: "get", body: .text("b"), row: row) { #expect($0.body == nil) }
    }

    @Test func `our own policy tries again what may pass, and waits where credentials fail`() {
        var policy = HTTPRetryPolicy()
        let expected: [(Int, HTTPOutcome)] = [
            (200, .success), (299, .success), (301, .unrecoverable), (400, .unrecoverable), (401, .unauthorized), (403, .unauthorized), (404, .unrecoverable),
            (408, .recoverable), (425, .recoverable), (429, .recoverable), (500, .recoverable), (502, .recoverable), (503, .recoverable), (504, .recoverable),
        ]
        for (status, outcome) in expected { #expect(policy.outcome(of: .status(status)) == outcome, "\(status)") }
        #expect(policy.outcome(of: .failure(.other("tls_alert"))) == .recoverable)
        policy.retriesTransportFailures = false
        policy.onUnauthorized = .fail
        policy.success = HTTPStatusSet([200...299, 404...404])
        #expect(policy.outcome(of: .failure(.timeout)) == .otherError)
        #expect(policy.outcome(of: .status(401)) == .unrecoverable)
        #expect(policy.outcome(of: .status(404)) == .success)
        policy.onUnauthorized = .retry
        #expect(policy.outcome(of: .status(403)) == .recoverable)
    }

    @Test(arguments: [("2xx", 200...299), ("429", 429...429), ("6xx", nil), ("0xx", nil), ("42", nil), ("+42", nil), ("abc", nil), ("", nil), ("600", nil)] as [(String, ClosedRange<Int>?)])
    func `statuses are written one by one or by hundreds`(text: String, expected: ClosedRange<Int>?) {
        #expect(HTTPStatusSet.range(text) == expected)
    }
}
