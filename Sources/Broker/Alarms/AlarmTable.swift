import Glibc
package import Logging
import Synchronization

/// The alarms of a node: those that are active, by name, and those that are over, both bounded. In memory: a restart
/// forgets them, and what is still wrong raises its alarm again.
///
/// Any thread. Changes of one name are announced in their order when they are made in order.
package final class AlarmTable: Sendable {
    /// Alarms that may be active at once; names come from the configuration, so this is far away.
    package static let activeLimit = 1000

    private struct State {
        var active: [String: Alarm] = [:]
        /// In the order in which they ended.
        var history: [Alarm] = []
        var announce: (@Sendable (Alarm) -> Void)?
        /// Changes from before anybody could be told.
        var unannounced: [Alarm] = []
        var isClosed = false
    }

    private let options: AlarmOptions
    private let logger: Logger
    private let clock: @Sendable () -> Int64
    private let state = Mutex(State())

    /// - Parameter clock: microseconds since 1970.
    package init(
        _ options: AlarmOptions, logger: Logger, clock: @escaping @Sendable () -> Int64 = AlarmTable.microseconds
    ) {
        self.options = options
        self.logger = logger
        self.clock = clock
    }

    /// Activates an alarm. One that is active already goes on: it takes over the message and details, and nobody is told.
    /// - Returns: false when it was active, or when too many are.
    @discardableResult
    package func activate(_ name: String, details: [String: Alarm.Detail], message: String) -> Bool {
        let now = clock()
        let isNew = state.withLock { state -> Bool in
            if state.active[name] != nil {
                state.active[name]?.details = details
                state.active[name]?.message = message
                return false
            }
            guard state.active.count < Self.activeLimit else { return false }
            let alarm = Alarm(name: name, details: details, message: message, activatedAt: now)
            state.active[name] = alarm
            Self.announce(alarm, &state)
            return true
        }
        if isNew, options.logs {
            logger.warning(
                "An alarm was activated.", metadata: ["alarm.name": "\(name)", "alarm.message": "\(message)"])
        }
        return isNew
    }

    /// Ends an alarm, which goes to the history.
    /// - Returns: false when there is none of that name.
    @discardableResult
    package func deactivate(_ name: String) -> Bool {
        let now = clock()
        let wasActive = state.withLock { state -> Bool in
            guard var alarm = state.active.removeValue(forKey: name) else { return false }
            alarm.deactivatedAt = max(now, alarm.activatedAt)
            prune(&state, now, limit: max(0, options.historyLimit - 1))
            if options.historyLimit > 0 { state.history.append(alarm) }
            Self.announce(alarm, &state)
            return true
        }
        if wasActive, options.logs {
            logger.warning("An alarm was deactivated.", metadata: ["alarm.name": "\(name)"])
        }
        return wasActive
    }

    /// In the order in which they were activated.
    package var activated: [Alarm] {
        state.withLock { $0.active.values.sorted { ($0.activatedAt, $0.name) < ($1.activatedAt, $1.name) } }
    }

    /// Those that are over, in the order in which they ended.
    package var history: [Alarm] {
        let now = clock()
        return state.withLock { state in
            prune(&state, now, limit: options.historyLimit)
            return state.history
        }
    }

    private func prune(_ state: inout State, _ now: Int64, limit: Int) {
        let expired = state.history.prefix { ($0.deactivatedAt ?? 0) <= now - options.historyPeriod }.count
        state.history.removeFirst(max(expired, state.history.count - limit))
    }

    private static func announce(_ alarm: Alarm, _ state: inout State) {
        if let announce = state.announce {
            announce(alarm)
        } else if !state.isClosed, state.unannounced.count < activeLimit {
            state.unannounced.append(alarm)
        }
    }

    /// From now on changes are told to `announce`, those from before first.
    /// - Parameter announce: hands the alarm on to another thread: it is called under the table's lock.
    func open(_ announce: @escaping @Sendable (Alarm) -> Void) {
        state.withLock { state in
            for alarm in state.unannounced { announce(alarm) }
            state.unannounced = []
            state.announce = announce
        }
    }

    /// The node stops: nobody is told any more.
    func close() {
        state.withLock { state in
            state.announce = nil
            state.unannounced = []
            state.isClosed = true
        }
    }

    /// The wall clock.
    package static let microseconds: @Sendable () -> Int64 = {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }
}
