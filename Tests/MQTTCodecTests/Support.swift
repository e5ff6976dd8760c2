import Buffers
import MQTTCodec

// Bytes for cases are put together here by a second, simple implementation.

func frame(_ first: UInt8, _ parts: [UInt8]...) -> [UInt8] {
    let body = parts.flatMap { $0 }
    return [first] + variable(body.count) + body
}

func variable(_ value: Int) -> [UInt8] {
    value < 128 ? [UInt8(value)] : [UInt8(value % 128) + 128] + variable(value / 128)
}

func text(_ text: String) -> [UInt8] { data(Array(text.utf8)) }
func data(_ bytes: [UInt8]) -> [UInt8] { u16(UInt16(bytes.count)) + bytes }
func u16(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xFF)] }
func u32(_ value: UInt32) -> [UInt8] { u16(UInt16(value >> 16)) + u16(UInt16(value & 0xFFFF)) }

func block(_ parts: [UInt8]...) -> [UInt8] {
    let body = parts.flatMap { $0 }
    return variable(body.count) + body
}

func properties(_ set: (inout Properties) -> Void) -> Properties {
    var properties = Properties()
    set(&properties)
    return properties
}

func user(_ name: String, _ value: String) -> Properties.UserProperty {
    Properties.UserProperty(name: name, value: value)
}

func entry(_ filter: String, _ options: SubscriptionOptions) -> SubscribePacket.Entry {
    SubscribePacket.Entry(filter: filter, options: options)
}

/// nil: more bytes are needed.
typealias Outcome = Result<Packet?, ProtocolViolation>

/// Reads the packet at the beginning of the bytes.
func decode(_ bytes: [UInt8], _ version: ProtocolVersion, from peer: Peer) -> Outcome {
    bytes.withUnsafeBytes { bytes in
        do throws(ProtocolViolation) {
            guard let header = try FrameHeader.read(bytes, version: version), let body = packetBody(of: bytes, header)
            else {
                return .success(nil)
            }
            return .success(try Packet.decode(header: header, body: body, version: version, from: peer))
        } catch {
            return .failure(error)
        }
    }
}

/// nil when more bytes are needed.
func packetBody(of bytes: Bytes, _ header: FrameHeader) -> Bytes? {
    let end = header.headerLength + header.remainingLength
    return bytes.count < end ? nil : Bytes(rebasing: bytes[header.headerLength..<end])
}

func encode(_ packet: Packet, _ version: ProtocolVersion) -> [UInt8] {
    let output = OutputBuffer()
    packet.encode(to: output, version: version)
    return Array(output.bytes)
}

/// The reason code and clause of a failure, as the cases write them.
func violation(of outcome: Outcome) -> String {
    switch outcome {
    case .success(nil): "more bytes needed"
    case .success(let packet?): "\(packet)"
    case .failure(let violation): "\(violation.reason.eventName) \(violation.clause)"
    }
}

extension PacketType {
    /// Who sends such packets. [MQTT5 §2.1.2]
    var senders: [Peer] {
        switch self {
        case .connect, .subscribe, .unsubscribe, .pingreq: [.client]
        case .connack, .suback, .unsuback, .pingresp: [.server]
        default: [.client, .server]
        }
    }
}

extension ReasonCode {
    /// The codes that a packet of that type from that side may carry.
    static func codes(of type: PacketType, from peer: Peer) -> [ReasonCode] {
        (UInt8.min...UInt8.max).map { ReasonCode(rawValue: $0) }.filter { code in
            guard code.isValid(for: type) else { return false }
            return switch (type, peer) {
            case (.disconnect, .client): code.isValidFromClient
            case (.disconnect, .server): code != .disconnectWithWill
            case (.auth, .client): code != .success
            case (.auth, .server): code != .reAuthenticate
            default: true
            }
        }
    }
}

/// The same sequence for the same seed. (Steele, Lea, Flood: SplitMix)
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
