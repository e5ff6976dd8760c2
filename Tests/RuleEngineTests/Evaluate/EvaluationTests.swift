import RuleEngine
import Testing

@Suite struct `Evaluation of SELECT` {
    static let payload = #"{"a":1,"f":1.5,"b":{"c":[10,20,30]},"s":"text","n":null,"j":"{\"k\":[1,2]}","t":true}"#

    static let fields: [(String, String)] = [
        // Fields are evaluated left to right, the row before the columns.
        ("qos as q, q + 1 as r", #"{"q":1,"r":2}"#),
        ("qos as r, 5 as qos", #"{"qos":5,"r":1}"#),
        ("5 as qos, qos as r", #"{"qos":5,"r":5}"#),
        ("1 as x, x as y, 2 as x", #"{"x":2,"y":1}"#),
        ("1 as a.x, a.y as r, a.x as s", #"{"a":{"x":1},"r":"undefined","s":1}"#),
        // Paths.
        ("payload.b.c[-1] as r", #"{"r":30}"#),
        ("payload.b.c", #"{"payload":{"b":{"c":[10,20,30]}}}"#),
        ("payload.b.c[2]", #"{"payload":{"b":{"c":[20]}}}"#),
        ("payload.b.c[0] as r", #"{"r":"undefined"}"#),
        ("payload.j.k[2] as r", #"{"r":2}"#),
        ("payload.s.x as r", #"{"r":"undefined"}"#),
        ("payload as p, p.b.c[1] as r, 0 as p", #"{"p":0,"r":10}"#),
        ("payload.b.c as l, 2 as i, l[i] as r", #"{"i":2,"l":[10,20,30],"r":20}"#),
        // Ranges.
        ("payload.b.c[2..9] as r", #"{"r":[20,30]}"#),
        ("payload.b.c[-2..-1] as r", #"{"r":[20,30]}"#),
        ("payload.b.c[2..1] as r", #"{"r":[]}"#),
        ("[2..1] as r", #"{"r":[]}"#),
        // Writing along a path.
        ("[1,2] as a, 9 as a[1], 8 as a[-0], 7 as a[0], 6 as a[9]", #"{"a":[7,9,2,8]}"#),
        ("5 as a[3].b", #"{"a":[{"b":5}]}"#),
        ("payload as p, 5 as p.a", #"{"p":{"a":5}}"#),
        (
            "payload, 5 as payload.b",
            #"{"payload":{"a":1,"b":5,"f":1.5,"j":"{\"k\":[1,2]}","n":null,"s":"text","t":true}}"#
        ),
        ("5 as payload.a", #"{"payload":{"a":5}}"#),
        // Names of columns.
        ("'lit', 1", #"{"_v_2":1,"lit":"lit"}"#),
        // CASE.
        (
            "case payload.a when '1' then 'text' when 1.0 then 'float' when 1 then 'integer' end as r",
            #"{"r":"integer"}"#
        ),
        ("case when payload.f > 1 then 'big' end as r", #"{"r":"big"}"#),
        ("case when payload.f > 2 then 'big' end as r", #"{"r":"undefined"}"#),
        ("-2 mod 3 as r, 7 / 2 as d, 7 div 2 as i, 'a' + 1 + 2 as s", #"{"d":3.5,"i":3,"r":-2,"s":"a12"}"#),
        ("9223372036854775807 + 1 as r", #"{"r":9223372036854775808}"#),
    ]

    @Test(arguments: fields) func `fields give this row`(fields: String, row: String) throws {
        #expect(try RuleBench().run("SELECT \(fields) FROM \"t/#\"", payload: Self.payload) == .rows([row]))
    }

    static let conditions: [(String, String)] = [
        ("payload.a = 1", "passed"), ("payload.a = 1.0", "passed"), ("payload.a != 1", "no result"),
        ("payload.f > 1", "passed"), ("payload.f < 1.5", "no result"), ("payload.s = 'text'", "passed"),
        ("payload.missing != 1", "no result"), ("not payload.missing = 1", "passed"),
        ("payload.missing = payload.missing2", "passed"), ("payload.s > 1", "bad_argument"),
        ("1 = 1 or payload.s > 1", "passed"), ("payload.n = 'null'", "passed"), ("topic =~ 't/+'", "passed"),
        ("qos in (1.0, '1')", "no result"), ("qos in (0, 1)", "passed"), ("qos not in (0, 1)", "no result"),
        ("not (qos = 1 and qos = 2)", "passed"), ("not payload.s", "no result"), ("not payload.t", "no result"),
        ("payload.t", "passed"), ("payload.s", "bad_condition"), ("payload.missing", "bad_condition"),
        ("payload.t and qos = 1", "passed"), ("true", "passed"), ("not true", "no result"),
    ]

    @Test(arguments: conditions) func `conditions come to this`(condition: String, expected: String) throws {
        let result = try RuleBench().run("SELECT clientid FROM \"t/#\" WHERE \(condition)", payload: Self.payload)
        let text =
            switch result {
            case .rows: "passed"
            case .failed(let name): name
            default: result.description
            }
        #expect(text == expected)
    }

    static let visibility: [(String, String)] = [
        ("SELECT 5 as qos FROM t WHERE qos = 1", "no result"),
        ("SELECT payload.a as x FROM t WHERE x = 1 and qos = 1", #"{"x":1}"#),
        // The whole member hides the column, not only what it holds.
        ("SELECT payload.a FROM t WHERE payload.s = 'text'", "no result"),
        ("SELECT payload FROM t WHERE payload.s = 'nope'", "no result"),
        ("SELECT payload, payload.a as a, a as b FROM t WHERE payload.s = 'text' and b = 1 and nope = nix", ""),
        // What raises in a field, raises whatever WHERE says.
        ("SELECT 1 + topic - 1 as x FROM t WHERE qos = 9", "failed: bad_argument"),
        ("SELECT case when qos = 9 then 'a' - 1 else 1 end as x FROM t WHERE qos = 1", #"{"x":1}"#),
    ]

    @Test(arguments: visibility) func `WHERE sees the row over the columns`(sql: String, expected: String) throws {
        let result = try RuleBench().run(sql, payload: Self.payload)
        guard !expected.isEmpty else {
            #expect(result != .noResult)
            return
        }
        #expect(result.description == expected)
    }

    @Test(arguments: [
        ("SELECT payload.a as a FROM t WHERE qos = 9", "failed: decode_json"),
        ("SELECT clientid FROM t WHERE payload.a = 1", "failed: decode_json"),
        ("SELECT clientid FROM t WHERE qos = 9 and payload.a = 1", "no result"),
        ("SELECT case when qos = 1 then 1 else payload.a end as a FROM t", #"{"a":1}"#),
        ("SELECT payload as p, p.a as a FROM t", #"{"a":"undefined","p":"not json"}"#),
        ("FOREACH payload.l FROM t", "failed: decode_json"),
    ])
    func `bad JSON raises only where a path into the payload is read`(sql: String, expected: String) throws {
        #expect(try RuleBench().run(sql, payload: "not json").description == expected)
    }

    @Test func `a payload that is absent is undefined and does not raise`() throws {
        #expect(try RuleBench().run("SELECT payload.a as a FROM t").description == #"{"a":"undefined"}"#)
    }

    @Test(arguments: [
        ("*", #"{"clientid":"c1","metadata":{"rule_id":"r1"},"qos":1,"topic":"t/1"}"#),
        ("*, 2 as qos, 3 as extra", #"{"clientid":"c1","extra":3,"metadata":{"rule_id":"r1"},"qos":2,"topic":"t/1"}"#),
        ("2 as qos, *", #"{"clientid":"c1","metadata":{"rule_id":"r1"},"qos":1,"topic":"t/1"}"#),
        ("2 as x, *, x + 1 as y", #"{"clientid":"c1","metadata":{"rule_id":"r1"},"qos":1,"topic":"t/1","x":2,"y":3}"#),
        ("metadata.rule_id as r", #"{"r":"r1"}"#),
    ])
    func `a star copies all columns at its place`(fields: String, row: String) throws {
        #expect(try RuleBench().run("SELECT \(fields) FROM t") == .rows([row]))
    }

    @Test func `a star follows the columns of each event`() throws {
        let rule = try #require(CompiledRule.compile(sql: "SELECT * FROM t", id: "r1").rule)
        let bench = RuleBench()
        let small = DictionaryEvent([("b", .integer(1))])
        let large = DictionaryEvent([("c", .integer(1)), ("a", .integer(2))])
        for _ in 0..<2 {
            #expect(try bench.run(rule, small).description == #"{"b":1,"metadata":{"rule_id":"r1"}}"#)
            #expect(try bench.run(rule, large).description == #"{"a":2,"c":1,"metadata":{"rule_id":"r1"}}"#)
        }
    }
}

@Suite struct `Evaluation of FOREACH` {
    static let payload = #"{"l":[1,2,3],"o":[{"v":1},{"v":5}],"n":"dev","x":7}"#

    @Test(arguments: [
        ("FOREACH payload.l as n DO n, n * 2 as d INCASE n > 1 FROM t", #"{"d":4,"n":2} {"d":6,"n":3}"#),
        ("FOREACH payload.o DO item.v as v, clientid FROM t", #"{"clientid":"c1","v":1} {"clientid":"c1","v":5}"#),
        (
            "FOREACH payload.o as o DO o.v as v, payload.n as n FROM t WHERE payload.n = 'dev'",
            #"{"n":"dev","v":1} {"n":"dev","v":5}"#
        ),
        // Without an alias the field reduces the payload to what it read.
        ("FOREACH payload.l DO payload.n as n, item as i INCASE item = 1 FROM t", #"{"i":1,"n":"undefined"}"#),
        ("FOREACH payload.l as qos DO qos FROM t WHERE qos > 5", #"{"qos":1} {"qos":2} {"qos":3}"#),
        ("FOREACH payload.n as n, payload.l as i DO n, i INCASE i = 3 FROM t", #"{"i":3,"n":"dev"}"#),
        ("FOREACH payload.x as x FROM t", "no result"),
        ("FOREACH payload.l as x DO x INCASE x > 9 FROM t", "no result"),
        ("FOREACH payload.l as x DO x FROM t WHERE qos = 2", "no result"),
        // One bad element stops all.
        ("FOREACH ['a', 1, 'b'] as x DO x INCASE x = 1 FROM t", "failed: bad_argument"),
        ("FOREACH [1..2] as x DO x as a.b[1] FROM t", #"{"a":{"b":[1]}} {"a":{"b":[2]}}"#),
    ])
    func `rows are made of elements`(sql: String, expected: String) throws {
        #expect(try RuleBench().run(sql, payload: Self.payload).description == expected)
    }

    @Test func `without DO the row is everything`() throws {
        let result = try RuleBench().run("FOREACH payload.l as x INCASE x = 2 FROM t", payload: #"{"l":[1,2]}"#)
        let row =
            #"{"clientid":"c1","metadata":{"rule_id":"r1"},"payload":"{\"l\":[1,2]}","qos":1,"topic":"t/1","x":2}"#
        #expect(result == .rows([row]))
    }

    @Test func `a payload that is an array is the collection [EMQX rule-sql: FOREACH]`() throws {
        #expect(
            try RuleBench().run("FOREACH payload as p DO p FROM t", payload: "[1,2]").description == #"{"p":1} {"p":2}"#
        )
    }
}

@Suite struct `Bounds of an evaluation` {
    @Test(arguments: [
        ("FOREACH [1..10001] as x DO x FROM t", "failed: row_limit"),
        ("FOREACH [1..10000] as x DO x INCASE x = 1 FROM t", #"{"x":1}"#),
        ("SELECT [1..100001] as x FROM t", "failed: step_limit"),
        ("SELECT [1..9223372036854775807] as x FROM t", "failed: step_limit"),
        ("FOREACH [1..60000] as x DO x INCASE [x, x] = [0] FROM t", "failed: step_limit"),
    ])
    func `a rule that hits a bound raises`(sql: String, expected: String) throws {
        #expect(try RuleBench().run(sql).description == expected)
    }

    @Test func `no row is handed out when a later element raises`() throws {
        let bench = RuleBench()
        let result = try bench.run("FOREACH [1, 2, 'x'] as e DO e - 1 as v FROM t")
        #expect(result == .failed("bad_argument"))
        #expect(bench.rows.count == 0)
    }
}
