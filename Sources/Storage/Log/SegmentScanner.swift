package import Buffers

/// One record as it lies in the log. `payload` is valid during the call that hands it over.
package struct LogRecord {
    package var type: UInt8
    package var sequence: UInt64
    package var location: LogLocation
    package var payload: Bytes
    /// Bytes in the file, with frame and padding.
    package var size: Int
}

/// Reads a segment's records in order, from the file.
struct SegmentScanner {
    struct Outcome {
        /// Where the last intact record ends.
        var end: Int
        /// Of the last intact record; the one before the first when there is none.
        var sequence: UInt64
        var isSealed = false
        var records = 0
        var findings: [Finding] = []
    }

    /// - Parameters:
    ///   - offset: where a record begins.
    ///   - end: bytes of the file to be read.
    ///   - sequence: of the record before.
    ///   - isLast: whether what is torn at the end is a torn tail rather than damage.
    ///   - body: returns false to end the scan.
    /// - Returns: nothing invented: only records whose CRC, place and sequence are right go to `body`.
    static func scan(
        _ segment: Segment, from offset: Int, end: Int, after sequence: UInt64, isLast: Bool,
        _ body: (LogRecord) -> Bool
    ) -> Outcome {
        var window = SegmentWindow(segment, end: end)
        defer { window.deallocate() }
        var outcome = Outcome(end: offset, sequence: sequence)
        var at = offset
        while at < end, !outcome.isSealed {
            if let record = record(at: at, in: &window, of: segment, end: end),
                record.sequence > outcome.sequence
            {
                if record.sequence != outcome.sequence + 1 {
                    outcome.findings.append(Finding(.missing, file: segment.path, offset: at))
                }
                outcome.sequence = record.sequence
                at += record.size
                outcome.end = at
                outcome.records += 1
                outcome.isSealed = record.type == LogFormat.sealType
                if !outcome.isSealed, !body(record) { return outcome }
            } else {
                let next = resynchronise(after: at, sequence: outcome.sequence, &window, segment, end: end)
                guard let next else {
                    let kind = isLast && isTorn(at: at, &window, end: end) ? Finding.Kind.tornTail : .damaged
                    outcome.findings.append(Finding(kind, file: segment.path, offset: at, length: end - at))
                    return outcome
                }
                outcome.findings.append(Finding(.damaged, file: segment.path, offset: at, length: next.offset - at))
                // The gap has been told with the damage.
                outcome.sequence = next.sequence - 1
                at = next.offset
            }
        }
        if outcome.isSealed, at < end {
            outcome.findings.append(Finding(.damaged, file: segment.path, offset: at, length: end - at))
        } else if !isLast, !outcome.isSealed {
            outcome.findings.append(Finding(.missing, file: segment.path, offset: at))
        }
        return outcome
    }

    private static func record(at offset: Int, in window: inout SegmentWindow, of segment: Segment, end: Int)
        -> LogRecord?
    {
        guard let head = window.bytes(at: offset, count: LogFormat.frameBytes) else { return nil }
        let length = Int(head.raw(4, as: UInt32.self))
        let kind = head.raw(8, as: UInt64.self)
        guard length <= LogFormat.maximumPayload, kind >> 56 != 0 else { return nil }
        let size = LogFormat.frameSize(payload: length)
        let location = LogLocation(segment: segment.number, offset: offset)
        guard let frame = window.bytes(at: offset, count: size),
            LogFormat.isIntact(frame, at: location, salt: segment.salt)
        else { return nil }
        return LogRecord(
            type: UInt8(kind >> 56), sequence: kind & LogFormat.sequenceMask, location: location,
            payload: Bytes(rebasing: frame[LogFormat.frameBytes..<(LogFormat.frameBytes + length)]), size: size)
    }

    /// The next intact record behind damage: records begin at multiples of eight.
    private static func resynchronise(
        after offset: Int, sequence: UInt64, _ window: inout SegmentWindow, _ segment: Segment, end: Int
    ) -> (offset: Int, sequence: UInt64)? {
        var at = LogFormat.padded(offset + 1)
        while at + LogFormat.frameBytes <= end {
            if let head = window.bytes(at: at, count: LogFormat.frameBytes) {
                let found = head.raw(8, as: UInt64.self) & LogFormat.sequenceMask
                // No more records can have been lost than bytes lie between.
                if found > sequence, found - sequence <= UInt64(at - offset) / 16 + 2,
                    Int(head.raw(4, as: UInt32.self)) <= end - at,
                    let record = record(at: at, in: &window, of: segment, end: end)
                {
                    return (at, record.sequence)
                }
            } else if window.failure != nil {
                return nil
            }
            at += 8
        }
        return nil
    }

    /// Whether what lies from `offset` on is the beginning of a record whose rest was never written, or nothing but
    /// zeros (a file whose length reached the disk before its bytes).
    private static func isTorn(at offset: Int, _ window: inout SegmentWindow, end: Int) -> Bool {
        guard window.failure == nil else { return false }
        guard let head = window.bytes(at: offset, count: LogFormat.frameBytes) else { return window.failure == nil }
        let length = Int(head.raw(4, as: UInt32.self))
        if length <= LogFormat.maximumPayload, head.raw(8, as: UInt64.self) >> 56 != 0 {
            return LogFormat.frameSize(payload: length) > end - offset
        }
        var at = offset
        while at < end {
            let count = min(4096, end - at)
            guard let bytes = window.bytes(at: at, count: count), !bytes.contains(where: { $0 != 0 }) else {
                return false
            }
            at += count
        }
        return true
    }
}
