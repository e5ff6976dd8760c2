import Glibc

/// What is wrong with a file that the links need, or with a setting.
package struct MeshFileError: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// Small files that hold secrets.
enum PrivateFile {
    static let largest = 1 << 20

    /// Nil when there is none. Refuses one that others can read.
    static func read(_ path: String) throws(MeshFileError) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 {
            if errno == ENOENT { return nil }
            throw failure("read", path)
        }
        defer { close(descriptor) }
        var info = stat()
        guard fstat(descriptor, &info) == 0 else { throw failure("read", path) }
        guard info.st_mode & 0o077 == 0 else {
            throw MeshFileError("\(path) can be read by others than its owner: chmod 600 \(path)")
        }
        guard info.st_size <= largest else { throw MeshFileError("\(path) is larger than 1 MB") }
        var bytes = [UInt8](repeating: 0, count: Int(info.st_size))
        var at = 0
        while at < bytes.count {
            let count = bytes.withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress.map { $0 + at }, $0.count - at)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure("read", path) }
            if count == 0 { break }
            at += count
        }
        return Array(bytes[..<at])
    }

    /// Writes a new file, durably.
    /// - Returns: false when there is one of that name.
    static func create(_ bytes: [UInt8], at path: String) throws(MeshFileError) -> Bool {
        let temporary = "\(path).\(getpid()).new"
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("write", temporary) }
        defer { unlink(temporary) }
        var at = 0
        var isWritten = true
        while at < bytes.count, isWritten {
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress.map { $0 + at }, $0.count - at) }
            if count > 0 { at += count } else { isWritten = count < 0 && errno == EINTR }
        }
        isWritten = isWritten && fsync(descriptor) == 0
        let reason = errno
        close(descriptor)
        guard isWritten else {
            errno = reason
            throw failure("write", temporary)
        }
        // A link, so that a file that is there is never replaced.
        if link(temporary, path) != 0 {
            if errno == EEXIST { return false }
            throw failure("write", path)
        }
        return true
    }

    private static func failure(_ what: String, _ path: String) -> MeshFileError {
        MeshFileError("cannot \(what) \(path): \(String(cString: strerror(errno)))")
    }
}
