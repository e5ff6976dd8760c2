import Buffers
import MQTTCodec
import Testing

@Suite struct FuzzTests {
    @Test func `every random packet comes back as it was`() {
        let seed = UInt64.random(in: .min ... .max)
        var generator = SeededGenerator(seed: seed)
        for round in 0..<20_000 {
            let (packet, peer) = generator.packet()
            let bytes = encode(packet, .v5)
            if decode(bytes, .v5, from: peer) != .success(packet) {
                Issue.record("seed \(seed), round \(round): \(packet) from the \(peer): \(bytes)")
                return
            }
        }
    }

    /// Nothing may trap, what is accepted can be written again, and the views of the message path judge as the
    /// packets do.
    @Test func `200,000 damaged packets never trap`() {
        let seed = UInt64.random(in: .min ... .max)
        var generator = SeededGenerator(seed: seed)
        var cases = PacketCase.all.map { ($0.bytes, $0.version, $0.peer) }
        cases += ViolationCase.all.map { ($0.bytes, $0.version, $0.peer) }
        var accepted = 0
        for round in 0..<200_000 {
            guard let (bytes, version, peer) = cases.randomElement(using: &generator) else { return }
            let damaged = generator.damage(bytes)
            let outcome = decode(damaged, version, from: peer)
            if case .success(let packet?) = outcome {
                accepted += 1
                let again = encode(packet, version)
                if decode(again, announcedVersion(of: packet) ?? version, from: peer) != outcome {
                    Issue.record("seed \(seed), round \(round): \(damaged) does not come back")
                    return
                }
            }
            if let disagreement = disagreement(damaged, version, peer, outcome) {
                Issue.record("seed \(seed), round \(round): \(disagreement): \(damaged)")
                return
            }
        }
        #expect(accepted > 1_000, "seed \(seed): the damage leaves nothing to accept")
    }

    /// CONNECT alone says its own version.
    private func announcedVersion(of packet: Packet) -> ProtocolVersion? {
        if case .connect(let packet) = packet { packet.version } else { nil }
    }

    /// How the view of a PUBLISH or an acknowledgement differs from the packet; nil when it does not.
    private func disagreement(
        _ bytes: [UInt8], _ version: ProtocolVersion, _ peer: Peer, _ outcome: Outcome
    ) -> String? {
        bytes.withUnsafeBytes { bytes -> String? in
            guard let header = try? FrameHeader.read(bytes, version: version), let body = packetBody(of: bytes, header)
            else {
                return nil
            }
            var seen: ProtocolViolation?
            do throws(ProtocolViolation) {
                switch header.type {
                case .publish:
                    let view = try PublishView.parse(body: body, flags: header.flags, version: version, from: peer)
                    try view.validateTopic()
                    let output = OutputBuffer()
                    PublishView.forwardableProperties(of: view.properties, to: output)
                    let isSame = output.bytes.elementsEqual(view.properties)
                    if PublishView.needsRewriting(view.properties) == isSame { return "needsRewriting is wrong" }
                case .puback, .pubrec, .pubrel, .pubcomp:
                    _ = try AckView.parse(body: body, type: header.type, version: version)
                default: return nil
                }
            } catch {
                seen = error
            }
            switch outcome {
            case .success: return seen.map { "only the view refuses: \($0)" }
            case .failure(let violation):
                return violation == seen ? nil : "\(violation), the view: \(String(describing: seen))"
            }
        }
    }

    @Test func `forwarding damaged properties stays within them`() {
        let seed = UInt64.random(in: .min ... .max)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<20_000 {
            let raw = OutputBuffer()
            generator.properties(.publish, from: .server).appendBody(to: raw)
            let damaged = generator.damage(Array(raw.bytes))
            let output = OutputBuffer()
            damaged.withUnsafeBytes { PublishView.forwardableProperties(of: $0, to: output) }
            #expect(output.count <= damaged.count, "seed \(seed)")
        }
    }
}

extension SeededGenerator {
    /// One to four changes: a bit, a byte, a cut, a copy, a length that fits again.
    mutating func damage(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...4, using: &self) {
            guard let place = bytes.indices.randomElement(using: &self) else { return bytes }
            switch Int.random(in: 0..<6, using: &self) {
            case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &self)
            case 1: bytes[place] = [0, 1, 2, 0x7F, 0x80, 0xFF].randomElement(using: &self) ?? 0
            case 2: bytes.removeSubrange(place..<min(bytes.count, place + 3))
            case 3: bytes.insert(UInt8.random(in: .min ... .max, using: &self), at: place)
            case 4: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + 8)], at: place)
            default: if bytes.count > 2, bytes.count < 130 { bytes[1] = UInt8(bytes.count - 2) }
            }
        }
        if bytes.count > 2, bytes.count < 130, chance(70) { bytes[1] = UInt8(bytes.count - 2) }
        return bytes
    }
}
