internal import Buffers

// What outlives an evaluation, or comes from outside of it. [EMQX rule-sql: state]
extension FunctionTable {
    static let state: [FunctionEntry] = chance + store + dictionary + [environment]

    private static let chance: [FunctionEntry] = [
        FunctionEntry(
            "random", .state, [], returns: .float, pure: false, doc: "A random float of 0 and more, below 1.",
            examples: [.init("random() < 1", "true")],
            body: { _, context in .float(Double(context.random.next() >> 11) * 0x1p-53) }),
        FunctionEntry(
            "uuid_v4", .state, [], returns: .string, pure: false,
            doc: "A random UUID of version 4, lower case. [RFC 9562 §5.4]",
            examples: [.init("bytesize(uuid_v4())", "36")],
            body: { _, context throws(EvaluationError) in try uuid(context, hyphens: true) }),
        FunctionEntry(
            "uuid_v4_no_hyphen", .state, [], returns: .string, pure: false,
            doc: "As `uuid_v4`, without hyphens.", examples: [.init("bytesize(uuid_v4_no_hyphen())", "32")],
            body: { _, context throws(EvaluationError) in try uuid(context, hyphens: false) }),
    ]

    private static let store: [FunctionEntry] = [
        FunctionEntry(
            "kv_store_put", .state, [.init("key", .any), .init("value", .any)], returns: .boolean, pure: false,
            doc:
                "Keeps a value under a key of any type in the node's memory; true. Raises beyond 10,000 keys, 1 MiB for "
                + "a key or a value, and 64 MiB for all of them.",
            examples: [.init("kv_store_put('k', 'v')", "true")],
            body: { arguments, context throws(EvaluationError) in
                try context.store.put(try arguments[0].storable(), try arguments[1].storable())
                return .true
            }),
        FunctionEntry(
            "kv_store_get", .state, [.init("key", .any), .init("default", .any, optional: true)], returns: .any,
            pure: false, doc: "The value kept under exactly that key; if there is none, the default or undefined.",
            examples: [.init("kv_store_get('nosuch', 'gone')", "'gone'")],
            body: { arguments, context throws(EvaluationError) in
                guard let value = context.store.get(try arguments[0].storable()) else {
                    return arguments.count > 1 ? arguments[1] : .undefined
                }
                return try value.value(in: context.arena)
            }),
        FunctionEntry(
            "kv_store_del", .state, [.init("key", .any)], returns: .boolean, pure: false,
            doc: "Forgets what is kept under a key; true, also when there is nothing.",
            examples: [.init("kv_store_del('nosuch')", "true")],
            body: { arguments, context throws(EvaluationError) in
                context.store.remove(try arguments[0].storable())
                return .true
            }),
    ]

    private static let dictionary: [FunctionEntry] = [
        FunctionEntry(
            "proc_dict_put", .state, [.init("key", .any), .init("value", .any)], returns: .any, pure: false,
            doc:
                "Keeps a value for the connection whose event is evaluated; what was there before, or undefined. Raises "
                + "beyond 10,000 keys, 1 MiB for a key or a value, and 4 MiB for all of them.",
            examples: [.init("proc_dict_put('new', 1)", "null()")],
            body: { arguments, context throws(EvaluationError) in
                let key = try arguments[0].storable()
                let before = try context.processDictionary.put(key, try arguments[1].storable())
                return try stored(before, context)
            }),
        FunctionEntry(
            "proc_dict_get", .state, [.init("key", .any)], returns: .any, pure: false,
            doc: "The value kept for the connection under exactly that key, or undefined.",
            examples: [.init("proc_dict_get('nosuch')", "null()")],
            body: { arguments, context throws(EvaluationError) in
                try stored(context.processDictionary[try arguments[0].storable()], context)
            }),
        FunctionEntry(
            "proc_dict_del", .state, [.init("key", .any)], returns: .any, pure: false,
            doc: "Forgets a value kept for the connection; what was there before, or undefined.",
            examples: [.init("proc_dict_del('nosuch')", "null()")],
            body: { arguments, context throws(EvaluationError) in
                try stored(context.processDictionary.remove(try arguments[0].storable()), context)
            }),
    ]

    private static let environment = FunctionEntry(
        "getenv", .state, [.init("name", .string)], returns: .string, pure: false,
        doc: "The environment variable whose name is `EMQXVAR_` (or `SLUICEVAR_`) and `name`, as it was at the start; "
            + "empty text when it is not set. Other variables cannot be read.",
        examples: [.init("getenv('NOSUCH')", "''"), .init("getenv(1)", nil)],
        body: { arguments, context throws(EvaluationError) in
            let name = String(decoding: try arguments.text(0, of: "getenv"), as: UTF8.self)
            return try context.arena.string(context.environment[name] ?? "")
        })
}

extension FunctionTable {
    private static func stored(
        _ value: StoredValue?, _ context: EvaluationContext
    ) throws(EvaluationError) -> Value {
        guard let value else { return .undefined }
        return try value.value(in: context.arena)
    }

    private static func uuid(_ context: EvaluationContext, hyphens: Bool) throws(EvaluationError) -> Value {
        let high = context.random.next() & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
        let low = context.random.next() & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        let text = try context.arena.bytes(count: hyphens ? 36 : 32)
        var position = 0
        for digit in 0..<32 {
            if hyphens, digit == 8 || digit == 12 || digit == 16 || digit == 20 {
                text[position] = UInt8(ascii: "-")
                position += 1
            }
            let word = digit < 16 ? high : low
            let nibble = UInt8(truncatingIfNeeded: word >> UInt64(60 - 4 * (digit % 16))) & 15
            text[position] = nibble < 10 ? 0x30 + nibble : 0x57 + nibble
            position += 1
        }
        return .string(Bytes(text))
    }
}

extension Value {
    /// A copy to keep: what is kept must not grow from event to event.
    ///
    /// - Throws: ``EvaluationError/memoryLimit`` beyond 1 MiB, ``EvaluationError/depthLimit`` beyond the depth of JSON.
    fileprivate func storable() throws(EvaluationError) -> StoredValue {
        var room = 1024 * 1024
        try takeRoom(&room, depth: 0)
        return StoredValue(self)
    }

    private func takeRoom(_ room: inout Int, depth: Int) throws(EvaluationError) {
        guard depth <= JSON.maximumDepth else { throw .depthLimit }
        room -= MemoryLayout<StoredValue>.size + bytes.count + magnitude.count * MemoryLayout<UInt>.size
        guard room >= 0 else { throw .memoryLimit }
        for element in elements { try element.takeRoom(&room, depth: depth + 1) }
        for member in members {
            room -= member.key.count
            try member.value.takeRoom(&room, depth: depth + 1)
        }
    }
}
