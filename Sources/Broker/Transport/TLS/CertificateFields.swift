import ConfigSchema
import SwiftASN1

/// The fields of an X.509 certificate that this broker looks at. Of certificates that have been verified, or are its own.
struct CertificateFields {
    /// The content of the INTEGER.
    let serialNumber: [UInt8]
    /// The names as they are encoded.
    let issuer: [UInt8]
    let subject: [UInt8]
    let commonName: String?
    let distinguishedName: String
    let alternativeNames: [String]

    init(der: [UInt8]) throws {
        let tbs = try DER.sequence(try DER.parse(der), identifier: .sequence) { nodes in
            let first = try nodes.required()
            nodes.skipRest()
            return first
        }
        var fields: [ASN1Node] = []
        var extensions: ASN1Node?
        try DER.sequence(tbs, identifier: .sequence) { nodes in
            while let node = nodes.next() {
                if node.identifier.tagClass == .universal {
                    fields.append(node)
                } else if node.identifier.tagNumber == 3 {
                    extensions = node
                }
            }
        }
        // Serial number, algorithm, issuer, validity, subject, key; the version before them has a tag of its own.
        guard fields.count == 6, case .primitive(let serial) = fields[0].content else { throw malformed() }
        serialNumber = Array(serial)
        issuer = Array(fields[2].encodedBytes)
        subject = Array(fields[4].encodedBytes)
        let name = try DistinguishedName(fields[4])
        commonName = name.commonName
        distinguishedName = name.text
        alternativeNames = try extensions.map { try Self.alternativeNames(in: $0) } ?? []
    }

    private static func alternativeNames(in tagged: ASN1Node) throws -> [String] {
        guard case .constructed(let inside) = tagged.content else { throw malformed() }
        var names: [String] = []
        for list in inside {
            try DER.sequence(list, identifier: .sequence) { nodes in
                while let node = nodes.next() {
                    let entry = try CertificateExtension(node)
                    if entry.identifier == [2, 5, 29, 17] { names += try GeneralName.texts(entry.value) }
                }
            }
        }
        return names
    }
}

extension PeerCertificate {
    /// - Parameter der: the certificate; verified.
    init(der: [UInt8]) throws {
        let fields = try CertificateFields(der: der)
        self.init(
            commonName: fields.commonName, distinguishedName: fields.distinguishedName,
            alternativeNames: fields.alternativeNames)
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

private enum GeneralName {
    static func texts(_ der: ArraySlice<UInt8>) throws -> [String] {
        var names: [String] = []
        try DER.sequence(try DER.parse(der), identifier: .sequence) { nodes in
            while let node = nodes.next() {
                guard node.identifier.tagClass == .contextSpecific, case .primitive(let bytes) = node.content else {
                    continue
                }
                switch node.identifier.tagNumber {
                case 1: names.append("email:" + String(decoding: bytes, as: UTF8.self))
                case 2: names.append("DNS:" + String(decoding: bytes, as: UTF8.self))
                case 6: names.append("URI:" + String(decoding: bytes, as: UTF8.self))
                case 7: names += address(bytes).map { ["IP:" + $0] } ?? []
                default: break
                }
            }
        }
        return names
    }

    private static func address(_ bytes: ArraySlice<UInt8>) -> String? { NetworkAddress(bytes: bytes)?.text }
}

extension ASN1NodeCollection.Iterator {
    mutating func required() throws -> ASN1Node {
        guard let node = next() else { throw malformed() }
        return node
    }

    mutating func skipRest() { while next() != nil {} }
}

private func malformed() -> TLSFileError { TLSFileError("a certificate is not as it should be") }
