import SwiftASN1

/// The names in a client's certificate, which TLS has verified before.
package struct PeerCertificate: Sendable, Equatable {
    /// The subject's last common name.
    package var commonName: String?
    /// `CN=device-1,O=Acme`, most specific part first. RFC 4514.
    package var subject = ""
    /// DNS names, mail addresses and URIs, in order.
    package var alternativeNames: [String] = []

    /// What a trusted proxy tells of a certificate that it has verified.
    package init(commonName: String) {
        self.commonName = commonName
        subject = "CN=\(commonName)"
    }

    /// - Parameter der: a whole certificate. RFC 5280
    /// - Throws: for what is none, with the place that is wrong.
    package init(der: [UInt8]) throws {
        let certificate = try DER.parse(der).items
        guard let signed = certificate.first else { throw Self.malformed("it is empty") }
        // The version has a tag of its own: serial number, algorithm, issuer, validity, subject, key.
        let fields = signed.items
        let plain = fields.filter { $0.identifier.tagClass == .universal }
        guard plain.count >= 6 else { throw Self.malformed("a field is missing") }
        try readSubject(plain[4])
        for field in fields where field.identifier == .init(tagWithNumber: 3, tagClass: .contextSpecific) {
            guard let list = field.items.first else { throw Self.malformed("the extensions are empty") }
            for item in list.items { try readExtension(item) }
        }
    }

    private static func malformed(_ what: String) -> AccessFailure { AccessFailure("a certificate: \(what)") }

    private mutating func readSubject(_ name: ASN1Node) throws {
        var parts: [String] = []
        for pair in name.items.flatMap({ $0.items }) {
            let items = pair.items
            guard items.count == 2 else { throw Self.malformed("a part of the subject is no pair") }
            let kind = try ASN1ObjectIdentifier(derEncoded: items[0])
            guard let value = items[1].text else { continue }
            if kind == .commonName { commonName = value }
            if let short = Self.attributeNames[kind] { parts.append("\(short)=\(Self.escaped(value))") }
        }
        subject = parts.reversed().joined(separator: ",")
    }

    private mutating func readExtension(_ item: ASN1Node) throws {
        let parts = item.items
        guard let first = parts.first, let last = parts.last, parts.count >= 2 else {
            throw Self.malformed("an extension is incomplete")
        }
        guard try ASN1ObjectIdentifier(derEncoded: first) == .subjectAlternativeName else { return }
        let octets = try ASN1OctetString(derEncoded: last)
        for name in try DER.parse(octets.bytes).items {
            // rfc822Name, dNSName, uniformResourceIdentifier.
            guard name.identifier.tagClass == .contextSpecific, [1, 2, 6].contains(name.identifier.tagNumber),
                let text = name.text
            else { continue }
            alternativeNames.append(text)
        }
    }

    private static let attributeNames: [ASN1ObjectIdentifier: String] = [
        .commonName: "CN", [2, 5, 4, 6]: "C", [2, 5, 4, 7]: "L", [2, 5, 4, 8]: "ST", [2, 5, 4, 10]: "O",
        [2, 5, 4, 11]: "OU", [2, 5, 4, 5]: "serialNumber",
    ]

    /// As RFC 4514 writes a value: what would end it stands behind a backslash.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for (index, character) in text.unicodeScalars.enumerated() {
            let isAtEnd = index == 0 || index == text.unicodeScalars.count - 1
            if ",+\"\\<>;".unicodeScalars.contains(character) || index == 0 && character == "#"
                || isAtEnd && character == " "
            {
                result += "\\"
            }
            result.unicodeScalars.append(character)
        }
        return result
    }
}

extension ASN1ObjectIdentifier {
    fileprivate static let commonName: ASN1ObjectIdentifier = [2, 5, 4, 3]
    fileprivate static let subjectAlternativeName: ASN1ObjectIdentifier = [2, 5, 29, 17]
}

extension ASN1Node {
    /// What is in a SEQUENCE, a SET or a tag around others; empty for what holds no others.
    fileprivate var items: [ASN1Node] {
        if case .constructed(let nodes) = content { Array(nodes) } else { [] }
    }

    /// The characters of a string, whatever its kind; nil for what holds others.
    fileprivate var text: String? {
        guard case .primitive(let bytes) = content else { return nil }
        guard identifier == .bmpString else { return String(decoding: bytes, as: UTF8.self) }
        // Two bytes a character.
        var units: [UInt16] = []
        var rest = bytes
        while let high = rest.popFirst(), let low = rest.popFirst() { units.append(UInt16(high) << 8 | UInt16(low)) }
        return String(decoding: units, as: UTF16.self)
    }
}
