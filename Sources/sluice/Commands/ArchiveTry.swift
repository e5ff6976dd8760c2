import ArgumentParser
import Foundation
import RuleFiles

/// `sluice rules try … --from`: rows on standard output, everything else on standard error.
struct ArchiveTry {
    let rule: TriedRule
    let path: String
    /// The summary as JSON.
    let json: Bool
    /// For lines without a timestamp, since 1970.
    let now: Int64

    /// More bad lines are counted and not shown.
    private static let shownLines = 100

    func run() throws {
        let reader: LineReader
        do throws(LineReader.Failure) { reader = try LineReader(path) } catch { throw unreadable(error.description) }
        var run = ArchiveRun(rule, reader, nowNanoseconds: now)
        let progress = ProgressLine()
        var shown = 0
        var failure: String?
        do throws(LineReader.Failure) {
            try run.run(
                write: { bytes in
                    guard !bytes.isEmpty else { return }
                    progress.clear()
                    writeAll(bytes)
                },
                bad: { line, reason in
                    shown += 1
                    guard shown <= Self.shownLines else { return }
                    progress.clear()
                    Problems.print(line: "\(reader.name):\(line): error: \(reason)")
                    if shown == Self.shownLines { Problems.print(line: "further lines of this kind are only counted") }
                },
                progress: { summary, share in progress.show(summary, share) })
        } catch {
            failure = error.description
        }
        progress.clear()
        Problems.print(line: json ? jsonSummary(run.summary, failure) : summary(run.summary))
        if let failure { throw unreadable(failure) }
        if run.summary.badLines > 0 { throw ExitCode(5) }
        if run.summary.failed > 0 { throw ExitCode(4) }
        if run.summary.rows == 0 { throw ExitCode(3) }
    }

    private func unreadable(_ text: String) -> ExitCode {
        if !json { Problems.print(line: text) }
        return ExitCode(5)
    }

    private func summary(_ summary: ArchiveRun.Summary) -> String {
        var text = "\(summary.messages) messages, \(summary.matched) matched FROM, \(summary.passed) passed, "
        text += "\(summary.rows) rows, \(summary.failed) failed, \(summary.badLines) bad lines; "
        text += "\(summary.perSecond) messages/s"
        if let first = summary.firstFailure { text += "\nfirst failure: \(path):\(first.line): \(first.text)" }
        return text
    }

    private func jsonSummary(_ summary: ArchiveRun.Summary, _ failure: String?) -> String {
        let first = summary.firstFailure.map {
            JSONText.object([("line", .integer($0.line)), ("text", .text($0.text))])
        }
        return JSONText.object([
            ("messages", .integer(summary.messages)), ("matched", .integer(summary.matched)),
            ("passed", .integer(summary.passed)), ("rows", .integer(summary.rows)),
            ("failed", .integer(summary.failed)), ("first_failure", first ?? .null),
            ("bad_lines", .integer(summary.badLines)), ("messages_per_second", .integer(summary.perSecond)),
            ("read_error", failure.map { .text($0) } ?? .null),
        ]).compact
    }

    /// To standard output. A reader that went away ends the program, as with other filters.
    private func writeAll(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes
        while !rest.isEmpty {
            let count = write(1, rest.baseAddress, rest.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                Problems.print(line: "the rows cannot be written: \(String(cString: strerror(errno)))")
                Foundation.exit(5)
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }
}

/// One line on the terminal that is rewritten; nothing where no terminal is. Used by one thread.
private final class ProgressLine {
    private let isTerminal = isatty(2) == 1
    private var last = ContinuousClock.now
    private var isShown = false

    /// At most five times a second.
    func show(_ summary: ArchiveRun.Summary, _ share: Double?) {
        guard isTerminal, ContinuousClock.now - last > .milliseconds(200) else { return }
        last = ContinuousClock.now
        isShown = true
        let percent = share.map { "\(Int($0 * 100)) %, " } ?? ""
        let text = "\(percent)\(summary.messages) messages, \(summary.rows) rows, \(summary.perSecond) messages/s"
        FileHandle.standardError.write(Data("\r\u{1B}[K\(text)".utf8))
    }

    func clear() {
        guard isShown else { return }
        isShown = false
        FileHandle.standardError.write(Data("\r\u{1B}[K".utf8))
    }
}
