import ConfigSchema
import Glibc

/// Puts a file in place as a whole: who reads it meanwhile sees the old one or the new one.
package enum FileReplacement {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

    /// Blocks on the file system. Keeps the file's mode, its byte order mark, and a link that leads to it.
    ///
    /// - Parameter old: what the file must still hold, without its byte order mark; nil does not look.
    package static func write(_ bytes: [UInt8], to path: String, replacing old: [UInt8]? = nil) throws(Failure) {
        let target = resolved(path)
        var bytes = bytes
        if let old {
            let current = FileReading.bytes(ofFile: target) ?? []
            let hasMark = current.starts(with: byteOrderMark)
            guard (hasMark ? Array(current.dropFirst(3)) : current) == old else {
                throw Failure(description: "\(path) changed meanwhile; nothing was written to it")
            }
            if hasMark { bytes = byteOrderMark + bytes }
        }
        var status = stat()
        let mode = stat(target, &status) == 0 ? status.st_mode & 0o7777 : nil
        if mode != nil, status.st_mode & S_IFMT != S_IFREG { return try append(bytes, target) }
        let temporary = "\(target).\(getpid()).tmp"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw failure("\(temporary) cannot be made") }
        var isDone = write(bytes, to: descriptor) && fsync(descriptor) == 0
        if let mode { isDone = isDone && fchmod(descriptor, mode) == 0 }
        isDone = close(descriptor) == 0 && isDone
        guard isDone, rename(temporary, target) == 0 else {
            let failure = failure("\(path) cannot be written")
            unlink(temporary)
            throw failure
        }
    }

    /// Pipes and devices cannot be replaced.
    private static func append(_ bytes: [UInt8], _ path: String) throws(Failure) {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("\(path) cannot be opened") }
        defer { close(descriptor) }
        guard write(bytes, to: descriptor) else { throw failure("\(path) cannot be written") }
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var offset = 0
        while offset < bytes.count {
            let count = bytes[offset...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            offset += count
        }
        return true
    }

    private static func resolved(_ path: String) -> String {
        guard let real = realpath(path, nil) else { return path }
        defer { free(real) }
        return String(cString: real)
    }

    private static func failure(_ text: String) -> Failure {
        Failure(description: "\(text): \(String(cString: strerror(errno)))")
    }
}
