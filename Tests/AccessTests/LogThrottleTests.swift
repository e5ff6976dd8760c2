import Access
import Logging
import Synchronization
import Testing

struct LogThrottleTests {
    /// What was logged, as `level sentence metadata`.
    private final class Log: Sendable {
        let lines = Mutex<[String]>([])
        let now = Mutex<Int64>(0)

        func logger(level: Logger.Level) -> Logger {
            var logger = Logger(label: "test") { _ in Handler(log: self) }
            logger.logLevel = level
            return logger
        }

        func throttle(_ burst: Int, level: Logger.Level = .info) -> LogThrottle {
            LogThrottle(logger(level: level), burst: burst, window: 100) { self.now.withLock { $0 } }
        }

        func set(_ time: Int64) { now.withLock { $0 = time } }
        func take() -> [String] {
            lines.withLock { lines in
                defer { lines = [] }
                return lines
            }
        }
    }

    private struct Handler: LogHandler {
        let log: Log
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let pairs = (event.metadata ?? [:]).map { "\($0)=\($1)" }.sorted().joined(separator: " ")
            log.lines.withLock { $0.append("\(event.level) \(event.message) \(pairs)") }
        }
    }

    @Test func `so many lines of a kind are written in a window, and the next one tells how many were not`() {
        let log = Log()
        let throttle = log.throttle(2)
        for number in 0..<10 { throttle.info("A client was refused.", metadata: ["n": "\(number)"]) }
        #expect(log.take() == ["info A client was refused. n=0", "info A client was refused. n=1"])
        log.set(99)
        throttle.info("A client was refused.", metadata: [:])
        #expect(log.take() == [])
        log.set(100)
        throttle.info("A client was refused.", metadata: ["n": "x"])
        #expect(log.take() == ["info A client was refused. n=x repeated=9"])
    }

    @Test func `one kind does not silence another`() {
        let log = Log()
        let throttle = log.throttle(1)
        throttle.info("One.", metadata: [:])
        throttle.info("One.", metadata: [:])
        throttle.warning("Two.", metadata: [:])
        #expect(log.take() == ["info One. ", "warning Two. "])
    }

    @Test func `lines that were left out last are told when their window has ended`() {
        let log = Log()
        let throttle = log.throttle(1)
        for _ in 0..<1001 { throttle.warning("Noise.", metadata: [:]) }
        throttle.info("Silence.", metadata: [:])
        _ = log.take()
        throttle.flush()
        #expect(log.take() == [])
        log.set(100)
        throttle.flush()
        #expect(log.take() == ["warning Lines of a kind were left out. log.line=Noise. repeated=1000"])
        throttle.flush()
        #expect(log.take() == [])
        throttle.warning("Noise.", metadata: [:])
        #expect(log.take() == ["warning Noise. "])
    }

    @Test func `a line below the log's level costs neither text nor count`() {
        let log = Log()
        let throttle = log.throttle(1)
        for _ in 0..<5 {
            throttle.debug(
                "Fine.",
                metadata: {
                    Issue.record("metadata was made"); return [:]
                }())
        }
        log.set(1000)
        throttle.flush()
        #expect(log.take() == [])
    }
}
