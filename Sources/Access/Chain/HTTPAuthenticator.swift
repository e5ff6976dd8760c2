import ConfigSchema
import Logging

/// Asks an HTTP service who a client is. [EMQX authn: http]
///
/// 204 lets in; 200 with `{"result": "allow" | "deny" | "ignore", "is_superuser": …, "acl": […], "expire_at": …}` says
/// more. What is neither, and what does not come in time, lets nobody in. Differs from EMQX: there it is "ignore".
final class HTTPAuthenticator: Authenticator {
    let id = "password_based:http"
    let isRemote = true
    private let template: HTTPRequestTemplate
    private let client: HTTPClient
    private let lines: LogThrottle
    private let health: SourceHealth

    init(_ settings: HTTPAccessSettings, lines: LogThrottle) throws(AccessFailure) {
        do throws(AccessRuleError) {
            template = try HTTPRequestTemplate(settings, allowed: Template.credentials)
        } catch { throw AccessFailure("authentication by http: \(error)") }
        client = try HTTPClient(
            limit: settings.poolSize, timeout: settings.timeout.wholeMilliseconds, tls: HTTPTLS(settings.tls))
        self.lines = lines
        health = SourceHealth("The HTTP authenticator gave no answer.", lines: lines)
    }

    var problem: String? { health.current }
    func stop() { client.stop() }

    func authenticate(_ request: AuthenticationRequest, _ done: @escaping @Sendable (AuthenticationStep) -> Void) {
        guard let question = template.render({ request.value(of: $0) }) else {
            done(.deny(.badCredentials))
            return
        }
        client.send(question) { [self] result in
            switch result {
            case .success(let answer):
                health.succeeded()
                done(step(answer, request))
            case .failure(let failure):
                health.failed("\(failure)", metadata: ["client.id": "\(request.clientID.escaped)"])
                done(.deny(.unavailable))
            }
        }
    }

    private func step(_ answer: HTTPClient.Answer, _ request: AuthenticationRequest) -> AuthenticationStep {
        if answer.status == 204 { return .allow(Grant()) }
        if answer.status == 401 || answer.status == 403 { return .deny(.badCredentials) }
        guard answer.status == 200, let json = JSONText(answer.body), let result = json["result"]?.string else {
            lines.warning(
                "The HTTP authenticator's answer can't be understood.",
                metadata: ["client.id": "\(request.clientID.escaped)", "http.status": "\(answer.status)"])
            return .deny(.unavailable)
        }
        switch result {
        case "allow": return allow(json)
        case "ignore": return .ignore(sawCredentials: request.username != nil || request.password != nil)
        default: return .deny(.badCredentials)
        }
    }

    private func allow(_ json: JSONText) -> AuthenticationStep {
        var grant = Grant(isSuperuser: json["is_superuser"]?.boolean ?? false)
        if let acl = json["acl"], acl != .null {
            do throws(AccessRuleError) { grant.rules = try AccessRules(claim: acl) } catch {
                lines.warning("The HTTP authenticator's rules can't be understood.", metadata: ["error": "\(error)"])
                return .deny(.notAuthorized)
            }
        }
        if let expiry = json["expire_at"], expiry != .null {
            guard let seconds = expiry.seconds, seconds > unixSeconds() else { return .deny(.notAuthorized) }
            grant.expiresAt = seconds
        }
        return .allow(grant)
    }
}

extension Duration {
    var wholeMilliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
