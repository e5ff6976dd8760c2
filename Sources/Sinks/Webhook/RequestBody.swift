internal import Buffers

/// The body of a request that carries several records.
final class RequestBody {
    private let output = OutputBuffer()
    /// Somewhere to point to for a body of no bytes.
    let empty = UnsafeMutableRawPointer.allocate(byteCount: 1, alignment: 1)

    deinit { empty.deallocate() }

    /// - Returns: the bytes, valid until the next call.
    func join(_ batch: SinkBatch, _ format: BatchSettings.Format) -> Bytes {
        output.removeAll()
        output.reserve(batch.bytes + batch.count + 2)
        var separator = UInt8(ascii: "[")
        for index in 0..<batch.count {
            if format == .jsonArray {
                output.append(separator)
                separator = UInt8(ascii: ",")
            }
            output.append(batch[index].body)
            if format == .ndjson { output.append(UInt8(ascii: "\n")) }
        }
        if format == .jsonArray { output.append(UInt8(ascii: "]")) }
        return output.bytes
    }
}
