package import Buffers

/// A regular expression outside the rule language, with the same library, limits and speed. Confined to one thread.
package final class TextPattern {
    private let pattern: CompiledPattern
    private let workspace = RegexWorkspace()

    package var groupCount: Int { pattern.groupCount }

    /// - Throws: ``EvaluationError/badArgument(function:reason:)`` with what is wrong and where.
    package init(_ text: String) throws(EvaluationError) {
        let bytes = Array(text.utf8)
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, bytes.count), alignment: 1)
        defer { copy.deallocate() }
        copy.copyBytes(from: bytes)
        pattern = try CompiledPattern(Bytes(rebasing: Bytes(copy)[..<bytes.count]), function: "re")
    }

    /// Searches for the first match.
    ///
    /// - Returns: the bytes that the groups cover, from group 1 on, nil for one that took no part; nil without a match,
    ///   also when the search had to be broken off.
    package func groups(in subject: Bytes) -> [Range<Int>?]? {
        do throws(EvaluationError) {
            guard try workspace.match(pattern, subject, function: "re") != nil else { return nil }
        } catch {
            return nil
        }
        return (0..<pattern.groupCount).map { workspace.group($0 + 1, in: subject) }
    }
}
