internal import CCurl
internal import Glibc

/// A webhook's URL, checked: http or https, a host, no user info, no fragment, no placeholder.
struct WebhookAddress: Sendable, Equatable {
    /// The URL without a slash at its end.
    let base: String
    let host: String
    let isSecure: Bool

    init(_ url: String) throws(SinkFailure) {
        guard !url.contains("${") else { throw SinkFailure("the URL of a webhook takes no placeholder") }
        guard let handle = curl_url() else { throw SinkFailure("no memory for a URL") }
        defer { curl_url_cleanup(handle) }
        guard curl_url_set(handle, CURLUPART_URL, url, 0) == CURLUE_OK else {
            throw SinkFailure("the URL cannot be read")
        }
        func part(_ part: CURLUPart) -> String? {
            var text: UnsafeMutablePointer<CChar>?
            guard curl_url_get(handle, part, &text, 0) == CURLUE_OK, let text else { return nil }
            defer { curl_free(text) }
            return String(cString: text)
        }
        guard let scheme = part(CURLUPART_SCHEME)?.lowercased(), scheme == "http" || scheme == "https" else {
            throw SinkFailure("the URL's scheme must be http or https")
        }
        guard part(CURLUPART_USER) == nil, part(CURLUPART_PASSWORD) == nil else {
            throw SinkFailure("the URL must not hold a user name or password; there is `auth` for them")
        }
        guard part(CURLUPART_FRAGMENT) == nil, part(CURLUPART_QUERY) == nil else {
            throw SinkFailure("the URL must not have a query or fragment; the action's path takes the query")
        }
        guard let host = part(CURLUPART_HOST), !host.isEmpty, let whole = part(CURLUPART_URL) else {
            throw SinkFailure("the URL has no host")
        }
        self.host = host.lowercased()
        isSecure = scheme == "https"
        var base = whole
        while base.hasSuffix("/") { base.removeLast() }
        self.base = base
    }
}

/// Keeps requests away from addresses that the operator did not mean: what a public host name resolves to must be public.
///
/// Private names and literal addresses say what they mean; other names need a place in `allow_hosts`. The address that is
/// connected to is checked, so that a name which changes its address later gains nothing. Link-local ones, where
/// clouds keep their metadata, are open to literal addresses and listed hosts alone.
package final class AddressGuard: Sendable {
    private let allowsPrivate: Bool
    private let allowsLinkLocal: Bool

    package init(host: String, allowHosts: [String]) {
        let bare = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
        let isListed = allowHosts.contains { $0.lowercased() == bare }
        let isLiteral = bare.contains(":") || (bare.split(separator: ".").allSatisfy { $0.allSatisfy(\.isNumber) })
        allowsLinkLocal = isListed || isLiteral
        allowsPrivate = allowsLinkLocal || Self.isPrivateName(bare)
    }

    /// A name that no public server answers for. [RFC 6761] [RFC 8375]
    private static func isPrivateName(_ host: String) -> Bool {
        if !host.contains(".") { return true }
        let suffixes = [".localhost", ".local", ".internal", ".lan", ".home.arpa", ".test", ".svc", ".cluster.local"]
        return suffixes.contains(where: host.hasSuffix)
    }

    /// Whether a literal address may be connected to; false for what is none.
    package func allows(_ text: String) -> Bool {
        var four = sockaddr_in()
        if inet_pton(AF_INET, text, &four.sin_addr) == 1 {
            return withUnsafePointer(to: &four) { allows(UnsafeRawPointer($0), family: AF_INET) }
        }
        var six = sockaddr_in6()
        guard inet_pton(AF_INET6, text, &six.sin6_addr) == 1 else { return false }
        return withUnsafePointer(to: &six) { allows(UnsafeRawPointer($0), family: AF_INET6) }
    }

    /// - Parameter address: of the family's kind.
    func allows(_ address: UnsafeRawPointer, family: Int32) -> Bool {
        switch family {
        case AF_INET: return allows(v4: UInt32(bigEndian: address.loadUnaligned(as: sockaddr_in.self).sin_addr.s_addr))
        case AF_INET6:
            var six = address.loadUnaligned(as: sockaddr_in6.self).sin6_addr
            return withUnsafeBytes(of: &six) { allows(v6: $0) }
        default: return false
        }
    }

    private func allows(v4 address: UInt32) -> Bool {
        func isIn(_ network: UInt32, _ bits: UInt32) -> Bool { address >> (32 - bits) == network >> (32 - bits) }
        if isIn(0xA9FE_0000, 16) { return allowsLinkLocal }
        // Multicast, broadcast and reserved.
        if isIn(0xE000_0000, 3) { return false }
        let isPrivate =
            isIn(0x0000_0000, 8) || isIn(0x7F00_0000, 8) || isIn(0x0A00_0000, 8) || isIn(0xAC10_0000, 12)
            || isIn(0xC0A8_0000, 16) || isIn(0x6440_0000, 10)
        return !isPrivate || allowsPrivate
    }

    private func allows(v6 address: UnsafeRawBufferPointer) -> Bool {
        let isV4 = address[..<10].allSatisfy { $0 == 0 } && address[10] == 0xFF && address[11] == 0xFF
        if isV4 { return allows(v4: address[12..<16].reduce(0) { $0 << 8 | UInt32($1) }) }
        // The network's gateway to IPv4 leads to the same addresses. [RFC 6052]
        let gateway: [UInt8] = [0x00, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0]
        if address[..<12].elementsEqual(gateway) {
            return allows(v4: address[12..<16].reduce(0) { $0 << 8 | UInt32($1) })
        }
        if address[0] == 0xFE, address[1] & 0xC0 == 0x80 { return allowsLinkLocal }
        if address[0] == 0xFF { return false }
        let isLoopback = address[..<15].allSatisfy { $0 == 0 } && address[15] <= 1
        return !(isLoopback || address[0] & 0xFE == 0xFC) || allowsPrivate
    }
}
