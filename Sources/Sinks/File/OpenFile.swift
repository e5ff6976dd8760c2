internal import Buffers
internal import Glibc

/// A file that a sink appends lines to. Confined to the sink's thread.
final class OpenFile {
    let path: String
    /// Name in ``directory``.
    let name: String
    private(set) var descriptor: Int32
    /// The directory it is in.
    let directory: Int32
    let buffer = OutputBuffer(capacity: 4096)
    /// Bytes written.
    private(set) var size: Int
    /// Bytes of batches that are done: what a failed batch is taken back to.
    private(set) var committedSize: Int
    /// Whether something was written that is not forced to the disk.
    private(set) var needsSync = false
    /// Which period of `rotate.every` its lines belong to.
    var period: Int64
    var lastUse: UInt64 = 0
    var lastCheck: Int64 = 0
    private let device: dev_t
    private let inode: ino_t

    /// The longest line that a torn end is looked for in.
    private static let longestLine = 64 * 1024 * 1024

    /// Opens or creates the file; nothing on the way below `base` may be a link.
    /// - Parameter base: descriptor of the sink's directory.
    init(_ path: String, base: Int32, now: Int64) throws(FileError) {
        self.path = path
        let components = FilePath.components(path)
        name = components[components.count - 1]
        directory = try Self.openDirectory(components.dropLast(), base: base)
        let flags = O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK
        descriptor = openat(directory, name, flags, 0o640)
        var status = stat()
        guard descriptor >= 0, fstat(descriptor, &status) == 0 else {
            let error = FileError("cannot open \(path)")
            if descriptor >= 0 { close(descriptor) }
            close(directory)
            throw error
        }
        size = Int(status.st_size)
        committedSize = size
        period = Int64(status.st_mtim.tv_sec)
        device = status.st_dev
        inode = status.st_ino
        lastCheck = now
        guard status.st_mode & S_IFMT == S_IFREG else {
            closeAll()
            throw FileError(text: "\(path) is no regular file", number: EINVAL)
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            closeAll()
            throw FileError(text: "\(path) is in use by another sink or process", number: EBUSY)
        }
    }

    private static func openDirectory(_ components: ArraySlice<String>, base: Int32) throws(FileError) -> Int32 {
        var current = fcntl(base, F_DUPFD_CLOEXEC, 0)
        guard current >= 0 else { throw FileError("cannot open the sink's directory") }
        for component in components {
            if mkdirat(current, component, 0o750) != 0, errno != EEXIST {
                let error = FileError("cannot make the directory \(component)")
                close(current)
                throw error
            }
            let next = openat(current, component, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            let error = next < 0 ? FileError("cannot open the directory \(component)") : nil
            close(current)
            if let error { throw error }
            current = next
        }
        return current
    }

    func closeAll() {
        close(descriptor)
        close(directory)
    }

    /// Cuts off a last line without its line feed: what a kill or a power loss left of it.
    /// - Returns: the bytes cut off.
    func repair() throws(FileError) -> Int {
        guard size > 0 else { return 0 }
        var end = size
        var block = [UInt8](repeating: 0, count: 64 * 1024)
        while end > 0, size - end <= Self.longestLine {
            let start = max(0, end - block.count)
            let count = pread(descriptor, &block, end - start, off_t(start))
            guard count == end - start else { throw FileError("cannot read \(path)") }
            if let index = block[..<count].lastIndex(of: UInt8(ascii: "\n")) {
                return try cut(to: start + index + 1)
            }
            end = start
        }
        guard end == 0 else {
            throw FileError(text: "\(path) does not look like a file of lines", number: EINVAL)
        }
        return try cut(to: 0)
    }

    private func cut(to length: Int) throws(FileError) -> Int {
        let torn = size - length
        guard torn > 0 else { return 0 }
        guard ftruncate(descriptor, off_t(length)) == 0 else { throw FileError("cannot repair \(path)") }
        size = length
        committedSize = length
        return torn
    }

    /// Writes what is buffered.
    func flush() throws(FileError) {
        while !buffer.isEmpty {
            let count = write(descriptor, buffer.bytes.baseAddress, buffer.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError("cannot write to \(path)")
            }
            size += count
            needsSync = true
            buffer.consume(count)
        }
    }

    func sync() throws(FileError) {
        guard needsSync else { return }
        guard fdatasync(descriptor) == 0 else { throw FileError("cannot sync \(path)") }
        needsSync = false
    }

    func commit() { committedSize = size }

    /// Takes back what was written since the last commit.
    func rollBack() throws(FileError) {
        buffer.removeAll()
        guard size > committedSize else { return }
        guard ftruncate(descriptor, off_t(committedSize)) == 0 else {
            throw FileError("cannot take back a part of \(path)")
        }
        size = committedSize
    }

    /// Whether the name still leads to this file; false when somebody moved or deleted it.
    func isInPlace() -> Bool {
        var status = stat()
        guard fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { return false }
        return status.st_ino == inode && status.st_dev == device
    }
}

/// A system call that failed.
struct FileError: Error {
    var text: String
    var number: Int32

    /// Of the calling thread's `errno`.
    init(_ what: String) {
        number = errno
        text = "\(what): \(errorText(number))"
    }

    init(text: String, number: Int32) {
        self.text = text
        self.number = number
    }
}
