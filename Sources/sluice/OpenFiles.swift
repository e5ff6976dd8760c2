import ConfigSchema
import Glibc
import Logging

/// The limit of open files: each connection needs one.
enum OpenFiles {
    /// What the node has open besides connections: listeners, loops, libraries, sinks.
    private static let others = 256

    /// Raises this process's soft limit to the hard one. Before anything that depends on it.
    /// - Returns: the limit in force.
    static func raiseLimit(_ logger: Logger) -> Int {
        var limits = rlimit()
        guard getrlimit(resource, &limits) == 0 else {
            logger.warning(
                "The limit of open files can't be read.", metadata: ["error": "\(String(cString: strerror(errno)))"])
            return 1024
        }
        if limits.rlim_cur < limits.rlim_max {
            var raised = limits
            raised.rlim_cur = limits.rlim_max
            if setrlimit(resource, &raised) == 0 {
                limits = raised
            } else {
                logger.warning(
                    "The limit of open files can't be raised.",
                    metadata: [
                        "error": "\(String(cString: strerror(errno)))", "process.open_files": "\(limits.rlim_cur)",
                    ])
            }
        }
        return Int(clamping: limits.rlim_cur)
    }

    /// Says when the listeners may take more connections than there can be files.
    static func check(_ limit: Int, _ listeners: [ListenerSettings], _ logger: Logger) {
        let room = max(0, limit - others)
        let wanted = listeners.filter(\.isEnabled).map { $0.maximumConnections.finite }
        let bounded = wanted.reduce(0) { sum, count in sum.addingReportingOverflow(count ?? 0).partialValue }
        if !wanted.contains(nil), bounded > room {
            logger.warning(
                "The limit of open files is too low for max_connections; raise it (ulimit -Hn, LimitNOFILE= of systemd).",
                metadata: ["process.open_files": "\(limit)", "listeners.max_connections": "\(bounded)"])
        } else {
            logger.info(
                "Connections are bounded by the limit of open files.",
                metadata: ["process.open_files": "\(limit)", "connections.room": "\(room)"])
        }
    }

    private static var resource: __rlimit_resource_t { __rlimit_resource_t(RLIMIT_NOFILE.rawValue) }
}
