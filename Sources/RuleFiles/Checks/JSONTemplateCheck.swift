import Buffers
import ConfigSchema
import RuleEngine

/// Renders templates that are meant to be JSON on trial, and reports those that cannot be it.
///
/// A value stands for each placeholder: text where the statement says that it is text, else a number, which is right both
/// inside of quotes and outside. So what is reported is wrong for every message.
enum JSONTemplateCheck {
    static func problems(_ rule: RuleDefinition, _ definition: RuleSetDefinition) -> [ConfigProblem] {
        let kinds = CompiledRule.outputKinds(ofSQL: rule.sql)
        return rule.actions.compactMap { use -> ConfigProblem? in
            guard let (node, extensions, why) = template(use, definition), let text = node.text, !text.isEmpty else {
                return nil
            }
            return problem(node, text, kinds, extensions, why)
        }
    }

    /// The template of an action that has to give JSON, and why it has to.
    private static func template(
        _ use: RuleActionUse, _ definition: RuleSetDefinition
    ) -> (node: YAMLNode, extensions: Bool, why: String)? {
        switch use.kind {
        case .console: return nil
        case .republish(let arguments):
            let type = arguments.mqttProperties.first { $0.name == "Content-Type" }?.value ?? ""
            let node = (use.node["args"] ?? use.node["republish"])?["payload"]
            if isJSON(type) { return node.map { ($0, arguments.extensions, "its Content-Type is \(type)") } }
            return node.flatMap { looksLikeJSON($0) ? ($0, arguments.extensions, "it begins like JSON") : nil }
        case .action(let id):
            guard let action = definition.action(id) else { return nil }
            switch action.type {
            case "http":
                let parameters = action.values[HTTPActionFields.parameters]
                let type = contentType(action, parameters)
                guard isJSON(type), let body = parameters.node(HTTPParameterFields.body) else { return nil }
                return (body, action.extensions, "its content-type is \(type)")
            case "file":
                guard let node = action.values.node(FileActionFields.template), looksLikeJSON(node) else { return nil }
                return (node, action.extensions, "it begins like JSON")
            default:
                let node = action.values[DiskLogFields.parameters].node(DiskLogFields.Parameters.template)
                return node.flatMap { looksLikeJSON($0) ? ($0, action.extensions, "it begins like JSON") : nil }
            }
        }
    }

    private static func contentType(_ action: ActionDefinition, _ parameters: ConfigValues) -> String {
        let own = parameters[HTTPParameterFields.headers]
        let connector = action.connector?.values[HTTPConnectorFields.headers] ?? []
        return (own + connector).first { $0.name.lowercased() == "content-type" }?.value ?? "application/json"
    }

    private static func isJSON(_ type: String) -> Bool { type.lowercased().contains("json") && !type.contains("${") }

    private static func looksLikeJSON(_ node: YAMLNode) -> Bool {
        guard let text = node.text, text.first == "{" else { return false }
        return text.dropFirst().drop { " \n\t".contains($0) }.first == "\""
    }

    // MARK: the trial

    private static func problem(
        _ node: YAMLNode, _ text: String, _ kinds: [String: CompiledRule.OutputKind], _ extensions: Bool, _ why: String
    ) -> ConfigProblem? {
        let template = Template.compile(text, extensions: extensions)
        let bytes = Array(text.utf8)
        var trial: [UInt8] = []
        var scanner = QuoteScanner()
        var end = 0
        for placeholder in template.placeholders.sorted(by: { $0.span.lowerBound < $1.span.lowerBound }) {
            guard placeholder.span.lowerBound >= end else { continue }
            let literal = bytes[end..<placeholder.span.lowerBound]
            trial += literal
            scanner.read(literal)
            let written = String(decoding: bytes[placeholder.span], as: UTF8.self)
            let isText =
                placeholder.path.count == 1 && kinds[placeholder.path[0]] == .text && placeholder.kind == .value
            let isEncoded = written.hasPrefix("${json:")
            if isText, !isEncoded, !scanner.isInString {
                return ConfigProblem(
                    .templateNotJSON, "\(written) is text and stands outside of quotes, so this is not JSON; \(why)",
                    severity: .warning,
                    hint: extensions
                        ? "write \"\(written)\" in quotes, or ${json:\(placeholder.path[0])}"
                        : "write \"\(written)\" in quotes",
                    in: node.source, at: node.position(ofByteOffset: placeholder.span.lowerBound),
                    length: node.hasExactPositions ? placeholder.span.count : node.markedLength)
            }
            switch placeholder.kind {
            case .row: trial += Array((scanner.isInString ? "x" : "{}").utf8)
            case .meta: trial += Array((isEncoded ? "\"x\"" : "1").utf8)
            case .value, .date: trial += Array((isText && isEncoded ? "\"x\"" : "1").utf8)
            }
            end = placeholder.span.upperBound
        }
        trial += bytes[end...]
        guard !isValid(trial) else { return nil }
        return ConfigProblem(
            .templateNotJSON, "this is not JSON, whatever the values are; \(why)", severity: .warning,
            hint: "look at commas, quotes and brackets; on trial it came to \(shown(trial))", in: node.source,
            at: node.start, length: node.markedLength)
    }

    private static func shown(_ trial: [UInt8]) -> String {
        let text = String(decoding: trial, as: UTF8.self).split(whereSeparator: \.isWhitespace).joined(separator: " ")
        return text.count > 80 ? text.prefix(80) + "…" : text
    }

    private static func isValid(_ bytes: [UInt8]) -> Bool {
        let arena = Arena(chunkSize: 4096, limit: 4 * 1024 * 1024)
        do {
            _ = try bytes.withUnsafeBytes { (raw) throws(EvaluationError) in try JSON.decode(raw, in: arena) }
            return true
        } catch {
            return false
        }
    }

    /// Whether the text so far is inside a JSON string.
    private struct QuoteScanner {
        private(set) var isInString = false
        private var isEscaped = false

        mutating func read(_ bytes: ArraySlice<UInt8>) {
            for byte in bytes {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\"), isInString {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInString.toggle()
                }
            }
        }
    }
}
