import Broker
import Buffers
import ConfigSchema
import Testing

@Suite struct ProxyHeaderTests {
    /// Feeds the bytes in pieces that end at the cuts.
    /// - Returns: what it came to, how many bytes were taken, and the most that was held.
    private func feed(
        _ bytes: [UInt8], cuts: [Int] = [], isRequired: Bool = true
    ) -> (progress: ProxyHeaderParser.Progress, taken: Int, parser: ProxyHeaderParser) {
        var parser = ProxyHeaderParser(isRequired: isRequired)
        var total = 0
        var start = 0
        for end in cuts.sorted() + [bytes.count] where end >= start {
            var taken = 0
            let progress = bytes[start..<end].withUnsafeBytes { parser.feed($0, taken: &taken) }
            total += taken
            if progress != .needsMore { return (progress, total, parser) }
            start = end
        }
        return (.needsMore, total, parser)
    }

    @Test(arguments: ProxyHeaderCases.good)
    func `a header is understood, and nothing behind it taken`(_ example: ProxyHeaderCases.Good) {
        let followers: [[UInt8]] = [[], [0x10], Array(repeating: 0x0A, count: 5000)]
        for rest in followers {
            let (progress, taken, _) = feed(example.bytes + rest)
            #expect(progress == .header(example.header))
            #expect(taken == example.bytes.count)
        }
    }

    @Test(arguments: ProxyHeaderCases.good)
    func `a header is understood however it is cut`(_ example: ProxyHeaderCases.Good) {
        let all = example.bytes + [0x10, 0x0C]
        for cut in 0...min(all.count, 300) { #expect(feed(all, cuts: [cut]).progress == .header(example.header)) }
        #expect(feed(all, cuts: Array(0..<all.count)).progress == .header(example.header))
        var random = RandomNumbers(seed: 7)
        for _ in 0..<50 {
            let cuts = (0..<Int.random(in: 0...9, using: &random)).map { _ in
                Int.random(in: 0...all.count, using: &random)
            }
            let (progress, taken, _) = feed(all, cuts: cuts)
            #expect(progress == .header(example.header))
            #expect(taken == example.bytes.count)
        }
    }

    @Test(arguments: ProxyHeaderCases.good)
    func `every part of a header waits for the rest`(_ example: ProxyHeaderCases.Good) {
        for count in 0..<min(example.bytes.count, 300) {
            #expect(feed(Array(example.bytes[..<count])).progress == .needsMore)
        }
    }

    @Test(arguments: ProxyHeaderCases.bad)
    func `what is no header says why, however it is cut`(_ example: ProxyHeaderCases.Bad) {
        #expect(feed(example.bytes).progress == .failed(example.error))
        #expect(feed(example.bytes, cuts: Array(0..<example.bytes.count)).progress == .failed(example.error))
    }

    @Test(arguments: ["PROX", "PROXZ", "P", "\u{10}\u{0C}", "GET / HTTP/1.1", "PUT / HTTP/1.1", "\r\n\r\n\0\r\nQUIX"])
    func `where a header may be absent, the first bytes are the client's`(_ text: String) {
        let bytes = Array(text.utf8) + [0xFF, 0xFE]
        for cuts in [[Int](), Array(0..<bytes.count)] {
            let (progress, taken, parser) = feed(bytes, cuts: cuts, isRequired: false)
            #expect(progress == .absent)
            #expect(parser.held + bytes[taken...] == bytes)
        }
    }

    @Test func `a right checksum is accepted, one wrong bit anywhere is not`() {
        var bytes = ProxyHeaderCases.checksummed
        // CRC32C by its table, as RFC 3720 defines it: independent of the parser's.
        let table = (0..<256).map { index -> UInt32 in
            (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
        }
        let crc = ~bytes.reduce(~UInt32(0)) { table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] ^ $0 >> 8 }
        for index in 0..<4 {
            bytes[bytes.count - 4 + index] = UInt8(truncatingIfNeeded: crc >> (24 - 8 * UInt32(index)))
        }
        guard case .header = feed(bytes).progress else {
            Issue.record("\(feed(bytes).progress)")
            return
        }
        for position in 16..<28 {
            var flipped = bytes
            flipped[position] ^= 0x10
            #expect(feed(flipped).progress == .failed(.badChecksum))
        }
    }

    @Test func `no more is held than has come, whatever is announced`() {
        let head = ProxyHeaderCases.binary(0x11, [], announced: 4096)
        let (progress, taken, parser) = feed(head + [1, 2, 3])
        #expect(progress == .needsMore)
        #expect(taken == 19)
        #expect(parser.held.capacity < 256)
        let line = Array("PROXY UNKNOWN ".utf8) + Array(repeating: UInt8(0x20), count: 100_000)
        #expect(feed(line).taken == 107)
        #expect(feed(Array(repeating: 0x0D, count: 100_000)).taken <= 12)
    }

    /// Mutations of good headers: no crash, no bytes beyond the bounds taken, the same outcome however cut.
    @Test func `mutated headers come to the same whole and in pieces`() {
        var random = RandomNumbers(seed: 20_261_125)
        var headers = 0
        for round in 0..<20_000 {
            var bytes = ProxyHeaderCases.good[round % ProxyHeaderCases.good.count].bytes
            for _ in 0..<Int.random(in: 1...4, using: &random) { mutate(&bytes, &random) }
            let whole = feed(bytes)
            let cuts = (0..<Int.random(in: 0...6, using: &random)).map { _ in
                Int.random(in: 0...bytes.count, using: &random)
            }
            let pieces = feed(bytes, cuts: cuts)
            #expect(whole.progress == pieces.progress, "\(bytes) cut at \(cuts)")
            #expect(whole.taken == pieces.taken)
            #expect(whole.taken <= 16 + ProxyHeaderParser.maximumLength)
            if case .header = whole.progress { headers += 1 }
        }
        // Otherwise the mutations would only show that nonsense is refused.
        #expect(headers > 1000)
    }

    private func mutate(_ bytes: inout [UInt8], _ random: inout RandomNumbers) {
        guard let position = bytes.indices.randomElement(using: &random) else { return }
        switch Int.random(in: 0..<5, using: &random) {
        case 0: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: bytes[position] = .random(in: .min ... .max, using: &random)
        case 2: bytes.remove(at: position)
        case 3: bytes.insert(.random(in: .min ... .max, using: &random), at: position)
        default: bytes.removeLast(min(bytes.count, Int.random(in: 0...9, using: &random)))
        }
    }
}

/// The same numbers in each run. (SplitMix64)
struct RandomNumbers: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
