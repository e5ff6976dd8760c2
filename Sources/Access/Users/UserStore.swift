import Synchronization

/// The built-in users: in memory, and in one file of the data directory that is replaced whole at each change.
package final class UserStore: Sendable {
    private let path: String?
    private let users: Mutex<[[UInt8]: UserRecord]>
    /// Salts of users that there are not are made from it: they stay the same for as long as the file is there.
    let decoyKey: [UInt8]
    /// Far more than a file that is written whole should hold.
    package static let maximumUsers = 1_000_000

    /// - Parameter path: nil keeps them in memory alone.
    /// - Throws: when the file is there and can't be read or understood.
    package init(path: String?) throws(AccessFailure) {
        self.path = path
        var known: [[UInt8]: UserRecord] = [:]
        var key: [UInt8]?
        if let path, let bytes = try SecretFile.read(path) {
            let file = JSONText(bytes)
            guard let list = file?["users"]?.items else {
                throw AccessFailure("the file \(path) is damaged: it is no list of users")
            }
            key = file?["decoy_key"]?.string.flatMap { Encoding.unbase64($0) }
            for (index, item) in list.enumerated() {
                guard let id = item["user_id"]?.string, let text = item["password"]?.string,
                    let hash = PasswordHash(text: text)
                else { throw AccessFailure("the file \(path) is damaged at user \(index + 1)") }
                known[id.bytes] = UserRecord(hash: hash, isSuperuser: item["is_superuser"]?.boolean ?? false)
            }
        }
        users = Mutex(known)
        decoyKey = key ?? (0..<32).map { _ in UInt8.random(in: .min ... .max) }
        if key == nil, !known.isEmpty { try write(known) }
    }

    package func find(_ id: String) -> UserRecord? { users.withLock { $0[id.bytes] } }

    package var count: Int { users.withLock { $0.count } }

    /// All users by name; hashes stay here.
    package var list: [(id: String, isSuperuser: Bool)] {
        users.withLock { $0.map { (String(decoding: $0.key, as: UTF8.self), $0.value.isSuperuser) } }
            .sorted { $0.id < $1.id }
    }

    package enum Change: Sendable {
        case add(String, UserRecord)
        /// The password; whether the user is a superuser stays.
        case password(String, PasswordHash)
        case remove(String)
    }

    /// Makes all changes and writes the file, or makes none.
    /// - Parameter skipsKnown: users that are there already are left as they are; else they are a failure.
    /// - Returns: how many changes there were.
    @discardableResult
    package func apply(_ changes: [Change], skipsKnown: Bool = false) throws(AccessFailure) -> Int {
        let result = users.withLock { users -> Result<Int, AccessFailure> in
            Result { () throws(AccessFailure) in
                var changed = users
                var count = 0
                for change in changes where try Self.apply(change, to: &changed, skipsKnown: skipsKnown) { count += 1 }
                guard count > 0 else { return 0 }
                try write(changed)
                users = changed
                return count
            }
        }
        return try result.get()
    }

    private static func apply(_ change: Change, to users: inout [[UInt8]: UserRecord], skipsKnown: Bool)
        throws(AccessFailure) -> Bool
    {
        switch change {
        case .add(let id, let user):
            guard !id.isEmpty, id.utf8.count <= 65_535 else { throw AccessFailure("a user needs a name") }
            if users[id.bytes] != nil {
                guard skipsKnown else { throw AccessFailure("there is a user \"\(id)\" already") }
                return false
            }
            guard users.count < maximumUsers else { throw AccessFailure("there are \(maximumUsers) users already") }
            users[id.bytes] = user
        case .password(let id, let hash):
            guard users[id.bytes] != nil else { throw AccessFailure("there is no user \"\(id)\"") }
            users[id.bytes]?.hash = hash
        case .remove(let id):
            guard users.removeValue(forKey: id.bytes) != nil else { throw AccessFailure("there is no user \"\(id)\"") }
        }
        return true
    }

    private func write(_ users: [[UInt8]: UserRecord]) throws(AccessFailure) {
        guard let path else { return }
        let list = users.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { id, user in
            JSONText.object([
                "user_id": .text(String(decoding: id, as: UTF8.self)), "password": .text(user.hash.text),
                "is_superuser": .bool(user.isSuperuser),
            ])
        }
        try SecretFile.replace(
            path,
            with: JSONText.object(["users": .list(list), "decoy_key": .text(Encoding.base64(decoyKey))]).encoded(
                pretty: true))
    }
}
