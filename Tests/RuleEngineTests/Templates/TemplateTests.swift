import Buffers
import RuleEngine
import Testing

@Suite struct TemplateTests {
    static let row = #"""
        {"a":1,"b":"text","f":1.5,"t":true,"n":null,"l":[1,2],"el":[],"chars":[20320,22909],"m":{"k":"v","o":{"x":1}},"q":"say \"hi\"",
        "payload":"{\"x\":{\"y\":5},\"s\":\"str\",\"l\":[1, 2],\"t\":\"{\\\"u\\\":1}\",\"f\":1.50}","bad":"not json","nested":{"json":"{\"z\":1}"},
        "crlf":"a\r\nSet-Cookie: x\u0000","path":"../a b/é","dot":".hidden","emptys":"","meta":{"attempt":"own"}}
        """#

    func render(
        _ template: Template, _ escaping: TemplateEscaping = .none, row: String = Self.row, undefinedAs: JSON.UndefinedEncoding = .text
    ) throws -> String {
        let bench = Workbench()
        let context = TemplateContext(
            arena: bench.arena, eventMilliseconds: 1_700_000_000_123, utcOffset: 3600, ruleID: "r1", attempt: 3, deliveryID: "d-9", undefinedAs: undefinedAs)
        let value = try bench.json(row)
        try template.render(row: value, into: bench.output, context: context, escaping: escaping)
        // The other way comes to the same.
        let bytes = try template.bytes(row: value, context: context, escaping: escaping)
        #expect(String(decoding: bytes, as: UTF8.self) == bench.output.description)
        return bench.output.description
    }

    static let texts: [(String, String)] = [
        ("", ""), ("plain", "plain"), ("${a}", "1"), ("x${a}y", "x1y"), ("${a}${b}", "1text"), ("${.a}", "1"), ("${m.k}", "v"), ("${.m.o.x}", "1"),
        ("${m}", #"{"k":"v","o":{"x":1}}"#), ("${l}", "[1,2]"), ("${el}", ""), ("${chars}", "你好"), ("${n}", "null"), ("${f}", "1.5"), ("${t}", "true"),
        ("${nosuch}", "undefined"), ("${m.nosuch}", "undefined"), ("${m.k.z}", "undefined"), ("${a.}", "undefined"), ("${A}", "undefined"),
        ("${payload.x.y}", "5"), ("${payload.x}", #"{"y":5}"#), ("${payload.l}", "[1,2]"), ("${payload.f}", "1.5"), ("${payload.s.t}", "undefined"),
        ("${payload.t}", #"{"u":1}"#), ("${payload.t.u}", "undefined"), ("${nested.json.z}", "1"), ("${bad.x}", "undefined"), ("${payload.x.y}/${payload.s}/${payload.no}", "5/str/undefined"),
        ("${a", "${a"), ("$a", "$a"), ("${ a }", "${ a }"), ("${a-b}", "${a-b}"), ("${l[1]}", "${l[1]}"), ("$${a}", "$1"), ("${$}", "$"), ("${$}{a}", "${a}"),
        ("${a${b}", "${atext"), ("${中}", "${中}"), ("中${a}文", "中1文"), ("{\"v\":\"${q}\"}", "{\"v\":\"say \"hi\"\"}"), ("${", "${"), ("$", "$"), ("}", "}"),
        ("${x:-d}", "${x:-d}"), ("${json:a}", "${json:a}"), ("${date:%Y}", "${date:%Y}"), ("${meta.rule_id}", "undefined"),
    ]

    @Test(arguments: texts)
    func `placeholders are values of the row, and all else is text [EMQX rule-sql: templates]`(template: String, expected: String) throws {
        #expect(try render(Template.compile(template)) == expected)
    }

    static let extended: [(String, String)] = [
        ("${nosuch:-d}", "d"), ("${a:-d}", "1"), ("${n:-d}", "d"), ("${nosuch:-}", ""), ("${m.x:-a:b}", "a:b"), ("${json:b}", "\"text\""), ("${json:q}", #""say \"hi\"""#),
        ("${json:m.o}", #"{"x":1}"#), ("${json:nosuch}", "\"undefined\""), ("${json:nosuch:-d}", "\"d\""), ("${json:n}", "null"), ("${json:el}", "[]"), ("${json:f}", "1.5"),
        ("${url:path}", "..%2Fa%20b%2F%C3%A9"), ("${url:a}", "1"), ("${base64:b}", "dGV4dA=="), ("${base64:a}", "MQ=="), ("${base64:q}", "c2F5ICJoaSI="), ("${base64:emptys}", ""),
        ("${base64:path}", "Li4vYSBiL8OpU".dropLast().description), ("${hex:b}", "74657874"), ("${hex:path}", "2e2e2f6120622fc3a9"), ("${date:%Y-%m-%d %H:%M:%S}", "2023-11-14 23:13:20"),
        ("${meta.rule_id}/${meta.delivery_id}", "r1/d-9"), ("${meta.attempt}", "own"), ("${meta.other}", "undefined"), ("${what:a}", "${what:a}"), ("${json:a b}", "${json:a b}"),
        ("${:-d}", "ROW"), ("${json:.}", "ROW"), ("${a:x}", "${a:x}"), ("${a}", "1"), ("${env:HOME}", "${env:HOME}"),
    ]

    @Test(arguments: extended)
    func `extensions give defaults, encodings, dates and what is known of the delivery`(template: String, expected: String) throws {
        let rendered = try render(Template.compile(template, extensions: true))
        #expect(rendered == (expected == "ROW" ? try render(Template.wholeRow) : expected))
    }

    @Test func `what is known of the delivery gives way to a column of that name`() throws {
        #expect(try render(Template.compile("${meta.attempt}", extensions: true), row: "{}") == "3")
    }

    @Test func `the whole row is JSON`() throws {
        #expect(try render(Template.compile("v=${.}"), row: #"{"a":1, "b":"x"}"#) == #"v={"a":1,"b":"x"}"#)
        #expect(try render(Template.compile("${}"), row: "{}") == "{}")
        #expect(try render(Template.compile("", mode: .payload), row: #"{"a":1}"#) == #"{"a":1}"#)
        #expect(try render(Template.compile("", mode: .body), row: #"{"a":1}"#) == "")
    }

    @Test(arguments: [
        (MissingPolicy.compat, "undefined|\"undefined\"|d"), (.empty, "|\"\"|d"), (.null, "null|null|d"),
    ])
    func `what a missing value becomes is the action's choice`(policy: MissingPolicy, expected: String) throws {
        let template = Template.compile("${nosuch}|${json:nosuch}|${nosuch:-d}", extensions: true, missing: policy)
        #expect(try render(template) == expected)
    }

    @Test func `a strict template raises and names the placeholder`() throws {
        let template = Template.compile("${a} ${payload.nosuch}", missing: .strict)
        #expect(failure { _ = try render(template) } == .badArgument(function: "template", reason: "${payload.nosuch} has no value"))
        #expect(try render(Template.compile("${n}", missing: .strict)) == "null")
    }

    static let escaped: [(TemplateEscaping, String, String)] = [
        (.percent, "/x/${path}?q=${b}", "/x/..%2Fa%20b%2F%C3%A9?q=text"), (.percent, "a b/${a}", "a b/1"), (.header, "v ${crlf}", "v a  Set-Cookie: x "),
        (.header, "a\r\nb: ${b}", "a  b: text"), (.requestTarget, "/a b/${path}", "/a%20b/../a%20b/%C3%A9"), (.requestTarget, "/${crlf}", "/a%0D%0ASet-Cookie:%20x%00"),
        (.fileName, "${path}/${dot}-${b}", "%2E.%2Fa%20b%2F%C3%A9/%2Ehidden-text"), (.jsonString, "\"${q}", #"\"say \"hi\""#), (.jsonString, "${m}", #"{\"k\":\"v\",\"o\":{\"x\":1}}"#),
        (.none, "${q}", "say \"hi\""),
    ]

    @Test(arguments: escaped)
    func `values are escaped for where they go`(escaping: TemplateEscaping, template: String, expected: String) throws {
        #expect(try render(Template.compile(template), escaping) == expected)
    }

    @Test func `no value can end a header field [RFC 9110 §5.5]`() throws {
        let bench = Workbench()
        let context = TemplateContext(arena: bench.arena)
        var random = RandomSource(seed: 1)
        for _ in 0..<300 {
            bench.arena.reset()
            bench.output.removeAll()
            let bytes = (0..<20).map { _ in UInt8.random(in: 0...15, using: &random) }
            let row = try bench.arena.object([Member(key: try bench.bytes("v"), value: .string(try bench.bytes(bytes)))])
            try Template.compile("${v}${url:v}", extensions: true).render(row: row, into: bench.output, context: context, escaping: .header)
            #expect(!bench.output.bytes.contains { $0 == 0 || $0 == 10 || $0 == 13 })
        }
    }

    @Test func `placeholders tell their path and place`() {
        let template = Template.compile("é${a.b} ${.} ${$} ${x:-1} ${date:%Y} ${meta.attempt} ${no no}", extensions: true)
        #expect(
            template.placeholders == [
                .init(path: ["a", "b"], span: 2..<8, hasDefault: false, kind: .value),
                .init(path: [], span: 9..<13, hasDefault: false, kind: .row),
                .init(path: ["x"], span: 19..<26, hasDefault: true, kind: .value),
                .init(path: [], span: 27..<37, hasDefault: false, kind: .date),
                .init(path: ["meta", "attempt"], span: 38..<53, hasDefault: false, kind: .meta),
            ])
        #expect(template.constant == nil)
        #expect(Template.compile("a ${$}{b}").constant == Array("a ${b}".utf8))
    }

    @Test func `a single placeholder keeps the value's type`() throws {
        let bench = Workbench()
        let context = TemplateContext(arena: bench.arena)
        let row = try bench.json(Self.row)
        #expect(try Template.compile("${a}").value(row: row, context: context).kind == .integer)
        #expect(try Template.compile("${payload.x}").value(row: row, context: context).kind == .object)
        #expect(try Template.compile("${.}").value(row: row, context: context).kind == .object)
        #expect(try Template.compile("${nosuch}").value(row: row, context: context).isUndefined)
        #expect(!Template.compile(" ${a}").isSingleValue)
    }

    @Test func `a typed JSON body keeps types and escapes everything`() throws {
        let bench = Workbench()
        let context = TemplateContext(arena: bench.arena)
        let node = JSONTemplateNode.object([
            ("device", .template("${b}")), ("n", .template("${f}")), ("say", .template("he: ${q}")), ("raw", .template("${payload}")), ("list", .array([.template("${l}"), .literal(.integer(1)), .literal(.null)])),
            ("${b}\"", .template("${nosuch}")), ("const", .template("a\"b")), ("all", .object([])), ("text", .template("${a}")),
        ])
        let template = try TypedJSONTemplate.compile(node)
        try template.render(row: try bench.json(Self.row), into: bench.output, context: context)
        let value = try JSON.decode(bench.output.bytes, in: bench.arena)
        let expected = try bench.json(#"""
            {"device":"text","n":1.5,"say":"he: say \"hi\"","raw":"{\"x\":{\"y\":5},\"s\":\"str\",\"l\":[1, 2],\"t\":\"{\\\"u\\\":1}\",\"f\":1.50}",
            "list":[[1,2],1,null],"text\"":"undefined","const":"a\"b","all":{},"text":1}
            """#)
        #expect(Operators.exactlyEqual(value, expected), "\(bench.output.description)")
        #expect(template.placeholders.count == 8)
    }

    @Test(arguments: [
        (MissingPolicy.compat, #"["undefined","x undefined"]"#), (.null, #"[null,"x null"]"#), (.empty, #"["","x "]"#), (.strict, nil),
    ] as [(MissingPolicy, String?)])
    func `a typed JSON body follows the policy for missing values`(policy: MissingPolicy, expected: String?) throws {
        let bench = Workbench()
        let template = try TypedJSONTemplate.compile(.array([.template("${no}"), .template("x ${no}")]), missing: policy)
        var text: String?
        _ = failure {
            try template.render(row: .emptyObject, into: bench.output, context: TemplateContext(arena: bench.arena))
            text = bench.output.description
        }
        #expect(text == expected)
    }

    static let dates: [(String, Int64, Int, String)] = [
        ("%Y-%m-%dT%H:%M:%S", 0, 0, "1970-01-01T00:00:00"), ("%Y/%m/%d/%H", 1_700_000_000_123, 0, "2023/11/14/22"), ("%S.%L", 1_700_000_000_123, 0, "20.123"),
        ("%Y-%m-%d", -1, 0, "1969-12-31"), ("%H:%M:%S.%L", -1, 0, "23:59:59.999"), ("%Y-%m-%d %j", 951_782_400_000, 0, "2000-02-29 060"), ("%Y-%m-%d %j", 1_709_164_800_000, 0, "2024-02-29 060"),
        ("%j", 1_735_603_200_000, 0, "366"), ("%j", 1_704_067_200_000, 0, "001"), ("%Y-%m-%d %H %z", 1_700_000_000_000, 19_800, "2023-11-15 03 +0530"), ("%z", 0, -12_600, "-0330"),
        ("%s", 1_700_000_000_999, 3600, "1700000000"), ("%s", -1, 0, "-1"), ("100%% %q %Y %", 0, 0, "100% %q 1970 %"), ("%Y", -62_135_596_800_000, 0, "0001"), ("%Y-%m-%d", 4_107_542_400_000, 0, "2100-03-01"),
    ]

    @Test(arguments: dates)
    func `date patterns show a moment`(pattern: String, milliseconds: Int64, offset: Int, expected: String) {
        let output = OutputBuffer()
        let compiled = DatePattern(pattern)
        compiled.append(milliseconds: milliseconds, offset: offset, to: output)
        #expect(output.description == expected)
        #expect(!compiled.isConstant)
        #expect(DatePattern("plain-100%% %q %").isConstant)
    }
}
