import CPCRE2

/// A regular expression of a rule or a ban. What it is matched with comes from outside, so the work is bounded.
///
/// Nothing changes after `init`; PCRE2 allows the use of the compiled code from many threads at once.
package final class AccessPattern: Sendable {
    package let source: String
    /// Owned: freed by `deinit`.
    private nonisolated(unsafe) let code: OpaquePointer
    private nonisolated(unsafe) let limits: OpaquePointer

    package init(_ source: String) throws(AccessRuleError) {
        self.source = source
        var error: CInt = 0
        var offset = 0
        let bytes = source.bytes
        guard bytes.count <= 4096, let code = pcre2_compile_8(bytes, bytes.count, 0, &error, &offset, nil),
            let limits = pcre2_match_context_create_8(nil)
        else { throw AccessRuleError("\"\(source)\" is no regular expression (at byte \(offset))") }
        pcre2_set_match_limit_8(limits, 100_000)
        pcre2_set_depth_limit_8(limits, 1000)
        self.code = code
        self.limits = limits
    }

    deinit {
        pcre2_match_context_free_8(limits)
        pcre2_code_free_8(code)
    }

    /// False too when the limit of work is reached.
    package func matches(_ text: String) -> Bool {
        guard let data = pcre2_match_data_create_from_pattern_8(code, nil) else { return false }
        defer { pcre2_match_data_free_8(data) }
        let bytes = text.bytes
        return pcre2_match_8(code, bytes, bytes.count, 0, 0, data, limits) >= 0
    }
}
