package import Buffers
import RuleEngine

/// Runs a statement over archived messages, one after the other, in memory that does not depend on how many there are.
package struct ArchiveRun {
    package struct Failure: Sendable {
        package let line: Int
        package let text: String
    }

    /// What it came to so far. messages = unmatched + passed + not selected + failed.
    package struct Summary: Sendable {
        /// Lines that are events.
        package fileprivate(set) var messages = 0
        /// Those that FROM takes.
        package fileprivate(set) var matched = 0
        /// Those that gave a row.
        package fileprivate(set) var passed = 0
        package fileprivate(set) var rows = 0
        package fileprivate(set) var failed = 0
        package fileprivate(set) var firstFailure: Failure?
        package fileprivate(set) var badLines = 0
        package fileprivate(set) var duration = Duration.zero

        package var perSecond: Int {
            let (seconds, attoseconds) = duration.components
            let time = Double(seconds) + Double(attoseconds) / 1e18
            return time > 0 ? Int(Double(messages) / time) : 0
        }
    }

    private let tried: TriedRule
    private let reader: LineReader
    private let context: EvaluationContext
    private let now: Int64
    private let event = ArchivedEvent()
    private let rows = RowList()
    private let output = OutputBuffer(capacity: 128 * 1024)
    private var line = 0
    package private(set) var summary = Summary()

    private static let flushSize = 64 * 1024

    /// - Parameter nowNanoseconds: the clock for lines without a timestamp; others are evaluated as of theirs.
    package init(_ tried: TriedRule, _ reader: LineReader, nowNanoseconds: Int64) {
        self.tried = tried
        self.reader = reader
        context = tried.makeContext(nowNanoseconds)
        now = nowNanoseconds
    }

    /// Reads to the end.
    ///
    /// - Parameters:
    ///   - write: takes the rows, whole lines of JSON.
    ///   - bad: is told of each line that is no event: its number and why.
    ///   - progress: is told now and then how far it came, from 0 to 1 if that is known.
    /// - Throws: when the file can't be read further; the rows in front of that are written.
    package mutating func run(
        write: (Bytes) -> Void, bad: (Int, String) -> Void, progress: (Summary, Double?) -> Void
    ) throws(LineReader.Failure) {
        let start = ContinuousClock.now
        defer {
            summary.duration = ContinuousClock.now - start
            write(output.bytes)
            output.removeAll()
        }
        while let next = try reader.next() {
            line += 1
            switch next {
            case .tooLong: report("it is too long", bad)
            case .text(let text) where text.allSatisfy({ $0 == 0x20 || $0 == 0x09 }): continue
            case .text(let text): evaluate(text, bad)
            }
            if output.count >= Self.flushSize {
                write(output.bytes)
                output.removeAll()
            }
            if line % 1024 == 0 {
                summary.duration = ContinuousClock.now - start
                progress(summary, reader.progress)
            }
        }
    }

    private mutating func report(_ reason: String, _ bad: (Int, String) -> Void) {
        summary.badLines += 1
        bad(line, reason)
    }

    private mutating func evaluate(_ text: Bytes, _ bad: (Int, String) -> Void) {
        context.arena.reset()
        rows.removeAll()
        do throws(ArchivedEvent.BadLine) { try event.read(text, in: context.arena) } catch {
            return report(error.reason, bad)
        }
        summary.messages += 1
        guard tried.rule.listens(to: event.kind, topic: event.topic) else { return }
        summary.matched += 1
        context.nowNanoseconds = event.timestamp.map { Int64($0) * 1_000_000 } ?? now
        switch tried.rule.evaluate(event, in: context, rows: rows) {
        case .noResult: break
        case .failed(let error): fail(error)
        case .passed(let count): write(count)
        }
    }

    private mutating func write(_ count: Int) {
        let before = output.count
        do throws(EvaluationError) {
            for index in 0..<count {
                try JSON.append(rows[index], to: output)
                output.append(UInt8(ascii: "\n"))
            }
            summary.passed += 1
            summary.rows += count
        } catch {
            output.truncate(to: before)
            fail(error)
        }
    }

    private mutating func fail(_ error: EvaluationError) {
        summary.failed += 1
        if summary.firstFailure == nil {
            summary.firstFailure = Failure(line: line, text: "\(error.name): \(error.explanation)")
        }
    }
}
