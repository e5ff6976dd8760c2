internal import Buffers
import CBytes

/// JSON text to values.
///
/// The elements of the containers that are open lie on a stack; a container that closes copies its own to the arena.
struct JSONDecoder {
    private var reader: JSONReader
    private let arena: Arena
    private var stack: UnsafeMutableBufferPointer<Member>
    private var used = 0
    private var depth = 0
    /// The shapes of the objects that closed last, by the low bits of their depth.
    private var shapes: UnsafeMutablePointer<ObjectShape>?
    /// The members that are wanted of the elements of the outermost array; nil for all.
    private let wanted: UnsafeBufferPointer<Bytes>?

    init(reader: JSONReader, arena: Arena, wanted: UnsafeBufferPointer<Bytes>? = nil) {
        self.reader = reader
        self.arena = arena
        self.wanted = wanted
        stack = UnsafeMutableBufferPointer(start: nil, count: 0)
    }

    mutating func decode() throws(EvaluationError) -> Value {
        reader.skipSpace()
        let value = try self.value()
        try reader.expectEnd()
        return value
    }

    /// Makes the pattern of an array's elements.
    ///
    /// - Parameter element: the first one, whose text is given.
    /// - Returns: the pattern and the members that an element gets, with their keys; nil when the first one has members
    ///   that are neither strings nor numbers.
    private mutating func learn(
        _ first: UnsafePointer<UInt8>, _ comma: UnsafePointer<UInt8>, _ element: Value
    ) throws(EvaluationError) -> (JSONRowPattern, UnsafeBufferPointer<Member>)? {
        let members = element.members
        guard members.allSatisfy({ $0.value.kind == .string || $0.value.isNumber }) else { return nil }
        let holes = try arena.allocate(JSONRowPattern.Hole.self, count: JSONRowPattern.room)
        let layouts = try arena.allocate(sluice_row_layouts.self, count: 1)
        guard let memory = layouts.baseAddress,
            let pattern = JSONRowPattern(first, comma, holes: holes, layouts: memory), pattern.count == members.count
        else { return nil }
        let order = try shape().pointee.order
        for position in 0..<members.count { holes[Int(order[position])].position = position }
        guard let wanted, depth == 1 else { return (pattern, members) }
        let kept = try arena.allocate(Member.self, count: members.count)
        var count = 0
        for position in 0..<members.count {
            let hole = Int(order[position])
            let isWanted = wanted.contains { isSameKey($0, members[position].key) }
            holes[hole].position = isWanted ? count : -1
            if isWanted {
                kept[count] = members[position]
                count += 1
            }
        }
        return (pattern, UnsafeBufferPointer(rebasing: kept[..<count]))
    }

    /// Decodes elements like the first one; the cursor is at the beginning of an element.
    ///
    /// - Parameter first: the members that each gets, of the first one.
    /// - Returns: whether the array's closing bracket is next; otherwise an element that is not alike.
    private mutating func rows(
        _ pattern: JSONRowPattern, _ first: UnsafeBufferPointer<Member>
    ) throws(EvaluationError) -> Bool {
        while let after = try row(pattern, first) {
            let behind = reader.quicklyAfterSpace(after)
            reader.next = behind
            if behind.pointee == UInt8(ascii: "]") { return true }
            guard behind.pointee == UInt8(ascii: ",") else { throw reader.failure }
            reader.next = reader.quicklyAfterSpace(behind + 1)
        }
        return false
    }

    /// Decodes one element and pushes it.
    /// - Returns: behind it; nil, with the cursor where it was, when it is not like the pattern.
    @inline(__always)
    private mutating func row(
        _ pattern: JSONRowPattern, _ first: UnsafeBufferPointer<Member>
    ) throws(EvaluationError) -> UnsafePointer<UInt8>? {
        let element = reader.next
        let members = try arena.allocate(Member.self, count: first.count)
        let after: UnsafePointer<UInt8>
        if let layout = pattern.layout(of: element, reader.end) {
            after = element + Int(layout.pointee.length)
            // Something must follow.
            guard after < reader.end else { return nil }
            for index in 0..<pattern.count where pattern.holes[index].position >= 0 {
                let start = element + Int(sluice_value_start(layout, UInt32(index)))
                let count = Int(sluice_value_count(layout, UInt32(index)))
                try fill(pattern.holes[index], start, count, members, first)
            }
        } else {
            guard let stop = pattern.afterElement(element, reader) else { return nil }
            after = stop
            for index in 0..<pattern.count where pattern.holes[index].position >= 0 {
                let hole = pattern.holes[index]
                guard let start = hole.start, let end = hole.end else { return nil }
                try fill(hole, start, end - start, members, first)
            }
        }
        try push(Member(key: Bytes(start: nil, count: 0), value: .object(UnsafeBufferPointer(members))))
        return after
    }

    @inline(__always)
    private func fill(
        _ hole: JSONRowPattern.Hole, _ start: UnsafePointer<UInt8>, _ count: Int,
        _ members: UnsafeMutableBufferPointer<Member>, _ first: UnsafeBufferPointer<Member>
    ) throws(EvaluationError) {
        let position = hole.position
        let value: Value =
            hole.isString ? .string(Bytes(start: start, count: count)) : try number(start, count)
        members[position] = Member(key: first[position].key, value: value)
    }

    /// The value of a number that has been checked.
    @inline(__always)
    private func number(_ start: UnsafePointer<UInt8>, _ count: Int) throws(EvaluationError) -> Value {
        if let value = JSONReader.shortNumber(start, count) { return value }
        var reader = JSONReader(start, count: count)
        return try reader.value(try reader.scanNumber(), in: arena)
    }

    /// The value whose first byte is next.
    private mutating func value() throws(EvaluationError) -> Value {
        switch reader.peek {
        case UInt8(ascii: "\""):
            reader.next += 1
            let string = try reader.scanString()
            return .string(try reader.text(string, in: arena))
        case UInt8(ascii: "-"), 0x30...0x39: return try reader.value(try reader.scanNumber(), in: arena)
        case UInt8(ascii: "{"): return try object()
        case UInt8(ascii: "["): return try array()
        case UInt8(ascii: "t"):
            try reader.expectLiteral("true")
            return .true
        case UInt8(ascii: "f"):
            try reader.expectLiteral("false")
            return .false
        case UInt8(ascii: "n"):
            try reader.expectLiteral("null")
            return .null
        default: throw reader.failure
        }
    }

    private mutating func array() throws(EvaluationError) -> Value {
        try open()
        if reader.peek == UInt8(ascii: "]") {
            close()
            return .emptyArray
        }
        let mark = used
        let first = reader.next
        var pattern: (JSONRowPattern, UnsafeBufferPointer<Member>)?
        var tries = JSONRowPattern.tries
        while true {
            let element = try value()
            try push(Member(key: Bytes(start: nil, count: 0), value: element))
            reader.skipSpace()
            if reader.peek == UInt8(ascii: "]") { break }
            let comma = reader.next
            try reader.expect(UInt8(ascii: ","))
            reader.skipSpace()
            guard tries > 0, reader.peek == UInt8(ascii: "{"), reader.endsInBracket else { continue }
            if used == mark + 1, reader.isWorthPattern(first, reader.next) {
                pattern = try learn(first, comma, stack[mark].value)
            }
            guard let (rowPattern, members) = pattern else { continue }
            tries -= 1
            if try rows(rowPattern, members) { break }
        }
        close()
        let elements = try arena.allocate(Value.self, count: used - mark)
        for index in 0..<elements.count { elements[index] = stack[mark + index].value }
        used = mark
        return .array(UnsafeBufferPointer(elements))
    }

    private mutating func object() throws(EvaluationError) -> Value {
        try open()
        if reader.peek == UInt8(ascii: "}") {
            close()
            return .emptyObject
        }
        let mark = used
        while true {
            try reader.expect(UInt8(ascii: "\""))
            let key = try reader.scanString()
            try reader.expect(UInt8(ascii: ":"))
            reader.skipSpace()
            let name = try reader.text(key, in: arena)
            let value = try self.value()
            try push(Member(key: name, value: value))
            reader.skipSpace()
            if reader.peek == UInt8(ascii: "}") { break }
            try reader.expect(UInt8(ascii: ","))
            reader.skipSpace()
        }
        close()
        let members = try arena.allocate(Member.self, count: used - mark)
        let source = UnsafeBufferPointer(rebasing: stack[mark..<used])
        used = mark
        if members.count <= ObjectShape.room {
            return .object(try shape().pointee.sort(source, into: members))
        }
        _ = members.initialize(from: source)
        return .object(try members.sortedByKey(in: arena))
    }

    /// Where the shape of an object of this depth is kept.
    @inline(__always)
    private mutating func shape() throws(EvaluationError) -> UnsafeMutablePointer<ObjectShape> {
        if let shapes { return shapes + depth & 3 }
        let made = try arena.allocate(ObjectShape.self, count: 4)
        for index in 0..<4 { made[index] = ObjectShape(order: try arena.allocate(UInt8.self, count: ObjectShape.room)) }
        shapes = made.baseAddress
        return made.baseAddress.unsafelyUnwrapped + depth & 3
    }

    @inline(__always)
    private mutating func open() throws(EvaluationError) {
        guard depth < JSON.maximumDepth else { throw .depthLimit }
        depth += 1
        reader.next += 1
        reader.skipSpace()
    }

    @inline(__always)
    private mutating func close() {
        depth -= 1
        reader.next += 1
    }

    @inline(__always)
    private mutating func push(_ member: Member) throws(EvaluationError) {
        if used == stack.count { try grow() }
        stack[used] = member
        used += 1
    }

    @inline(never)
    private mutating func grow() throws(EvaluationError) {
        let larger = try arena.allocate(Member.self, count: max(32, stack.count * 2))
        for index in 0..<used { larger[index] = stack[index] }
        stack = larger
    }
}

extension UnsafeMutableBufferPointer<Member> {
    /// Sorts in place by the bytes of the keys; of equal keys the last one stays.
    func sortedByKey(in arena: Arena) throws(EvaluationError) -> UnsafeBufferPointer<Member> {
        if count <= 24 { sortByInsertion() } else { try sortByMerging(in: arena) }
        guard count > 1 else { return UnsafeBufferPointer(self) }
        var kept = 0
        for index in 1..<count {
            if keyOrder(self[kept].key, self[index].key) != 0 { kept += 1 }
            if kept != index { self[kept] = self[index] }
        }
        return UnsafeBufferPointer(rebasing: self[0...kept])
    }

    private func sortByInsertion() {
        guard count > 1 else { return }
        for index in 1..<count {
            let member = self[index]
            var position = index
            while position > 0, keyOrder(self[position - 1].key, member.key) > 0 {
                self[position] = self[position - 1]
                position -= 1
            }
            if position != index { self[position] = member }
        }
    }

    /// Stable, bottom-up, in n log n steps whatever the sender chose as keys.
    private func sortByMerging(in arena: Arena) throws(EvaluationError) {
        var source = self
        var target = try arena.allocate(Member.self, count: count)
        var width = 1
        while width < count {
            var low = 0
            while low < count {
                let middle = Swift.min(low + width, count)
                let high = Swift.min(low + 2 * width, count)
                var left = low
                var right = middle
                for position in low..<high {
                    let takesLeft =
                        left < middle && (right >= high || keyOrder(source[left].key, source[right].key) <= 0)
                    target[position] = takesLeft ? source[left] : source[right]
                    if takesLeft { left += 1 } else { right += 1 }
                }
                low = high
            }
            swap(&source, &target)
            width *= 2
        }
        if source.baseAddress != baseAddress { for index in 0..<count { self[index] = source[index] } }
    }
}

/// ``compareBytes(_:_:)`` in line: keys are short and differ early.
@inline(__always)
func keyOrder(_ a: Bytes, _ b: Bytes) -> Int {
    let common = Swift.min(a.count, b.count)
    var position = 0
    while position < common {
        let left = a[position]
        let right = b[position]
        if left != right { return Int(left) - Int(right) }
        position += 1
    }
    return a.count - b.count
}
