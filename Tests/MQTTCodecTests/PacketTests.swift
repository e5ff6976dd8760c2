import Buffers
import MQTTCodec
import Testing

@Suite struct PacketTests {
    @Test(arguments: PacketCase.all)
    func `a valid packet is decoded`(_ testCase: PacketCase) {
        #expect(decode(testCase.bytes, testCase.version, from: testCase.peer) == .success(testCase.packet))
    }

    @Test(arguments: PacketCase.all)
    func `a packet is encoded in its shortest form`(_ testCase: PacketCase) {
        let bytes = encode(testCase.packet, testCase.version)
        if testCase.isCanonical { #expect(bytes == testCase.bytes) }
        #expect(bytes.count <= testCase.bytes.count)
        #expect(decode(bytes, testCase.version, from: testCase.peer) == .success(testCase.packet))
    }

    @Test(arguments: ViolationCase.all)
    func `a violation is refused with its reason code and clause`(_ testCase: ViolationCase) {
        #expect(violation(of: decode(testCase.bytes, testCase.version, from: testCase.peer)) == testCase.expected)
    }

    @Test(arguments: PacketCase.all)
    func `a packet that arrives byte by byte is decoded with its last byte`(_ testCase: PacketCase) {
        for count in 0..<testCase.bytes.count {
            let part = Array(testCase.bytes[..<count])
            #expect(decode(part, testCase.version, from: testCase.peer) == .success(nil), "after \(count) bytes")
        }
        let withNext = testCase.bytes + [0xC0]
        #expect(decode(withNext, testCase.version, from: testCase.peer) == .success(testCase.packet))
    }

    @Test(arguments: PacketCase.all)
    func `a body cut short is a violation or another valid packet [MQTT-4.13.1-1]`(_ testCase: PacketCase) throws {
        let header = try #require(
            try testCase.bytes.withUnsafeBytes { try FrameHeader.read($0, version: testCase.version) })
        let body = testCase.bytes[header.headerLength...]
        for count in 0..<body.count {
            let cut = frame(testCase.bytes[0], Array(body.prefix(count)))
            let outcome = decode(cut, testCase.version, from: testCase.peer)
            switch outcome {
            case .success(let packet):
                let packet = try #require(packet)
                #expect(packet != testCase.packet || !testCase.isCanonical)
                let again = encode(packet, testCase.version)
                #expect(decode(again, testCase.version, from: testCase.peer) == outcome)
            case .failure(let violation): #expect(violation.reason.isError)
            }
        }
    }

    @Test(arguments: PacketCase.all)
    func `a packet with a byte too many is refused, but for the payload of PUBLISH`(_ testCase: PacketCase) throws {
        let header = try #require(
            try testCase.bytes.withUnsafeBytes { try FrameHeader.read($0, version: testCase.version) })
        let longer = frame(testCase.bytes[0], Array(testCase.bytes[header.headerLength...]), [0])
        let outcome = decode(longer, testCase.version, from: testCase.peer)
        let mayGrow = header.type == .publish || header.type == .suback || header.type == .unsuback
        let endsAfterHeader = header.remainingLength <= 3 && testCase.version == .v5
        if !mayGrow, !endsAfterHeader, testCase.isCanonical { #expect((try? outcome.get()) == nil, "\(outcome)") }
    }

    @Test(
        arguments: [
            (connect("MQTT", 5, 0x03), .v5), (connect("MQTT", 4, 0x03), nil), (connect("MQIsdp", 3, 0x01), nil),
            (connect("MQTT", 6, 0x02), .v5), (connect("MQTT", 0xFF, 0x02), .v5), (connect("MQTT", 3, 0x02), .v311),
            (connect("MQIsdp", 4, 0x02), .v311), (connect("MQTT", 0x84, 0x02), .v311),
            (connect("MQIsdp", 0x83, 0x02), .v311), (connect("HTTP", 5, 0x02), nil),
        ] as [([UInt8], ProtocolVersion?)])
    func `a CONNECT that is refused says in which version a CONNACK may tell so [MQTT-3.1.2-2] [MQTT-3.1.4-1]`(
        _ bytes: [UInt8], _ version: ProtocolVersion?
    ) {
        guard case .failure(let violation) = decode(bytes, .v5, from: .client) else {
            Issue.record("accepted")
            return
        }
        #expect(violation.connackVersion == version)
    }

    private static func connect(_ name: String, _ level: UInt8, _ flags: UInt8) -> [UInt8] {
        frame(0x10, text(name), [level, flags], u16(60), level == 5 ? [0] : [], text("c"))
    }

    @Test(arguments: PacketCase.all)
    func `a packet is appended to what the buffer holds`(_ testCase: PacketCase) {
        let output = OutputBuffer(capacity: 16)
        output.append(7 as UInt8)
        testCase.packet.encode(to: output, version: testCase.version)
        #expect(Array(output.bytes) == [7] + encode(testCase.packet, testCase.version))
    }

    @Test func `a field above 65,535 bytes is cut, and the packet stays whole`() {
        let long = Array(repeating: 7 as UInt8, count: 65_540)
        let bytes = encode(.connect(ConnectPacket(version: .v5, clientID: "c", password: long)), .v5)
        guard case .success(.connect(let packet)?) = decode(bytes, .v5, from: .client) else {
            Issue.record("not a CONNECT")
            return
        }
        #expect(packet.password == Array(long.prefix(65_535)))
    }

    @Test func `before 5.0 reasons and properties stay at home`() {
        let reason = properties { $0.reasonString = "why" }
        #expect(encode(.disconnect(DisconnectPacket(reason: .serverMoved, properties: reason)), .v311) == [0xE0, 0])
        let ack = AckPacket(packetIdentifier: 1, reason: .quotaExceeded, properties: reason)
        #expect(encode(.puback(ack), .v311) == [0x40, 2, 0, 1])
        let suback = SubackPacket(packetIdentifier: 1, reasons: [.granted(1), .quotaExceeded], properties: reason)
        #expect(encode(.suback(suback), .v31) == [0x90, 4, 0, 1, 1, 0x80])
        let unsuback = UnsubackPacket(packetIdentifier: 1, reasons: [.success], properties: reason)
        #expect(encode(.unsuback(unsuback), .v311) == [0xB0, 2, 0, 1])
        let connack = ConnackPacket(sessionPresent: true, reason: .success, properties: reason)
        #expect(encode(.connack(connack), .v311) == [0x20, 2, 1, 0])
        #expect(encode(.connack(connack), .v31) == [0x20, 2, 0, 0])
    }
}
