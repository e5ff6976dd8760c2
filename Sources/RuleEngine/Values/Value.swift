public import Buffers

/// One value of the rule language: 16 plain bytes, no reference counts.
///
/// Whatever does not fit (text, arrays, objects, big integers) lies in memory that outlives the evaluation: in the
/// ``Arena`` of the ``EvaluationContext``, in the event's own buffers, or in the compiled rule's literals. A value is
/// therefore valid until the context's next `reset()`, and never to be stored beyond it; ``StoredValue`` is the form
/// that owns its memory.
///
/// The types and their order are those of the rule language. [EMQX rule-sql: values]
public struct Value: BitwiseCopyable, Sendable {
    public enum Kind: UInt8, BitwiseCopyable, Sendable {
        /// An absent column or a path that leads nowhere; not JSON's null.
        case undefined
        case null
        case boolean
        /// A 64-bit integer. Integers that do not fit are ``bigInteger``, never floats.
        case integer
        /// Sign and magnitude words in the arena; always outside the range of Int64.
        case bigInteger
        /// A finite double: an operation that would give NaN or infinity raises.
        case float
        /// Bytes, normally UTF-8, but any payload is allowed.
        case string
        /// Text of the broker's own vocabulary (event names, reasons): equal to text, but no string for `is_str` or IN.
        case atom
        /// Bits whose number is not a multiple of 8; the last byte is padded with zero bits at its low end.
        case bitString
        case array
        /// Members in ascending byte order of their keys, each key once.
        case object
    }

    /// A boolean (0, 1), an Int64, a Double's bits, or the address of what `count` counts.
    @usableFromInline let bits: UInt64
    /// Bytes of a string or atom, bits of a bit string, elements of an array, members of an object, words of a big integer.
    public let count: UInt32
    public let kind: Kind
    /// Big integers: 1 when negative.
    public let flag: UInt8

    @inlinable @inline(__always)
    public init(kind: Kind, bits: UInt64, count: UInt32 = 0, flag: UInt8 = 0) {
        self.bits = bits
        self.count = count
        self.kind = kind
        self.flag = flag
    }
}

/// A member of an object.
public struct Member: BitwiseCopyable {
    public var key: Bytes
    public var value: Value

    @inlinable
    public init(key: Bytes, value: Value) {
        self.key = key
        self.value = value
    }
}

extension Value {
    @inlinable public static var undefined: Value { Value(kind: .undefined, bits: 0) }
    @inlinable public static var null: Value { Value(kind: .null, bits: 0) }
    @inlinable public static var `true`: Value { Value(kind: .boolean, bits: 1) }
    @inlinable public static var `false`: Value { Value(kind: .boolean, bits: 0) }

    @inlinable public static func boolean(_ value: Bool) -> Value { Value(kind: .boolean, bits: value ? 1 : 0) }
    @inlinable public static func integer(_ value: Int) -> Value {
        Value(kind: .integer, bits: UInt64(bitPattern: Int64(value)))
    }
    /// - Parameter value: finite; the caller has checked and raised otherwise.
    @inlinable public static func float(_ value: Double) -> Value { Value(kind: .float, bits: value.bitPattern) }

    /// A string over memory that outlives the evaluation. Nothing is copied.
    /// - Parameter bytes: fewer than 4 GiB.
    @inlinable public static func string(_ bytes: Bytes) -> Value { text(.string, bytes) }
    @inlinable public static func atom(_ bytes: Bytes) -> Value { text(.atom, bytes) }
    /// The broker's own vocabulary, from a literal.
    @inlinable public static func atom(_ text: StaticString) -> Value {
        atom(Bytes(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
    /// A string from a literal; costs nothing.
    @inlinable public static func string(_ text: StaticString) -> Value {
        string(Bytes(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
    @inlinable static func text(_ kind: Kind, _ bytes: Bytes) -> Value {
        Value(kind: kind, bits: address(bytes.baseAddress), count: UInt32(truncatingIfNeeded: bytes.count))
    }
    /// - Parameter count: number of bits, not a multiple of 8.
    @inlinable public static func bitString(_ bytes: Bytes, count: Int) -> Value {
        Value(kind: .bitString, bits: address(bytes.baseAddress), count: UInt32(truncatingIfNeeded: count))
    }
    @inlinable public static func array(_ elements: UnsafeBufferPointer<Value>) -> Value {
        Value(kind: .array, bits: address(elements.baseAddress), count: UInt32(truncatingIfNeeded: elements.count))
    }
    /// - Parameter members: in ascending byte order of their keys, each key once.
    @inlinable public static func object(_ members: UnsafeBufferPointer<Member>) -> Value {
        Value(kind: .object, bits: address(members.baseAddress), count: UInt32(truncatingIfNeeded: members.count))
    }
    @inlinable public static var emptyString: Value { Value(kind: .string, bits: 0) }
    @inlinable public static var emptyArray: Value { Value(kind: .array, bits: 0) }
    @inlinable public static var emptyObject: Value { Value(kind: .object, bits: 0) }

    @inlinable static func address(_ pointer: UnsafeRawPointer?) -> UInt64 { UInt64(UInt(bitPattern: pointer)) }
}

// Readers. Each is only meaningful for its kind, which the caller has looked at.
extension Value {
    @inlinable public var isUndefined: Bool { kind == .undefined }
    @inlinable public var isTrue: Bool { kind == .boolean && bits == 1 }
    @inlinable public var boolean: Bool { bits != 0 }
    @inlinable public var integer: Int { Int(Int64(bitPattern: bits)) }
    @inlinable public var float: Double { Double(bitPattern: bits) }
    /// The bytes of a string, atom or bit string; empty for other kinds.
    @inlinable public var bytes: Bytes {
        switch kind {
        case .string, .atom: Bytes(start: pointer, count: Int(count))
        case .bitString: Bytes(start: pointer, count: (Int(count) + 7) / 8)
        default: Bytes(start: nil, count: 0)
        }
    }
    /// The elements of an array; empty for other kinds.
    @inlinable public var elements: UnsafeBufferPointer<Value> {
        guard kind == .array, count > 0, let pointer else { return UnsafeBufferPointer(start: nil, count: 0) }
        return UnsafeBufferPointer(start: pointer.assumingMemoryBound(to: Value.self), count: Int(count))
    }
    /// The members of an object; empty for other kinds.
    @inlinable public var members: UnsafeBufferPointer<Member> {
        guard kind == .object, count > 0, let pointer else { return UnsafeBufferPointer(start: nil, count: 0) }
        return UnsafeBufferPointer(start: pointer.assumingMemoryBound(to: Member.self), count: Int(count))
    }
    /// The magnitude of a big integer, least significant word first; empty for other kinds.
    @inlinable public var magnitude: UnsafeBufferPointer<UInt> {
        guard kind == .bigInteger, let pointer else { return UnsafeBufferPointer(start: nil, count: 0) }
        return UnsafeBufferPointer(start: pointer.assumingMemoryBound(to: UInt.self), count: Int(count))
    }
    @inlinable var pointer: UnsafeRawPointer? { UnsafeRawPointer(bitPattern: UInt(bits)) }
}

extension Value {
    /// The member of that key; undefined when there is none or this is no object.
    package func member(_ key: Bytes) -> Value {
        let members = self.members
        guard members.count <= 8, let first = members.baseAddress, let wanted = key.baseAddress else {
            return search(members, key)
        }
        let count = key.count
        guard count > 0 else { return search(members, key) }
        let letters = wanted.assumingMemoryBound(to: UInt8.self)
        let letter = letters[0]
        var member = first
        let end = first + members.count
        while member < end {
            let (name, value) = (member.pointee.key, member.pointee.value)
            member += 1
            guard name.count == count, let own = name.baseAddress?.assumingMemoryBound(to: UInt8.self),
                own[0] == letter
            else { continue }
            var position = 1
            while position < count, own[position] == letters[position] { position &+= 1 }
            if position == count { return value }
        }
        return .undefined
    }

    @inline(never)
    private func search(_ members: UnsafeBufferPointer<Member>, _ key: Bytes) -> Value {
        var low = 0
        var high = members.count
        while low < high {
            let middle = (low + high) / 2
            let order = compareBytes(members[middle].key, key)
            if order == 0 { return members[middle].value }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return .undefined
    }
}
