import ConfigSchema
import Glibc
import RuleFiles
import Testing

/// The examples of the rule file's documentation, as far as their features exist.
struct ExampleTests {
    @Test func `the webhook example loads and its tests pass`() {
        let text = """
            # yaml-language-server: $schema=./rules.schema.json
            version: 1

            connectors:
              http:
                flask:
                  url: "${env:FLASK_URL:-http://127.0.0.1:5000}"
                  headers: {content-type: application/json}

            actions:
              http:
                store-flow:
                  connector: flask
                  parameters: {method: post, path: /mqtt/flow}     # no body: the whole output as JSON, as in EMQX
                  order: client
                  retry: {max: 1m}
                  buffer: {max_bytes: 1GB, max_age: 72h}

            rules:
              store-messages:
                description: every published message
                sql: |
                  SELECT * FROM "#"
                actions: ["http:store-flow"]
                tests:
                  - name: a publish is posted with its metadata
                    input: {topic: t/1, clientid: emqx_c, qos: 0, payload: '{ "msg": "Hello Webhook" }'}
                    expect:
                      matched: true
                      output_contains: {event: message.publish, topic: t/1, clientid: emqx_c, payload: '{ "msg": "Hello Webhook" }'}
                      requests: [{action: "http:store-flow", method: POST, url: "http://127.0.0.1:5000/mqtt/flow", headers: {content-type: application/json}}]
                  - name: broker statistics are left out
                    input: {topic: $SYS/brokers/n1/uptime, payload: "1"}
                    expect: {matched: false}

              store-lifecycle:
                description: the events needed to trace a fault later
                sql: |
                  SELECT * FROM
                    "$events/client_connected", "$events/client_disconnected",
                    "$events/session_subscribed", "$events/session_unsubscribed",
                    "$events/message_delivered", "$events/message_acked",
                    "$events/message_dropped", "$events/delivery_dropped"
                actions: ["http:store-flow"]
                tests:
                  - name: a disconnect carries its reason
                    input: {event: client_disconnected, clientid: emqx_c, reason: keepalive_timeout}
                    expect: {output_contains: {event: client.disconnected, reason: keepalive_timeout}}
            """
        #expect(problems(load(text)).filter { !$0.contains("SQL203") } == [])
        #expect(failures(text) == [])
    }

    @Test func `the FOREACH example republishes each element`() {
        let text = """
            version: 1
            rules:
              split-frame:
                sql: |
                  FOREACH payload.sensors AS s
                  DO
                    clientid,
                    s.name AS name,
                    s.value AS value,
                    payload.ts AS ts
                  INCASE s.value > 0
                  FROM "gateway/+/frame"
                  WHERE payload.version = 2
                actions:
                  - function: republish
                    templates: strict
                    args:
                      topic: "sensor/${clientid}/${name}"
                      qos: 1
                      retain: true
                      payload: '{"value":${value},"ts":${ts}}'
                tests:
                  - name: two good, one bad reading
                    input:
                      topic: gateway/g1/frame
                      clientid: g1
                      payload:
                        version: 2
                        ts: 1700000000
                        sensors: [{name: t, value: 21.5}, {name: h, value: -1}, {name: p, value: 1013}]
                    expect:
                      output:
                        - {clientid: g1, name: t, value: 21.5, ts: 1700000000}
                        - {clientid: g1, name: p, value: 1013, ts: 1700000000}
                      published:
                        - {topic: sensor/g1/t, qos: 1, retain: true, payload: {value: 21.5, ts: 1700000000}}
                        - {topic: sensor/g1/p, qos: 1, retain: true, payload: {value: 1013, ts: 1700000000}}
                  - name: an old frame version is ignored
                    input: {topic: gateway/g1/frame, payload: {version: 1, sensors: []}}
                    expect: {matched: false}
                  - name: no array, no output
                    input: {topic: gateway/g1/frame, payload: {version: 2, sensors: 7}}
                    expect: {matched: false}
            """
        #expect(problems(load(text)) == [])
        #expect(failures(text) == [])
    }

    @Test func `files are found in name order, hidden ones are not`() throws {
        var template = Array("/tmp/sluice-rules-XXXXXX".utf8CString)
        let directory = try #require(mkdtemp(&template).map { String(cString: $0) })
        defer {
            for name in ["b.yaml", "a.yml", "c.json", ".hidden.yaml", "note.txt"] { unlink("\(directory)/\(name)") }
            rmdir(directory)
        }
        for name in ["b.yaml", "a.yml", "c.json", ".hidden.yaml", "note.txt"] {
            let descriptor = open("\(directory)/\(name)", O_CREAT | O_WRONLY, 0o600)
            #expect(descriptor >= 0)
            close(descriptor)
        }
        let (found, problems) = RuleFileFinder.sources([directory, "\(directory)/b.yaml"])
        #expect(found.map(\.name) == ["a.yml", "b.yaml", "c.json"].map { "\(directory)/\($0)" })
        #expect(problems.isEmpty)
        #expect(
            RuleFileFinder.sources(["/no/such"]).problems.map(\.headline) == [
                "/no/such:1:1: error ENV002: there is no such file or directory"
            ])
        #expect(RuleFileFinder.sources(["/no/such"], missingIsError: false).problems.isEmpty)
    }
}
