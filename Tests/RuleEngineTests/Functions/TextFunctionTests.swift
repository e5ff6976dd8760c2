import RuleEngine
import Testing

@Suite struct `Text functions` {
    /// The results as JSON, or the name of the error.
    static let formats: [(String, String)] = [
        ("sprintf('~.16b ~.16B ~.2b', 255, 255, -5)", #""ff FF -101""#),
        ("sprintf('~5..0b|~-5b|~3b', 42, 42, 12345)", #""00042|42   |***""#),
        ("sprintf('~*b', 4, 7)", #""   7""#),
        ("sprintf('~.10#|~.16+|~.16x', 31, 31, 31, '0x')", #""10#31|16#1f|0x1f""#),
        ("sprintf('~f ~.2f ~.1f ~.3f', 1.5, 0.125, -0.25, 9.9996)", #""1.500000 0.13 -0.3 10.000""#),
        ("sprintf('~.1f ~.1f ~.1f', 0.07, 0.04, 0.004)", #""0.1 0.0 0.0""#),
        ("sprintf('~.1f', 1.0e22)", #""10000000000000000000000.0""#),
        ("sprintf('~e ~.3e ~.2e', 1.5, 123.456, 9.99)", #""1.50000e+0 1.23e+2 1.0e+1""#),
        ("sprintf('~g ~g ~g ~.3g', 0.0, 12345.678, 0.5, 99.96)", #""0.00000e+0 1.23457e+4 0.500000 100.0""#),
        ("sprintf('~8.2f|', 3.14159)", #""    3.14|""#),
        ("sprintf('~3c|~5.2c|~c', 65, 66, 20013)", #""AAA|   BB|中""#),
        ("sprintf('~.2s|~5.2s|~-6.4s|~3s', 'abc', 'abc', 'ab', 'abcdef')", #""ab|   ab|ab    |abc""#),
        ("sprintf('~s ~s', true, [97, 'b', [99]])", #""true abc""#),
        ("sprintf('~p ~w ~p ~p', 'ab', 'ab', [1, 'x'], 1.0e22)", ##""<<\"ab\">> <<97,98>> [1,<<\"x\">>] 1.0e22""##),
        ("sprintf('~p ~tp', '中', '中')", ##""<<228,184,173>> <<\"中\"/utf8>>""##),
        ("sprintf('~i~s', 1, 'a')", #""a""#),
        ("sprintf('~2~~~')", #""~~~""#),
        ("sprintf('~q', 1)", "bad_argument"), ("sprintf('~')", "bad_argument"), ("sprintf('~5')", "bad_argument"),
        ("sprintf('~b', 1.5)", "bad_argument"), ("sprintf('~f', 1)", "bad_argument"),
        ("sprintf('~.1e', 1.0)", "bad_argument"), ("sprintf('~.0f', 1.0)", "bad_argument"),
        ("sprintf('~.37b', 1)", "bad_argument"), ("sprintf('~c', -1)", "bad_argument"),
    ]

    static let characters: [(String, String)] = [
        ("strlen('e\u{301}👨‍👩‍👧')", "2"), ("strlen(hexstr2bin('ff'))", "bad_argument"),
        ("substr('a👨‍👩‍👧b', 1, 1)", #""👨‍👩‍👧""#), ("substr('abc', 99999999999999999999)", #""""#),
        ("reverse('ab\u{65E5}')", #""日ba""#), ("pad('日', 3, 'both', '本')", #""本日本""#),
        ("trim('\u{2028} a \u{85}')", #""a""#), ("trim(hexstr2bin('20c320'))", "\"\u{FFFD}\""),
        ("rtrim('a日本', '本日')", #""a""#), ("upper('straße')", #""STRASSE""#), ("lower(true)", #""true""#),
        ("tokens('a日b本c', '日本')", #"["a","b","c"]"#), ("tokens('', '')", "[]"),
        ("replace('aXaXa', 'X', '', 'trailing')", #""aXaa""#), ("replace('aXaXa', 'X', '--', 'leading')", #""a--aXa""#),
        ("replace('abababab', 'ab', 'b')", #""bbbb""#), ("find('a', '')", #""a""#), ("split('', '')", "[]"),
        ("split('a', '', 'notrim')", #"["a"]"#), ("unescape('\\')", #""\\""#), ("unescape('\\x')", "bad_argument"),
        ("unescape('\\xFFFFFFFFFFFFFFFFFF')", "bad_argument"), ("ascii('')", "bad_argument"),
        // Patterns long enough for the other way of searching.
        ("replace('xaaaaaaaaaaaaaaaaaaabx', 'aaaaaaaaaaaaaaaaaab', '-')", #""xa-x""#),
        ("find('0123456789abcdefgh0123456789abcdefghi', '0123456789abcdefgh', 'trailing')", #""0123456789abcdefghi""#),
        ("split('1-----------------2-----------------3', '-----------------')", #"["1","2","3"]"#),
        ("int(1.0e300) > 0", "true"), ("int('99999999999999999999.5')", "100000000000000000000"),
        ("float(1.0e300, 2) > 0", "true"), ("bool(1.0)", "true"), ("bin2hexstr(str_utf16_le('🐸'))", #""3DD838DC""#),
    ]

    static let expressions: [(String, String)] = [
        ("regex_match('中文', '(*UTF8)^..$')", "true"), ("regex_match('中文', '^.{6}$')", "true"),
        ("regex_match('É', '(*UCP)(*UTF8)^\\w$')", "true"),
        ("regex_match(hexstr2bin('ff'), '(*UTF8).')", "bad_argument"),
        ("regex_replace('baac', 'a*', '-')", #""-b--c-""#), ("regex_replace('', '', '-')", #""-""#),
        ("regex_replace('日本', '(*UTF8)', '-')", #""-日-本-""#),
        ("regex_replace('abc', '(?<x>b)', '[\\1\\g{1}\\9&\\&\\\\]')", ##""a[bbb&\\]c""##),
        ("regex_replace('a', 'a', '\\g{1')", "bad_argument"), ("regex_replace('a', 'a', '\\gx')", "bad_argument"),
        ("regex_extract('ac', '(a)(b)?(c)(d)?')", #"["a","","c"]"#), ("regex_extract('', '(x)')", "[]"),
        ("regex_extract('abc', '(?=(b))')", #"["b"]"#), ("regex_match('', '')", "true"),
        ("regex_match(true, 'true')", "bad_argument"),
    ]

    @Test(arguments: formats + characters + expressions)
    func `a call gives this`(expression: String, expected: String) throws {
        #expect(try value(of: expression) == expected)
    }

    static let excesses: [(String, String)] = [
        ("pad('a', 9223372036854775807, 'both', 'ab')", "memory_limit"),
        ("pad('a', 99999999999999999999)", "memory_limit"),
        ("replace(pad('a', 100000, 'leading', 'a'), 'a', pad('b', 100000))", "memory_limit"),
        ("regex_replace(pad('a', 100000, 'leading', 'a'), 'a', pad('b', 100000))", "memory_limit"),
        ("sprintf('~99999999999999999999999s', 'a')", "memory_limit"),
        ("sprintf('~.99999999999f', 1.5)", "memory_limit"),
        ("sprintf('~60000000c~60000000c', 65, 65)", "memory_limit"),
        ("regex_match(pad('b', 40, 'leading', 'a'), '^(a+)+$')", "regex_limit"),
        ("regex_match(pad('b', 40, 'leading', 'a'), '^(?:(a+)\\1?)+$')", "regex_limit"),
        ("regex_match('a', pad('a', 100000))", "bad_argument"),
        ("regex_match('a', '((((a{1000}){1000}){1000}){1000})')", "bad_argument"),
    ]

    @Test(arguments: excesses) func `too much work raises`(expression: String, expected: String) throws {
        #expect(try value(of: expression) == expected)
    }

    @Test func `more patterns than are kept still match`() throws {
        let bench = RuleBench()
        for round in 0..<2 {
            for number in 0..<600 {
                let result = try bench.run(
                    "SELECT regex_extract(payload.s, '^x' + str(payload.n) + '(.)$') as r FROM \"t/#\"",
                    payload: "{\"s\":\"x\(number)y\",\"n\":\(number)}")
                #expect(result == .rows([#"{"r":["y"]}"#]), "round \(round), pattern \(number)")
            }
        }
    }

    private func value(of expression: String) throws -> String {
        switch try RuleBench().run("SELECT \(expression) as r FROM \"t/#\"") {
        case .rows(let rows): String(rows.joined().dropFirst(5).dropLast(1))
        case .failed(let name): name
        case .noResult: "no result"
        case .rejected(let codes): "rejected: \(codes)"
        }
    }
}
