import Buffers
import MQTTCodec
import RuleEngine

/// An alarm's change reaches rules and `$SYS` through the first shard.
extension Shard {
    func announce(_ alarm: Alarm, publishes: Bool) {
        rules.alarmChanged(alarm)
        if publishes { publishAlarm(alarm) }
    }

    /// On `$SYS/brokers/<node>/alarms/activate` or `…/deactivate`, as JSON. [EMQX: $SYS]
    private func publishAlarm(_ alarm: Alarm) {
        let payload = OutputBuffer()
        do throws(EvaluationError) {
            let arena = rules.context.arena
            arena.reset()
            try JSON.append(alarm.json.value(in: arena), to: payload)
        } catch {
            logger.error("An alarm is too large to be published.", metadata: ["alarm.name": "\(alarm.name)"])
            return
        }
        var properties = Properties()
        properties.contentType = "application/json"
        let encoded = OutputBuffer()
        properties.appendForwarded(to: encoded)
        let topic = "$SYS/brokers/\(node.name)/alarms/\(alarm.isActive ? "activate" : "deactivate")"
        withBytes(topic) { topic in
            _ = publish(
                Message.make(
                    copying: MessageView(
                        topic: topic, properties: encoded.bytes, payload: payload.bytes,
                        traits: MessageTraits(receivedAt: wall, publisherID: 0, qos: 0, isRetained: false),
                        id: nextMessageID(), publisher: nil)))
        }
    }
}

extension RuleStage {
    /// [EMQX rule-sql: alarm.activated, alarm.deactivated]
    func alarmChanged(_ alarm: Alarm) {
        run(alarm.isActive ? .alarmActivated : .alarmDeactivated, clientID: "") {
            var columns: [(name: String, value: StoredValue)] = [
                ("name", .string(Array(alarm.name.utf8))), ("details", alarm.storedDetails),
                ("message", .string(Array(alarm.message.utf8))),
                ("activated_at", .integer(Int(alarm.activatedAt / 1000))),
            ]
            if let end = alarm.deactivatedAt { columns.append(("deactivated_at", .integer(Int(end / 1000)))) }
            return columns
        }
    }
}

extension Alarm {
    /// With EMQX's names and units: microseconds, and `infinity` for an end that has not come.
    fileprivate var json: StoredValue {
        .object(
            members([
                "name": .string(Array(name.utf8)), "details": storedDetails, "message": .string(Array(message.utf8)),
                "activate_at": .integer(Int(activatedAt)),
                "deactivate_at": deactivatedAt.map { .integer(Int($0)) } ?? .string(Array("infinity".utf8)),
                "activated": .boolean(isActive),
            ]))
    }

    fileprivate var storedDetails: StoredValue {
        .object(
            members(
                details.mapValues { detail in
                    switch detail {
                    case .text(let text): .string(Array(text.utf8))
                    case .integer(let number): .integer(number)
                    case .list(let texts): .array(texts.map { .string(Array($0.utf8)) })
                    }
                }))
    }

    private func members(_ values: [String: StoredValue]) -> [StoredMember] {
        values.map { StoredMember(key: Array($0.key.utf8), value: $0.value) }
            .sorted { $0.key.lexicographicallyPrecedes($1.key) }
    }
}
