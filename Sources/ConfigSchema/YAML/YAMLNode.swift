/// A node of a YAML document with its place in the source. A value: aliases are copies of what they name.
package struct YAMLNode: Sendable {
    package enum Kind: String, Sendable { case scalar, sequence, mapping }

    package enum Style: Sendable { case plain, singleQuoted, doubleQuoted, literal, folded, block, flow }

    package enum Content: Sendable {
        case scalar(String)
        case sequence([YAMLNode])
        case mapping([YAMLEntry])
    }

    package var content: Content
    package var style: Style
    package var source: SourceFile
    /// The first character of the content: behind an anchor or a tag, at the quote or the `|`.
    package var start: SourcePosition
    package var end: SourcePosition
    /// As written, `nil` when there is none. Only YAML's own tags are let in.
    package var tag: String?
    package var anchor: String?
    /// The scalar's text before load-time references in it were replaced; nil when there were none.
    package var uninterpolated: String?
    /// True when part of the text came from the environment or a file.
    package var holdsSecret = false
    /// True when a reference in the text leads nowhere, which is reported already: the text means nothing.
    package var isUnresolved = false

    package init(
        _ content: Content, style: Style, source: SourceFile, start: SourcePosition, end: SourcePosition,
        tag: String? = nil, anchor: String? = nil
    ) {
        self.content = content
        self.style = style
        self.source = source
        self.start = start
        self.end = end
        self.tag = tag
        self.anchor = anchor
    }

    package var kind: Kind {
        switch content {
        case .scalar: .scalar
        case .sequence: .sequence
        case .mapping: .mapping
        }
    }

    /// The scalar's text, nil for other kinds.
    package var text: String? {
        if case .scalar(let text) = content { text } else { nil }
    }

    package var items: [YAMLNode]? {
        if case .sequence(let items) = content { items } else { nil }
    }

    package var entries: [YAMLEntry]? {
        if case .mapping(let entries) = content { entries } else { nil }
    }

    /// The value of a key; nil when there is none or this is no mapping.
    package subscript(_ key: String) -> YAMLNode? { entry(key)?.value }

    package func entry(_ key: String) -> YAMLEntry? {
        entries?.first { $0.name == key }
    }

    /// The value behind a dotted path of keys.
    package func at(_ path: String...) -> YAMLNode? {
        path.reduce(Optional(self)) { $0?[$1] }
    }

    package var isNull: Bool {
        if case .null = scalar { true } else { false }
    }

    /// How many characters to underline: the scalar up to its line's end, or the bracket.
    package var markedLength: Int {
        guard kind == .scalar, style != .literal, style != .folded else { return 1 }
        return start.line == end.line ? max(end.column - start.column, 1) : 1
    }

    package func problem(
        _ code: ProblemCode, _ message: String, severity: ConfigProblem.Severity = .error, hint: String? = nil,
        showsSource: Bool = true
    ) -> ConfigProblem {
        ConfigProblem(
            code, message, severity: severity, hint: hint, in: source, at: start, length: markedLength,
            showsSource: showsSource)
    }
}

package struct YAMLEntry: Sendable {
    package var key: YAMLNode
    package var value: YAMLNode

    package init(key: YAMLNode, value: YAMLNode) {
        self.key = key
        self.value = value
    }

    /// The key's text; keys are always scalars.
    package var name: String { key.text ?? "" }
}
