internal import BigInt
internal import Buffers

/// Values in Erlang's external term format, version 131. [Erlang ERTS: External Term Format]
///
/// Text is a binary, undefined, null and booleans are atoms, arrays are lists (of bytes: STRING_EXT), objects are maps.
/// Other terms (tuples, processes, references, functions, improper lists, compressed terms) raise.
enum ErlangTerm {
    private static let version: UInt8 = 131
    private static let maximumOutputDepth = 256

    private enum Tag {
        static let newFloat: UInt8 = 70
        static let bitBinary: UInt8 = 77
        static let smallInteger: UInt8 = 97
        static let integer: UInt8 = 98
        static let latin1Atom: UInt8 = 100
        static let empty: UInt8 = 106
        static let byteList: UInt8 = 107
        static let list: UInt8 = 108
        static let binary: UInt8 = 109
        static let smallBig: UInt8 = 110
        static let largeBig: UInt8 = 111
        static let smallLatin1Atom: UInt8 = 115
        static let map: UInt8 = 116
        static let atom: UInt8 = 118
        static let smallAtom: UInt8 = 119
    }
}

extension ErlangTerm {
    /// - Throws: ``EvaluationError/depthLimit``; the output then ends in the middle.
    static func append(_ value: Value, to output: OutputBuffer) throws(EvaluationError) {
        output.append(version)
        try append(value, to: output, depth: 0)
    }

    private static func append(_ value: Value, to output: OutputBuffer, depth: Int) throws(EvaluationError) {
        guard depth < maximumOutputDepth else { throw .depthLimit }
        switch value.kind {
        case .undefined: appendAtom(Value.atom("undefined").bytes, to: output)
        case .null: appendAtom(Value.atom("null").bytes, to: output)
        case .boolean: appendAtom(Value.atom(value.isTrue ? "true" : "false").bytes, to: output)
        case .atom: appendAtom(value.bytes, to: output)
        case .integer: appendInteger(value.integer, to: output)
        case .bigInteger: appendBig(value.magnitude, isNegative: value.flag == 1, to: output)
        case .float:
            output.append(Tag.newFloat)
            output.append(bigEndian: value.float.bitPattern)
        case .string: appendBinary(value.bytes, to: output)
        case .bitString:
            output.append(Tag.bitBinary)
            output.append(bigEndian: UInt32(value.bytes.count))
            output.append(UInt8(value.count % 8))
            output.append(value.bytes)
        case .array: try appendList(value.elements, to: output, depth)
        case .object:
            output.append(Tag.map)
            output.append(bigEndian: value.count)
            for member in value.members {
                appendBinary(member.key, to: output)
                try append(member.value, to: output, depth: depth + 1)
            }
        }
    }

    private static func appendList(
        _ elements: UnsafeBufferPointer<Value>, to output: OutputBuffer, _ depth: Int
    ) throws(EvaluationError) {
        guard !elements.isEmpty else { return output.append(Tag.empty) }
        let isBytes = elements.count <= 0xFFFF && elements.allSatisfy { $0.kind == .integer && 0...255 ~= $0.integer }
        if isBytes {
            output.append(Tag.byteList)
            output.append(bigEndian: UInt16(elements.count))
            for element in elements { output.append(UInt8(truncatingIfNeeded: element.integer)) }
            return
        }
        output.append(Tag.list)
        output.append(bigEndian: UInt32(truncatingIfNeeded: elements.count))
        for element in elements { try append(element, to: output, depth: depth + 1) }
        output.append(Tag.empty)
    }

    private static func appendInteger(_ value: Int, to output: OutputBuffer) {
        if 0...255 ~= value {
            output.append(Tag.smallInteger)
            output.append(UInt8(value))
        } else if let value = Int32(exactly: value) {
            output.append(Tag.integer)
            output.append(bigEndian: value)
        } else {
            withUnsafePointer(to: value.magnitude) {
                appendBig(UnsafeBufferPointer(start: $0, count: 1), isNegative: value < 0, to: output)
            }
        }
    }

    private static func appendBig(_ words: UnsafeBufferPointer<UInt>, isNegative: Bool, to output: OutputBuffer) {
        let unused = (words.last?.leadingZeroBitCount ?? 0) / 8
        let count = words.count * 8 - unused
        if count < 256 {
            output.append(Tag.smallBig)
            output.append(UInt8(count))
        } else {
            output.append(Tag.largeBig)
            output.append(bigEndian: UInt32(truncatingIfNeeded: count))
        }
        output.append(isNegative ? 1 : 0)
        for position in 0..<count {
            output.append(UInt8(truncatingIfNeeded: words[position / 8] >> UInt(position % 8 * 8)))
        }
    }

    private static func appendBinary(_ bytes: Bytes, to output: OutputBuffer) {
        output.append(Tag.binary)
        output.append(bigEndian: UInt32(truncatingIfNeeded: bytes.count))
        output.append(bytes)
    }

    /// Atoms are short: the broker's own words.
    private static func appendAtom(_ name: Bytes, to output: OutputBuffer) {
        guard let count = UInt8(exactly: name.count) else { return appendBinary(name, to: output) }
        output.append(Tag.smallAtom)
        output.append(count)
        output.append(name)
    }
}

extension ErlangTerm {
    /// The value of a term; text points into the bytes, which therefore must outlive it. Bytes behind the term are
    /// ignored, as Erlang does.
    ///
    /// - Throws: ``EvaluationError/badArgument(function:reason:)`` for other terms and bytes that are none,
    ///   ``EvaluationError/depthLimit``, ``EvaluationError/memoryLimit``.
    static func decode(_ bytes: Bytes, in arena: Arena) throws(EvaluationError) -> Value {
        var reader = Reader(bytes: bytes, arena: arena)
        guard try reader.byte() == version else {
            throw .badArgument(function: "term_decode", reason: "the bytes are no Erlang term of version 131")
        }
        return try reader.term(depth: 0)
    }

    private struct Reader {
        let bytes: Bytes
        let arena: Arena
        var position = 0

        init(bytes: Bytes, arena: Arena) {
            self.bytes = bytes
            self.arena = arena
        }

        private static let truncated = EvaluationError.badArgument(
            function: "term_decode", reason: "the term ends in the middle")

        mutating func byte() throws(EvaluationError) -> UInt8 { try take(1)[0] }

        private mutating func take(_ count: Int) throws(EvaluationError) -> Bytes {
            guard count <= bytes.count - position else { throw Self.truncated }
            defer { position += count }
            return Bytes(rebasing: bytes[position..<position + count])
        }

        private mutating func number<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type) throws(EvaluationError) -> T {
            T(bigEndian: try take(MemoryLayout<T>.size).loadUnaligned(as: T.self))
        }

        mutating func term(depth: Int) throws(EvaluationError) -> Value {
            guard depth < JSON.maximumDepth else { throw .depthLimit }
            let tag = try byte()
            switch tag {
            case Tag.smallInteger: return .integer(Int(try byte()))
            case Tag.integer: return .integer(Int(try number(Int32.self)))
            case Tag.smallBig: return try big(count: Int(try byte()))
            case Tag.largeBig: return try big(count: Int(try number(UInt32.self)))
            case Tag.newFloat: return try float()
            case Tag.smallAtom, Tag.smallLatin1Atom: return atom(try take(Int(try byte())))
            case Tag.atom, Tag.latin1Atom: return atom(try take(Int(try number(UInt16.self))))
            case Tag.binary: return .string(try take(Int(try number(UInt32.self))))
            case Tag.bitBinary: return try bits()
            case Tag.empty: return .emptyArray
            case Tag.byteList: return try byteList()
            case Tag.list: return try list(depth: depth)
            case Tag.map: return try map(depth: depth)
            default:
                throw .badArgument(
                    function: "term_decode", reason: "a term of tag \(tag) has no counterpart in the rule language")
            }
        }

        private mutating func big(count: Int) throws(EvaluationError) -> Value {
            let isNegative = try byte() != 0
            let digits = try take(count)
            guard count <= BigIntegerLimits.words * 8 else { throw .memoryLimit }
            var words = [UInt](repeating: 0, count: (count + 7) / 8)
            for (index, digit) in digits.enumerated() { words[index / 8] |= UInt(digit) << UInt(index % 8 * 8) }
            return try arena.integer(BigInt(sign: isNegative ? .minus : .plus, magnitude: BigUInt(words: words)))
        }

        private mutating func float() throws(EvaluationError) -> Value {
            let value = Double(bitPattern: try number(UInt64.self))
            guard value.isFinite else {
                throw .badArgument(function: "term_decode", reason: "a float is finite")
            }
            return .float(value)
        }

        private func atom(_ name: Bytes) -> Value {
            if compareBytes(name, Value.string("undefined").bytes) == 0 { return .undefined }
            if compareBytes(name, Value.string("null").bytes) == 0 { return .null }
            if compareBytes(name, Value.string("true").bytes) == 0 { return .true }
            if compareBytes(name, Value.string("false").bytes) == 0 { return .false }
            return .atom(name)
        }

        private mutating func bits() throws(EvaluationError) -> Value {
            let count = Int(try number(UInt32.self))
            let used = Int(try byte())
            guard count > 0, 1...8 ~= used else {
                throw .badArgument(function: "term_decode", reason: "a bit string's last byte holds 1 to 8 bits")
            }
            let source = try take(count)
            if used == 8 { return .string(source) }
            guard count <= 1 << 28 else { throw .memoryLimit }
            let copy = try arena.bytes(count: count)
            copy.copyMemory(from: source)
            copy[count - 1] &= 0xFF << UInt8(8 - used)
            return .bitString(Bytes(copy), count: (count - 1) * 8 + used)
        }

        private mutating func byteList() throws(EvaluationError) -> Value {
            let source = try take(Int(try number(UInt16.self)))
            let elements = try arena.allocate(Value.self, count: source.count)
            for (index, byte) in source.enumerated() { elements.initializeElement(at: index, to: .integer(Int(byte))) }
            return .array(UnsafeBufferPointer(elements))
        }

        private mutating func list(depth: Int) throws(EvaluationError) -> Value {
            let count = Int(try number(UInt32.self))
            // Each element takes a byte at least.
            guard count <= bytes.count - position else { throw Self.truncated }
            let elements = try arena.allocate(Value.self, count: count)
            for index in 0..<count { elements.initializeElement(at: index, to: try term(depth: depth + 1)) }
            guard try byte() == Tag.empty else {
                throw .badArgument(function: "term_decode", reason: "an improper list is no array")
            }
            return .array(UnsafeBufferPointer(elements))
        }

        private mutating func map(depth: Int) throws(EvaluationError) -> Value {
            let count = Int(try number(UInt32.self))
            guard count <= (bytes.count - position) / 2 else { throw Self.truncated }
            var members: [Member] = []
            for _ in 0..<count {
                let key = try term(depth: depth + 1)
                let value = try term(depth: depth + 1)
                members.append(Member(key: try name(key), value: value))
            }
            return try arena.object(members)
        }

        /// A map's key as that of an object: a binary or an atom.
        private func name(_ key: Value) throws(EvaluationError) -> Bytes {
            switch key.kind {
            case .string, .atom: return key.bytes
            case .undefined, .null, .boolean: return try key.text(in: arena).bytes
            default: throw .badArgument(function: "term_decode", reason: "an object's key is text, not \(key.kind)")
            }
        }
    }
}
