import ConfigSchema

/// Changes to the text of a YAML file by byte ranges: what is not changed stays as it is written, comments and layout
/// included.
struct YAMLEdits {
    struct Refusal: Error { let reason: String }

    let source: SourceFile
    private var edits: [(range: Range<Int>, text: String)] = []
    private let lineBreak: String

    init(_ source: SourceFile) {
        self.source = source
        let firstFeed = source.bytes.firstIndex(of: 0x0A) ?? 0
        lineBreak = firstFeed > 0 && source.bytes[firstFeed - 1] == 0x0D ? "\r\n" : "\n"
    }

    var isEmpty: Bool { edits.isEmpty }

    /// The text with all changes.
    func applied() throws(Refusal) -> [UInt8] {
        let sorted = edits.sorted { a, b in
            (a.range.lowerBound, a.range.upperBound) < (b.range.lowerBound, b.range.upperBound)
        }
        var result: [UInt8] = []
        var position = 0
        for edit in sorted {
            guard edit.range.lowerBound >= position else { throw Refusal(reason: "two changes meet in one place") }
            result += source.bytes[position..<edit.range.lowerBound]
            result += Array(edit.text.utf8)
            position = edit.range.upperBound
        }
        return result + source.bytes[position...]
    }

    /// Adds another set of changes to the same text.
    mutating func add(_ other: YAMLEdits) { edits += other.edits }

    // MARK: Ranges

    /// The bytes of a node's content, without white space and comments behind it.
    func range(_ node: YAMLNode) -> Range<Int> {
        let start = source.byteOffset(of: node.start)
        return start..<max(start, end(node))
    }

    private func end(_ node: YAMLNode) -> Int {
        let end = source.byteOffset(of: node.end)
        guard node.style != .flow else { return end }
        switch node.content {
        case .sequence(let items): return items.last.map { self.end($0) } ?? end
        case .mapping(let entries): return entries.last.map { self.end($0.value) } ?? end
        case .scalar:
            guard node.style == .literal || node.style == .folded else { return end }
            var position = end
            while position > 0, [0x20, 0x09, 0x0A, 0x0D].contains(source.bytes[position - 1]) { position -= 1 }
            return position
        }
    }

    private func lineStart(_ offset: Int) -> Int {
        source.byteOffset(of: SourcePosition(line: source.position(ofByte: offset).line, column: 1))
    }

    /// In front of the line break.
    private func lineEnd(_ offset: Int) -> Int { source.lineEnd(source.position(ofByte: offset).line) }

    private func nextLine(_ offset: Int) -> Int {
        let line = source.position(ofByte: offset).line
        return line < source.lineCount
            ? source.byteOffset(of: SourcePosition(line: line + 1, column: 1)) : source.bytes.count
    }

    private func isFirstOnLine(_ offset: Int) -> Bool {
        source.bytes[lineStart(offset)..<offset].allSatisfy { $0 == 0x20 }
    }

    private func indent(_ offset: Int) -> String { String(repeating: " ", count: offset - lineStart(offset)) }

    /// Also true for a `#` in a text: then nothing is changed, which is safe.
    private func mayHoldComment(_ range: Range<Int>) -> Bool {
        range.contains { source.bytes[$0] == 0x23 && ($0 == 0 || [0x20, 0x09, 0x0A].contains(source.bytes[$0 - 1])) }
    }

    // MARK: Changes

    mutating func replace(_ node: YAMLNode, with text: String) throws(Refusal) {
        guard node.tag == nil else { throw Refusal(reason: "its tag would not fit the new value") }
        let range = range(node)
        var text = text
        if range.isEmpty {
            guard range.lowerBound > 0, source.bytes[range.lowerBound - 1] == 0x3A else {
                throw Refusal(reason: "there is no text to replace")
            }
            text = " " + text
        }
        if node.kind != .scalar || node.style == .literal || node.style == .folded {
            guard !mayHoldComment(range) else { throw Refusal(reason: "a comment in it would be lost") }
            // A list may stand below its key without further indentation; a value on one line may not.
            if node.style == .block, isFirstOnLine(range.lowerBound) { text = "  " + text }
        }
        edits.append((range, text))
    }

    /// Replaces the lines of a literal block, whose header and indentation stay.
    mutating func replaceLiteral(_ node: YAMLNode, with text: String, indent: Int) {
        let range = range(node)
        let first = nextLine(range.lowerBound)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let body = lines.map { $0.isEmpty ? "" : String(repeating: " ", count: indent) + $0 }
        edits.append((first..<max(first, range.upperBound), body.joined(separator: lineBreak)))
    }

    /// Takes elements out of a collection and adds others at its end.
    ///
    /// - Parameters:
    ///   - elements: where the collection's elements stand: from the key or the dash to the value's end.
    ///   - added: `key: value`, or the values of a list.
    mutating func change(_ node: YAMLNode, _ elements: [Range<Int>], removing removed: Set<Int>, adding added: [String])
        throws(Refusal)
    {
        guard removed.count < elements.count, !elements.isEmpty else {
            return try fillAnew(node, elements, added)
        }
        if node.style == .flow {
            try removeFromFlow(elements, removed)
        } else {
            try removeLines(elements, removed)
        }
        guard !added.isEmpty, let last = elements.indices.last(where: { !removed.contains($0) }) else { return }
        if node.style == .flow {
            let end = elements[last].upperBound
            edits.append((end..<end, added.map { ", " + $0 }.joined()))
        } else {
            let dash = node.kind == .sequence ? "- " : ""
            let end = lineEnd(max(elements[last].lowerBound, elements[last].upperBound - 1))
            let indent = indent(elements[0].lowerBound)
            edits.append((end..<end, added.map { lineBreak + indent + dash + $0 }.joined()))
        }
    }

    /// Nothing of what was there stays.
    private mutating func fillAnew(_ node: YAMLNode, _ elements: [Range<Int>], _ added: [String]) throws(Refusal) {
        let (open, close) = node.kind == .sequence ? ("[", "]") : ("{", "}")
        let flow = open + added.joined(separator: ", ") + close
        guard node.style == .block, let first = elements.first else { return try replace(node, with: flow) }
        try removeLines(elements, Set(elements.indices.dropFirst()))
        if added.isEmpty {
            edits.append((first, isFirstOnLine(first.lowerBound) ? "  " + flow : flow))
        } else {
            let dash = node.kind == .sequence ? "- " : ""
            edits.append((first, added.map { dash + $0 }.joined(separator: lineBreak + indent(first.lowerBound))))
        }
    }

    private mutating func removeFromFlow(_ elements: [Range<Int>], _ removed: Set<Int>) throws(Refusal) {
        var isLeading = true
        for index in elements.indices {
            guard removed.contains(index) else {
                isLeading = false
                continue
            }
            let range =
                isLeading
                ? elements[index].lowerBound..<elements[index + 1].lowerBound
                : elements[index - 1].upperBound..<elements[index].upperBound
            guard !mayHoldComment(range) else { throw Refusal(reason: "a comment in it would be lost") }
            edits.append((range, ""))
        }
    }

    /// Whole lines; what stands behind a dash on its line moves up instead.
    private mutating func removeLines(_ elements: [Range<Int>], _ removed: Set<Int>) throws(Refusal) {
        for index in removed.sorted() {
            let element = elements[index]
            if isFirstOnLine(element.lowerBound) {
                let last = max(element.lowerBound, element.upperBound - 1)
                edits.append((lineStart(element.lowerBound)..<nextLine(last), ""))
                continue
            }
            guard index + 1 < elements.count, !mayHoldComment(element.lowerBound..<elements[index + 1].lowerBound),
                !removed.contains(index + 1)
            else { throw Refusal(reason: "its first line cannot be taken out without touching others") }
            edits.append((element.lowerBound..<elements[index + 1].lowerBound, ""))
        }
    }
}
