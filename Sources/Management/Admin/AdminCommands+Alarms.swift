import Broker

extension AdminCommands {
    func alarmList(_ alarms: [Alarm]) -> Result {
        let now = AlarmTable.microseconds()
        return Result(
            text: alarms.isEmpty ? "No alarms.\n" : alarms.map { line($0, now) }.joined(),
            data: .array(alarms.map { data($0, now) }))
    }

    private func line(_ alarm: Alarm, _ now: Int64) -> String {
        var fields = ["name=\(alarm.name)", "activated=\(alarm.isActive)", "activate_at=\(time(alarm.activatedAt))"]
        if let end = alarm.deactivatedAt { fields.append("deactivate_at=\(time(end))") }
        fields += ["duration=\(alarm.duration(now: now))ms", "message=\(alarm.message)"]
        return "Alarm(\(fields.joined(separator: ", ")))\n"
    }

    /// The members of EMQX's `GET /alarms`, and `activated`.
    private func data(_ alarm: Alarm, _ now: Int64) -> JSONValue {
        var members: [String: JSONValue] = [
            "node": .string(node.name), "name": .string(alarm.name), "message": .string(alarm.message),
            "activated": .boolean(alarm.isActive), "activate_at": .string(time(alarm.activatedAt)),
            "duration": .integer(Int(alarm.duration(now: now))),
            "details": .object(
                alarm.details.mapValues { detail in
                    switch detail {
                    case .text(let text): .string(text)
                    case .integer(let number): .integer(number)
                    case .list(let texts): .array(texts.map { .string($0) })
                    }
                }),
        ]
        if let end = alarm.deactivatedAt { members["deactivate_at"] = .string(time(end)) }
        return .object(members)
    }

    private func time(_ microseconds: Int64) -> String { Timestamp.rfc3339(milliseconds: microseconds / 1000) }
}
