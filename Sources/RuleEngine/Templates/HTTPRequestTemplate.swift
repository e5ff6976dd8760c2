package import Buffers

package enum HTTPMethod: String, Sendable, CaseIterable {
    case get, post, put, patch, delete

    /// Get and delete send no body.
    package var hasBody: Bool { self != .get && self != .delete }
}

/// One side of a request's templates: the connector's or the action's.
package struct HTTPRequestParts: Sendable {
    package var path = ""
    package var headers: [(name: String, value: String)] = []

    package init(path: String = "", headers: [(name: String, value: String)] = []) {
        self.path = path
        self.headers = headers
    }
}

/// What a request's body is made of.
package enum HTTPBodySource: Sendable {
    /// The row as JSON.
    case row
    case text(String)
    case json(JSONTemplateNode)
}

/// A request, built. Its bytes lie in the context's arena: valid until its next reset.
package struct HTTPRequest {
    package var method: HTTPMethod
    /// Path and query, beginning with a slash.
    package var target: Bytes
    package var headers: UnsafeBufferPointer<Header>
    /// Nil where the method sends none; it may be empty.
    package var body: Bytes?

    package struct Header: BitwiseCopyable {
        package let name: Bytes
        package let value: Bytes
    }
}

/// The request of an HTTP action, compiled once. [EMQX rule-sql: http action]
package struct HTTPRequestTemplate: Sendable {
    package struct Options: Sendable {
        package var extensions = false
        package var missing = MissingPolicy.compat
        /// Whether values in the path are percent-encoded. EMQX lets them out raw; what would break the request line is
        /// encoded in any case.
        package var encodesPathValues = true
        package var allowedMethods: [HTTPMethod] = HTTPMethod.allCases

        package init() {}

        /// What EMQX does.
        package static var emqx: Options {
            var options = Options()
            options.encodesPathValues = false
            options.allowedMethods = [.post, .put, .get, .delete]
            return options
        }
    }

    private enum Body: Sendable {
        case text(Template)
        case json(TypedJSONTemplate)
    }

    private typealias HeaderTemplate = (name: Template, value: Template)

    private let method: Template
    private let basePath: Template
    private let path: Template
    private let connectorHeaders: [HeaderTemplate]
    private let actionHeaders: [HeaderTemplate]
    private let body: Body
    private let options: Options
    /// Those of all templates; the spans are those in their own text.
    package let placeholders: [Template.Placeholder]

    /// - Throws: what a literal in a JSON body raises that has no JSON form.
    package init(
        connector: HTTPRequestParts, action: HTTPRequestParts, method: String = "post", body: HTTPBodySource = .row,
        options: Options = Options()
    ) throws(EvaluationError) {
        var all: [Template.Placeholder] = []
        func compile(_ text: String, _ mode: Template.Mode = .string) -> Template {
            let template = Template.compile(text, mode: mode, extensions: options.extensions, missing: options.missing)
            all += template.placeholders
            return template
        }
        func headers(_ parts: HTTPRequestParts) -> [HeaderTemplate] {
            parts.headers.map { (compile($0.name), compile($0.value)) }
        }
        self.method = compile(method)
        basePath = compile(connector.path)
        path = compile(action.path)
        connectorHeaders = headers(connector)
        actionHeaders = headers(action)
        self.options = options
        switch body {
        case .row: self.body = .text(Template.wholeRow)
        case .text(let text): self.body = .text(compile(text, .body))
        case .json(let node):
            let typed = try TypedJSONTemplate.compile(node, extensions: options.extensions, missing: options.missing)
            all += typed.placeholders
            self.body = .json(typed)
        }
        placeholders = all
    }
}

extension HTTPRequestTemplate {
    /// The request for a row.
    ///
    /// - Throws: ``EvaluationError/badArgument(function:reason:)`` when the rendered method is none that is allowed or a
    ///   rendered header name is none.
    package func request(row: Value, context: TemplateContext) throws(EvaluationError) -> HTTPRequest {
        let method = try renderedMethod(row, context)
        return HTTPRequest(
            method: method, target: try target(row, context), headers: try headers(row, context),
            body: method.hasBody ? try renderedBody(row, context) : nil)
    }

    /// The body alone, for batches.
    package func appendBody(row: Value, to output: OutputBuffer, context: TemplateContext) throws(EvaluationError) {
        switch body {
        case .text(let template): try template.render(row: row, into: output, context: context)
        case .json(let template): try template.render(row: row, into: output, context: context)
        }
    }

    private func renderedMethod(_ row: Value, _ context: TemplateContext) throws(EvaluationError) -> HTTPMethod {
        let text = String(decoding: try method.bytes(row: row, context: context), as: UTF8.self)
        // All lower case or all upper case, as in EMQX.
        let method = options.allowedMethods.first { $0.rawValue == text || $0.rawValue.uppercased() == text }
        guard let method else { throw .badArgument(function: "http", reason: "the rendered method is not allowed") }
        return method
    }

    private func renderedBody(_ row: Value, _ context: TemplateContext) throws(EvaluationError) -> Bytes {
        if case .text(let template) = body { return try template.bytes(row: row, context: context) }
        let output = context.scratch
        output.removeAll()
        try appendBody(row: row, to: output, context: context)
        return try context.arena.string(copying: output.bytes).bytes
    }

    /// Base and action path with exactly one slash between; only the slash at the joint is touched.
    private func target(_ row: Value, _ context: TemplateContext) throws(EvaluationError) -> Bytes {
        let output = context.scratch
        output.removeAll()
        try render(basePath, row, output, context)
        try root(output, context)
        let joint = output.count
        try render(path, row, output, context)
        let slash = UInt8(ascii: "/")
        let rest = try context.arena.string(copying: Bytes(rebasing: output.bytes[joint...])).bytes
        output.truncate(to: joint)
        if let first = rest.first, first != UInt8(ascii: "?") {
            if joint > 0, output.bytes[joint - 1] == slash { output.truncate(to: joint - 1) }
            if first != slash { output.append(slash) }
        }
        output.append(rest)
        return try context.arena.string(copying: output.bytes).bytes
    }

    /// A base that does not begin with a slash gets one.
    private func root(_ output: OutputBuffer, _ context: TemplateContext) throws(EvaluationError) {
        guard output.bytes.first != UInt8(ascii: "/") else { return }
        let base = try context.arena.string(copying: output.bytes).bytes
        output.removeAll()
        output.append(UInt8(ascii: "/"))
        output.append(base)
    }

    private func render(
        _ template: Template, _ row: Value, _ output: OutputBuffer, _ context: TemplateContext
    ) throws(EvaluationError) {
        let mark = output.count
        let escaping: TemplateEscaping = options.encodesPathValues ? .percent : .none
        try template.render(row: row, into: output, context: context, escaping: escaping)
        try TemplateEscaping.requestTarget.apply(to: output, from: mark, in: context.arena)
    }
}

// Headers.
extension HTTPRequestTemplate {
    /// The action's override the connector's of the same name; names compare by their bytes.
    private func headers(
        _ row: Value, _ context: TemplateContext
    ) throws(EvaluationError) -> UnsafeBufferPointer<HTTPRequest.Header> {
        let headers = try context.arena.allocate(
            HTTPRequest.Header.self, count: connectorHeaders.count + actionHeaders.count)
        var count = 0
        for template in connectorHeaders { try put(template, row, context, headers, &count) }
        for template in actionHeaders { try put(template, row, context, headers, &count) }
        return UnsafeBufferPointer(rebasing: headers[0..<count])
    }

    private func put(
        _ template: HeaderTemplate, _ row: Value, _ context: TemplateContext,
        _ headers: UnsafeMutableBufferPointer<HTTPRequest.Header>, _ count: inout Int
    ) throws(EvaluationError) {
        let name = try template.name.bytes(row: row, context: context)
        guard !name.isEmpty, name.allSatisfy(HTTPRequestTemplate.isTokenCharacter) else {
            throw .badArgument(function: "http", reason: "a rendered header name is no token")
        }
        let value = try template.value.bytes(row: row, context: context, escaping: .header)
        let header = HTTPRequest.Header(name: name, value: value)
        for index in 0..<count where compareBytes(headers[index].name, name) == 0 {
            headers[index] = header
            return
        }
        headers[count] = header
        count += 1
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
