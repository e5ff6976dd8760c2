import Cluster
import Consensus
import Testing

@Suite("Replicated state") struct MetaStateMachineTests {
    /// Commands as they might come: some good, some refused, some sent twice.
    static func commands(seed: UInt64, count: Int) -> [[UInt8]] {
        var random = SeededGenerator(seed: seed)
        var sent: [[UInt8]] = []
        let texts = (0..<6).map { Array("rules: {r\($0): {sql: SELECT \($0)}}".utf8) }
        func key() -> CommandKey { CommandKey(high: random.next(), low: random.next()) }
        for step in 0..<count {
            if step > 3, Int.random(in: 0..<8, using: &random) == 0 {
                sent.append(sent[Int.random(in: 0..<sent.count, using: &random)])
                continue
            }
            let name = "n\(Int.random(in: 0..<4, using: &random))@h"
            let id = UInt64.random(in: 1...6, using: &random)
            let command: MetaCommand
            switch Int.random(in: 0..<11, using: &random) {
            case 0: command = .found(clusterID: id, name: "c")
            case 1:
                command = .putMember(
                    ClusterMember(
                        name: name, id: id, role: .core, address: "h:1", joined: 7, version: "1",
                        featureLevel: UInt32.random(in: 1...3, using: &random)))
            case 2: command = .removeMember(name: name, id: id, time: 9)
            case 3: command = .raiseFeatureLevel(UInt32.random(in: 0...3, using: &random))
            case 4: command = .configure(key: "mqtt.k\(id)", value: Bool.random(using: &random) ? "\(step)" : nil)
            case 5:
                command = .changeTable(
                    .users, [TableChange(key: [UInt8(id)], value: Bool.random(using: &random) ? [1, 2] : nil)])
            case 6, 7:
                let text = texts[Int.random(in: 0..<6, using: &random)]
                let half = text.count / 2
                let isSecond = Bool.random(using: &random)
                command = .stage(
                    blob: BlobID(of: text), offset: isSecond ? UInt32(half) : 0, total: UInt32(text.count),
                    bytes: Array(isSecond ? text[half...] : text[..<half]))
            case 8, 9:
                let chosen = (0..<6).filter { _ in Int.random(in: 0..<3, using: &random) == 0 }
                command = .applyRules(
                    RuleChange(
                        owner: Bool.random(using: &random) ? name : "",
                        manifest: .inline(
                            RuleBundle(
                                files: chosen.map { RuleBundle.File(path: "f\($0).yaml", blob: BlobID(of: texts[$0])) },
                                objects: chosen.map {
                                    RuleObject(
                                        id: "rule:r\($0)", hash: UInt64.random(in: 0...1, using: &random),
                                        file: "f\($0).yaml", line: 1)
                                })),
                        offer: id, expected: nil, takesOver: Int.random(in: 0..<4, using: &random) == 0, time: 5,
                        by: "test", note: ""))
            default:
                command = .rollbackRules(
                    to: UInt64.random(in: 0...9, using: &random), expected: nil, time: 6, by: "test")
            }
            sent.append(command.encoded(key()))
        }
        return sent
    }

    private func bytes(_ machine: MetaStateMachine) -> [UInt8] { machine.encodeSnapshot().flatMap { $0 } }

    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func `The same commands make the same snapshot, with a snapshot and a restore in between`(_ seed: UInt64) throws {
        let commands = Self.commands(seed: seed, count: 300)
        let first = MetaStateMachine()
        var second = MetaStateMachine()
        var random = SeededGenerator(seed: seed + 1000)
        for (index, command) in commands.enumerated() {
            if Int.random(in: 0..<30, using: &random) == 0 {
                let copy = MetaStateMachine()
                try copy.restore(bytes(second))
                second = copy
            }
            let one = first.apply(index: UInt64(index + 1), command: command)
            let other = second.apply(index: UInt64(index + 1), command: command)
            guard case .result(let a) = one, case .result(let b) = other else {
                Issue.record("a command is not known")
                return
            }
            #expect(a == b)
            _ = try MetaAnswer(decoding: a)
        }
        #expect(bytes(first) == bytes(second))
        #expect(first.state == second.state)
        #expect(first.state.rules.number > 0, "the commands of this seed do nothing")
    }

    @Test func `A command that comes twice counts once, and is answered alike`() {
        let machine = MetaStateMachine()
        let key = CommandKey(high: 1, low: 2)
        let command = MetaCommand.configure(key: "a.b", value: "1").encoded(key)
        guard case .result(let first) = machine.apply(index: 1, command: command) else { return }
        _ = machine.apply(index: 2, command: MetaCommand.configure(key: "a.b", value: "2").encoded(.random()))
        guard case .result(let second) = machine.apply(index: 3, command: command) else { return }
        #expect(first == second)
        #expect(machine.state.configuration == ["a.b": "2"])
        #expect(machine.state.sequence == 3)
    }

    @Test func `The answers of the last 1024 commands are kept, over a restore too`() throws {
        let machine = MetaStateMachine()
        func command(_ number: Int) -> [UInt8] {
            MetaCommand.configure(key: "k", value: "\(number)").encoded(CommandKey(high: 0, low: UInt64(number)))
        }
        for number in 0..<3000 { _ = machine.apply(index: UInt64(number), command: command(number)) }
        let copy = MetaStateMachine()
        try copy.restore(bytes(machine))
        _ = copy.apply(index: 3000, command: command(2999 - 1023))
        #expect(copy.state.configuration["k"] == "2999", "it was remembered")
        _ = copy.apply(index: 3001, command: command(2999 - 1024))
        #expect(copy.state.configuration["k"] == "\(2999 - 1024)", "it was forgotten")
    }

    @Test(arguments: [[200, 1], [7, 9], [0, 1]] as [[UInt8]])
    func `A command of a later version stops the replica and says so`(_ head: [UInt8]) {
        let machine = MetaStateMachine()
        let command = head + [UInt8](repeating: 0, count: 30)
        guard case .unknown(let text) = machine.apply(index: 1, command: command) else {
            Issue.record("it was applied")
            return
        }
        #expect(text.contains("later version"))
        #expect(machine.state.sequence == 0)
        #expect(machine.failure == text)
    }

    @Test func `Damaged commands are refused and applied by nobody`() throws {
        var random = SeededGenerator(seed: 5)
        let machine = MetaStateMachine()
        for original in Self.commands(seed: 3, count: 200) {
            for _ in 0..<20 {
                var command = original
                switch Int.random(in: 0..<3, using: &random) {
                case 0: command.removeLast(Int.random(in: 1...max(1, command.count - 2), using: &random))
                case 1:
                    let place = Int.random(in: 18..<max(19, command.count), using: &random)
                    if place < command.count { command[place] = UInt8.random(in: 0...255, using: &random) }
                default: command += [0]
                }
                if case .result(let answer) = machine.apply(index: 1, command: command) {
                    _ = try MetaAnswer(decoding: answer)
                }
            }
        }
        // Whatever came of it can be written and read.
        let copy = MetaStateMachine()
        try copy.restore(bytes(machine))
        #expect(bytes(copy) == bytes(machine))
    }

    @Test func `A flipped bit or a missing byte of a snapshot is found`() {
        let machine = MetaStateMachine()
        for (index, command) in Self.commands(seed: 8, count: 60).enumerated() {
            _ = machine.apply(index: UInt64(index), command: command)
        }
        let whole = bytes(machine)
        for place in stride(from: 0, to: whole.count, by: 7) {
            var damaged = whole
            damaged[place] ^= 1 << UInt8(place % 8)
            #expect(throws: MetaFormatError.self) { try MetaStateMachine().restore(damaged) }
        }
        for length in stride(from: 0, to: whole.count, by: 11) {
            #expect(throws: MetaFormatError.self) { try MetaStateMachine().restore(Array(whole[..<length])) }
        }
    }

    @Test func `Who follows gets entries, and a snapshot when they are gone`() throws {
        let machine = MetaStateMachine()
        let copy = MetaStateMachine()
        for number in 1...5000 {
            _ = machine.apply(
                index: UInt64(number), command: MetaCommand.configure(key: "k", value: "\(number)").encoded(.random()))
        }
        guard case .snapshot(let snapshot) = machine.tail(after: 1, maximumBytes: 1000) else {
            Issue.record("5,000 entries are kept")
            return
        }
        try copy.restore(snapshot)
        for number in 5001...5100 {
            _ = machine.apply(
                index: UInt64(number), command: MetaCommand.configure(key: "k", value: "\(number)").encoded(.random()))
        }
        var rounds = 0
        while case .entries(let entries) = machine.tail(after: copy.state.sequence, maximumBytes: 1000),
            !entries.isEmpty
        {
            for entry in entries {
                #expect(entry.sequence == copy.state.sequence + 1)
                _ = copy.apply(index: entry.index, command: entry.command)
            }
            rounds += 1
        }
        #expect(rounds > 1)
        #expect(bytes(copy) == bytes(machine))
        #expect(copy.rollingHash(at: 5100) == machine.rollingHash(at: 5100))
    }
}
