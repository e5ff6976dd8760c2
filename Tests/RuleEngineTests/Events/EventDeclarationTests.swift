import RuleEngine
import Testing

@Suite struct `Declared events` {
    @Test func `every event is declared once and no name stands for two`() {
        #expect(
            EventDeclaration.all.map(\.event).sorted { $0.rawValue < $1.rawValue }
                == EventName.allCases.sorted { $0.rawValue < $1.rawValue })
        let topics = EventDeclaration.all.flatMap(\.topics)
        #expect(Set(topics).count == topics.count)
        for topic in topics { #expect(EventName.named(topic: topic)?.topics.contains(topic) == true) }
    }

    @Test(arguments: EventDeclaration.all)
    func `a declaration's columns are its own and documented`(declaration: EventDeclaration) {
        #expect(Set(declaration.columnNames).count == declaration.columnNames.count)
        #expect(declaration.columnNames.prefix(3) == ["event", "timestamp", "node"])
        for column in declaration.columns { #expect(column.doc.hasSuffix("."), "\(column.name)") }
        for (column, words) in declaration.words {
            #expect(declaration.columnNames.contains(column) && !words.isEmpty)
        }
    }

    // [EMQX rule-sql: events and columns]
    @Test(arguments: [
        (
            EventName.messagePublish,
            "id clientid username payload peerhost peername topic qos flags pub_props publish_received_at client_attrs"
        ),
        (
            .messageDelivered,
            "id from_clientid from_username clientid username payload peerhost peername topic qos flags pub_props publish_received_at"
        ),
        (
            .messageAcked,
            "id from_clientid from_username clientid username payload peerhost peername topic qos flags pub_props puback_props publish_received_at"
        ),
        (
            .messageDropped,
            "id reason clientid username payload peerhost peername topic qos flags pub_props publish_received_at"
        ),
        (
            .deliveryDropped,
            "id reason from_clientid from_username clientid username payload peerhost peername topic qos flags pub_props publish_received_at"
        ),
        (
            .clientConnected,
            "clientid username mountpoint peername sockname proto_name proto_ver keepalive clean_start receive_maximum expiry_interval is_bridge conn_props connected_at client_attrs"
        ),
        (
            .clientDisconnected,
            "reason clientid username peername sockname proto_name proto_ver disconn_props disconnected_at connected_at client_attrs"
        ),
        (
            .clientConnack,
            "reason_code clientid clean_start username peername sockname proto_name proto_ver keepalive expiry_interval conn_props connected_at"
        ),
        (
            .clientPing,
            "clientid clean_start username peername sockname proto_name proto_ver keepalive expiry_interval conn_props"
        ),
        (
            .clientCheckAuthzComplete,
            "clientid username peername peerhost topic action authz_source result client_attrs"
        ),
        (.clientCheckAuthnComplete, "clientid username peername reason_code is_anonymous is_superuser client_attrs"),
        (.sessionSubscribed, "clientid username peerhost peername sub_props topic qos client_attrs"),
        (.sessionUnsubscribed, "clientid username peerhost peername unsub_props topic qos client_attrs"),
        (.alarmActivated, "name details message activated_at"),
        (.alarmDeactivated, "name details message activated_at deactivated_at"),
    ])
    func `an event has the columns of the reference`(event: EventName, columns: String) {
        let expected = ["event", "timestamp", "node"] + columns.split(separator: " ").map(String.init)
        #expect(event.columns.sorted() == expected.sorted())
    }
}
