import Buffers
import Glibc
import RuleEngine

/// A publish as the broker has it when rules run: topic and payload are bytes that were received, what belongs to the
/// client is ready-made, the message's own columns are made when they are read.
final class Publish: EventColumns {
    private let topic: Bytes
    private let payload: Bytes
    /// How often a rule asked for the payload.
    private(set) var payloadReads = 0

    private static let columns = EventName.messagePublish.columns.map { Column($0) }
    private let userProperties: Value

    init(topic: String, payload: [UInt8]) {
        self.topic = Self.copy(Array(topic.utf8))
        self.payload = Self.copy(payload)
        let member = UnsafeMutablePointer<Member>.allocate(capacity: 1)
        member.initialize(to: Member(key: Value.string("User-Property").bytes, value: .emptyObject))
        userProperties = .object(UnsafeBufferPointer(start: member, count: 1))
    }

    /// Memory for as long as the process runs.
    private static func copy(_ bytes: [UInt8]) -> Bytes {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, bytes.count), alignment: 1)
        copy.copyBytes(from: bytes)
        return Bytes(start: copy.baseAddress, count: bytes.count)
    }

    var present: [Column] { Self.columns }

    func value(of column: Column, in context: EvaluationContext) throws(EvaluationError) -> Value {
        switch column {
        case .payload:
            payloadReads += 1
            return .string(payload)
        case .topic: return .string(topic)
        case .clientid: return .string("c1001")
        case .username: return .string("u1")
        case .qos: return .integer(1)
        case .id: return try identifier(context.arena)
        case .peerhost: return .string("127.0.0.1")
        case .peername: return .string("127.0.0.1:50000")
        case .flags: return try flags(context.arena)
        case .pubProps: return userProperties
        case .publishReceivedAt: return .integer(1_700_000_000_123)
        case .timestamp: return .integer(Int(context.nowNanoseconds / 1_000_000))
        case .clientAttrs: return .emptyObject
        case .event: return .atom("message.publish")
        case .node: return .string("sluice@127.0.0.1")
        default: return .undefined
        }
    }

    private func flags(_ arena: Arena) throws(EvaluationError) -> Value {
        let members = try arena.allocate(Member.self, count: 2)
        members[0] = Member(key: Value.string("dup").bytes, value: .false)
        members[1] = Member(key: Value.string("retain").bytes, value: .false)
        return .object(UnsafeBufferPointer(members))
    }

    /// 32 hexadecimal digits.
    private func identifier(_ arena: Arena) throws(EvaluationError) -> Value {
        let text = try arena.allocate(byteCount: 32, alignment: 8)
        HexText.store(0x0006_5A1B_2C3D_4E5F, at: text)
        HexText.store(0x0006_5A1B_2C3D_4E5F, at: text + 16)
        return .string(Bytes(start: text, count: 32))
    }
}
