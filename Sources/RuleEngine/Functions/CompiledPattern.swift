internal import Buffers
import CPCRE2
import Synchronization

/// A regular expression, compiled to machine code where the platform allows it. Used from all threads: nothing changes
/// after `init`.
final class CompiledPattern: Sendable {
    /// Longer ones raise.
    static let maximumLength = 16 * 1024

    let source: [UInt8]
    /// Owned: freed by `deinit`. PCRE2 allows its use from many threads at once.
    nonisolated(unsafe) let code: OpaquePointer
    let groupCount: Int
    /// The subject is read as UTF-8, not as bytes.
    let isUTF: Bool

    /// - Throws: ``EvaluationError/badArgument(function:reason:)`` with PCRE2's message.
    init(_ pattern: Bytes, function: String) throws(EvaluationError) {
        guard pattern.count <= Self.maximumLength else {
            throw .badArgument(function: function, reason: "the pattern is longer than \(Self.maximumLength) bytes")
        }
        source = Array(pattern)
        let (text, isUTF) = Self.withCurrentName(source)
        self.isUTF = isUTF
        var error: CInt = 0
        var offset = 0
        guard let code = pcre2_compile_8(text, text.count, 0, &error, &offset, nil) else {
            throw .badArgument(function: function, reason: Self.message(error, offset))
        }
        self.code = code
        // What cannot become machine code is interpreted, with the same results.
        _ = pcre2_jit_compile_8(code, PCRE2_JIT_COMPLETE)
        var count: UInt32 = 0
        _ = pcre2_pattern_info_8(code, UInt32(PCRE2_INFO_CAPTURECOUNT), &count)
        groupCount = Int(count)
    }

    deinit { pcre2_code_free_8(code) }

    /// `(*UTF8)` among the options at the start was the name of PCRE; PCRE2 knows `(*UTF)`.
    private static func withCurrentName(_ source: [UInt8]) -> (pattern: [UInt8], isUTF: Bool) {
        var result = source
        var isUTF = false
        var start = 0
        while result[start...].starts(with: "(*".utf8), let end = result[start...].firstIndex(of: UInt8(ascii: ")")) {
            let name = result[(start + 2)..<end]
            isUTF = isUTF || name.elementsEqual("UTF".utf8) || name.elementsEqual("UTF8".utf8)
            if name.elementsEqual("UTF8".utf8) {
                result.remove(at: end - 1)
                start = end
            } else {
                start = end + 1
            }
        }
        return (result, isUTF)
    }

    private static func message(_ error: CInt, _ offset: Int) -> String {
        var text = [UInt8](repeating: 0, count: 160)
        let length = pcre2_get_error_message_8(error, &text, text.count)
        return "the pattern: \(String(decoding: text.prefix(max(0, Int(length))), as: UTF8.self)) at byte \(offset)"
    }
}

/// Patterns compiled lately, shared by all shards; the one that came first leaves when there are too many.
enum PatternCache {
    private static let capacity = 256
    private static let table = Mutex(Table())

    private struct Table {
        var patterns: [[UInt8]: CompiledPattern] = [:]
        var order: [[UInt8]] = []
        var oldest = 0
    }

    static func pattern(_ source: Bytes, function: String) throws(EvaluationError) -> CompiledPattern {
        let key = Array(source)
        if let known = table.withLock({ $0.patterns[key] }) { return known }
        let pattern = try CompiledPattern(source, function: function)
        table.withLock { table in
            guard table.patterns.updateValue(pattern, forKey: key) == nil else { return }
            guard table.order.count >= capacity else { return table.order.append(key) }
            table.patterns[table.order[table.oldest]] = nil
            table.order[table.oldest] = key
            table.oldest = (table.oldest + 1) % capacity
        }
        return pattern
    }
}
