internal import CLinux
internal import Glibc

/// Names of files that are complete: `<stem>.<UTC time>.<number><extension>`, which sort by age.
enum FileRotation {
    /// Renames a file without ever replacing another one.
    static func rename(_ name: String, in directory: Int32, at time: Int64) throws(FileError) {
        let (stem, tail) = split(name)
        for number in 1...999_999 {
            let target = "\(stem).\(stamp(time)).\(padded(number, 6))\(tail)"
            if sluice_rename_new(directory, name, target) == 0 { return }
            guard errno == EEXIST else { throw FileError("cannot rename \(name)") }
        }
        throw FileError(text: "no free name to rename \(name) to", number: EEXIST)
    }

    /// Deletes the oldest complete files of a name but for the newest `count`.
    static func retain(_ count: Int, of name: String, in directory: Int32) throws(FileError) {
        guard count > 0 else { return }
        let complete = try completeFiles(of: name, in: directory)
        for old in complete.dropLast(count) where unlinkat(directory, old, 0) != 0 && errno != ENOENT {
            throw FileError("cannot delete \(old)")
        }
    }

    /// The complete files of a name, oldest first.
    static func completeFiles(of name: String, in directory: Int32) throws(FileError) -> [String] {
        let copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0, let stream = fdopendir(copy) else { throw FileError("cannot list the directory of \(name)") }
        defer { closedir(stream) }
        let (stem, tail) = split(name)
        var found: [String] = []
        while let entry = readdir(stream) {
            let other = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if isComplete(other, stem, tail) { found.append(other) }
        }
        return found.sorted()
    }

    private static func isComplete(_ name: String, _ stem: String, _ tail: String) -> Bool {
        guard name.hasPrefix(stem + "."), name.hasSuffix(tail),
            name.utf8.count == stem.utf8.count + 24 + tail.utf8.count
        else { return false }
        let middle = Array(name.utf8.dropFirst(stem.utf8.count).dropLast(tail.utf8.count))
        // `.20260102T030405Z.000001`
        return middle.enumerated().allSatisfy { index, byte in
            switch index {
            case 0, 17: byte == UInt8(ascii: ".")
            case 9: byte == UInt8(ascii: "T")
            case 16: byte == UInt8(ascii: "Z")
            default: (0x30...0x39).contains(byte)
            }
        }
    }

    /// The extension with its dot, empty when there is none.
    private static func split(_ name: String) -> (stem: String, tail: String) {
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return (name, "") }
        return (String(name[..<dot]), String(name[dot...]))
    }

    /// `20260102T030405Z`
    private static func stamp(_ seconds: Int64) -> String {
        var time = time_t(seconds)
        var utc = tm()
        gmtime_r(&time, &utc)
        let date = padded(Int(utc.tm_year) + 1900, 4) + padded(Int(utc.tm_mon) + 1, 2) + padded(Int(utc.tm_mday), 2)
        return date + "T" + padded(Int(utc.tm_hour), 2) + padded(Int(utc.tm_min), 2) + padded(Int(utc.tm_sec), 2) + "Z"
    }

    private static func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
