import ConfigSchema
import Testing

struct ProblemTests {
    private func rendered(_ text: String, line: Int, column: Int, length: Int, colours: Bool = false) -> [String] {
        let source = SourceFile(name: "rules/alert.yaml", text: text)
        let problem = ConfigProblem(
            ProblemCode("SQL003"), "unknown function \"uper\"", hint: "did you mean \"upper\"?", in: source,
            at: place(line, column), length: length)
        return ProblemRenderer(colours: colours).render(problem).split(separator: "\n").map(String.init)
    }

    @Test func `a problem shows its line with a caret`() {
        let text = String(repeating: "\n", count: 13) + "      SELECT uper(payload.name) AS name\n"
        #expect(
            rendered(text, line: 14, column: 14, length: 4) == [
                "rules/alert.yaml:14:14: error SQL003: unknown function \"uper\"; did you mean \"upper\"?",
                "   14 |       SELECT uper(payload.name) AS name",
                "      |              ^~~~",
            ])
    }

    @Test func `the caret stands right behind wide, combining and tab characters`() {
        #expect(rendered("日本 x\n", line: 1, column: 4, length: 1)[2] == "      |      ^")
        #expect(rendered("e\u{301} x\n", line: 1, column: 4, length: 1)[2] == "      |   ^")
        #expect(rendered("\t\tx y\n", line: 1, column: 5, length: 1)[2] == "      | \t\t  ^")
        #expect(rendered("x 日本\n", line: 1, column: 3, length: 2)[2] == "      |   ^~~~")
    }

    @Test func `the mark ends with the line`() {
        #expect(rendered("abc\n", line: 1, column: 3, length: 50)[2] == "      |   ^")
        #expect(rendered("abc\n", line: 1, column: 4, length: 1)[2] == "      |    ^")
    }

    @Test func `a long line is shown around the caret`() {
        let lines = rendered(
            String(repeating: "a", count: 500) + "X" + String(repeating: "b", count: 500), line: 1, column: 501,
            length: 1)
        let caret = lines[2].firstIndex(of: "^").map { lines[2].distance(from: lines[2].startIndex, to: $0) }
        #expect(caret.map { Array(lines[1])[$0] } == "X")
        #expect(lines[1].count < 180)
    }

    @Test func `a file cannot drive the terminal`() {
        #expect(!rendered("\u{1B}[31mred\n", line: 1, column: 1, length: 1).joined().contains("\u{1B}"))
    }

    @Test func `colours come only when asked for`() {
        #expect(
            rendered("abc\n", line: 1, column: 1, length: 1, colours: true)[0].contains("\u{1B}[1;31merror\u{1B}[0m"))
    }

    @Test(arguments: [
        ("max_retry", "max_retries"), ("uper", "upper"), ("listners", "listeners"),
        ("max-packet-size", "max_packet_size"),
        ("MAX_INFLIGHT", "max_inflight"), ("tpye", "type"), ("urls", "url"),
    ])
    func `a slip of the pen is recognised`(_ word: String, _ expected: String) {
        let words = ["max_retries", "upper", "listeners", "max_packet_size", "max_inflight", "type", "url", "enable"]
        #expect(didYouMean(word, words) == expected)
    }

    @Test(arguments: ["zzz", "q", "password", ""])
    func `another word is not taken for a slip`(_ word: String) {
        #expect(didYouMean(word, ["max_retries", "url", "x", "ab"]) == nil)
    }
}
