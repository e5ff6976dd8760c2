import SwiftASN1

/// The fields of an X.509 certificate that this broker looks at. Of certificates that have been verified, or are its own.
struct CertificateFields {
    /// The content of the INTEGER.
    let serialNumber: [UInt8]
    /// The names as they are encoded.
    let issuer: [UInt8]
    let subject: [UInt8]

    init(der: [UInt8]) throws {
        let tbs = try DER.sequence(try DER.parse(der), identifier: .sequence) { nodes in
            let first = try nodes.required()
            nodes.skipRest()
            return first
        }
        var fields: [ASN1Node] = []
        try DER.sequence(tbs, identifier: .sequence) { nodes in
            while let node = nodes.next() {
                if node.identifier.tagClass == .universal { fields.append(node) }
            }
        }
        // Serial number, algorithm, issuer, validity, subject, key; the version before them has a tag of its own.
        guard fields.count == 6, case .primitive(let serial) = fields[0].content else { throw malformed() }
        serialNumber = Array(serial)
        issuer = Array(fields[2].encodedBytes)
        subject = Array(fields[4].encodedBytes)
    }
}

/// An extension of a certificate or of a revocation list.
struct CertificateExtension {
    let identifier: [UInt]
    let isCritical: Bool
    let value: ArraySlice<UInt8>

    init(_ node: ASN1Node) throws {
        var parts: [ASN1Node] = []
        try DER.sequence(node, identifier: .sequence) { nodes in while let part = nodes.next() { parts.append(part) } }
        guard let first = parts.first, let last = parts.last, (2...3).contains(parts.count),
            case .primitive(let value) = last.content, last.identifier == .octetString
        else { throw malformed() }
        identifier = try ASN1ObjectIdentifier(derEncoded: first).oidComponents
        isCritical = parts.count == 3 ? try Bool(derEncoded: parts[1]) : false
        self.value = value
    }
}

extension ASN1NodeCollection.Iterator {
    mutating func required() throws -> ASN1Node {
        guard let node = next() else { throw malformed() }
        return node
    }

    mutating func skipRest() { while next() != nil {} }
}

private func malformed() -> TLSFileError { TLSFileError("a certificate is not as it should be") }
