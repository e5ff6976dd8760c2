import Glibc

/// Small files that are there whole or not at all, readable by the owner alone.
enum AtomicFile {
    /// nil when there is none.
    static func read(_ path: String) throws(ConsensusStartError) -> [UInt8]? {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 {
            if errno == ENOENT { return nil }
            throw failure("read", path)
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        let chunk = 1 << 16
        while true {
            var count = 0
            let more = [UInt8](unsafeUninitializedCapacity: chunk) { buffer, used in
                repeat { count = Glibc.read(descriptor, buffer.baseAddress, chunk) } while count < 0 && errno == EINTR
                used = max(count, 0)
            }
            if count < 0 { throw failure("read", path) }
            if count == 0 { return bytes }
            bytes += more
        }
    }

    /// Replaces the file, durably.
    static func write(_ bytes: UnsafeRawBufferPointer, to path: String) throws(ConsensusStartError) {
        let temporary = path + ".new"
        let descriptor = Glibc.open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("write", temporary) }
        var at = 0
        while at < bytes.count {
            let count = Glibc.write(descriptor, bytes.baseAddress.map { $0 + at }, bytes.count - at)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            at += count
        }
        let isWritten = at == bytes.count && fsync(descriptor) == 0
        let reason = errno
        close(descriptor)
        guard isWritten, rename(temporary, path) == 0 else {
            if !isWritten { errno = reason }
            let error = failure("write", path)
            unlink(temporary)
            throw error
        }
        try syncFolder(of: path)
    }

    static func write(_ text: String, to path: String) throws(ConsensusStartError) {
        let bytes = Array(text.utf8)
        do {
            try bytes.withUnsafeBytes { try write($0, to: path) }
        } catch let error as ConsensusStartError {
            throw error
        } catch {
            throw ConsensusStartError(.unusable, "\(path): \(error)")
        }
    }

    /// Makes the folder, and those above it, for the owner alone.
    static func makeFolder(_ path: String) throws(ConsensusStartError) {
        var made = ""
        for part in path.split(separator: "/", omittingEmptySubsequences: false) {
            made += made.isEmpty && part.isEmpty ? "/" : (made.isEmpty || made == "/" ? "" : "/") + part
            guard !part.isEmpty, mkdir(made, 0o700) != 0, errno != EEXIST else { continue }
            var info = stat()
            let reason = errno
            guard stat(made, &info) == 0 else {
                errno = reason
                throw failure("make", made)
            }
        }
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// So that a new name outlives a power cut.
    private static func syncFolder(of path: String) throws(ConsensusStartError) {
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let descriptor = Glibc.open(folder.isEmpty ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open", folder) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("sync", folder) }
    }

    private static func failure(_ what: String, _ path: String) -> ConsensusStartError {
        ConsensusStartError(.unusable, "cannot \(what) \(path): \(String(cString: strerror(errno)))")
    }
}
