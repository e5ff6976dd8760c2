package import Buffers

/// Holds back rows of one rule: `sample`, `on_change`, `suppress`, `throttle`, in this order.
///
/// A row counts as passed when all of them let it through, and only then it changes what they remember: a change that
/// was suppressed is still a change afterwards. One object for all shards of a node; what it remembers lives as long as
/// it does. Takes mutexes, for nanoseconds, so it belongs to rules that have such options alone.
package final class RowGate: Sendable {
    package let settings: RowGateSettings
    private let seed: DigestSeed
    private let fields: [ChangeField]
    private let changes: Table?
    private let windows: Table?
    private let tokens: Table?
    private let sampleBound: UInt64
    /// Nanoseconds that one row of a throttle takes, and how far ahead of the clock its rows may be.
    private let interval: Int64
    private let tolerance: Int64

    private struct Table: Sendable {
        let keys: KeyTable
        let key: Template?
    }

    private enum ChangeField: Sendable {
        case member([UInt8])
        case path(Template)
    }

    /// What the gate knows of a row: digests of its keys and of the fields that may change.
    package struct Keys: BitwiseCopyable {
        fileprivate var change = KeyDigest.zero
        fileprivate var values = KeyDigest.zero
        fileprivate var window = KeyDigest.zero
        fileprivate var token = KeyDigest.zero
    }

    package init(_ settings: RowGateSettings, random: RandomSource = .system) {
        self.settings = settings
        var random = random
        seed = DigestSeed(&random)
        func table(_ key: String?, _ limit: Int) -> Table {
            Table(
                keys: KeyTable(limit: limit), key: key.map { Template.compile($0, extensions: settings.extensions) })
        }
        fields = (settings.onChange?.fields ?? []).map { name in
            name.contains(".") ? .path(Template.compile("${\(name)}")) : .member(Array(name.utf8))
        }
        changes = settings.onChange.map { table($0.key, $0.maximumKeys) }
        windows = settings.suppress.map { table($0.key, $0.maximumKeys) }
        tokens = settings.throttle.map { table($0.key, $0.maximumKeys) }
        sampleBound = UInt64(max(0, min(1, settings.sample)) * 0x1p53)
        let count = Int64(max(1, settings.throttle?.count ?? 1))
        interval = max(1, (settings.throttle?.per ?? 0) / count)
        tolerance = interval.multipliedReportingOverflow(by: count - 1).partialValue
    }

    /// Whether `sample` takes a match. Draws one number unless all or none are taken.
    package func takesSample(_ random: inout RandomSource) -> Bool {
        if sampleBound == 1 << 53 { return true }
        return random.next() >> 11 < sampleBound
    }

    /// What the gate needs to know of a row.
    ///
    /// - Parameters:
    ///   - topic: of the event; empty where it has none.
    ///   - clientID: of the event.
    /// - Throws: what rendering a key raises, and ``EvaluationError/badArgument(function:reason:)`` for a bit string
    ///   among the fields of `on_change`.
    package func keys(
        row: Value, topic: Bytes, clientID: Bytes, context: TemplateContext
    ) throws(EvaluationError) -> Keys {
        var keys = Keys()
        if let changes {
            keys.change =
                try changes.key == nil
                ? seed.digest(topic.isEmpty ? clientID : topic) : digest(changes, row, context)
            keys.values = try valuesDigest(row, context)
        }
        if let windows { keys.window = try digest(windows, row, context) }
        if let tokens { keys.token = try digest(tokens, row, context) }
        return keys
    }

    private func digest(_ table: Table, _ row: Value, _ context: TemplateContext) throws(EvaluationError) -> KeyDigest {
        guard let key = table.key else { return .zero }
        return seed.digest(try key.bytes(row: row, context: context))
    }

    private func valuesDigest(_ row: Value, _ context: TemplateContext) throws(EvaluationError) -> KeyDigest {
        let output = context.scratch
        output.removeAll()
        for field in fields {
            let value: Value
            switch field {
            case .member(let name): value = name.withUnsafeBytes { row.member($0) }
            case .path(let template): value = try template.value(row: row, context: context)
            }
            // `undefined` and the text of that name are two values.
            try JSON.append(value, to: output, undefinedAs: .text)
            output.append(value.isUndefined ? UInt8(ascii: ";") : UInt8(ascii: ","))
        }
        return seed.digest(output.bytes)
    }

    // MARK: decision

    /// Whether a row passes now, which is remembered. Any thread.
    /// - Parameter now: nanoseconds of a clock that never goes back.
    package func admit(_ keys: Keys, now: Int64) -> GateVerdict {
        guard let table = changes?.keys else { return admitAfterChange(keys, now) }
        return table.withEntry(keys.change) { entries, known in
            if let known, entries[known] == keys.values {
                entries.touch(known)
                return .unchanged
            }
            let verdict = admitAfterChange(keys, now)
            if verdict == .passes { table.set(keys.values, of: keys.change, known: known, in: &entries) }
            return verdict
        }
    }

    private func admitAfterChange(_ keys: Keys, _ now: Int64) -> GateVerdict {
        guard let table = windows?.keys, let window = settings.suppress?.window else { return takeToken(keys, now) }
        return table.withEntry(keys.window) { entries, known in
            if let known, Int64(bitPattern: entries[known].first) > now { return .suppressed }
            let verdict = takeToken(keys, now)
            if verdict == .passes {
                table.set(Self.state(now, plus: window), of: keys.window, known: known, in: &entries)
            }
            return verdict
        }
    }

    /// The key's state is the time at which its rows would be due if they came evenly; it may run ahead of the clock by
    /// what makes up one burst. (The generic cell rate algorithm.)
    private func takeToken(_ keys: Keys, _ now: Int64) -> GateVerdict {
        guard let table = tokens?.keys else { return .passes }
        return table.withEntry(keys.token) { entries, known in
            let due = max(now, known.map { Int64(bitPattern: entries[$0].first) } ?? now)
            guard due - now <= tolerance else { return .throttled }
            table.set(Self.state(due, plus: interval), of: keys.token, known: known, in: &entries)
            return .passes
        }
    }

    private static func state(_ time: Int64, plus span: Int64) -> KeyDigest {
        let (sum, overflow) = time.addingReportingOverflow(span)
        return KeyDigest(first: UInt64(bitPattern: overflow ? .max : sum), second: 0)
    }

    // MARK: figures

    /// For each option that remembers keys, how many there are and how many were forgotten for others. Any thread.
    package var figures: [(option: String, keys: Int, forgotten: Int)] {
        [("on_change", changes), ("suppress", windows), ("throttle", tokens)].compactMap { option, table in
            table.map { (option, $0.keys.figures.keys, $0.keys.figures.forgotten) }
        }
    }
}
