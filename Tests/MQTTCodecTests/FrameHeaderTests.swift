import Buffers
import MQTTCodec
import Testing

@Suite struct FrameHeaderTests {
    private func read(_ bytes: [UInt8], _ version: ProtocolVersion = .v5) throws -> FrameHeader? {
        try bytes.withUnsafeBytes { try FrameHeader.read($0, version: version) }
    }

    @Test(
        arguments: [
            (0, [0]), (127, [0x7F]), (128, [0x80, 1]), (16_383, [0xFF, 0x7F]), (16_384, [0x80, 0x80, 1]),
            (2_097_151, [0xFF, 0xFF, 0x7F]), (2_097_152, [0x80, 0x80, 0x80, 1]),
            (268_435_455, [0xFF, 0xFF, 0xFF, 0x7F]),
        ] as [(Int, [UInt8])])
    func `a length is read and written in its shortest form [MQTT-1.5.5-1]`(_ value: Int, _ bytes: [UInt8]) throws {
        let header = try #require(try read([0x31] + bytes))
        #expect(header.type == .publish && header.flags == 1)
        #expect(header.remainingLength == value && header.headerLength == bytes.count + 1)
        let output = OutputBuffer()
        FrameHeader.append(variable: value, to: output)
        #expect(Array(output.bytes) == bytes)
        #expect(FrameHeader.size(ofVariable: value) == bytes.count)
    }

    @Test func `256 MB are announced by five bytes`() throws {
        #expect(try read([0x30, 0xFF, 0xFF, 0xFF]) == nil)
        let longest = FrameHeader(type: .publish, flags: 0, headerLength: 5, remainingLength: 268_435_455)
        #expect(try read([0x30, 0xFF, 0xFF, 0xFF, 0x7F]) == longest)
    }

    @Test(arguments: [[0x80, 0], [0x80, 0x80, 0], [0xFF, 0x80, 0x80, 0], [0x80, 0x80, 0x80, 0x80]] as [[UInt8]])
    func `a padded or long length is refused [MQTT-1.5.5-1]`(_ bytes: [UInt8]) {
        #expect(throws: ProtocolViolation.self) { try read([0xC0] + bytes) }
    }

    @Test(arguments: ProtocolVersion.allCases)
    func `every first byte is judged before the second has come [MQTT5 §2.1.2] [MQTT-2.1.3-1]`(
        _ version: ProtocolVersion
    ) throws {
        #expect(try read([], version) == nil)
        for first in UInt8.min...UInt8.max {
            let hasTwo = [6, 8, 10].contains(first >> 4)
            let isRight = first & 15 == (hasTwo ? 2 : 0) || version == .v31 && hasTwo && first & 15 == 10
            if first >> 4 == 3 || first >> 4 != 0 && isRight {
                #expect(try read([first], version) == nil)
                let expected = FrameHeader(
                    type: try #require(PacketType(rawValue: first >> 4)), flags: first & 15, headerLength: 2,
                    remainingLength: 0)
                #expect(try read([first, 0], version) == expected)
            } else {
                #expect(throws: ProtocolViolation.self, "\(first)") { try read([first], version) }
                #expect(throws: ProtocolViolation.self, "\(first)") { try read([first, 0], version) }
            }
        }
    }
}
