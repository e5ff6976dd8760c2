import ConfigSchema
import Foundation
import Testing

@Suite struct `The page of the configuration` {
    private let paths = ConfigReference.sections.flatMap(\.rows).map(\.path)

    @Test func `the page is what the fields say`() throws {
        var folder = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { folder.deleteLastPathComponent() }
        let page = try String(contentsOf: folder.appendingPathComponent("docs/reference/config.md"), encoding: .utf8)
        #expect(page == ConfigReference.markdown(), "run `make config-page`")
    }

    @Test(arguments: [
        "mqtt.max_packet_size", "listeners.tcp.<name>.bind",
        "listeners.wss.<name>.ssl_options.sni_hosts.<name>.certfile",
        "rewrite[].re", "authentication[].secret", "authentication[].password_hash_algorithm.iterations",
        "authentication[].iteration_count", "authorization.sources[].url", "authorization.cache.ttl", "durability",
        "auto_subscribe.topics[].qos",
    ])
    func `keys of every kind are there`(path: String) { #expect(paths.contains(path)) }

    @Test func `every key says what it is`() {
        for row in ConfigReference.sections.flatMap(\.rows) where row.field.noEffect == nil {
            #expect(!row.field.doc.isEmpty, "\(row.path)")
        }
    }

    @Test func `what is said of EMQX's names is said of keys that there are`() {
        for name in ConfigReference.emqxNames.keys {
            #expect(paths.contains { $0 == name || $0.hasSuffix("." + name) }, "\(name)")
        }
    }

    @Test func `no secret has a default to show`() {
        for row in ConfigReference.sections.flatMap(\.rows) where row.field.isSecret {
            #expect(row.field.defaultText == nil, "\(row.path)")
        }
    }
}
