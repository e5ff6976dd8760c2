package import Logging
import Synchronization

/// Writes lines that others can cause, so that nobody fills the disk with them: so many of a kind in a window of time; the
/// rest is counted, and the count stands in the kind's next line or in one of its own.
///
/// A kind is its sentence: a constant, never anything that came from outside. Any thread.
package final class LogThrottle: Sendable {
    private struct Kind {
        var windowEnds: Int64
        var level: Logger.Level
        var written = 0
        var unwritten = 0
    }

    private let logger: Logger
    private let burst: Int
    private let window: Int64
    private let clock: @Sendable () -> Int64
    private let kinds = Mutex<[String: Kind]>([:])

    /// - Parameters:
    ///   - burst: lines of a kind in a window.
    ///   - window: milliseconds.
    ///   - clock: monotonic milliseconds; nil for the system's.
    package init(
        _ logger: Logger, burst: Int = 5, window: Int64 = 10_000, clock: (@Sendable () -> Int64)? = nil
    ) {
        self.logger = logger
        self.burst = max(1, burst)
        self.window = window
        self.clock = clock ?? { monotonicMilliseconds() }
    }

    package func debug(_ message: Logger.Message, metadata: @autoclosure () -> Logger.Metadata) {
        log(.debug, message, metadata: metadata())
    }

    package func info(_ message: Logger.Message, metadata: @autoclosure () -> Logger.Metadata) {
        log(.info, message, metadata: metadata())
    }

    package func warning(_ message: Logger.Message, metadata: @autoclosure () -> Logger.Metadata) {
        log(.warning, message, metadata: metadata())
    }

    package func log(
        _ level: Logger.Level, _ message: Logger.Message, metadata: @autoclosure () -> Logger.Metadata = [:]
    ) {
        guard level >= logger.logLevel, let unwritten = admit(message.description, level) else { return }
        var metadata = metadata()
        if unwritten > 0 { metadata["repeated"] = "\(unwritten)" }
        logger.log(level: level, message, metadata: metadata)
    }

    /// - Returns: nil when the line is one too many; else how many were left out before it.
    private func admit(_ sentence: String, _ level: Logger.Level) -> Int? {
        let now = clock()
        return kinds.withLock { kinds in
            var kind = kinds[sentence] ?? Kind(windowEnds: now + window, level: level)
            defer { kinds[sentence] = kind }
            var left = 0
            if now >= kind.windowEnds {
                left = kind.unwritten
                kind = Kind(windowEnds: now + window, level: level)
            }
            guard kind.written < burst else {
                kind.unwritten += 1
                return nil
            }
            kind.written += 1
            return left
        }
    }

    /// Says of the kinds whose window has ended how many of their lines were left out. To be called now and then.
    package func flush() {
        let now = clock()
        let ended = kinds.withLock { kinds in
            let ended = kinds.filter { now >= $0.value.windowEnds }
            for sentence in ended.keys { kinds[sentence] = nil }
            return ended.filter { $0.value.unwritten > 0 }
        }
        for (sentence, kind) in ended.sorted(by: { $0.key < $1.key }) {
            logger.log(
                level: kind.level, "Lines of a kind were left out.",
                metadata: ["log.line": "\(sentence)", "repeated": "\(kind.unwritten)"])
        }
    }
}
