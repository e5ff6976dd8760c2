/// How a node finds others and is found. [EMQX configuration: cluster]
package struct ClusterSettings: Sendable {
    package enum Discovery: String, Sendable, CaseIterable {
        case manual, singleton
        case fromList = "static"
        case dns
    }

    package enum RecordType: String, Sendable, CaseIterable { case a, aaaa, srv }

    package var name: String
    package var discovery: Discovery
    /// Nil: where ``bind(nodeName:)`` says.
    package var listen: BindAddress?
    /// Nil: the host of the node's name.
    package var advertise: String?
    package var seeds: [String]
    package var dnsName: String
    package var recordType: RecordType
    /// Whether the configuration says anything about the cluster.
    package var isConfigured: Bool

    init(_ values: ConfigValues, isConfigured: Bool) {
        typealias Fields = BrokerFields.Cluster
        name = values[Fields.name]
        discovery = values[Fields.strategy]
        listen = values[Fields.listen]
        advertise = values[Fields.advertise]
        seeds = values[Fields.staticSeeds][BrokerFields.Static.seeds]
        dnsName = values[Fields.dns][BrokerFields.DNS.name]
        recordType = values[Fields.dns][BrokerFields.DNS.recordType]
        self.isConfigured = isConfigured
    }

    /// Where the node of that name waits for others.
    package func bind(nodeName: String) -> BindAddress {
        if let listen { return listen }
        let parts = nodeName.split(separator: "@", maxSplits: 1)
        let host = parts.count == 2 ? String(parts[1]) : ""
        return BindAddress(
            host: NetworkAddress(host) == nil ? "0.0.0.0" : host, port: Self.port(nodeName: nodeName))
    }

    /// 5370 and the number at the end of the part before the `@`. [EMQX: rpc ports]
    package static func port(nodeName: String) -> Int {
        let head = nodeName.split(separator: "@", omittingEmptySubsequences: false).first ?? ""
        let digits = String(head.reversed().prefix { $0.isASCII && $0.isNumber }.reversed())
        let port = 5370 + (Int(digits) ?? 0)
        return port <= 65_535 ? port : 5370
    }

    /// By which others reach that node: `host:port`.
    package func address(nodeName: String) -> String {
        if let advertise { return advertise }
        let host = nodeName.split(separator: "@", maxSplits: 1).last.map(String.init) ?? nodeName
        let port = bind(nodeName: nodeName).port
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
