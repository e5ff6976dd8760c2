import Foundation

/// The node's data directory, held by one node at a time.
final class DataDirectory: Sendable {
    private let lock: Int32

    /// Makes the directory if need be and takes its lock, which the system releases when the process ends, however.
    /// - Throws: ``Failure`` when it can't be made, or when another node has it.
    init(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o750])
        } catch {
            throw Failure(
                "the data directory \(path) can't be made: \(error.localizedDescription); change node.data_dir")
        }
        lock = open(path + "/sluice.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else {
            throw Failure(
                "the data directory \(path) can't be written: \(String(cString: strerror(errno))); change node.data_dir"
            )
        }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            throw Failure("another node runs with the data directory \(path); stop it or change node.data_dir")
        }
    }

    deinit { close(lock) }
}
