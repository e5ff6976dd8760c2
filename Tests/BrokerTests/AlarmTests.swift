import Broker
import Logging
import Sinks
import Synchronization
import Testing

@Suite struct AlarmTests {
    /// A clock that the test moves, in microseconds.
    private final class Clock: Sendable {
        private let now = Atomic<Int64>(1_000_000)
        var time: Int64 { now.load(ordering: .relaxed) }
        func advance(seconds: Int64) { now.wrappingAdd(seconds * 1_000_000, ordering: .relaxed) }
    }

    private let clock = Clock()

    private func table(_ change: (inout AlarmOptions) -> Void = { _ in }) -> AlarmTable {
        var options = AlarmOptions()
        options.logs = false
        change(&options)
        return AlarmTable(options, logger: Logger(label: "test")) { [clock] in clock.time }
    }

    @Test func `an alarm is active until it ends, and then in the history`() {
        let table = table()
        #expect(table.activate("a", details: ["n": .integer(1)], message: "wrong"))
        #expect(table.activated.map(\.name) == ["a"])
        #expect(table.history == [])
        clock.advance(seconds: 2)
        #expect(table.deactivate("a"))
        #expect(table.activated == [])
        #expect(table.history.map(\.message) == ["wrong"])
        #expect(table.history.first?.duration(now: clock.time) == 2000)
    }

    @Test func `what is active is not activated again, but brought up to date`() {
        let table = table()
        table.activate("a", details: [:], message: "first")
        clock.advance(seconds: 1)
        #expect(!table.activate("a", details: ["n": .integer(2)], message: "second"))
        #expect(table.activated.map(\.message) == ["second"])
        #expect(table.activated.map(\.activatedAt) == [1_000_000])
    }

    @Test func `what is not active cannot end`() {
        #expect(!table().deactivate("a"))
    }

    @Test func `the history keeps the latest up to its limit`() {
        let table = table { $0.historyLimit = 3 }
        for number in 0..<10 {
            table.activate("\(number)", details: [:], message: "")
            table.deactivate("\(number)")
        }
        #expect(table.history.map(\.name) == ["7", "8", "9"])
    }

    @Test func `the history forgets after its period`() {
        let table = table { $0.historyPeriod = 60_000_000 }
        table.activate("a", details: [:], message: "")
        table.deactivate("a")
        clock.advance(seconds: 59)
        #expect(table.history.count == 1)
        clock.advance(seconds: 1)
        #expect(table.history == [])
    }

    @Test func `without a history nothing is kept`() {
        let table = table { $0.historyLimit = 0 }
        table.activate("a", details: [:], message: "")
        #expect(table.deactivate("a"))
        #expect(table.history == [])
    }

    @Test func `only so many are active at once`() {
        let table = table()
        for number in 0..<AlarmTable.activeLimit { #expect(table.activate("\(number)", details: [:], message: "")) }
        #expect(!table.activate("more", details: [:], message: ""))
        #expect(table.activated.count == AlarmTable.activeLimit)
        table.deactivate("0")
        #expect(table.activate("more", details: [:], message: ""))
    }

    // MARK: Sinks

    @Test func `a sink that is not reachable is an alarm until it is`() {
        let table = table()
        let watch = SinkAlarms(table).watch("http:a")
        watch.changed(to: .connecting)
        #expect(table.activated == [])
        watch.changed(to: .disconnected(reason: "refused"))
        watch.changed(to: .disconnected(reason: "timeout"))
        #expect(table.activated.map(\.name) == ["action:http:a"])
        #expect(table.activated.map(\.message) == ["resource down: timeout"])
        watch.changed(to: .connected)
        #expect(table.activated == [])
        #expect(table.history.count == 1)
    }

    @Test func `a worker that a reload replaced neither keeps nor ends the alarm of its successor`() {
        let table = table()
        let alarms = SinkAlarms(table)
        let old = alarms.watch("http:a")
        old.changed(to: .disconnected(reason: "old"))
        let new = alarms.watch("http:a")
        new.changed(to: .disconnected(reason: "new"))
        old.end()
        #expect(table.activated.map(\.message) == ["resource down: new"])
        old.changed(to: .connected)
        #expect(table.activated.count == 1)
        new.changed(to: .connected)
        old.changed(to: .disconnected(reason: "late"))
        #expect(table.activated == [])
    }

    @Test func `a sink that is removed takes its alarm along`() {
        let table = table()
        let watch = SinkAlarms(table).watch("file:f")
        watch.changed(to: .disconnected(reason: "no such folder"))
        watch.end()
        #expect(table.activated == [])
        #expect(table.history.map(\.name) == ["action:file:f"])
    }
}
