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
    /// - Returns: nil for what is none; never reads beyond it.
    package init?(der: [UInt8]) {
        var outer = DERReader(der[...])
        guard var certificate = outer.sequence(), var body = certificate.sequence() else { return nil }
        _ = body.element(0xA0)  // version
        guard body.next() != nil /* serial */, body.next() != nil /* signature */, body.next() != nil /* issuer */,
            body.next() != nil /* validity */, let subject = body.sequence(), body.next() != nil /* key */
        else { return nil }
        readSubject(subject)
        _ = body.element(0x81)
        _ = body.element(0x82)
        if let extensions = body.element(0xA3) { readExtensions(extensions) }
    }

    private mutating func readSubject(_ names: DERReader) {
        var names = names
        var parts: [String] = []
        while var set = names.element(0x31) {
            while var pair = set.sequence() {
                guard let kind = pair.element(0x06), let value = pair.next() else { continue }
                let text = Self.text(value)
                if kind.rest.elementsEqual([0x55, 0x04, 0x03]) { commonName = text }
                if let name = Self.attributeNames[Array(kind.rest)] { parts.append("\(name)=\(Self.escaped(text))") }
            }
        }
        subject = parts.reversed().joined(separator: ",")
    }

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

    private static let attributeNames: [[UInt8]: String] = [
        [0x55, 4, 3]: "CN", [0x55, 4, 6]: "C", [0x55, 4, 7]: "L", [0x55, 4, 8]: "ST", [0x55, 4, 10]: "O",
        [0x55, 4, 11]: "OU", [0x55, 4, 5]: "serialNumber",
    ]

    private mutating func readExtensions(_ wrapper: DERReader) {
        var wrapper = wrapper
        guard var list = wrapper.sequence() else { return }
        while var item = list.sequence() {
            guard let kind = item.element(0x06), kind.rest.elementsEqual([0x55, 0x1D, 0x11]) else { continue }
            _ = item.element(0x01)  // critical
            guard var octets = item.element(0x04), var names = octets.sequence() else { continue }
            while let (tag, value) = names.next() {
                if [0x81, 0x82, 0x86].contains(tag) {
                    alternativeNames.append(String(decoding: value, as: UTF8.self))
                }
            }
        }
    }

    private static func text(_ value: (tag: UInt8, value: ArraySlice<UInt8>)) -> String {
        guard value.tag == 0x1E else { return String(decoding: value.value, as: UTF8.self) }
        // BMPString: two bytes a character.
        var units: [UInt16] = []
        var bytes = value.value
        while let high = bytes.popFirst(), let low = bytes.popFirst() { units.append(UInt16(high) << 8 | UInt16(low)) }
        return String(decoding: units, as: UTF16.self)
    }
}

/// Walks the elements of a DER encoding; what does not fit its bounds reads as the end.
struct DERReader {
    private(set) var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    /// The next element; nil at the end and for a length that does not fit.
    mutating func next() -> (tag: UInt8, value: ArraySlice<UInt8>)? {
        var bytes = rest
        guard let tag = bytes.popFirst(), tag & 0x1F != 0x1F, let first = bytes.popFirst() else { return nil }
        var length = Int(first)
        if first & 0x80 != 0 {
            let count = Int(first & 0x7F)
            guard (1...4).contains(count), bytes.count >= count else { return nil }
            length = bytes.prefix(count).reduce(0) { $0 << 8 | Int($1) }
            bytes = bytes.dropFirst(count)
        }
        guard length <= bytes.count else { return nil }
        let value = bytes.prefix(length)
        rest = bytes.dropFirst(length)
        return (tag, value)
    }

    /// The next element's contents if it has this tag; stays before it otherwise.
    mutating func element(_ tag: UInt8) -> DERReader? {
        var copy = self
        guard let found = copy.next(), found.tag == tag else { return nil }
        self = copy
        return DERReader(found.value)
    }

    mutating func sequence() -> DERReader? { element(0x30) }
}
