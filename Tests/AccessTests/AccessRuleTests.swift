import Access
import Buffers
import Testing

private func json(_ text: String) throws -> JSONText { try #require(JSONText(Array(text.utf8))) }

private func decide(
    _ rules: AccessRules, _ client: ClientAccess, _ action: AccessAction, _ topic: String, qos: UInt8 = 0,
    retain: Bool = false
) -> Bool? {
    Array(topic.utf8).withUnsafeBytes {
        rules.decide(client, AccessRequest(action, topic: $0, qos: qos, isRetained: retain))
    }
}

struct AccessRuleTests {
    private let client = ClientAccess(clientID: "c1", username: "ann", peerHost: "10.1.2.3")

    @Test(arguments: [
        // pattern, topic or filter, covered, overlapped
        ("a/b", "a/b", true, true), ("a/b", "a/c", false, false), ("a/+", "a/b", true, true),
        ("a/+", "a/+", true, true),
        // EMQX takes these for covered.
        ("a/+", "a/#", false, true), ("a/+", "a/b/c", false, false), ("a/#", "a", true, true),
        ("a/#", "a/#", true, true),
        ("a/#", "a/+/b", true, true), ("#", "a/b", true, true), ("#", "$SYS/a", false, false), ("#", "#", true, true),
        ("+/b", "$SYS/b", false, false), ("$SYS/#", "#", false, false), ("$SYS/#", "+/x", false, false),
        ("$SYS/#", "$SYS/+/x", true, true), ("secret/x", "secret/#", false, true), ("secret/x", "#", false, true),
        ("secret/x", "+/x", false, true), ("secret/#", "secret", true, true), ("a/b", "a/b/#", false, true),
        ("a", "a/#", false, true), ("a/b/c", "a/b", false, false), ("a//b", "a//b", true, true), ("+", "", true, true),
        ("d/${clientid}/#", "d/c1/x", true, true), ("d/${clientid}/#", "d/c2/x", false, false),
        ("d/${clientid}/#", "d/+/x", false, true), ("d/${clientid}/#", "d/#", false, true),
        ("d/x-${username}", "d/x-ann", true, true), ("d/${cert_common_name}", "d/", false, false),
        ("d/${cert_common_name}", "d/+", false, false), ("d/${cert_common_name}", "d/#", false, false),
        ("${peerhost}/a", "10.1.2.3/a", true, true), ("eq a/#", "a/#", true, true), ("eq a/#", "a/b", false, false),
        ("eq d/${clientid}", "d/c1", false, false),
    ])
    func `a pattern covers and overlaps what it should`(pattern: String, filter: String, covers: Bool, overlaps: Bool)
        throws
    {
        let pattern = try TopicPattern(pattern)
        Array(filter.utf8).withUnsafeBytes {
            #expect(pattern.covers($0, for: client) == covers)
            #expect(pattern.overlaps($0, for: client) == overlaps)
        }
    }

    @Test(arguments: ["+", "#", "a/b", "+/#", "c2/../x", "/", "", "\u{0}", "c1+", "${username}", "eq x", "a/#"])
    func `a name that is put into a pattern stays a literal [CVE-2017-7650]`(name: String) throws {
        let evil = ClientAccess(clientID: name, username: name)
        for text in ["d/${clientid}/#", "d/${username}/x", "d/${clientid}", "d/p-${username}/#"] {
            let pattern = try TopicPattern(text)
            for topic in ["d/c2/x", "d/c2", "d/+/x", "d/#", "d/+/#", "#", "d/a/b/x", "d//x", "d/p-c2/x"] {
                Array(topic.utf8).withUnsafeBytes { #expect(!pattern.covers($0, for: evil), "\(text) \(topic)") }
            }
        }
    }

    @Test func `the first rule that applies decides`() throws {
        let rules = try AccessRules(
            try json(
                """
                [{"permission":"allow","who":{"username":"dash"},"action":"subscribe","topics":["$SYS/#"]},
                 {"permission":"deny","who":"all","action":"subscribe","topics":["$SYS/#",{"eq":"#"},{"eq":"+/#"}]},
                 {"permission":"allow"}]
                """))
        #expect(decide(rules, client, .subscribe, "$SYS/brokers") == false)
        #expect(decide(rules, client, .subscribe, "#") == false)
        #expect(decide(rules, client, .subscribe, "a/#") == true)
        #expect(decide(rules, client, .publish, "$SYS/brokers") == true)
        #expect(decide(rules, ClientAccess(clientID: "x", username: "dash"), .subscribe, "$SYS/#") == true)
    }

    @Test(arguments: [
        (#"{"permission":"allow","username":"ann"}"#, true),
        (#"{"permission":"allow","who":{"username":"bob"}}"#, false),
        (#"{"permission":"allow","clientid":"c1"}"#, true), (#"{"permission":"allow","clientid_re":"^c[0-9]$"}"#, true),
        (#"{"permission":"allow","who":{"username":{"re":"^a"}}}"#, true),
        (#"{"permission":"allow","username_re":"^b"}"#, false),
        (#"{"permission":"allow","ipaddr":"10.0.0.0/8"}"#, true),
        (#"{"permission":"allow","ipaddrs":["192.168.0.0/16","10.1.2.3"]}"#, true),
        (#"{"permission":"allow","ipaddr":"10.2.0.0/16"}"#, false), (#"{"permission":"allow","ipaddr":"::/0"}"#, false),
        (#"{"permission":"allow","who":{"and":[{"username":"ann"},{"clientid":"c2"}]}}"#, false),
        (#"{"permission":"allow","who":{"or":[{"username":"bob"},{"clientid":"c1"}]}}"#, true),
        (#"{"permission":"allow","qos":[1,2]}"#, false), (#"{"permission":"allow","qos":"0,1"}"#, true),
        (#"{"permission":"allow","retain":true}"#, false), (#"{"permission":"allow","retain":false}"#, true),
        (#"{"permission":"allow","action":"subscribe"}"#, false), (#"{"permission":"allow","topic":"t/#"}"#, true),
    ])
    func `a rule applies when all its conditions hold`(text: String, applies: Bool) throws {
        let rules = AccessRules([try AccessRule(try json(text))])
        #expect(decide(rules, client, .publish, "t/1") == (applies ? true : nil))
    }

    @Test(arguments: [
        "{}", "[]", #"{"permission":"maybe"}"#, #"{"permission":"allow","acton":"publish"}"#,
        #"{"permission":"allow","who":{"user_name":"x"}}"#, #"{"permission":"allow","action":"read"}"#,
        #"{"permission":"allow","topics":[]}"#, #"{"permission":"allow","topics":["a/#/b"]}"#,
        #"{"permission":"allow","topics":["a/${nope}"]}"#, #"{"permission":"allow","topics":["a/${password}"]}"#,
        #"{"permission":"allow","qos":3}"#, #"{"permission":"allow","retain":"x"}"#,
        #"{"permission":"allow","ipaddr":"10.0.0.0/33"}"#,
        #"{"permission":"allow","ipaddr":"localhost"}"#, #"{"permission":"allow","username_re":"("}"#,
        #"{"permission":"allow","topic":"a","topics":["b"]}"#, #"{"permission":"allow","who":{}}"#,
    ])
    func `a rule that can't be understood is refused, not skipped`(text: String) throws {
        let value = try json(text)
        #expect(throws: AccessRuleError.self) { try AccessRule(value) }
    }

    @Test func `a token's acl of the older form denies what it does not name`() throws {
        let rules = try AccessRules(claim: try json(#"{"pub":["p/${clientid}"],"sub":["s/#"],"all":[]}"#))
        #expect(decide(rules, client, .publish, "p/c1") == true)
        #expect(decide(rules, client, .subscribe, "s/1") == true)
        #expect(decide(rules, client, .publish, "s/1") == false)
        #expect(decide(rules, client, .subscribe, "#") == false)
    }

    @Test func `a pattern that takes for ever does not match`() throws {
        let pattern = try AccessPattern("^(a+)+$")
        #expect(!pattern.matches(String(repeating: "a", count: 40) + "b"))
        #expect(pattern.matches("aaa"))
    }
}
