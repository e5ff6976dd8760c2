internal import CLinux
internal import Glibc

/// A flag that threads wait for; an eventfd.
final class EventSignal: Sendable {
    private let descriptor: Int32

    init() throws(SinkFailure) {
        descriptor = eventfd(0, O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { throw SinkFailure("no eventfd: \(errorText(errno))") }
    }

    deinit { close(descriptor) }

    /// Any thread; never waits.
    func signal() {
        var one: UInt64 = 1
        // It fails only when the counter is at its end, and then the flag is up anyway.
        _ = write(descriptor, &one, 8)
    }

    /// - Returns: whether the flag is up. It stays up until ``clear()``.
    func wait(nanoseconds: Int64) -> Bool {
        let deadline = monotonicNanoseconds().addingSaturating(nanoseconds)
        while true {
            var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let left = max(0, deadline - monotonicNanoseconds())
            let milliseconds = Int32(clamping: left.addingSaturating(999_999) / 1_000_000)
            let count = Glibc.poll(&poll, 1, milliseconds)
            if count > 0 { return true }
            if count == 0 || errno != EINTR { return false }
        }
    }

    func clear() {
        var value: UInt64 = 0
        _ = read(descriptor, &value, 8)
    }
}

/// What the system says of an error number.
func errorText(_ number: Int32) -> String {
    var text = [CChar](repeating: 0, count: 128)
    guard strerror_r(number, &text, text.count) == 0 else { return "error \(number)" }
    return text.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
}

/// Starts a detached thread that runs `body`.
func startThread(_ name: String, _ body: @escaping @Sendable () -> Void) throws(SinkFailure) {
    final class Box {
        let name: String
        let body: @Sendable () -> Void
        init(_ name: String, _ body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
    // Owner: the new thread, which releases it; this function if there is none.
    let box = Unmanaged.passRetained(Box(name, body))
    var thread = pthread_t()
    let error = pthread_create(
        &thread, nil,
        { raw in
            guard let raw else { return nil }
            let box = Unmanaged<Box>.fromOpaque(raw).takeRetainedValue()
            sluice_name_thread(box.name)
            box.body()
            return nil
        }, box.toOpaque())
    guard error == 0 else {
        box.release()
        throw SinkFailure("no thread: \(errorText(error))")
    }
    pthread_detach(thread)
}
