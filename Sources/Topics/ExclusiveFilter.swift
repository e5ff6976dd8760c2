/// The filter of an exclusive subscription: `$exclusive/filter`. [EMQX: exclusive subscription]
package enum ExclusiveFilter {
    private static let prefix = "$exclusive/"

    /// The filter that topics are matched with; nil for a filter that is not exclusive.
    package static func inner(_ text: String) -> String? {
        guard text.utf8.starts(with: prefix.utf8) else { return nil }
        return String(Substring(text.utf8.dropFirst(prefix.utf8.count)))
    }
}
