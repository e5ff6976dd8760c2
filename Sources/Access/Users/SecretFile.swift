import ConfigSchema
import Glibc

/// Files with credentials: readable by their owner alone, replaced whole or not at all. [CVE-2017-9868]
enum SecretFile {
    /// Writes the bytes beside the file, syncs them, and puts them in its place. Mode 0600 from the first byte on.
    static func replace(_ path: String, with bytes: [UInt8]) throws(AccessFailure) {
        let temporary = path + ".new"
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failure(path) }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                write(descriptor, $0.baseAddress.map { $0 + written }, $0.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let error = failure(path)
                close(descriptor)
                unlink(temporary)
                throw error
            }
            written += count
        }
        guard fsync(descriptor) == 0, close(descriptor) == 0, rename(temporary, path) == 0 else { throw failure(path) }
        syncFolder(of: path)
    }

    /// - Returns: nil when there is no such file.
    /// - Throws: when there is one that cannot be read.
    static func read(_ path: String) throws(AccessFailure) -> [UInt8]? {
        if let bytes = FileReading.bytes(ofFile: path) { return bytes }
        guard access(path, F_OK) != 0, errno == ENOENT else { throw AccessFailure("the file \(path) can't be read") }
        return nil
    }

    private static func syncFolder(of path: String) {
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let descriptor = open(folder.isEmpty ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    private static func failure(_ path: String) -> AccessFailure {
        AccessFailure("the file \(path) can't be written: \(String(cString: strerror(errno)))")
    }
}

/// Why access control can't start or a change can't be made: one sentence without secrets.
package struct AccessFailure: Error, CustomStringConvertible, Equatable {
    package let description: String
    package init(_ description: String) { self.description = description }
}
