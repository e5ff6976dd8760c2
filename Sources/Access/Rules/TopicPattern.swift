package import Buffers
import Topics

/// The topics that a rule speaks of: a filter whose levels may hold `${clientid}` and the like, or with `eq ` one text.
///
/// The pattern is cut into levels first and the values are put in afterwards, and compared as text. So a value with `+`,
/// `#` or `/` in it never becomes a wildcard or another level: no topic matches it. [CVE-2017-7650]
package struct TopicPattern: Sendable, Equatable {
    enum Level: Sendable, Equatable {
        case literal([UInt8])
        case template(Template)
        case single
        case multi
    }

    let levels: [Level]
    /// `eq a/#`: this very text and nothing that it would match. [EMQX acl: eq]
    let exact: [UInt8]?

    /// - Throws: what is wrong with it, in words.
    package init(_ text: String) throws(AccessRuleError) {
        if text.hasPrefix("eq ") {
            exact = String(text.dropFirst(3)).bytes
            levels = []
            return
        }
        exact = nil
        var bytes = text
        guard bytes.withUTF8({ TopicSyntax.isFilter(Bytes($0)) }) else {
            throw AccessRuleError("\"\(text)\" is no topic filter")
        }
        var levels: [Level] = []
        for part in text.split(separator: "/", omittingEmptySubsequences: false) {
            switch part {
            case "+": levels.append(.single)
            case "#": levels.append(.multi)
            default:
                let template = try Template(String(part))
                levels.append(template.constant.map { .literal($0) } ?? .template(template))
            }
        }
        self.levels = levels
    }

    /// Whether every topic that the topic or filter stands for is the pattern's: what a rule that allows must say.
    package func covers(_ filter: Bytes, for client: ClientAccess) -> Bool {
        if let exact { return exact.elementsEqual(filter) }
        var words = Words(filter)
        for (index, level) in levels.enumerated() {
            let word = words.next()
            switch level {
            case .multi:
                // `a/#` speaks of `a` as well. [MQTT-4.7.1-2]
                return index > 0 || !(word.map(Self.isSystem) ?? false)
            case .single:
                guard let word, !Self.isMulti(word), index > 0 || !Self.isSystem(word) else { return false }
            case .literal(let text):
                guard let word, text.elementsEqual(word) else { return false }
            case .template(let template):
                guard let word, !Self.isWildcard(word), template.equals(word, client) else { return false }
            }
        }
        return words.next() == nil
    }

    /// Whether some topic is the pattern's and the filter's: enough for a rule that denies, since a message on it would
    /// reach the client.
    package func overlaps(_ filter: Bytes, for client: ClientAccess) -> Bool {
        if let exact { return exact.elementsEqual(filter) }
        var words = Words(filter)
        for (index, level) in levels.enumerated() {
            let word = words.next()
            if case .multi = level { return index > 0 || !(word.map(Self.isSystem) ?? false) }
            guard let word else { return false }
            if Self.isMulti(word) { return (index > 0 || !startsWithSystem(client)) && canMatch(client) }
            switch level {
            case .single: guard index > 0 || !Self.isSystem(word) else { return false }
            case .literal(let text):
                guard text.elementsEqual(word) || Self.isSingle(word) && (index > 0 || text.first != Self.dollar)
                else { return false }
            case .template(let template):
                guard let text = template.render(client), Self.isLevel(text),
                    text.elementsEqual(word) || Self.isSingle(word) && (index > 0 || text.first != Self.dollar)
                else { return false }
            case .multi: return true
            }
        }
        guard let last = words.next() else { return true }
        return Self.isMulti(last) && words.next() == nil
    }

    private func startsWithSystem(_ client: ClientAccess) -> Bool {
        switch levels.first {
        case .literal(let text): text.first == Self.dollar
        case .template(let template): template.render(client)?.first == Self.dollar
        default: false
        }
    }

    /// Whether all values are there and are levels.
    private func canMatch(_ client: ClientAccess) -> Bool {
        levels.allSatisfy { level in
            guard case .template(let template) = level else { return true }
            return template.render(client).map(Self.isLevel) ?? false
        }
    }

    private static let dollar = UInt8(ascii: "$")
    private static func isLevel(_ text: [UInt8]) -> Bool { !text.contains { "+#/\0".utf8.contains($0) } }
    private static func isSystem(_ word: Bytes) -> Bool { word.first == dollar }
    private static func isMulti(_ word: Bytes) -> Bool { word.count == 1 && word[0] == UInt8(ascii: "#") }
    private static func isSingle(_ word: Bytes) -> Bool { word.count == 1 && word[0] == UInt8(ascii: "+") }
    private static func isWildcard(_ word: Bytes) -> Bool { isMulti(word) || isSingle(word) }

    /// The levels of a topic, one after the other, in place.
    private struct Words {
        private let bytes: Bytes
        private var start = 0

        init(_ bytes: Bytes) { self.bytes = bytes }

        mutating func next() -> Bytes? {
            guard start <= bytes.count else { return nil }
            var end = start
            while end < bytes.count, bytes[end] != UInt8(ascii: "/") { end += 1 }
            defer { start = end + 1 }
            return Bytes(rebasing: bytes[start..<end])
        }
    }
}
