/// Stops trying after failures in a row, then lets one delivery through. A pure value: time is a parameter.
struct CircuitBreaker {
    private enum State: Equatable {
        case closed
        case open(until: Int64)
        /// One delivery is under way to see.
        case probing
    }

    private let threshold: Int
    private let firstPause: Int64
    private let longestPause: Int64
    private var state = State.closed
    private var trips = 0
    /// Failures since the last success.
    private(set) var failures = 0

    init(_ settings: BreakerSettings, firstPause: Duration) {
        threshold = settings.failures
        longestPause = max(1_000_000, settings.openFor.nanoseconds)
        self.firstPause = min(max(1_000_000, firstPause.nanoseconds), longestPause)
    }

    var isClosed: Bool { state == .closed }

    /// When something may be tried next; nil for now.
    func blockedUntil(_ now: Int64) -> Int64? {
        switch state {
        case .closed: nil
        case .open(let until): until > now ? until : nil
        // The probe's answer opens or closes; nothing is due before it.
        case .probing: .max
        }
    }

    /// A delivery begins.
    mutating func attempt(_ now: Int64) {
        if case .open(let until) = state, until <= now { state = .probing }
    }

    /// The other side answered something that is not to be tried again.
    /// - Returns: whether it had been open.
    mutating func succeeded() -> Bool {
        let wasOpen = state != .closed
        state = .closed
        failures = 0
        trips = 0
        return wasOpen
    }

    /// - Parameters:
    ///   - notBefore: what the other side asked for, 0 for nothing.
    ///   - opens: whether this failure opens by itself.
    mutating func failed(_ now: Int64, notBefore: Int64, opens: Bool) {
        failures += 1
        switch state {
        case .closed:
            guard opens || (threshold > 0 && failures >= threshold) else { return }
        case .probing: break
        // Those that were under way when it opened.
        case .open: return
        }
        let pause = opens ? longestPause : min(longestPause, firstPause << Int64(min(trips, 20)))
        trips += 1
        state = .open(until: max(now.addingSaturating(max(pause, firstPause)), notBefore))
    }

    /// Nothing came of the probe: it was dropped before its answer.
    mutating func abandonProbe(_ now: Int64) {
        if state == .probing { state = .open(until: now) }
    }

    /// Lets the next one through at once.
    mutating func hurry(_ now: Int64) {
        if case .open = state { state = .open(until: now) }
    }
}
