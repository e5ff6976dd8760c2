package import Buffers

/// A tree of what a JSON body is made of, as a rule file writes it.
package indirect enum JSONTemplateNode: Sendable {
    /// A value as it is.
    case literal(StoredValue)
    /// Text with placeholders. One that is a single placeholder keeps the value's type.
    case template(String)
    case array([JSONTemplateNode])
    /// Members in the order in which they are written; the keys are templates as well.
    case object([(key: String, value: JSONTemplateNode)])
}

/// A JSON body with placeholders, compiled once. What it renders is always JSON: whatever a value holds is escaped.
package struct TypedJSONTemplate: Sendable {
    private enum Part: Sendable {
        case literal([UInt8])
        /// A value with its type.
        case value(Template)
        /// A string.
        case text(Template)
    }

    private var parts: [Part] = []
    private let extensions: Bool
    private let missing: MissingPolicy
    /// Those of all templates in it; the spans are those in their own text.
    package private(set) var placeholders: [Template.Placeholder] = []

    /// - Throws: what a literal raises that JSON has no form for.
    package static func compile(
        _ node: JSONTemplateNode, extensions: Bool = false, missing: MissingPolicy = .compat
    ) throws(EvaluationError) -> TypedJSONTemplate {
        var template = TypedJSONTemplate(extensions, missing)
        try template.add(node)
        return template
    }

    private init(_ extensions: Bool, _ missing: MissingPolicy) {
        self.extensions = extensions
        self.missing = missing
    }

    /// Appends the JSON for a row.
    ///
    /// A single placeholder without a value is the string `"undefined"`, an empty string or null by the policy.
    package func render(row: Value, into output: OutputBuffer, context: TemplateContext) throws(EvaluationError) {
        for part in parts {
            switch part {
            case .literal(let bytes): output.append(bytes)
            case .value(let template): try append(template, row, output, context)
            case .text(let template):
                output.append(UInt8(ascii: "\""))
                try template.render(row: row, into: output, context: context, escaping: .jsonString)
                output.append(UInt8(ascii: "\""))
            }
        }
    }

    private func append(
        _ template: Template, _ row: Value, _ output: OutputBuffer, _ context: TemplateContext
    ) throws(EvaluationError) {
        let value = try typedValue(template, row, context)
        guard value.isUndefined, missing != .compat else {
            return try JSON.append(value, to: output, undefinedAs: context.undefinedAs)
        }
        switch missing {
        case .null: output.append("null")
        case .empty: output.append("\"\"")
        case .compat, .strict: try template.render(row: row, into: output, context: context)
        }
    }

    private func typedValue(
        _ template: Template, _ row: Value, _ context: TemplateContext
    ) throws(EvaluationError) -> Value {
        let value = try template.value(row: row, context: context)
        guard context.payloadEncoding != .utf8, let part = template.parts.first else { return value }
        if part.kind == .row { return try context.encoded(row: value) }
        return template.isPayload(part) ? try context.encoded(payload: value) : value
    }

    private mutating func add(_ node: JSONTemplateNode) throws(EvaluationError) {
        switch node {
        case .literal(let stored):
            let output = OutputBuffer()
            let arena = Arena(chunkSize: 1024)
            let value = try stored.value(in: arena)
            // The value lies in the arena.
            defer { withExtendedLifetime(arena) {} }
            try JSON.append(value, to: output)
            add(Array(output.bytes))
        case .template(let text): add(template: text, keepsType: true)
        case .array(let elements):
            add([UInt8(ascii: "[")])
            for (index, element) in elements.enumerated() {
                if index > 0 { add([UInt8(ascii: ",")]) }
                try add(element)
            }
            add([UInt8(ascii: "]")])
        case .object(let members):
            add([UInt8(ascii: "{")])
            for (index, member) in members.enumerated() {
                if index > 0 { add([UInt8(ascii: ",")]) }
                add(template: member.key, keepsType: false)
                add([UInt8(ascii: ":")])
                try add(member.value)
            }
            add([UInt8(ascii: "}")])
        }
    }

    private mutating func add(template text: String, keepsType: Bool) {
        let template = Template.compile(text, extensions: extensions, missing: missing)
        placeholders += template.placeholders
        if let constant = template.constant {
            let output = OutputBuffer()
            constant.withUnsafeBytes { JSON.appendString($0, to: output) }
            add(Array(output.bytes))
        } else if keepsType, template.isSingleValue {
            parts.append(.value(template))
        } else {
            parts.append(.text(template))
        }
    }

    private mutating func add(_ bytes: [UInt8]) {
        if case .literal(let before) = parts.last {
            parts[parts.count - 1] = .literal(before + bytes)
        } else {
            parts.append(.literal(bytes))
        }
    }
}
