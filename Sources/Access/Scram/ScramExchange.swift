/// The server's side of one SCRAM exchange: takes messages and says what to answer. Pure. [RFC 5802 §3]
struct ScramExchange: Sendable {
    enum Answer: Sendable, Equatable {
        case challenge([UInt8])
        /// The client has shown that it knows the password of this user.
        case proven(username: String, isSuperuser: Bool, final: [UInt8])
        case failed
    }

    /// What an exchange needs to know of a user.
    struct Credentials: Sendable {
        var verifier: ScramVerifier
        var isSuperuser: Bool
        /// Of a user that there is not: the exchange goes on to its end, as another's would.
        var isDecoy: Bool
    }

    private struct Pending: Sendable {
        var first: ScramClientFirst
        var nonce: String
        var challenge: String
        var credentials: Credentials
    }

    private enum State: Sendable {
        case begun
        /// The client has been asked for its first message.
        case invited
        case challenged(Pending)
        case over
    }

    private let serverNonce: String
    private var state = State.begun

    /// - Parameter serverNonce: printable, without commas, never used before.
    init(serverNonce: String) { self.serverNonce = serverNonce }

    /// - Parameter find: the credentials of a user name, or a decoy's.
    mutating func take(_ message: [UInt8], find: (String) -> Credentials) -> Answer {
        switch state {
        case .begun where message.isEmpty:
            state = .invited
            return .challenge([])
        case .begun, .invited:
            guard let first = ScramClientFirst(message) else { return fail() }
            return challenge(first, find(first.username))
        case .challenged(let pending):
            state = .over
            return finish(message, pending)
        case .over: return .failed
        }
    }

    private mutating func challenge(_ first: ScramClientFirst, _ credentials: Credentials) -> Answer {
        let nonce = first.nonce + serverNonce
        let verifier = credentials.verifier
        let challenge = "r=\(nonce),s=\(Encoding.base64(verifier.salt)),i=\(verifier.iterations)"
        state = .challenged(Pending(first: first, nonce: nonce, challenge: challenge, credentials: credentials))
        return .challenge(challenge.bytes)
    }

    private mutating func fail() -> Answer {
        state = .over
        return .failed
    }

    private func finish(_ message: [UInt8], _ pending: Pending) -> Answer {
        guard let final = ScramClientFinal(message), final.binding == pending.first.header.bytes,
            ConstantTime.equal(final.nonce.bytes, pending.nonce.bytes)
        else { return .failed }
        let signed = "\(pending.first.bare),\(pending.challenge),\(final.withoutProof)".bytes
        let isRight = pending.credentials.verifier.accepts(proof: final.proof, of: signed)
        guard isRight, !pending.credentials.isDecoy else { return .failed }
        let signature = pending.credentials.verifier.signature(of: signed)
        return .proven(
            username: pending.first.username, isSuperuser: pending.credentials.isSuperuser,
            final: "v=\(Encoding.base64(signature))".bytes)
    }
}
