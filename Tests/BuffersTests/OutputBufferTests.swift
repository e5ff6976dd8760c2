import Buffers
import Testing

@Suite struct OutputBufferTests {
    private func contents(_ buffer: OutputBuffer) -> [UInt8] { Array(buffer.bytes) }

    @Test func `a buffer does what an array does`() {
        let seed = UInt64.random(in: .min ... .max)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<50 {
            let buffer = OutputBuffer(capacity: Int.random(in: 0...64, using: &generator))
            var model: [UInt8] = []
            for step in 0..<400 {
                generator.change(buffer, &model)
                if contents(buffer) != model || buffer.count != model.count || buffer.isEmpty != model.isEmpty {
                    Issue.record("seed \(seed), step \(step): \(contents(buffer)) instead of \(model)")
                    return
                }
            }
        }
    }

    @Test(arguments: [0, 7, -1, 10, -10, 99, 100, 65_535, -65_536, .max, .min, .max - 1, .min + 1] as [Int])
    func `an integer is written in decimal digits`(_ value: Int) {
        let buffer = OutputBuffer(capacity: 16)
        buffer.append("x=")
        buffer.append(decimal: value)
        #expect(buffer.description == "x=\(value)")
    }

    @Test func `integers of every length are written as the standard library writes them`() {
        let seed = UInt64.random(in: .min ... .max)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<5_000 {
            let value = Int.random(in: .min ... .max, using: &generator) >> Int.random(in: 0...63, using: &generator)
            let buffer = OutputBuffer()
            buffer.append(decimal: value)
            #expect(buffer.description == String(value), "seed \(seed)")
        }
    }

    @Test func `integers are big-endian`() {
        let buffer = OutputBuffer()
        buffer.append(bigEndian: 0x0102 as UInt16)
        buffer.append(bigEndian: 0x0304_0506 as UInt32)
        buffer.append(bigEndian: -2 as Int64)
        #expect(contents(buffer) == [1, 2, 3, 4, 5, 6, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE])
    }

    @Test func `what is stored in the reserved room counts once it is said`() {
        let buffer = OutputBuffer(capacity: 16)
        buffer.append("ab")
        buffer.reserve(1_000)
        #expect(buffer.capacity - buffer.tail >= 1_000)
        buffer.writePointer.storeBytes(of: UInt8(ascii: "c"), as: UInt8.self)
        #expect(buffer.description == "ab")
        buffer.advance(1)
        #expect(buffer.description == "abc")
    }

    @Test func `consumed room is used again before the storage grows`() {
        let buffer = OutputBuffer(capacity: 64)
        for round in 0..<1_000 {
            buffer.append(Array(repeating: UInt8(truncatingIfNeeded: round), count: 24))
            if buffer.count > 24 { buffer.consume(24) }
        }
        #expect(buffer.capacity == 64)
        #expect(contents(buffer) == Array(repeating: UInt8(truncatingIfNeeded: 999), count: 24))
    }

    @Test func `emptying keeps the storage`() {
        let buffer = OutputBuffer(capacity: 16)
        buffer.append(Array(repeating: 1, count: 5_000))
        let capacity = buffer.capacity
        buffer.removeAll()
        #expect(buffer.isEmpty && buffer.capacity == capacity)
        buffer.append(Array(repeating: 2, count: capacity))
        #expect(buffer.capacity == capacity)
        buffer.consume(capacity)
        #expect(buffer.isEmpty && buffer.head == 0)
    }

    @Test(
        arguments: [
            ("", "", 0), ("a", "", 1), ("", "a", -1), ("a", "b", -1), ("ab", "a", 1), ("b", "ab", 1), ("abc", "abc", 0),
            ("\u{7F}", "\u{80}", -1),
        ])
    func `bytes are ordered as numbers, the beginning of another first`(_ a: String, _ b: String, _ sign: Int) {
        let order = Array(a.utf8).withUnsafeBytes { a in Array(b.utf8).withUnsafeBytes { compareBytes(a, $0) } }
        #expect(order.signum() == sign)
    }
}

/// The same sequence for the same seed. (Steele, Lea, Flood: SplitMix)
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// One random operation on both.
    mutating func change(_ buffer: OutputBuffer, _ model: inout [UInt8]) {
        switch Int.random(in: 0..<12, using: &self) {
        case 0...1:
            let byte = UInt8.random(in: .min ... .max, using: &self)
            buffer.append(byte)
            model.append(byte)
        case 2...4:
            let bytes = (0..<Int.random(in: 0...40, using: &self)).map { UInt8($0) }
            buffer.append(bytes)
            model += bytes
        case 5:
            buffer.append("né")
            model += Array("né".utf8)
        case 6:
            let value = Int.random(in: .min ... .max, using: &self) >> Int.random(in: 0...63, using: &self)
            buffer.append(decimal: value)
            model += Array(String(value).utf8)
        case 7:
            let value = UInt16.random(in: .min ... .max, using: &self)
            buffer.append(bigEndian: value)
            model += [UInt8(value >> 8), UInt8(value & 0xFF)]
        case 8...9:
            let count = Int.random(in: 0...model.count, using: &self)
            buffer.consume(count)
            model.removeFirst(count)
        case 10:
            let count = Int.random(in: 0...model.count, using: &self)
            buffer.truncate(to: count)
            model.removeLast(model.count - count)
        default:
            guard Int.random(in: 0..<5, using: &self) == 0 else { return }
            buffer.removeAll()
            model = []
        }
    }
}
