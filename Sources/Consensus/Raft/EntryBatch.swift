/// The commands that share one entry of the log: group commit happens here, as the library takes one buffer per entry.
///
/// Little-endian: u8 format (1) · 3 zero bytes · u32 count · then for each: u32 length · bytes · zeros up to a multiple of 8.
enum EntryBatch {
    static let header = 8
    private static let format: UInt32 = 1

    /// What a command adds to an entry.
    static func size(ofCommand bytes: Int) -> Int { 4 + bytes }

    /// The library demands a multiple of 8.
    static func padded(_ size: Int) -> Int { (size + 7) & ~7 }

    /// - Parameter buffer: of exactly the padded size.
    static func encode(_ commands: some Collection<[UInt8]>, into buffer: UnsafeMutableRawBufferPointer) {
        buffer.storeBytes(of: format.littleEndian, as: UInt32.self)
        buffer.storeBytes(of: UInt32(commands.count).littleEndian, toByteOffset: 4, as: UInt32.self)
        var at = header
        for command in commands {
            buffer.storeBytes(of: UInt32(command.count).littleEndian, toByteOffset: at, as: UInt32.self)
            UnsafeMutableRawBufferPointer(rebasing: buffer[(at + 4)...]).copyBytes(from: command)
            at += size(ofCommand: command.count)
        }
        for index in at..<buffer.count { buffer[index] = 0 }
    }

    /// - Returns: nil when the bytes are no entry of this format: of a later version, or not from here.
    static func decode(_ entry: UnsafeRawBufferPointer) -> [[UInt8]]? {
        guard entry.count >= header, word(entry, 0) == format else { return nil }
        let count = Int(word(entry, 4))
        guard count <= (entry.count - header) / 4 else { return nil }
        var commands: [[UInt8]] = []
        commands.reserveCapacity(count)
        var at = header
        for _ in 0..<count {
            guard entry.count - at >= 4 else { return nil }
            let length = Int(word(entry, at))
            guard entry.count - at - 4 >= length else { return nil }
            commands.append([UInt8](UnsafeRawBufferPointer(rebasing: entry[(at + 4)..<(at + 4 + length)])))
            at += size(ofCommand: length)
        }
        return padded(at) == entry.count ? commands : nil
    }

    private static func word(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
        UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
}
