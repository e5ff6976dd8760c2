import Buffers
import MQTTCodec
import Testing

@Suite struct PublishViewTests {
    /// Parses a whole PUBLISH in place, and reads it while its bytes are valid.
    @discardableResult
    private func withView<T>(
        _ bytes: [UInt8], _ version: ProtocolVersion, from peer: Peer, _ read: (PublishView) throws -> T
    ) throws -> T {
        try bytes.withUnsafeBytes { bytes in
            let header = try #require(try FrameHeader.read(bytes, version: version))
            let body = try #require(packetBody(of: bytes, header))
            return try read(try PublishView.parse(body: body, flags: header.flags, version: version, from: peer))
        }
    }

    private func forwarded(_ properties: [UInt8]) -> [UInt8] {
        let output = OutputBuffer(capacity: 16)
        properties.withUnsafeBytes { PublishView.forwardableProperties(of: $0, to: output) }
        return Array(output.bytes)
    }

    @Test(arguments: PacketCase.publish)
    func `the view says what the packet says`(_ testCase: PacketCase) throws {
        guard case .publish(let packet) = testCase.packet else { return }
        try withView(testCase.bytes, testCase.version, from: testCase.peer) { view in
            try view.validateTopic()
            #expect(String(decoding: view.topic, as: UTF8.self) == packet.topic)
            #expect(Array(view.payload) == packet.payload)
            #expect(view.qos == packet.qos && view.packetIdentifier == packet.packetIdentifier)
            #expect(view.isDuplicate == packet.isDuplicate && view.isRetained == packet.isRetained)
            #expect(view.topicAlias == packet.properties.topicAlias ?? 0)
            #expect(view.messageExpiryInterval == packet.properties.messageExpiryInterval)
            #expect(try Properties.decode(view.properties) == packet.properties)
        }
    }

    @Test func `the topic's characters are checked on request alone [MQTT-3.3.2-2]`() throws {
        for topic in [Array("a/#".utf8), [0xFF], [0x61, 0]] as [[UInt8]] {
            try withView(frame(0x30, data(topic)), .v311, from: .client) { view in
                #expect(throws: ProtocolViolation.self) { try view.validateTopic() }
            }
        }
    }

    @Test func `properties are forwarded in their order without those of the connection [MQTT-3.3.2-18]`() {
        let again: [UInt8] = [0x26] + text("b") + text("1")
        let userProperties: [UInt8] = again + [0x26] + text("a") + text("2") + again
        let format: [UInt8] = [0x01, 1]
        let response: [UInt8] = [0x08] + text("r")
        let dropped: [[UInt8]] = [[0x23, 0, 1], [0x0B, 0xFF, 0x7F], [0x02, 0, 0, 0, 60]]
        for drop in dropped {
            #expect(forwarded(drop) == [])
            #expect(forwarded(drop + format + userProperties) == format + userProperties)
            #expect(forwarded(format + drop + userProperties + drop) == format + userProperties)
            #expect(forwarded(userProperties + drop + drop + response) == userProperties + response)
            #expect((format + drop).withUnsafeBytes { PublishView.needsRewriting($0) })
        }
        let kept: [UInt8] = format + response + [0x09, 0, 2, 0, 1, 0x03, 0, 1, 0x63] + userProperties
        #expect(forwarded(kept) == kept)
        #expect(!kept.withUnsafeBytes { PublishView.needsRewriting($0) })
        #expect(forwarded([]) == [])
    }

    @Test func `what a server forwards of decoded properties is what it forwards of raw ones`() throws {
        let seed = UInt64.random(in: .min ... .max)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<2_000 {
            let properties = generator.properties(.publish, from: .server)
            let (raw, direct) = (OutputBuffer(), OutputBuffer())
            properties.appendBody(to: raw)
            properties.appendForwarded(to: direct)
            #expect(forwarded(Array(raw.bytes)) == Array(direct.bytes), "seed \(seed)")
        }
    }

    @Test(
        arguments: [
            ([0x01, 1], [0x61, 0xC3, 0xA9], false), ([0x01, 1], [], false), ([0x01, 1], [0x61, 0], false),
            ([0x01, 1], [0xC3], true), ([0x01, 1], [0, 0xFF], true), ([0x01, 0], [0xFF], false), ([], [0xFF], false),
        ] as [([UInt8], [UInt8], Bool)])
    func `a payload is held against its announced format [MQTT-3.3.2-4]`(
        _ properties: [UInt8], _ payload: [UInt8], _ isInvalid: Bool
    ) throws {
        try withView(frame(0x30, text("t"), block(properties), payload), .v5, from: .client) { view in
            #expect(view.isPayloadInvalid == isInvalid)
        }
    }

    @Test func `acknowledgement views say what the packets say`() throws {
        for testCase in PacketCase.acknowledgements {
            try testCase.bytes.withUnsafeBytes { bytes in
                let header = try #require(try FrameHeader.read(bytes, version: testCase.version))
                let body = try #require(packetBody(of: bytes, header))
                let view = try AckView.parse(body: body, type: header.type, version: testCase.version)
                switch testCase.packet {
                case .puback(let ack), .pubrec(let ack), .pubrel(let ack), .pubcomp(let ack):
                    #expect(view.packetIdentifier == ack.packetIdentifier && view.reasonCode == ack.reason)
                    #expect(
                        try Properties.decode(view.properties, set: .acknowledgement, from: testCase.peer)
                            == ack.properties)
                default: Issue.record("no acknowledgement")
                }
            }
        }
    }
}
