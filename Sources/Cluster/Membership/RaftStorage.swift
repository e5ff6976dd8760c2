package import Consensus
import Glibc
package import Logging

/// A node's part of the cluster in `<data_dir>/cluster`: its identity, the replicated log, a replicant's copy of the state.
///
/// What is set aside is renamed to `cluster.<time>` beside it. Calls come one at a time.
package final class RaftStorage: ClusterStorage {
    private let parent: String
    private let logger: Logger

    /// - Parameter dataDirectory: is there already.
    package init(dataDirectory: String, logger: Logger) {
        parent = dataDirectory
        self.logger = logger
    }

    private var folder: String { "\(parent)/cluster" }
    private var joiningFile: String { "\(folder)/joining" }
    private var copyFile: String { "\(folder)/copy" }

    package func identity() throws(ClusterStorageError) -> (identity: ClusterIdentity, isNew: Bool) {
        do throws(ConsensusStartError) {
            let known = try NodeIdentity.read(from: folder)
            let identity = try NodeIdentity.readOrMake(in: folder)
            let joining = read(joiningFile).map { String(decoding: $0, as: UTF8.self) } ?? ""
            return (
                ClusterIdentity(
                    id: identity.id, clusterID: identity.clusterID, epoch: identity.epoch,
                    joining: joining.split(separator: "\n").map(String.init)), known == nil
            )
        } catch { throw ClusterStorageError(error.description) }
    }

    package func keep(_ identity: ClusterIdentity) throws(ClusterStorageError) {
        do throws(ConsensusStartError) {
            try NodeIdentity(id: identity.id, clusterID: identity.clusterID, epoch: identity.epoch).write(to: folder)
        } catch { throw ClusterStorageError(error.description) }
        if identity.joining.isEmpty {
            unlink(joiningFile)
        } else {
            try write(Array(identity.joining.joined(separator: "\n").utf8), to: joiningFile)
        }
    }

    package func open(
        _ identity: ClusterIdentity, name: String, bootstraps: Bool, machine: any StateMachine,
        dial:
            @escaping @Sendable (_ id: UInt64, _ name: String, _ connected: @escaping @Sendable (Int32?) -> Void) ->
            Void
    ) throws(ClusterStorageError) -> any Consensus {
        var configuration = configuration(identity, name)
        configuration.bootstraps = bootstraps
        let node = RaftNode(configuration, machine: machine, log: logger, dial: dial)
        do throws(ConsensusStartError) { try node.start() } catch {
            guard error.kind != .unusable else { throw ClusterStorageError(error.description) }
            throw ClusterStorageError(
                "\(error.description)\nNext: move \(folder) away and start again; the node then begins anew, and joins its cluster again "
                    + "with sluice ctl cluster join")
        }
        return node
    }

    private func configuration(_ identity: ClusterIdentity, _ name: String) -> RaftConfiguration {
        RaftConfiguration(id: identity.id, name: name, directory: folder)
    }

    package func setAside() throws(ClusterStorageError) -> String {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let stamp =
            "\(parts.tm_year + 1900)\(two(parts.tm_mon + 1))\(two(parts.tm_mday))-\(two(parts.tm_hour))\(two(parts.tm_min))\(two(parts.tm_sec))"
        var place = "\(folder).\(stamp)"
        var number = 1
        while access(place, F_OK) == 0 {
            number += 1
            place = "\(folder).\(stamp)-\(number)"
        }
        guard rename(folder, place) == 0 else { throw failure("renaming", folder) }
        return place
    }

    package func bringBack(_ place: String) throws(ClusterStorageError) {
        // What was begun meanwhile is kept as well: nothing is deleted.
        if access(folder, F_OK) == 0 { _ = try setAside() }
        guard rename(place, folder) == 0 else { throw failure("renaming", place) }
    }

    package func readCopy() -> [UInt8]? { read(copyFile) }
    package func writeCopy(_ bytes: [UInt8]) throws(ClusterStorageError) { try write(bytes, to: copyFile) }

    // MARK: A node that does not run

    /// What this directory's log knows, for choosing which of several survivors is kept.
    package func inspect(name: String) throws(ClusterStorageError) -> (
        identity: ClusterIdentity, term: UInt64, index: UInt64, members: [ConsensusMember]
    ) {
        guard access(folder, F_OK) == 0 else { throw ClusterStorageError("there is no cluster in \(parent)") }
        let (identity, _) = try identity()
        do throws(ConsensusStartError) {
            let inspection = try RaftDirectory.inspect(configuration(identity, name))
            return (identity, inspection.lastTerm, inspection.lastIndex, inspection.members)
        } catch { throw ClusterStorageError(error.description) }
    }

    /// Makes the named members all there are, under a new epoch, which keeps the others from ever being a cluster of their own.
    /// - Returns: the new epoch.
    package func recover(name: String, keeping names: [String]) throws(ClusterStorageError) -> UInt64 {
        var (identity, _, _, members) = try inspect(name: name)
        guard names.contains(name) else {
            throw ClusterStorageError("\(name) itself must be among those that are kept")
        }
        let unknown = names.filter { name in !members.contains { $0.name == name } }
        guard unknown.isEmpty else {
            throw ClusterStorageError(
                "\(unknown.joined(separator: ", ")): no such core; there are \(members.map(\.name).joined(separator: ", "))"
            )
        }
        var kept = members.filter { names.contains($0.name) }
        for index in kept.indices { kept[index].role = .voter }
        // The epoch first: a crash in between leaves a node that others refuse, not one that they believe.
        identity.epoch += 1
        try keep(identity)
        do throws(ConsensusStartError) {
            try RaftDirectory.recover(configuration(identity, name), members: kept)
        } catch { throw ClusterStorageError(error.description) }
        return identity.epoch
    }

    // MARK: Files

    private func failure(_ doing: String, _ path: String) -> ClusterStorageError {
        ClusterStorageError("\(doing) \(path): \(String(cString: strerror(errno)))")
    }

    private func read(_ path: String) -> [UInt8]? {
        let file = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(file, &part, part.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { return bytes }
            bytes += part[..<count]
        }
    }

    /// As a whole or not at all, over a loss of power too.
    private func write(_ bytes: [UInt8], to path: String) throws(ClusterStorageError) {
        let temporary = path + ".new"
        let file = Glibc.open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure("writing", temporary) }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(file, $0.baseAddress.map { $0 + written }, bytes.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                close(file)
                throw failure("writing", temporary)
            }
            written += count
        }
        let isSynced = fsync(file) == 0
        close(file)
        guard isSynced, rename(temporary, path) == 0 else { throw failure("writing", path) }
        let directory = Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw failure("opening", folder) }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw failure("syncing", folder) }
    }
}
