extension FieldType where Value == Duration {
    /// `500ms 15s 10m 2h 7d`, also `1h30m`; a bare 0 needs no unit.
    package static var duration: FieldType { .duration(.zero ... .seconds(100 * 365 * 86_400)) }

    package static func duration(_ range: ClosedRange<Duration>) -> FieldType {
        FieldType.scalar("a duration such as 500ms, 15s, 10m, 2h or 7d", show: Units.show) { text, _ in
            Units.duration(text)
        }.limited("a duration from \(Units.show(range.lowerBound)) to \(Units.show(range.upperBound))") {
            range.contains($0)
        }
    }
}

extension FieldType where Value == Limit<Duration> {
    package static var durationOrInfinity: FieldType {
        .scalar(
            "a duration such as 500ms, 15s, 10m, 2h or 7d, or infinity",
            show: { $0.finite.map(Units.show) ?? "infinity" }
        ) { text, _ in
            text == "infinity" ? .infinity : Units.duration(text).map { .at($0) }
        }
    }

    /// A duration, or `word` for none; EMQX writes `disabled` there.
    package static func durationOr(_ word: String) -> FieldType {
        .scalar("a duration such as 15s, or \(word)", show: { $0.finite.map(Units.show) ?? word }) { text, _ in
            text == word ? .infinity : Units.duration(text).map { .at($0) }
        }
    }
}

/// A number of bytes.
package struct ByteSize: Sendable, Hashable, Comparable, CustomStringConvertible {
    package var bytes: Int

    package init(bytes: Int) { self.bytes = bytes }

    package static func kilobytes(_ count: Int) -> ByteSize { ByteSize(bytes: count << 10) }
    package static func megabytes(_ count: Int) -> ByteSize { ByteSize(bytes: count << 20) }
    package static func gigabytes(_ count: Int) -> ByteSize { ByteSize(bytes: count << 30) }

    package static func < (a: ByteSize, b: ByteSize) -> Bool { a.bytes < b.bytes }

    package var description: String {
        for (shift, unit) in [(30, "GB"), (20, "MB"), (10, "KB")] where bytes != 0 && bytes & (1 << shift - 1) == 0 {
            return "\(bytes >> shift)\(unit)"
        }
        return "\(bytes)B"
    }
}

extension FieldType where Value == ByteSize {
    /// `64KB 256MB 1GB` (1024-based, `KiB` too) or bare bytes.
    package static var byteSize: FieldType { .byteSize(ByteSize(bytes: 0)...ByteSize(bytes: 1 << 50)) }

    package static func byteSize(_ range: ClosedRange<ByteSize>) -> FieldType {
        FieldType.scalar("a size such as 64KB, 256MB or 1GB") { text, _ in Units.byteSize(text) }
            .limited("a size from \(range.lowerBound) to \(range.upperBound)") { range.contains($0) }
    }
}

extension FieldType where Value == Limit<ByteSize> {
    package static func byteSizeOrInfinity(zeroMeansInfinity: Bool = false) -> FieldType {
        .scalar(
            "a size such as 64KB, 256MB or 1GB, or infinity", show: { $0.finite.map { "\($0)" } ?? "infinity" }
        ) { text, _ in
            if text == "infinity" { return .infinity }
            return Units.byteSize(text).map { $0.bytes == 0 && zeroMeansInfinity ? .infinity : .at($0) }
        }
    }
}

/// So many in a time.
package struct Rate: Sendable, Hashable, Comparable, CustomStringConvertible {
    package var count: Int
    package var per: Duration

    package init(count: Int, per: Duration) {
        self.count = count
        self.per = per
    }

    package var perSecond: Double {
        let (seconds, attoseconds) = per.components
        return Double(count) / (Double(seconds) + Double(attoseconds) / 1e18)
    }

    package static func < (a: Rate, b: Rate) -> Bool { a.perSecond < b.perSecond }

    package var description: String { "\(count)/\(perText)" }

    fileprivate var perText: String {
        let unit = Units.show(per)
        let isSingle = unit.first == "1" && unit.dropFirst().allSatisfy(\.isLetter)
        return isSingle ? String(unit.dropFirst()) : unit
    }
}

extension FieldType where Value == Limit<Rate> {
    /// `1000/s`, `100/10s`, `5/m`, or `infinity`.
    package static var rate: FieldType {
        .scalar("a rate such as 1000/s, or infinity", show: { $0.finite.map { "\($0)" } ?? "infinity" }) { text, _ in
            text == "infinity" ? .infinity : Units.rate(text).map { .at($0) }
        }
    }
}

extension FieldType where Value == Limit<Rate> {
    /// `1MB/s`, `500KB/10s`, or `infinity`; the count is in bytes.
    package static var byteRate: FieldType {
        .scalar(
            "a rate such as 1MB/s, or infinity",
            show: { $0.finite.map { "\(ByteSize(bytes: $0.count))/\($0.perText)" } ?? "infinity" }
        ) { text, _ in
            text == "infinity" ? .infinity : Units.byteRate(text).map { .at($0) }
        }
    }
}

/// Texts with units to values and back.
package enum Units {
    private static let durations: [(String, Int64)] = [
        ("ms", 1_000_000), ("us", 1_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000),
        ("d", 86_400_000_000_000), ("w", 604_800_000_000_000),
    ]

    /// Nil for anything but numbers with units; whole nanoseconds.
    package static func duration(_ text: String) -> Duration? {
        if text == "0" { return .zero }
        var rest = Substring(text.lowercased())
        var total: Int64 = 0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            guard let number = takeNumber(&rest) else { return nil }
            let unit = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(unit.count)
            guard let factor = durations.first(where: { $0.0 == unit })?.1,
                let part = scaled(number, by: factor)
            else { return nil }
            let (sum, overflow) = total.addingReportingOverflow(part)
            guard !overflow else { return nil }
            total = sum
        }
        return .nanoseconds(total)
    }

    package static func show(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        if attoseconds != 0 {
            let milliseconds = Double(seconds) * 1000 + Double(attoseconds) / 1e15
            return milliseconds == milliseconds.rounded() ? "\(Int64(milliseconds))ms" : "\(milliseconds)ms"
        }
        for (size, unit) in [(Int64(86_400), "d"), (3600, "h"), (60, "m")] where seconds != 0 && seconds % size == 0 {
            return "\(seconds / size)\(unit)"
        }
        return "\(seconds)s"
    }

    package static func byteSize(_ text: String) -> ByteSize? {
        var rest = Substring(text.lowercased())
        guard let number = takeNumber(&rest) else { return nil }
        let factor: Int64
        switch rest.drop(while: { $0 == " " }) {
        case "", "b": factor = 1
        case "k", "kb", "kib": factor = 1 << 10
        case "m", "mb", "mib": factor = 1 << 20
        case "g", "gb", "gib": factor = 1 << 30
        case "t", "tb", "tib": factor = 1 << 40
        default: return nil
        }
        return scaled(number, by: factor).map { ByteSize(bytes: Int($0)) }
    }

    package static func rate(_ text: String) -> Rate? { rate(text) { Int($0) } }

    package static func byteRate(_ text: String) -> Rate? { rate(text) { byteSize($0)?.bytes } }

    private static func rate(_ text: String, count: (String) -> Int?) -> Rate? {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let count = count(String(parts[0])), count > 0 else { return nil }
        let unit = parts[1].first?.isNumber == true ? String(parts[1]) : "1" + parts[1]
        guard let per = duration(unit), per > .zero else { return nil }
        return Rate(count: count, per: per)
    }

    private static func takeNumber(_ text: inout Substring) -> Substring? {
        let number = text.prefix { ("0"..."9").contains($0) || $0 == "." }
        guard let first = number.first, first != ".", number.last != ".", number.filter({ $0 == "." }).count <= 1
        else { return nil }
        text = text.dropFirst(number.count)
        return number
    }

    private static func scaled(_ number: Substring, by factor: Int64) -> Int64? {
        if let whole = Int64(number) {
            let (product, overflow) = whole.multipliedReportingOverflow(by: factor)
            return overflow ? nil : product
        }
        return Double(number).flatMap { Int64(exactly: ($0 * Double(factor)).rounded()) }
    }
}
