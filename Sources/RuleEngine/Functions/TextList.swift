internal import Buffers

/// Text of many values.
enum TextList {
    static func concat(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        let values = arguments.count > 1 ? arguments : try arguments.array(0, of: "concat")
        return try join(values, Bytes(start: nil, count: 0), context.arena)
    }

    static func join(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        guard arguments.count > 1 else {
            return try join(try arguments.array(0, of: "join_to_string"), Value.string(", ").bytes, context.arena)
        }
        let separator = try arguments.text(0, of: "join_to_string")
        return try join(try arguments.array(1, of: "join_to_string"), separator, context.arena)
    }

    private static func join(
        _ values: UnsafeBufferPointer<Value>, _ separator: Bytes, _ arena: Arena
    ) throws(EvaluationError) -> Value {
        let scratch = arena.scratch
        scratch.removeAll()
        for (index, value) in values.enumerated() {
            if index > 0 { scratch.append(separator) }
            try value.appendText(to: scratch)
            guard scratch.count <= arena.limit else { throw .memoryLimit }
        }
        return try arena.string(copying: scratch.bytes)
    }

    static func sqlValues(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        let scratch = context.arena.scratch
        scratch.removeAll()
        for (index, value) in try arguments.array(0, of: "join_to_sql_values_string").enumerated() {
            if index > 0 { scratch.append(", ") }
            try appendSQL(value, to: scratch)
            guard scratch.count <= context.arena.limit else { throw .memoryLimit }
        }
        return try context.arena.string(copying: scratch.bytes)
    }

    private static func appendSQL(_ value: Value, to output: OutputBuffer) throws(EvaluationError) {
        switch value.kind {
        case .undefined: output.append("NULL")
        case .integer, .bigInteger, .float: try value.appendText(to: output)
        case .string, .atom: appendQuoted(value.bytes, to: output)
        case .array, .object:
            let text = OutputBuffer()
            try JSON.append(value, to: text)
            appendQuoted(text.bytes, to: output)
        case .null, .boolean, .bitString:
            output.append(UInt8(ascii: "'"))
            try value.appendText(to: output)
            output.append(UInt8(ascii: "'"))
        }
    }

    private static func appendQuoted(_ text: Bytes, to output: OutputBuffer) {
        output.append(UInt8(ascii: "'"))
        for byte in text {
            if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\\") { output.append(UInt8(ascii: "\\")) }
            output.append(byte)
        }
        output.append(UInt8(ascii: "'"))
    }

    /// Members whose values are no scalars are left out, and what is no object has no members.
    static func hashArguments(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        var object = arguments[0]
        if object.isText { object = try JSON.decodeIfValid(object.bytes, in: context.arena) }
        let room = try context.arena.allocate(Value.self, count: object.members.count * 2 + 1)
        room[0] = .string("map_to_redis_hset_args")
        var used = 1
        for member in object.members {
            switch member.value.kind {
            case .string, .atom, .boolean, .integer, .bigInteger, .float:
                room[used] = .string(member.key)
                room[used + 1] = try member.value.text(in: context.arena)
                used += 2
            case .undefined, .null, .bitString, .array, .object: continue
            }
        }
        return .array(UnsafeBufferPointer(rebasing: room[0..<used]))
    }
}
