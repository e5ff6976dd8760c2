import Buffers
import Glibc

extension SegmentLog {
    /// Where reading begins when a snapshot holds what stands before.
    package struct Start {
        package var location: LogLocation
        /// Of the first record at `location`.
        package var sequence: UInt64
    }

    /// What ``open(options:files:from:visit:)`` gives back.
    package struct Opened {
        package var log: SegmentLog
        /// In the log's order, the one that is being filled included.
        package var segments: [Segment]
        package var report: RecoveryReport
    }

    /// Opens the log in a directory and reads it from its beginning, or from a snapshot's end. Blocks.
    ///
    /// A torn tail of the newest segment is cut off; damage elsewhere is reported and skipped (or ends the opening, as
    /// the options say). Records that are not exactly what was written are never handed to `visit`.
    ///
    /// - Parameters:
    ///   - start: see ``Start``; must have been taken from this log.
    ///   - visit: each record, in order.
    package static func open(
        options: LogOptions, files: any FileOperations, from start: Start? = nil, visit: (LogRecord) -> Void
    ) throws(StorageError) -> Opened {
        let made = files.makeDirectory(options.directory)
        if made < 0 { throw .failed(operation: "mkdir", path: options.directory, errno: Int32(-made)) }
        let lock = try lock(options.directory, files)
        var reader = LogReader(options: options, files: files)
        do throws(StorageError) {
            try reader.read(from: start, visit)
            let log = SegmentLog(
                options: options, files: files, lockDescriptor: lock, lastSequence: reader.sequence,
                continuing: reader.continuing, nextNumber: reader.nextNumber, unsynced: reader.unsynced)
            try log.start()
            if reader.segments.last !== log.active { reader.segments.append(log.active) }
            reader.report.segments = reader.segments.count
            return Opened(log: log, segments: reader.segments, report: reader.report)
        } catch {
            files.close(lock)
            throw error
        }
    }

    private static func lock(_ directory: String, _ files: any FileOperations) throws(StorageError) -> Int32 {
        let path = directory + "/lock"
        let descriptor = files.open(path, flags: O_RDWR | O_CREAT)
        guard descriptor >= 0 else { throw .failed(operation: "open", path: path, errno: -descriptor) }
        let code = files.lock(descriptor)
        guard code < 0 else { return descriptor }
        files.close(descriptor)
        if code == -Int(EAGAIN) || code == -Int(EACCES) { throw .inUse(path: directory) }
        throw .failed(operation: "lock", path: path, errno: Int32(-code))
    }
}

/// Reads all segments of a directory, one after another.
private struct LogReader {
    let options: LogOptions
    let files: any FileOperations
    var segments: [Segment] = []
    var report = RecoveryReport()
    var sequence: UInt64 = 0
    var nextNumber: UInt32 = 1
    /// What was read may be in the kernel's memory alone: it is synced together with what comes.
    var unsynced: [Segment] = []
    /// The newest segment, when more can be appended to it.
    var continuing: (segment: Segment, size: Int)?

    private struct File {
        var segment: Segment
        var size: Int
        var firstSequence: UInt64
    }

    init(options: LogOptions, files: any FileOperations) {
        self.options = options
        self.files = files
    }

    mutating func read(from start: SegmentLog.Start?, _ visit: (LogRecord) -> Void) throws(StorageError) {
        guard let names = files.list(options.directory) else {
            throw .failed(operation: "opendir", path: options.directory, errno: errno)
        }
        let numbers = names.compactMap { LogFormat.segmentNumber(fileName: $0) }.sorted()
        nextNumber = (numbers.last ?? 0) + 1
        if let start {
            sequence = start.sequence - 1
            nextNumber = max(nextNumber, start.location.segment + 1)
        }
        var previous: UInt32?
        var isStartSeen = start == nil
        for number in numbers {
            let isLast = number == numbers.last
            guard let file = try open(number, isLast: isLast) else { continue }
            segments.append(file.segment)
            file.segment.written.store(file.size, ordering: .releasing)
            guard number >= start?.location.segment ?? 0 else { continue }
            if number == start?.location.segment { isStartSeen = true }
            unsynced.append(file.segment)
            let follows = previous == number - 1 || (start != nil && previous == nil)
            try read(file, start, isLast: isLast, follows: follows, visit)
            previous = number
        }
        if let start, !isStartSeen {
            try found(
                Finding(
                    .missing, file: options.directory + "/" + LogFormat.fileName(start.location.segment),
                    offset: start.location.offset))
        }
    }

    private mutating func found(_ finding: Finding) throws(StorageError) {
        if options.stopsAtDamage, finding.isLoss { throw .damaged(finding) }
        report.findings.append(finding)
    }

    private mutating func open(_ number: UInt32, isLast: Bool) throws(StorageError) -> File? {
        let path = options.directory + "/" + LogFormat.fileName(number)
        let descriptor = files.open(path, flags: O_RDWR)
        guard descriptor >= 0 else { throw .failed(operation: "open", path: path, errno: -descriptor) }
        let size = files.size(descriptor)
        var header = [UInt8](repeating: 0, count: LogFormat.headerBytes)
        let probe = Segment(number: number, salt: 0, path: path, files: files)
        probe.descriptor = descriptor
        let count = header.withUnsafeMutableBytes { probe.read(into: $0, at: 0) }
        guard size >= 0, count >= 0 else {
            throw .failed(operation: "read", path: path, errno: Int32(-min(size, count)))
        }
        if isLast, count < LogFormat.headerBytes {
            // Created and not written yet.
            try found(Finding(.tornTail, file: path, offset: 0, length: size))
            let removed = files.remove(path)
            if removed < 0 { throw .failed(operation: "unlink", path: path, errno: Int32(-removed)) }
            return nil
        }
        switch header.withUnsafeBytes({ LogFormat.readHeader($0, segment: number) }) {
        case .intact(let first, let salt):
            let segment = Segment(number: number, salt: salt, path: path, files: files)
            segment.descriptor = descriptor
            probe.descriptor = -1
            return File(segment: segment, size: size, firstSequence: first)
        case .version(let version): throw .unsupportedFormat(path: path, version: version)
        case .damaged:
            try found(Finding(.damaged, file: path, offset: 0, length: size))
            return nil
        }
    }

    private mutating func read(
        _ file: File, _ start: SegmentLog.Start?, isLast: Bool, follows: Bool, _ visit: (LogRecord) -> Void
    ) throws(StorageError) {
        let segment = file.segment
        var offset = LogFormat.headerBytes
        if let start, start.location.segment == segment.number {
            offset = max(offset, start.location.offset)
            if offset > file.size { try found(Finding(.missing, file: segment.path, offset: file.size)) }
        } else {
            if follows, file.firstSequence != sequence + 1 {
                try found(Finding(.missing, file: segment.path, offset: 0))
            }
            sequence = max(sequence, file.firstSequence - 1)
        }
        let outcome = SegmentScanner.scan(
            segment, from: min(offset, file.size), end: file.size, after: sequence, isLast: isLast
        ) {
            visit($0)
            return true
        }
        sequence = outcome.sequence
        report.records += outcome.records
        for finding in outcome.findings { try found(finding) }
        segment.isDamaged = offset > file.size || outcome.findings.contains { $0.isLoss }
        try finish(segment, outcome, isLast: isLast, size: file.size)
    }

    private mutating func finish(
        _ segment: Segment, _ outcome: SegmentScanner.Outcome, isLast: Bool, size: Int
    ) throws(StorageError) {
        if outcome.end < size, !segment.isDamaged, isLast {
            let code = files.truncate(segment.descriptor, to: outcome.end)
            if code < 0 { throw .failed(operation: "ftruncate", path: segment.path, errno: Int32(-code)) }
            segment.written.store(outcome.end, ordering: .releasing)
        }
        if isLast, !outcome.isSealed, !segment.isDamaged {
            continuing = (segment, outcome.end)
        } else {
            segment.sealedSize = size
        }
    }
}
