import ConfigSchema

/// Builds the request to an HTTP service from what it is to know. Values are encoded for where they stand: in the URL, in
/// JSON or in a form.
struct HTTPRequestTemplate: Sendable {
    private let method: HTTPAccessSettings.Method
    /// Scheme and authority: constant, so that no value chooses the host.
    private let origin: String
    private let path: Template
    private let fields: [(name: String, value: Template)]
    private let headers: [String]
    private let isForm: Bool

    init(_ settings: HTTPAccessSettings, allowed: Set<Template.Placeholder>) throws(AccessRuleError) {
        method = settings.method
        let url = settings.url
        guard url.hasPrefix("http://") || url.hasPrefix("https://"), let slashes = url.firstRange(of: "://") else {
            throw AccessRuleError("the URL begins with http:// or https://")
        }
        let end = url[slashes.upperBound...].firstIndex { $0 == "/" || $0 == "?" } ?? url.endIndex
        origin = String(url[..<end])
        guard end > slashes.upperBound, !origin.contains("${"), !origin.contains("@") else {
            throw AccessRuleError("the URL needs a host without placeholders and without user name")
        }
        path = try Template(String(url[end...]), allowed: allowed)
        var fields: [(name: String, value: Template)] = []
        for (name, value) in settings.body { fields.append((name, try Template(value, allowed: allowed))) }
        self.fields = fields
        var headers: [String] = []
        var isForm = false
        for (name, value) in settings.headers {
            guard !value.contains("${"), !(name + value).contains(where: \.isNewline) else {
                throw AccessRuleError("the header \(name) takes no placeholder and is one line")
            }
            if name.lowercased() == "content-type" {
                isForm = value.hasPrefix("application/x-www-form-urlencoded")
                continue
            }
            headers.append("\(name): \(value)")
        }
        self.isForm = isForm
        if method == .post {
            headers.append("Content-Type: \(isForm ? "application/x-www-form-urlencoded" : "application/json")")
        }
        self.headers = headers + ["Accept: application/json"]
    }

    /// - Parameter value: a placeholder's value; nil where the client has none, which is an empty text then.
    /// - Returns: nil when a value would lead to another path of the service: a client named `..`.
    func render(_ value: (Template.Placeholder) -> [UInt8]?) -> HTTPClient.Request? {
        func text(_ template: Template, encodes: Bool) -> [UInt8] {
            template.pieces.flatMap { piece in
                switch piece {
                case .text(let text): text
                case .value(let placeholder):
                    encodes ? Self.percentEncoded(value(placeholder) ?? []) : value(placeholder) ?? []
                }
            }
        }
        let path = text(path, encodes: true)
        let segments = path.prefix { $0 != UInt8(ascii: "?") }.split(separator: UInt8(ascii: "/"))
        guard !segments.contains(where: { $0.elementsEqual(".".utf8) || $0.elementsEqual("..".utf8) }) else {
            return nil
        }
        var url = origin + String(decoding: path, as: UTF8.self)
        let form = fields.map { field in
            String(decoding: Self.percentEncoded(field.name.bytes), as: UTF8.self) + "="
                + String(decoding: Self.percentEncoded(text(field.value, encodes: false)), as: UTF8.self)
        }.joined(separator: "&")
        guard method == .post else {
            if !form.isEmpty { url += (url.contains("?") ? "&" : "?") + form }
            return HTTPClient.Request(url: url, body: nil, headers: headers)
        }
        if isForm { return HTTPClient.Request(url: url, body: form.bytes, headers: headers) }
        var members: [String: JSONText] = [:]
        for field in fields {
            members[field.name] = .text(String(decoding: text(field.value, encodes: false), as: UTF8.self))
        }
        return HTTPClient.Request(url: url, body: JSONText.object(members).encoded(), headers: headers)
    }

    /// RFC 3986 §2.3: all but unreserved characters.
    static func percentEncoded(_ bytes: [UInt8]) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        return bytes.flatMap { byte -> [UInt8] in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                [byte]
            default: [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
    }
}
