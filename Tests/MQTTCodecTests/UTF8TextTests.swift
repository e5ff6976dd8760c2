import Buffers
import MQTTCodec
import Testing

@Suite struct UTF8TextTests {
    private func isWellFormed(_ bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes { UTF8Text.isValid($0) } }

    @Test(
        arguments: [
            [0xFF], [0xC3, 0x28], [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xC0, 0xAF], [0xC0, 0x80],
            [0xE0, 0x80, 0xAF],
            [0xF8, 0x88, 0x80, 0x80, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xE2, 0x82], [0x00],
            [0xF0, 0x8F, 0xBF, 0xBF], [0x80], [0xE2, 0x82, 0x41], [0xF0, 0x9F, 0x99],
        ] as [[UInt8]])
    func `an ill-formed sequence is found at every place [MQTT-1.5.4-1] [MQTT-1.5.4-2]`(_ bytes: [UInt8]) {
        for before in 0..<18 {
            for after in [0, 1, 7, 8, 9] {
                let padding = Array(repeating: UInt8(ascii: "x"), count: before)
                #expect(!isWellFormed(padding + bytes + Array(repeating: UInt8(ascii: "y"), count: after)))
            }
        }
    }

    @Test(arguments: [
        "", "a", "abcdefgh", "é日🙂", "\u{FEFF}x", "\u{10FFFF}", "\u{7FF}\u{800}\u{FFFF}\u{10000}", "\u{D7FF}\u{E000}",
    ])
    func `well-formed text passes`(_ text: String) {
        for before in 0..<10 {
            #expect(isWellFormed(Array(repeating: UInt8(ascii: "x"), count: before) + Array(text.utf8)))
        }
    }

    @Test func `the check agrees with the standard library on random bytes`() {
        let seed = UInt64.random(in: .min ... .max)
        var generator = SeededGenerator(seed: seed)
        let likely: [UInt8] = [
            0x41, 0x7F, 0x80, 0xBF, 0xC2, 0xE0, 0xA0, 0xED, 0x9F, 0xF0, 0x90, 0xF4, 0x8F, 0xEF, 0x01,
        ]
        for _ in 0..<100_000 {
            let count = Int.random(in: 0...12, using: &generator)
            let bytes = (0..<count).map { _ in likely.randomElement(using: &generator) ?? 0 }
            #expect(isWellFormed(bytes) == (String(validating: bytes, as: UTF8.self) != nil), "seed \(seed): \(bytes)")
        }
    }

    @Test func `a payload may have U+0000`() {
        let bytes: [UInt8] = [0x41, 0, 0x42, 0, 0, 0, 0, 0, 0]
        #expect(bytes.withUnsafeBytes { PublishView.isText($0) })
        #expect(!isWellFormed(bytes))
        for bad in [[0xFF], [0x41, 0, 0xFF], [0xC3, 0, 0xA9], [0, 0xC3]] as [[UInt8]] {
            #expect(!bad.withUnsafeBytes { PublishView.isText($0) }, "\(bad)")
        }
    }
}
