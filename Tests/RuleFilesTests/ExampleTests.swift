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

    @Test func `the alert example suppresses, consumes, and has an action for the critical rows`() {
        let text = """
            version: 1
            actions:
              file:
                bad-json: {path: "dlq/bad-json-%Y-%m-%d.jsonl"}
            rules:
              hot-sensor:
                sql: |
                  SELECT
                    clientid,
                    nth(2, tokens(topic, '/')) AS line,
                    payload.temp AS temp,
                    CASE WHEN is_num(payload.temp) AND payload.temp >= 60 THEN 'critical' ELSE 'warning' END AS level,
                    format_date('millisecond', '+08:00', '%Y-%m-%d %H:%M:%S', timestamp) AS at
                  FROM "plant/+/temp"
                  WHERE is_num(payload.temp) AND temp > 40
                suppress: {key: "${clientid}/${level}", for: 5m}
                consume: true                      # sensors publish for the rule only
                on_error: "dead_letter:file:bad-json"
                actions:
                  - webhook:
                      url: "${env:ALERT_URL}"
                      body:                        # typed JSON template: temp stays a number, no quoting trouble
                        title: "${level}: line ${line}"
                        device: "${clientid}"
                        temp: "${temp}"
                        at: "${at}"
                      retry: {max_attempts: 8, max: 2m}
                  - function: republish
                    when: "level = 'critical'"
                    args: {topic: "alert/${line}", qos: 1, payload: '{"device":"${clientid}","temp":${temp}}'}
                tests:
                  - name: 41.5 degrees warn
                    now: 2026-01-01T00:00:00Z
                    env: {ALERT_URL: "http://127.0.0.1:9/", ALERT_SECRET: whsec_dGVzdA==}
                    input: {topic: plant/7/temp, clientid: c1, payload: {temp: 41.5}}
                    expect:
                      output: {clientid: c1, line: "7", temp: 41.5, level: warning, at: "2026-01-01 08:00:00"}
                      requests: [{method: POST, body: {title: "warning: line 7", device: c1, temp: 41.5, at: "2026-01-01 08:00:00"}}]
                      published: []
                  - name: 60 degrees are critical and are republished
                    env: {ALERT_URL: "http://127.0.0.1:9/", ALERT_SECRET: whsec_dGVzdA==}
                    input: {topic: plant/7/temp, clientid: c1, payload: {temp: 60}}
                    expect: {published: [{topic: alert/7, qos: 1, payload: {device: c1, temp: 60}}]}
                  - name: 40 is not above 40
                    input: {topic: plant/7/temp, payload: {temp: 40}}
                    expect: {matched: false}
                  - name: no number, no alert
                    input: {topic: plant/7/temp, payload: {temp: "n/a"}}
                    expect: {matched: false}
                  - name: text that is not JSON raises
                    input: {topic: plant/7/temp, payload: "boom"}
                    expect: {error: decode_json}
                  - name: quiet for five minutes
                    env: {ALERT_URL: "http://127.0.0.1:9/", ALERT_SECRET: whsec_dGVzdA==}
                    inputs:
                      - {at: 0s,   topic: plant/7/temp, clientid: c1, payload: {temp: 41}}
                      - {at: 120s, topic: plant/7/temp, clientid: c1, payload: {temp: 43}}
                      - {at: 301s, topic: plant/7/temp, clientid: c1, payload: {temp: 43}}
                    expect: {passes: [true, false, true]}
            """
        #expect(problems(load(text, env: ["ALERT_URL": "http://127.0.0.1:9/"])) == [])
        #expect(failures(text) == [])
    }

    @Test func `the archive example writes text and bytes below dated paths`() {
        let text = """
            version: 1
            actions:
              file:
                archive:
                  path: "archive/%Y/%m/%d/${node:name}-%H.jsonl"
                  rotate: {every: 1h, size: 256MB, timezone: UTC}
                  fsync: interval:1s
                  batch: {max_messages: 1000, max_wait: 100ms}

            rules:
              archive-messages:
                sql: |
                  SELECT id, timestamp, node, clientid, username, topic, qos, flags, payload, pub_props, peerhost
                  FROM "#"
                payload_encoding: auto             # binary payloads become base64 and say so
                undefined_as: null
                actions: ["file:archive"]
                tests:
                  - name: text payload
                    now: 2026-01-02T03:04:05Z
                    input: {topic: a/b, clientid: c1, payload: hello}
                    expect:
                      lines:
                        - action: "file:archive"
                          path: {$regex: "^archive/2026/01/02/.*-03\\\\.jsonl$"}
                          json: {topic: a/b, clientid: c1, payload: hello, username: {$any: true}}
                  - name: binary payload survives
                    input: {topic: a/b, payload: {hex: "01024142 8182"}}
                    expect: {lines: [{json: {payload: "AQJBQoGC", payload_encoding: base64}}]}

              archive-lifecycle:
                sql: |
                  SELECT * FROM "$events/client_connected", "$events/client_disconnected",
                                "$events/session_subscribed", "$events/message_dropped", "$events/delivery_dropped"
                undefined_as: null
                actions: ["file:archive"]
                tests:
                  - input: {event: message_dropped, topic: a/b, reason: no_subscribers}
                    expect: {lines: [{json: {event: message.dropped, reason: no_subscribers}}]}
            """
        #expect(problems(load(text)).filter { !$0.contains("SQL203") } == [])
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
