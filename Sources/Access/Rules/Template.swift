import Buffers

/// Text with `${clientid}` and the like in it. [EMQX placeholders]
struct Template: Sendable, Equatable {
    enum Placeholder: String, Sendable, CaseIterable {
        case clientID = "clientid"
        case username
        case password
        case peerHost = "peerhost"
        case peerPort = "peerport"
        case commonName = "cert_common_name"
        case subject = "cert_subject"
        case action
        case topic
        case qos
        case retain
        case protocolName = "proto_name"
        case listener
    }

    enum Piece: Sendable, Equatable {
        case text([UInt8])
        case value(Placeholder)
    }

    let pieces: [Piece]

    /// What a topic or a claim may ask for.
    static let identity: Set<Placeholder> = [.clientID, .username, .peerHost, .commonName, .subject]
    /// What a request to an authenticator may ask for.
    static let credentials: Set<Placeholder> = identity.union([.password, .peerPort, .protocolName, .listener])
    /// What a request to an authorizer may ask for.
    static let request: Set<Placeholder> = identity.union([.action, .topic, .qos, .retain, .listener, .protocolName])

    /// - Throws: for a placeholder that is none of `allowed`: as text it would match what nobody meant.
    init(_ text: String, allowed: Set<Placeholder> = identity) throws(AccessRuleError) {
        var pieces: [Piece] = []
        var rest = Substring(text)
        while let start = rest.firstRange(of: "${") {
            let before = rest[..<start.lowerBound]
            guard let end = rest[start.upperBound...].firstIndex(of: "}") else {
                throw AccessRuleError("\"\(text)\" has a \"${\" without \"}\"")
            }
            let name = String(rest[start.upperBound..<end])
            guard let placeholder = Placeholder(rawValue: name), allowed.contains(placeholder) else {
                let known = allowed.map(\.rawValue).sorted().map { "${\($0)}" }.joined(separator: ", ")
                throw AccessRuleError("${\(name)} is no placeholder here; there are \(known)")
            }
            if !before.isEmpty { pieces.append(.text(Array(before.utf8))) }
            pieces.append(.value(placeholder))
            rest = rest[rest.index(after: end)...]
        }
        if !rest.isEmpty || pieces.isEmpty { pieces.append(.text(Array(rest.utf8))) }
        self.pieces = pieces
    }

    /// The text, when there is nothing to put in.
    var constant: [UInt8]? {
        if pieces.count == 1, case .text(let text) = pieces[0] { text } else { nil }
    }

    /// Nil when the client lacks a value.
    func render(_ client: ClientAccess) -> [UInt8]? {
        var result: [UInt8] = []
        for piece in pieces {
            switch piece {
            case .text(let text): result += text
            case .value(let placeholder):
                guard let value = client.value(of: placeholder) else { return nil }
                result += value.utf8
            }
        }
        return result
    }

    /// Whether the text with the client's values is this level of a topic; without allocating.
    func equals(_ word: Bytes, _ client: ClientAccess) -> Bool {
        var position = 0
        for piece in pieces {
            switch piece {
            case .text(let text):
                guard Self.starts(word, at: &position, text) else { return false }
            case .value(let placeholder):
                // An empty value would make `${username}x` of everybody's `x`.
                guard let value = client.value(of: placeholder), !value.isEmpty,
                    Self.starts(word, at: &position, value.utf8)
                else { return false }
            }
        }
        return position == word.count
    }

    private static func starts(_ word: Bytes, at position: inout Int, _ text: some Collection<UInt8>) -> Bool {
        let count = text.count
        guard word.count - position >= count, text.elementsEqual(word[position..<position + count]) else {
            return false
        }
        position += count
        return true
    }
}

/// What is wrong with a rule, a pattern or a template, in words.
package struct AccessRuleError: Error, CustomStringConvertible, Equatable {
    package let description: String
    package init(_ description: String) { self.description = description }
}
