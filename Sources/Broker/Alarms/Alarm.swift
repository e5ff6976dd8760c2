/// Something that a person should look at, for as long as it lasts. [EMQX: alarms]
package struct Alarm: Sendable, Equatable {
    package enum Detail: Sendable, Equatable {
        case text(String)
        case integer(Int)
        case list([String])
    }

    /// What it is about; at most one alarm of a name is active.
    package let name: String
    package internal(set) var details: [String: Detail]
    /// One sentence for people.
    package internal(set) var message: String
    /// Microseconds since 1970.
    package let activatedAt: Int64
    /// Microseconds since 1970; nil while it is active.
    package internal(set) var deactivatedAt: Int64?

    package var isActive: Bool { deactivatedAt == nil }

    /// Milliseconds that it has lasted.
    package func duration(now: Int64) -> Int64 { max(0, ((deactivatedAt ?? now) - activatedAt) / 1000) }
}

/// What happens with alarms besides the rules that listen to them. [EMQX configuration: alarm]
package struct AlarmOptions: Sendable {
    package var logs = true
    /// On `$SYS/brokers/<node>/alarms/…`.
    package var publishes = true
    /// Alarms that are over and kept.
    package var historyLimit = 1000
    /// How long these are kept, in microseconds.
    package var historyPeriod: Int64 = 24 * 3600 * 1_000_000

    package init() {}
}
