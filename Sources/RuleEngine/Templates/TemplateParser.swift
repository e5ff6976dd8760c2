/// Finds the placeholders of a template's text.
struct TemplateParser {
    private let text: [UInt8]
    private let extensions: Bool
    private(set) var parts: [Template.Part] = []
    private(set) var pool: [UInt8] = []
    private(set) var steps: [Template.Step] = []
    private(set) var dates: [DatePattern] = []
    private(set) var placeholders: [Template.Placeholder] = []

    init(_ text: [UInt8], extensions: Bool) {
        self.text = text
        self.extensions = extensions
    }

    func key(_ step: Int) -> [UInt8] { Array(pool[steps[step].start..<steps[step].start + steps[step].count]) }

    mutating func parse() {
        var position = 0
        while position < text.count {
            if text[position] == UInt8(ascii: "$"), position + 1 < text.count, text[position + 1] == UInt8(ascii: "{"),
                let end = text[(position + 2)...].firstIndex(of: UInt8(ascii: "}")),
                placeholder(text[(position + 2)..<end], span: position..<end + 1)
            {
                position = end + 1
            } else {
                literal(text[position])
                position += 1
            }
        }
    }

    private mutating func literal(_ byte: UInt8) {
        if let last = parts.indices.last, parts[last].kind == .literal, parts[last].start + parts[last].count == pool.count {
            parts[last].count += 1
        } else {
            parts.append(Template.Part(kind: .literal, start: pool.count, count: 1))
        }
        pool.append(byte)
    }

    /// - Returns: false when it is none and its text stands for itself.
    private mutating func placeholder(_ inside: ArraySlice<UInt8>, span: Range<Int>) -> Bool {
        if inside.elementsEqual([UInt8(ascii: "$")]) {
            literal(UInt8(ascii: "$"))
            return true
        }
        if isPath(inside) {
            path(inside, .text, fallback: nil, span)
            return true
        }
        return extensions && extended(inside, span)
    }

    private func isPath(_ name: ArraySlice<UInt8>) -> Bool {
        name.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"), UInt8(ascii: "."): true
            default: false
            }
        }
    }

    private mutating func path(
        _ name: ArraySlice<UInt8>, _ filter: Template.Filter, fallback: ArraySlice<UInt8>?, _ span: Range<Int>
    ) {
        let dot = UInt8(ascii: ".")
        let trimmed = name.first == dot ? name.dropFirst() : name
        guard !trimmed.isEmpty else {
            parts.append(Template.Part(kind: .row, filter: filter))
            return note([], .row, fallback, span)
        }
        let keys = trimmed.split(separator: dot, omittingEmptySubsequences: false)
        var part = Template.Part(kind: metaKind(keys), filter: filter, start: steps.count, count: keys.count)
        for key in keys {
            steps.append(Template.Step(start: pool.count, count: key.count))
            pool += key
        }
        if let fallback {
            part.defaultStart = pool.count
            part.defaultCount = fallback.count
            pool += fallback
        }
        parts.append(part)
        note(keys.map { String(decoding: $0, as: UTF8.self) }, part.kind == .value ? .value : .meta, fallback, span)
    }

    private func metaKind(_ keys: [ArraySlice<UInt8>]) -> Template.PartKind {
        guard extensions, keys.count == 2, keys[0].elementsEqual("meta".utf8) else { return .value }
        if keys[1].elementsEqual("rule_id".utf8) { return .ruleID }
        if keys[1].elementsEqual("attempt".utf8) { return .attempt }
        return keys[1].elementsEqual("delivery_id".utf8) ? .deliveryID : .value
    }

    /// `date:pattern`, or `[filter:]path[:-default]`.
    private mutating func extended(_ inside: ArraySlice<UInt8>, _ span: Range<Int>) -> Bool {
        guard let colon = inside.firstIndex(of: UInt8(ascii: ":")) else { return false }
        var rest = inside
        var filter = Template.Filter.text
        if colon + 1 >= inside.endIndex || inside[colon + 1] != UInt8(ascii: "-") {
            let after = inside[(colon + 1)...]
            switch String(decoding: inside[..<colon], as: UTF8.self) {
            case "date":
                parts.append(Template.Part(kind: .date, start: dates.count))
                dates.append(DatePattern(String(decoding: after, as: UTF8.self)))
                note([], .date, nil, span)
                return true
            case "json": filter = .json
            case "url": filter = .url
            case "base64": filter = .base64
            case "hex": filter = .hex
            default: return false
            }
            rest = after
        }
        var fallback: ArraySlice<UInt8>?
        if let colon = rest.firstIndex(of: UInt8(ascii: ":")) {
            guard colon + 1 < rest.endIndex, rest[colon + 1] == UInt8(ascii: "-") else { return false }
            fallback = rest[(colon + 2)...]
            rest = rest[..<colon]
        }
        guard isPath(rest) else { return false }
        path(rest, filter, fallback: fallback, span)
        return true
    }

    private mutating func note(
        _ path: [String], _ kind: Template.Placeholder.Kind, _ fallback: ArraySlice<UInt8>?, _ span: Range<Int>
    ) {
        placeholders.append(
            Template.Placeholder(path: path, span: span, hasDefault: fallback != nil, kind: kind))
    }
}
