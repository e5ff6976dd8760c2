import ConfigSchema
import RuleEngine
import RuleFiles
import Sinks
import Testing

struct SinkTests {
    private func sink(_ text: String, _ id: String) throws -> SinkDefinition {
        let loaded = load(text)
        #expect(problems(loaded) == [])
        return try #require(loaded.definition.action(id)).sinkDefinition(dataDirectory: "/var/lib/sluice")
    }

    @Test func `an http action becomes a webhook with all it says`() throws {
        let definition = try sink(
            """
            version: 1
            connectors:
              http:
                c:
                  url: https://h:8443/base
                  headers: {a: b}
                  pool_size: 3
                  connect_timeout: 2s
                  http_version: 2
                  allow_hosts: [h]
                  ssl: {cacertfile: /ca.pem}
                  auth: {basic: {username: u, password: "${env:P:-p}"}}
            actions:
              http:
                a:
                  connector: c
                  parameters: {method: PUT, path: "/x/${topic}", headers: {c: d}, body: {t: "${topic}", n: 1}}
                  success_status: [2xx, 304]
                  retry: {on_status: [500], on_auth_error: fail, initial: 2s, max: 8s, jitter: none, max_attempts: 5, respect_retry_after: false}
                  buffer: {mode: memory, max_bytes: 2MB, max_age: 1h, on_full: block}
                  order: key
                  order_key: "${topic}"
                  batch: {max_messages: 10, max_wait: 50ms, format: ndjson}
                  resource_opts: {inflight_window: 7}
                  circuit_breaker: {failures: 3, open_for: 9s}
                  timeout: {total: 4s}
                  idempotency: false
                  templates: "null"
            rules: {r: {sql: SELECT topic FROM "t", actions: ["http:a"]}}
            """, "http:a")
        #expect(definition.name == "a")
        #expect(definition.type == "http")
        guard case .webhook(let webhook) = definition.kind else {
            Issue.record("it is no webhook")
            return
        }
        #expect(webhook.url == "https://h:8443/base")
        #expect(webhook.method == .put)
        #expect(webhook.path == "/x/${topic}")
        #expect(webhook.headers.map { "\($0.name)=\($0.value)" } == ["a=b", "c=d"])
        #expect(webhook.poolSize == 3)
        #expect(webhook.version == .http2)
        #expect(webhook.allowHosts == ["h"])
        #expect(webhook.tls.caFile == "/ca.pem")
        #expect(webhook.tls.verifies)
        #expect(webhook.connectTimeout == .seconds(2))
        #expect(webhook.totalTimeout == .seconds(4))
        #expect(webhook.missing == .null)
        #expect(!webhook.sendsDeliveryID)
        #expect(webhook.policy.success == HTTPStatusSet([200...299, 304...304]))
        #expect(webhook.policy.onUnauthorized == .fail)
        if case .basic(let user, let password) = webhook.authentication {
            #expect(user == "u")
            #expect(password.revealed == "p")
        } else {
            Issue.record("it has no credentials")
        }
        let worker = definition.worker
        #expect(worker.maxBytes == 2 << 20)
        #expect(worker.maxAge == .seconds(3600))
        #expect(worker.onFull == .block)
        #expect(worker.inflightWindow == 7)
        #expect(worker.batch.maxMessages == 10)
        #expect(worker.batch.maxWait == .milliseconds(50))
        #expect(worker.batch.format == .ndjson)
        #expect(worker.retry.initial == .seconds(2))
        #expect(worker.retry.maxAttempts == 5)
        #expect(!worker.retry.respectsRetryAfter)
        #expect(worker.breaker.failures == 3)
        if case .key = worker.order {} else { Issue.record("the order is another") }
    }

    @Test func `a bare http action has the sink's defaults and EMQX's buffer size`() throws {
        let worker = try sink(
            "rules: {r: {sql: SELECT topic FROM \"t\", actions: [{webhook: \"http://h\"}]}}", "http:r~1"
        ).worker
        #expect(worker.maxBytes == 256 << 20)
        #expect(worker.maxAge == .seconds(86_400))
        #expect(worker.batch.maxMessages == 1)
        #expect(worker.inflightWindow == 100)
        if case .client = worker.order {} else { Issue.record("the order is another") }
    }

    @Test func `file and disk_log actions become file sinks`() throws {
        let file = try sink(
            "rules: {r: {sql: SELECT topic FROM \"t\", actions: [{file: {path: \"a/%Y-${topic}.jsonl\", batch: {max_messages: 5}}}]}}",
            "file:r~1")
        #expect(file.type == "file")
        #expect(file.worker.batch.maxMessages == 5)
        #expect(file.worker.batch.maxWait == .milliseconds(100))
        #expect(file.worker.maxAge == nil)
        let log = try sink(
            """
            connectors: {disk_log: {c: {filepath: /l/f.jsonl, max_file_size: 1MB, max_file_number: 3}}}
            actions: {disk_log: {a: {connector: c, resource_opts: {batch_size: 9}}}}
            rules: {r: {sql: SELECT topic FROM "t", actions: ["disk_log:a"]}}
            """, "disk_log:a")
        #expect(log.worker.batch.maxMessages == 9)
    }

    @Test func `a path that leads out of its directory is a problem of the file`() {
        let loaded = load("rules: {r: {sql: SELECT topic FROM \"t\", actions: [{file: {path: ../x}}]}}")
        #expect(
            problems(loaded) == ["r1.yaml:1:58: error KEY003: actions.r~1: a relative path must not contain \"..\""])
        #expect(loaded.broken["file:r~1"]?.count == 1)
    }

    @Test func `a placeholder that the rule does not produce earns a warning at its place`() {
        let loaded = load(
            """
            version: 1
            rules:
              r:
                sql: SELECT payload.temp AS temp, clientid FROM "t"
                actions:
                  - webhook: {url: "http://h/${clientid}", body: {a: "x ${tmp}", b: "${clientid} ${hum}", c: "${gone:-1}"}}
                  - republish: {topic: "a/${topic}", payload: "${.}"}
              all:
                sql: SELECT * FROM "t"
                actions: [{republish: {topic: "a/${client_attrs.x}"}}]
            """)
        #expect(
            problems(loaded) == [
                "r1.yaml:6:61: warning TPL001: ${tmp} is not produced by the rule's SELECT list (clientid, temp); did you mean \"${temp}\"?",
                "r1.yaml:6:86: warning TPL001: ${hum} is not produced by the rule's SELECT list (clientid, temp)",
                "r1.yaml:7:31: warning TPL001: ${topic} is not produced by the rule's SELECT list (clientid, temp)",
            ])
        #expect(loaded.isValid)
    }
}
