package import Buffers
import CZlib
import Glibc

/// Reads a file line by line, expanding it when it is gzip's, in memory that does not grow with the file.
package final class LineReader {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    package enum Line {
        /// Without its end; valid until the next call.
        case text(Bytes)
        /// It has more bytes than the limit; it was skipped.
        case tooLong
    }

    /// As messages call it.
    package let name: String
    private let file: gzFile
    /// Of the file as it lies on the disk; nil when that is not known, as for a pipe.
    private let size: Int?
    private let limit: Int
    private var buffer: UnsafeMutableRawBufferPointer
    private var start = 0
    private var end = 0
    private var isAtEnd = false
    private var isSkipping = false
    private var failure: Failure?

    /// - Parameters:
    ///   - path: `-` is standard input.
    ///   - limit: the most bytes of a line.
    package init(_ path: String, limit: Int = 16 * 1024 * 1024, bufferSize: Int = 256 * 1024) throws(Failure) {
        name = path == "-" ? "standard input" : path
        let descriptor = path == "-" ? dup(0) : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw Failure(description: "\(path) cannot be read: \(String(cString: strerror(errno)))")
        }
        var status = stat()
        let isKnown = fstat(descriptor, &status) == 0
        guard !isKnown || status.st_mode & S_IFMT != S_IFDIR, let file = gzdopen(descriptor, "rb") else {
            close(descriptor)
            throw Failure(description: "\(path) is no file that can be read")
        }
        gzbuffer(file, 128 * 1024)
        self.file = file
        self.limit = limit
        size = isKnown && status.st_mode & S_IFMT == S_IFREG ? Int(status.st_size) : nil
        buffer = .allocate(byteCount: bufferSize, alignment: 16)
    }

    deinit {
        gzclose_r(file)
        buffer.deallocate()
    }

    /// How much of the file has been read, from 0 to 1; nil when its size is not known.
    package var progress: Double? {
        guard let size, size > 0 else { return nil }
        return min(1, Double(gzoffset(file)) / Double(size))
    }

    /// The next line; the last one need not end with a line feed. Nil at the end.
    /// - Throws: when the file can't be read further, after all lines in front of that place.
    package func next() throws(Failure) -> Line? {
        while true {
            if let length = lineFeed() {
                let line = Bytes(rebasing: buffer[start..<start + length])
                start += length + 1
                if isSkipping {
                    isSkipping = false
                    return .tooLong
                }
                return length > limit ? .tooLong : .text(Self.withoutReturn(line))
            }
            guard !isAtEnd else { return try last() }
            makeRoom()
            fill()
        }
    }

    private func last() throws(Failure) -> Line? {
        let rest = Bytes(rebasing: buffer[start..<end])
        start = end
        if isSkipping {
            isSkipping = false
            return .tooLong
        }
        if !rest.isEmpty { return .text(Self.withoutReturn(rest)) }
        if let failure {
            self.failure = nil
            throw failure
        }
        return nil
    }

    private static func withoutReturn(_ line: Bytes) -> Bytes {
        line.last == UInt8(ascii: "\r") ? Bytes(rebasing: line.dropLast()) : line
    }

    private func lineFeed() -> Int? {
        guard end > start, let base = buffer.baseAddress, let found = memchr(base + start, 0x0A, end - start) else {
            return nil
        }
        return UnsafeRawPointer(found) - UnsafeRawPointer(base + start)
    }

    /// Moves what is left to the front, and takes more memory when that is all of it: up to the limit.
    private func makeRoom() {
        if isSkipping || end - start > limit {
            isSkipping = true
            (start, end) = (0, 0)
            return
        }
        if start > 0, let base = buffer.baseAddress {
            memmove(base, base + start, end - start)
            (start, end) = (0, end - start)
        }
        guard end == buffer.count else { return }
        let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: buffer.count * 2, alignment: 16)
        larger.copyMemory(from: UnsafeRawBufferPointer(buffer))
        buffer.deallocate()
        buffer = larger
    }

    private func fill() {
        guard let base = buffer.baseAddress else { return }
        let count = Int(gzread(file, base + end, UInt32(buffer.count - end)))
        if count > 0 {
            end += count
            return
        }
        isAtEnd = true
        var code: Int32 = 0
        let text = gzerror(file, &code).map { String(cString: $0) } ?? ""
        // A gzip file that ends too early gives what there was and then this.
        if count < 0 || code == Z_BUF_ERROR || code == Z_DATA_ERROR {
            let reason = code == Z_BUF_ERROR ? "the compressed file ends too early" : text
            failure = Failure(description: "\(name) cannot be read further: \(reason)")
        }
    }
}
