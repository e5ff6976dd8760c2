import CCRC32C
import Testing

@Suite struct ChecksumTests {
    /// RFC 3720, appendix B.4, and the check value of the catalogue of CRCs.
    static let vectors: [([UInt8], UInt32)] = [
        (Array("123456789".utf8), 0xE306_9283),
        ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
        ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
        (Array(0...31), 0x46DD_794E),
        (Array((0...31).reversed()), 0x113F_DB5C),
        ([], 0),
    ]

    @Test(arguments: vectors) func `known vectors come out by table and by instruction`(
        _ bytes: [UInt8], _ expected: UInt32
    ) {
        #expect(sluice_crc32c(0, bytes, bytes.count) == expected)
        #expect(sluice_crc32c_table(0, bytes, bytes.count) == expected)
    }

    @Test func `table and instruction agree at every length and alignment, whole and in parts`() {
        var random = SeededRandom(seed: 7)
        let bytes = (0..<300).map { _ in UInt8.random(in: 0...255, using: &random) }
        bytes.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            for offset in 0..<9 {
                for count in 0..<(bytes.count - offset) {
                    let whole = sluice_crc32c(0, start + offset, count)
                    #expect(whole == sluice_crc32c_table(0, start + offset, count))
                    let half = count / 2
                    let first = sluice_crc32c(0, start + offset, half)
                    #expect(whole == sluice_crc32c(first, start + offset + half, count - half))
                }
            }
        }
    }

    @Test func `words count as their little-endian bytes`() {
        let words: [UInt64] = [0x0102_0304_0506_0708, 0xFFEE_DDCC_BBAA_9988, 42]
        let bytes = words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
        #expect(sluice_crc32c_words(9, words[0], words[1], words[2]) == sluice_crc32c(9, bytes, bytes.count))
    }
}
