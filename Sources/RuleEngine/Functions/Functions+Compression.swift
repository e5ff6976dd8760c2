internal import Buffers
internal import CZlib

// Deflate with the three kinds of framing. [EMQX rule-sql: compression]
extension FunctionTable {
    static let compression: [FunctionEntry] = [
        compressing("zip", .raw, "Deflated without header.", "unzip(zip('abc'))"),
        expanding("unzip", .raw, "What raw deflate expands to.", "unzip(base64_decode('S0xKBgA='))"),
        compressing("gzip", .gzip, "Deflated with gzip's header.", "gunzip(gzip('abc'))"),
        expanding("gunzip", .gzip, "What gzip expands to.", "gunzip(gzip('abc'))"),
        compressing("zip_compress", .zlib, "Deflated with zlib's header.", "zip_uncompress(zip_compress('abc'))"),
        expanding(
            "zip_uncompress", .zlib, "What zlib's format expands to.",
            "zip_uncompress(base64_decode('eJxLTEoGAAJNASc='))"
        ),
    ]

    private static func compressing(
        _ name: String, _ framing: Deflate.Framing, _ doc: String, _ example: String
    ) -> FunctionEntry {
        FunctionEntry(
            name, .compression, [.init("s", .string)], returns: .string, doc: doc,
            examples: [.init(example, "'abc'"), .init("\(name)(1)", nil)],
            body: { arguments, context throws(EvaluationError) in
                // Not the arena's scratch, which would keep the room of the largest result.
                let output = OutputBuffer(capacity: 1024)
                try Deflate.compress(try arguments.text(0, of: name), framing, to: output, function: name)
                return try context.arena.string(copying: output.bytes)
            })
    }

    private static func expanding(
        _ name: String, _ framing: Deflate.Framing, _ doc: String, _ example: String
    ) -> FunctionEntry {
        FunctionEntry(
            name, .compression, [.init("s", .string)], returns: .string,
            doc: "\(doc) Bad data and more than 8 MiB of result raise.",
            examples: [.init(example, "'abc'"), .init("\(name)('garbage')", nil)],
            body: { arguments, context throws(EvaluationError) in
                // Not the arena's scratch, which would keep the room of the largest result.
                let output = OutputBuffer(capacity: 1024)
                try Deflate.expand(try arguments.text(0, of: name), framing, to: output, function: name)
                return try context.arena.string(copying: output.bytes)
            })
    }
}

/// zlib's streams over whole strings. [RFC 1950] [RFC 1951] [RFC 1952]
private enum Deflate {
    enum Framing: Int32, Sendable {
        // zlib's `windowBits`.
        case raw = -15
        case zlib = 15
        case gzip = 31
    }

    /// In bytes, of either direction's result.
    static let limit = EvaluationLimits.outputBytes
    private static let step = 16 * 1024

    static func compress(
        _ bytes: Bytes, _ framing: Framing, to output: OutputBuffer, function: String
    ) throws(EvaluationError) {
        let stream = newStream()
        defer { stream.deallocate() }
        guard sluice_deflate_init(stream, Z_DEFAULT_COMPRESSION, framing.rawValue) == Z_OK else { throw .memoryLimit }
        defer { deflateEnd(stream) }
        try run(stream, over: bytes, to: output, function) { deflate($0, Z_FINISH) }
    }

    /// Bytes behind the end of the stream raise, too.
    static func expand(
        _ bytes: Bytes, _ framing: Framing, to output: OutputBuffer, function: String
    ) throws(EvaluationError) {
        let stream = newStream()
        defer { stream.deallocate() }
        guard sluice_inflate_init(stream, framing.rawValue) == Z_OK else { throw .memoryLimit }
        defer { inflateEnd(stream) }
        try run(stream, over: bytes, to: output, function) { inflate($0, Z_NO_FLUSH) }
        guard stream.pointee.avail_in == 0 else {
            throw .badArgument(function: function, reason: "bytes follow the end of the compressed data")
        }
    }

    /// In memory of its own, because zlib keeps the address.
    private static func newStream() -> UnsafeMutablePointer<z_stream> {
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        stream.initialize(to: z_stream())
        return stream
    }

    /// Calls zlib until the stream ends.
    private static func run(
        _ stream: UnsafeMutablePointer<z_stream>, over bytes: Bytes, to output: OutputBuffer, _ function: String,
        _ advance: (UnsafeMutablePointer<z_stream>) -> Int32
    ) throws(EvaluationError) {
        guard let count = UInt32(exactly: bytes.count) else { throw .memoryLimit }
        // zlib reads through this pointer and does not write.
        stream.pointee.next_in = UnsafeMutablePointer(
            mutating: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = count
        while true {
            // A byte more than the limit, since zlib may need room to say that the stream has ended.
            let room = min(step, limit + 1 - output.count)
            output.reserve(room)
            stream.pointee.next_out = output.writePointer.assumingMemoryBound(to: UInt8.self)
            stream.pointee.avail_out = UInt32(room)
            let result = advance(stream)
            let written = room - Int(stream.pointee.avail_out)
            output.advance(written)
            guard output.count <= limit else { throw .memoryLimit }
            if result == Z_STREAM_END { return }
            // No progress although there was room: the data ends in the middle.
            guard result == Z_OK, written > 0 || stream.pointee.avail_in > 0 else {
                throw .badArgument(function: function, reason: "the bytes are no complete compressed data")
            }
        }
    }
}
