import CLinux
import ConfigSchema
import Glibc

/// A socket that listens, on an address or on a path of the file system.
struct ListeningSocket {
    let descriptor: Int32
    /// Of a unix socket; removed when it closes.
    private let path: String?

    /// - Returns: the socket, and the port in use, which tells when 0 was asked for.
    static func tcp(host: String, port: Int, backlog: Int) throws(TransportError) -> (ListeningSocket, port: Int) {
        var address = try SocketAddress(host: host, port: port)
        let descriptor = try make(Int32(address.family))
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, 4)
        guard address.withPointer({ bind(descriptor, $0, $1) }) == 0 else { throw closing(descriptor, "bind") }
        guard listen(descriptor, Int32(clamping: backlog)) == 0 else { throw closing(descriptor, "listen") }
        return (ListeningSocket(descriptor: descriptor, path: nil), SocketAddress.local(of: descriptor)?.port ?? port)
    }

    /// For this user and group alone. What an ended process left at the path is replaced; a socket that answers is not.
    static func unix(path: String, backlog: Int) throws(TransportError) -> ListeningSocket {
        var address = try SocketAddress(path: path)
        try removeLeftover(path)
        let descriptor = try make(AF_UNIX)
        // Before the bind, so that the file is at no time open to others.
        fchmod(descriptor, 0o660)
        guard address.withPointer({ bind(descriptor, $0, $1) }) == 0 else { throw closing(descriptor, "bind") }
        guard chmod(path, 0o660) == 0, listen(descriptor, Int32(clamping: backlog)) == 0 else {
            throw closing(descriptor, "listen")
        }
        return ListeningSocket(descriptor: descriptor, path: path)
    }

    private static func removeLeftover(_ path: String) throws(TransportError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw TransportError("bind \(path)", EEXIST) }
        var address = try SocketAddress(path: path)
        let probe = try make(AF_UNIX)
        defer { Glibc.close(probe) }
        let isRefused = address.withPointer { connect(probe, $0, $1) } != 0 && errno == ECONNREFUSED
        guard isRefused else { throw TransportError("bind \(path)", EADDRINUSE) }
        unlink(path)
    }

    private static func make(_ family: Int32) throws(TransportError) -> Int32 {
        let descriptor = socket(
            family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw TransportError("socket", errno) }
        return descriptor
    }

    private static func closing(_ descriptor: Int32, _ call: String) -> TransportError {
        let error = TransportError(call, errno)
        Glibc.close(descriptor)
        return error
    }

    func close() {
        Glibc.close(descriptor)
        if let path { unlink(path) }
    }
}
