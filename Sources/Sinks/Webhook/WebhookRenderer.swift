package import Buffers
package import RuleEngine

/// Makes a webhook's records: the URL and header lines only as far as they differ between records, and the body.
///
/// Values in the path are percent-encoded and cannot make a `.` or `..` segment; header values cannot end their line.
/// A record that would is refused. [RFC 3986 §3.3] [RFC 9110 §5.5]
package final class WebhookRenderer: RecordRenderer {
    private enum Body: Sendable {
        case none
        case row
        case text(Template)
        case json(TypedJSONTemplate)
    }

    private typealias Header = (name: Template, value: Template)

    /// The URL in front of the action's path, without a slash at its end.
    private let base: [UInt8]
    /// Nil when the URL is the same for all records.
    private let path: Template?
    private let variableHeaders: [Header]
    private let body: Body
    package let showsDeliveryID: Bool
    package let placeholders: [Template.Placeholder]
    /// The URL without the parts that vary.
    let constantURL: String
    /// `Name: value` for those that do not vary.
    let constantHeaders: [String]

    /// - Throws: what is wrong with the settings, in words.
    package init(_ settings: WebhookSettings) throws(SinkFailure) {
        guard settings.path.isEmpty || !settings.url.contains("?") else {
            throw SinkFailure("the URL has a query and the action has a path; write the query into the path")
        }
        let address = try WebhookAddress(settings.base)
        let actionPath = settings.effectivePath
        var all: [Template.Placeholder] = []
        func compile(_ text: String, _ mode: Template.Mode = .string) -> Template {
            let template = Template.compile(
                text, mode: mode, extensions: settings.extensions, missing: settings.missing)
            all += template.placeholders
            return template
        }
        base = Array(address.base.utf8)
        let path = compile(Self.encodingLiterals(actionPath, settings.extensions))
        if let constant = path.constant {
            constantURL = address.base + Self.joined(String(decoding: constant, as: UTF8.self))
            guard !Self.hasDotSegment(Array(constantURL.utf8)[...]) else {
                throw SinkFailure("the path has a segment \".\" or \"..\"")
            }
            self.path = nil
        } else {
            constantURL = address.base
            self.path = path
        }
        var variable: [Header] = []
        var constant: [String] = []
        for header in settings.effectiveHeaders {
            let pair = (name: compile(header.name), value: compile(header.value))
            guard pair.name.placeholders.isEmpty, pair.value.placeholders.isEmpty else {
                variable.append(pair)
                continue
            }
            // `${$}` is no placeholder and still not literal text.
            let line = try Self.line(
                String(decoding: pair.name.constant ?? [], as: UTF8.self),
                String(decoding: pair.value.constant ?? [], as: UTF8.self))
            constant.append(line)
        }
        variableHeaders = variable
        constantHeaders = constant
        switch settings.body {
        case _ where !settings.method.hasBody: body = .none
        case .row: body = .row
        case .text(let text):
            body = .text(compile(text, .body))
        case .json(let node):
            do throws(EvaluationError) {
                let template = try TypedJSONTemplate.compile(
                    node, extensions: settings.extensions, missing: settings.missing)
                all += template.placeholders
                body = .json(template)
            } catch {
                throw SinkFailure("the body has no JSON form: \(error)")
            }
        }
        placeholders = all
        showsDeliveryID = all.contains { $0.kind == .meta }
    }

    package func render(
        row: Value, use: RuleUse, into output: OutputBuffer, context: TemplateContext
    ) throws(EvaluationError) -> RenderedParts {
        var parts = RenderedParts()
        if let path {
            let mark = output.count
            try render(path, row, into: output, context)
            // The library that sends takes it as a C string.
            output.append(UInt8(0))
            parts.target = output.count - mark
        }
        if !variableHeaders.isEmpty {
            let mark = output.count
            for header in variableHeaders { try render(header, row, into: output, context) }
            parts.headers = output.count - mark
        }
        switch body {
        case .none: break
        case .row: try context.appendRow(row, to: output)
        case .text(let template): try template.render(row: row, into: output, context: context)
        case .json(let template): try template.render(row: row, into: output, context: context)
        }
        return parts
    }
}

// The URL.
extension WebhookRenderer {
    private func render(
        _ path: Template, _ row: Value, into output: OutputBuffer, _ context: TemplateContext
    ) throws(EvaluationError) {
        output.append(base)
        let joint = output.count
        try path.render(row: row, into: output, context: context, escaping: .percent)
        let first = output.count > joint ? output.bytes[joint] : UInt8(ascii: "?")
        if first != UInt8(ascii: "/"), first != UInt8(ascii: "?") {
            // A path that begins with a value: the slash in front of it is missing.
            let rest = try context.arena.string(copying: Bytes(rebasing: output.bytes[joint...])).bytes
            output.truncate(to: joint)
            output.append(UInt8(ascii: "/"))
            output.append(rest)
        }
        let rendered = output.bytes[joint...]
        guard rendered.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw .badArgument(function: "http", reason: "the rendered path has a control character or a space")
        }
        guard !Self.hasDotSegment(rendered) else {
            throw .badArgument(function: "http", reason: "the rendered path has a segment \".\" or \"..\"")
        }
    }

    /// Percent-encodes what the path's author wrote and a request line cannot bear; placeholders stay.
    private static func encodingLiterals(_ path: String, _ extensions: Bool) -> String {
        let bytes = Array(path.utf8)
        let spans = Template.compile(path, extensions: extensions).placeholders.map(\.span)
        var result: [UInt8] = []
        for (index, byte) in bytes.enumerated() {
            if byte > 0x20, byte < 0x7F {
                result.append(byte)
            } else if spans.contains(where: { $0.contains(index) }) {
                result.append(byte)
            } else {
                let digits = Array("0123456789ABCDEF".utf8)
                result += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func joined(_ path: String) -> String {
        path.isEmpty || path.hasPrefix("/") || path.hasPrefix("?") ? path : "/" + path
    }

    /// Whether a segment in front of the query is `.` or `..`, in any spelling.
    static func hasDotSegment<Text: Collection<UInt8>>(_ text: Text) -> Bool {
        let path = text.prefix { $0 != UInt8(ascii: "?") }
        return path.split(separator: UInt8(ascii: "/")).contains { segment in
            let plain = String(decoding: segment, as: UTF8.self).lowercased().replacingDots()
            return plain == "." || plain == ".."
        }
    }
}

extension String {
    /// `%2e` as the dot it stands for.
    fileprivate func replacingDots() -> String {
        guard contains("%") else { return self }
        var result = ""
        var rest = self[...]
        while let first = rest.first {
            if rest.hasPrefix("%2e") {
                result.append(".")
                rest = rest.dropFirst(3)
            } else {
                result.append(first)
                rest = rest.dropFirst()
            }
        }
        return result
    }
}

// Headers.
extension WebhookRenderer {
    private func render(
        _ header: Header, _ row: Value, into output: OutputBuffer, _ context: TemplateContext
    ) throws(EvaluationError) {
        let start = output.count
        try header.name.render(row: row, into: output, context: context)
        let name = output.bytes[start...]
        guard !name.isEmpty, name.allSatisfy(Self.isTokenCharacter) else {
            throw .badArgument(function: "http", reason: "a rendered header name is no token")
        }
        output.append(": ")
        let mark = output.count
        try header.value.render(row: row, into: output, context: context)
        let value = output.bytes[mark...]
        guard value.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
            throw .badArgument(function: "http", reason: "a rendered header value has a control character")
        }
        if value.isEmpty {
            // `Name:` removes a header in libcurl's list, `Name;` sends an empty one.
            output.truncate(to: mark - 2)
            output.append(UInt8(ascii: ";"))
        }
        output.append(UInt8(0))
    }

    private static func line(_ name: String, _ value: String) throws(SinkFailure) -> String {
        guard !name.isEmpty, name.utf8.allSatisfy(isTokenCharacter) else {
            throw SinkFailure("\"\(name.prefix(40))\" is no header name")
        }
        guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
            throw SinkFailure("the value of the header \(name) has a control character")
        }
        return value.isEmpty ? name + ";" : "\(name): \(value)"
    }

    /// [RFC 9110 §5.6.2]
    private static func isTokenCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E, 0x5F, 0x60, 0x7C, 0x7E: true
        default: false
        }
    }
}
