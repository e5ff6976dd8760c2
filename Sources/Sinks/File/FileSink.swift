internal import Buffers
internal import Glibc

/// Appends lines to files.
///
/// A batch is written whole or not at all: if a write fails (a full disk), every file of the batch is cut back to
/// where it was, and the batch is tried again. So no line is ever torn or doubled by a failure the process survives;
/// a line torn by its death is cut off when the file is opened again. Files are renamed between lines only.
///
/// Confined to its thread.
final class FileSink: Sink {
    private let settings: FileSettings
    private let path: FilePath
    private let note: @Sendable (FileEvent) -> Void
    private var base: Int32 = -1
    private var files: [String: OpenFile] = [:]
    /// Files that the batch under way has lines for.
    private var touched: [OpenFile] = []
    private var uses: UInt64 = 0
    private var last: (target: [UInt8], file: OpenFile)?
    private var nextSync: Int64?
    private static let writeSize = 64 * 1024
    /// Records of the batch under way that were appended, and of those the ones that are beyond taking back.
    private var appended = 0
    private var committed = 0

    /// - Parameter note: is told what an operator should know; called on the sink's thread.
    init(_ settings: FileSettings, _ path: FilePath, note: @escaping @Sendable (FileEvent) -> Void) {
        self.settings = settings
        self.path = path
        self.note = note
    }

    func open() throws(SinkFailure) {
        do throws(FileError) {
            try makeDirectories()
            base = Glibc.open(path.directory.isEmpty ? "/" : path.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard base >= 0 else { throw FileError("cannot open \(path.directory)") }
            // A path that never changes is opened at once: a wrong one shows at the start, and a torn line is repaired.
            if let constant = path.constant { _ = try file(constant, monotonicNanoseconds()) }
        } catch {
            closeBase()
            throw SinkFailure(error.text)
        }
    }

    private func makeDirectories() throws(FileError) {
        var current = ""
        for component in path.directory.split(separator: "/") {
            current += "/" + component
            if mkdir(current, 0o750) != 0, errno != EEXIST { throw FileError("cannot make the directory \(current)") }
        }
    }

    func write(_ batch: SinkBatch, now: Int64) -> WriteOutcome {
        appended = 0
        committed = 0
        do throws(FileError) {
            for index in 0..<batch.count {
                let record = batch[index]
                let current = try file(for: record, now)
                if mustRotate(current, adding: record.body.count) {
                    // What stands in front of it is complete first, so that a failure later takes nothing of it back.
                    try commit()
                    try rotate(current)
                    try append(record, to: try file(for: record, now))
                } else {
                    try append(record, to: current)
                }
                appended = index + 1
            }
            try commit()
            return .finished(.delivered)
        } catch {
            return .finished(.retryable(reason: rollBack(error)), delivered: committed)
        }
    }

    private func append(_ record: SinkRecord, to file: OpenFile) throws(FileError) {
        if touched.last !== file, !touched.contains(where: { $0 === file }) { touched.append(file) }
        file.buffer.append(record.body)
        if file.buffer.count >= Self.writeSize { try file.flush() }
    }

    /// Writes what is buffered; the lines so far count.
    private func commit() throws(FileError) {
        for file in touched { try file.flush() }
        switch settings.sync {
        case .never: break
        case .always: for file in touched { try file.sync() }
        case .interval(let interval):
            if nextSync == nil { nextSync = monotonicNanoseconds().addingSaturating(interval.nanoseconds) }
        }
        for file in touched { file.commit() }
        committed = appended
        touched.removeAll(keepingCapacity: true)
    }

    /// - Returns: the reason, with what went wrong on the way back.
    private func rollBack(_ error: FileError) -> String {
        var reason = error.text
        for file in touched {
            do throws(FileError) {
                try file.rollBack()
            } catch {
                // The file is closed; opening it again cuts off what is torn.
                reason += "; " + error.text
                forget(file)
            }
        }
        touched.removeAll(keepingCapacity: true)
        return reason
    }

    func tick(now: Int64) -> Int64? {
        if let due = nextSync, due <= now {
            nextSync = nil
            for file in files.values {
                do throws(FileError) { try file.sync() } catch { note(.syncFailed(error.text)) }
            }
        }
        return nextSync
    }

    func close() {
        for file in files.values {
            if settings.sync != .never {
                do throws(FileError) { try file.sync() } catch { note(.syncFailed(error.text)) }
            }
            file.closeAll()
        }
        files.removeAll()
        last = nil
        closeBase()
    }

    private func closeBase() {
        if base >= 0 { Glibc.close(base) }
        base = -1
    }
}

/// What an operator should know of a file.
enum FileEvent: Sendable {
    case repaired(path: String, bytes: Int)
    case syncFailed(String)
    case retentionFailed(String)
}

// Open files.
extension FileSink {
    private func file(for record: SinkRecord, _ now: Int64) throws(FileError) -> OpenFile {
        let target = record.target
        if let last, target.elementsEqual(last.target), now - last.file.lastCheck < 1_000_000_000 { return last.file }
        let name = target.isEmpty ? path.constant ?? "" : String(decoding: target, as: UTF8.self)
        let file = try file(name, now)
        last = (Array(target), file)
        return file
    }

    private func file(_ name: String, _ now: Int64) throws(FileError) -> OpenFile {
        uses += 1
        if let known = files[name] {
            known.lastUse = uses
            if now - known.lastCheck < 1_000_000_000 { return known }
            known.lastCheck = now
            if known.isInPlace() { return known }
            // Somebody moved or deleted it: what was meant for it is written, then a new one is begun.
            try commit()
            forget(known)
        }
        if files.count >= max(1, settings.maxOpenFiles) { try closeLeastUsed() }
        let file = try OpenFile(name, base: base, now: now)
        do throws(FileError) {
            let torn = try file.repair()
            if torn > 0 { note(.repaired(path: name, bytes: torn)) }
        } catch {
            file.closeAll()
            throw error
        }
        file.period = period(of: file.size > 0 ? file.period : wallSeconds())
        file.lastUse = uses
        files[name] = file
        return file
    }

    private func closeLeastUsed() throws(FileError) {
        guard let oldest = files.values.min(by: { $0.lastUse < $1.lastUse }) else { return }
        // Its lines of the batch under way are beyond taking back once it is closed.
        if touched.contains(where: { $0 === oldest }) { try commit() }
        if settings.sync != .never { try oldest.sync() }
        forget(oldest)
    }

    private func forget(_ file: OpenFile) {
        if last?.file === file { last = nil }
        files[file.path] = nil
        file.closeAll()
    }
}

// Rotation.
extension FileSink {
    private func mustRotate(_ file: OpenFile, adding count: Int) -> Bool {
        let size = file.size + file.buffer.count
        guard size > 0 else { return false }
        if let limit = settings.rotateSize, size + count > limit { return true }
        return settings.rotateEvery != nil && file.period != period(of: wallSeconds())
    }

    private func rotate(_ file: OpenFile) throws(FileError) {
        if settings.sync != .never { try file.sync() }
        try FileRotation.rename(file.name, in: file.directory, at: wallSeconds())
        do throws(FileError) {
            try FileRotation.retain(settings.maxFiles, of: file.name, in: file.directory)
        } catch {
            note(.retentionFailed(error.text))
        }
        forget(file)
    }

    private func period(of seconds: Int64) -> Int64 {
        guard let every = settings.rotateEvery else { return 0 }
        let offset = settings.usesLocalTime ? Int64(FileRenderer.localOffset(seconds)) : 0
        return (seconds + offset) / max(1, every.nanoseconds / 1_000_000_000)
    }

    private func wallSeconds() -> Int64 { Int64(time(nil)) }
}
