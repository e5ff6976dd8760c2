package import Buffers
import Topics

/// The arguments of a republish action as a rule file writes them. [EMQX rule-sql: republish]
package struct RepublishArguments: Sendable {
    /// A literal, or text with placeholders.
    package enum Argument: Sendable {
        case integer(Int)
        case boolean(Bool)
        case template(String)
    }

    package var topic: String
    package var payload = "${payload}"
    package var qos = Argument.template("${qos}")
    package var retain = Argument.template("${retain}")
    package var directDispatch = Argument.boolean(false)
    package var userProperties = "${user_properties}"
    /// By their MQTT names; those that a republished message cannot have are left out.
    package var mqttProperties: [(name: String, value: String)] = []
    /// The sender of the new message; nil for the rule's id.
    package var from: String?
    package var extensions = false
    package var missing = MissingPolicy.compat

    package init(topic: String) { self.topic = topic }
}

/// What an action needs of the event besides the row.
package struct RepublishEvent {
    /// The column `flags`.
    package var flags = Value.undefined
    /// The column `pub_props`.
    package var publishProperties = Value.undefined
    /// The rule that published the message, when a rule did.
    package var republishedBy: String?

    package init() {}
}

/// A message to publish. Its bytes lie in the context's arena and in the row: valid until the arena's next reset.
package struct RepublishedMessage {
    package var topic: Bytes
    package var payload: Bytes
    /// 0, 1 or 2.
    package var qos: UInt8
    package var retain: Bool
    /// Inherited from the event.
    package var isDuplicate: Bool
    /// Goes to subscribers alone: past rules and the retained messages.
    package var directDispatch: Bool
    package var from: Bytes
    /// In order; a name may occur more than once.
    package var userProperties: UnsafeBufferPointer<(name: Bytes, value: Bytes)>
    package var payloadFormatIndicator: UInt8?
    /// Seconds.
    package var messageExpiryInterval: UInt32?
    package var contentType: Bytes?
    package var responseTopic: Bytes?
    package var correlationData: Bytes?
}

/// The republish action of one rule, compiled once.
package struct RepublishAction: Sendable {
    private enum Scalar: Sendable {
        case integer(Int)
        case boolean(Bool)
        case template(Template)
    }

    private enum UserProperties: Sendable {
        /// Those of the event, selected or not.
        case ofEvent
        case template(Template)
    }

    private let ruleID: String
    private let topic: Template
    private let payload: Template
    private let qos: Scalar
    private let retain: Scalar
    private let directDispatch: Scalar
    private let userProperties: UserProperties
    private let properties: [(property: Property, value: Template)]
    private let from: Template?
    /// Those of all arguments; the spans are those in their own text.
    package let placeholders: [Template.Placeholder]
    /// The topic when it is the same for all rows, for the check of loops.
    package let constantTopic: [UInt8]?

    /// The properties that the action can set.
    private enum Property: String {
        case payloadFormatIndicator = "Payload-Format-Indicator"
        case messageExpiryInterval = "Message-Expiry-Interval"
        case contentType = "Content-Type"
        case responseTopic = "Response-Topic"
        case correlationData = "Correlation-Data"
    }

    package init(_ arguments: RepublishArguments, ruleID: String) {
        var all: [Template.Placeholder] = []
        func compile(_ text: String, _ mode: Template.Mode = .string) -> Template {
            let template = Template.compile(
                text, mode: mode, extensions: arguments.extensions, missing: arguments.missing)
            all += template.placeholders
            return template
        }
        // What has a default of its own may lack its column, whatever the policy.
        func scalar(_ argument: RepublishArguments.Argument) -> Scalar {
            switch argument {
            case .integer(let value): .integer(value)
            case .boolean(let value): .boolean(value)
            case .template(let text): .template(Template.compile(text, extensions: arguments.extensions))
            }
        }
        self.ruleID = ruleID
        topic = compile(arguments.topic)
        payload = compile(arguments.payload, .payload)
        qos = scalar(arguments.qos)
        retain = scalar(arguments.retain)
        directDispatch = scalar(arguments.directDispatch)
        let copied = ["${pub_props.'User-Property'}", "${.pub_props.'User-Property'}"]
        userProperties =
            copied.contains(arguments.userProperties)
            ? .ofEvent : .template(Template.compile(arguments.userProperties, extensions: arguments.extensions))
        properties = arguments.mqttProperties.compactMap { name, value in
            Property(rawValue: name).map { ($0, Template.compile(value, extensions: arguments.extensions)) }
        }
        for (_, value) in properties { all += value.placeholders }
        from = arguments.from.map { compile($0) }
        placeholders = all
        constantTopic = topic.constant
    }
}

extension RepublishAction {
    /// The message for a row.
    ///
    /// - Returns: nil when this same rule published the event's message: republishing it again would never end. That is
    ///   to be logged, and counts as a success.
    /// - Throws: ``EvaluationError/badArgument(function:reason:)`` when the topic, QoS or a flag is none.
    package func message(
        row: Value, event: RepublishEvent, context: TemplateContext
    ) throws(EvaluationError) -> RepublishedMessage? {
        if let other = event.republishedBy, other == ruleID { return nil }
        let topic = try self.topic.bytes(row: row, context: context)
        guard TopicSyntax.isName(topic) else {
            throw .badArgument(function: "republish", reason: "the rendered topic is no topic name")
        }
        var message = RepublishedMessage(
            topic: topic,
            payload: try payload.bytes(row: row, context: context),
            qos: try qualityOfService(row, context),
            retain: try flag(retain, "retain", row, context),
            isDuplicate: event.flags.member(Value.string("dup").bytes).isTrue,
            directDispatch: try flag(directDispatch, "direct_dispatch", row, context),
            from: try sender(row, context),
            userProperties: try userProperties(row, event, context))
        for (property, value) in properties { try set(property, value, row, context, &message) }
        return message
    }

    private func sender(_ row: Value, _ context: TemplateContext) throws(EvaluationError) -> Bytes {
        if let from { return try from.bytes(row: row, context: context) }
        return try context.arena.string(ruleID).bytes
    }

    private func value(_ scalar: Scalar, _ row: Value, _ context: TemplateContext) throws(EvaluationError) -> Value {
        switch scalar {
        case .integer(let value): return .integer(value)
        case .boolean(let value): return .boolean(value)
        case .template(let template):
            if template.isSingleValue { return try template.value(row: row, context: context) }
            return .string(try template.bytes(row: row, context: context))
        }
    }

    private func qualityOfService(_ row: Value, _ context: TemplateContext) throws(EvaluationError) -> UInt8 {
        let value = try self.value(qos, row, context)
        let number = value.kind == .string ? NumberText.integer(value.bytes) : value.kind == .integer ? value.integer : nil
        if value.isUndefined { return 0 }
        guard let number, number >= 0, number <= 2 else {
            throw .badArgument(function: "republish", reason: "the rendered qos is not 0, 1 or 2")
        }
        return UInt8(number)
    }

    private func flag(
        _ scalar: Scalar, _ name: String, _ row: Value, _ context: TemplateContext
    ) throws(EvaluationError) -> Bool {
        let value = try self.value(scalar, row, context)
        switch value.kind {
        case .undefined: return false
        case .boolean: return value.isTrue
        case .integer where value.integer == 0 || value.integer == 1: return value.integer == 1
        case .string where compareBytes(value.bytes, Value.string("true").bytes) == 0: return true
        case .string where compareBytes(value.bytes, Value.string("false").bytes) == 0: return false
        default: throw .badArgument(function: "republish", reason: "the rendered \(name) is neither true nor false")
        }
    }
}

// Properties.
extension RepublishAction {
    private typealias Pair = (name: Bytes, value: Bytes)

    /// Differs from EMQX: those of the event keep names that occur more than once.
    private func userProperties(
        _ row: Value, _ event: RepublishEvent, _ context: TemplateContext
    ) throws(EvaluationError) -> UnsafeBufferPointer<Pair> {
        switch userProperties {
        case .ofEvent:
            let pairs = event.publishProperties.member(Value.string("User-Property-Pairs").bytes)
            if pairs.kind == .array { return try self.pairs(pairs, context) }
            return try members(event.publishProperties.member(Value.string("User-Property").bytes), context)
        case .template(let template):
            return try members(try template.value(row: row, context: context), context)
        }
    }

    private func members(_ object: Value, _ context: TemplateContext) throws(EvaluationError) -> UnsafeBufferPointer<Pair> {
        let members = object.members
        let pairs = try storage(members.count, context)
        for index in 0..<members.count {
            pairs[index] = (members[index].key, try members[index].value.text(in: context.arena, charlists: .unicode).bytes)
        }
        return UnsafeBufferPointer(pairs)
    }

    private func pairs(_ array: Value, _ context: TemplateContext) throws(EvaluationError) -> UnsafeBufferPointer<Pair> {
        let elements = array.elements
        let pairs = try storage(elements.count, context)
        for index in 0..<elements.count {
            let key = try elements[index].member(Value.string("key").bytes).text(in: context.arena, charlists: .unicode)
            let value = try elements[index].member(Value.string("value").bytes).text(in: context.arena, charlists: .unicode)
            pairs[index] = (key.bytes, value.bytes)
        }
        return UnsafeBufferPointer(pairs)
    }

    private func storage(
        _ count: Int, _ context: TemplateContext
    ) throws(EvaluationError) -> UnsafeMutableBufferPointer<Pair> {
        let memory = try context.arena.allocate(byteCount: count * MemoryLayout<Pair>.stride, alignment: MemoryLayout<Pair>.alignment)
        return UnsafeMutableBufferPointer(start: memory.bindMemory(to: Pair.self, capacity: count), count: count)
    }

    /// A number that is none, or too large, and text without a value leave the property out.
    private func set(
        _ property: Property, _ template: Template, _ row: Value, _ context: TemplateContext,
        _ message: inout RepublishedMessage
    ) throws(EvaluationError) {
        let text = try template.bytes(row: row, context: context)
        switch property {
        case .payloadFormatIndicator:
            if let number = NumberText.integer(text), number == 0 || number == 1 { message.payloadFormatIndicator = UInt8(number) }
        case .messageExpiryInterval:
            message.messageExpiryInterval = NumberText.integer(text).flatMap { UInt32(exactly: $0) }
        case .contentType: message.contentType = text
        case .responseTopic: message.responseTopic = text
        case .correlationData: message.correlationData = text
        }
    }
}
