import ConfigSchema
import RuleFiles
import Testing

/// `${…}` that a rule's SELECT list does not produce, wherever it stands.
struct TemplateCheckTests {
    private func found(_ sql: String, _ rest: String, version: Bool = true) -> [String] {
        problems(load((version ? "version: 1\n" : "") + "rules:\n  r:\n    sql: \(sql)\n" + rest))
    }

    private static let sql = "SELECT payload.temp AS temp, clientid FROM \"t\""

    @Test(arguments: [
        "actions: [{webhook: {url: \"http://h/${tmp}\"}}]",
        "actions: [{webhook: {url: \"http://h/\", path: \"?q=${tmp}\"}}]",
        "actions: [{webhook: {url: \"http://h/\", headers: {x-a: \"${tmp}\"}}}]",
        "actions: [{webhook: {url: \"http://h/\", headers: {\"x-${tmp}\": a}}}]",
        "actions: [{webhook: {url: \"http://h/\", body: \"${tmp}\"}}]",
        "actions: [{webhook: {url: \"http://h/\", body: {a: [{\"k-${tmp}\": 1}]}}}]",
        "actions: [{webhook: {url: \"http://h/\", body: {a: [1, \"x ${json:tmp}\"]}}}]",
        "actions: [{webhook: {url: \"http://h/\", order: key, order_key: \"${tmp}\"}}]",
        "actions: [{file: {path: \"a/${tmp}.jsonl\"}}]",
        "actions: [{file: {path: a.jsonl, template: \"${tmp}\"}}]",
        "actions: [{republish: {topic: \"a/${tmp}\", payload: x}}]",
        "actions: [{republish: {topic: a, payload: \"${tmp.x}\"}}]",
        "actions: [{republish: {topic: a, payload: x, qos: \"${tmp}\"}}]",
        "actions: [{republish: {topic: a, payload: x, from: \"${tmp}\"}}]",
        "actions: [{republish: {topic: a, payload: x, user_properties: \"${tmp}\"}}]",
        "actions: [{republish: {topic: a, payload: x, mqtt_properties: {Content-Type: \"${tmp}\"}}}]",
        "actions: [{function: republish, args: {topic: a, payload: \"${tmp}\"}}]",
        "suppress: {key: \"${tmp}\", for: 1s}",
        "throttle: {key: \"${tmp}\", rate: 1/s}",
        "on_change: {fields: [temp], key: \"${tmp}\"}",
    ])
    func `each field that holds a template is looked at`(line: String) {
        let found = found(Self.sql, "    " + line)
        #expect(found.count == 1, "\(found)")
        let whole = line.contains("tmp.x") ? "${tmp.x}" : "${tmp}"
        #expect(
            found.first?.hasSuffix(
                "warning TPL001: \(whole) is not produced by the rule's SELECT list (clientid, temp); did you mean \"${temp}\"?"
            )
                == true, "\(found)")
        // The caret stands under the placeholder's dollar sign.
        let column =
            (line.firstRange(of: "${").map { line.distance(from: line.startIndex, to: $0.lowerBound) } ?? 0) + 5
        let isSplit = line.contains("http://h/${")
        #expect(found.first?.hasPrefix("r1.yaml:5:\(column): ") == true || isSplit, "\(found)")
    }

    @Test func `the actions that a rule names are looked at for that rule`() {
        let found = problems(
            load(
                """
                connectors:
                  http: {c: {url: "http://h", headers: {x-b: "${b}"}}}
                  disk_log: {d: {filepath: /l/f, max_file_size: 1MB, max_file_number: 2}}
                actions:
                  http: {a: {connector: c, parameters: {body: '{"v":${v}}'}}}
                  disk_log: {l: {connector: d, parameters: {template: "${w}"}}}
                rules:
                  r1: {sql: 'SELECT payload.v AS v FROM "t"', actions: ["http:a"]}
                  r2: {sql: 'SELECT payload.w AS w, 1 AS b FROM "t"', actions: ["http:a", "disk_log:l"]}
                """))
        #expect(
            found == [
                "r1.yaml:2:47: warning TPL001: ${b} is not produced by the rule's SELECT list (v)",
                "r1.yaml:5:53: warning TPL001: ${v} is not produced by the rule's SELECT list (b, w)",
            ])
    }

    @Test(arguments: [
        ("SELECT * FROM \"t\"", "${topic} ${payload.x} ${metadata.rule_id} ${flags.retain}", 0),
        ("SELECT * FROM \"t\"", "${tmp}", 1),
        ("SELECT *, payload.x AS tmp FROM \"t\"", "${tmp} ${qos}", 0),
        ("SELECT * FROM \"$events/client_connected\"", "${keepalive}", 0),
        ("SELECT * FROM \"$events/client_connected\"", "${payload}", 1),
        ("SELECT * FROM \"t\", \"$events/client_connected\"", "${payload} ${keepalive}", 0),
        ("FOREACH payload.l AS x FROM \"t\"", "${x.a} ${topic}", 0),
        ("FOREACH payload.l FROM \"t\"", "${item.a} ${tmp}", 1),
        ("FOREACH payload.l AS x DO x.a AS a FROM \"t\"", "${a}", 0),
        ("FOREACH payload.l AS x DO x.a AS a FROM \"t\"", "${x.a}", 1),
        ("SELECT payload.a.b FROM \"t\"", "${payload.a.b}", 0),
        ("SELECT payload.a AS m.n FROM \"t\"", "${m.n}", 0),
        ("SELECT upper(topic) FROM \"t\"", "${.} ${$} ${date:%Y} ${meta.attempt} ${x:-none}", 0),
    ])
    func `what a row has is known for each form of statement`(sql: String, template: String, count: Int) {
        let found = found("'\(sql)'", "    actions: [{republish: {topic: a, payload: \"\(template)\"}}]")
            .filter { !$0.contains("SQL2") }
        #expect(found.count == count, "\(found)")
    }

    @Test func `text that looks like a placeholder and is none earns a warning`() {
        let rest = "    actions: [{republish: {topic: a, payload: 'x ${clientid} ${a-b} ${l[1]} ${$} ${ a } ${'}}]"
        #expect(
            found(Self.sql, rest)
                == ["${a-b}", "${l[1]}", "${ a }"].map { text in
                    let column =
                        rest.distance(
                            from: rest.startIndex, to: rest.firstRange(of: text)?.lowerBound ?? rest.startIndex) + 1
                    return "r1.yaml:5:\(column): warning TPL003: \(text) is no placeholder and stays as it is; "
                        + "names are made of letters, digits, \"_\" and \".\"; let SELECT give it such a name"
                })
    }

    @Test func `extensions are plain text in a file without a version`() {
        let rest = "    actions: [{republish: {topic: a, payload: '${json:temp}'}}]"
        #expect(found(Self.sql, rest) == [])
        #expect(
            found(Self.sql, rest, version: false) == [
                "r1.yaml:4:48: warning TPL003: ${json:temp} is no placeholder and stays as it is; it becomes one in a file that says \"version: 1\""
            ])
    }

    @Test func `a republish that says nothing of its payload wants one`() {
        let rest = "    actions: [{republish: {topic: a}}]"
        #expect(
            found(Self.sql, rest).map {
                $0.hasPrefix("r1.yaml:5:15: warning TPL001: the republished payload is ${payload}")
            }
                == [true])
        #expect(found("SELECT payload FROM \"t\"", rest) == [])
        #expect(
            found(
                "SELECT payload FROM \"t\"",
                "    actions: [{republish: {topic: a, user_properties: \"${pub_props.'User-Property'}\"}}]")
                == [])
    }
}
