import RuleFiles
import Testing

struct TryTests {
    private func outcome(_ sql: String, _ change: (inout TryRequest) -> Void = { _ in }) throws -> TriedRule.Outcome {
        let rule = try #require(TriedRule.compile(sql, environment: ["X": "of the environment"]).rule)
        var request = TryRequest(nowNanoseconds: 1_767_225_600_000_000_000)
        change(&request)
        return try rule.run(request)
    }

    private func rows(_ sql: String, _ change: (inout TryRequest) -> Void = { _ in }) throws -> [String] {
        if case .rows(let rows) = try outcome(sql, change) { rows } else { [] }
    }

    private func reason(_ sql: String, _ change: (inout TryRequest) -> Void = { _ in }) throws -> String {
        if case .noRow(let reason, let text) = try outcome(sql, change) { "\(reason.rawValue): \(text)" } else { "" }
    }

    @Test func `an event has what is given and fixed values for the rest`() throws {
        let sql = "SELECT topic, payload.a AS a, clientid, username, qos, flags.retain AS r, timestamp FROM \"t/+/#\""
        let given = try rows(sql) {
            ($0.topic, $0.payload, $0.clientID, $0.username) = ("t/9/x", Array("{\"a\":[1]}".utf8), "c", "u")
            ($0.qos, $0.isRetained) = (2, true)
        }
        #expect(
            given == [
                #"{"a":[1],"clientid":"c","qos":2,"r":true,"timestamp":1767225600000,"topic":"t/9/x","username":"u"}"#
            ])
        let rest = try rows(sql) { $0.payload = Array("{}".utf8) }
        #expect(
            rest == [
                #"{"a":"undefined","clientid":"test","qos":0,"r":false,"timestamp":1767225600000,"topic":"t/1/1","username":"undefined"}"#
            ])
    }

    @Test(arguments: [
        ("username=123", "is_str(username)"), ("username=\"1 2\"", "username = '1 2'"),
        ("username=true", "is_str(username)"), ("clientid=null", "is_str(clientid)"), ("qos=2", "qos IN (2)"),
        ("flags={\"retain\":true}", "flags.retain"), ("payload={\"a\":1}", "payload.a = 1"),
        ("payload=7", "is_str(payload)"),
    ])
    func `a column that is set has the kind that events give it`(setting: String, condition: String) throws {
        #expect(try rows("SELECT 1 AS r FROM \"t\" WHERE \(condition)") { $0.settings = [setting] } == [#"{"r":1}"#])
    }

    @Test(arguments: [
        ("client_check_authz_complete", "result=deny", "result", "deny"),
        ("client_check_authz_complete", "action=subscribe", "action", "subscribe"),
        ("client_connack", "reason_code=not_authorized", "reason_code", "not_authorized"),
        ("client_disconnected", "reason=\"kicked\"", "reason", "kicked"),
    ])
    func `a word that is set is one, not text`(event: String, setting: String, column: String, word: String) throws {
        let sql = "SELECT is_str(\(column)) AS s FROM \"$events/\(event)\" WHERE \(column) = '\(word)'"
        #expect(try rows(sql) { $0.settings = [setting] } == [#"{"s":false}"#])
    }

    @Test func `columns are set by JSON or text, and getenv sees the environment`() throws {
        #expect(
            try rows("SELECT peerhost, pub_props.a AS a, getenv('X') AS x FROM \"t\"") {
                $0.settings = ["peerhost=10.0.0.1", "pub_props={\"a\":[null]}"]
            } == [#"{"a":[null],"peerhost":"10.0.0.1","x":"of the environment"}"#])
        #expect(
            try rows("SELECT event, keepalive FROM \"$events/client_connected\"") { $0.settings = ["keepalive=7"] } == [
                #"{"event":"client.connected","keepalive":7}"#
            ])
    }

    @Test(arguments: ["client_connected", "client.connected", "$events/client_connected", "$events/client/connected"])
    func `an event has several spellings`(spelling: String) throws {
        #expect(
            try rows("SELECT event FROM \"$events/client_connected\", \"t\"") { $0.event = spelling } == [
                #"{"event":"client.connected"}"#
            ])
    }

    @Test func `no row says why`() throws {
        #expect(
            try reason("SELECT * FROM \"t/#\"") { $0.topic = "x" } == "from: FROM takes \"t/#\", not the topic \"x\"")
        #expect(try reason("SELECT * FROM \"t\" WHERE qos > 0") == "where: WHERE is false: qos > 0")
        #expect(
            try reason("FOREACH payload.a AS e INCASE e > 9 FROM \"t\"") { $0.payload = Array("{\"a\":[1]}".utf8) }
                == "incase: INCASE is false for each element: e > 9")
        #expect(
            try reason("FOREACH payload.a AS e FROM \"t\"") { $0.payload = Array("{}".utf8) }
                == "foreach: FOREACH finds no element")
    }

    @Test func `a failure has a class, and a payload that is not JSON a picture`() throws {
        guard
            case .failed(let name, _, let picture) = try outcome(
                "SELECT payload.a FROM \"t\"", { $0.payload = Array("{\"a\": x\u{1}}".utf8) })
        else {
            Issue.record("it did not fail")
            return
        }
        #expect(name == "decode_json")
        #expect(picture == "  {\"a\": x.}\n        ^\n")
    }

    @Test(arguments: [
        ("event", "--event: there is no event \"client_conected\"; did you mean \"client_connected\"?"),
        ("set", "--set takes column=value, not \"x\""),
        ("column", "--set: message.publish has no column \"peerhots\"; did you mean \"peerhost\"?"),
        ("payload", "--payload: client.connected has no column \"payload\""),
        ("qos", "--set: qos is an integer, not \"high\""),
        ("clean_start", "--set: clean_start is true or false, not \"1\""),
        ("topic", "--topic: a message's topic is not empty and has no wildcards"),
    ])
    func `a command line that makes no sense is refused`(what: String, message: String) throws {
        #expect {
            _ = try outcome("SELECT * FROM \"t\"") {
                switch what {
                case "event": $0.event = "client_conected"
                case "set": $0.settings = ["x"]
                case "column": $0.settings = ["peerhots=1"]
                case "qos": $0.settings = ["qos=high"]
                case "clean_start": ($0.event, $0.settings) = ("client_connected", ["clean_start=1"])
                case "topic": $0.topic = "t/+"
                default: ($0.event, $0.payload) = ("client_connected", [])
                }
            }
        } throws: {
            "\($0)" == message
        }
    }

    @Test func `all problems of a statement have a picture`() {
        let (rule, findings) = TriedRule.compile("SELECT uper(topic) AS t, lowr(topic) AS l FROM \"t\"")
        #expect(rule == nil)
        #expect(findings.map(\.code) == ["SQL101", "SQL101"])
        #expect(findings.allSatisfy { $0.isError && $0.picture.contains("^") })
    }

    @Test func `the time of an evaluation is measured without changing its result`() throws {
        let rule = try #require(
            TriedRule.compile("SELECT kv_store_get('k', 0) AS v, kv_store_put('k', 1) FROM \"t\"").rule)
        let request = TryRequest(nowNanoseconds: 0)
        let time = try #require(try rule.nanoseconds(request))
        #expect(time > 0)
        guard case .rows(let rows) = try rule.run(request) else {
            Issue.record("no row")
            return
        }
        #expect(rows[0].contains("\"v\":0"))
    }
}
