internal import BigInt
internal import Buffers

extension FunctionTable {
    /// [EMQX rule-sql: subbits]
    static let subbits = FunctionEntry(
        "subbits", .bits,
        [
            .init("s", .string), .init("start_or_length", .integer), .init("length", .integer, optional: true),
            .init("type", .string, optional: true), .init("sign", .string, optional: true),
            .init("endian", .string, optional: true),
        ], returns: .any,
        doc: "`subbits(s, length)` and `subbits(s, start, length, type, sign, endian)` read bits of a string, counted "
            + "from 1, as `integer` (default), `float` (16, 32 or 64 bits) or `bits`; `unsigned` (default) or "
            + "`signed`; `big` (default) or `little`. Too few bits: what is left; none: undefined.",
        examples: [
            .init("subbits('ab', 9, 8)", "98"), .init("subbits('ab', 1, 16, 'integer', 'unsigned', 'little')", "25185"),
            .init("is_null(subbits('ab', 17, 1))", "true"), .init("subbits('ab', 1, 16, 'xxx')", nil),
        ],
        body: { arguments, context throws(EvaluationError) in
            let whole = try BitRange(whole: arguments[0], "subbits")
            let hasStart = arguments.count > 2
            let start = hasStart ? try arguments.integer(1, of: "subbits") : 1
            let length = try arguments.integer(hasStart ? 2 : 1, of: "subbits")
            guard start >= 1, start <= whole.count else { return .undefined }
            let type = try choice(arguments, 3, ["integer", "float", "bits"])
            let isSigned = try choice(arguments, 4, ["unsigned", "signed"]) == 1
            let isLittle = try choice(arguments, 5, ["big", "little"]) == 1
            let rest = whole.dropping(start - 1)
            let range = length >= 0 && length <= rest.count ? rest.prefix(length) : rest
            switch type {
            case 0: return try range.integer(isSigned: isSigned, isLittle: isLittle, context.arena)
            case 1:
                // What is no float of that length is read as one of all that is left, as Erlang's patterns do.
                guard let float = range.float(isLittle: isLittle) ?? rest.float(isLittle: isLittle) else {
                    throw .badArgument(function: "subbits", reason: "these \(range.count) bits are no finite float")
                }
                return .float(float)
            default: return try range.string(context.arena)
            }
        })

    /// - Returns: which of the words the argument is; the first when there is no such argument.
    private static func choice(
        _ arguments: Arguments, _ index: Int, _ words: [StaticString]
    ) throws(EvaluationError) -> Int {
        guard arguments.count > index else { return 0 }
        let argument = try arguments.text(index, of: "subbits")
        for (number, word) in words.enumerated() where compareBytes(argument, Value.string(word).bytes) == 0 {
            return number
        }
        let known = words.map { "'\($0)'" }.joined(separator: ", ")
        throw .badArgument(function: "subbits", reason: "takes one of \(known)")
    }
}

/// Some bits of a string.
struct BitRange {
    let bytes: Bytes
    /// The first bit; the highest of the first byte is 0.
    let offset: Int
    let count: Int

    /// All bits of a string or bit string.
    init(whole value: Value, _ function: String) throws(EvaluationError) {
        guard value.isText || value.kind == .bitString else {
            throw .badArgument(function: function, reason: "takes a string, not \(value.kind)")
        }
        let count = value.kind == .bitString ? Int(value.count) : Int(value.count) * 8
        self.init(bytes: value.bytes, offset: 0, count: count)
    }

    private init(bytes: Bytes, offset: Int, count: Int) {
        self.bytes = bytes
        self.offset = offset
        self.count = count
    }

    /// - Parameter number: 0 to the count.
    func dropping(_ number: Int) -> BitRange { BitRange(bytes: bytes, offset: offset + number, count: count - number) }
    /// - Parameter number: 0 to the count.
    func prefix(_ number: Int) -> BitRange { BitRange(bytes: bytes, offset: offset, count: number) }

    /// Up to 8 bits, at the low end of a byte.
    private func bits(_ start: Int, _ end: Int) -> UInt8 {
        guard end > start else { return 0 }
        let first = offset + start
        let index = first / 8
        let high = UInt16(bytes[index]) << 8
        let low = index + 1 < bytes.count ? UInt16(bytes[index + 1]) : 0
        let aligned = (high | low) << UInt16(first % 8)
        return UInt8(truncatingIfNeeded: aligned >> UInt16(16 - (end - start)))
    }

    /// The n-th byte of the number that the bits stand for, from its low end.
    ///
    /// Little-endian bits that are not whole bytes have the rest at the number's high end.
    private func byte(_ index: Int, isLittle: Bool) -> UInt8 {
        isLittle
            ? bits(8 * index, Swift.min(8 * index + 8, count))
            : bits(Swift.max(0, count - 8 * index - 8), count - 8 * index)
    }

    private func word(_ index: Int, isLittle: Bool) -> UInt {
        var word: UInt = 0
        for position in 0..<8 where 8 * (index * 8 + position) < count {
            word |= UInt(byte(index * 8 + position, isLittle: isLittle)) << UInt(8 * position)
        }
        return word
    }

    /// - Throws: ``EvaluationError/memoryLimit`` for more bits than an integer may have.
    func integer(isSigned: Bool, isLittle: Bool, _ arena: Arena) throws(EvaluationError) -> Value {
        if count <= 64 {
            let word = word(0, isLittle: isLittle)
            if isSigned {
                let unused = UInt(64 - count)
                return .integer(count == 0 ? 0 : Int(bitPattern: word << unused) >> Int(unused))
            }
            if let small = Int(exactly: word) { return .integer(small) }
            return try arena.integer(BigInt(word))
        }
        guard count <= BigIntegerLimits.words * UInt.bitWidth else { throw .memoryLimit }
        let magnitude = BigUInt(words: (0..<(count + 63) / 64).map { word($0, isLittle: isLittle) })
        let value = BigInt(magnitude)
        guard isSigned, magnitude.bitWidth == count else { return try arena.integer(value) }
        return try arena.integer(value - BigInt(1) << count)
    }

    /// - Returns: nil for bits that are no finite float of 16, 32 or 64 bits.
    func float(isLittle: Bool) -> Double? {
        let word = UInt64(word(0, isLittle: isLittle))
        let value: Double
        switch count {
        case 0: return 0
        case 16: value = Double(Float16(bitPattern: UInt16(truncatingIfNeeded: word)))
        case 32: value = Double(Float(bitPattern: UInt32(truncatingIfNeeded: word)))
        case 64: value = Double(bitPattern: word)
        default: return nil
        }
        return value.isFinite ? value : nil
    }

    /// A string where the bits are whole bytes, else a bit string.
    func string(_ arena: Arena) throws(EvaluationError) -> Value {
        if count == 0 { return .emptyString }
        if offset % 8 == 0, count % 8 == 0 {
            return .string(Bytes(rebasing: bytes[(offset / 8)..<((offset + count) / 8)]))
        }
        let copy = try arena.bytes(count: (count + 7) / 8)
        for index in 0..<copy.count {
            let end = Swift.min(8 * index + 8, count)
            copy[index] = bits(8 * index, end) << UInt8(8 * index + 8 - end)
        }
        return count % 8 == 0 ? .string(Bytes(copy)) : .bitString(Bytes(copy), count: count)
    }
}
