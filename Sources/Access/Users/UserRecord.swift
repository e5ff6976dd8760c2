/// A user that the node or a password file knows.
package struct UserRecord: Sendable, Equatable {
    package var hash: PasswordHash
    package var isSuperuser: Bool

    package init(hash: PasswordHash, isSuperuser: Bool = false) {
        self.hash = hash
        self.isSuperuser = isSuperuser
    }
}

/// Files with users: mosquitto_passwd's lines, and EMQX's CSV and JSON.
///
/// A line that can't be read makes the whole file unusable: who edits it would think that its users are refused or let
/// in by what stands there. [CVE-2018-12551]
package enum UserFile {
    /// What the password column holds where the format does not say.
    package enum Content: Sendable, Equatable {
        case plain(PasswordAlgorithm)
        case hash(PasswordAlgorithm)
    }

    /// - Throws: the first line that can't be read, by its number; never what stands in it.
    package static func parse(_ bytes: [UInt8], content: Content) throws(AccessFailure) -> [(
        id: String, user: UserRecord
    )] {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw AccessFailure("it is not UTF-8") }
        if let first = text.first(where: { !$0.isWhitespace }), first == "[" || first == "{" {
            return try json(bytes, content)
        }
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        let header = (lines.first ?? "").split(separator: ",").map { $0.filter { $0 != " " && $0 != "\"" } }
        return header.contains("user_id") ? try csv(lines, header, content) : try mosquitto(lines)
    }

    private static func mosquitto(_ lines: [Substring]) throws(AccessFailure) -> [(id: String, user: UserRecord)] {
        var users: [(id: String, user: UserRecord)] = []
        for (index, line) in lines.enumerated() where !line.isEmpty && !line.hasPrefix("#") {
            guard let colon = line.firstIndex(of: ":"), colon != line.startIndex,
                let hash = PasswordHash(text: String(line[line.index(after: colon)...]))
            else { throw AccessFailure("line \(index + 1) is no \"user:$7$…\"; mosquitto_passwd makes such lines") }
            users.append((String(line[..<colon]), UserRecord(hash: hash)))
        }
        return try unique(users)
    }

    private static func csv(_ lines: [Substring], _ header: [String], _ content: Content) throws(AccessFailure)
        -> [(id: String, user: UserRecord)]
    {
        var users: [(id: String, user: UserRecord)] = []
        for (index, line) in lines.enumerated().dropFirst() where !line.isEmpty {
            let cells = cells(line)
            guard cells.count == header.count else {
                throw AccessFailure("line \(index + 1) has \(cells.count) columns, the first line has \(header.count)")
            }
            let row = Dictionary(zip(header, cells), uniquingKeysWith: { first, _ in first })
            do throws(AccessFailure) {
                users.append(
                    try user(row, isSuperuser: ["true", "1"].contains(row["is_superuser"] ?? ""), content))
            } catch { throw AccessFailure("line \(index + 1): \(error)") }
        }
        return try unique(users)
    }

    /// Cells parted by commas, in quotes or without. RFC 4180
    private static func cells(_ line: Substring) -> [String] {
        var cells: [String] = []
        var cell = ""
        var isQuoted = false
        var endsQuote = false
        for character in line {
            if character == "\"" {
                // Two in a row inside quotes stand for one.
                if endsQuote { cell.append("\"") }
                endsQuote = isQuoted
                isQuoted.toggle()
                continue
            }
            endsQuote = false
            if character == ",", !isQuoted {
                cells.append(cell)
                cell = ""
            } else {
                cell.append(character)
            }
        }
        return cells + [cell]
    }

    private static func json(_ bytes: [UInt8], _ content: Content) throws(AccessFailure) -> [(
        id: String, user: UserRecord
    )] {
        guard let items = JSONText(bytes)?.items else { throw AccessFailure("it is no JSON list") }
        var users: [(id: String, user: UserRecord)] = []
        for (index, item) in items.enumerated() {
            let row = (item.members ?? [:]).compactMapValues { value in
                switch value {
                case .text(let text): text
                case .integer(let number): "\(number)"
                default: nil
                }
            }
            do throws(AccessFailure) {
                users.append(try user(row, isSuperuser: item["is_superuser"]?.boolean ?? false, content))
            } catch { throw AccessFailure("entry \(index + 1): \(error)") }
        }
        return try unique(users)
    }

    private static func user(_ row: [String: String], isSuperuser: Bool, _ content: Content) throws(AccessFailure)
        -> (id: String, user: UserRecord)
    {
        guard let id = row["user_id"], !id.isEmpty else { throw AccessFailure("\"user_id\" is missing") }
        let hash: PasswordHash?
        switch content {
        case .plain(let algorithm):
            guard let password = row["password"], !password.isEmpty else {
                throw AccessFailure("\"password\" is missing")
            }
            hash = algorithm.hash(password.bytes)
        case .hash(let algorithm):
            guard let text = row["password_hash"], !text.isEmpty else {
                throw AccessFailure("\"password_hash\" is missing")
            }
            hash = algorithm.imported(hash: text, salt: row["salt"] ?? "")
        }
        guard let hash else { throw AccessFailure("the hash is not of the configured algorithm") }
        return (id, UserRecord(hash: hash, isSuperuser: isSuperuser))
    }

    private static func unique(_ users: [(id: String, user: UserRecord)]) throws(AccessFailure) -> [(
        id: String, user: UserRecord
    )] {
        var seen: Set<[UInt8]> = []
        for (id, _) in users where !seen.insert(id.bytes).inserted {
            throw AccessFailure("\"\(id)\" stands there twice")
        }
        return users
    }
}
