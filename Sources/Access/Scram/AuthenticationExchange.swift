import Synchronization

/// An enhanced authentication under way: AUTH packets go to and fro until the client has proved who it is.
///
/// One step at a time; the steps run on the threads that compute. [MQTT5 §4.12]
package final class AuthenticationExchange: Sendable {
    package enum Step: Sendable {
        /// To be sent to the client, which answers.
        case challenge([UInt8])
        /// The client is who it says; it gets the data as a proof of this side.
        case allowed(ClientAccess, data: [UInt8])
        case refused(AuthenticationRefusal)
    }

    private let authenticator: ScramAuthenticator
    private let request: AuthenticationRequest
    private let pool: WorkPool
    private let exchange: Mutex<ScramExchange>

    init(_ authenticator: ScramAuthenticator, _ request: AuthenticationRequest, pool: WorkPool) {
        self.authenticator = authenticator
        self.request = request
        self.pool = pool
        let nonce = Encoding.base64((0..<18).map { _ in UInt8.random(in: .min ... .max) })
        exchange = Mutex(ScramExchange(serverNonce: nonce))
    }

    /// The client's Authentication Data.
    /// - Parameter done: called once, on any thread.
    package func proceed(_ data: [UInt8], _ done: @escaping @Sendable (Step) -> Void) {
        let isTaken = pool.submit { [self] in done(step(data)) }
        if !isTaken { done(.refused(.busy)) }
    }

    private func step(_ data: [UInt8]) -> Step {
        let answer = exchange.withLock { exchange in
            exchange.take(data) { [authenticator] in authenticator.credentials(of: $0) }
        }
        switch answer {
        case .challenge(let challenge): return .challenge(challenge)
        case .failed: return .refused(.badCredentials)
        case .proven(let username, let isSuperuser, let final):
            // A user name in CONNECT is a claim like the one that was proved: they may not differ.
            guard request.username.map({ $0.utf8.elementsEqual(username.utf8) }) ?? true else {
                return .refused(.badCredentials)
            }
            return .allowed(
                ClientAccess(
                    clientID: request.clientID, username: username, peerHost: request.peerHost,
                    listenerID: request.listenerID, certificate: request.certificate, isSuperuser: isSuperuser,
                    owner: username), data: final)
        }
    }
}
