import ConfigSchema
import Testing

@Suite("Cluster settings") struct ClusterSettingsTests {
    private func load(_ text: String, _ variables: [String: String] = [:]) -> BrokerConfiguration.Loaded {
        BrokerConfiguration.load(
            file: "c.yaml",
            environment: Environment(variables: variables, readFile: { $0 == "c.yaml" ? Array(text.utf8) : nil }))
    }

    @Test func `A node that says nothing of a cluster waits for a join by hand`() throws {
        let cluster = try #require(load("node: {name: n3@10.0.0.1}").configuration).cluster
        #expect(cluster.discovery == .manual)
        #expect(!cluster.isConfigured)
        #expect(cluster.bind(nodeName: "n3@10.0.0.1").description == "10.0.0.1:5373")
        #expect(cluster.address(nodeName: "n3@10.0.0.1") == "10.0.0.1:5373")
        #expect(cluster.bind(nodeName: "node@a.example.org").description == "0.0.0.0:5370")
    }

    @Test func `EMQX's keys are understood`() throws {
        let loaded = load(
            """
            node: {name: n1@10.0.0.1, role: replicant, cookie: "${env:COOKIE}"}
            cluster:
              name: plant
              discovery_strategy: static
              listen: 10.0.0.1:7000
              autoclean: disabled
              static: {seeds: ["n2@10.0.0.2", "n3@10.0.0.3:7001"]}
            rules: {source: cluster, require_valid: false}
            """, ["COOKIE": "0123456789abcdef0123456789abcdef"])
        #expect(loaded.problems.isEmpty)
        let configuration = try #require(loaded.configuration)
        #expect(configuration.node.role == .replicant)
        #expect(configuration.cluster.name == "plant")
        #expect(configuration.cluster.discovery == .fromList)
        #expect(configuration.cluster.seeds == ["n2@10.0.0.2", "n3@10.0.0.3:7001"])
        #expect(configuration.cluster.bind(nodeName: "n1@10.0.0.1").port == 7000)
        #expect(configuration.rules.source == .cluster)
        #expect(!configuration.rules.requiresValid)
    }

    @Test func `Variables set what a container needs`() throws {
        let loaded = load(
            "{}",
            [
                "SLUICE_NODE__NAME": "n2@h", "SLUICE_CLUSTER__DISCOVERY_STRATEGY": "dns",
                "SLUICE_CLUSTER__DNS__NAME": "brokers", "SLUICE_CLUSTER__DNS__RECORD_TYPE": "srv",
                "SLUICE_CLUSTER__STATIC__SEEDS": "['a@h', 'b@h']",
            ])
        let cluster = try #require(loaded.configuration).cluster
        #expect(cluster.discovery == .dns)
        #expect(cluster.dnsName == "brokers")
        #expect(cluster.recordType == .srv)
        #expect(cluster.seeds == ["a@h", "b@h"])
    }

    @Test(arguments: [
        "cluster: {discovery_strategy: etcd}", "cluster: {etcd: {server: x}}", "cluster: {listen: nowhere}",
        "node: {role: leader}", "rules: {source: nowhere}",
    ])
    func `What is wrong is said`(_ text: String) { #expect(load(text).configuration == nil) }
}
