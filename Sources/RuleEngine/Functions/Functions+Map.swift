internal import Buffers

// Objects; JSON text of an object is taken for the object. [EMQX rule-sql: map]
extension FunctionTable {
    static let map: [FunctionEntry] = [mapNew] + pathAccess + keyAccess + iteration

    private static let mapNew = FunctionEntry(
        "map_new", .map, [], returns: .object, doc: "An object without members.",
        examples: [.init("map_size(map_new())", "0")], body: { _, _ in .emptyObject })

    private static let pathAccess: [FunctionEntry] = [
        FunctionEntry(
            "map_get", .map, [.init("path", .string), .init("map", .any), .init("default", .any, optional: true)],
            returns: .any,
            doc: "What the path of keys with dots between leads to; if it leads nowhere, the default or undefined.",
            examples: [
                .init(#"map_get('a.b', '{"a":{"b":1}}')"#, "1"), .init("map_get('z', map_new(), 9)", "9"),
                .init("map_get('a', 'no JSON')", "null()"),
            ],
            body: { arguments, context throws(EvaluationError) in
                let fallback = arguments.count > 2 ? arguments[2] : .undefined
                // An array is no path; other types are not either, and raise.
                if arguments[0].kind == .array { return fallback }
                let path = try arguments.text(0, of: "map_get")
                var value = arguments[1]
                var start = 0
                while start <= path.count, !value.isUndefined {
                    value = try value.step(key: nextKey(of: path, &start), in: context.arena)
                }
                return value.isUndefined ? fallback : value
            }),
        FunctionEntry(
            "map_put", .map, [.init("path", .string), .init("value", .any), .init("map", .any)], returns: .object,
            doc: "The object with the value put where the path of keys with dots between leads; what is no object on "
                + "the way becomes one. Differs from EMQX: an object given as JSON text keeps its other members.",
            examples: [
                .init("map_get('b.c', map_put('b.c', 2, map_new()))", "2"),
                .init(#"mget('b', map_put('a', 1, '{"b":2}'))"#, "2"),
            ],
            body: { arguments, context throws(EvaluationError) in
                let path = try arguments.text(0, of: "map_put")
                var target = arguments[2]
                if target.isText { target = try JSON.decodeIfValid(target.bytes, in: context.arena) }
                return try put(arguments[1], at: path, from: 0, depth: 0, into: target, context.arena)
            }),
    ]

    private static let keyAccess: [FunctionEntry] = [
        FunctionEntry(
            "mget", .map, [.init("key", .string), .init("map", .object), .init("default", .any, optional: true)],
            returns: .any,
            doc: "The member of exactly that key, dots included; if there is none, the default or undefined.",
            examples: [.init(#"mget('a.b', '{"a.b":7}')"#, "7"), .init("mget('a', 'no JSON')", nil)],
            body: { arguments, context throws(EvaluationError) in
                let object = try arguments.object(1, of: "mget", in: context.arena)
                // A key that is no text is the key of no member.
                let value = arguments[0].isText ? object.member(arguments[0].bytes) : .undefined
                return value.isUndefined && arguments.count > 2 ? arguments[2] : value
            }),
        FunctionEntry(
            "mput", .map, [.init("key", .string), .init("value", .any), .init("map", .object)], returns: .object,
            doc: "The object with the member of exactly that key set, dots included.",
            examples: [.init("mget('a.b', mput('a.b', 1, map_new()))", "1"), .init("mput('a', 1, nosuch)", nil)],
            body: { arguments, context throws(EvaluationError) in
                let object = try arguments.object(2, of: "mput", in: context.arena)
                return try object.setting(try arguments.text(0, of: "mput"), to: arguments[1], in: context.arena)
            }),
    ]

    private static let iteration: [FunctionEntry] = [
        each("map_keys", "The keys in ascending order.", (#"map_keys('{"b":1,"a":2}')"#, "['a', 'b']")) { member, _ in
            .string(member.key)
        },
        each(
            "map_values", "The values in ascending order of their keys.",
            (#"map_values('{"b":1,"a":2}')"#, "[2, 1]")
        ) { member, _ in member.value },
        each(
            "map_to_entries", "The members as objects of `key` and `value`, in ascending order of the keys.",
            (#"map_get('key', nth(1, map_to_entries('{"b":1,"a":2}')))"#, "'a'")
        ) { member, arena throws(EvaluationError) in
            let entry = try arena.allocate(Member.self, count: 2)
            entry[0] = Member(key: Value.string("key").bytes, value: .string(member.key))
            entry[1] = Member(key: Value.string("value").bytes, value: member.value)
            return .object(UnsafeBufferPointer(entry))
        },
        FunctionEntry(
            "map_size", .map, [.init("map", .object)], returns: .integer, doc: "The number of members.",
            examples: [.init(#"map_size('{"b":1,"a":2}')"#, "2"), .init("map_size(1)", nil)],
            body: { arguments, context throws(EvaluationError) in
                .integer(try arguments.object(0, of: "map_size", in: context.arena).members.count)
            }),
    ]
}

extension FunctionTable {
    /// An array with what is made of each member.
    private static func each(
        _ name: String, _ doc: String, _ example: (String, String),
        _ element: @escaping @Sendable (Member, Arena) throws(EvaluationError) -> Value
    ) -> FunctionEntry {
        FunctionEntry(
            name, .map, [.init("map", .object)], returns: .array, doc: doc,
            examples: [.init(example.0, example.1), .init("\(name)(1)", nil)],
            body: { arguments, context throws(EvaluationError) in
                let members = try arguments.object(0, of: name, in: context.arena).members
                let elements = try context.arena.allocate(Value.self, count: members.count)
                for index in 0..<members.count { elements[index] = try element(members[index], context.arena) }
                return .array(UnsafeBufferPointer(elements))
            })
    }

    /// The key that begins at `start`, up to the next dot; moves `start` behind the dot, or beyond the path's count.
    static func nextKey(of path: Bytes, _ start: inout Int) -> Bytes {
        var end = start
        while end < path.count, path[end] != UInt8(ascii: ".") { end += 1 }
        defer { start = end + 1 }
        return Bytes(rebasing: path[start..<end])
    }

    /// - Throws: ``EvaluationError/depthLimit`` for a path of more keys than JSON text may be deep.
    private static func put(
        _ value: Value, at path: Bytes, from start: Int, depth: Int, into target: Value, _ arena: Arena
    ) throws(EvaluationError) -> Value {
        guard start <= path.count else { return value }
        guard depth < JSON.maximumDepth else { throw .depthLimit }
        var next = start
        let key = nextKey(of: path, &next)
        let child = try put(value, at: path, from: next, depth: depth + 1, into: target.member(key), arena)
        return try target.setting(key, to: child, in: arena)
    }
}
