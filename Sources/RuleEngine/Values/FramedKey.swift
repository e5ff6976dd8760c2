import Buffers
import CBytes

/// A key of a row that is ready to be written as JSON: `,"key":` stands in memory, of which the key is a part.
///
/// An object whose keys are all framed and hold nothing that JSON escapes is written without looking at them.
enum FramedKey {
    /// What can be read behind a frame, so that short ones are copied in one go.
    private static let slack = 32

    /// The memory that a key of that length takes.
    static func size(of count: Int) -> Int { count + 4 + slack }

    /// - Parameter memory: ``size(of:)`` bytes.
    /// - Returns: the key.
    static func store(_ key: [UInt8], in memory: UnsafeMutableRawBufferPointer) -> Bytes {
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        memory[0] = UInt8(ascii: ",")
        memory[1] = UInt8(ascii: "\"")
        for (position, byte) in key.enumerated() { memory[2 + position] = byte }
        memory[key.count + 2] = UInt8(ascii: "\"")
        memory[key.count + 3] = UInt8(ascii: ":")
        return Bytes(rebasing: memory[2..<key.count + 2])
    }

    /// Whether a key is written as it stands.
    static func isPlain(_ key: Bytes) -> Bool {
        key.allSatisfy { $0 >= 0x20 && $0 < 0x80 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
    }

    /// Appends a framed key; the comma before it is another byte where it is the first one.
    @inline(__always)
    static func append(_ key: Bytes, after separator: UInt8, to output: OutputBuffer) {
        guard let address = key.baseAddress else { return }
        let count = key.count + 4
        output.reserve(count + slack)
        let target = output.writePointer.assumingMemoryBound(to: UInt8.self)
        sluice_copy_short((address - 2).assumingMemoryBound(to: UInt8.self), count, target)
        target[0] = separator
        output.advance(count)
    }
}

extension Value {
    /// The flag of an object whose keys are all framed and plain.
    private static let framed: UInt8 = 1

    /// An object; with `isFramed`, each key is a ``FramedKey`` and ``FramedKey/isPlain(_:)``.
    @inline(__always)
    static func row(_ members: UnsafeBufferPointer<Member>, isFramed: Bool) -> Value {
        Value(
            kind: .object, bits: address(members.baseAddress), count: UInt32(truncatingIfNeeded: members.count),
            flag: isFramed ? framed : 0)
    }

    /// Of an object: whether its keys are all framed and plain.
    @inline(__always) var hasFramedKeys: Bool { flag == Self.framed }
}
