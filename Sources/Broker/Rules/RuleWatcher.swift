import CLinux
import Glibc
package import Logging
import RuleFiles
import Synchronization

/// Sees changes in the rule directories and calls back, once for a burst. [rule files: inotify, debounced]
///
/// Watches directories, not files: editors replace files, and a directory sees that. A directory that is not there is
/// looked for again with each change of its parent.
///
/// `@unchecked Sendable`: started and stopped by one thread; the rest is the watcher's own.
package final class RuleWatcher: @unchecked Sendable {
    private let paths: [String]
    private let debounceMilliseconds: Int32
    private let onChange: @Sendable () -> Void
    private let logger: Logger
    private let stopEvent: Int32
    private let notify: Int32
    private let stopping = Atomic<Bool>(false)
    private var thread: ThreadRunner?

    /// - Parameters:
    ///   - paths: rule files and directories, as configured.
    ///   - onChange: called on the watcher's thread.
    package init?(
        paths: [String], debounceMilliseconds: Int32 = 200, logger: Logger, onChange: @escaping @Sendable () -> Void
    ) {
        self.paths = paths
        self.debounceMilliseconds = debounceMilliseconds
        self.logger = logger
        self.onChange = onChange
        notify = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
        stopEvent = eventfd(0, Int32(EFD_CLOEXEC))
        guard notify >= 0, stopEvent >= 0 else {
            logger.warning(
                "Rule files cannot be watched; use SIGHUP.", metadata: ["error": "\(TransportError("inotify", errno))"])
            return nil
        }
    }

    deinit {
        close(notify)
        close(stopEvent)
    }

    package func start() throws {
        watch()
        thread = try ThreadRunner(name: "rule-watcher") { [self] in run() }
    }

    package func stop() {
        stopping.store(true, ordering: .releasing)
        var one: UInt64 = 1
        _ = write(stopEvent, &one, 8)
        thread?.join()
        thread = nil
    }

    private func watch() {
        let mask = UInt32(
            IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF)
        for path in paths {
            let directory =
                RuleFileFinder.isRuleFile(path.split(separator: "/").last.map(String.init) ?? path)
                ? parent(path) : path
            if inotify_add_watch(notify, directory, mask) < 0, inotify_add_watch(notify, parent(directory), mask) < 0 {
                logger.warning("A rule directory cannot be watched.", metadata: ["path": "\(directory)"])
            }
        }
    }

    private func parent(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private func run() {
        while !stopping.load(ordering: .acquiring) {
            guard wait(milliseconds: -1) else { return }
            // A burst ends when nothing has come for a moment; it is not waited for longer than a few moments.
            var rounds = 0
            repeat {
                drain()
                rounds += 1
            } while rounds < 4 && wait(milliseconds: debounceMilliseconds)
            guard !stopping.load(ordering: .acquiring) else { return }
            watch()
            onChange()
        }
    }

    /// - Returns: whether there is an event to be read; false for none in time, and at the end.
    private func wait(milliseconds: Int32) -> Bool {
        var polls = [
            pollfd(fd: notify, events: Int16(POLLIN), revents: 0),
            pollfd(fd: stopEvent, events: Int16(POLLIN), revents: 0),
        ]
        while poll(&polls, 2, milliseconds) < 0 { guard errno == EINTR else { return false } }
        return polls[1].revents == 0 && polls[0].revents != 0
    }

    private func drain() {
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while read(notify, &buffer, buffer.count) > 0 {}
    }
}
