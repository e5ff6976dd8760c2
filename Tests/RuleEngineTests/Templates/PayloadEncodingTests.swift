import Buffers
import RuleEngine
import Testing

@Suite struct PayloadEncodingTests {
    private static let binary: [UInt8] = [0x01, 0x02, 0x41, 0x42, 0x81, 0x82]

    private func render(_ encoding: PayloadEncoding, _ payload: [UInt8], _ template: String) throws -> String {
        let bench = Workbench()
        let context = TemplateContext(arena: bench.arena)
        context.payloadEncoding = encoding
        let row = try bench.arena.object([
            Member(key: try bench.bytes("a"), value: .integer(1)),
            Member(key: try bench.bytes("payload"), value: .string(try bench.bytes(payload))),
            Member(key: try bench.bytes("z"), value: .integer(2)),
        ])
        if template == "row" {
            try context.appendRow(row, to: bench.output)
        } else if template == "typed" {
            try TypedJSONTemplate.compile(
                .object([("p", .template("${payload}")), ("all", .template("${.}"))]), extensions: true
            ).render(row: row, into: bench.output, context: context)
        } else {
            try Template.compile(template, extensions: true).render(row: row, into: bench.output, context: context)
        }
        return String(decoding: bench.output.bytes, as: UTF8.self)
    }

    @Test(arguments: [
        (PayloadEncoding.utf8, #"{"a":1,"payload":"\u0001\u0002AB"# + "\u{FFFD}\u{FFFD}" + #"","z":2}"#),
        (.auto, #"{"a":1,"payload":"AQJBQoGC","payload_encoding":"base64","z":2}"#),
        (.base64, #"{"a":1,"payload":"AQJBQoGC","payload_encoding":"base64","z":2}"#),
        (.hex, #"{"a":1,"payload":"010241428182","payload_encoding":"hex","z":2}"#),
    ])
    func `bytes that are no text enter the whole row in their encoding, which is named`(
        encoding: PayloadEncoding, expected: String
    ) throws {
        #expect(try render(encoding, Self.binary, "row") == expected)
        #expect(try render(encoding, Self.binary, "${.}") == expected)
        #expect(try render(encoding, Self.binary, "${json:.}") == expected)
    }

    @Test func `only JSON is concerned: text keeps the bytes`() throws {
        let raw = String(decoding: Self.binary, as: UTF8.self)
        #expect(try render(.hex, Self.binary, "${payload}") == raw)
        #expect(try render(.hex, Self.binary, "${json:payload}|${hex:payload}") == "\"010241428182\"|010241428182")
        #expect(
            try render(.auto, Self.binary, "typed")
                == #"{"p":"AQJBQoGC","all":{"a":1,"payload":"AQJBQoGC","payload_encoding":"base64","z":2}}"#)
    }

    @Test(arguments: ["", "plain ascii, longer than eight", "ü", "日本語 text 日本語", "12345678é"])
    func `auto leaves text as it is`(text: String) throws {
        #expect(try render(.auto, Array(text.utf8), "row") == #"{"a":1,"payload":"\#(text)","z":2}"#)
    }

    @Test(
        arguments: [[0x80], [0x41, 0xC3], Array("12345678".utf8) + [0xFF], [0xED, 0xA0, 0x80], [0xC0, 0x80]]
            as [[UInt8]])
    func `auto knows what is not UTF-8`(bytes: [UInt8]) throws {
        #expect(try render(.auto, bytes, "row").contains(#""payload_encoding":"base64""#))
    }
}
