import Buffers
import MQTTCodec
import Testing

@Suite struct EncoderTests {
    @Test func `acknowledgements are written in the shortest form [MQTT5 §3.4.2.1]`() {
        for type in [PacketType.puback, .pubrec, .pubrel, .pubcomp] {
            for version in ProtocolVersion.allCases {
                for code in [ReasonCode.success, .packetIdentifierNotFound, .quotaExceeded]
                where code.isValid(for: type) {
                    let output = OutputBuffer()
                    AckEncoder.append(type, packetIdentifier: 0x1234, reason: code, version: version, to: output)
                    let first = type.rawValue << 4 | (type == .pubrel ? 2 : 0)
                    let isLong = version == .v5 && code != .success
                    #expect(Array(output.bytes) == frame(first, u16(0x1234), isLong ? [code.rawValue] : []))
                }
            }
        }
        let output = OutputBuffer()
        PingEncoder.appendResponse(to: output)
        PingEncoder.appendRequest(to: output)
        #expect(Array(output.bytes) == [0xD0, 0, 0xC0, 0])
    }

    @Test func `a PUBLISH is written as its packet is, in the size foretold`() {
        let seed = UInt64.random(in: .min ... .max)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<3_000 {
            writePublish(&generator, seed)
        }
    }

    private func writePublish(_ generator: inout SeededGenerator, _ seed: UInt64) {
        var packet = generator.publish(from: .server)
        packet.properties.subscriptionIdentifiers = (0..<Int.random(in: 0...3, using: &generator)).map { _ in
            [1, 127, 128, 16_384, 268_435_455].randomElement(using: &generator) ?? 1
        }
        let version = ProtocolVersion.allCases.randomElement(using: &generator) ?? .v5
        if packet.topic.isEmpty, version != .v5 { packet.topic = "t" }

        let output = OutputBuffer(capacity: 16)
        let size = write(packet, version, to: output)
        if version != .v5 { packet.properties = Properties() }
        #expect(decode(Array(output.bytes), version, from: .server) == .success(.publish(packet)), "seed \(seed)")
        #expect(output.count == size, "seed \(seed)")
    }

    /// - Returns: the size that was foretold.
    private func write(_ packet: PublishPacket, _ version: ProtocolVersion, to output: OutputBuffer) -> Int {
        let raw = OutputBuffer()
        packet.properties.appendForwarded(to: raw)
        let identifiers = packet.properties.subscriptionIdentifiers
        return Array(packet.topic.utf8).withUnsafeBytes { topic in
            packet.payload.withUnsafeBytes { payload in
                let encoder = PublishEncoder(
                    topic: topic, payload: payload, qos: packet.qos, isDuplicate: packet.isDuplicate,
                    isRetained: packet.isRetained, packetIdentifier: packet.packetIdentifier, version: version,
                    forwardedProperties: raw.bytes, messageExpiryInterval: packet.properties.messageExpiryInterval,
                    subscriptionIdentifier: identifiers.first ?? 0,
                    otherSubscriptionIdentifiers: identifiers.count > 1 ? Array(identifiers.dropFirst()) : nil,
                    topicAlias: packet.properties.topicAlias ?? 0)
                encoder.append(to: output)
                return encoder.size
            }
        }
    }
}
