import ConfigSchema
import RuleEngine

/// Compares what came with what a test wants. Wanted values may be matchers: `{$gt: 40}`, `{$regex: …}`, `{$any: true}`,
/// `{$type: number}`.
struct ValueMatcher {
    /// Whether objects may have more members than wanted.
    var allowsMore: Bool
    /// The first difference, with the path to it and the wanted node.
    typealias Difference = (node: YAMLNode, text: String)

    func difference(_ wanted: YAMLNode, _ actual: StoredValue, _ path: String) -> Difference? {
        if let operators = Self.matchers(wanted) {
            return operators.lazy.compactMap { matcher($0, actual, path) }.first
        }
        switch wanted.content {
        case .mapping(let entries): return object(entries, wanted, actual, path)
        case .sequence(let items): return list(items, wanted, actual, path)
        case .scalar(let text):
            let isEqual = wanted.scalar.map { Self.equals($0, text, actual) } ?? false
            return isEqual ? nil : differs(wanted, actual, path)
        }
    }

    private func differs(_ wanted: YAMLNode, _ actual: StoredValue, _ path: String) -> Difference {
        (wanted, "\(path) is \(Self.show(actual)), expected \(Self.cut(wanted.json))")
    }

    private func object(_ entries: [YAMLEntry], _ wanted: YAMLNode, _ actual: StoredValue, _ path: String)
        -> Difference?
    {
        guard case .object(let members) = actual else { return differs(wanted, actual, path) }
        for entry in entries {
            guard let member = members.first(where: { $0.key.elementsEqual(entry.name.utf8) }) else {
                if Self.matchers(entry.value)?.contains(where: { $0.name == "$any" && $0.value.scalar == .bool(false) })
                    == true
                {
                    continue
                }
                return (entry.key, "\(path) has no \"\(entry.name)\"")
            }
            if let difference = difference(entry.value, member.value, "\(path).\(entry.name)") { return difference }
        }
        guard !allowsMore else { return nil }
        let extra = members.first { member in !entries.contains { member.key.elementsEqual($0.name.utf8) } }
        return extra.map {
            (wanted, "\(path) has \"\(String(decoding: $0.key, as: UTF8.self))\", which is not expected")
        }
    }

    private func list(_ items: [YAMLNode], _ wanted: YAMLNode, _ actual: StoredValue, _ path: String) -> Difference? {
        guard case .array(let elements) = actual else { return differs(wanted, actual, path) }
        if items.count != elements.count {
            return (wanted, "\(path) has \(elements.count) elements, expected \(items.count)")
        }
        return zip(items, elements).enumerated().lazy
            .compactMap { difference($1.0, $1.1, "\(path)[\($0 + 1)]") }.first
    }

    // MARK: Scalars

    static func equals(_ wanted: YAMLScalar, _ text: String, _ actual: StoredValue) -> Bool {
        switch (wanted, actual) {
        case (.null, .null), (.null, .undefined): true
        case (.bool(let a), .boolean(let b)): a == b
        case (.int(let a), .integer(let b)): Int(a) == b
        case (.int(let a), .float(let b)): Double(a) == Double(bitPattern: b)
        case (.float(let a), .float(let b)): a == Double(bitPattern: b)
        case (.float(let a), .integer(let b)): a == Double(b)
        case (.string(let a), .string(let b)), (.string(let a), .atom(let b)): b.elementsEqual(a.utf8)
        case (.string(let a), .undefined): a == "undefined"
        default: false
        }
    }

    // MARK: Matchers

    private static let names = ["$gt", "$gte", "$lt", "$lte", "$regex", "$any", "$type"]

    static func matchers(_ node: YAMLNode) -> [YAMLEntry]? {
        guard let entries = node.entries, !entries.isEmpty, entries.allSatisfy({ names.contains($0.name) }) else {
            return nil
        }
        return entries
    }

    private func matcher(_ entry: YAMLEntry, _ actual: StoredValue, _ path: String) -> Difference? {
        let fits: Bool
        switch entry.name {
        case "$any": fits = true
        case "$type": fits = Self.typeNames(actual).contains(entry.value.text ?? "")
        case "$regex":
            guard let text = Self.text(actual) else { return differs(entry.value, actual, path) }
            guard let regex = try? Regex(entry.value.text ?? "") else {
                return (entry.value, "this is no regular expression")
            }
            fits = text.firstMatch(of: regex) != nil
        default:
            guard let bound = Self.number(RuleTestInput.value(entry.value)), let number = Self.number(actual) else {
                return differs(entry.value, actual, path)
            }
            switch entry.name {
            case "$gt": fits = number > bound
            case "$gte": fits = number >= bound
            case "$lt": fits = number < bound
            default: fits = number <= bound
            }
        }
        return fits
            ? nil
            : (entry.value, "\(path) is \(Self.show(actual)), expected \(entry.name) \(Self.cut(entry.value.json))")
    }

    private static func number(_ value: StoredValue) -> Double? {
        switch value {
        case .integer(let value): Double(value)
        case .float(let bits): Double(bitPattern: bits)
        default: nil
        }
    }

    private static func text(_ value: StoredValue) -> String? {
        switch value {
        case .string(let bytes), .atom(let bytes): String(decoding: bytes, as: UTF8.self)
        default: nil
        }
    }

    private static func typeNames(_ value: StoredValue) -> [String] {
        switch value {
        case .undefined: ["undefined"]
        case .null: ["null"]
        case .boolean: ["boolean", "bool"]
        case .integer, .bigInteger: ["number", "integer", "int"]
        case .float: ["number", "float"]
        case .string, .atom: ["string"]
        case .bitString: ["bits"]
        case .array: ["array", "list"]
        case .object: ["object", "map"]
        }
    }

    // MARK: Words

    /// A value as a test's reader knows it.
    static func show(_ value: StoredValue) -> String { cut(json(value)) }

    private static func json(_ value: StoredValue) -> String {
        switch value {
        case .undefined: "undefined"
        case .null: "null"
        case .boolean(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .bigInteger: "a big integer"
        case .float(let bits): "\(Double(bitPattern: bits))"
        case .string(let bytes), .atom(let bytes): jsonQuoted(String(decoding: bytes, as: UTF8.self))
        case .bitString(_, let count): "\(count) bits"
        case .array(let elements): "[" + elements.map(json).joined(separator: ",") + "]"
        case .object(let members):
            "{"
                + members.map { "\(jsonQuoted(String(decoding: $0.key, as: UTF8.self))):\(json($0.value))" }.joined(
                    separator: ",") + "}"
        }
    }

    private static func cut(_ text: String) -> String { text.count > 200 ? text.prefix(200) + "…" : text }
}
