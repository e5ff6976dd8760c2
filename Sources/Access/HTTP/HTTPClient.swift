import CCurl
import Glibc
import Synchronization

/// One HTTP service that access control asks: a thread, a bounded number of requests under way, a bounded queue before
/// them. Every request ends within its time, the time in the queue counted in.
///
/// `@unchecked Sendable`: all but the inbox and the wake-up belongs to the loop's thread.
final class HTTPClient: @unchecked Sendable {
    struct Request: Sendable {
        var url: String
        /// Nil for GET.
        var body: [UInt8]?
        var headers: [String] = []
    }

    struct Answer: Sendable {
        var status: Int
        var body: [UInt8]
    }

    enum Failure: Error, Sendable, CustomStringConvertible {
        case busy
        case timedOut
        case failed(String)

        var description: String {
            switch self {
            case .busy: "too many requests wait"
            case .timedOut: "no answer in time"
            case .failed(let reason): reason
            }
        }
    }

    typealias Completion = @Sendable (Result<Answer, Failure>) -> Void

    private struct Waiting: Sendable {
        var request: Request
        /// Monotonic milliseconds.
        var deadline: Int64
        var done: Completion
    }

    private struct Inbox: Sendable {
        var arrivals: [Waiting] = []
        var isStopping = false
    }

    static let maximumWaiting = 16_384
    static let maximumAnswer = 64 * 1024

    private let multi: UnsafeMutableRawPointer
    private let inbox = Mutex(Inbox())
    private let waitingCount = Atomic<Int>(0)
    private let limit: Int
    private let timeout: Int64
    private let tls: HTTPTLS
    // The thread's.
    private var queue: [Waiting] = []
    private var queueHead = 0
    private var running: [HTTPTransfer] = []
    private var idle: [HTTPTransfer] = []

    private static let isReady = curl_global_init(3) == CURLE_OK

    /// - Parameters:
    ///   - limit: requests under way at once.
    ///   - timeout: milliseconds for each.
    init(limit: Int, timeout: Int64, tls: HTTPTLS) throws(AccessFailure) {
        guard Self.isReady, let multi = curl_multi_init() else { throw AccessFailure("libcurl can't be set up") }
        self.multi = multi
        self.limit = limit
        self.timeout = timeout
        self.tls = tls
        sluice_curl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, limit)
        try AccessThread.start { [self] in run() }
    }

    /// From any thread; `done` runs on the client's thread, or at once when too many wait.
    func send(_ request: Request, _ done: @escaping Completion) {
        guard waitingCount.wrappingAdd(1, ordering: .relaxed).newValue <= Self.maximumWaiting else {
            waitingCount.wrappingSubtract(1, ordering: .relaxed)
            done(.failure(.busy))
            return
        }
        let waiting = Waiting(request: request, deadline: monotonicMilliseconds() + timeout, done: done)
        let isStopping = inbox.withLock { inbox in
            if !inbox.isStopping { inbox.arrivals.append(waiting) }
            return inbox.isStopping
        }
        if isStopping { finish(waiting, .failure(.failed("the node stops"))) } else { curl_multi_wakeup(multi) }
    }

    /// Ends the thread; what waits fails.
    func stop() {
        inbox.withLock { $0.isStopping = true }
        curl_multi_wakeup(multi)
    }

    private func finish(_ waiting: Waiting, _ result: Result<Answer, Failure>) {
        waitingCount.wrappingSubtract(1, ordering: .relaxed)
        waiting.done(result)
    }
}

// The thread.
extension HTTPClient {
    private func run() {
        while !takeArrivals() {
            startWaiting()
            var active: Int32 = 0
            curl_multi_perform(multi, &active)
            if collectAnswers() { continue }
            var ready: Int32 = 0
            curl_multi_poll(multi, nil, 0, pollTime, &ready)
        }
        for transfer in running { end(transfer, .failure(.failed("the node stops")), reuses: false) }
        while queueHead < queue.count { failNext(.failed("the node stops")) }
        for transfer in idle { transfer.dispose() }
        curl_multi_cleanup(multi)
    }

    /// - Returns: whether the loop is to end.
    private func takeArrivals() -> Bool {
        let (arrivals, isStopping) = inbox.withLock { inbox in
            defer { inbox.arrivals.removeAll(keepingCapacity: true) }
            return (inbox.arrivals, inbox.isStopping)
        }
        queue += arrivals
        return isStopping
    }

    /// Until the first of the queue is late, at most a second.
    private var pollTime: Int32 {
        guard queueHead < queue.count else { return 1000 }
        return Int32(clamping: max(0, min(1000, queue[queueHead].deadline - monotonicMilliseconds())))
    }

    private func startWaiting() {
        let now = monotonicMilliseconds()
        while queueHead < queue.count {
            if queue[queueHead].deadline <= now {
                failNext(.timedOut)
            } else if running.count < limit {
                start(takeNext(), now)
            } else {
                return
            }
        }
    }

    private func takeNext() -> Waiting {
        defer {
            queueHead += 1
            if queueHead == queue.count {
                queue.removeAll(keepingCapacity: queue.count < 1024)
                queueHead = 0
            }
        }
        return queue[queueHead]
    }

    private func failNext(_ failure: Failure) { finish(takeNext(), .failure(failure)) }

    private func start(_ waiting: Waiting, _ now: Int64) {
        guard let transfer = idle.popLast() ?? HTTPTransfer(tls) else {
            finish(waiting, .failure(.failed("no memory for a request")))
            return
        }
        transfer.done = { [self] result in finish(waiting, result) }
        guard transfer.prepare(waiting.request, timeout: Int(waiting.deadline - now)),
            curl_multi_add_handle(multi, transfer.easy) == CURLM_OK
        else {
            transfer.done = nil
            transfer.dispose()
            finish(waiting, .failure(.failed("the request can't be made")))
            return
        }
        running.append(transfer)
    }

    private func collectAnswers() -> Bool {
        var hadAny = false
        var left: Int32 = 0
        while let message = curl_multi_info_read(multi, &left) {
            guard message.pointee.msg == CURLMSG_DONE,
                let transfer = running.first(where: { $0.easy == message.pointee.easy_handle })
            else { continue }
            hadAny = true
            let code = message.pointee.data.result
            switch code {
            case CURLE_OK: end(transfer, .success(transfer.answer), reuses: true)
            case CURLE_OPERATION_TIMEDOUT: end(transfer, .failure(.timedOut), reuses: true)
            default: end(transfer, .failure(.failed(String(cString: curl_easy_strerror(code)))), reuses: true)
            }
        }
        return hadAny
    }

    private func end(_ transfer: HTTPTransfer, _ result: Result<Answer, Failure>, reuses: Bool) {
        curl_multi_remove_handle(multi, transfer.easy)
        running.removeAll { $0 === transfer }
        let done = transfer.done
        transfer.done = nil
        if reuses { idle.append(transfer) } else { transfer.dispose() }
        done?(result)
    }
}

func monotonicMilliseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
}

func unixSeconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec)
}
