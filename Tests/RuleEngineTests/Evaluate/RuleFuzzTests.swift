import Buffers
import Glibc
import RuleEngine
import Testing

/// Damaged statements, templates and payloads: nothing may trap, and nothing may run longer than the bounds allow. A
/// short form by default; `FUZZ_SECONDS` (`make fuzz`) asks for 100,000 of each, `FUZZ_SEED` repeats a run.
@Suite(.serialized) struct `Fuzz of rules` {
    private let rounds = getenv("FUZZ_SECONDS") == nil ? 5_000 : 100_000
    private let seed = getenv("FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? UInt64.random(in: .min ... .max)
    /// Milliseconds: the bound of 50 and what a step may take that was begun in time.
    private let limit = `Bounds of what a rule may cost`.limit(200)

    static let statements = [
        "SELECT * FROM \"t/#\"", "SELECT payload.temp AS t, clientid FROM \"t/#\" WHERE payload.temp > 30",
        "SELECT payload.device.id AS id, upper(topic) AS tp, payload.readings[1].v * 2 + 1 AS v FROM \"t/#\" "
            + "WHERE payload.device.kind = 'sensor' and topic =~ 't/+/x'",
        "FOREACH payload.readings AS r DO r.v AS v, clientid INCASE r.v > 10 FROM \"t/#\"",
        "SELECT CASE WHEN payload.temp > 40 THEN 'hot' ELSE 'cold' END AS l, nth(2, split(topic, '/')) AS d FROM t "
            + "WHERE regex_match(clientid, '^c[0-9]+$')",
        "SELECT [1..3] AS a, -2 mod 3 AS b, 9223372036854775807 + 1 AS c, 'it''s' AS d FROM \"$events/client/connected\"",
        "SELECT sprintf('~p ~s', payload, qos) AS s, pad(topic, 10, 'both', '-') AS p FROM t",
        "SELECT payload AS p, 5 AS p.a[1].b, p.a AS q FROM t WHERE NOT (qos IN (1, 2, '3') OR payload.x <> 1)",
        "SELECT map_get('a.b', json_decode(payload), 1) AS m, substr(topic, 1, 2) AS s, jq('.', payload) AS j FROM t",
    ]
    static let templates = [
        "${a}", "x ${payload.readings.1.v} y ${.}", "${nosuch:-none}${json:payload}${url:a}${base64:payload}",
        #"{"a":${a},"p":"${payload}"}"#, "${a.b.c} $ {x} ${} ${a", "%Y-%m-%d/${clientid}.log",
    ]
    static let payloads = [
        #"{"temp":36.5,"device":{"id":"dev-1","kind":"sensor"},"readings":[{"name":"a","v":12.5},{"name":"b","v":7}]}"#,
        #"{"readings":["#
            + (0..<20).map { #"{"name":"r\#($0)","v":\#($0).5,"q":\#($0 % 3)}"# }.joined(separator: ",")
            + #"],"temp":1e3,"s":"\u00e4 ü \"quoted\" \\","n":null,"t":true,"f":false}"#,
        "[[1,2,[3,-4.5e-7]],{},[],\"\",{\"a\":{\"b\":{}}}]", "not json", "12345678901234567890123", "",
    ]

    @Test func `damaged statements`() throws {
        var random = RandomSource(seed: seed)
        let bench = RuleBench()
        var compiled = 0
        for round in 0..<rounds {
            let text = String(decoding: damage(Self.statements, &random), as: UTF8.self)
            var outcome: Outcome?
            let spent = `Bounds of what a rule may cost`.time {
                guard let rule = CompiledRule.compile(sql: text, id: "r").rule else { return }
                bench.context.arena.reset()
                bench.rows.removeAll()
                outcome = rule.evaluate(RuleBench.event(payload: Self.payloads[0]), in: bench.context, rows: bench.rows)
            }
            guard spent < limit else {
                Issue.record("FUZZ_SEED=\(seed), round \(round): \(spent) ms for \(text)")
                return
            }
            if outcome != nil { compiled += 1 }
        }
        #expect(compiled > rounds / 50, "FUZZ_SEED=\(seed): the damage leaves nothing to evaluate")
    }

    @Test func `damaged templates`() throws {
        var random = RandomSource(seed: seed)
        let bench = RuleBench()
        let context = TemplateContext(arena: bench.context.arena)
        let output = OutputBuffer()
        for round in 0..<rounds {
            let text = String(decoding: damage(Self.templates, &random), as: UTF8.self)
            let payload = damage(Self.payloads, &random)
            let spent = `Bounds of what a rule may cost`.time {
                bench.context.arena.reset()
                output.removeAll()
                let template = Template.compile(text, extensions: round % 2 == 0)
                let row = StoredValue.object([
                    StoredMember(key: Array("a".utf8), value: .integer(1)),
                    StoredMember(key: Array("payload".utf8), value: .string(payload)),
                ])
                if let row = try? row.value(in: bench.context.arena) {
                    try? template.render(row: row, into: output, context: context)
                }
            }
            guard spent < limit else {
                Issue.record("FUZZ_SEED=\(seed), round \(round): \(spent) ms for \(text)")
                return
            }
        }
    }

    /// A blank behind the text leads the reader the careful way; both ways must come to the same.
    @Test func `damaged payloads, read two ways`() throws {
        var random = RandomSource(seed: seed)
        let bench = RuleBench()
        let rules = try Self.statements.map { try #require(CompiledRule.compile(sql: $0, id: "r").rule) }
        var valid = 0
        for round in 0..<rounds {
            let payload = damage(Self.payloads, &random)
            let spent = `Bounds of what a rule may cost`.time {
                bench.context.arena.reset()
                bench.rows.removeAll()
                let event = RuleBench.event(payload: nil, [("payload", .string(payload))])
                _ = rules[round % rules.count].evaluate(event, in: bench.context, rows: bench.rows)
            }
            let (quick, careful) = (
                decoded(payload, bench.context.arena), decoded(payload + [0x20], bench.context.arena)
            )
            guard quick == careful, spent < limit else {
                Issue.record(
                    "FUZZ_SEED=\(seed), round \(round): \(spent) ms, \(String(decoding: payload, as: UTF8.self))")
                return
            }
            if quick != nil { valid += 1 }
        }
        #expect(valid > rounds / 50, "FUZZ_SEED=\(seed): the damage leaves nothing that is JSON")
    }

    private func decoded(_ text: [UInt8], _ arena: Arena) -> StoredValue? {
        text.withUnsafeBytes { text in (try? JSON.decode(text, in: arena)).map { StoredValue($0) } }
    }

    /// One of the texts with none to four changes.
    private func damage(_ texts: [String], _ random: inout RandomSource) -> [UInt8] {
        var bytes = Array((texts.randomElement(using: &random) ?? "").utf8)
        let pieces = texts.map { Array($0.utf8) }
        for _ in 0..<Int.random(in: 0...4, using: &random) {
            guard let place = bytes.indices.randomElement(using: &random) else { return bytes }
            let end = min(bytes.count, place + Int.random(in: 1...12, using: &random))
            switch Int.random(in: 0..<7, using: &random) {
            case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes[place] = Array("\"\\{}[](),:.'0-9eE$*%\u{0}\u{7F}".utf8).randomElement(using: &random) ?? 0
            case 2: bytes.removeSubrange(place..<end)
            case 3: bytes.insert(contentsOf: bytes[place..<end], at: place)
            case 4:
                let piece = pieces.randomElement(using: &random) ?? []
                bytes.insert(contentsOf: piece.prefix(Int.random(in: 0...40, using: &random)), at: place)
            case 5: bytes.insert(contentsOf: repeatElement(bytes[place], count: 200), at: place)
            default: bytes[place] = UInt8.random(in: .min ... .max, using: &random)
            }
        }
        return bytes
    }
}
