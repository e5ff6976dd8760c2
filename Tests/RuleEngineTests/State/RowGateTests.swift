import Buffers
import RuleEngine
import Testing

/// What holds rows back. Time is a number that the tests move.
@Suite struct RowGateTests {
    private static let second: Int64 = 1_000_000_000

    /// Puts a row, given as JSON, to the gate.
    private func put(
        _ row: String, to gate: RowGate, at seconds: Double = 0, topic: String = "t", client: String = "c"
    ) throws -> GateVerdict {
        let bench = Workbench()
        let keys = try gate.keys(
            row: try bench.json(row), topic: try bench.bytes(topic), clientID: try bench.bytes(client),
            context: TemplateContext(arena: bench.arena))
        return gate.admit(keys, now: Int64(seconds * 1e9))
    }

    private func gate(_ change: (inout RowGateSettings) -> Void) -> RowGate {
        var settings = RowGateSettings()
        change(&settings)
        return RowGate(settings, random: RandomSource(seed: 7))
    }

    // MARK: suppress

    @Test func `after a row has passed its key is silent for the time given, the end not included`() throws {
        let gate = gate { $0.suppress = .init(key: "${id}", window: 300 * Self.second) }
        let steps: [(Double, String, GateVerdict)] = [
            (0, "a", .passes), (0, "b", .passes), (120, "a", .suppressed), (299.9, "b", .suppressed),
            (300, "a", .passes), (301, "b", .passes), (599, "a", .suppressed), (600, "a", .passes),
        ]
        for (time, id, verdict) in steps {
            #expect(try put("{\"id\":\"\(id)\"}", to: gate, at: time) == verdict, "\(id) at \(time)")
        }
    }

    @Test func `without a key all rows of the rule share one window`() throws {
        let gate = gate { $0.suppress = .init(window: 10 * Self.second) }
        #expect(try put("{}", to: gate, topic: "a") == .passes)
        #expect(try put("{}", to: gate, at: 9, topic: "b", client: "d") == .suppressed)
    }

    // MARK: throttle

    @Test func `a throttle lets a burst through and then one by one`() throws {
        let gate = gate { $0.throttle = .init(key: "${id}", count: 4, per: Self.second) }
        func verdicts(_ times: [Double], _ id: String) throws -> [Bool] {
            try times.map { try put("{\"id\":\"\(id)\"}", to: gate, at: $0) == .passes }
        }
        #expect(try verdicts([10, 10, 10, 10, 10], "a") == [true, true, true, true, false])
        #expect(try verdicts([10.2, 10.25, 10.25, 10.49, 10.5], "a") == [false, true, false, false, true])
        // Rest is not saved up beyond one burst.
        #expect(try verdicts([99, 99, 99, 99, 99], "a") == [true, true, true, true, false])
        #expect(try verdicts([99], "b") == [true])
        #expect(try put(#"{"id":"b"}"#, to: gate, at: 99) == .passes)
    }

    @Test func `over a long time a throttle passes its rate and one burst`() throws {
        let gate = gate { $0.throttle = .init(count: 10, per: Self.second) }
        let bench = Workbench()
        let keys = try gate.keys(
            row: try bench.json("{}"), topic: try bench.bytes("t"), clientID: try bench.bytes("c"),
            context: TemplateContext(arena: bench.arena))
        var passed = 0
        for step in 0..<100_000 where gate.admit(keys, now: Int64(step) * 1_000_000) == .passes { passed += 1 }
        #expect(passed == 10 + 999)
    }

    // MARK: on_change

    @Test func `a row passes when a field differs from what last passed`() throws {
        let gate = gate { $0.onChange = .init(fields: ["v", "m.k"], key: "${id}") }
        let steps: [(String, GateVerdict)] = [
            (#"{"id":1,"v":1}"#, .passes), (#"{"id":1,"v":1}"#, .unchanged), (#"{"id":1,"v":1,"x":9}"#, .unchanged),
            (#"{"id":2,"v":1}"#, .passes), (#"{"id":1,"v":2}"#, .passes), (#"{"id":1,"v":1}"#, .passes),
            (#"{"id":1,"v":1,"m":{"k":1}}"#, .passes), (#"{"id":1,"v":1,"m":{"k":1,"j":2}}"#, .unchanged),
            (#"{"id":1,"v":1,"m":{"k":[1]}}"#, .passes), (#"{"id":1,"v":"1","m":{"k":[1]}}"#, .passes),
            (#"{"id":1,"v":1.0,"m":{"k":[1]}}"#, .passes), (#"{"id":1,"m":{"k":[1]}}"#, .passes),
            (#"{"id":1,"v":"undefined","m":{"k":[1]}}"#, .passes),
            (#"{"id":1,"v":null,"m":{"k":[1]}}"#, .passes),
        ]
        for (row, verdict) in steps { #expect(try put(row, to: gate) == verdict, "\(row)") }
    }

    @Test func `values that run into each other are told apart`() throws {
        let gate = gate { $0.onChange = .init(fields: ["a", "b"]) }
        #expect(try put(#"{"a":1,"b":23}"#, to: gate) == .passes)
        #expect(try put(#"{"a":12,"b":3}"#, to: gate) == .passes)
        #expect(try put(#"{"a":"x\",\"y","b":"z"}"#, to: gate) == .passes)
        #expect(try put(#"{"a":"x","b":"y\",\"z"}"#, to: gate) == .passes)
    }

    @Test func `without a key a change is one of the topic, or of the client where there is no topic`() throws {
        let gate = gate { $0.onChange = .init(fields: ["v"]) }
        #expect(try put(#"{"v":1}"#, to: gate, topic: "a", client: "c") == .passes)
        #expect(try put(#"{"v":1}"#, to: gate, topic: "b", client: "c") == .passes)
        #expect(try put(#"{"v":1}"#, to: gate, topic: "a", client: "d") == .unchanged)
        #expect(try put(#"{"v":1}"#, to: gate, topic: "", client: "c") == .passes)
        #expect(try put(#"{"v":1}"#, to: gate, topic: "", client: "d") == .passes)
        #expect(try put(#"{"v":1}"#, to: gate, topic: "", client: "c") == .unchanged)
    }

    @Test func `a bit string has no text to compare and raises`() throws {
        let gate = gate { $0.onChange = .init(fields: ["v"]) }
        let bench = Workbench()
        let bits = Value.bitString(try bench.bytes("x"), count: 3)
        let row = try bench.arena.object([Member(key: try bench.bytes("v"), value: bits)])
        let context = TemplateContext(arena: bench.arena)
        let none = Bytes(start: nil, count: 0)
        #expect(
            failure { _ = try gate.keys(row: row, topic: none, clientID: none, context: context) }?.name
                == "bad_argument")
    }

    // MARK: together

    @Test func `what one option holds back changes nothing that another remembers`() throws {
        let gate = gate {
            $0.onChange = .init(fields: ["v"])
            $0.suppress = .init(window: 10 * Self.second)
            $0.throttle = .init(count: 1, per: 60 * Self.second)
        }
        #expect(try put(#"{"v":1}"#, to: gate, at: 0) == .passes)
        #expect(try put(#"{"v":2}"#, to: gate, at: 5) == .suppressed)
        #expect(try put(#"{"v":1}"#, to: gate, at: 6) == .unchanged)
        // Throttled: neither the change is taken for passed, nor a new window begun.
        #expect(try put(#"{"v":2}"#, to: gate, at: 20) == .throttled)
        #expect(try put(#"{"v":2}"#, to: gate, at: 59) == .throttled)
        #expect(try put(#"{"v":2}"#, to: gate, at: 60) == .passes)
        #expect(try put(#"{"v":2}"#, to: gate, at: 61) == .unchanged)
    }

    @Test func `a sample takes its fraction, and all or none without drawing`() {
        func taken(_ fraction: Double) -> Int {
            let gate = gate { $0.sample = fraction }
            var random = RandomSource(seed: 3)
            return (0..<10_000).count { _ in gate.takesSample(&random) }
        }
        #expect(taken(1) == 10_000)
        #expect(taken(0) == 0)
        #expect((950...1050).contains(taken(0.1)))
        #expect((4850...5150).contains(taken(0.5)))
        var random = RandomSource(seed: 3)
        let before = random
        _ = gate { $0.sample = 1 }.takesSample(&random)
        var untouched = before
        #expect(random.next() == untouched.next())
    }

    // MARK: bounds

    @Test func `beyond its bound a table forgets the key that was used longest ago`() throws {
        var option = RowGateSettings.Suppress(key: "${id}", window: 1000 * Self.second)
        option.maximumKeys = 3
        let gate = gate { $0.suppress = option }
        for id in 0..<3 { #expect(try put("{\"id\":\(id)}", to: gate, at: Double(id)) == .passes) }
        #expect(gate.figures.map(\.keys) == [3])
        #expect(gate.figures.map(\.forgotten) == [0])
        #expect(try put(#"{"id":0}"#, to: gate, at: 4) == .suppressed)
        #expect(try put(#"{"id":3}"#, to: gate, at: 5) == .passes)
        #expect(gate.figures.map(\.keys) == [3])
        #expect(gate.figures.map(\.forgotten) == [1])
        #expect(try put(#"{"id":1}"#, to: gate, at: 6) == .suppressed)
        #expect(try put(#"{"id":0}"#, to: gate, at: 7) == .passes)
        #expect(try put(#"{"id":1}"#, to: gate, at: 8) == .passes)
    }

    @Test func `a key that goes on without a change is not forgotten`() throws {
        var option = RowGateSettings.OnChange(fields: ["v"], key: "${id}")
        option.maximumKeys = 2
        let gate = gate { $0.onChange = option }
        #expect(try put(#"{"id":1,"v":1}"#, to: gate) == .passes)
        for id in 2..<50 {
            #expect(try put("{\"id\":\(id),\"v\":1}", to: gate) == .passes)
            #expect(try put(#"{"id":1,"v":1}"#, to: gate) == .unchanged)
        }
    }

    @Test func `a bounded table does what a list of keys in order of use does`() throws {
        var option = RowGateSettings.OnChange(fields: ["v"], key: "${id}")
        option.maximumKeys = 40
        let gate = gate { $0.onChange = option }
        var random = RandomSource(seed: 11)
        var model: [(id: Int, v: Int)] = []
        for _ in 0..<20_000 {
            let id = Int.random(in: 0..<60, using: &random)
            let v = Int.random(in: 0..<3, using: &random)
            let known = model.firstIndex { $0.id == id }
            let expected: GateVerdict = known.map { model[$0].v == v } == true ? .unchanged : .passes
            if let known { model.remove(at: known) } else if model.count == 40 { model.removeFirst() }
            model.append((id, v))
            let verdict = try put("{\"id\":\(id),\"v\":\(v)}", to: gate)
            guard verdict == expected else {
                Issue.record("\(id) with \(v): \(verdict), expected \(expected)")
                return
            }
        }
        #expect(gate.figures.map(\.keys) == [40])
    }

    @Test func `a large table stays within its bound and a key for each of its parts`() throws {
        var option = RowGateSettings.Suppress(key: "${id}", window: .max)
        option.maximumKeys = 5000
        let gate = gate { $0.suppress = option }
        for id in 0..<5000 { #expect(try put("{\"id\":\(id)}", to: gate) == .passes) }
        #expect(gate.figures.map(\.keys) == [5000])
        for id in 0..<5000 where try put("{\"id\":\(id)}", to: gate) != .suppressed {
            Issue.record("\(id) was forgotten within the bound")
        }
        for id in 5000..<20_000 { #expect(try put("{\"id\":\(id)}", to: gate) == .passes) }
        let (_, keys, forgotten) = try #require(gate.figures.first)
        #expect((5000...5016).contains(keys))
        #expect(keys + forgotten == 20_000)
    }

    @Test func `shards that meet at one key let one row through`() async throws {
        let gate = gate {
            $0.onChange = .init(fields: ["v"], key: "k")
            $0.suppress = .init(key: "${id}", window: .max)
            $0.throttle = .init(key: "x", count: 1_000_000, per: Self.second)
        }
        let passed = await withTaskGroup(of: Int.self) { group in
            for shard in 0..<8 {
                group.addTask {
                    (0..<2000).count { step in
                        (try? self.put("{\"id\":\(step),\"v\":\(step * 10 + shard)}", to: gate)) == .passes
                    }
                }
            }
            return await group.reduce(0, +)
        }
        #expect(passed == 2000)
    }
}
