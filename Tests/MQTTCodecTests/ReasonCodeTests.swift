import MQTTCodec
import Testing

@Suite struct ReasonCodeTests {
    @Test(
        arguments: [
            (.success, "success"), (.notAuthorized, "not_authorized"), (.keepAliveTimeout, "keepalive_timeout"),
            (.badUserNameOrPassword, "bad_username_or_password"), (.packetIdentifierInUse, "packet_identifier_inuse"),
        ] as [(ReasonCode, String)])
    func `names are those of the rule columns [EMQX rule-sql: reason_code]`(_ code: ReasonCode, _ name: String) {
        #expect(code.eventName == name)
    }

    @Test func `each packet has the codes of the specification`() {
        func codes(_ type: PacketType, _ peer: Peer) -> [UInt8] {
            (UInt8.min...UInt8.max).filter { code in
                (try? decode(packet(type, code), .v5, from: peer).get()) != nil
            }
        }
        let publish: [UInt8] = [0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]
        #expect(codes(.puback, .client) == publish)
        #expect(codes(.pubrec, .server) == publish)
        #expect(codes(.pubrel, .client) == [0, 0x92])
        #expect(codes(.pubcomp, .server) == [0, 0x92])
        #expect(codes(.suback, .server) == [0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2])
        #expect(codes(.unsuback, .server) == [0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91])
        #expect(
            codes(.connack, .server) == [
                0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A,
                0x9B, 0x9C, 0x9D, 0x9F,
            ])
        #expect(
            codes(.disconnect, .client) == [
                0, 4, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
            ])
        #expect(
            codes(.disconnect, .server) == [
                0, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97,
                0x98,
                0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
            ])
        #expect(codes(.auth, .client) == [0x18, 0x19])
        #expect(codes(.auth, .server) == [0, 0x18])
    }

    /// A 5.0 packet of that type with one code.
    private func packet(_ type: PacketType, _ code: UInt8) -> [UInt8] {
        let first = type.rawValue << 4 | (type == .pubrel ? 2 : 0)
        return switch type {
        case .connack: frame(first, [0, code, 0])
        case .suback, .unsuback: frame(first, u16(1), [0, code])
        case .disconnect: frame(first, [code])
        case .auth: frame(first, [code], block([0x15], text("m")))
        default: frame(first, u16(1), [code])
        }
    }

    @Test func `3.x return codes come back as the code they stand for [MQTT3-3.2.2.3]`() {
        let codes: [ReasonCode] = [
            .success, .unsupportedProtocolVersion, .clientIdentifierNotValid, .serverUnavailable,
            .badUserNameOrPassword,
            .notAuthorized,
        ]
        for (returnCode, code) in codes.enumerated() {
            let bytes: [UInt8] = [0x20, 2, 0, UInt8(returnCode)]
            let packet = Packet.connack(ConnackPacket(sessionPresent: false, reason: code))
            #expect(code.connectReturnCode == UInt8(returnCode))
            #expect(decode(bytes, .v311, from: .server) == .success(packet))
            #expect(encode(packet, .v31) == bytes)
        }
    }
}
