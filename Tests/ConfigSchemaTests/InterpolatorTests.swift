import ConfigSchema
import Testing

struct InterpolatorTests {
    private let interpolator = Interpolator(
        environment: Environment(
            variables: ["HOST": "h.example", "SIZE": "12", "EMPTY": "", "TRICK": "${env:HOST}"],
            readFile: { $0 == "/run/secrets/x" ? Array("s3cret\n".utf8) : nil }),
        variables: ["site": "A"], node: ["name": "n@h", "host": "h"])

    private func resolve(_ yaml: String) -> (node: YAMLNode?, problems: [String]) {
        var problems: [ConfigProblem] = []
        let node = Parsed(yaml).root.map { interpolator.resolve($0, &problems) }
        return (node, problems.map { "\($0.line):\($0.column)+\($0.length) \($0.code) \($0.message)" })
    }

    @Test(arguments: [
        ("${env:HOST}", "h.example"), ("http://${env:HOST}/x", "http://h.example/x"), ("${env:NO:-f}", "f"),
        ("${env:EMPTY:-f}", "f"),
        ("${env:EMPTY}", ""), ("${env:NO:-http://127.0.0.1:5000}", "http://127.0.0.1:5000"), ("${env:NO:-}", ""),
        ("${env:NO:-${env:HOST}}", "h.example"), ("${file:/run/secrets/x}", "s3cret"),
        ("${var:site}/${node:name}/${node:host}", "A/n@h/h"),
        // A value is not looked at again: what stands in the environment cannot reach further.
        ("${env:TRICK}", "${env:HOST}"),
        // For run time.
        ("${topic}", "${topic}"), ("${payload.temp}", "${payload.temp}"), ("${.}", "${.}"),
        ("${$}{env:HOST}", "${$}{env:HOST}"),
        ("${json:x} ${date:%Y} ${x:-d}", "${json:x} ${date:%Y} ${x:-d}"), ("a ${ b", "a ${ b"), ("${", "${"),
        ("$", "$"), ("${env:HOST", "${env:HOST"),
    ])
    func `load-time references are replaced, run-time ones are not`(_ text: String, _ expected: String) {
        let (node, problems) = resolve("'\(text)'")
        #expect(node?.text == expected)
        #expect(problems.isEmpty)
    }

    @Test func `what is missing is told at its exact place`() {
        #expect(
            resolve("a:\n  b: \"x ${env:HOTS} ${file:/no}\"\n  c: |\n    line\n     ${var:sit}\n").problems == [
                "2:9+11 ENV001 the environment variable HOTS is not set",
                "2:21+11 ENV002 the file /no cannot be read",
                "5:6+10 ENV001 var:sit is not defined",
            ])
    }

    @Test func `a misspelt kind is told, since it would stay as text`() {
        #expect(
            resolve("a: \"${evn:HOST}\"").problems == [
                "1:5+11 ENV003 ${evn:…} is plain text: \"evn\" is no kind of reference"
            ])
        #expect(resolve("a: \"${abcdefgh:x}\"").problems.isEmpty)
    }

    @Test func `a replaced text counts as plain, so a quoted number is one`() {
        let node = resolve("a: \"${env:SIZE}\"").node?["a"]
        #expect(node?.resolvedScalar == .int(12))
        #expect(node?.uninterpolated == "${env:SIZE}")
        #expect(node?.holdsSecret == true)
        #expect(resolve("a: \"12\"").node?["a"]?.resolvedScalar == .string("12"))
    }

    @Test func `a secret by reference earns no warning and keeps its reference`() throws {
        let secret = Field("secret", .secret, doc: "")
        var problems: [ConfigProblem] = []
        let node = try #require(resolve("secret: ${file:/run/secrets/x}").node)
        let values = try #require(FieldSet("s", [secret]).read(node, path: [], &problems))
        #expect(values[secret]?.revealed == "s3cret")
        #expect(values[secret]?.reference == "${file:/run/secrets/x}")
        #expect(problems.isEmpty)
    }
}
