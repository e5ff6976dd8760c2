import ConfigSchema
import Crypto
import Foundation
import Synchronization

/// User name (or client identifier) and password against users that this node knows.
final class PasswordAuthenticator: Authenticator {
    enum Users: Sendable {
        case store(UserStore)
        case file(path: String)
    }

    let id: String
    private let users: Users
    private let userID: AuthenticatorSettings.UserID
    private let algorithm: PasswordAlgorithm
    private let file: Mutex<[[UInt8]: UserRecord]>
    private let verified = VerifiedPasswords(capacity: 20_000)
    /// What a user that there is not is compared with, so that its refusal takes as long as another's.
    private let decoy: PasswordHash?

    init(id: String, users: Users, userID: AuthenticatorSettings.UserID, algorithm: PasswordAlgorithm)
        throws(AccessFailure)
    {
        self.id = id
        self.users = users
        self.userID = userID
        self.algorithm = algorithm
        decoy = algorithm.hash("decoy".bytes)
        file = Mutex(try Self.read(users, algorithm))
    }

    private static func read(_ users: Users, _ algorithm: PasswordAlgorithm) throws(AccessFailure) -> [[UInt8]:
        UserRecord]
    {
        guard case .file(let path) = users else { return [:] }
        guard let bytes = try SecretFile.read(path) else {
            throw AccessFailure("the password file \(path) is not there")
        }
        do throws(AccessFailure) {
            let list = try UserFile.parse(bytes, content: .hash(algorithm))
            return Dictionary(list.map { ($0.id.bytes, $0.user) }, uniquingKeysWith: { first, _ in first })
        } catch { throw AccessFailure("the password file \(path): \(error)") }
    }

    func reload() throws(AccessFailure) {
        let read = try Self.read(users, algorithm)
        file.withLock { $0 = read }
    }

    func authenticate(_ request: AuthenticationRequest, _ done: @escaping @Sendable (AuthenticationStep) -> Void) {
        done(step(request))
    }

    private func step(_ request: AuthenticationRequest) -> AuthenticationStep {
        let id = userID == .username ? request.username : request.clientID
        guard let id, !id.isEmpty else { return .ignore(sawCredentials: request.password != nil) }
        guard let user = find(id) else {
            if let password = request.password { _ = decoy?.matches(password) }
            return .ignore(sawCredentials: request.password != nil || request.username != nil)
        }
        // No password is none of the passwords, not even of an empty one. [CVE-2016-9877]
        guard let password = request.password, verified.matches(user.hash, password) else {
            return .deny(.badCredentials)
        }
        return .allow(Grant(isSuperuser: user.isSuperuser, owner: id))
    }

    private func find(_ id: String) -> UserRecord? {
        switch users {
        case .store(let store): store.find(id)
        case .file: file.withLock { $0[id.bytes] }
        }
    }
}

/// Passwords that were right a while ago, so that ten thousand clients that come back at once do not cost a second of
/// hashing each ten. Kept as an HMAC under a key of this process, over the stored hash as well: a changed password is
/// another entry.
final class VerifiedPasswords: Sendable {
    private struct State: Sendable {
        var known: Set<[UInt8]> = []
        var order: [[UInt8]] = []
        var oldest = 0
    }

    private let key = SymmetricKey(size: .bits256)
    private let capacity: Int
    private let state = Mutex(State())

    init(capacity: Int) { self.capacity = capacity }

    /// Whether it is the password; at once when it was looked at lately.
    func matches(_ hash: PasswordHash, _ password: [UInt8]) -> Bool {
        guard hash.isSlow else { return hash.matches(password) }
        let entry = Array(HMAC<SHA256>.authenticationCode(for: hash.text.bytes + [0] + password, using: key))
        if state.withLock({ $0.known.contains(entry) }) { return true }
        guard hash.matches(password) else { return false }
        state.withLock { state in
            guard state.known.insert(entry).inserted else { return }
            if state.order.count < capacity {
                state.order.append(entry)
            } else {
                state.known.remove(state.order[state.oldest])
                state.order[state.oldest] = entry
                state.oldest = (state.oldest + 1) % capacity
            }
        }
        return true
    }
}

extension PasswordHash {
    var isSlow: Bool {
        switch self {
        case .plain, .digest: false
        case .pbkdf2, .bcrypt, .scrypt, .scram: true
        }
    }
}
