import RuleEngine
import Testing

@Suite struct `Encoding, date and jq functions` {
    /// Expressions and the JSON of their result, or the name of the error.
    static let cases: [(String, String)] = [
        // Erlang's term format: each tag, and what has no counterpart.
        ("base64_encode(term_encode([1, 300, -1]))", #""g2wAAAADYQFiAAABLGL/////ag==""#),
        ("base64_encode(term_encode([1, 2]))", #""g2sAAgEC""#),
        ("base64_encode(term_encode(1.5))", #""g0Y/+AAAAAAAAA==""#),
        ("base64_encode(term_encode(true))", #""g3cEdHJ1ZQ==""#),
        ("base64_encode(term_encode(18446744073709551616))", #""g24JAAAAAAAAAAAAAQ==""#),
        ("term_decode(term_encode(payload.all))", #"[1,-7,300,1.5,"a",null,true,[],{"k":[{}]},123456789012345678901]"#),
        ("term_decode(term_encode(-9223372036854775807 - 1))", "-9223372036854775808"),
        ("term_decode(base64_decode('g2gBYQE='))", "bad_argument"),
        ("term_decode(base64_decode('g2z/////'))", "bad_argument"),
        ("term_decode(base64_decode('g3T/////'))", "bad_argument"),
        ("term_decode(base64_decode('g0Z/8AAAAAAAAA=='))", "bad_argument"),
        ("term_decode('')", "bad_argument"),
        // Compression of nothing, of data that ends early, and with bytes behind it.
        ("unzip(zip(''))", #""""#), ("gunzip(gzip(''))", #""""#), ("zip_uncompress(zip_compress(''))", #""""#),
        ("unzip('')", "bad_argument"), ("unzip(zip('abc') + 'x')", "bad_argument"),
        ("gunzip(zip_compress('abc'))", "bad_argument"),
        ("zip_uncompress(base64_decode('eJxLTEoGAAJNASg='))", "bad_argument"),
        // Numbers at the ends of what the calendar and 64 bits hold.
        ("format_date('second', 'Z', '%Y', 9223372036854775807)", "bad_argument"),
        ("format_date('millisecond', 'Z', '%Y', -9223372036854775807 - 1)", "bad_argument"),
        ("format_date('second', 9223372036854775807, '%Y', 0)", "bad_argument"),
        ("format_date('nanosecond', 'Z', '%Y-%m-%dT%H:%M:%S.%N', -1)", #""1969-12-31T23:59:59.999999999""#),
        ("format_date('nanosecond', 'Z', '%Y.%N', -9223372036854775807 - 1)", #""1677.145224192""#),
        ("format_date('second', '-03:30', '%H:%M%z', 0)", #""20:30-0330""#),
        ("format_date('second', 'Z', '%%Y %3 %', 0)", #""%1970 %3 %""#),
        ("unix_ts_to_rfc3339(9223372036854775807)", "bad_argument"),
        ("rfc3339_to_unix_ts('0000-01-01T00:00:00Z')", "-62167219200"),
        ("rfc3339_to_unix_ts('9999-12-31T23:59:59Z', 'nanosecond')", "253402300799000000000"),
        ("rfc3339_to_unix_ts('2023-11-14T22:13:20')", "bad_argument"),
        ("rfc3339_to_unix_ts('2023-11-14T22:13:20.Z')", "bad_argument"),
        ("rfc3339_to_unix_ts('1969-12-31T23:59:59.5Z', 'millisecond')", "-500"),
        ("date_to_unix_ts('second', 'local', '%Y-%m-%d %H:%M:%S', '2021-13-01 00:00:00')", "bad_argument"),
        ("timezone_to_second(9223372036854775807)", "9223372036854775807"),
        // jq: errors of each kind, the timeout, and what would end the process.
        ("jq('.[] | . * 2', [1, 2.5])", "[2,5]"), ("jq('.', 'x')", "bad_argument"),
        ("jq('.', '')", "bad_argument"), ("jq('.', '1 2')", "bad_argument"), ("jq('error(\"e\")', 1)", "bad_argument"),
        ("jq('nosuch', 1)", "bad_argument"), ("jq('.', payload.nosuch)", #"["undefined"]"#),
        ("jq('env, $ENV', 1)", "[{},{}]"), ("jq('halt', 1)", "bad_argument"), ("jq('nan', 1)", "bad_argument"),
        ("jq('.[(.[1] | tonumber):]', '[1,\"nan\"]')", "bad_argument"), ("jq('.', '[NaN]')", "bad_argument"),
        ("jq('implode', '[-1]')", "bad_argument"), ("jq('implode', '[72,105]')", #"["Hi"]"#),
        ("jq('indices(\"\"), index(\"b\"), rindex(\"b\")', '\"abcb\"')", "[null,1,3]"),
        ("jq('1, error', 1)", "bad_argument"), ("jq('last(range(1000000000))', 1, 20)", "time_limit"),
        ("jq('1', 1, 0)", "bad_argument"), ("jq('1', 1, 'x')", "bad_argument"), ("jq(1, 1)", "bad_argument"),
        ("jq('repeat(1)', 1, 60000)", "memory_limit"),
        // Digests that there are none of.
        ("hash('nosuch', 'a')", "bad_argument"), ("hash('md5', 'a') = md5('a')", "true"),
    ]

    static let payload = #"{"all":[1,-7,300,1.5,"a",null,true,[],{"k":[{}]},123456789012345678901]}"#

    @Test(arguments: cases) func `an expression gives this or raises that`(expression: String, expected: String) throws
    {
        switch try RuleBench().run("SELECT \(expression) as r FROM \"t/#\"", payload: Self.payload) {
        case .rows(let rows): #expect(rows == [#"{"r":\#(expected)}"#])
        case .failed(let name): #expect(name == expected)
        case let other: Issue.record("\(expression): \(other)")
        }
    }

    @Test func `a bomb of zeros stops at 8 MiB`() throws {
        let bench = RuleBench()
        let zeros = StoredValue.string([UInt8](repeating: 0, count: 8 * 1024 * 1024))
        let fits = [("z", zeros)]
        #expect(try bench.run("SELECT gunzip(gzip(z)) != '' as r FROM \"t/#\"", fits) == .rows([#"{"r":true}"#]))
        let bomb = [("z", StoredValue.string([UInt8](repeating: 0, count: 8 * 1024 * 1024 + 1)))]
        #expect(try bench.run("SELECT gunzip(gzip(z)) != '' as r FROM \"t/#\"", bomb) == .failed("memory_limit"))
    }

    @Test func `a timed out program runs again afterwards`() throws {
        let bench = RuleBench()
        for _ in 0..<3 {
            #expect(
                try bench.run(#"SELECT jq('last(range(.))', 1000000000, 20) as r FROM "t/#""#) == .failed("time_limit"))
            #expect(try bench.run(#"SELECT jq('last(range(.))', 10, 10000) as r FROM "t/#""#) == .rows([#"{"r":[9]}"#]))
        }
    }

    @Test func `the clock is the context's`() throws {
        let bench = RuleBench()
        bench.context.nowNanoseconds = 1_700_000_000_123_456_789
        #expect(
            try bench.run(#"SELECT now_timestamp('microsecond') as a, mongo_date() as b FROM "t/#""#)
                == .rows([#"{"a":1700000000123456,"b":{"$date":1700000000123}}"#]))
        bench.context.nowNanoseconds = .min
        #expect(try bench.run(#"SELECT now_timestamp() as a FROM "t/#""#) == .rows([#"{"a":-9223372037}"#]))
    }
}
