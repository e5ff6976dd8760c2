import Broker

/// Delayed messages and exclusive subscriptions.
extension AdminCommands {
    static let topicCommands: [Command] = [
        Command(name: "delayed status", arguments: "", summary: "Show how many messages wait") {
            c, _ throws(AdminError) in
            c.delayedStatus()
        },
        Command(name: "delayed list", arguments: "", summary: "List messages that wait") { c, _ throws(AdminError) in
            c.delayedList()
        },
        Command(name: "delayed delete", arguments: "<MsgID|Topic>", summary: "Delete messages that wait") {
            c, a throws(AdminError) in
            try c.deleteDelayed(try one(a, "delayed delete <MsgID|Topic>"))
        },
        Command(name: "exclusive list", arguments: "", summary: "List exclusive subscriptions") {
            c, _ throws(AdminError) in
            c.exclusiveList()
        },
        Command(name: "exclusive delete", arguments: "<Topic>", summary: "Let others subscribe exclusively") {
            c, a throws(AdminError) in
            try c.deleteExclusive(try one(a, "exclusive delete <Topic>"))
        },
    ]

    private func delayedStatus() -> Result {
        let limits = node.delayedLimits
        let count = node.delayedMessages.count
        let text =
            "\(padded("enable", 22)): \(limits.isEnabled)\n\(padded("messages", 22)): \(count)\n"
            + "\(padded("max_delayed_messages", 22)): \(limits.messages)\n\(padded("bytes", 22)): \(node.delayedBytes)\n"
            + "\(padded("max_delayed_bytes", 22)): \(limits.bytes)\n"
        return Result(
            text: text,
            data: .object([
                "enable": .boolean(limits.isEnabled), "messages": .integer(count),
                "max_delayed_messages": .integer(limits.messages), "bytes": .integer(node.delayedBytes),
                "max_delayed_bytes": .integer(limits.bytes),
            ]))
    }

    private func delayedList() -> Result {
        let messages = node.delayedMessages
        let text = messages.map { message in
            "\(message.id) -> topic:\(message.topic) qos:\(message.qos) retain:\(message.isRetained ? 1 : 0)"
                + " bytes:\(message.payloadBytes) from:\(message.clientID ?? "undefined")"
                + " expected_at:\(Timestamp.rfc3339(milliseconds: message.expectedAt))\n"
        }.joined()
        return Result(
            text: messages.isEmpty ? "No delayed messages.\n" : text,
            data: .array(
                messages.map { message in
                    .object([
                        "msgid": .string(message.id), "node": .string(node.name), "topic": .string(message.topic),
                        "qos": .integer(message.qos), "retain": .boolean(message.isRetained),
                        "payload_bytes": .integer(message.payloadBytes),
                        "from_clientid": message.clientID.map { .string($0) } ?? .null,
                        "from_username": message.username.map { .string($0) } ?? .null,
                        "publish_at": .string(Timestamp.rfc3339(milliseconds: message.publishedAt)),
                        "expected_at": .string(Timestamp.rfc3339(milliseconds: message.expectedAt)),
                        "delayed_interval": .integer(Int((message.expectedAt - message.publishedAt) / 1000)),
                    ])
                }))
    }

    private func deleteDelayed(_ text: String) throws(AdminError) -> Result {
        let count = node.deleteDelayed(text)
        guard count > 0 else { throw .notFound("Not Found.") }
        return Result(text: "\(count) deleted\n", data: .object(["deleted": .integer(count)]))
    }

    private func exclusiveList() -> Result {
        let all = node.exclusiveSubscriptions
        return Result(
            text: all.isEmpty
                ? "No exclusive subscriptions.\n"
                : all.map { "topic:\($0.filter) -> ClientId:\($0.clientID)\n" }.joined(),
            data: .array(
                all.map { .object(["topic": .string($0.filter), "clientid": .string($0.clientID)]) }))
    }

    private func deleteExclusive(_ filter: String) throws(AdminError) -> Result {
        guard node.releaseExclusive(filter) else { throw .notFound("Not Found.") }
        return Result(text: "ok\n", data: .object(["result": .string("ok")]))
    }
}
