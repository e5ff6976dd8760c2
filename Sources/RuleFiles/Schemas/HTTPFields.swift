package import ConfigSchema
package import RuleEngine
package import Sinks

/// An absolute `http` or `https` URL, taken apart.
package struct HTTPURL: Sendable, Hashable, CustomStringConvertible {
    package var isSecure: Bool
    /// With the port when one was written, with brackets for IPv6.
    package var authority: String
    /// Empty or beginning with `/`; may hold a query.
    package var path: String

    package var origin: String { "\(isSecure ? "https" : "http")://\(authority)" }
    package var description: String { origin + path }

    /// Nil unless it has a scheme and a host, and neither credentials nor a fragment.
    package init?(_ text: String) {
        let lower = text.lowercased()
        isSecure = lower.hasPrefix("https://")
        guard isSecure || lower.hasPrefix("http://") else { return nil }
        let rest = text.dropFirst(isSecure ? 8 : 7)
        let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        authority = String(rest[..<end])
        path = String(rest[end...])
        if path.hasPrefix("?") { path = "/" + path }
        guard !path.contains("#"), Self.isAuthority(authority) else { return nil }
    }

    private static func isAuthority(_ text: String) -> Bool {
        guard !text.isEmpty, !text.contains("@"), !text.contains("${"), text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { return false }
        let host: Substring
        var port: Substring = "0"
        if text.hasPrefix("[") {
            guard let close = text.firstIndex(of: "]") else { return false }
            host = text[...close]
            let tail = text[text.index(after: close)...]
            guard tail.isEmpty || tail.hasPrefix(":") else { return false }
            if !tail.isEmpty { port = tail.dropFirst() }
        } else {
            let colon = text.firstIndex(of: ":") ?? text.endIndex
            host = text[..<colon]
            if colon < text.endIndex { port = text[text.index(after: colon)...] }
        }
        return !host.isEmpty && (Int(port).map { (0...65535).contains($0) } ?? false)
    }
}

extension FieldType where Value == HTTPURL {
    static var httpURL: FieldType {
        .scalar("a URL such as https://host:8443/base, without credentials or placeholders in its host") { text, _ in
            HTTPURL(text)
        }
    }
}

/// `connectors.http.<name>`. [EMQX http connector]
package enum HTTPConnectorFields {
    package enum Verify: String, Sendable, CaseIterable {
        case none = "verify_none"
        case peer = "verify_peer"
    }

    package static let url = Field("url", .httpURL, .required, hotReload: true, doc: "scheme://host[:port][/base]")
    package static let enable = Field("enable", .bool, default: true, hotReload: true, doc: "Whether its actions work.")
    package static let description = Field(
        "description", .string, default: "", hotReload: true, doc: "Shown in the UI.")
    package static let tags = Field("tags", .list(.string), default: [], hotReload: true, doc: "For searching.")
    package static let headers = Field(
        "headers", .map(.string), default: [], hotReload: true, doc: "Templates, for all actions.")
    package static let connectTimeout = Field(
        "connect_timeout", .duration, default: .seconds(15), hotReload: true, doc: "TCP and TLS.")
    package static let poolSize = Field(
        "pool_size", .int(1...1024), default: 8, hotReload: true, doc: "Most connections of a node.")
    package static let poolType = Field(
        "pool_type", .choice("random", "hash"), default: "random", noEffect: "the action's \"order\" decides",
        doc: "Read for EMQX's files.")
    package static let pipelining = Field(
        "enable_pipelining", .int(1...65535), default: 100, noEffect: "the action's inflight_window decides",
        doc: "Read for EMQX's files.")
    package static let version = Field(
        "http_version", FieldType<HTTPVersionChoice>.choice, default: .auto, hotReload: true,
        doc: "HTTP/2 where TLS agrees on it.")
    package static let proxy = Field("proxy", .string, default: "", hotReload: true, doc: "http:// or socks5h:// URL.")
    package static let allowHosts = Field(
        "allow_hosts", .list(.nonEmptyString), default: [], hotReload: true,
        doc: "Public names that may lead to private addresses.")

    package enum TLS {
        package static let enable = Field("enable", .bool, default: false, doc: "Implied by https.")
        package static let verify = Field(
            "verify", FieldType<Verify>.choice, default: .peer, doc: "Differs from EMQX: verify_peer.")
        package static let ca = Field("cacertfile", .nonEmptyString, doc: "PEM; default the system's.")
        package static let certificate = Field("certfile", .nonEmptyString, doc: "PEM: this side's certificate.")
        package static let key = Field("keyfile", .nonEmptyString, doc: "PEM: its private key.")
        static let all = FieldSet(
            "ssl",
            [
                enable, verify, ca, certificate, key, UnsupportedField("password"),
                UnsupportedField("server_name_indication", accepts: "auto", ""),
                UnsupportedField("versions"), UnsupportedField("ciphers"), UnsupportedField("depth", accepts: "10"),
            ]
        ) { values, context in
            if values[certificate] == nil, values[key] != nil {
                context.report(values.problem(.missingKey, "keyfile needs \"certfile\"", at: key))
            }
            if values[certificate] != nil, values[key] == nil {
                context.report(values.problem(.missingKey, "certfile needs \"keyfile\"", at: certificate))
            }
        }
    }
    package static let tls = Field(group: "ssl", TLS.all, hotReload: true, doc: "TLS to the server.")

    package enum Basic {
        package static let username = Field("username", .string, .required, doc: "User.")
        package static let password = Field("password", .secret, .required, doc: "Password.")
        static let all = FieldSet("auth.basic", [username, password])
    }
    package enum Auth {
        package static let basic = Field("basic", .object(Basic.all), doc: "HTTP basic.")
        package static let bearer = Field("bearer", .secret, doc: "A token.")
        static let all = FieldSet("auth", [basic, bearer, UnsupportedField("oauth2"), UnsupportedField("aws_sigv4")]) {
            values, context in
            if values[basic] != nil, values[bearer] != nil {
                context.report(values.problem(.conflict, "\"basic\" and \"bearer\" exclude each other", at: bearer))
            }
        }
    }
    package static let auth = Field(group: "auth", Auth.all, hotReload: true, doc: "Credentials.")

    private static let resource = FieldSet(
        "resource_opts",
        [
            Field(
                "health_check_interval", .duration, default: .seconds(15), noEffect: "deliveries themselves tell",
                doc: "Read for EMQX's files."),
            Field(
                "start_timeout", .duration, default: .seconds(5), noEffect: "starting never waits",
                doc: "Read for EMQX's files."),
            Field("start_after_created", .bool, default: true, noEffect: "always", doc: "Read for EMQX's files."),
        ])

    static let all = FieldSet(
        "connectors.http",
        [
            url, enable, description, tags, headers, connectTimeout, poolSize, poolType, pipelining, version, proxy,
            tls, auth, allowHosts,
            Field(group: "resource_opts", resource, doc: "Read for EMQX's files."),
            UnsupportedField("follow_redirects", accepts: "0"), UnsupportedField("health_check"),
        ]
    ) { values, context in
        if values[url].isSecure, values[tls][TLS.verify] == .none {
            context.report(
                values[tls].problem(
                    .unverifiedPeer, "the server's certificate is not verified", severity: .warning,
                    hint: "set cacertfile for a private CA", at: TLS.verify))
        }
    }
}

/// `parameters` of an http action.
package enum HTTPParameterFields {
    package static let method = Field(
        "method", .method, default: .post, hotReload: true, doc: "In lower or upper case.")
    package static let path = Field(
        "path", .string, default: "", hotReload: true, doc: "Template, appended to the connector's URL.")
    package static let headers = Field(
        "headers", .map(.string), default: [], hotReload: true, doc: "Templates, over the connector's.")
    package static let body = Field(
        "body", .any, hotReload: true,
        doc: "A text template, or a mapping or list that becomes JSON; without one the whole row.")
    package static let maximumRetries = Field(
        "max_retries", .int(0...1000), default: 2, noEffect: "\"retry\" decides", doc: "Read for EMQX's files.")

    static let all = FieldSet("parameters", [method, path, headers, body, maximumRetries])
}

/// `actions.http.<name>`. [EMQX http action]
package enum HTTPActionFields {
    package static let connector = Field(
        "connector", .nonEmptyString, .required, hotReload: true, doc: "The name of the http connector.")
    package static let enable = Field("enable", .bool, default: true, hotReload: true, doc: "Whether it works.")
    package static let parameters = Field(
        group: "parameters", HTTPParameterFields.all, hotReload: true, doc: "The request.")
    package static let successStatus = Field(
        "success_status", .list(.status), default: [200...299], hotReload: true,
        doc: "Statuses that count as delivered.")
    package static let idempotency = Field(
        "idempotency", .bool, default: true, hotReload: true, doc: "Whether requests carry their delivery id.")

    package enum Timeout {
        package static let connect = Field("connect", .duration, doc: "Default: the connector's connect_timeout.")
        package static let total = Field("total", .duration, default: .seconds(30), doc: "Of one request.")
        static let all = FieldSet("timeout", [connect, total])
    }
    package static let timeout = Field(
        group: "timeout", Timeout.all, hotReload: true, doc: "How long a request may take.")

    static let all = FieldSet(
        "actions.http",
        [
            connector, enable, parameters, successStatus, idempotency, timeout, DeliveryFields.description,
            DeliveryFields.tags,
            DeliveryFields.retry, DeliveryFields.memoryBuffer, DeliveryFields.order, DeliveryFields.orderKey,
            DeliveryFields.batch,
            DeliveryFields.breaker, DeliveryFields.resource, DeliveryFields.templates,
            UnsupportedField("format", accepts: "plain"), UnsupportedField("sign"),
            UnsupportedField("rate_limit", accepts: "infinity"),
            UnsupportedField("compress", accepts: "none"), UnsupportedField("dead_letter"),
            UnsupportedField("fallback_actions"),
        ], check: DeliveryFields.check)
}

extension FieldType where Value == HTTPMethod {
    static var method: FieldType {
        .scalar("one of \(HTTPMethod.allCases.map(\.rawValue).joined(separator: ", "))", show: { $0.rawValue }) {
            text, _ in
            HTTPMethod(rawValue: text.lowercased())
        }
    }
}

extension FieldType where Value == ClosedRange<Int> {
    /// `404` or `5xx`.
    static var status: FieldType {
        .scalar(
            "a status such as 404 or 5xx", show: { $0.count == 100 ? "\($0.lowerBound / 100)xx" : "\($0.lowerBound)" }
        ) { text, _ in
            HTTPStatusSet.range(text)
        }
    }
}

extension HTTPBodySource {
    /// What a `body` says: a text template, or a tree that becomes JSON.
    package init(_ node: YAMLNode?) {
        guard let node else {
            self = .row
            return
        }
        if let text = node.text { self = .text(text) } else { self = .json(JSONTemplateNode(node)) }
    }
}

extension JSONTemplateNode {
    init(_ node: YAMLNode) {
        switch node.content {
        case .sequence(let items): self = .array(items.map { JSONTemplateNode($0) })
        case .mapping(let entries): self = .object(entries.map { ($0.name, JSONTemplateNode($0.value)) })
        case .scalar(let text):
            switch node.scalar {
            case .null, nil: self = .literal(.null)
            case .bool(let value): self = .literal(.boolean(value))
            case .int(let value): self = .literal(.integer(Int(value)))
            case .float(let value) where value.isFinite: self = .literal(.float(value.bitPattern))
            case .float, .string: self = .template(text)
            }
        }
    }
}
