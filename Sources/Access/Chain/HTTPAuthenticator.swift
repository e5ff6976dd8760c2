import ConfigSchema

/// Asks an HTTP service who a client is. [EMQX authn: http]
///
/// 204 lets in; 200 with `{"result": "allow" | "deny" | "ignore", "is_superuser": …, "acl": […], "expire_at": …}` says
/// more. What is neither, and what does not come in time, lets nobody in. Differs from EMQX: there it is "ignore".
final class HTTPAuthenticator: Authenticator {
    let id = "password_based:http"
    let isRemote = true
    private let service: HTTPAccessService
    private let lines: LogThrottle

    init(_ settings: HTTPAccessSettings, lines: LogThrottle) throws(AccessFailure) {
        service = try HTTPAccessService(
            settings, name: "authentication", allowed: Template.credentials,
            failure: "The HTTP authenticator gave no answer.", lines: lines)
        self.lines = lines
    }

    var problem: String? { service.problem }
    func stop() { service.stop() }

    func authenticate(_ request: AuthenticationRequest, _ done: @escaping @Sendable (AuthenticationStep) -> Void) {
        service.ask(about: request.clientID, request.value) { [self] reply in
            switch reply {
            case .answer(let answer): done(step(answer, request))
            case .none: done(.deny(.unavailable))
            case .unaskable: done(.deny(.badCredentials))
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
