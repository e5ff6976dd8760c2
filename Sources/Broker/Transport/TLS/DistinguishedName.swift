import SwiftASN1

/// An X.501 name as text, last part first, the way RFC 4514 writes it and EMQX shows it: `CN=a,OU=b,O=c`.
struct DistinguishedName {
    let text: String
    /// The first in the certificate's own order.
    let commonName: String?

    private static let keys: [[UInt]: String] = [
        [2, 5, 4, 3]: "CN", [2, 5, 4, 4]: "SN", [2, 5, 4, 5]: "serialNumber", [2, 5, 4, 6]: "C", [2, 5, 4, 7]: "L",
        [2, 5, 4, 8]: "ST", [2, 5, 4, 9]: "STREET", [2, 5, 4, 10]: "O", [2, 5, 4, 11]: "OU",
        [0, 9, 2342, 19_200_300, 100, 1, 25]: "DC", [0, 9, 2342, 19_200_300, 100, 1, 1]: "UID",
        [1, 2, 840, 113_549, 1, 9, 1]: "emailAddress",
    ]

    init(_ node: ASN1Node) throws {
        var parts: [String] = []
        var commonName: String?
        try DER.sequence(node, identifier: .sequence) { sets in
            while let set = sets.next() {
                guard set.identifier == .set, case .constructed(let attributes) = set.content else {
                    throw ASN1Error.unexpectedFieldType(set.identifier)
                }
                let texts = try attributes.map { attribute in
                    let (key, value) = try Self.read(attribute)
                    if key == "CN", commonName == nil { commonName = value }
                    return "\(key)=\(Self.escaped(value))"
                }
                parts.append(texts.joined(separator: "+"))
            }
        }
        text = parts.reversed().joined(separator: ",")
        self.commonName = commonName
    }

    private static func read(_ attribute: ASN1Node) throws -> (key: String, value: String) {
        try DER.sequence(attribute, identifier: .sequence) { nodes in
            let identifier = try ASN1ObjectIdentifier(derEncoded: try nodes.required()).oidComponents
            let value = try nodes.required()
            return (keys[identifier] ?? identifier.map(String.init).joined(separator: "."), try text(of: value))
        }
    }

    /// Strings as text. A name with a NUL is refused: what stops reading there would see another name.
    private static func text(of node: ASN1Node) throws -> String {
        guard case .primitive(let bytes) = node.content else { throw ASN1Error.unexpectedFieldType(node.identifier) }
        let text: String?
        switch node.identifier {
        case .utf8String: text = String(validating: bytes, as: UTF8.self)
        case .printableString, .ia5String, .numericString, .visibleString:
            text = bytes.allSatisfy { $0 < 0x80 } ? String(decoding: bytes, as: UTF8.self) : nil
        case .teletexString: text = String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
        case .bmpString where bytes.count % 2 == 0:
            let units = stride(from: bytes.startIndex, to: bytes.endIndex, by: 2).map {
                UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1])
            }
            text = String(validating: units, as: UTF16.self)
        default: text = "#" + node.encodedBytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
        guard let text, !text.utf8.contains(0) else { throw ASN1Error.unexpectedFieldType(node.identifier) }
        return text
    }

    private static func escaped(_ value: String) -> String {
        var result = ""
        for (position, character) in value.enumerated() {
            let isEdge = position == 0 || position == value.count - 1
            if ",+\"\\<>;".contains(character) || character == " " && isEdge || character == "#" && position == 0 {
                result.append("\\")
            }
            result.append(character)
        }
        return result
    }
}
