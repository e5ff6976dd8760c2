/// The highest value that each gauge had when it was looked at, twice a second. From any thread.
final class StatisticPeaks: Sendable {
    private let peaks = Guarded<[String: Int]>([:])

    /// - Returns: the peaks, this look included, in the order of the gauges.
    @discardableResult
    func note(_ gauges: [(name: String, value: Int)]) -> [Int] {
        peaks.withLock { peaks in
            gauges.map { gauge in
                let peak = max(gauge.value, peaks[gauge.name] ?? 0)
                peaks[gauge.name] = peak
                return peak
            }
        }
    }
}

extension BrokerNode {
    /// Gauges by EMQX's names, sorted: `x.count`, and `x.max`, the highest that it was.
    package var statistics: [(name: String, value: Int)] {
        let gauges = self.gauges
        let most = peaks.note(gauges)
        return zip(gauges, most).flatMap { gauge, peak in
            [(name: gauge.name + ".count", value: gauge.value), (name: gauge.name + ".max", value: peak)]
        }
    }

    /// [EMQX: stats]
    var gauges: [(name: String, value: Int)] {
        let counts = router.counts
        let connections = connectionCount
        let sessions = registry.count
        return [
            ("channels", sessions), ("cluster_sessions", sessions), ("connections", connections),
            ("delayed", delayed.count), ("live_connections", connections), ("retained", retained.count),
            ("sessions", sessions), ("suboptions", counts.subscriptions), ("subscribers", counts.subscriptions),
            ("subscriptions", counts.subscriptions), ("subscriptions.shared", counts.shared), ("topics", counts.topics),
        ]
    }
}
