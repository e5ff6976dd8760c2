import RuleEngine

/// The topics that a republish template can render to, as far as its text and the rule's FROM tell.
struct TopicPattern {
    enum Level: Equatable {
        case text(String)
        /// One level that begins and ends so.
        case part(prefix: String, suffix: String)
        /// Any number of levels.
        case any
    }

    var levels: [Level]

    /// - Parameter topics: what `${topic}` can be; empty when the statement makes something else of it.
    /// - Returns: a pattern for each of `topics` that stands in the template; one without.
    static func patterns(_ template: String, extensions: Bool, topics: [String]) -> [TopicPattern] {
        let placeholders = Template.compile(template, extensions: extensions).placeholders
            .sorted { $0.span.lowerBound < $1.span.lowerBound }
        let usesTopic = placeholders.contains { $0.path == ["topic"] }
        let choices: [String?] = usesTopic && !topics.isEmpty ? topics.map { $0 } : [nil]
        return choices.map { topic in
            var levels: [Level] = [.text("")]
            var end = 0
            let bytes = Array(template.utf8)
            for placeholder in placeholders where placeholder.span.lowerBound >= end {
                append(String(decoding: bytes[end..<placeholder.span.lowerBound], as: UTF8.self), to: &levels)
                if placeholder.path == ["topic"], let topic {
                    append(filter: topic, to: &levels)
                } else {
                    appendUnknown(to: &levels)
                }
                end = placeholder.span.upperBound
            }
            append(String(decoding: bytes[end...], as: UTF8.self), to: &levels)
            return TopicPattern(levels: levels)
        }
    }

    /// Nothing of it is known: it would match whatever one holds against it.
    var isUnknown: Bool { levels.allSatisfy { $0 == .part(prefix: "", suffix: "") || $0 == .any } }

    /// Whether a topic of this pattern can be one that the filter takes.
    func canMatch(_ filter: String) -> Bool {
        let wanted = filter.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        return Self.overlap(levels[...], wanted[...])
    }

    private static func overlap(_ levels: ArraySlice<Level>, _ filter: ArraySlice<String>) -> Bool {
        if filter.first == "#" { return true }
        guard let level = levels.first else { return filter.isEmpty }
        if level == .any {
            return (0...filter.count).contains { overlap(levels.dropFirst(), filter.dropFirst($0)) }
        }
        guard let wanted = filter.first else { return false }
        switch level {
        case .any: return false
        case .text(let text): guard wanted == "+" || wanted == text else { return false }
        case .part(let prefix, let suffix):
            guard wanted == "+" || wanted.hasPrefix(prefix) && wanted.hasSuffix(suffix) else { return false }
        }
        return overlap(levels.dropFirst(), filter.dropFirst())
    }

    // MARK: building

    private static func append(_ text: String, to levels: inout [Level]) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        for (index, part) in parts.enumerated() {
            if index > 0 { levels.append(.text("")) }
            guard !part.isEmpty, let last = levels.popLast() else { continue }
            switch last {
            case .text(let before): levels.append(.text(before + part))
            case .part(let prefix, let suffix): levels.append(.part(prefix: prefix, suffix: suffix + part))
            case .any: levels += [.any, .part(prefix: "", suffix: part)]
            }
        }
    }

    private static func appendUnknown(to levels: inout [Level]) {
        switch levels.popLast() {
        case .text(let before)?: levels.append(.part(prefix: before, suffix: ""))
        case .part(let prefix, _)?: levels.append(.part(prefix: prefix, suffix: ""))
        case .any?: levels.append(.any)
        case nil: break
        }
    }

    private static func append(filter: String, to levels: inout [Level]) {
        for (index, part) in filter.split(separator: "/", omittingEmptySubsequences: false).enumerated() {
            if index > 0 { levels.append(.text("")) }
            switch part {
            case "+": appendUnknown(to: &levels)
            case "#":
                if levels.last == .text("") { levels.removeLast() }
                levels.append(.any)
            default: append(String(part), to: &levels)
            }
        }
    }
}
