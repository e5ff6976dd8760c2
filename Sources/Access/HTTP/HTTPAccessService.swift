import ConfigSchema
import Logging

/// An HTTP service that is asked about clients: the request's template, the connections, whether it could be reached last.
final class HTTPAccessService: Sendable {
    enum Reply: Sendable {
        case answer(HTTPClient.Answer)
        /// It could not be reached in time.
        case none
        /// A value of the client's would lead to another path of the service.
        case unaskable
    }

    private let template: HTTPRequestTemplate
    private let client: HTTPClient
    private let health: SourceHealth

    /// - Parameters:
    ///   - name: `authentication`, in messages about the configuration.
    ///   - failure: the sentence of the line about a service that gives no answer.
    init(
        _ settings: HTTPAccessSettings, name: String, allowed: Set<Template.Placeholder>, failure: Logger.Message,
        lines: LogThrottle
    ) throws(AccessFailure) {
        do throws(AccessRuleError) { template = try HTTPRequestTemplate(settings, allowed: allowed) } catch {
            throw AccessFailure("\(name) by http: \(error)")
        }
        client = try HTTPClient(
            limit: settings.poolSize, timeout: settings.timeout.wholeMilliseconds, tls: HTTPTLS(settings.tls))
        health = SourceHealth(failure, lines: lines)
    }

    var problem: String? { health.current }
    func stop() { client.stop() }

    /// - Parameters:
    ///   - value: of a placeholder; nil where the client has none.
    ///   - done: called once, on any thread, within the service's time.
    func ask(
        about clientID: String, _ value: (Template.Placeholder) -> [UInt8]?, _ done: @escaping @Sendable (Reply) -> Void
    ) {
        guard let request = template.render(value) else { return done(.unaskable) }
        client.send(request) { [health] result in
            switch result {
            case .success(let answer):
                health.succeeded()
                done(.answer(answer))
            case .failure(let failure):
                health.failed("\(failure)", metadata: ["client.id": "\(clientID.escaped)"])
                done(.none)
            }
        }
    }
}

extension Duration {
    var wholeMilliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
