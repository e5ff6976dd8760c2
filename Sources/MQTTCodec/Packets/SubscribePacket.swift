package import Buffers
import Topics

/// How a subscription wants its messages. [MQTT5 §3.8.3.1]
package struct SubscriptionOptions: Equatable, Sendable {
    package var qos: QoS
    package var noLocal: Bool
    package var retainAsPublished: Bool
    package var retainHandling: RetainHandling

    package init(
        qos: QoS, noLocal: Bool = false, retainAsPublished: Bool = false, retainHandling: RetainHandling = .always
    ) {
        self.qos = qos
        self.noLocal = noLocal
        self.retainAsPublished = retainAsPublished
        self.retainHandling = retainHandling
    }

    init(_ byte: UInt8, version: ProtocolVersion) throws(ProtocolViolation) {
        guard let qos = QoS(rawValue: byte & 3) else {
            throw version == .v5
                ? .error("MQTT5 §3.8.3.1", "A subscription asks for QoS 3.")
                : .malformed("MQTT3-3.8.3-4", "A subscription asks for QoS 3.")
        }
        guard version == .v5 else {
            if byte & 0xFC != 0 { throw .malformed("MQTT3-3.8.3-4", "Reserved bits of a requested QoS are set.") }
            self.init(qos: qos)
            return
        }
        if byte & 0xC0 != 0 { throw .malformed("MQTT-3.8.3-5", "Reserved bits of subscription options are set.") }
        guard let handling = RetainHandling(rawValue: byte >> 4 & 3) else {
            throw .error("MQTT5 §3.8.3.1", "Retain Handling 3 is reserved.")
        }
        self.init(qos: qos, noLocal: byte & 4 != 0, retainAsPublished: byte & 8 != 0, retainHandling: handling)
    }

    var byte: UInt8 {
        qos.rawValue | (noLocal ? 4 : 0) | (retainAsPublished ? 8 : 0) | retainHandling.rawValue << 4
    }
}

/// SUBSCRIBE. [MQTT5 §3.8]
package struct SubscribePacket: Equatable, Sendable {
    package struct Entry: Equatable, Sendable {
        package var filter: String
        package var options: SubscriptionOptions

        package init(filter: String, options: SubscriptionOptions) {
            self.filter = filter
            self.options = options
        }
    }

    package var packetIdentifier: UInt16
    package var subscriptions: [Entry]
    package var properties: Properties

    package init(packetIdentifier: UInt16, subscriptions: [Entry], properties: Properties = Properties()) {
        self.packetIdentifier = packetIdentifier
        self.subscriptions = subscriptions
        self.properties = properties
    }

    init(_ body: Bytes, version: ProtocolVersion) throws(ProtocolViolation) {
        var reader = FieldReader(body)
        self.init(packetIdentifier: try reader.packetIdentifier(), subscriptions: [])
        if version == .v5 { properties = try Properties.decode(&reader, set: .subscribe, from: .client) }
        while reader.remaining > 0 {
            let filter = try Self.filter(&reader)
            let options = try SubscriptionOptions(try reader.byte(), version: version)
            if options.noLocal, SharedFilter(filter) != nil {
                throw .error("MQTT-3.8.3-4", "No Local is set on a shared subscription.")
            }
            subscriptions.append(Entry(filter: filter, options: options))
        }
        if subscriptions.isEmpty { throw .error("MQTT-3.8.3-2", "A SUBSCRIBE has no topic filter.") }
    }

    /// A topic filter, shared ones included. [MQTT-4.7.1-1] [MQTT-4.8.2-1] [MQTT-4.8.2-2]
    static func filter(_ reader: inout FieldReader) throws(ProtocolViolation) -> String {
        let text = try reader.text()
        if let problem = problem(of: text) {
            throw ProtocolViolation(.topicFilterInvalid, clause: problem.clause, "\(problem.text): \"\(text)\"")
        }
        return text
    }

    private static func problem(of text: String) -> (clause: String, text: String)? {
        var filter = text
        // By bytes: as characters, a slash and a combining mark behind it would be one.
        let bytes = text.utf8
        if bytes.starts(with: "$share/".utf8) || bytes.elementsEqual("$share".utf8) {
            let parts = bytes.split(separator: UInt8(ascii: "/"), maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3, !parts[1].isEmpty, !parts[2].isEmpty else {
                return ("MQTT-4.8.2-1", "A shared subscription is $share/group/filter")
            }
            if parts[1].contains(UInt8(ascii: "+")) || parts[1].contains(UInt8(ascii: "#")) {
                return ("MQTT-4.8.2-2", "A share name has no wildcard")
            }
            filter = String(Substring(parts[2]))
        } else if bytes.starts(with: "$queue/".utf8) {
            filter = String(Substring(bytes.dropFirst("$queue/".utf8.count)))
        }
        let isValid = filter.withUTF8 { TopicSyntax.isFilter(Bytes($0)) }
        return isValid ? nil : ("MQTT-4.7.1-1", "A topic filter is not valid")
    }

    package func encode(to output: OutputBuffer, version: ProtocolVersion) {
        let body = OutputBuffer()
        body.append(bigEndian: packetIdentifier)
        if version == .v5 { properties.append(to: body) }
        for entry in subscriptions {
            body.appendField(entry.filter)
            body.append(version == .v5 ? entry.options.byte : entry.options.qos.rawValue)
        }
        output.appendPacket(.subscribe, flags: 2, body)
    }
}

/// UNSUBSCRIBE. [MQTT5 §3.10]
package struct UnsubscribePacket: Equatable, Sendable {
    package var packetIdentifier: UInt16
    package var filters: [String]
    package var properties: Properties

    package init(packetIdentifier: UInt16, filters: [String], properties: Properties = Properties()) {
        self.packetIdentifier = packetIdentifier
        self.filters = filters
        self.properties = properties
    }

    init(_ body: Bytes, version: ProtocolVersion) throws(ProtocolViolation) {
        var reader = FieldReader(body)
        self.init(packetIdentifier: try reader.packetIdentifier(), filters: [])
        if version == .v5 { properties = try Properties.decode(&reader, set: .unsubscribe, from: .client) }
        while reader.remaining > 0 { filters.append(try SubscribePacket.filter(&reader)) }
        if filters.isEmpty { throw .error("MQTT-3.10.3-2", "An UNSUBSCRIBE has no topic filter.") }
    }

    package func encode(to output: OutputBuffer, version: ProtocolVersion) {
        let body = OutputBuffer()
        body.append(bigEndian: packetIdentifier)
        if version == .v5 { properties.append(to: body) }
        for filter in filters { body.appendField(filter) }
        output.appendPacket(.unsubscribe, flags: 2, body)
    }
}

/// SUBACK. [MQTT5 §3.9]
package struct SubackPacket: Equatable, Sendable {
    package var packetIdentifier: UInt16
    package var reasons: [ReasonCode]
    package var properties: Properties

    package init(packetIdentifier: UInt16, reasons: [ReasonCode], properties: Properties = Properties()) {
        self.packetIdentifier = packetIdentifier
        self.reasons = reasons
        self.properties = properties
    }

    init(_ body: Bytes, version: ProtocolVersion) throws(ProtocolViolation) {
        var reader = FieldReader(body)
        self.init(packetIdentifier: try reader.packetIdentifier(), reasons: [])
        if version == .v5 { properties = try Properties.decode(&reader, set: .suback, from: .server) }
        while reader.remaining > 0 {
            let reason = ReasonCode(rawValue: try reader.byte())
            let isValid = version == .v5 ? reason.isValid(for: .suback) : [0, 1, 2, 0x80].contains(reason.rawValue)
            guard isValid else { throw .malformed("MQTT-3.9.3-2", "\(reason.rawValue) is no code of SUBACK.") }
            reasons.append(reason)
        }
        if reasons.isEmpty { throw .malformed("MQTT-3.9.3-1", "A SUBACK has no code.") }
    }

    package func encode(to output: OutputBuffer, version: ProtocolVersion) {
        let body = OutputBuffer()
        body.append(bigEndian: packetIdentifier)
        if version == .v5 { properties.append(to: body) }
        for reason in reasons { body.append(version != .v5 && reason.isError ? 0x80 : reason.rawValue) }
        output.appendPacket(.suback, body)
    }
}

/// UNSUBACK; before 5.0 without reasons. [MQTT5 §3.11]
package struct UnsubackPacket: Equatable, Sendable {
    package var packetIdentifier: UInt16
    package var reasons: [ReasonCode]
    package var properties: Properties

    package init(packetIdentifier: UInt16, reasons: [ReasonCode], properties: Properties = Properties()) {
        self.packetIdentifier = packetIdentifier
        self.reasons = reasons
        self.properties = properties
    }

    init(_ body: Bytes, version: ProtocolVersion) throws(ProtocolViolation) {
        var reader = FieldReader(body)
        self.init(packetIdentifier: try reader.packetIdentifier(), reasons: [])
        guard version == .v5 else {
            try reader.end()
            return
        }
        properties = try Properties.decode(&reader, set: .unsuback, from: .server)
        while reader.remaining > 0 {
            let reason = ReasonCode(rawValue: try reader.byte())
            guard reason.isValid(for: .unsuback) else {
                throw .malformed("MQTT-3.11.3-2", "\(reason.rawValue) is no code of UNSUBACK.")
            }
            reasons.append(reason)
        }
        if reasons.isEmpty { throw .malformed("MQTT-3.11.3-1", "An UNSUBACK has no code.") }
    }

    package func encode(to output: OutputBuffer, version: ProtocolVersion) {
        let body = OutputBuffer()
        body.append(bigEndian: packetIdentifier)
        if version == .v5 {
            properties.append(to: body)
            for reason in reasons { body.append(reason.rawValue) }
        }
        output.appendPacket(.unsuback, body)
    }
}
