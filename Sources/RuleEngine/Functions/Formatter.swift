import BigInt
internal import Buffers

/// One run of a format `~F.P.PadModC` over arguments: width F, precision P, padding character, modifiers `t` and `l`,
/// directive C.
struct Formatter {
    struct Directive {
        /// Nil: as wide as the text.
        var width: Int?
        var isLeft = false
        var precision: Int?
        var padding: Bytes = Value.string(" ").bytes
        var isUnicode = false
        var letter: UInt8 = 0
    }

    private let function: String
    private let format: Bytes
    private let arguments: Arguments
    private let limit: Int
    private let output: OutputBuffer
    /// What a directive writes before it is fitted into its width.
    private let field = OutputBuffer(capacity: 64)
    private var position = 0
    private var used = 0

    init(function: String, format: Bytes, arguments: Arguments, limit: Int, output: OutputBuffer) {
        self.function = function
        self.format = format
        self.arguments = arguments
        self.limit = limit
        self.output = output
    }

    mutating func run() throws(EvaluationError) {
        while position < format.count {
            let stop = format[position...].firstIndex(of: UInt8(ascii: "~")) ?? format.count
            output.append(format.part(position..<stop))
            position = stop
            guard position < format.count else { break }
            position += 1
            try write(try directive())
            guard output.count <= limit else { throw .memoryLimit }
        }
        guard used == arguments.count else {
            throw failure("the format takes \(used) arguments, not \(arguments.count)")
        }
    }

    private func failure(_ reason: String) -> EvaluationError { .badArgument(function: function, reason: reason) }

    private mutating func next() throws(EvaluationError) -> Value {
        guard used < arguments.count else { throw failure("the format takes more than \(arguments.count) arguments") }
        used += 1
        return arguments[used - 1]
    }
}

// Reading directives.
extension Formatter {
    private mutating func directive() throws(EvaluationError) -> Directive {
        var directive = Directive()
        if take(UInt8(ascii: "-")) { directive.isLeft = true }
        directive.width = try number()
        if let width = directive.width, width < 0 {
            directive.isLeft = true
            directive.width = -width
        }
        if take(UInt8(ascii: ".")) {
            directive.precision = try number()
            if take(UInt8(ascii: ".")) { directive.padding = try paddingCharacter() }
        }
        while position < format.count {
            if take(UInt8(ascii: "t")) { directive.isUnicode = true } else if !take(UInt8(ascii: "l")) { break }
        }
        guard position < format.count else { throw failure("the format ends within a directive") }
        directive.letter = format[position]
        position += 1
        for size in [directive.width ?? 0, directive.precision ?? 0] where size > limit { throw .memoryLimit }
        return directive
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < format.count, format[position] == byte else { return false }
        position += 1
        return true
    }

    /// Digits, or `*` for the next argument.
    private mutating func number() throws(EvaluationError) -> Int? {
        if take(UInt8(ascii: "*")) {
            let value = try next()
            guard value.kind == .integer, (-limit...limit).contains(value.integer) else {
                throw failure("* takes an integer within the memory limit")
            }
            return value.integer
        }
        let start = position
        var number = 0
        while position < format.count, format[position] &- 0x30 < 10 {
            number = min(number * 10 + Int(format[position] - 0x30), 1 << 40)
            position += 1
        }
        return position > start ? number : nil
    }

    private static var printable: Bytes {
        Value.string(
            " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"
        ).bytes
    }

    private mutating func paddingCharacter() throws(EvaluationError) -> Bytes {
        if take(UInt8(ascii: "*")) {
            let value = try next()
            if value.kind == .string, value.count == 1 { return value.bytes }
            // The code of a printable character of ASCII.
            guard value.kind == .integer, 32...126 ~= value.integer else {
                throw failure("the padding is one printable character of ASCII")
            }
            return Self.printable.part(value.integer - 32..<value.integer - 31)
        }
        guard position < format.count else { throw failure("the format ends within a directive") }
        let (_, length) = format.code(at: position)
        position += length
        return format.part(position - length..<position)
    }
}

// Writing directives.
extension Formatter {
    private mutating func write(_ directive: Directive) throws(EvaluationError) {
        field.removeAll()
        switch directive.letter {
        case UInt8(ascii: "~"): try repeated(Value.string("~").bytes, directive.width ?? 1)
        case UInt8(ascii: "n"): try repeated(Value.string("\n").bytes, directive.width ?? 1)
        case UInt8(ascii: "i"): _ = try next()
        case UInt8(ascii: "c"): try character(directive)
        case UInt8(ascii: "s"):
            try appendString(try next(), depth: 0)
            try fitString(directive)
        case UInt8(ascii: "p"), UInt8(ascii: "P"), UInt8(ascii: "w"), UInt8(ascii: "W"):
            let isPretty = directive.letter | 0x20 == UInt8(ascii: "p")
            let value = try next()
            // The depth at which the output is cut, which has no effect here.
            if directive.letter & 0x20 == 0 { _ = try next() }
            try TermText(isPretty: isPretty, isUnicode: directive.isUnicode, output: field).append(value)
            // The width of a pretty term is that of its lines, and everything is one line here.
            if isPretty { output.append(field.bytes) } else { try fitTerm(directive) }
        case UInt8(ascii: "b"), UInt8(ascii: "B"), UInt8(ascii: "x"), UInt8(ascii: "X"), UInt8(ascii: "+"),
            UInt8(ascii: "#"):
            try integer(directive)
            try fitTerm(directive)
        case UInt8(ascii: "f"), UInt8(ascii: "e"), UInt8(ascii: "g"):
            let value = try next()
            guard value.kind == .float else { throw failure("the directive takes a float, not \(value.kind)") }
            guard DecimalDigits(value.float).append(directive.letter, precision: directive.precision, to: field) else {
                throw failure("the directive has no such precision")
            }
            try fitTerm(directive)
        default: throw failure("the format has an unknown directive")
        }
    }

    private func repeated(_ bytes: Bytes, _ count: Int) throws(EvaluationError) {
        guard count > 0, bytes.count > 0 else { return }
        let (size, overflow) = count.multipliedReportingOverflow(by: bytes.count)
        guard !overflow, size <= limit - min(limit, output.count) else { throw .memoryLimit }
        output.reserve(size)
        TextShape.repeated(bytes, UnsafeMutableRawBufferPointer(start: output.writePointer, count: size))
        output.advance(size)
    }

    private func pad(_ bytes: Bytes, _ missing: Int, _ directive: Directive) throws(EvaluationError) {
        if !directive.isLeft { try repeated(directive.padding, missing) }
        output.append(bytes)
        if directive.isLeft { try repeated(directive.padding, missing) }
    }

    /// Characters of the field; bytes where it is no UTF-8.
    private func fieldWidth() -> Int {
        if field.bytes.isOneByteGraphemes { return field.count }
        return String(validating: field.bytes, as: UTF8.self)?.count ?? field.count
    }

    /// Stars in place of what does not fit.
    private func fitTerm(_ directive: Directive) throws(EvaluationError) {
        let width = fieldWidth()
        guard let wanted = directive.width else { return output.append(field.bytes) }
        if width > wanted { return try repeated(Value.string("*").bytes, wanted) }
        try pad(field.bytes, wanted - width, directive)
    }

    /// Cut to the precision and fitted into the width.
    private func fitString(_ directive: Directive) throws(EvaluationError) {
        guard directive.width != nil || directive.precision != nil else { return output.append(field.bytes) }
        let width = directive.width ?? directive.precision ?? 0
        let precision = min(directive.precision ?? width, width)
        let available = fieldWidth()
        let shown = available > precision ? prefix(precision) : field.bytes
        if directive.width == nil {
            var left = directive
            left.isLeft = true
            return try pad(shown, width - min(width, available), left)
        }
        guard directive.precision != nil, available < precision else {
            return try pad(shown, width - min(available, precision), directive)
        }
        // Filled up to the precision at the right, and that to the width at the chosen side.
        if !directive.isLeft { try repeated(directive.padding, width - precision) }
        output.append(shown)
        try repeated(directive.padding, precision - available + (directive.isLeft ? width - precision : 0))
    }

    /// The first characters of the field.
    private func prefix(_ count: Int) -> Bytes {
        guard !field.bytes.isOneByteGraphemes, let text = String(validating: field.bytes, as: UTF8.self) else {
            return field.bytes.part(0..<min(count, field.count))
        }
        return field.bytes.part(0..<text.prefix(count).utf8.count)
    }
}

extension Formatter {
    private mutating func character(_ directive: Directive) throws(EvaluationError) {
        let value = try next()
        guard value.kind == .integer, let code = UInt32(exactly: value.integer), Unicode.Scalar(code) != nil else {
            throw failure("~c takes a code point")
        }
        appendScalar(code)
        let count = directive.precision ?? directive.width ?? 1
        let width = max(directive.width ?? count, count)
        if !directive.isLeft { try repeated(directive.padding, width - count) }
        try repeated(field.bytes, count)
        if directive.isLeft { try repeated(directive.padding, width - count) }
    }

    private func appendScalar(_ code: UInt32) {
        field.reserve(4)
        let target = field.writePointer.assumingMemoryBound(to: UInt8.self)
        if code < 0x80 { field.append(UInt8(code)) } else { field.advance(storeUTF8(code, at: target)) }
    }

    /// Text, words, or a list of characters and text.
    private func appendString(_ value: Value, depth: Int) throws(EvaluationError) {
        switch value.kind {
        case .string, .atom, .boolean, .null, .undefined: try value.appendText(to: field)
        case .array:
            guard depth < JSON.maximumDepth else { throw .depthLimit }
            for element in value.elements {
                if element.kind == .integer {
                    guard let code = UInt32(exactly: element.integer), Unicode.Scalar(code) != nil else {
                        throw failure("~s takes text, not numbers")
                    }
                    appendScalar(code)
                } else if element.kind == .string || element.kind == .array {
                    try appendString(element, depth: depth + 1)
                } else {
                    throw failure("~s takes text, not \(element.kind)")
                }
                guard field.count <= limit else { throw .memoryLimit }
            }
        default: throw failure("~s takes text, not \(value.kind)")
        }
    }

    /// In the base that the precision gives, with a prefix for `~x`, `~X` (an argument) and `~#`, `~+` (the base).
    private mutating func integer(_ directive: Directive) throws(EvaluationError) {
        let value = try next()
        guard let number = BigInt(value) else { throw failure("the directive takes an integer, not \(value.kind)") }
        let base = directive.precision ?? 10
        guard (2...36).contains(base) else { throw failure("the base is 2 to 36") }
        guard number.magnitude.bitWidth <= BigIntegerLimits.digits * 3 else { throw .memoryLimit }
        let isUpper = [UInt8(ascii: "B"), UInt8(ascii: "X"), UInt8(ascii: "#")].contains(directive.letter)
        if number.sign == .minus { field.append(UInt8(ascii: "-")) }
        switch directive.letter {
        case UInt8(ascii: "x"), UInt8(ascii: "X"): try appendString(try next(), depth: 0)
        case UInt8(ascii: "#"), UInt8(ascii: "+"):
            field.append(decimal: base)
            field.append(UInt8(ascii: "#"))
        default: break
        }
        field.append(String(number.magnitude, radix: base, uppercase: isUpper))
    }
}
