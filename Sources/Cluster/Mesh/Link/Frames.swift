import Buffers
import NIOCore

/// What goes over a link: a header of 16 bytes, big-endian, then the payload.
///
///     type(1) detail(1) zero(2) length(4) number(8) payload
///
/// | type | detail | number | payload |
/// |---|---|---|---|
/// | resume | | | association(8) proposal(8), and of each lane the last number that came(8) |
/// | batch | lane | of the batch | records |
/// | acknowledgement | lane | the last number that came | |
/// | keepAlive | | | |
/// | request | method | of the call | body |
/// | response | 0: success, 1: refused | of the call | body, or the reason |
/// | goodbye | | | |
enum FrameType: UInt8 {
    case resume = 1
    case batch = 2
    case acknowledgement = 3
    case keepAlive = 4
    case request = 5
    case response = 6
    /// The process ends in good order: its peers need not wait.
    case goodbye = 7
}

struct FrameHeader {
    static let size = 16

    var type: UInt8
    var detail: UInt8
    var length: Int
    var number: UInt64
}

extension ByteBuffer {
    /// Nil until a whole header is there.
    var frameHeader: FrameHeader? {
        guard readableBytes >= FrameHeader.size else { return nil }
        return withUnsafeReadableBytes { bytes in
            FrameHeader(
                type: bytes[0], detail: bytes[1],
                length: Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))),
                number: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
        }
    }

    mutating func writeFrame(_ type: FrameType, detail: UInt8 = 0, number: UInt64 = 0, _ payload: Bytes) {
        let size = FrameHeader.size + payload.count
        _ = writeWithUnsafeMutableBytes(minimumWritableBytes: size) { bytes in
            bytes[0] = type.rawValue
            bytes[1] = detail
            bytes.storeBytes(of: 0, toByteOffset: 2, as: UInt16.self)
            bytes.storeBytes(of: UInt32(payload.count).bigEndian, toByteOffset: 4, as: UInt32.self)
            bytes.storeBytes(of: number.bigEndian, toByteOffset: 8, as: UInt64.self)
            if let source = payload.baseAddress {
                UnsafeMutableRawBufferPointer(rebasing: bytes[FrameHeader.size...]).copyMemory(
                    from: UnsafeRawBufferPointer(start: source, count: payload.count))
            }
            return size
        }
    }

    mutating func writeFrame(_ type: FrameType, detail: UInt8 = 0, number: UInt64 = 0) {
        writeFrame(type, detail: detail, number: number, Bytes(start: nil, count: 0))
    }

    mutating func writeFrame(_ type: FrameType, detail: UInt8 = 0, number: UInt64 = 0, body: [UInt8]) {
        body.withUnsafeBytes { writeFrame(type, detail: detail, number: number, $0) }
    }
}

/// What each end says when a link begins: how far it is. Both see both, and decide alike.
struct ResumePoint {
    /// That this end goes on with; 0 when it begins anew.
    var association: UInt64
    /// This end's half of a new association.
    var proposal: UInt64
    /// The last number that has come, for each lane in the order of their numbers.
    var received: [UInt64]

    init(association: UInt64, proposal: UInt64, received: [UInt64]) {
        self.association = association
        self.proposal = proposal
        self.received = received
    }

    var encoded: [UInt8] { ([association, proposal] + received).flatMap(\.bigEndianBytes) }

    /// A later version may have more lanes, an earlier one fewer: those count as empty.
    init?(decoding bytes: Bytes) {
        guard bytes.count >= 16, bytes.count % 8 == 0, bytes.count <= 16 + 8 * 256 else { return nil }
        let numbers = stride(from: 0, to: bytes.count, by: 8).map {
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: $0, as: UInt64.self))
        }
        association = numbers[0]
        proposal = numbers[1]
        received = Array(numbers.dropFirst(2).prefix(PeerOutbox.laneCount))
        received += [UInt64](repeating: 0, count: PeerOutbox.laneCount - received.count)
    }

    /// What both ends call their new association.
    func newAssociation(with other: ResumePoint) -> UInt64 { max(1, proposal &+ other.proposal) }

    func resumes(_ other: ResumePoint) -> Bool { association != 0 && association == other.association }
}
