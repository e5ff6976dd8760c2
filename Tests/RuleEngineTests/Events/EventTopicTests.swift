import RuleEngine
import Testing

@Suite struct `Events in FROM` {
    @Test(arguments: [
        ("message.publish", ["message.publish"]), ("message_publish", ["message.publish"]),
        ("message/publish", ["message.publish"]), ("$events/message_publish", ["message.publish"]),
        ("client.connected", ["client.connected"]), ("client_connected", ["client.connected"]),
        ("client/connected", ["client.connected"]), ("$events/client_connected", ["client.connected"]),
        ("$events/client/connected", ["client.connected"]),
        ("session/+", ["session.subscribed", "session.unsubscribed"]),
        ("message/#", ["message.publish", "message.delivered", "message.acked", "message.dropped"]),
        ("conected", []), ("#x", []), ("", []), ("$events/", []),
    ])
    func `a person may name an event by any of its spellings`(text: String, expected: [String]) {
        #expect(Set(RuleTopic.events(meantBy: text).map(\.rawValue)).isSuperset(of: expected))
        if expected.count <= 2 { #expect(RuleTopic.events(meantBy: text).count == expected.count) }
    }

    @Test(arguments: EventDeclaration.all)
    func `whatever FROM takes for an event names it`(declaration: EventDeclaration) {
        for topic in declaration.topics { #expect(RuleTopic.events(meantBy: topic) == [declaration.event]) }
    }

    private func compile(_ topic: String) -> (topics: [RuleTopic]?, findings: [String]) {
        let (rule, diagnostics) = CompiledRule.compile(sql: "SELECT event FROM \"\(topic)\"", id: "r")
        return (rule?.topics, diagnostics.map { "\($0.code.rawValue) \($0.message) (\($0.hint ?? ""))" })
    }

    @Test(arguments: EventName.allCases.flatMap { event in event.topics.map { (event, $0) } })
    func `every spelling names its event`(event: EventName, topic: String) {
        let (topics, findings) = compile(topic)
        #expect(topics == [.event(event)])
        #expect(findings == [])
    }

    @Test func `a wildcard over everything is every event and no publish`() {
        #expect(compile("$events/#").topics == EventName.allCases.filter { $0 != .messagePublish }.map { .event($0) })
    }

    @Test(arguments: [
        ("$events/client/+", [EventName.clientConnected, .clientDisconnected, .clientConnack, .clientPing]),
        ("$events/client/#", [.clientConnected, .clientDisconnected, .clientConnack, .clientPing]),
        ("$events/auth/+", [.clientCheckAuthnComplete, .clientCheckAuthzComplete]),
        ("$events/session/#", [.sessionSubscribed, .sessionUnsubscribed]),
        ("$events/message/+", [.messageDelivered, .messageAcked, .messageDropped, .deliveryDropped]),
        ("$events/sys/+", [.alarmActivated, .alarmDeactivated]),
        ("$events/+/connected", [.clientConnected]),
        ("$events/session_subscribed/#", [.sessionSubscribed]),
    ])
    func `a wildcard is the events that it matches`(topic: String, events: [EventName]) {
        let (topics, findings) = compile(topic)
        #expect(topics == events.map { .event($0) })
        #expect(findings == [])
    }

    @Test(arguments: [
        (
            "$events/schema_validation_failed",
            "SQL103 `$events/schema_validation_failed` never happens: there is no schema validation ()"
        ),
        (
            "$events/schema_validation/+",
            "SQL103 `$events/schema_validation/+` never happens: there is no schema validation ()"
        ),
        (
            "$events/message_transformation/failed",
            "SQL103 `$events/message_transformation/failed` never happens: there is no message transformation ()"
        ),
        (
            "$events/message_publish",
            "SQL103 `$events/message_publish`: a publish is chosen by its topic (FROM \"t/#\")"
        ),
        (
            "$events/client/conected",
            "SQL103 there is no event `$events/client/conected` (did you mean `$events/client/connected`?)"
        ),
        ("$events/client_ping", "SQL103 there is no event `$events/client_ping` (did you mean `$events/client/ping`?)"),
        (
            "$events/nothing/+",
            "SQL103 no event matches `$events/nothing/+` "
                + "(events stand below `$events/client/`, `message/`, `session/`, `auth/` and `sys/`)"
        ),
        (
            "$events/#/connected",
            "SQL103 `$events/#/connected` is no valid topic filter "
                + "(`#` stands alone at the end, `+` stands for a whole level)"
        ),
        (
            "$events/client_+",
            "SQL103 `$events/client_+` is no valid topic filter "
                + "(`#` stands alone at the end, `+` stands for a whole level)"
        ),
        (
            "$bridges/mqtt:a",
            "SQL104 `$bridges/mqtt:a`: a rule cannot read from a bridge "
                + "(let the bridge publish, and read its topic)"
        ),
        (
            "$bridges/#",
            "SQL104 `$bridges/#`: a rule cannot read from a bridge "
                + "(let the bridge publish, and read its topic)"
        ),
    ])
    func `what names no event is refused and says why`(topic: String, finding: String) {
        let (topics, findings) = compile(topic)
        #expect(topics == nil)
        #expect(findings == [finding])
    }
}
