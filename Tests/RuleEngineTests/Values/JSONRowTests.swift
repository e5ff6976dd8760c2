import Buffers
import Glibc
import RuleEngine
import Testing

/// Arrays of alike elements are compared with what was checked before. A text that does not end in a bracket is always
/// gone through byte by byte; with white space behind it a text must therefore give the same.
@Suite struct JSONRowTests {
    /// Text whose last byte is the last one that can be read.
    final class GuardedText {
        private let start: UnsafeMutableRawPointer
        private static let room = 1 << 13
        private static let page = 1 << 12

        init?() {
            let size = Self.room + Self.page
            guard let start = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
                start != MAP_FAILED, mprotect(start + Self.room, Self.page, PROT_NONE) == 0
            else { return nil }
            self.start = start
        }

        deinit { munmap(start, Self.room + Self.page) }

        /// Valid until the next call.
        func set(_ text: [UInt8]) -> Bytes {
            let place = start + Self.room - text.count
            text.withUnsafeBytes {
                place.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(place), byteCount: $0.count)
            }
            return Bytes(start: place, count: text.count)
        }
    }

    struct Reader {
        let bench = Workbench()
        let guarded: GuardedText
        let paths = JSONPathSet([[.key("z")], [.key("r")]])

        init() throws { guarded = try #require(GuardedText()) }

        /// What decoding a text gives, or raises, and the same of a scan that steps over the array or decodes it later.
        ///
        /// - Parameter count: a fault behind that many bytes is one at the end.
        func outcomes(_ text: [UInt8], _ count: Int) -> [String] {
            bench.arena.reset()
            let bytes = guarded.set(text)
            let whole = result(count) { try bench.encoded(try JSON.decode(bytes, in: bench.arena)) }
            let scanned = result(count) {
                var slots = [JSONSlot](repeating: JSONSlot(), count: paths.slotCount)
                try slots.withUnsafeMutableBufferPointer { try paths.read(bytes, into: $0, in: bench.arena) }
                return try (0..<2).map {
                    try bench.encoded(try slots[paths.slot(ofPath: $0)].value(in: bench.arena))
                }.joined(separator: " ")
            }
            return [whole, scanned]
        }

        private func result(_ count: Int, _ body: () throws -> String) -> String {
            do {
                return try body()
            } catch EvaluationError.decodeJSON(let offset) {
                return "a fault at \(min(offset, count))"
            } catch {
                return "\(error)"
            }
        }

        func expectSame(_ text: [UInt8], _ location: SourceLocation = #_sourceLocation) {
            let quick = outcomes(text, text.count)
            let careful = outcomes(text + [0x20], text.count)
            #expect(quick == careful, "\(String(decoding: text, as: UTF8.self))", sourceLocation: location)
        }
    }

    static let values = ["0.0", "37.25", "24.5", "9.75", "-3.5", "12", "7", "-0", "0.125", "1e3", "100.0", "48.5"]

    /// An object with an array of that many elements, whose numbers and strings have several lengths.
    static func text(_ count: Int, comma: String = ",", end: String = "]}") -> String {
        let rows = (0..<count).map { index in
            let name = index % 5 == 4 ? "" : "r" + String(repeating: "a.", count: index % 3)
            return #"{"name":"\#(name)","v":\#(values[index % values.count]),"q":\#(index % 3)}"#
        }
        return #"{"r":["# + rows.joined(separator: comma) + end
    }

    @Test func `alike elements are read as they are`() throws {
        let bench = Workbench()
        let text = Self.text(200)
        let value = try bench.json(text)
        let elements = value.member(try bench.bytes("r")).elements
        #expect(elements.count == 200)
        for (index, element) in elements.enumerated() {
            let v = element.member(try bench.bytes("v"))
            let expected = try bench.json(Self.values[index % Self.values.count])
            #expect(Operators.exactlyEqual(v, expected), "element \(index)")
            #expect(element.member(try bench.bytes("q")).integer == index % 3)
        }
    }

    @Test(arguments: [
        ",", ", ", " ,\n", ",,", "", ";", "],[", ",0,", ",{},", #",{"name":"x"},"#,
        #",{"name":"x","v":1,"q":1,"v":2},"#,
    ])
    func `what stands between alike elements is looked at`(comma: String) throws {
        let reader = try Reader()
        reader.expectSame(Array(Self.text(24, comma: comma).utf8))
        let rows = Self.text(24, end: "")
        for last in ["", "]", "]}", "}", "}]", ",]}", " , ]}", ",", "]}}", "]]", #"],"z":[1]}"#, #",],"z":1}"#] {
            reader.expectSame(Array((rows + comma + last).utf8))
            reader.expectSame(Array((rows + last).utf8))
        }
    }

    @Test func `a text may end anywhere among alike elements`() throws {
        let reader = try Reader()
        let text = Array(Self.text(20, end: #"],"z":12}"#).utf8)
        for count in 1...text.count {
            reader.expectSame(Array(text[..<count]))
            // A bracket as its last byte, as the quick way wants it.
            reader.expectSame(text[..<count] + [UInt8(ascii: "}")])
        }
    }

    @Test func `a fault in any byte of alike elements is found`() throws {
        let reader = try Reader()
        let text = Array(Self.text(20, end: #"],"z":12}"#).utf8)
        let faults = Array("\"\\0}],.e-{:a".utf8) + [0x1F, 0x7F, 0x80, 0xC3, 0x00]
        for position in text.indices {
            for offset in 0..<3 {
                var damaged = text
                damaged[position] = faults[(position * 3 + offset) % faults.count]
                reader.expectSame(damaged)
            }
        }
    }
}
