/// What a field takes: its name in messages and docs, how a node is read, how a value is shown.
package struct FieldType<Value: Sendable>: Sendable {
    /// `a duration such as 15s`: fits behind "expected".
    package let expectation: String
    /// Reports what is wrong and returns nil then.
    package let read: @Sendable (YAMLNode, inout ReadContext) -> Value?
    /// For docs: the value as one would write it.
    package let show: @Sendable (Value) -> String
    /// The fields below, for docs and for finding them by path.
    package let nested: FieldSet?
    /// True when the value is a secret: neither it nor its source line is printed.
    package let isSecret: Bool
    /// True when the word `null` is one of the values; elsewhere a key that is null counts as absent.
    package let takesNull: Bool

    package init(
        _ expectation: String, nested: FieldSet? = nil, isSecret: Bool = false, takesNull: Bool = false,
        show: @escaping @Sendable (Value) -> String = { "\($0)" },
        read: @escaping @Sendable (YAMLNode, inout ReadContext) -> Value?
    ) {
        self.expectation = expectation
        self.read = read
        self.show = show
        self.nested = nested
        self.isSecret = isSecret
        self.takesNull = takesNull
    }

    /// A type whose values are single scalars; `parse` returns nil for what does not fit.
    package static func scalar(
        _ expectation: String, show: @escaping @Sendable (Value) -> String = { "\($0)" },
        parse: @escaping @Sendable (String, YAMLScalar) -> Value?
    ) -> FieldType {
        FieldType(expectation, show: show) { node, context in
            guard let text = node.text, let scalar = node.resolvedScalar else {
                context.reportWrongType(node, expectation)
                return nil
            }
            if let value = parse(text, scalar) { return value }
            context.report(
                node.problem(.badValue, "\(context.pathText) takes \(expectation), not \(node.kindInWords)"))
            return nil
        }
    }

    /// The same type, refusing values that `accepts` does not like, with the words for it.
    package func limited(_ range: String, _ accepts: @escaping @Sendable (Value) -> Bool) -> FieldType {
        let read = read
        return FieldType(expectation, nested: nested, isSecret: isSecret, takesNull: takesNull, show: show) {
            node, context in
            guard let value = read(node, &context) else { return nil }
            if accepts(value) { return value }
            context.report(
                node.problem(
                    .outOfRange, "\(context.pathText) takes \(range)\(isSecret ? "" : ", not \(node.kindInWords)")"))
            return nil
        }
    }
}

extension ReadContext {
    package mutating func reportWrongType(_ node: YAMLNode, _ expectation: String) {
        report(node.problem(.wrongType, "\(pathText) takes \(expectation), not \(node.kindInWords)"))
    }
}

/// A value with the name it has in a map, in file order.
package struct Named<Value: Sendable>: Sendable {
    package var name: String
    package var value: Value
    /// The name in the file, for later problems.
    package var key: YAMLNode

    package init(name: String, value: Value, key: YAMLNode) {
        self.name = name
        self.value = value
        self.key = key
    }
}

/// A value, or no bound at all.
package enum Limit<Value: Sendable & Comparable>: Sendable, Equatable {
    case at(Value)
    case infinity

    /// Nil means infinity.
    package var finite: Value? {
        if case .at(let value) = self { value } else { nil }
    }
}
