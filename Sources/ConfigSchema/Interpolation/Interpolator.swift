/// Replaces load-time references: `${env:NAME}`, `${env:NAME:-fallback}`, `${file:/path}`, `${var:name}`, `${node:name}`,
/// `${node:host}`. What is for run time (`${topic}`, `${json:x}`, `${x:-default}`) stays as it is.
package struct Interpolator: Sendable {
    package var environment: Environment
    /// `vars:` of the rule files, already interpolated.
    package var variables: [String: String]
    /// `name` and `host`.
    package var node: [String: String]

    package init(environment: Environment, variables: [String: String] = [:], node: [String: String] = [:]) {
        self.environment = environment
        self.variables = variables
        self.node = node
    }

    private static let kinds = ["env", "file", "var", "node"]
    /// Prefixes that mean something at run time.
    private static let runTimeKinds = ["json", "url", "base64", "hex", "date"]
    private static let maximumDepth = 8

    /// The tree with all references replaced in its values (keys are left alone).
    package func resolve(_ root: YAMLNode, _ problems: inout [ConfigProblem]) -> YAMLNode {
        var result = root
        switch root.content {
        case .scalar(let text): resolveScalar(text, &result, &problems)
        case .sequence(let items): result.content = .sequence(items.map { resolve($0, &problems) })
        case .mapping(let entries):
            result.content = .mapping(
                entries.map { YAMLEntry(key: $0.key, value: resolve($0.value, &problems)) })
        }
        return result
    }

    private func resolveScalar(_ text: String, _ node: inout YAMLNode, _ problems: inout [ConfigProblem]) {
        // A text is replaced once: what stands in a variable's value is not looked at.
        guard text.contains("${"), node.uninterpolated == nil else { return }
        var output = Output()
        let before = problems.count
        replace(Array(text.utf8), base: 0, depth: 0, node, &output, &problems)
        guard output.replaced else { return }
        node.content = .scalar(String(decoding: output.bytes, as: UTF8.self))
        node.uninterpolated = text
        node.isUnresolved = problems[before...].hasErrors
        node.holdsSecret = node.holdsSecret || output.isSecret
    }

    private struct Output {
        var bytes: [UInt8] = []
        var replaced = false
        var isSecret = false
    }

    /// Appends `text` with its references replaced; `base` is the text's offset in the node's value.
    private func replace(
        _ text: [UInt8], base: Int, depth: Int, _ node: YAMLNode, _ output: inout Output,
        _ problems: inout [ConfigProblem]
    ) {
        var index = 0
        while index < text.count {
            guard text[index] == UInt8(ascii: "$"), let reference = Self.reference(text, index) else {
                output.bytes.append(text[index])
                index += 1
                continue
            }
            if Self.kinds.contains(reference.kind) {
                output.replaced = true
                substitute(reference, text, base: base, depth: depth, node, &output, &problems)
            } else {
                warnIfMisspelt(reference, base: base, node, &problems)
                output.bytes += text[index..<reference.end]
            }
            index = reference.end
        }
    }

    private struct Reference {
        var kind: String
        var name: String
        /// Offsets of the fallback in the text, nil when there is none.
        var fallback: Range<Int>?
        var start: Int
        var end: Int
    }

    /// `${kind:…}` at an offset; nil when there is no such thing.
    private static func reference(_ text: [UInt8], _ start: Int) -> Reference? {
        guard start + 1 < text.count, text[start + 1] == UInt8(ascii: "{") else { return nil }
        var depth = 0
        var end = start + 1
        while end < text.count {
            if text[end] == UInt8(ascii: "{") { depth += 1 }
            if text[end] == UInt8(ascii: "}") { depth -= 1 }
            if depth == 0 { break }
            end += 1
        }
        guard end < text.count, let colon = text[start..<end].firstIndex(of: UInt8(ascii: ":")) else { return nil }
        let kind = text[start + 2..<colon]
        guard !kind.isEmpty, kind.allSatisfy({ (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) }) else {
            return nil
        }
        let body = text[colon + 1..<end]
        let dash = body.indices.first {
            body[$0] == UInt8(ascii: ":") && $0 + 1 < end && body[$0 + 1] == UInt8(ascii: "-")
        }
        return Reference(
            kind: String(decoding: kind, as: UTF8.self), name: String(decoding: body[..<(dash ?? end)], as: UTF8.self),
            fallback: dash.map { $0 + 2..<end }, start: start, end: end + 1)
    }

    private func substitute(
        _ reference: Reference, _ text: [UInt8], base: Int, depth: Int, _ node: YAMLNode, _ output: inout Output,
        _ problems: inout [ConfigProblem]
    ) {
        if let value = value(reference) {
            output.bytes += Array(value.utf8)
            if reference.kind == "env" || reference.kind == "file" { output.isSecret = true }
            return
        }
        if let fallback = reference.fallback, depth < Self.maximumDepth {
            replace(
                Array(text[fallback]), base: base + fallback.lowerBound, depth: depth + 1, node, &output, &problems)
            return
        }
        problems.append(missing(reference, base: base, node))
    }

    /// The value; nil when there is none, or an empty one and a fallback.
    private func value(_ reference: Reference) -> String? {
        let value: String?
        switch reference.kind {
        case "env": value = environment.variables[reference.name]
        case "var": value = variables[reference.name]
        case "node": value = node[reference.name]
        default: value = environment.readFile(reference.name).map(Self.withoutFinalNewline)
        }
        return value?.isEmpty == true && reference.fallback != nil ? nil : value
    }

    private static func withoutFinalNewline(_ bytes: [UInt8]) -> String {
        var bytes = bytes
        if bytes.last == 0x0A { bytes.removeLast() }
        if bytes.last == 0x0D { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func missing(_ reference: Reference, base: Int, _ node: YAMLNode) -> ConfigProblem {
        let near: String?
        switch reference.kind {
        case "env": near = didYouMean(reference.name, environment.variables.keys.sorted())
        case "var": near = didYouMean(reference.name, variables.keys.sorted())
        case "node": near = didYouMean(reference.name, self.node.keys.sorted())
        default: near = nil
        }
        let hint = near.map { "did you mean \"\($0)\"?" }
        switch reference.kind {
        case "env":
            let set = hint ?? "set it, or write ${env:\(reference.name):-fallback}"
            return place(reference, base, node, .notSet, "the environment variable \(reference.name) is not set", set)
        case "file":
            return place(reference, base, node, .unreadableFile, "the file \(reference.name) cannot be read", nil)
        default:
            return place(reference, base, node, .notSet, "\(reference.kind):\(reference.name) is not defined", hint)
        }
    }

    private func warnIfMisspelt(_ reference: Reference, base: Int, _ node: YAMLNode, _ problems: inout [ConfigProblem])
    {
        guard !Self.runTimeKinds.contains(reference.kind), !reference.name.hasPrefix("-"),
            let near = didYouMean(reference.kind, Self.kinds + Self.runTimeKinds)
        else { return }
        var problem = place(
            reference, base, node, .oddReference,
            "${\(reference.kind):…} is plain text: \"\(reference.kind)\" is no kind of "
                + "reference", "did you mean \"\(near)\"?")
        problem.severity = .warning
        problems.append(problem)
    }

    private func place(
        _ reference: Reference, _ base: Int, _ node: YAMLNode, _ code: ProblemCode, _ message: String, _ hint: String?
    ) -> ConfigProblem {
        let position = node.position(ofByteOffset: base + reference.start)
        let exact = node.hasExactPositions
        return ConfigProblem(
            code, message, hint: hint, in: node.source, at: position,
            length: exact ? reference.end - reference.start : node.markedLength)
    }
}
