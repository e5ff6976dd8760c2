internal import Buffers
internal import Glibc

/// Bytes to be found in other bytes, in linear time whatever they are.
struct BytePattern {
    private let pattern: Bytes
    /// Knuth-Morris-Pratt: for each prefix the length of its longest proper prefix that is also its suffix. Empty for
    /// short patterns, which are compared wherever their first byte stands.
    private let borders: [Int32]

    /// - Parameter pattern: outlives this.
    init(_ pattern: Bytes) {
        self.pattern = pattern
        borders = pattern.count > 16 ? Self.borders(of: pattern) : []
    }

    private static func borders(of pattern: Bytes) -> [Int32] {
        var borders = [Int32](repeating: 0, count: pattern.count)
        var length = 0
        for index in 1..<pattern.count {
            while length > 0, pattern[index] != pattern[length] { length = Int(borders[length - 1]) }
            if pattern[index] == pattern[length] { length += 1 }
            borders[index] = Int32(truncatingIfNeeded: length)
        }
        return borders
    }

    /// The offset of the first occurrence at or behind `start`; nil for an empty pattern.
    func first(in text: Bytes, from start: Int = 0) -> Int? {
        guard let base = text.baseAddress, let needle = pattern.baseAddress, pattern.count > 0 else { return nil }
        guard borders.isEmpty else { return search(text, from: start, stopsAtFirst: true) }
        var position = start
        while text.count - position >= pattern.count {
            let room = text.count - position - pattern.count + 1
            guard let hit = memchr(base + position, Int32(pattern[0]), room) else { return nil }
            if memcmp(hit, needle, pattern.count) == 0 { return UnsafeRawPointer(hit) - base }
            position = UnsafeRawPointer(hit) - base + 1
        }
        return nil
    }

    /// The offset of the last occurrence; nil for an empty pattern.
    func last(in text: Bytes) -> Int? {
        guard let base = text.baseAddress, let needle = pattern.baseAddress, pattern.count > 0 else { return nil }
        guard borders.isEmpty else { return search(text, from: 0, stopsAtFirst: false) }
        var position = text.count - pattern.count
        while position >= 0 {
            if memcmp(base + position, needle, pattern.count) == 0 { return position }
            position -= 1
        }
        return nil
    }

    private func search(_ text: Bytes, from start: Int, stopsAtFirst: Bool) -> Int? {
        var found: Int?
        var length = 0
        for index in start..<max(start, text.count) {
            while length > 0, text[index] != pattern[length] { length = Int(borders[length - 1]) }
            if text[index] == pattern[length] { length += 1 }
            guard length == pattern.count else { continue }
            found = index + 1 - length
            if stopsAtFirst { return found }
            length = Int(borders[length - 1])
        }
        return found
    }
}
