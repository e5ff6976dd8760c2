import ConfigSchema

/// Asks an HTTP service what a client may do. [EMQX authz: http]
///
/// 204 allows; 200 with `{"result": "allow" | "deny" | "ignore"}` says more; anything else denies. Differs from EMQX:
/// there a failure is "ignore".
final class HTTPAuthorizer: Sendable {
    private let service: HTTPAccessService

    init(_ settings: HTTPAccessSettings, lines: LogThrottle) throws(AccessFailure) {
        service = try HTTPAccessService(
            settings, name: "authorization", allowed: Template.request,
            failure: "The HTTP authorizer gave no answer, which denies.", lines: lines)
    }

    var problem: String? { service.problem }
    func stop() { service.stop() }

    /// - Parameter done: nil when the service has no opinion.
    func authorize(_ access: ClientAccess, _ question: AccessQuestion, _ done: @escaping @Sendable (Bool?) -> Void) {
        func value(_ placeholder: Template.Placeholder) -> [UInt8]? {
            switch placeholder {
            case .action: question.action.rawValue.bytes
            case .topic: question.topic
            case .qos: "\(question.qos)".bytes
            case .retain: "\(question.isRetained)".bytes
            case .protocolName: "mqtt".bytes
            default: access.value(of: placeholder)?.bytes
            }
        }
        service.ask(about: access.clientID, value) { reply in
            guard case .answer(let answer) = reply else { return done(false) }
            if answer.status == 204 { return done(true) }
            switch answer.status == 200 ? JSONText(answer.body)?["result"]?.string : nil {
            case "allow": done(true)
            case "ignore": done(nil)
            default: done(false)
            }
        }
    }
}
