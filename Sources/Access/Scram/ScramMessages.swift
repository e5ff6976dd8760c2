/// The messages of a SCRAM exchange that a client sends. Attributes stand in the order that the RFC gives them; what is
/// not in that form is no message. [RFC 5802 §7]
struct ScramClientFirst: Sendable, Equatable {
    /// `n,,` or `y,a=name,`: what the client's last message repeats.
    let header: String
    /// The message without its header.
    let bare: String
    let username: String
    let nonce: String

    /// Far more than any client needs.
    static let longestNonce = 1024

    /// - Returns: nil for what is none, and for one that asks for channel binding, acts for another user or has
    ///   extensions that must be understood.
    init?(_ bytes: [UInt8]) {
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        let parts = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 4, parts[0] == "n" || parts[0] == "y", let name = Self.value(parts[2], "n"),
            let username = Self.unescaped(name), !username.isEmpty, let nonce = Self.value(parts[3], "r"),
            !nonce.isEmpty, nonce.utf8.count <= Self.longestNonce,
            nonce.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else { return nil }
        if !parts[1].isEmpty {
            // Nobody acts for somebody else.
            guard let actor = Self.value(parts[1], "a").flatMap(Self.unescaped), actor.bytes == username.bytes else {
                return nil
            }
        }
        header = "\(parts[0]),\(parts[1]),"
        bare = parts[2...].joined(separator: ",")
        self.username = username
        self.nonce = nonce
    }

    /// The value of the attribute `x=…`.
    static func value(_ part: String, _ name: Character) -> String? {
        part.hasPrefix("\(name)=") ? String(part.dropFirst(2)) : nil
    }

    /// `=2C` stands for a comma and `=3D` for the sign itself; nil for any other use of it.
    private static func unescaped(_ text: String) -> String? {
        var result: [UInt8] = []
        var rest = text.bytes[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "=") else {
                result.append(byte)
                continue
            }
            switch rest.prefix(2) {
            case [UInt8(ascii: "2"), UInt8(ascii: "C")]: result.append(UInt8(ascii: ","))
            case [UInt8(ascii: "3"), UInt8(ascii: "D")]: result.append(UInt8(ascii: "="))
            default: return nil
            }
            rest = rest.dropFirst(2)
        }
        return String(validating: result, as: UTF8.self)
    }
}

struct ScramClientFinal: Sendable, Equatable {
    let binding: [UInt8]
    let nonce: String
    let proof: [UInt8]
    /// The message without its proof.
    let withoutProof: String

    init?(_ bytes: [UInt8]) {
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        let parts = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 3, let binding = ScramClientFirst.value(parts[0], "c").flatMap(Encoding.unbase64),
            let nonce = ScramClientFirst.value(parts[1], "r"),
            let proof = ScramClientFirst.value(parts[parts.count - 1], "p").flatMap(Encoding.unbase64)
        else { return nil }
        self.binding = binding
        self.nonce = nonce
        self.proof = proof
        withoutProof = parts.dropLast().joined(separator: ",")
    }
}
