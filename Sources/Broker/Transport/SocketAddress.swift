import ConfigSchema
import Glibc

/// An IPv4 or IPv6 address and port, or a path, as the system calls take it.
struct SocketAddress {
    private var storage = sockaddr_storage()
    private var length = socklen_t(MemoryLayout<sockaddr_storage>.size)

    init() {}

    /// - Parameter host: a numeric address or a name; empty for all addresses.
    init(host: String, port: Int) throws(TransportError) {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        var result: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host.isEmpty ? "0.0.0.0" : host, String(port), &hints, &result)
        guard status == 0, let first = result else {
            throw TransportError("getaddrinfo \(host)", status == EAI_SYSTEM ? errno : EINVAL)
        }
        defer { freeaddrinfo(result) }
        length = first.pointee.ai_addrlen
        withUnsafeMutableBytes(of: &storage) {
            $0.copyMemory(from: UnsafeRawBufferPointer(start: first.pointee.ai_addr, count: Int(length)))
        }
    }

    /// - Parameter path: of a unix socket.
    init(path: String) throws(TransportError) {
        let bytes = Array(path.utf8)
        var address = sockaddr_un()
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw TransportError("bind \(path)", ENAMETOOLONG)
        }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        withUnsafeMutableBytes(of: &storage) { storage in
            withUnsafeBytes(of: address) { storage.copyMemory(from: $0) }
        }
        length = socklen_t(MemoryLayout<sockaddr_un>.size)
    }

    static func local(of descriptor: Int32) -> SocketAddress? {
        var address = SocketAddress()
        return address.withMutablePointer({ getsockname(descriptor, $0, $1) }) == 0 ? address : nil
    }

    var family: UInt16 { storage.ss_family }
    var isUnix: Bool { Int32(family) == AF_UNIX }

    /// The address as a number; nil for a path.
    var network: NetworkAddress? {
        switch Int32(family) {
        case AF_INET: withUnsafeBytes(of: storage) { NetworkAddress(bytes: $0[4..<8]) }
        case AF_INET6: withUnsafeBytes(of: storage) { NetworkAddress(bytes: $0[8..<24]) }
        default: nil
        }
    }

    /// Of a unix socket.
    private var path: String {
        withUnsafeBytes(of: storage) {
            String(decoding: $0.dropFirst(2).prefix(108).prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    mutating func withPointer<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        let length = length
        return withUnsafePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }

    mutating func withMutablePointer<R>(_ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> R)
        -> R
    {
        withUnsafeMutablePointer(to: &storage) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, &length) }
        }
    }

    /// The numeric address; an IPv4 address that came over an IPv6 socket in its own form.
    var host: String {
        var copy = self
        var buffer = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let status = copy.withPointer { getnameinfo($0, $1, &buffer, socklen_t(buffer.count), nil, 0, NI_NUMERICHOST) }
        guard status == 0 else { return "" }
        let text = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text.hasPrefix("::ffff:") ? String(text.dropFirst(7)) : text
    }

    var port: Int {
        switch Int32(family) {
        case AF_INET:
            withUnsafeBytes(of: storage) { Int(UInt16(bigEndian: $0.load(fromByteOffset: 2, as: UInt16.self))) }
        case AF_INET6:
            withUnsafeBytes(of: storage) { Int(UInt16(bigEndian: $0.load(fromByteOffset: 2, as: UInt16.self))) }
        default: 0
        }
    }

    var text: String { isUnix ? "unix:\(path)" : Endpoints.name(host, port) }
}
