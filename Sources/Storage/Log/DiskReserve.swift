import Glibc

/// Watches the free space, and keeps a part of the disk in a file of its own so that removals find room when another
/// process has filled the rest. Belongs to whoever holds the writer's role.
struct DiskReserve {
    static let recheckMilliseconds = 250
    static let fileName = "reserve"

    private let directory: String
    private let files: any FileOperations
    /// Half of the configured reserve: the size of the file, and the free space below which content is refused.
    private let half: Int
    private let checkEvery: Int
    private var descriptor: Int32 = -1
    private var isHeld = false
    private var writtenSinceCheck = 0
    private var checkedAt = 0
    private(set) var isFull = false

    init(options: LogOptions, files: any FileOperations) {
        directory = options.directory
        self.files = files
        half = options.reserveBytes / 2
        checkEvery = max(1, half / 8)
    }

    mutating func prepare(log: SegmentLog) {
        guard half > 0 else { return }
        descriptor = files.open(directory + "/" + Self.fileName, flags: O_RDWR | O_CREAT)
        isHeld = descriptor >= 0 && files.size(descriptor) >= half
        if !isHeld, files.freeBytes(directory) >= 2 * half { allocate() }
        check(log: log)
    }

    private mutating func allocate() {
        guard descriptor >= 0 else { return }
        isHeld = files.allocate(descriptor, size: half) == 0
        if !isHeld { _ = files.truncate(descriptor, to: 0) }
    }

    mutating func written(_ bytes: Int) { writtenSinceCheck += bytes }

    /// Whether it is time to look at the disk again: a call each so many bytes, and while it is full.
    var isDue: Bool {
        guard half > 0 else { return false }
        return writtenSinceCheck >= checkEvery || (isFull && monotonicMilliseconds() - checkedAt >= 50)
    }

    mutating func check(log: SegmentLog) {
        guard half > 0 else { return }
        writtenSinceCheck = 0
        checkedAt = monotonicMilliseconds()
        let free = files.freeBytes(directory)
        guard free >= 0 else { return }
        if !isFull, free < half { become(full: true, free: free, log) }
        guard isFull, free >= half + half / 2 + (isHeld ? 0 : half) else { return }
        if !isHeld { allocate() }
        become(full: false, free: free, log)
    }

    /// Everything was written. Without a reserve that is the only sign of room.
    mutating func succeeded(log: SegmentLog) {
        if half == 0, isFull { become(full: false, free: max(0, files.freeBytes(directory)), log) }
    }

    /// A write found no room.
    /// - Returns: whether the file gave some back.
    mutating func exhausted(log: SegmentLog) -> Bool {
        let hadRoom = isHeld
        if isHeld { _ = files.truncate(descriptor, to: 0) }
        isHeld = false
        if !isFull { become(full: true, free: max(0, files.freeBytes(directory)), log) }
        return hadRoom
    }

    private mutating func become(full: Bool, free: Int, _ log: SegmentLog) {
        isFull = full
        if full { log.set(.diskFull) } else { log.clear(.diskFull) }
        log.options.onEvent(full ? .diskFull(free: free) : .diskRoom(free: free))
    }

    mutating func close() {
        if descriptor >= 0 { files.close(descriptor) }
        descriptor = -1
    }
}
