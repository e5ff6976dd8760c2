package import Buffers

extension Template {
    /// Appends the text for a row.
    ///
    /// - Parameters:
    ///   - row: the object that the rule selected.
    ///   - escaping: what values go through; literal text does not, but in header and request target.
    /// - Throws: ``EvaluationError/badArgument(function:reason:)`` for a missing value when that is not allowed and for
    ///   a bit string; the bounds of memory and depth.
    package func render(
        row: Value, into output: OutputBuffer, context: TemplateContext, escaping: TemplateEscaping = .none
    ) throws(EvaluationError) {
        var rendering = Rendering(template: self, row: row, context: context)
        try rendering.run(output, escaping)
    }

    /// The text for a row, in the context's arena; a single placeholder whose value is a string without a copy.
    package func bytes(
        row: Value, context: TemplateContext, escaping: TemplateEscaping = .none
    ) throws(EvaluationError) -> Bytes {
        if isSingleValue, escaping == .none {
            let value = try self.value(row: row, context: context)
            if value.isText { return value.bytes }
        }
        let output = context.scratch
        output.removeAll()
        try render(row: row, into: output, context: context, escaping: escaping)
        return try context.arena.string(copying: output.bytes).bytes
    }

    /// The value of a template that is a single placeholder, with its type; undefined for any other template.
    package func value(row: Value, context: TemplateContext) throws(EvaluationError) -> Value {
        guard isSingleValue else { return .undefined }
        var rendering = Rendering(template: self, row: row, context: context)
        return try rendering.single()
    }
}

/// One rendering: the text columns that were scanned for placeholders so far.
private struct Rendering {
    let template: Template
    let row: Value
    let context: TemplateContext
    private var slots = UnsafeMutableBufferPointer<JSONSlot>(start: nil, count: 0)
    /// One bit for each group: its column was scanned. Groups beyond 64 are read step by step.
    private var scanned: UInt64 = 0

    init(template: Template, row: Value, context: TemplateContext) {
        self.template = template
        self.row = row
        self.context = context
    }

    mutating func run(_ output: OutputBuffer, _ escaping: TemplateEscaping) throws(EvaluationError) {
        let end = output.count + EvaluationLimits.outputBytes
        for part in template.parts {
            let mark = output.count
            guard mark <= end else { throw .memoryLimit }
            if part.kind == .literal {
                append(part.start, part.count, to: output)
                guard escaping.coversLiterals else { continue }
            } else {
                try append(part, to: output)
                // A pattern is the author's: its slashes are directories.
                if part.kind == .date, escaping == .fileName { continue }
                // What is percent-encoded already is one part of a URL.
                if part.filter == .url, escaping == .percent || escaping == .requestTarget { continue }
            }
            try escaping.apply(to: output, from: mark, in: context.arena)
        }
        guard output.count <= end else { throw .memoryLimit }
    }

    mutating func single() throws(EvaluationError) -> Value {
        let part = template.parts[0]
        if part.kind == .row { return row }
        let value = try self.value(part)
        guard value.isUndefined || value.kind == .null, part.defaultStart >= 0 else { return value }
        return try template.pool.withUnsafeBufferPointer { (pool) throws(EvaluationError) in
            let text = Bytes(
                UnsafeBufferPointer(rebasing: pool[part.defaultStart..<part.defaultStart + part.defaultCount]))
            return try context.arena.string(copying: text)
        }
    }

    private mutating func append(_ part: Template.Part, to output: OutputBuffer) throws(EvaluationError) {
        switch part.kind {
        case .literal: append(part.start, part.count, to: output)
        case .date:
            template.dates[part.start].append(
                milliseconds: context.eventMilliseconds, offset: context.utcOffset, to: output)
        case .row: try filtered(try context.encoded(row: row), part.filter, to: output)
        case .value, .ruleID, .attempt, .deliveryID:
            let value = try self.value(part)
            if part.defaultStart >= 0, value.isUndefined || value.kind == .null {
                let mark = output.count
                append(part.defaultStart, part.defaultCount, to: output)
                return try encodeTail(part.filter, from: mark, output)
            }
            if value.isUndefined, try appendMissing(part, to: output) { return }
            let isJSON = part.filter == .json && context.payloadEncoding != .utf8 && template.isPayload(part)
            try filtered(isJSON ? try context.encoded(payload: value) : value, part.filter, to: output)
        }
    }

    private func append(_ start: Int, _ count: Int, to output: OutputBuffer) {
        template.pool.withUnsafeBytes { output.append(Bytes(rebasing: $0[start..<start + count])) }
    }

    /// - Returns: whether it is written; false where an undefined value is written as such.
    private func appendMissing(_ part: Template.Part, to output: OutputBuffer) throws(EvaluationError) -> Bool {
        switch template.missing {
        case .compat: return false
        case .strict:
            let keys = (part.start..<part.start + part.count).map { template.key($0) }
            throw .badArgument(function: "template", reason: "${\(keys.joined(separator: "."))} has no value")
        case .empty:
            if part.filter == .json { output.append("\"\"") }
            return true
        case .null:
            output.append("null")
            return true
        }
    }
}

// Values on their way out.
extension Rendering {
    private func filtered(_ value: Value, _ filter: Template.Filter, to output: OutputBuffer) throws(EvaluationError) {
        let mark = output.count
        if filter == .json || value.kind == .object {
            try JSON.append(value, to: output, undefinedAs: template.missing == .null ? .null : context.undefinedAs)
            if filter == .json { return }
        } else {
            try value.appendText(to: output, charlists: .unicode)
        }
        try encodeTail(filter, from: mark, output)
    }

    private func encodeTail(_ filter: Template.Filter, from mark: Int, _ output: OutputBuffer) throws(EvaluationError) {
        guard filter != .text else { return }
        let text = try context.arena.string(copying: Bytes(rebasing: output.bytes[mark...])).bytes
        output.truncate(to: mark)
        switch filter {
        case .text: output.append(text)
        case .json: JSON.appendString(text, to: output)
        case .url: ByteEncodings.appendPercentEncoded(text, to: output, keeping: ByteEncodings.isUnreserved)
        case .base64: ByteEncodings.appendBase64(text, to: output)
        case .hex: ByteEncodings.appendHex(text, to: output)
        }
    }
}

// Values on their way in.
extension Rendering {
    private mutating func value(_ part: Template.Part) throws(EvaluationError) -> Value {
        let value = try columnValue(part)
        guard value.isUndefined else { return value }
        switch part.kind {
        case .ruleID: return try context.arena.string(context.ruleID)
        case .attempt: return .integer(context.attempt)
        case .deliveryID: return try context.arena.string(context.deliveryID)
        default: return value
        }
    }

    /// Along the path: members of objects; JSON text is decoded once, text inside it is not decoded again.
    private mutating func columnValue(_ part: Template.Part) throws(EvaluationError) -> Value {
        let first = member(of: row, part.start)
        if part.count == 1 { return first }
        if first.kind == .string, part.group >= 0, part.group < 64 { return try slotValue(part, text: first.bytes) }
        var value = first
        var decoded = false
        for step in part.start + 1..<part.start + part.count {
            if value.kind == .string, !decoded {
                value = try JSON.decodeIfValid(value.bytes, in: context.arena)
                decoded = true
            }
            guard value.kind == .object else { return .undefined }
            value = member(of: value, step)
        }
        return value
    }

    private func member(of object: Value, _ step: Int) -> Value {
        template.pool.withUnsafeBytes { pool in
            let step = template.steps[step]
            return object.member(Bytes(rebasing: pool[step.start..<step.start + step.count]))
        }
    }

    private mutating func slotValue(_ part: Template.Part, text: Bytes) throws(EvaluationError) -> Value {
        let bit: UInt64 = 1 << UInt64(part.group)
        if scanned & bit == 0 {
            scanned |= bit
            if slots.count == 0 {
                slots = try context.arena.allocate(JSONSlot.self, count: template.slotCount)
            }
            let group = template.groups[part.group]
            let target = UnsafeMutableBufferPointer(
                rebasing: slots[group.firstSlot..<group.firstSlot + group.paths.slotCount])
            do {
                try group.paths.read(text, into: target, in: context.arena)
            } catch .decodeJSON {
                for slot in target.indices { target[slot] = JSONSlot() }
            }
        }
        return try slots[part.slot].value(in: context.arena)
    }
}
