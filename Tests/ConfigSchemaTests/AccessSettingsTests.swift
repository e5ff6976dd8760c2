import ConfigSchema
import Testing

struct AccessSettingsTests {
    private func load(_ yaml: String, _ variables: [String: String] = [:]) -> BrokerConfiguration.Loaded {
        let environment = Environment(variables: variables) { path in
            path == "sluice.yaml" ? Array(yaml.utf8) : path == "/secret" ? Array("from-file\n".utf8) : nil
        }
        return BrokerConfiguration.load(file: "sluice.yaml", environment: environment)
    }

    private let open = "listeners: {tcp: {a: {bind: 1883}}}\n"
    private let authenticated = "authentication: [{mechanism: password_based, backend: built_in_database}]\n"

    @Test func `a listener for other machines needs authentication or a word that it is meant`() {
        let refused = load(open)
        #expect(refused.configuration == nil)
        #expect(
            refused.problems.map(\.headline) == [
                "sluice.yaml:1:29: error SEC003: tcp:a listens on 0.0.0.0:1883 and nobody asks its clients who they are; "
                    + "configure \"authentication\", bind to 127.0.0.1, or write \"allow_anonymous: true\""
            ])
        #expect(load(open + "allow_anonymous: true\n").configuration != nil)
        #expect(load("listeners: {tcp: {a: {bind: 1883, allow_anonymous: true}}}\n").configuration != nil)
        #expect(load(open + authenticated).configuration != nil)
        #expect(
            load("listeners: {tcp: {a: {bind: \"127.0.0.1:1883\"}, b: {bind: \"[::1]:1884\"}}}\n").configuration != nil)
        // Nobody is asked there either.
        #expect(load("listeners: {tcp: {a: {bind: 1883, enable_authn: false}}}\n" + authenticated).configuration == nil)
        #expect(
            load(open + "authentication: [{mechanism: password_based, enable: false}]\n").configuration == nil)
        #expect(
            load("allow_anonymous: true\nlisteners: {tcp: {a: {bind: 1883, allow_anonymous: false}}}\n").configuration
                == nil)
    }

    @Test func `secrets come by reference and print as stars`() throws {
        let loaded = load(
            "authentication: [{mechanism: jwt, secret: \"${env:KEY}\"}, {mechanism: jwt, secret: \"${file:/secret}\"}]\n",
            ["KEY": "canary-51c9"])
        let settings = try #require(loaded.configuration).access
        guard case .token(let first) = settings.authenticators[0], case .token(let second) = settings.authenticators[1]
        else {
            Issue.record("no tokens")
            return
        }
        #expect(first.secret?.revealed == "canary-51c9" && second.secret?.revealed == "from-file")
        #expect(!"\(settings)".contains("canary-51c9"))
    }

    @Test(arguments: [
        "authentication: [{mechanism: jwt}]", "authentication: [{mechanism: jwt, use_jwks: true}]",
        "authentication: [{mechanism: jwt, algorithm: public-key}]", "authentication: [{backend: http}]",
        "authentication: [{mechanism: password_based, backend: http}]",
        "authentication: [{mechanism: password_based, backend: file}]",
        "authentication: [{mechanism: password_based, pasword_hash_algorithm: {}}]",
        "authentication: [{mechanism: client_certificate, backend: http}]",
        "authorization: {sources: [{type: file}]}", "authorization: {sources: [{type: file, path: a, rules: []}]}",
        "authorization: {sources: [{type: redis}]}", "authorization: {no_match: maybe}",
        "authentication: [{mechanism: password_based, password_hash_algorithm: {name: scrypt, rounds: 1000}}]",
    ])
    func `half a configuration is an error`(yaml: String) {
        #expect(load(yaml + "\n").configuration == nil)
    }
}
