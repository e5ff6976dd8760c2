import Buffers
import RuleEngine
import Topics

/// Gives topics another name by rules of `rewrite`. Confined to one shard's thread. [EMQX: topic rewrite]
///
/// Of the rules whose `source_topic` matches, the one written last decides, whether its expression matches or not.
final class TopicRewriter {
    enum Action { case publish, subscribe }

    enum Outcome: Equatable {
        case unchanged
        case topic([UInt8])
        /// What came out is no topic, or a name put into it has a wildcard or a level of its own.
        case refused
    }

    private enum Part {
        case literal([UInt8])
        case clientID, username
        case group(Int)
    }

    private struct Rule {
        let source: [UInt8]
        let pattern: TextPattern
        let destination: [Part]
    }

    private var publishRules: [Rule] = []
    private var subscribeRules: [Rule] = []

    /// Whether PUBLISH has to ask.
    var rewritesPublishes: Bool { !publishRules.isEmpty }

    /// - Throws: ``RewriteError`` naming the rule.
    init(_ options: [RewriteOptions]) throws(RewriteError) {
        for (index, option) in options.enumerated() {
            guard withBytes(option.sourceTopic, { TopicSyntax.isFilter($0) }) else {
                throw RewriteError(number: index + 1, key: "source_topic", reason: "is no topic filter")
            }
            let pattern: TextPattern
            do { pattern = try TextPattern(option.expression) } catch {
                throw RewriteError(number: index + 1, key: "re", reason: "\(error)")
            }
            let rule = Rule(
                source: Array(option.sourceTopic.utf8), pattern: pattern,
                destination: Self.parts(of: Array(option.destination.utf8), groups: pattern.groupCount))
            if option.action != .subscribe { publishRules.insert(rule, at: 0) }
            if option.action != .publish { subscribeRules.insert(rule, at: 0) }
        }
    }

    /// Placeholders and group references; what names neither stays as it is.
    private static func parts(of text: [UInt8], groups: Int) -> [Part] {
        let names: [(text: String, part: Part)] = [
            ("${clientid}", .clientID), ("%c", .clientID), ("${username}", .username), ("%u", .username),
        ]
        var parts: [Part] = []
        var literal: [UInt8] = []
        var position = 0
        func flush() {
            if !literal.isEmpty { parts.append(.literal(literal)) }
            literal = []
        }
        while position < text.count {
            let rest = text[position...]
            if let name = names.first(where: { rest.starts(with: $0.text.utf8) }) {
                flush()
                parts.append(name.part)
                position += name.text.utf8.count
            } else if rest.first == UInt8(ascii: "$"), let (number, length) = number(rest.dropFirst(), most: groups) {
                flush()
                parts.append(.group(number))
                position += 1 + length
            } else {
                literal.append(text[position])
                position += 1
            }
        }
        flush()
        return parts
    }

    private static func number(_ digits: ArraySlice<UInt8>, most: Int) -> (number: Int, length: Int)? {
        var number = 0
        var length = 0
        for digit in digits.prefix(3) where digit &- 0x30 < 10 && length < 3 {
            let next = number * 10 + Int(digit - 0x30)
            guard next <= most else { break }
            number = next
            length += 1
        }
        return number > 0 ? (number, length) : nil
    }

    /// - Parameter topic: a topic, or a filter without the prefix of a shared subscription.
    func rewrite(_ action: Action, _ topic: Bytes, clientID: String, username: String?) -> Outcome {
        let rules = action == .publish ? publishRules : subscribeRules
        let rule = rules.first { rule in
            rule.source.withUnsafeBytes { TopicSyntax.matches(filter: $0, topic: topic) }
        }
        guard let rule, let groups = rule.pattern.groups(in: topic) else { return .unchanged }
        var result: [UInt8] = []
        for part in rule.destination {
            switch part {
            case .literal(let bytes): result += bytes
            case .group(let number): if let range = groups[number - 1] { result += topic[range] }
            case .clientID:
                guard append(clientID, or: "${clientid}", to: &result) else { return .refused }
            case .username:
                guard append(username ?? "", or: "${username}", to: &result) else { return .refused }
            }
        }
        let isValid = result.withUnsafeBytes {
            action == .publish ? TopicSyntax.isName($0) : TopicSyntax.isFilter($0)
        }
        return isValid && result.count <= 65_535 ? .topic(result) : .refused
    }

    /// A name stands for itself: one that would be a wildcard or more levels than one is not put in. An absent one
    /// leaves its placeholder.
    private func append(_ name: String, or placeholder: String, to result: inout [UInt8]) -> Bool {
        guard TopicPlaceholders.isLiteral(name) else { return false }
        result += (name.isEmpty ? placeholder : name).utf8
        return true
    }
}

/// A rule of `rewrite` that cannot be carried out.
package struct RewriteError: Error, CustomStringConvertible {
    package let number: Int
    package let key: String
    package let reason: String

    package var description: String { "rewrite.\(number).\(key): \(reason)" }
}

extension Shard {
    /// - Parameter publisher: nil for the broker itself.
    @inline(never)
    func rewrite(_ action: TopicRewriter.Action, _ topic: Bytes, publisher: Publisher?) -> TopicRewriter.Outcome {
        guard let rewriter else { return .unchanged }
        return rewriter.rewrite(action, topic, clientID: publisher?.clientID ?? "", username: publisher?.username)
    }
}
