/// What holds rows back between a rule and its actions. Differs from EMQX, which has nothing of the kind.
package struct RowGateSettings: Sendable, Equatable {
    /// How many keys an option remembers unless it says otherwise; about 60 bytes each.
    package static let defaultMaximumKeys = 100_000

    /// A row passes when one of the fields differs from what last passed under its key.
    package struct OnChange: Sendable, Equatable {
        /// Members of the row, also `a.b`.
        package var fields: [String]
        /// A template over the row; nil for the event's topic, or the client where an event has no topic.
        package var key: String?
        package var maximumKeys = RowGateSettings.defaultMaximumKeys

        package init(fields: [String], key: String? = nil) {
            self.fields = fields
            self.key = key
        }
    }

    /// After a row has passed, others of its key do not for a while.
    package struct Suppress: Sendable, Equatable {
        /// A template over the row; nil for all rows of the rule together.
        package var key: String?
        /// Nanoseconds.
        package var window: Int64
        package var maximumKeys = RowGateSettings.defaultMaximumKeys

        package init(key: String? = nil, window: Int64) {
            self.key = key
            self.window = window
        }
    }

    /// So many rows of a key in a time: up to `count` at once, and on from there as evenly as they come.
    package struct Throttle: Sendable, Equatable {
        /// A template over the row; nil for all rows of the rule together.
        package var key: String?
        package var count: Int
        /// Nanoseconds.
        package var per: Int64
        package var maximumKeys = RowGateSettings.defaultMaximumKeys

        package init(key: String? = nil, count: Int, per: Int64) {
            self.key = key
            self.count = count
            self.per = per
        }
    }

    /// The fraction of matches whose rows go on, 0 to 1.
    package var sample = 1.0
    package var onChange: OnChange?
    package var suppress: Suppress?
    package var throttle: Throttle?
    /// Whether keys may hold placeholders that EMQX does not know.
    package var extensions = false

    package init() {}

    /// Whether every row passes.
    package var isOpen: Bool { sample >= 1 && onChange == nil && suppress == nil && throttle == nil }
}

extension RowGateSettings {
    /// For people, one line for each option: `suppress: 5m for each ${clientid}`.
    package var lines: [String] {
        var lines: [String] = []
        func add(_ option: String, _ what: String, _ key: String?, _ whole: String) {
            lines.append("\(option): \(what), " + (key.map { "for each \($0)" } ?? whole))
        }
        if sample < 1 { lines.append("sample: \(sample) of the matches") }
        if let onChange {
            add("on_change", onChange.fields.joined(separator: ", "), onChange.key, "for each topic or client")
        }
        if let suppress { add("suppress", Self.text(suppress.window), suppress.key, "for all rows together") }
        if let throttle {
            add("throttle", "\(throttle.count) in \(Self.text(throttle.per))", throttle.key, "for all rows together")
        }
        return lines
    }

    private static func text(_ nanoseconds: Int64) -> String {
        for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] as [(String, Int64)]
        where nanoseconds % (length * 1_000_000) == 0 {
            return "\(nanoseconds / (length * 1_000_000))\(unit)"
        }
        return "\(nanoseconds / 1_000_000)ms"
    }
}

/// What became of a row at the gate.
package enum GateVerdict: String, Sendable, CaseIterable {
    case passes
    /// Left out by `sample`, with all rows of its match.
    case sampled
    /// Held back by `on_change`.
    case unchanged
    /// Held back by `suppress`.
    case suppressed
    /// Held back by `throttle`.
    case throttled
}
