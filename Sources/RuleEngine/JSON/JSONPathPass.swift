internal import Buffers

/// One pass of a ``JSONPathSet`` over a text.
struct JSONPathPass {
    var reader: JSONReader
    let nodes: UnsafeBufferPointer<JSONPathSet.Node>
    let keys: UnsafeBufferPointer<UInt8>
    let slots: UnsafeMutableBufferPointer<JSONSlot>
    /// The caller's, which the pass does not outlive.
    unowned(unsafe) let arena: Arena
    let decodesText: Bool

    mutating func run(slotCount: Int) throws(EvaluationError) {
        for slot in 0..<slotCount { slots[slot] = JSONSlot() }
        reader.skipSpace()
        try read(0, depth: 0)
        try reader.expectEnd()
    }

    /// Reads the value that begins at the cursor, for the paths at and below a node.
    private mutating func read(_ number: Int, depth: Int) throws(EvaluationError) {
        let node = nodes[number]
        switch reader.peek {
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            let start = reader.next
            if node.childCount == 0 {
                try reader.skipValue(depth: depth)
            } else {
                try readContainer(node, depth: depth)
            }
            set(node, JSONSlot(slice: Bytes(start: start, count: reader.next - start)))
        case UInt8(ascii: "\""):
            reader.next += 1
            let text = try reader.text(try reader.scanString(), in: arena)
            set(node, JSONSlot(.string(text)))
            if decodesText, node.childCount > 0 {
                try fill(node, from: try JSON.decodeIfValid(text, in: arena))
            }
        case UInt8(ascii: "-"), 0x30...0x39:
            set(node, JSONSlot(try reader.value(try reader.scanNumber(), in: arena)))
        case UInt8(ascii: "t"):
            try reader.expectLiteral("true")
            set(node, JSONSlot(.true))
        case UInt8(ascii: "f"):
            try reader.expectLiteral("false")
            set(node, JSONSlot(.false))
        case UInt8(ascii: "n"):
            try reader.expectLiteral("null")
            set(node, JSONSlot(.null))
        default: throw reader.failure
        }
    }

    @inline(__always)
    private func set(_ node: JSONPathSet.Node, _ value: JSONSlot) {
        if node.slot >= 0 { slots[Int(node.slot)] = value }
    }

    @inline(__always)
    private mutating func readContainer(_ node: JSONPathSet.Node, depth: Int) throws(EvaluationError) {
        guard depth < JSON.maximumDepth else { throw .depthLimit }
        if reader.peek == UInt8(ascii: "{") {
            try readObject(node, depth: depth)
        } else if node.hasNegativeIndex {
            let start = reader.next
            try reader.skipValue(depth: depth)
            let text = Bytes(start: start, count: reader.next - start)
            try fill(node, from: try JSON.decode(text, in: arena))
        } else {
            try readArray(node, depth: depth)
        }
    }

    private mutating func readObject(_ node: JSONPathSet.Node, depth: Int) throws(EvaluationError) {
        // A copy, so that the cursor stays in a register where nothing is read.
        var reader = self.reader
        reader.next += 1
        reader.skipSpace()
        if reader.peek == UInt8(ascii: "}") {
            self.reader.next = reader.next + 1
            return
        }
        let isQuick = reader.endsInBracket && depth < JSON.maximumDepth / 2
        while true {
            guard reader.peek == UInt8(ascii: "\"") else { throw reader.failure }
            reader.next += 1
            let name: Bytes
            if let quote = reader.plainTextAtQuote(reader.next) {
                name = Bytes(start: reader.next, count: quote - reader.next)
                reader.next = quote + 1
            } else {
                name = try reader.text(try reader.scanString(), in: arena)
            }
            let child = self.child(of: node, name)
            try reader.expect(UInt8(ascii: ":"))
            reader.skipSpace()
            if child >= 0 {
                self.reader.next = reader.next
                try read(child: child, depth: depth + 1)
                reader.next = self.reader.next
            } else if isQuick, let after = reader.quicklyAfterValue(reader.next) {
                reader.next = after
            } else {
                try reader.skipValue(depth: depth + 1)
            }
            reader.skipSpace()
            if reader.peek == UInt8(ascii: "}") { break }
            try reader.expect(UInt8(ascii: ","))
            reader.skipSpace()
        }
        self.reader.next = reader.next + 1
    }

    private mutating func readArray(_ node: JSONPathSet.Node, depth: Int) throws(EvaluationError) {
        reader.next += 1
        reader.skipSpace()
        if reader.peek == UInt8(ascii: "]") {
            reader.next += 1
            return
        }
        var index = 1
        let last = lastIndex(of: node)
        let isQuick = reader.endsInBracket && depth < JSON.maximumDepth / 2
        while true {
            if index > last, isQuick, let after = reader.quicklyAfterElements(reader.next) {
                reader.next = after
                return
            }
            let child = self.child(of: node, index)
            if child < 0 { try reader.skipValue(depth: depth + 1) } else { try read(child: child, depth: depth + 1) }
            index += 1
            reader.skipSpace()
            if reader.peek == UInt8(ascii: "]") { break }
            try reader.expect(UInt8(ascii: ","))
            reader.skipSpace()
        }
        reader.next += 1
    }

    private mutating func read(child: Int, depth: Int) throws(EvaluationError) {
        // What an equal key before left behind.
        if nodes[child].childCount > 0 { reset(nodes[child]) }
        try read(child, depth: depth)
    }

    private func reset(_ node: JSONPathSet.Node) {
        for slot in Int(node.firstSlot)..<Int(node.endSlot) { slots[slot] = JSONSlot() }
    }

    @inline(__always)
    private func child(of node: JSONPathSet.Node, _ key: Bytes) -> Int {
        var number = Int(node.firstChild)
        let end = number + Int(node.childCount)
        while number < end {
            let child = nodes[number]
            if Int(child.keyCount) == key.count {
                var position = 0
                while position < key.count, keys[Int(child.keyStart) + position] == key[position] { position += 1 }
                if position == key.count { return number }
            }
            number += 1
        }
        return -1
    }

    @inline(__always)
    private func child(of node: JSONPathSet.Node, _ index: Int) -> Int {
        var number = Int(node.firstChild)
        let end = number + Int(node.childCount)
        while number < end {
            if nodes[number].index == index { return number }
            number += 1
        }
        return -1
    }

    /// The greatest index among a node's children.
    private func lastIndex(of node: JSONPathSet.Node) -> Int {
        var last = 0
        for number in Int(node.firstChild)..<Int(node.firstChild) + Int(node.childCount) {
            last = max(last, nodes[number].index)
        }
        return last
    }

    /// Fills the slots below a node from a value that was decoded.
    private func fill(_ node: JSONPathSet.Node, from value: Value) throws(EvaluationError) {
        for number in Int(node.firstChild)..<Int(node.firstChild) + Int(node.childCount) {
            let child = nodes[number]
            let part = try step(child, into: value)
            set(child, JSONSlot(part))
            if child.childCount > 0 { try fill(child, from: part) }
        }
    }

    private func step(_ child: JSONPathSet.Node, into value: Value) throws(EvaluationError) -> Value {
        if child.keyCount < 0 {
            return decodesText || value.kind == .array ? try value.step(index: child.index, in: arena) : .undefined
        }
        guard decodesText || value.kind == .object else { return .undefined }
        let key = UnsafeBufferPointer(rebasing: keys[Int(child.keyStart)..<Int(child.keyStart + child.keyCount)])
        return try value.step(key: Bytes(key), in: arena)
    }
}
