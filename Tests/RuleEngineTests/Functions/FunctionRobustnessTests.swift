import RuleEngine
import Testing

/// Whatever a function is given, it returns or raises.
@Suite struct `Any arguments` {
    static let odd: [StoredValue] = [
        .undefined, .null, .boolean(true), .integer(0), .integer(-1), .integer(3), .integer(Int.max),
        .integer(Int.min), .bigInteger(negative: true, magnitude: [0, 1]), .float((0.5).bitPattern),
        .float((-1e300).bitPattern), .string([]), .text("a"), .text("a.b"), .string([0xFF, 0x00, 0xC3]),
        .text(#"{"a":{"b":[1]}}"#), .text("é🐸\r\n"), .atom(Array("name".utf8)), .bitString([0xA0], count: 3),
        .array([]), .array([.integer(1), .undefined]), .object([]),
        .object([StoredMember(key: Array("a".utf8), value: .bitString([0x80], count: 1))]),
    ]

    @Test(arguments: FunctionTable.all.map(\.name)) func `end in a value or an error`(name: String) throws {
        let entry = try #require(FunctionTable.entry(named: name))
        let context = EvaluationContext(node: "n1", random: RandomSource(seed: 1))
        var random = RandomSource(seed: 7)
        for count in 0...6 where entry.takes(count) {
            let combinations = count > 2 ? 600 : [1, Self.odd.count, Self.odd.count * Self.odd.count][count]
            for number in 0..<combinations {
                context.arena.reset()
                let values = try context.arena.allocate(Value.self, count: count)
                for index in 0..<count {
                    let choice = count == 2 && index == 0 ? number / Self.odd.count : number
                    let position = count > 2 ? Int.random(in: Self.odd.indices, using: &random) : choice
                    values[index] = try Self.odd[position % Self.odd.count].value(in: context.arena)
                }
                do {
                    _ = StoredValue(try entry.body(Arguments(values), context))
                } catch {
                    #expect(!error.explanation.isEmpty)
                }
            }
        }
    }
}
