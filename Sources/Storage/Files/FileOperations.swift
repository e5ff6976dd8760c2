package import Glibc

/// What the store asks of the file system, each call once: the seam at which tests let a disk fail.
///
/// Results are as the system call's, with `-errno` in place of -1. Called from the writer's, the maintenance and the
/// readers' threads.
package protocol FileOperations: Sendable {
    /// - Returns: a descriptor. New files are for the owner alone (0600).
    func open(_ path: String, flags: Int32) -> Int32
    func close(_ descriptor: Int32)
    /// Writes at `offset`; may write less than all.
    func write(_ descriptor: Int32, _ vectors: UnsafePointer<iovec>, count: Int, at offset: Int) -> Int
    /// Reads at `offset`; may read less than all, 0 at the end.
    func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: Int) -> Int
    func size(_ descriptor: Int32) -> Int
    /// fdatasync.
    func sync(_ descriptor: Int32) -> Int
    func truncate(_ descriptor: Int32, to size: Int) -> Int
    /// Takes room for `size` bytes on the disk.
    func allocate(_ descriptor: Int32, size: Int) -> Int
    func remove(_ path: String) -> Int
    func rename(_ path: String, to newPath: String) -> Int
    func makeDirectory(_ path: String) -> Int
    /// Makes created, renamed and removed names last.
    func syncDirectory(_ path: String) -> Int
    /// - Returns: nil when the directory cannot be read.
    func list(_ directory: String) -> [String]?
    /// Bytes that may still be written in the file system of `directory`.
    func freeBytes(_ directory: String) -> Int
    /// Takes the directory for this process, until the descriptor is closed.
    func lock(_ descriptor: Int32) -> Int
}

/// The kernel's file system.
package struct SystemFiles: FileOperations {
    package init() {}

    private func result<T: SignedInteger>(_ value: T) -> Int { value < 0 ? -Int(errno) : Int(value) }

    package func open(_ path: String, flags: Int32) -> Int32 {
        Int32(result(Glibc.open(path, flags | O_CLOEXEC, 0o600)))
    }

    package func close(_ descriptor: Int32) { _ = Glibc.close(descriptor) }

    package func write(_ descriptor: Int32, _ vectors: UnsafePointer<iovec>, count: Int, at offset: Int) -> Int {
        result(pwritev(descriptor, vectors, Int32(count), off_t(offset)))
    }

    package func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: Int) -> Int {
        result(pread(descriptor, buffer.baseAddress, buffer.count, off_t(offset)))
    }

    package func size(_ descriptor: Int32) -> Int {
        var status = stat()
        return fstat(descriptor, &status) < 0 ? -Int(errno) : Int(status.st_size)
    }

    package func sync(_ descriptor: Int32) -> Int { result(fdatasync(descriptor)) }
    package func truncate(_ descriptor: Int32, to size: Int) -> Int { result(ftruncate(descriptor, off_t(size))) }
    package func allocate(_ descriptor: Int32, size: Int) -> Int { -Int(posix_fallocate(descriptor, 0, off_t(size))) }
    package func remove(_ path: String) -> Int { result(unlink(path)) }
    package func rename(_ path: String, to newPath: String) -> Int { result(Glibc.rename(path, newPath)) }

    package func makeDirectory(_ path: String) -> Int {
        let made = result(mkdir(path, 0o700))
        return made == -Int(EEXIST) ? 0 : made
    }

    package func syncDirectory(_ path: String) -> Int {
        let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return -Int(errno) }
        defer { _ = Glibc.close(descriptor) }
        return result(fsync(descriptor))
    }

    package func list(_ directory: String) -> [String]? {
        guard let stream = opendir(directory) else { return nil }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let capacity = MemoryLayout.size(ofValue: entry.pointee.d_name)
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: UInt8.self, capacity: capacity) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    package func freeBytes(_ directory: String) -> Int {
        var status = statvfs()
        guard statvfs(directory, &status) == 0 else { return -Int(errno) }
        return Int(status.f_bavail) * Int(status.f_frsize)
    }

    package func lock(_ descriptor: Int32) -> Int {
        var region = flock()
        region.l_type = Int16(F_WRLCK)
        region.l_whence = Int16(SEEK_SET)
        return result(fcntl(descriptor, F_SETLK, &region))
    }
}
