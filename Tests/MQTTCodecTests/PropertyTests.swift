import Buffers
import MQTTCodec
import Testing

@Suite struct PropertyTests {
    /// Identifier, value, and the columns of table 2-4 in the order of ``contexts``.
    private static let table: [(UInt8, [UInt8], String)] = [
        (0x01, [1], ".w.PS......."), (0x02, u32(9), ".w.PS......."), (0x03, text("t"), ".w.PS......."),
        (0x08, text("r"), ".w.PS......."), (0x09, data([0]), ".w.PS......."), (0x0B, [1], "....S.s....."),
        (0x11, u32(9), "c.C.......D."), (0x12, text("i"), "..C........."), (0x13, u16(9), "..C........."),
        (0x15, text("m"), "c.C........a"), (0x16, data([0]), "c.C........a"), (0x17, [1], "c..........."),
        (0x18, u32(9), ".w.........."), (0x19, [1], "c..........."), (0x1A, text("i"), "..C........."),
        (0x1C, text("r"), "..C.......D."), (0x1F, text("r"), "..C..A.A.ADa"), (0x21, u16(9), "c.C........."),
        (0x22, u16(9), "c.C........."), (0x23, u16(9), "...PS......."), (0x24, [1], "..C........."),
        (0x25, [1], "..C........."), (0x26, text("k") + text("v"), "cwCPSAsAuADa"), (0x27, u32(9), "c.C........."),
        (0x28, [1], "..C........."), (0x29, [1], "..C........."), (0x2A, [1], "..C........."),
    ]

    private static let contexts: [(set: PropertySet, peer: Peer)] = [
        (.connect, .client), (.will, .client), (.connack, .server), (.publish, .client), (.publish, .server),
        (.acknowledgement, .client), (.subscribe, .client), (.suback, .server), (.unsubscribe, .client),
        (.unsuback, .server), (.disconnect, .client), (.auth, .client),
    ]

    /// The reason code of the refusal; nil when the properties are accepted. A PUBLISH's are read in place as well.
    private func validate(_ bytes: [UInt8], _ context: (set: PropertySet, peer: Peer)) -> ReasonCode? {
        bytes.withUnsafeBytes { bytes in
            do throws(ProtocolViolation) {
                if context.set == .publish { _ = try PublishView.scan(bytes, from: context.peer) }
                _ = try Properties.decode(bytes, set: context.set, from: context.peer)
                return nil
            } catch {
                return error.reason
            }
        }
    }

    @Test func `each property stands where the specification lets it [MQTT-2.2.2]`() {
        #expect(Self.table.map(\.0) == PropertyIdentifier.allCases.map(\.rawValue))
        for (identifier, value, columns) in Self.table {
            // Authentication Data needs its method, whichever comes first.
            let method: [UInt8] = identifier == 0x16 ? [0x15] + text("m") : []
            for (context, column) in zip(Self.contexts, columns) {
                let result = validate([identifier] + value + method, context)
                #expect((result == nil) == (column != "."), "0x\(String(identifier, radix: 16)) in \(context)")
            }
        }
    }

    @Test func `each property is given once, but User Property and a server's identifiers`() {
        for (identifier, value, columns) in Self.table {
            let method: [UInt8] = identifier == 0x16 ? [0x15] + text("m") : []
            for (context, column) in zip(Self.contexts, columns) where column != "." {
                let mayRepeat = identifier == 0x26 || identifier == 0x0B && column == "S"
                let result = validate([identifier] + value + [identifier] + value + method, context)
                #expect(result == (mayRepeat ? nil : .protocolError), "0x\(String(identifier, radix: 16))")
            }
        }
    }

    @Test func `each property cut short is malformed`() {
        for (identifier, value, columns) in Self.table {
            for (context, column) in zip(Self.contexts, columns) where column != "." {
                for count in 0..<value.count {
                    #expect(validate([identifier] + value.prefix(count), context) == .malformedPacket)
                }
            }
        }
    }

    @Test(
        arguments: [
            ([0x01, 2], .publish, .protocolError), ([0x24, 2], .connack, .protocolError),
            ([0x25, 0xFF], .connack, .protocolError), ([0x17, 2], .connect, .protocolError),
            ([0x19, 2], .connect, .protocolError), ([0x28, 2], .connack, .protocolError),
            ([0x29, 2], .connack, .protocolError), ([0x2A, 2], .connack, .protocolError),
            ([0x21, 0, 0], .connack, .protocolError), ([0x27, 0, 0, 0, 0], .connect, .protocolError),
            ([0x23, 0, 0], .publish, .topicAliasInvalid), ([0x0B, 0], .subscribe, .protocolError),
            ([0x0B, 0x80, 0], .subscribe, .malformedPacket), ([0x08, 0, 1, 0x23], .will, .protocolError),
            ([0x26, 0, 1, 0xC3, 0, 0], .auth, .malformedPacket), ([0x26, 0, 0, 0, 1, 0], .auth, .malformedPacket),
            ([0x16, 0, 0], .auth, .protocolError),
        ] as [([UInt8], PropertySet, ReasonCode)])
    func `a value that is not allowed is refused`(_ bytes: [UInt8], _ set: PropertySet, _ code: ReasonCode) {
        #expect(validate(bytes, (set, .server)) == code)
    }

    @Test func `every unknown identifier is malformed`() {
        for identifier in UInt8.min...UInt8.max where PropertyIdentifier(rawValue: identifier) == nil {
            for context in Self.contexts {
                #expect(validate([identifier, 0, 0, 0, 0], context) == .malformedPacket)
            }
        }
    }
}
