import Buffers
import Glibc

/// The writer's role: one thread at a time takes what is pending and writes it. Mostly the log's own thread; a producer
/// may do it itself with ``writeNow()`` when nothing else is being written.
extension SegmentLog {
    private static let retryMilliseconds = 100

    func writerLoop() {
        while waitForWork() {
            let code = writeWork()
            let isDone = code == 0 || handle(code)
            if isDone, needsSync { syncAll() }
            release()
            if !isDone { restBeforeRetry() }
        }
    }

    private func restBeforeRetry() {
        monitor.withLock {
            if !isStopping { monitor.wait(milliseconds: Self.retryMilliseconds) }
        }
    }

    /// Takes the role, as soon as there is something to do.
    /// - Returns: false when the log is closed and all is done.
    private func waitForWork() -> Bool {
        monitor.withLock {
            while true {
                if !isWriting {
                    if failure != nil {
                        if isStopping { return false }
                    } else if !pending.isEmpty || !work.isEmpty || syncTarget > synced {
                        break
                    } else if isStopping {
                        return false
                    } else if reserve.isFull {
                        monitor.wait(milliseconds: DiskReserve.recheckMilliseconds)
                        break
                    }
                }
                monitor.wait()
            }
            takeRole()
            return true
        }
    }

    /// Under the monitor.
    private func takeRole() {
        isWriting = true
        if work.isEmpty {
            swap(&work, &pending)
            workIndex = 0
        }
    }

    private func release() {
        monitor.withLock {
            if workIndex == work.count { recycle() }
            isWriting = false
            // A producer that wrote by itself must not wake the writer's thread for nothing.
            let isWork = !pending.isEmpty || !work.isEmpty || syncTarget > synced || reserve.isFull
            if isWork || blocked > 0 || isStopping || failure != nil { monitor.wakeAll() }
        }
        notifyWaiters()
    }

    /// Under the monitor: gives the written buffers back.
    private func recycle() {
        for item in work {
            pendingBytes -= item.buffer.tail
            item.buffer.removeAll()
            if spares.count < 16, item.buffer.capacity <= 1 << 20 { spares.append(item.buffer) }
        }
        work.removeAll(keepingCapacity: true)
        workIndex = 0
        if pendingBytes <= options.pendingBytes / 2 { clear(.backlog) }
    }

    /// Writes what is pending on the calling thread, if nobody else is writing: for a producer that would otherwise
    /// wake the writer thread for one small batch and be woken by it in turn. One `pwritev`, no sync; on anything but
    /// success the writer thread goes on with it.
    ///
    /// - Returns: whether all that this thread appended before is written now.
    package func writeNow() -> Bool {
        let took = monitor.withLock { () -> Bool in
            guard !isWriting, failure == nil, work.isEmpty, !pending.isEmpty, options.durability != .fsync else {
                if !isWriting { monitor.wakeAll() }
                return false
            }
            takeRole()
            return true
        }
        guard took else { return false }
        let isDone = writeWork() == 0
        release()
        return isDone
    }

    private func notifyWaiters() {
        let (waiters, failed) = monitor.withLock { () -> ([LogWaiter], Bool) in (self.waiters, failure != nil) }
        let watermark = acknowledgeable
        for waiter in waiters { waiter.notify(watermark, failed: failed) }
    }

    /// Writes ``work``, and is called again to go on where it stopped.
    /// - Returns: 0 when all is written; else the errno.
    private func writeWork() -> Int32 {
        if reserve.isDue { reserve.check(log: self) }
        while workIndex < work.count {
            let segment = work[workIndex].segment
            let opened = open(segment)
            if opened != 0 { return opened }
            let count = writeRun(in: segment)
            if count < 0 {
                if count == -Int(EINTR) { continue }
                return Int32(-count)
            }
            if count == 0 { return EIO }
            reserve.written(count)
            finish(count, in: segment)
        }
        reserve.succeeded(log: self)
        return 0
    }

    private func open(_ segment: Segment) -> Int32 {
        guard segment.descriptor < 0 else { return 0 }
        let descriptor = files.open(segment.path, flags: O_RDWR | O_CREAT | O_EXCL)
        guard descriptor >= 0 else { return -descriptor }
        segment.descriptor = descriptor
        isDirectoryDirty = true
        return 0
    }

    private func writeRun(in segment: Segment) -> Int {
        let limit = 64
        return withUnsafeTemporaryAllocation(of: iovec.self, capacity: limit) { vectors in
            var count = 0
            var index = workIndex
            while index < work.count, count < limit, work[index].segment === segment {
                let bytes = work[index].buffer.bytes
                vectors.initializeElement(
                    at: count,
                    to: iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count))
                count += 1
                index += 1
            }
            let first = work[workIndex]
            guard let base = vectors.baseAddress else { return 0 }
            return files.write(segment.descriptor, base, count: count, at: first.offset + first.buffer.head)
        }
    }

    /// Counts written bytes off ``work``; a buffer's head moves so that a short write is continued behind it.
    private func finish(_ count: Int, in segment: Segment) {
        var left = count
        while left > 0 {
            let item = work[workIndex]
            let part = min(left, item.buffer.count)
            // Not `consume`, which would forget how much it was.
            item.buffer.head += part
            left -= part
            guard item.buffer.isEmpty else { break }
            segment.written.store(item.offset + item.buffer.tail, ordering: .releasing)
            workIndex += 1
            if workIndex == work.count || left == 0 { advanceWritten(item.lastSequence) }
        }
        if dirty.last !== segment { dirty.append(segment) }
    }

    private var needsSync: Bool {
        guard synced < written else { return false }
        if options.durability == .fsync { return true }
        return monitor.withLock { syncTarget > synced }
    }

    /// Syncs all that was written. A failure is final: the kernel may have dropped the pages.
    private func syncAll() {
        let target = written
        for segment in dirty {
            let code = files.sync(segment.descriptor)
            if code < 0 { return fail("fdatasync", segment.path, Int32(-code)) }
        }
        dirty.removeAll(keepingCapacity: true)
        if isDirectoryDirty {
            let code = files.syncDirectory(options.directory)
            if code < 0 { return fail("fsync", options.directory, Int32(-code)) }
            isDirectoryDirty = false
        }
        advanceSynced(target)
    }

    /// - Returns: whether the role can go on as if all was written.
    private func handle(_ code: Int32) -> Bool {
        guard code == ENOSPC || code == EDQUOT else {
            fail("write", workIndex < work.count ? work[workIndex].segment.path : options.directory, code)
            return true
        }
        let hadBallast = reserve.exhausted(log: self)
        if !hadBallast, monitor.withLock({ isStopping }) {
            fail("write", options.directory, code)
            return true
        }
        return false
    }

    func fail(_ operation: String, _ path: String, _ code: Int32) {
        let error = StorageError.failed(operation: operation, path: path, errno: code)
        let isFirst = monitor.withLock { () -> Bool in
            guard failure == nil else { return false }
            failure = error
            work.removeAll()
            workIndex = 0
            pending.removeAll()
            pendingBytes = 0
            set(.failed)
            monitor.wakeAll()
            return true
        }
        if isFirst { options.onEvent(.failed(error)) }
    }
}
