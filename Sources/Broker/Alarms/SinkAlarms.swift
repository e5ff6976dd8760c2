package import Sinks
import Synchronization

/// Raises an alarm for each sink that is not reachable, as EMQX does for its resources. A reload may have two workers of
/// one name for a while, the new one and the old one that drains: only the new one counts.
///
/// Any thread.
package final class SinkAlarms: Sendable {
    /// One worker's place in the table.
    package final class Watch: Sendable {
        private let alarms: SinkAlarms
        private let number: Int
        private let sink: String

        fileprivate init(_ alarms: SinkAlarms, _ number: Int, _ sink: String) {
            self.alarms = alarms
            self.number = number
            self.sink = sink
        }

        /// The worker's connection has changed.
        package func changed(to state: SinkStatus.State) { alarms.changed(sink, number, to: state) }

        /// The worker counts no more.
        package func end() { alarms.end(sink, number) }
    }

    private struct State {
        var next = 0
        /// The numbers of the workers that count.
        var live: Set<Int> = []
        /// By sink, those that are not reachable.
        var down: [String: Set<Int>] = [:]
    }

    private let table: AlarmTable
    private let state = Mutex(State())

    package init(_ table: AlarmTable) { self.table = table }

    /// - Parameter sink: `http:alerts`.
    package func watch(_ sink: String) -> Watch {
        let number = state.withLock { state in
            state.next += 1
            state.live.insert(state.next)
            return state.next
        }
        return Watch(self, number, sink)
    }

    private func changed(_ sink: String, _ number: Int, to connection: SinkStatus.State) {
        state.withLock { state in
            guard state.live.contains(number) else { return }
            switch connection {
            case .disconnected(let reason):
                state.down[sink, default: []].insert(number)
                let id = Self.alarmName(sink)
                table.activate(
                    id, details: ["resource_id": .text(id), "reason": .text("resource_down")],
                    message: "resource down: \(reason)")
            case .connected: rise(sink, number, &state)
            case .connecting, .stopped: break
            }
        }
    }

    private func end(_ sink: String, _ number: Int) {
        state.withLock { state in
            guard state.live.remove(number) != nil else { return }
            rise(sink, number, &state)
        }
    }

    private func rise(_ sink: String, _ number: Int, _ state: inout State) {
        guard state.down[sink]?.remove(number) != nil, state.down[sink]?.isEmpty == true else { return }
        state.down[sink] = nil
        table.deactivate(Self.alarmName(sink))
    }

    /// As EMQX names an action: `action:http:alerts`.
    static func alarmName(_ sink: String) -> String { "action:\(sink)" }
}
