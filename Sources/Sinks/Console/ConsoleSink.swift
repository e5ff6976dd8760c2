package import Buffers
internal import Glibc
package import RuleEngine

/// Makes the console's lines: `[rule action] <rule id> <row as JSON>`.
package final class ConsoleRenderer: RecordRenderer {
    /// A longer line is cut, so that one message cannot flood a terminal.
    private static let maximumLine = 64 * 1024

    package init() {}

    package func render(
        row: Value, use: RuleUse, into output: OutputBuffer, context: TemplateContext
    ) throws(EvaluationError) -> RenderedParts {
        let start = output.count
        output.append("[rule action] ")
        output.append(use.ruleID)
        output.append(" ")
        try context.appendRow(row, to: output)
        if output.count - start > Self.maximumLine {
            var end = start + Self.maximumLine
            // Not inside a character.
            while end > start, output.bytes[end] & 0xC0 == 0x80 { end -= 1 }
            output.truncate(to: end)
            output.append("…")
        }
        output.append(UInt8(ascii: "\n"))
        return RenderedParts()
    }
}

/// Writes lines to a descriptor, standard output by default. Confined to its thread, which alone waits when nobody reads.
final class ConsoleSink: Sink {
    private let descriptor: Int32
    private let buffer = OutputBuffer(capacity: 4096)

    init(descriptor: Int32 = STDOUT_FILENO) { self.descriptor = descriptor }

    func write(_ batch: SinkBatch, now: Int64) -> WriteOutcome {
        buffer.removeAll()
        for index in 0..<batch.count { buffer.append(batch[index].body) }
        while !buffer.isEmpty {
            let count = Glibc.write(descriptor, buffer.bytes.baseAddress, buffer.count)
            if count >= 0 {
                buffer.consume(count)
            } else if errno == EAGAIN {
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&ready, 1, 1000)
            } else if errno != EINTR {
                // What was written cannot be taken back: to try again would show lines twice.
                return .finished(.permanent(reason: "cannot write to the console: \(errorText(errno))"))
            }
        }
        return .finished(.delivered)
    }
}
