import Buffers
import Testing

@Suite struct HexTextTests {
    @Test(arguments: [0, 1, 0xFFFF_FFFF_FFFF_FFFF, 0x0123_4567_89AB_CDEF, 0xA0B1_C2D3_E4F5_9687] as [UInt64])
    func `a word is written in sixteen upper-case digits`(word: UInt64) {
        let text = withUnsafeTemporaryAllocation(byteCount: 16, alignment: 8) { memory in
            if let start = memory.baseAddress { HexText.store(word, at: start) }
            return String(decoding: memory, as: UTF8.self)
        }
        let digits = String(word, radix: 16, uppercase: true)
        #expect(text == String(repeating: "0", count: 16 - digits.count) + digits)
    }
}
