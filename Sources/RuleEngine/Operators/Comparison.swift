import BigInt
internal import Buffers
import Topics

package enum ComparisonOperator: Sendable {
    case equal
    case notEqual
    case less
    case lessOrEqual
    case greater
    case greaterOrEqual
    /// `=~`: the topic on the left matches the filter on the right.
    case matchesTopic

    /// - Parameter order: negative, zero or positive, as of left and right.
    @inline(__always)
    func holds(_ order: Int) -> Bool {
        switch self {
        case .equal: order == 0
        case .notEqual: order != 0
        case .less: order < 0
        case .lessOrEqual: order <= 0
        case .greater: order > 0
        case .greaterOrEqual: order >= 0
        case .matchesTopic: false
        }
    }
}

extension Operators {
    /// Whether the comparison holds. [EMQX rule-sql: comparison]
    ///
    /// With an undefined side it is false whatever the operator, unless both are: then they are equal. A number and a
    /// string are compared as numbers, a boolean or null and a string as text; else by ``order(_:_:)``.
    ///
    /// - Throws: ``EvaluationError/badArgument(function:reason:)`` when a string compared with a number spells none, or
    ///   when a side of `=~` is no string.
    @inline(__always)
    package static func compare(
        _ op: ComparisonOperator, _ a: Value, _ b: Value
    ) throws(EvaluationError) -> Bool {
        if a.kind == .integer, b.kind == .integer, op != .matchesTopic {
            return op.holds(a.integer < b.integer ? -1 : a.integer == b.integer ? 0 : 1)
        }
        return try compareSlowly(op, a, b)
    }

    @inline(never)
    private static func compareSlowly(
        _ op: ComparisonOperator, _ a: Value, _ b: Value
    ) throws(EvaluationError) -> Bool {
        if a.isUndefined || b.isUndefined { return a.kind == b.kind && op.holds(0) }
        if op == .matchesTopic { return try matchesTopic(a, b) }
        if a.kind == .string {
            if b.isNumber { return op.holds(try orderOfNumber(b, text: a, reversed: true)) }
            if b.isName { return op.holds(compareBytes(a.bytes, b.name)) }
        } else if b.kind == .string {
            if a.isNumber { return op.holds(try orderOfNumber(a, text: b, reversed: false)) }
            if a.isName { return op.holds(compareBytes(a.name, b.bytes)) }
        }
        return op.holds(order(a, b))
    }

    private static func matchesTopic(_ topic: Value, _ filter: Value) throws(EvaluationError) -> Bool {
        guard topic.isText, filter.isText else {
            throw .badArgument(
                function: "=~", reason: "takes a topic and a filter, not \(topic.kind) and \(filter.kind)")
        }
        return TopicSyntax.matches(filter: filter.bytes, topic: topic.bytes)
    }

    private static func orderOfNumber(
        _ number: Value, text: Value, reversed: Bool
    ) throws(EvaluationError) -> Int {
        let order: Int
        if let integer = NumberText.integer(text.bytes) {
            order = numberOrder(number, .integer(integer))
        } else if let float = NumberText.float(text.bytes) {
            order = numberOrder(number, .float(float))
        } else {
            // Digits beyond 64 bits; their words need memory for the length of this comparison only.
            let arena = Arena(chunkSize: 256)
            guard let value = try NumberText.parse(text.bytes, in: arena) else {
                throw .badArgument(function: "comparison", reason: "compares a number with text that is no number")
            }
            order = numberOrder(number, value)
        }
        return reversed ? -order : order
    }
}

extension Operators {
    /// The order of all values: number < false < null < true < object < array < string; numbers by value, strings by
    /// bytes, arrays element by element, objects by size, keys and then values. [EMQX rule-sql: comparison]
    ///
    /// - Returns: negative, zero or positive. Zero for an integer and a float of the same value.
    package static func order(_ a: Value, _ b: Value) -> Int {
        let left = rank(a.kind)
        let right = rank(b.kind)
        if left != right { return left - right }
        switch a.kind {
        case .integer, .bigInteger, .float: return numberOrder(a, b)
        case .undefined, .null, .boolean, .atom: return compareBytes(a.name, b.name)
        case .object: return objectOrder(a.members, b.members)
        case .array: return arrayOrder(a.elements, b.elements)
        case .string, .bitString: return bitOrder(a, b)
        }
    }

    /// Same type and same value, as IN and CASE compare: `1` and `1.0` differ, and so do `1` and `'1'`. Undefined
    /// equals undefined.
    package static func exactlyEqual(_ a: Value, _ b: Value) -> Bool {
        guard a.kind == b.kind, a.kind == .boolean || a.kind == .float || a.count == b.count else { return false }
        switch a.kind {
        case .undefined, .null: return true
        case .boolean: return a.isTrue == b.isTrue
        case .integer: return a.integer == b.integer
        case .float: return a.float == b.float
        case .bigInteger: return a.flag == b.flag && a.magnitude.elementsEqual(b.magnitude)
        case .string, .atom, .bitString: return compareBytes(a.bytes, b.bytes) == 0
        case .array: return a.elements.elementsEqual(b.elements, by: exactlyEqual)
        case .object:
            return a.members.elementsEqual(b.members) {
                compareBytes($0.key, $1.key) == 0 && exactlyEqual($0.value, $1.value)
            }
        }
    }

    private static func rank(_ kind: Value.Kind) -> Int {
        switch kind {
        case .integer, .bigInteger, .float: 0
        case .undefined, .null, .boolean, .atom: 1
        case .object: 2
        case .array: 3
        case .string, .bitString: 4
        }
    }

    private static func arrayOrder(_ a: UnsafeBufferPointer<Value>, _ b: UnsafeBufferPointer<Value>) -> Int {
        for index in 0..<min(a.count, b.count) {
            let order = order(a[index], b[index])
            if order != 0 { return order }
        }
        return a.count - b.count
    }

    private static func objectOrder(_ a: UnsafeBufferPointer<Member>, _ b: UnsafeBufferPointer<Member>) -> Int {
        guard a.count == b.count else { return a.count - b.count }
        for index in 0..<a.count {
            let order = compareBytes(a[index].key, b[index].key)
            if order != 0 { return order }
        }
        for index in 0..<a.count {
            let order = order(a[index].value, b[index].value)
            if order != 0 { return order }
        }
        return 0
    }

    /// Strings and bit strings, bit by bit; the padding of the last byte is zero.
    private static func bitOrder(_ a: Value, _ b: Value) -> Int {
        let left = a.kind == .string ? Int(a.count) * 8 : Int(a.count)
        let right = b.kind == .string ? Int(b.count) * 8 : Int(b.count)
        let order = compareBytes(a.bytes, b.bytes)
        // A padded byte that equals a whole one belongs to the shorter string.
        if order == 0 { return left - right }
        return order
    }
}

extension Operators {
    /// - Parameters a, b: integers, big integers or floats.
    static func numberOrder(_ a: Value, _ b: Value) -> Int {
        switch (a.kind, b.kind) {
        case (.integer, .integer): a.integer < b.integer ? -1 : a.integer == b.integer ? 0 : 1
        case (.float, .float): a.float < b.float ? -1 : a.float == b.float ? 0 : 1
        case (.float, _): -order(integer: b, float: a.float)
        case (_, .float): order(integer: a, float: b.float)
        default: bigOrder(a, b)
        }
    }

    private static func bigOrder(_ a: Value, _ b: Value) -> Int {
        guard let left = BigInt(a), let right = BigInt(b) else { return 0 }
        return left < right ? -1 : left == right ? 0 : 1
    }

    /// Exact, also where a double cannot hold the integer.
    private static func order(integer: Value, float: Double) -> Int {
        if integer.kind == .integer, integer.integer.magnitude <= 1 << 53 {
            let value = Double(integer.integer)
            return value < float ? -1 : value == float ? 0 : 1
        }
        guard let value = BigInt(integer) else { return 0 }
        let whole = BigInt(float)
        if value != whole { return value < whole ? -1 : 1 }
        let fraction = float - float.rounded(.towardZero)
        return fraction > 0 ? -1 : fraction < 0 ? 1 : 0
    }
}

extension Value {
    @inline(__always) package var isNumber: Bool { kind == .integer || kind == .float || kind == .bigInteger }
    @inline(__always) package var isInteger: Bool { kind == .integer || kind == .bigInteger }
    /// A string or a name of the broker's vocabulary.
    @inline(__always) package var isText: Bool { kind == .string || kind == .atom }
    /// What has a name to compare with text: a boolean, null or an atom.
    @inline(__always) var isName: Bool { kind == .boolean || kind == .null || kind == .atom }

    /// The text of an undefined value, null, a boolean or an atom.
    var name: Bytes {
        switch kind {
        case .undefined: Value.atom("undefined").bytes
        case .null: Value.atom("null").bytes
        case .boolean: isTrue ? Value.atom("true").bytes : Value.atom("false").bytes
        default: bytes
        }
    }
}
