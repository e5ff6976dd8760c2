package import ConfigSchema
package import RuleEngine

/// TLS towards a webhook's receiver.
package struct WebhookTLS: Sendable {
    /// Whether the certificate must be right for the host.
    package var verifies = true
    /// PEM file of trusted authorities; nil for the system's.
    package var caFile: String?
    package var certificateFile: String?
    package var keyFile: String?

    package init() {}
}

package enum WebhookAuthentication: Sendable {
    case none
    case basic(username: String, password: SecretString)
    case bearer(SecretString)
}

package enum HTTPVersionChoice: String, Sendable, CaseIterable {
    case auto
    case http1 = "1.1"
    case http2 = "2"
}

/// A webhook: EMQX's connector and action together.
package struct WebhookSettings: Sendable {
    /// `scheme://host[:port][/base]`, http or https, no user info, no placeholders. A query may follow when ``path`` is
    /// empty, with placeholders.
    package var url: String
    package var method = HTTPMethod.post
    /// Appended to the URL's path with one slash between; `?…` as it is.
    package var path = ""
    /// The connector's, then the action's, which win over those of the same name (in any case).
    package var headers: [(name: String, value: String)] = []
    package var body = HTTPBodySource.row
    /// Whether templates know what EMQX's do not.
    package var extensions = true
    package var missing = MissingPolicy.compat
    /// Connections per node; with HTTP/1.1 also the requests under way.
    package var poolSize = 8
    package var version = HTTPVersionChoice.auto
    package var tls = WebhookTLS()
    package var authentication = WebhookAuthentication.none
    package var proxy = ""
    /// Hosts that may resolve to private addresses.
    package var allowHosts: [String] = []
    package var connectTimeout: Duration = .seconds(15)
    package var totalTimeout: Duration = .seconds(30)
    package var policy = HTTPRetryPolicy()
    /// Whether `Idempotency-Key` and `webhook-id` are sent.
    package var sendsDeliveryID = true

    package init(url: String) { self.url = url }

    /// The URL without its query.
    var base: String { String(url.prefix { $0 != "?" }) }
    /// The action's path; the URL's query stands for an empty one.
    var effectivePath: String { path.isEmpty ? String(url.drop { $0 != "?" }) : path }

    /// What EMQX's connector sends by default and HTTP/2 does not forbid.
    static let defaultHeaders = [
        (name: "accept", value: "application/json"), (name: "content-type", value: "application/json"),
    ]

    /// All headers in effect, each name once.
    var effectiveHeaders: [(name: String, value: String)] {
        var result: [(name: String, value: String)] = []
        for header in Self.defaultHeaders + headers {
            if let index = result.firstIndex(where: { $0.name.lowercased() == header.name.lowercased() }) {
                result[index] = header
            } else {
                result.append(header)
            }
        }
        return result
    }
}
