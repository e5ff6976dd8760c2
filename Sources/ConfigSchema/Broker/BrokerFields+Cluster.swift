extension BrokerFields {
    static let cluster = Field(
        group: "cluster", Cluster.all,
        doc: "The nodes that work together. A node whose configuration has one of these keys lets others in.")

    enum Cluster {
        static let name = Field(
            "name", .nonEmptyString, default: "sluicecl",
            doc: "Nodes join only a cluster of this name. [EMQX: emqxcl by default]")
        static let strategy = Field(
            "discovery_strategy", FieldType<ClusterSettings.Discovery>.choice, default: .manual,
            doc:
                "How a node that is on its own finds others: `manual` and `singleton` (by `sluice ctl cluster join` alone), "
                + "`static` (a list), `dns` (the addresses of a name).")
        static let listen = Field(
            "listen", .bindAddress,
            doc:
                "Where other nodes reach this one. By default the host of `node.name` (all addresses when that is a name), port 5370 "
                + "and the number at the end of the name's first part: 5371 for `n1@…`.")
        static let advertise = Field(
            "advertise", .nonEmptyString,
            doc:
                "`host:port` by which others reach this node where that is not the host of `node.name` with the port of `listen`."
        )
        static let staticSeeds = Field(group: "static", Static.all, doc: "For `discovery_strategy: static`.")
        static let dns = Field(group: "dns", DNS.all, doc: "For `discovery_strategy: dns`.")
        static let all = FieldSet(
            "cluster",
            [name, strategy, listen, advertise, staticSeeds, dns]
                + ["autoheal"].map { UnsupportedField($0, accepts: "true") }
                + ["proto_dist"].map { UnsupportedField($0, accepts: "inet_tcp") }
                + ["autoclean"].map { UnsupportedField($0, accepts: "disabled") }
                + ["etcd", "k8s", "core_nodes", "links"].map { UnsupportedField($0) })
    }

    enum Static {
        static let seeds = Field(
            "seeds", .list(.nonEmptyString), default: [], doc: "Nodes, as `name@host` or `name@host:port`.")
        static let all = FieldSet("cluster.static", [seeds])
    }

    enum DNS {
        static let name = Field(
            "name", .nonEmptyString, default: "localhost", doc: "The name whose addresses are nodes.")
        static let recordType = Field(
            "record_type", FieldType<ClusterSettings.RecordType>.choice, default: .a,
            doc: "`a` and `aaaa`: addresses, with the port of this node's `listen`; `srv`: hosts and ports.")
        static let all = FieldSet("cluster.dns", [name, recordType])
    }
}
