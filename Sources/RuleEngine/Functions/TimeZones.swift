internal import Glibc

/// The time zones of the system by their IANA names, read once each.
///
/// Belongs to one evaluation context and its thread.
final class TimeZones {
    private static let folder = "/usr/share/zoneinfo/"
    /// Names that there are not are kept too; one more forgets all.
    private static let limit = 1024
    /// In bytes; the largest file of tzdata has 4 KiB.
    private static let fileLimit = 256 * 1024

    private var zones: [String: TimeZoneFile?] = [:]

    /// - Returns: nil when there is no zone of that name, which is case-sensitive.
    func zone(named name: String) -> TimeZoneFile? {
        if let known = zones[name] { return known }
        let zone = Self.isName(name) ? Self.read(Self.folder + name).flatMap(TimeZoneFile.init) : nil
        if zones.count >= Self.limit { zones.removeAll() }
        zones[name] = .some(zone)
        return zone
    }

    /// `Europe/Berlin`, `UTC`, `Etc/GMT+5`: nothing that leads out of the folder.
    private static func isName(_ name: String) -> Bool {
        guard let first = name.utf8.first, name.utf8.count <= 64, first | 0x20 >= 0x61, first | 0x20 <= 0x7A else {
            return false
        }
        return name.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
            case UInt8(ascii: "/"), UInt8(ascii: "_"), UInt8(ascii: "+"), UInt8(ascii: "-"): true
            default: false
            }
        }
    }

    private static func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "rb") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: fileLimit)
        let count = fread(&bytes, 1, bytes.count, file)
        guard count < fileLimit else { return nil }
        bytes.removeLast(bytes.count - count)
        return bytes
    }
}

/// The offsets of a zone over time. [RFC 8536]
struct TimeZoneFile {
    /// In seconds since 1970, ascending.
    private var transitions: [Int] = []
    /// In seconds ahead of UTC, from the transition of the same index on.
    private var offsets: [Int] = []
    /// Before the first transition.
    private var first = 0
    /// After the last transition.
    private var rule: TimeZoneRule?

    /// - Returns: nil for bytes that are no such file.
    init?(_ bytes: [UInt8]) {
        var reader = Reader(bytes)
        guard let header = reader.header() else { return nil }
        // The second block has times of 64 bits; the first is for old readers.
        reader.position += header.size(timeSize: 4)
        guard let header = reader.header(), header.types > 0,
            reader.position + header.size(timeSize: 8) <= bytes.count
        else { return nil }
        for _ in 0..<header.times { transitions.append(reader.integer(bytes: 8)) }
        let kinds = (0..<header.times).map { _ in reader.integer(bytes: 1) & 0xFF }
        var types: [Int] = []
        for _ in 0..<header.types {
            types.append(reader.integer(bytes: 4))
            reader.position += 2
        }
        guard kinds.allSatisfy({ $0 < types.count }) else { return nil }
        offsets = kinds.map { types[$0] }
        first = types[0]
        reader.position += header.abbreviations + header.leaps * 12 + header.standards + header.universals
        let footer = bytes[min(reader.position + 1, bytes.count)...].prefix { $0 != UInt8(ascii: "\n") }
        rule = footer.isEmpty ? nil : TimeZoneRule(String(decoding: footer, as: UTF8.self))
    }

    /// - Parameter moment: in seconds since 1970.
    func offset(at moment: Int) -> Int {
        guard let last = transitions.last, moment < last else {
            return rule?.offset(at: moment) ?? offsets.last ?? first
        }
        // The first transition after the moment.
        var low = 0
        var high = transitions.count
        while low < high {
            let middle = (low + high) / 2
            if transitions[middle] <= moment { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? first : offsets[low - 1]
    }

    private struct Header {
        var universals, standards, leaps, times, types, abbreviations: Int

        func size(timeSize: Int) -> Int {
            times * (timeSize + 1) + types * 6 + abbreviations + leaps * (timeSize + 4) + standards + universals
        }
    }

    private struct Reader {
        let bytes: [UInt8]
        var position = 0

        init(_ bytes: [UInt8]) { self.bytes = bytes }

        /// Signed, big endian; 0 beyond the end.
        mutating func integer(bytes count: Int) -> Int {
            guard position >= 0, position + count <= bytes.count else { return 0 }
            var value = Int(Int8(bitPattern: bytes[position]))
            for index in 1..<max(count, 1) { value = value << 8 | Int(bytes[position + index]) }
            position += count
            return value
        }

        mutating func header() -> Header? {
            guard position + 44 <= bytes.count, bytes[position..<position + 4].elementsEqual("TZif".utf8),
                bytes[position + 4] >= UInt8(ascii: "2")
            else { return nil }
            position += 20
            let counts = (0..<6).map { _ in integer(bytes: 4) }
            guard counts.allSatisfy({ 0...65536 ~= $0 }) else { return nil }
            return Header(
                universals: counts[0], standards: counts[1], leaps: counts[2], times: counts[3], types: counts[4],
                abbreviations: counts[5])
        }
    }
}
