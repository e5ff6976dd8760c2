internal import ConfigSchema
internal import RuleEngine

/// The keys of `connectors.http.<id>`. [EMQX rule-sql: http connector]
enum HTTPConnectorFields {
    static let url = Field("url", .nonEmptyString, .required, doc: "scheme://host[:port][/base]; http or https")
    static let headers = Field("headers", .map(.string), default: [], doc: "sent with each request; values are templates")
    static let connectTimeout = Field(
        "connect_timeout", .duration(.milliseconds(1) ... .seconds(3600)), default: .seconds(15), doc: "to be connected, TLS included")
    static let poolSize = Field("pool_size", .int(1...1024), default: 8, doc: "most connections per node")
    static let poolType = Field(
        "pool_type", .choice("random", "hash"), default: "random", noEffect: "`order` of the action says what keeps its order",
        doc: "EMQX's choice of a connection")
    static let enablePipelining = Field(
        "enable_pipelining", .int(1...100_000), default: 100, noEffect: "resource_opts.inflight_window of the action is the limit",
        doc: "EMQX's most requests on a connection")
    static let version = Field("http_version", FieldType<HTTPVersionChoice>.choice, default: .auto, doc: "auto negotiates HTTP/2 over TLS")
    static let proxy = Field("proxy", .string, default: "", doc: "http:// or socks5h:// proxy; none by default, whatever the environment says")
    static let allowHosts = Field(
        "allow_hosts", .list(.string), default: [],
        doc: "host names that may lead to private addresses; names without a dot and addresses may anyway")

    enum SSL {
        static let enable = Field("enable", .bool, default: true, noEffect: "https in the URL switches TLS on", doc: "EMQX's switch")
        static let verify = Field(
            "verify", .choice("verify_peer", "verify_none"), default: "verify_peer",
            doc: "verify_none accepts any certificate. Differs from EMQX: verified by default")
        static let caFile = Field("cacertfile", .nonEmptyString, doc: "PEM file of trusted authorities; the system's by default")
        static let certificateFile = Field("certfile", .nonEmptyString, doc: "PEM file of the client's certificate")
        static let keyFile = Field("keyfile", .nonEmptyString, doc: "PEM file of the client's key")
        static let all = FieldSet("ssl", [
            enable, verify, caFile, certificateFile, keyFile,
            UnsupportedField("server_name_indication", accepts: "auto", doc: "the name asked for; the URL's"),
        ]) { values, context in
            if values[verify] == "verify_none" {
                context.report(
                    values.problem(.unverifiedPeer, "certificates are not verified", severity: .warning, at: verify))
            }
        }
    }

    enum Basic {
        static let username = Field("username", .string, .required, doc: "user name")
        static let password = Field("password", .secret, .required, doc: "password")
        static let all = FieldSet("basic", [username, password])
    }

    enum Auth {
        static let basic = Field("basic", FieldType<ConfigValues>.object(Basic.all), doc: "user name and password")
        static let bearer = Field("bearer", FieldType<SecretString>.secret, doc: "token")
        static let all = FieldSet("auth", [
            basic, bearer, UnsupportedField("oauth2", doc: "client credentials"), UnsupportedField("aws_sigv4", doc: "signatures for AWS"),
        ]) { values, context in
            if values[basic] != nil, values[bearer] != nil {
                context.report(values.problem(.conflict, "auth takes one of basic and bearer", at: bearer))
            }
        }
    }

    static let ssl = Field(group: "ssl", SSL.all, doc: "TLS towards the receiver")
    static let auth = Field(group: "auth", Auth.all, doc: "credentials")
    static let resourceOptions = Field(
        group: "resource_opts",
        FieldSet("resource_opts", [
            Field("health_check_interval", .duration, default: .seconds(15), noEffect: "deliveries themselves show the state", doc: "EMQX's"),
            Field("start_timeout", .duration, default: .seconds(5), noEffect: "a connector starts at once", doc: "EMQX's"),
            Field("start_after_created", .bool, default: true, noEffect: "a connector starts at once", doc: "EMQX's"),
        ]), doc: "EMQX's; without effect here")

    static let all = FieldSet("connectors.http", [
        url, headers, connectTimeout, poolSize, poolType, enablePipelining, version, proxy, allowHosts, ssl, auth, resourceOptions,
        DeliveryFields.enable, DeliveryFields.description, DeliveryFields.tags,
        UnsupportedField("follow_redirects", accepts: "0", doc: "redirects are answers like others"),
        UnsupportedField("health_check", doc: "requests to see whether the receiver lives"),
    ]) { values, context in
        do throws(SinkFailure) {
            _ = try WebhookAddress(WebhookSettings(url: values[url]).base)
        } catch {
            context.report(values.problem(.badValue, error.reason, at: url))
        }
    }

    static func read(_ values: ConfigValues, into settings: inout WebhookSettings) {
        settings.headers += values[headers].map { ($0.name, $0.value) }
        settings.connectTimeout = values[connectTimeout]
        settings.poolSize = values[poolSize]
        settings.version = values[version]
        settings.proxy = values[proxy]
        settings.allowHosts = values[allowHosts]
        let ssl = values[ssl]
        settings.tls.verifies = ssl[SSL.verify] == "verify_peer"
        settings.tls.caFile = ssl[SSL.caFile]
        settings.tls.certificateFile = ssl[SSL.certificateFile]
        settings.tls.keyFile = ssl[SSL.keyFile]
        let auth = values[auth]
        if let basic = auth[Auth.basic] {
            settings.authentication = .basic(username: basic[Basic.username], password: basic[Basic.password])
        } else if let token = auth[Auth.bearer] {
            settings.authentication = .bearer(token)
        }
    }
}
