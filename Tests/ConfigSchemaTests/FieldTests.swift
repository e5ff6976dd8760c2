import ConfigSchema
import Testing

private enum Sample {
    static let url = Field("url", .nonEmptyString, .required, doc: "where")
    static let pool = Field("pool_size", .int(1...1024), default: 8, doc: "connections")
    static let timeout = Field("timeout", .duration, default: .seconds(15), aliases: ["connect_timeout"], doc: "wait")
    static let size = Field("size", .byteSize, default: .megabytes(256), doc: "bytes")
    static let rate = Field("rate", .rate, default: .infinity, doc: "at most")
    static let proxy = Field("proxy", .string, doc: "through")
    static let secret = Field("secret", .secret, doc: "key")
    static let headers = Field("headers", .map(.string), default: [], doc: "headers")
    static let order = Field("order", .choice("none", "client", "topic"), default: "client", doc: "order")
    static let tags = Field("tags", .list(.string), default: [], doc: "tags")
    static let enable = Field("enable", .bool, default: true, doc: "on")
    static let body = Field("body", .any, doc: "template")
    static let retryMax = Field("max", .durationOrInfinity, default: .at(.seconds(300)), doc: "longest")
    static let retry = Field(group: "retry", FieldSet("retry", [retryMax]), doc: "again")
    static let all = FieldSet(
        "connectors.http",
        [
            url, pool, timeout, size, rate, proxy, secret, headers, order, tags, enable, body, retry,
            UnsupportedField("oauth2"),
        ])
}

struct FieldTests {
    private func read(_ text: String) -> (values: ConfigValues?, problems: [String]) {
        guard let root = Parsed(text).root else { return (nil, ["no document"]) }
        var problems: [ConfigProblem] = []
        let values = Sample.all.read(root, path: ["connectors", "http", "c"], &problems)
        return (
            values,
            problems.map { "\($0.line):\($0.column) \($0.code) \($0.message)" + ($0.hint.map { "; \($0)" } ?? "") }
        )
    }

    @Test func `absent keys have their defaults`() throws {
        let values = try #require(read("url: http://x").values)
        #expect(values[Sample.url] == "http://x")
        #expect(values[Sample.pool] == 8)
        #expect(values[Sample.timeout] == .seconds(15))
        #expect(values[Sample.rate] == .infinity)
        #expect(values[Sample.proxy] == nil)
        #expect(values[Sample.secret] == nil)
        #expect(values[Sample.retry][Sample.retryMax] == .at(.seconds(300)))
        #expect(!values.isSet(Sample.pool))
    }

    @Test func `given keys are read with their units, and remember their place`() throws {
        let values = try #require(
            read(
                """
                url: http://x
                pool_size: 4
                connect_timeout: 1h30m
                size: 64KB
                rate: 100/10s
                proxy: 8080
                headers: {x-one: "1", b: c}
                order: topic
                tags: one
                enable: false
                body: {a: [1]}
                retry: {max: infinity}
                x-note: ignored
                """
            ).values)
        #expect(values[Sample.pool] == 4)
        #expect(values[Sample.timeout] == .seconds(5400))
        #expect(values[Sample.size] == .kilobytes(64))
        #expect(values[Sample.rate].finite?.perSecond == 10)
        #expect(values[Sample.proxy] == "8080")
        #expect(values[Sample.headers].map { "\($0.name)=\($0.value)" } == ["x-one=1", "b=c"])
        #expect(values[Sample.order] == "topic")
        #expect(values[Sample.tags] == ["one"])
        #expect(values[Sample.enable] == false)
        #expect(values[Sample.body]?.json == #"{"a":[1]}"#)
        #expect(values[Sample.retry][Sample.retryMax] == .infinity)
        #expect(values.node(Sample.pool)?.start == place(2, 12))
        let later = values.problem(.badValue, "too many", at: Sample.pool)
        #expect(later.headline == "t.yaml:2:12: error KEY003: too many")
    }

    @Test func `all mistakes are told at once`() {
        let (values, problems) = read(
            """
            pool_size: 0
            timeout: 5 parsecs
            size: big
            rate: fast
            ordr: client
            order: clients
            enable: yes
            headers: [a]
            oauth2: {token_url: x}
            tags: [a, {b: c}]
            retry: 5
            """)
        #expect(values == nil)
        #expect(
            problems == [
                "1:12 KEY004 connectors.http.c.pool_size takes an integer from 1 to 1024, not 0",
                "2:10 KEY003 connectors.http.c.timeout takes a duration such as 500ms, 15s, 10m, 2h or 7d, not \"5 parsecs\"",
                "3:7 KEY003 connectors.http.c.size takes a size such as 64KB, 256MB or 1GB, not \"big\"",
                "4:7 KEY003 connectors.http.c.rate takes a rate such as 1000/s, or infinity, not \"fast\"",
                "5:1 KEY002 unknown key \"ordr\" in connectors.http.c; did you mean \"order\"?",
                "6:8 KEY003 connectors.http.c.order takes one of none, client, topic, not \"clients\"; did you mean \"client\"?",
                "7:9 KEY003 connectors.http.c.enable takes true or false, not \"yes\"",
                "8:10 YAML005 connectors.http.c.headers takes a mapping of names to a text, not a list",
                "9:9 KEY006 connectors.http.c.oauth2 is not supported yet; leave it out",
                "10:11 YAML005 connectors.http.c.tags.2 takes a text, not a mapping",
                "11:8 YAML005 connectors.http.c.retry takes a mapping, not 5",
                "1:1 KEY001 connectors.http.c needs the key \"url\"; it takes a text",
            ])
    }

    @Test func `a key and its alias exclude each other`() {
        #expect(
            read("url: x\ntimeout: 1s\nconnect_timeout: 2s\n").problems == [
                "3:1 KEY005 \"connect_timeout\" is another name of \"timeout\", which is there too"
            ])
    }

    @Test func `a key without a value counts as absent`() throws {
        #expect(try #require(read("url: x\npool_size:\nproxy: ~\n").values)[Sample.pool] == 8)
        #expect(read("url:\n").problems == ["1:1 KEY001 connectors.http.c needs the key \"url\"; it takes a text"])
    }

    @Test func `a secret is never printed`() throws {
        let text = "url: x\nsecret: hush\n"
        let root = try #require(Parsed(text).root)
        var problems: [ConfigProblem] = []
        let values = try #require(Sample.all.read(root, path: [], &problems))
        #expect(values[Sample.secret]?.revealed == "hush")
        #expect("\(String(describing: values[Sample.secret]))".contains("hush") == false)
        #expect(problems.map(\.code) == [.literalSecret])
        #expect(!ProblemRenderer().render(problems).contains("hush"))
    }

    @Test func `a field tells of itself for the docs`() {
        #expect(Sample.timeout.defaultText == "15s")
        #expect(Sample.size.defaultText == "256MB")
        #expect(Sample.pool.expectation == "an integer from 1 to 1024")
        #expect(Sample.secret.isSecret)
        #expect(Sample.retry.nested?.fields.map(\.name) == ["max"])
    }

    @Test(arguments: [
        ("500ms", Duration.milliseconds(500)), ("15s", .seconds(15)), ("10m", .seconds(600)), ("2h", .seconds(7200)),
        ("7d", .seconds(604_800)), ("1.5s", .milliseconds(1500)), ("1h30m", .seconds(5400)), ("0", .zero),
        ("0ms", .zero),
    ])
    func `durations are read`(_ text: String, _ expected: Duration) {
        #expect(Units.duration(text) == expected)
        #expect(Units.duration(Units.show(expected)) == expected)
    }

    @Test(arguments: [
        "", "15", "s", "1x", "-1s", "1.s", ".5s", "1..5s", "1s2", "99999999999999999999s", "9999999999999d", "1 s",
    ])
    func `what is no duration is refused`(_ text: String) { #expect(Units.duration(text) == nil) }

    @Test(arguments: [
        ("1", 1), ("0", 0), ("64KB", 65536), ("1KiB", 1024), ("1mb", 1 << 20), ("1GB", 1 << 30), ("1.5KB", 1536),
        ("2 MB", 2 << 20), ("5B", 5),
    ])
    func `sizes are read`(_ text: String, _ expected: Int) { #expect(Units.byteSize(text)?.bytes == expected) }

    @Test(arguments: ["", "KB", "1XB", "-1", "1.2.3KB", "99999999999999TB"])
    func `what is no size is refused`(_ text: String) { #expect(Units.byteSize(text) == nil) }

    @Test(arguments: [
        ("1883", "0.0.0.0:1883"), (":1883", "0.0.0.0:1883"), ("127.0.0.1:0", "127.0.0.1:0"),
        ("[::1]:1883", "[::1]:1883"), ("localhost:1", "localhost:1"),
    ])
    func `bind addresses are read`(_ text: String, _ expected: String) {
        #expect(BindAddress(text)?.description == expected)
    }

    @Test(arguments: [
        "", "x", "::1:1883", "127.0.0.1", "127.0.0.1:", "1:65536", "[::1]", "[::1]1883", "[x]:1", "a b:1", "http://x:1",
    ])
    func `what is no bind address is refused`(_ text: String) { #expect(BindAddress(text) == nil) }

    @Test(arguments: [("1000/s", "1000/s"), ("5/m", "5/m"), ("100/10s", "100/10s")])
    func `rates are read`(_ text: String, _ expected: String) { #expect(Units.rate(text)?.description == expected) }
}
