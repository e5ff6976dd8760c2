import Logging
import Synchronization

/// Whether somebody else that access control depends on could be asked when it was tried last: an HTTP service, a file or
/// URL with keys. A failure is logged, throttled, and stays to be seen until the next success.
///
/// Any thread.
final class SourceHealth: Sendable {
    private let problem = Mutex<String?>(nil)
    private let lines: LogThrottle
    private let sentence: Logger.Message

    /// - Parameter sentence: of the line about a failure.
    init(_ sentence: Logger.Message, lines: LogThrottle) {
        self.sentence = sentence
        self.lines = lines
    }

    func succeeded() { problem.withLock { $0 = nil } }

    /// - Parameter metadata: what else the line says.
    func failed(_ reason: String, metadata: Logger.Metadata = [:]) {
        problem.withLock { $0 = reason }
        lines.warning(sentence, metadata: metadata.merging(["error": "\(reason)"]) { $1 })
    }

    /// What was wrong the last time; nil when nothing was.
    var current: String? { problem.withLock { $0 } }
}

/// Something that access control depends on and cannot reach.
package struct AccessProblem: Sendable, Equatable {
    /// `authentication:1:jwt`: the entry's place in its chain, from 1, and its kind.
    package let source: String
    package let reason: String
}
