internal import Buffers
import CPCRE2
internal import Glibc

/// What takes the place of a match, in the notation of Erlang's re:replace.
struct RegexReplacement {
    private enum Part {
        case literal(Bytes)
        case group(Int)
    }

    private var parts: [Part] = []

    /// - Parameter text: outlives this.
    /// - Throws: ``EvaluationError/badArgument(function:reason:)`` for `\g` without a number or `\g{` without its end.
    init(_ text: Bytes) throws(EvaluationError) {
        var position = 0
        var literal = 0
        while position < text.count {
            let byte = text[position]
            guard byte == UInt8(ascii: "&") || byte == UInt8(ascii: "\\") && position + 1 < text.count else {
                position += 1
                continue
            }
            appendLiteral(text.part(literal..<position))
            position += 1
            if byte == UInt8(ascii: "&") {
                parts.append(.group(0))
                literal = position
            } else {
                literal = try escape(text, &position)
            }
        }
        appendLiteral(text.part(literal..<text.count))
    }

    private mutating func appendLiteral(_ bytes: Bytes) {
        if bytes.count > 0 { parts.append(.literal(bytes)) }
    }

    /// - Parameter position: of the character behind the backslash; then behind the escape.
    /// - Returns: where literal text goes on: at the character if it stands for itself.
    private mutating func escape(_ text: Bytes, _ position: inout Int) throws(EvaluationError) -> Int {
        let letter = text[position]
        if letter == UInt8(ascii: "g"), position + 1 < text.count {
            position += 1
            let isBraced = text[position] == UInt8(ascii: "{")
            if isBraced { position += 1 }
            parts.append(.group(try number(text, &position)))
            guard isBraced else { return position }
            guard position < text.count, text[position] == UInt8(ascii: "}") else { throw Self.badGroup }
            position += 1
            return position
        }
        if letter >= UInt8(ascii: "1"), letter <= UInt8(ascii: "9") {
            parts.append(.group(try number(text, &position)))
            return position
        }
        position += 1
        return position - 1
    }

    private static let badGroup = EvaluationError.badArgument(
        function: "regex_replace", reason: "\\g is followed by the number of a group")

    private func number(_ text: Bytes, _ position: inout Int) throws(EvaluationError) -> Int {
        let start = position
        var number = 0
        while position < text.count, text[position] &- 0x30 < 10 {
            number = min(number * 10 + Int(text[position] - 0x30), 1 << 20)
            position += 1
        }
        guard position > start else { throw Self.badGroup }
        return number
    }
}

extension RegexReplacement {
    /// The subject with all matches replaced. Behind an empty match the search goes on with a non-empty one at the same
    /// place, then one character further.
    func replaceAll(
        _ pattern: CompiledPattern, in subject: Bytes, _ context: EvaluationContext
    ) throws(EvaluationError) -> Value {
        let regex = context.regex
        let output = context.arena.scratch
        output.removeAll()
        var clock = CallClock()
        var copied = 0
        var start = 0
        var options: UInt32 = 0
        var checked: UInt32 = 0
        while start <= subject.count {
            try clock.tick()
            let count = try regex.match(
                pattern, subject, from: start, options: options | checked, function: "regex_replace")
            checked = UInt32(PCRE2_NO_UTF_CHECK)
            guard let count, let match = regex.group(0, in: subject), match.lowerBound >= copied else {
                guard options != 0, start < subject.count else { break }
                start += step(subject, at: start, isUTF: pattern.isUTF)
                options = 0
                continue
            }
            output.append(subject.part(copied..<match.lowerBound))
            try appendParts(to: output, groups: count, subject, context)
            copied = match.upperBound
            start = max(start, match.upperBound)
            options = match.isEmpty ? UInt32(PCRE2_NOTEMPTY_ATSTART) | UInt32(PCRE2_ANCHORED) : 0
        }
        if copied == 0, output.isEmpty { return .string(subject) }
        output.append(subject.part(copied..<subject.count))
        return try context.arena.string(copying: output.bytes)
    }

    private func appendParts(
        to output: OutputBuffer, groups count: Int, _ subject: Bytes, _ context: EvaluationContext
    ) throws(EvaluationError) {
        for part in parts {
            switch part {
            case .literal(let bytes): output.append(bytes)
            case .group(let number):
                if number < count, let range = context.regex.group(number, in: subject) {
                    output.append(subject.part(range))
                }
            }
            guard output.count <= context.arena.limit else { throw .memoryLimit }
        }
    }

    private func step(_ subject: Bytes, at start: Int, isUTF: Bool) -> Int {
        isUTF ? subject.code(at: start).length : 1
    }
}

/// Bounds the processor time of a call that matches many times: each match has its limit of steps, their number has
/// none.
private struct CallClock {
    private var calls = 0
    private var deadline = 0

    mutating func tick() throws(EvaluationError) {
        calls += 1
        guard calls % 16 == 0 else { return }
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        let now = time.tv_sec * 1_000_000_000 + time.tv_nsec
        if deadline == 0 { deadline = now + RegexWorkspace.callNanoseconds }
        if now > deadline { throw .timeLimit }
    }
}
