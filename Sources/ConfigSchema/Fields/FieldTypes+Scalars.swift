extension FieldType where Value == Bool {
    package static var bool: FieldType {
        .scalar("true or false") { _, scalar in
            if case .bool(let value) = scalar { value } else { nil }
        }
    }
}

extension FieldType where Value == Int {
    package static var int: FieldType { .int(0...Int.max) }

    package static func int(_ range: ClosedRange<Int>) -> FieldType {
        FieldType.scalar(range == 0...Int.max ? "an integer" : "an integer \(words(range))") { _, scalar in
            if case .int(let value) = scalar { Int(exactly: value) } else { nil }
        }.limited("an integer \(words(range))") { range.contains($0) }
    }

    private static func words(_ range: ClosedRange<Int>) -> String {
        range.upperBound == Int.max ? "from \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
    }
}

extension FieldType where Value == Limit<Int> {
    /// An integer or `infinity`; with `zeroMeansInfinity` 0 is another word for it.
    package static func intOrInfinity(_ range: ClosedRange<Int> = 0...Int.max, zeroMeansInfinity: Bool = false)
        -> FieldType
    {
        FieldType.scalar("an integer or infinity", show: showLimit) { text, scalar in
            if text == "infinity" { return .infinity }
            guard case .int(let value) = scalar, let number = Int(exactly: value) else { return nil }
            return number == 0 && zeroMeansInfinity ? .infinity : .at(number)
        }.limited("an integer from \(range.lowerBound), or infinity") { $0.finite.map(range.contains) ?? true }
    }
}

extension FieldType where Value == Double {
    package static func number(_ range: ClosedRange<Double>) -> FieldType {
        FieldType.scalar("a number") { _, scalar in
            switch scalar {
            case .int(let value): Double(value)
            case .float(let value) where value.isFinite: value
            default: nil
            }
        }.limited("a number from \(range.lowerBound) to \(range.upperBound)") { range.contains($0) }
    }
}

extension FieldType where Value == String {
    /// Any text; plain numbers and booleans count as the text they are written as.
    package static var string: FieldType {
        .scalar("a text", show: { $0.isEmpty ? "\"\"" : $0 }) { text, _ in text }
    }

    package static var nonEmptyString: FieldType {
        FieldType.string.limited("a text that is not empty") { !$0.isEmpty }
    }

    /// One of some words.
    package static func choice(_ words: String...) -> FieldType {
        FieldType("one of \(words.joined(separator: ", "))", show: { $0 }) { node, context in
            guard let text = node.text else {
                context.reportWrongType(node, "one of \(words.joined(separator: ", "))")
                return nil
            }
            if words.contains(text) { return text }
            context.reportUnknownWord(node, text, words)
            return nil
        }
    }
}

extension FieldType where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    /// One of an enumeration's raw values.
    package static var choice: FieldType {
        let words = Value.allCases.map(\.rawValue)
        let takesNull = Value(rawValue: "null") != nil
        return FieldType("one of \(words.joined(separator: ", "))", takesNull: takesNull, show: { $0.rawValue }) {
            node, context in
            guard let text = node.text else {
                context.reportWrongType(node, "one of \(words.joined(separator: ", "))")
                return nil
            }
            if let value = Value(rawValue: text) { return value }
            context.reportUnknownWord(node, text, words)
            return nil
        }
    }
}

extension ReadContext {
    fileprivate mutating func reportUnknownWord(_ node: YAMLNode, _ text: String, _ words: [String]) {
        report(
            node.problem(
                .badValue, "\(pathText) takes one of \(words.joined(separator: ", ")), not \(node.kindInWords)",
                hint: didYouMean(text, words).map { "did you mean \"\($0)\"?" }))
    }
}

private func showLimit<Bound>(_ limit: Limit<Bound>) -> String {
    limit.finite.map { "\($0)" } ?? "infinity"
}

extension FieldType where Value == SecretString {
    /// A text that is never printed. Written out in the file it earns a warning: a reference keeps it out of backups.
    package static var secret: FieldType {
        FieldType("a secret text", isSecret: true, show: { _ in "******" }) { node, context in
            guard let text = node.text else {
                context.reportWrongType(node, "a secret text")
                return nil
            }
            if node.uninterpolated == nil, !text.isEmpty, !node.source.isVariable {
                context.report(
                    node.problem(
                        .literalSecret, "\(context.pathText) holds a secret in the file itself", severity: .warning,
                        hint: "use \"${env:NAME}\" or \"${file:/path}\"", showsSource: false))
            }
            return SecretString(text, reference: node.uninterpolated)
        }
    }
}

/// A text that prints as `******`.
package struct SecretString: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible {
    /// The secret itself; for the one place that needs it.
    package let revealed: String
    /// What the file says instead of it, such as `${env:HOOK_SECRET}`; nil when the file holds the secret itself.
    package let reference: String?

    package init(_ revealed: String, reference: String? = nil) {
        self.revealed = revealed
        self.reference = reference
    }

    package var isEmpty: Bool { revealed.isEmpty }
    package var description: String { "******" }
    package var debugDescription: String { "******" }
}
