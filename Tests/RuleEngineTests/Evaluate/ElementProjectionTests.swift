import Buffers
import RuleEngine
import Testing

/// FOREACH decodes of an array in the payload what is read of its elements; that must not be seen in the rows.
@Suite struct `Members of FOREACH's elements` {
    /// Many alike, so that they have a pattern, and some that are not.
    private static let payload: String = {
        var elements = (0..<40).map { number in
            #"{"n":"r\#(number)","v":\#(number).5,"q":\#(number),"box":"{\"k\":\#(number)}"}"#
        }
        elements.insert(#"{"v":100,"w":{"x":7}}"#, at: 20)
        elements.insert(#"{"v":1,"v":200,"n":null}"#, at: 21)
        elements.insert("5", at: 22)
        elements.insert(#"{"\u0076":300,"n":"esc"}"#, at: 23)
        return #"{"rows":[\#(elements.joined(separator: ","))],"l":1}"#
    }()

    private func rows(_ statements: [String], payload: String = Self.payload) throws -> [String] {
        let event = RuleBench.event(payload: payload)
        let context = EvaluationContext(node: "n")
        let (rows, output) = (RowList(), OutputBuffer())
        let group = RuleGroup(
            try statements.map { try #require(CompiledRule.compile(sql: $0, id: "r").rule) })
        var texts: [String] = []
        group.evaluate(event, in: context, rows: rows) { _, outcome in
            output.removeAll()
            if case .failed(let error) = outcome { output.append(error.name) }
            for index in 0..<rows.count {
                do { try JSON.append(rows[index], to: output) } catch { output.append("\(error)") }
            }
            texts.append(output.description)
        }
        return texts
    }

    @Test(arguments: [
        "r.v AS v", "r.n AS n, r.q AS q", "r.w.x AS x, r.v AS v", "r.missing AS m", "r.box.k AS k", "r.'v' AS v",
        "r.v + 1 AS s, str(r.n) AS t", "r.v AS v, clientid", "r.n AS r", "r.v AS a, a AS b",
        "CASE WHEN r.q > 5 THEN r.n ELSE r.v END AS c", "1 AS one",
    ])
    func `rows are those of elements that were decoded whole`(fields: String) throws {
        for condition in ["", "INCASE is_num(r.q) AND r.q > 3", "INCASE r.w.x = 7"] {
            let some = try rows(["FOREACH payload.rows AS r DO \(fields) \(condition) FROM t"])
            // `length(r)` reads the array whole.
            let all = try rows(["FOREACH payload.rows AS r DO \(fields) \(condition) FROM t WHERE length(r) > 0"])
            #expect(some == all)
            #expect(some[0].contains("decode") == false && (!some[0].isEmpty || condition.contains("7")))
        }
    }

    @Test func `an element that is read whole is whole`() throws {
        let whole = try rows(["FOREACH payload.rows AS r DO r AS e INCASE r.q = 3 FROM t"])
        #expect(whole == [#"{"e":{"box":"{\"k\":3}","n":"r3","q":3,"v":3.5}}"#])
        let star = try rows(["FOREACH payload.rows AS r INCASE r.q = 3 FROM t"])
        #expect(star[0].contains(#""r":{"box":"{\"k\":3}","n":"r3","q":3,"v":3.5}"#))
    }

    @Test func `rules that read other members of one array do not disturb one another`() throws {
        let results = try rows([
            "FOREACH payload.rows AS r DO r.n AS n INCASE r.q = 3 FROM t",
            "SELECT payload.rows[4].box AS i FROM t",
            "FOREACH payload.rows AS r DO r.v AS v INCASE r.q = 4 FROM t",
            "FOREACH payload.rows AS r DO r AS e INCASE r.q = 5 FROM t",
        ])
        #expect(
            results == [
                #"{"n":"r3"}"#, #"{"i":"{\"k\":3}"}"#, #"{"v":4.5}"#,
                #"{"e":{"box":"{\"k\":5}","n":"r5","q":5,"v":5.5}}"#,
            ])
    }

    @Test func `what is no JSON raises before WHERE is looked at`() throws {
        #expect(
            try rows(["FOREACH payload.rows AS r DO r.v AS v FROM t WHERE qos = 9"], payload: "{") == ["decode_json"])
        #expect(try rows(["FOREACH payload.rows AS r DO r.v AS v FROM t WHERE qos = 9"]) == [""])
    }
}
