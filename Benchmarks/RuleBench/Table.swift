import Glibc

/// Prints rows as they come, for people or as one JSON array.
struct Table {
    let asJSON: Bool
    private var count = 0

    init(asJSON: Bool) { self.asJSON = asJSON }

    mutating func add(_ row: Row) {
        if count == 0, !asJSON { print(line("evaluation", "target", "reached", "unit", "")) }
        let reached = number(row.reached)
        if asJSON {
            let target = row.target.map { number($0) } ?? "null"
            let met = row.isMet.map { "\($0)" } ?? "null"
            print(
                (count == 0 ? "[" : ",\n ")
                    + #"{"name":"\#(row.name)","unit":"\#(row.unit)","target":\#(target),"reached":\#(reached),"met":\#(met)}"#,
                terminator: "")
        } else {
            let mark = row.isMet.map { $0 ? "ok" : "MISSED" } ?? ""
            print(line(row.name, row.target.map { number($0) } ?? "-", reached, row.unit, mark))
        }
        count += 1
        fflush(nil)
    }

    func finish() {
        if asJSON { print(count == 0 ? "[]" : "]") }
    }

    private func number(_ value: Double) -> String {
        value < 10 ? "\((value * 100).rounded() / 100)" : "\(Int(value.rounded()))"
    }

    private func line(_ name: String, _ target: String, _ reached: String, _ unit: String, _ mark: String) -> String {
        func right(_ text: String) -> String { String(repeating: " ", count: max(0, 8 - text.count)) + text }
        let padded = name + String(repeating: " ", count: max(0, 26 - name.count))
        return "\(padded)\(right(target))  \(right(reached)) \(unit)  \(mark)"
    }
}
