import Buffers
import Synchronization

/// A value that owns its memory: for what outlives an evaluation. Made by copying out of the arena, read by copying in.
package indirect enum StoredValue: Hashable, Sendable {
    case undefined
    case null
    case boolean(Bool)
    case integer(Int)
    case bigInteger(negative: Bool, magnitude: [UInt])
    /// By bit pattern, so that equality is exact.
    case float(UInt64)
    case string([UInt8])
    case atom([UInt8])
    case bitString([UInt8], count: Int)
    case array([StoredValue])
    /// In ascending byte order of the keys.
    case object([StoredMember])
}

package struct StoredMember: Hashable, Sendable {
    package var key: [UInt8]
    package var value: StoredValue

    package init(key: [UInt8], value: StoredValue) {
        self.key = key
        self.value = value
    }
}

extension StoredValue {
    package init(_ value: Value) {
        switch value.kind {
        case .undefined: self = .undefined
        case .null: self = .null
        case .boolean: self = .boolean(value.boolean)
        case .integer: self = .integer(value.integer)
        case .bigInteger: self = .bigInteger(negative: value.flag == 1, magnitude: Array(value.magnitude))
        case .float: self = .float(value.float.bitPattern)
        case .string: self = .string(Array(value.bytes))
        case .atom: self = .atom(Array(value.bytes))
        case .bitString: self = .bitString(Array(value.bytes), count: Int(value.count))
        case .array: self = .array(value.elements.map(StoredValue.init))
        case .object:
            self = .object(value.members.map { StoredMember(key: Array($0.key), value: StoredValue($0.value)) })
        }
    }

    /// A copy in the arena.
    package func value(in arena: Arena) throws(EvaluationError) -> Value {
        switch self {
        case .undefined: return .undefined
        case .null: return .null
        case .boolean(let value): return .boolean(value)
        case .integer(let value): return .integer(value)
        case .bigInteger(let negative, let magnitude):
            let words = try arena.allocate(UInt.self, count: magnitude.count)
            _ = words.initialize(from: magnitude)
            return Value(
                kind: .bigInteger, bits: Value.address(UnsafeRawPointer(words.baseAddress)),
                count: UInt32(magnitude.count), flag: negative ? 1 : 0)
        case .float(let bits): return Value(kind: .float, bits: bits)
        case .string(let bytes): return .string(try copy(bytes, arena))
        case .atom(let bytes): return .atom(try copy(bytes, arena))
        case .bitString(let bytes, let count): return .bitString(try copy(bytes, arena), count: count)
        case .array(let elements):
            let copies = try arena.allocate(Value.self, count: elements.count)
            for (index, element) in elements.enumerated() { copies[index] = try element.value(in: arena) }
            return .array(UnsafeBufferPointer(copies))
        case .object(let members):
            let copies = try arena.allocate(Member.self, count: members.count)
            for (index, member) in members.enumerated() {
                copies[index] = Member(key: try copy(member.key, arena), value: try member.value.value(in: arena))
            }
            return .object(UnsafeBufferPointer(copies))
        }
    }

    private func copy(_ bytes: [UInt8], _ arena: Arena) throws(EvaluationError) -> Bytes {
        // Not of the evaluation's making, so that the bound of its texts does not count.
        let start = try arena.allocate(byteCount: bytes.count, alignment: 1)
        let copy = UnsafeMutableRawBufferPointer(start: start, count: bytes.count)
        copy.copyBytes(from: bytes)
        return Bytes(copy)
    }
}

extension StoredValue {
    /// What the value takes in memory, in bytes, roughly: contents, not what a heap adds.
    package var byteCount: Int {
        let own = MemoryLayout<StoredValue>.size
        switch self {
        case .undefined, .null, .boolean, .integer, .float: return own
        case .bigInteger(_, let magnitude): return own + magnitude.count * MemoryLayout<UInt>.size
        case .string(let bytes), .atom(let bytes), .bitString(let bytes, _): return own + bytes.count
        case .array(let elements): return elements.reduce(own) { $0 + $1.byteCount }
        case .object(let members): return members.reduce(own) { $0 + $1.key.count + $1.value.byteCount }
        }
    }
}

/// A table of stored values, bounded in entries and in bytes.
package struct StoredDictionary: Sendable {
    private struct Entry {
        var value: StoredValue
        /// Of key and value.
        var byteCount: Int
    }

    /// The most entries.
    package static let limit = 10_000
    /// The most bytes of all keys and values together.
    package let byteLimit: Int
    package private(set) var byteCount = 0
    private var entries: [StoredValue: Entry] = [:]

    package init(byteLimit: Int) { self.byteLimit = byteLimit }

    package subscript(key: StoredValue) -> StoredValue? { entries[key]?.value }

    /// - Returns: the previous value, if there was one.
    /// - Throws: ``EvaluationError/storeFull(_:)`` when there is no room; what was there before stays.
    package mutating func put(_ key: StoredValue, _ value: StoredValue) throws(EvaluationError) -> StoredValue? {
        let before = entries[key]
        guard before != nil || entries.count < Self.limit else {
            throw .storeFull("\(Self.limit) keys are kept, which is the most")
        }
        let added = key.byteCount + value.byteCount
        let sum = byteCount - (before?.byteCount ?? 0) + added
        guard sum <= byteLimit else {
            throw .storeFull("all keys and values together would take more than \(byteLimit >> 20) MiB")
        }
        byteCount = sum
        entries[key] = Entry(value: value, byteCount: added)
        return before?.value
    }

    package mutating func remove(_ key: StoredValue) -> StoredValue? {
        guard let entry = entries.removeValue(forKey: key) else { return nil }
        byteCount -= entry.byteCount
        return entry.value
    }
}

/// The table of `kv_store_*`: one for a node, used from all shards.
package final class KeyValueStore: Sendable {
    package static let byteLimit = 64 << 20
    private let table: Mutex<StoredDictionary>

    package init(byteLimit: Int = KeyValueStore.byteLimit) { table = Mutex(StoredDictionary(byteLimit: byteLimit)) }

    package func get(_ key: StoredValue) -> StoredValue? { table.withLock { $0[key] } }
    package func put(_ key: StoredValue, _ value: StoredValue) throws(EvaluationError) {
        try table.withLock { (table) throws(EvaluationError) in _ = try table.put(key, value) }
    }
    package func remove(_ key: StoredValue) { table.withLock { _ = $0.remove(key) } }
}
