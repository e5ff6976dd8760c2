import ConfigSchema
import RuleEngine

/// Makes an event of a test's input: what is not given has a fixed value, so that a test's result never changes.
enum RuleTestInput {
    /// Short forms that are no columns.
    private static let extras = ["event", "at", "retain", "dup", "user_properties"]

    static func read(_ node: YAMLNode, now: Int64, _ context: inout ReadContext) -> RuleTestCase.Input? {
        guard let entries = node.entries else {
            context.report(node.problem(.wrongType, "an input is a mapping of columns, not \(node.kindInWords)"))
            return nil
        }
        guard let event = event(node["event"], &context), let at = offset(node["at"], &context) else { return nil }
        let before = context.errorCount
        var columns = defaults(event, now + at)
        for entry in entries where !extras.contains(entry.name) && !entry.name.hasPrefix("x-") {
            guard event.columns.contains(entry.name) else {
                let hint = didYouMean(entry.name, event.columns + extras).map { "did you mean \"\($0)\"?" }
                context.report(
                    entry.key.problem(.unknownKey, "\(event.rawValue) has no column \"\(entry.name)\"", hint: hint))
                continue
            }
            columns[entry.name] =
                entry.name == "payload"
                ? payload(entry.value, &context) : value(entry.value, isWord: isWord(entry.name, of: event))
        }
        addExtras(node, &columns)
        guard context.errorCount == before else { return nil }
        return RuleTestCase.Input(at: at, event: event, columns: columns.map { ($0.key, $0.value) })
    }

    private static func isWord(_ column: String, of event: EventName) -> Bool {
        event.declaration.columns.contains { $0.name == column && $0.kind == .word }
    }

    private static func event(_ node: YAMLNode?, _ context: inout ReadContext) -> EventName? {
        guard let node else { return .messagePublish }
        let (event, hint) = event(named: node.text ?? "")
        if event == nil {
            context.report(node.problem(.badValue, "there is no event \(node.kindInWords)", hint: hint))
        }
        return event
    }

    /// By any of its spellings: `client_connected`, `client.connected`, `$events/client_connected`.
    static func event(named text: String) -> (event: EventName?, hint: String?) {
        if let event = EventName(rawValue: text) ?? EventName.named(topic: text)
            ?? EventName.named(topic: "$events/\(text)")
        {
            return (event, nil)
        }
        if text == "message_publish" { return (.messagePublish, nil) }
        let names = EventName.allCases.compactMap { $0.topics.first.map { String($0.dropFirst("$events/".count)) } }
        return (nil, didYouMean(text, names).map { "did you mean \"\($0)\"?" })
    }

    private static func offset(_ node: YAMLNode?, _ context: inout ReadContext) -> Int64? {
        guard let node else { return 0 }
        guard let duration = node.text.flatMap(Units.duration) else {
            context.report(node.problem(.badValue, "at takes a duration such as 60s, not \(node.kindInWords)"))
            return nil
        }
        let (seconds, attoseconds) = duration.components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }

    // MARK: Columns

    static func defaults(_ event: EventName, _ now: Int64) -> [String: StoredValue] {
        let milliseconds = StoredValue.integer(Int(now / 1_000_000))
        let fixed: [String: StoredValue] = [
            "id": text("0005F0E0A0B0C0D0E0F0A1B2C3D4E5F6"), "clientid": text("test"), "username": .undefined,
            "payload": text(""),
            "peerhost": text("127.0.0.1"), "peername": text("127.0.0.1:50000"), "sockname": text("127.0.0.1:1883"),
            "topic": text("t"), "qos": .integer(0),
            "flags": .object(members(["dup": .boolean(false), "retain": .boolean(false)])),
            "pub_props": .object(members(["User-Property": .object([])])), "client_attrs": .object([]),
            "publish_received_at": milliseconds, "connected_at": milliseconds, "disconnected_at": milliseconds,
            "from_clientid": text("test"), "from_username": .undefined, "proto_name": text("MQTT"),
            "proto_ver": .integer(5),
            "keepalive": .integer(60), "clean_start": .boolean(true), "receive_maximum": .integer(32),
            "expiry_interval": .integer(0),
            "is_bridge": .boolean(false), "mountpoint": .undefined, "conn_props": .object([]),
            "disconn_props": .object([]),
            "sub_props": .object([]), "unsub_props": .object([]), "puback_props": .object([]),
            "reason_code": word("success"), "is_anonymous": .boolean(true), "is_superuser": .boolean(false),
            "action": word("publish"), "authz_source": word("default"), "result": word("allow"),
            "name": text("alarm"), "details": .object([]), "message": text("something is wrong"),
            "activated_at": milliseconds, "deactivated_at": milliseconds,
        ]
        var columns: [String: StoredValue] = [
            "event": word(event.rawValue), "timestamp": milliseconds, "node": word("sluice@127.0.0.1"),
        ]
        for column in event.columns { if let value = fixed[column] { columns[column] = value } }
        switch event {
        case .messageDropped: columns["reason"] = word("no_subscribers")
        case .deliveryDropped: columns["reason"] = word("queue_full")
        case .clientDisconnected: columns["reason"] = word("normal")
        case .clientCheckAuthnComplete: columns["reason_code"] = text("success")
        default: break
        }
        return columns
    }

    /// `retain`, `dup` and `user_properties` go where the event has them.
    private static func addExtras(_ node: YAMLNode, _ columns: inout [String: StoredValue]) {
        for flag in ["retain", "dup"] {
            guard case .bool(let value) = node[flag]?.scalar, case .object(let flags) = columns["flags"] else {
                continue
            }
            columns["flags"] = .object(
                flags.map { $0.key == Array(flag.utf8) ? StoredMember(key: $0.key, value: .boolean(value)) : $0 })
        }
        if let entries = node["user_properties"]?.entries {
            let pairs = entries.map { entry in
                StoredValue.object(members(["key": text(entry.name), "value": text(entry.value.text ?? "")]))
            }
            let properties = Dictionary(entries.map { ($0.name, text($0.value.text ?? "")) }) { $1 }
            columns["pub_props"] = .object(
                members(["User-Property": .object(members(properties)), "User-Property-Pairs": .array(pairs)]))
        }
    }

    /// Text as it is; `{hex: …}` and `{base64: …}` give bytes; other mappings and lists become JSON text.
    private static func payload(_ node: YAMLNode, _ context: inout ReadContext) -> StoredValue {
        if let text = node.text { return Self.text(text) }
        if let entries = node.entries, entries.count == 1, let encoded = entries[0].value.text {
            let bytes: [UInt8]?
            switch entries[0].name {
            case "hex": bytes = ByteText.hex(encoded)
            case "base64": bytes = ByteText.base64(encoded)
            default: return Self.text(node.json)
            }
            if let bytes { return .string(bytes) }
            context.report(entries[0].value.problem(.badValue, "this is not \(entries[0].name)"))
        }
        return text(node.json)
    }

    static func value(_ node: YAMLNode, isWord: Bool = false) -> StoredValue {
        switch node.content {
        case .sequence(let items): return .array(items.map { value($0) })
        case .mapping(let entries):
            return .object(members(Dictionary(entries.map { ($0.name, value($0.value)) }) { $1 }))
        case .scalar(let text):
            switch node.scalar {
            case .null: return .null
            case .bool(let value): return .boolean(value)
            case .int(let value): return .integer(Int(value))
            case .float(let value) where value.isFinite: return .float(value.bitPattern)
            default: return isWord ? word(text) : self.text(text)
            }
        }
    }

    private static func members(_ values: [String: StoredValue]) -> [StoredMember] {
        values.map { StoredMember(key: Array($0.key.utf8), value: $0.value) }
            .sorted { $0.key.lexicographicallyPrecedes($1.key) }
    }

    private static func text(_ text: String) -> StoredValue { .string(Array(text.utf8)) }
    private static func word(_ text: String) -> StoredValue { .atom(Array(text.utf8)) }
}

/// Bytes written as text.
enum ByteText {
    /// White space between digits is skipped; nil for other characters or an odd count.
    static func hex(_ text: String) -> [UInt8]? {
        var result: [UInt8] = []
        var high: UInt8?
        for character in text where character != " " && character != "\n" {
            guard let value = character.hexDigitValue, character.isASCII else { return nil }
            if let first = high {
                result.append(first << 4 | UInt8(value))
                high = nil
            } else {
                high = UInt8(value)
            }
        }
        return high == nil ? result : nil
    }

    /// The standard alphabet, padding optional; nil for anything else. [RFC 4648 §4]
    static func base64(_ text: String) -> [UInt8]? {
        var result: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        var digits = text.utf8.filter { $0 != 0x20 && $0 != 0x0A }
        while digits.last == UInt8(ascii: "=") { digits.removeLast() }
        for byte in digits {
            let value: UInt8
            switch byte {
            case 0x41...0x5A: value = byte - 0x41
            case 0x61...0x7A: value = byte - 0x61 + 26
            case 0x30...0x39: value = byte - 0x30 + 52
            case UInt8(ascii: "+"): value = 62
            case UInt8(ascii: "/"): value = 63
            default: return nil
            }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                result.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return count < 6 ? result : nil
    }
}
