import Buffers
import RuleEngine
import Topics

/// One figure of the table.
struct Row {
    let name: String
    let unit: String
    let target: Double?
    let reached: Double

    var isMet: Bool? { target.map { reached <= $0 } }
}

/// Everything that is measured.
struct Bench {
    let measure: Measure
    let small: [UInt8]
    let large: [UInt8]

    func rows(_ isWanted: (String) -> Bool, _ body: (Row) -> Void) {
        for query in Query.all {
            for (size, payload, target) in [("small", small, query.small), ("large", large, query.large)] {
                let name = "\(query.name) \(size)"
                if isWanted(name) { body(Row(name: name, unit: "ns", target: target, reached: warm(query, payload))) }
                if query.name == "false", isWanted(name + " cold") {
                    body(Row(name: name + " cold", unit: "ns", target: nil, reached: cold(query, payload)))
                }
            }
        }
        for row in allocations() where isWanted(row.name) { body(row) }
        if isWanted("1,000 filters") { body(manyFilters()) }
        for row in sharedTopic() where isWanted(row.name) { body(row) }
    }

    /// The evaluation of a row such as `star small`.
    func evaluation(named name: String) -> Evaluation? {
        for query in Query.all {
            if name == query.name + " small" { return evaluation(query, small) }
            if name == query.name + " large" { return evaluation(query, large) }
        }
        return nil
    }

    private func evaluation(_ query: Query, _ payload: [UInt8]) -> Evaluation {
        Evaluation([query.sql], Publish(topic: "t/a/x", payload: payload))
    }

    private func warm(_ query: Query, _ payload: [UInt8]) -> Double {
        let evaluation = evaluation(query, payload)
        return measure.median { evaluation.run() }
    }

    private func cold(_ query: Query, _ payload: [UInt8]) -> Double {
        let evaluation = evaluation(query, payload)
        return measure.medianCold { evaluation.run() }
    }

    /// What a thousand messages allocate that WHERE refuses, and for comparison those that give a row. None where nothing
    /// counts it.
    private func allocations() -> [Row] {
        guard let counter = AllocationCounter() else { return [] }
        return Query.all.filter { ["false", "path"].contains($0.name) }.map { query in
            let evaluation = evaluation(query, small)
            return Row(
                name: "\(query.name) allocations", unit: "per 1,000", target: 0,
                reached: counter.count { evaluation.run() })
        }
    }

    /// A message is matched with the filters of all rules and evaluated by the one rule that matches: 1,000 rules
    /// against one.
    private func manyFilters() -> Row {
        let one = filters(1)
        let thousand = filters(1_000)
        return Row(
            name: "1,000 filters", unit: "× one", target: 1.3,
            reached: measure.median(thousand) / measure.median(one))
    }

    private func filters(_ count: Int) -> () -> Void {
        let sql = Query.all[1].sql
        var index = TopicIndex<Evaluation>()
        for number in 0..<count {
            var filter = "plant/line-\(number)/+/state"
            let topic = "plant/line-\(number)/cell-7/state"
            let evaluation = Evaluation(
                [sql.replacing("t/#", with: filter)], Publish(topic: topic, payload: small))
            filter.withUTF8 { index.insert(evaluation, filter: Bytes($0)) }
        }
        let topic = Array("plant/line-\(count / 2)/cell-7/state".utf8)
        return { topic.withUnsafeBytes { index.match($0) { $0.run() } } }
    }

    /// A hundred rules on one topic: how often they read the payload, and what one more of them costs.
    private func sharedTopic() -> [Row] {
        let sql = (0..<100).map { number in
            "SELECT payload.temp as t, clientid FROM \"t/#\" WHERE payload.temp > \(1_000 + number)"
        }
        let hundred = Evaluation(sql, Publish(topic: "t/a/x", payload: small))
        let one = Evaluation([sql[0]], Publish(topic: "t/a/x", payload: small))
        hundred.run()
        let reads = Double(hundred.event.payloadReads)
        let each = (measure.median { hundred.run() } - measure.median { one.run() }) / 99
        return [
            Row(name: "100 rules, payload scans", unit: "scans", target: 1, reached: reads),
            Row(name: "100 rules, each more", unit: "ns", target: nil, reached: each),
        ]
    }
}
