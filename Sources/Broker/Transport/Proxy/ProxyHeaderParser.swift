package import Buffers
import ConfigSchema

/// Reads the header of the PROXY protocol, version 1 or 2, however its bytes are cut up.
///
/// Takes no byte behind the header, and holds no more than it has been given: at most 107 bytes of version 1, at most
/// ``maximumLength`` and the fixed part of version 2, whatever length is announced.
///
/// Version 1: `PROXY TCP4 1.2.3.4 5.6.7.8 1000 1883\r\n`, or TCP6, or UNKNOWN with anything behind it.
/// Version 2: signature (12 bytes), version and command (1), family and transport (1), length of the rest (2), addresses,
/// type-length-value extensions.
package struct ProxyHeaderParser: Sendable {
    package enum Progress: Sendable, Equatable {
        case needsMore
        case header(ProxyHeader)
        /// No header begins here; ``held`` are the connection's first bytes. Only where it may be absent.
        case absent
        case failed(ProxyHeaderError)
    }

    /// Bytes behind the fixed part of version 2 that are accepted: addresses and extensions.
    package static let maximumLength = 4096
    static let maximumLine = 107
    static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
    static let keyword = Array("PROXY ".utf8)
    private static let fixedPart = 16

    /// What has come so far.
    package private(set) var held: [UInt8] = []
    private let isRequired: Bool
    private var isEnded = false

    /// - Parameter isRequired: whether a connection without a header is a failure.
    package init(isRequired: Bool) { self.isRequired = isRequired }

    /// Takes bytes of the connection; nothing once it has said something else than ``Progress/needsMore``.
    /// - Parameter taken: how many of the bytes belonged to the header, or are in ``held``.
    package mutating func feed(_ bytes: Bytes, taken: inout Int) -> Progress {
        taken = 0
        guard !isEnded else { return .failed(.absent) }
        while true {
            let progress = look()
            guard progress == .needsMore else {
                isEnded = true
                return progress
            }
            guard taken < bytes.count else { return .needsMore }
            let count = min(missing, bytes.count - taken)
            held.append(contentsOf: bytes[taken..<(taken + count)])
            taken += count
        }
    }

    /// How many bytes can be taken without taking one that is behind the header.
    private var missing: Int {
        guard held.count >= Self.signature.count, held[0] == Self.signature[0] else { return 1 }
        return held.count < Self.fixedPart ? Self.fixedPart - held.count : Self.fixedPart + length - held.count
    }

    /// Of the part behind the fixed one, as it is announced.
    private var length: Int { Int(held[14]) << 8 | Int(held[15]) }

    private func look() -> Progress {
        guard let first = held.first else { return .needsMore }
        switch first {
        case Self.keyword[0]: return begins(with: Self.keyword) { lookAtLine() }
        case Self.signature[0]: return begins(with: Self.signature) { lookAtBinary() }
        default: return missingHeader
        }
    }

    private var missingHeader: Progress { isRequired ? .failed(.absent) : .absent }

    private func begins(with mark: [UInt8], _ body: () -> Progress) -> Progress {
        guard zip(held, mark).allSatisfy(==) else { return missingHeader }
        return held.count < mark.count ? .needsMore : body()
    }

    private func lookAtLine() -> Progress {
        if held.last == 0x0A {
            do throws(ProxyHeaderError) { return .header(try ProxyHeader(line: held)) } catch { return .failed(error) }
        }
        return held.count < Self.maximumLine ? .needsMore : .failed(.tooLong)
    }

    private func lookAtBinary() -> Progress {
        guard held.count >= Self.fixedPart else { return .needsMore }
        guard length <= Self.maximumLength else { return .failed(.tooLong) }
        guard held.count == Self.fixedPart + length else {
            // What can't be right needn't be waited for.
            return ProxyHeader.isKnown(command: held[12]) ? .needsMore : .failed(.badVersion)
        }
        do throws(ProxyHeaderError) { return .header(try ProxyHeader(binary: held)) } catch { return .failed(error) }
    }

    /// Whether a connection begins as one with a header does; for the message that says so.
    package static func looksLikeHeader(_ bytes: Bytes) -> Bool {
        bytes.starts(with: keyword) || bytes.starts(with: signature)
    }
}
