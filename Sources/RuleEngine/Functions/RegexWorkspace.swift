internal import Buffers
import CPCRE2
internal import Glibc

/// What matching needs beside the pattern: one for each ``EvaluationContext``, confined to its thread. After the first
/// use of a pattern a match allocates nothing.
final class RegexWorkspace {
    /// Backtracking steps of one match; beyond them it raises.
    private static let matchLimit: UInt32 = 1_000_000
    private static let heapLimit: UInt32 = 16 * 1024  // KiB
    /// Processor time that all matches of one call may take together.
    static let callNanoseconds = EvaluationLimits.nanoseconds

    private var lately: [CompiledPattern?] = Array(repeating: nil, count: 16)
    private let context = pcre2_match_context_create_8(nil)
    private let stack = pcre2_jit_stack_create_8(32 * 1024, 512 * 1024, nil)
    private var matchData: OpaquePointer?
    private var groupRoom = -1
    private let emptySubject = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)

    init() {
        pcre2_set_match_limit_8(context, Self.matchLimit)
        pcre2_set_heap_limit_8(context, Self.heapLimit)
        if let stack { pcre2_jit_stack_assign_8(context, nil, UnsafeMutableRawPointer(stack)) }
    }

    deinit {
        pcre2_match_data_free_8(matchData)
        pcre2_jit_stack_free_8(stack)
        pcre2_match_context_free_8(context)
        emptySubject.deallocate()
    }

    func pattern(_ source: Bytes, function: String) throws(EvaluationError) -> CompiledPattern {
        var hash: UInt32 = 2_166_136_261
        for byte in source { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        let slot = Int((hash ^ hash >> 16) & 15)
        if let known = lately[slot], known.source.withUnsafeBytes({ compareBytes($0, source) == 0 }) { return known }
        let pattern = try PatternCache.pattern(source, function: function)
        lately[slot] = pattern
        return pattern
    }

    /// Searches from an offset within the subject.
    ///
    /// - Returns: one more than the number of the last group that took part; nil when nothing matches.
    /// - Throws: ``EvaluationError/regexLimit``; ``EvaluationError/badArgument(function:reason:)`` for a subject that
    ///   is not UTF-8 where the pattern asks for it.
    func match(
        _ pattern: CompiledPattern, _ subject: Bytes, from start: Int = 0, options: UInt32 = 0, function: String
    ) throws(EvaluationError) -> Int? {
        if pattern.groupCount > groupRoom {
            pcre2_match_data_free_8(matchData)
            matchData = pcre2_match_data_create_8(UInt32(pattern.groupCount + 1), nil)
            groupRoom = matchData == nil ? -1 : pattern.groupCount
        }
        guard let matchData else { throw .memoryLimit }
        // Empty text may have no address.
        let base = subject.baseAddress ?? UnsafeRawPointer(emptySubject)
        let result = pcre2_match_8(
            pattern.code, base.assumingMemoryBound(to: UInt8.self),
            subject.count, start, options, matchData, context)
        if result > 0 { return Int(result) }
        switch result {
        case PCRE2_ERROR_NOMATCH: return nil
        case PCRE2_ERROR_MATCHLIMIT, PCRE2_ERROR_DEPTHLIMIT, PCRE2_ERROR_HEAPLIMIT, PCRE2_ERROR_JIT_STACKLIMIT,
            PCRE2_ERROR_RECURSELOOP:
            throw .regexLimit
        default: throw .badArgument(function: function, reason: "the subject cannot be matched (PCRE2 error \(result))")
        }
    }

    /// The bytes that a group of the last match covers; nil when it took no part.
    func group(_ number: Int, in subject: Bytes) -> Range<Int>? {
        guard number <= groupRoom, let offsets = pcre2_get_ovector_pointer_8(matchData) else { return nil }
        let start = offsets[number * 2]
        let end = offsets[number * 2 + 1]
        guard start >= 0, start <= end, end <= subject.count else { return nil }
        return start..<end
    }
}
