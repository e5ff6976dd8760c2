import Broker
import Cluster
import ConfigSchema
import Dispatch
import Glibc
import Logging

/// A node's part in a cluster, from the configuration: identity, links, membership, discovery.
///
/// Three steps, in this order: made before the broker starts, ``open()`` before the rules are loaded, ``link()`` when the broker runs.
final class RunningCluster: Sendable {
    /// How long the start waits for a new cluster of one to be founded.
    private static let foundingSeconds = 10

    let node: ClusterNode
    let discovery: ClusterDiscovery?
    /// Where other nodes reach this one.
    let address: String
    private let mesh: Mesh

    /// Whether the configuration speaks of a cluster at all; a node whose does not is on its own, without a port for others.
    static func isWanted(_ configuration: BrokerConfiguration) -> Bool {
        configuration.cluster.isConfigured || configuration.node.role == .replicant
            || configuration.rules.source == .cluster
    }

    /// - Throws: ``Failure`` for a cookie that is none, and for files that can't be read or written.
    init(_ configuration: BrokerConfiguration, for broker: BrokerNode, logger: Logger) throws {
        let settings = configuration.cluster
        let (name, directory) = (configuration.node.name, configuration.node.dataDirectory)
        let role: NodeRole = configuration.node.role == .core ? .core : .replicant
        let bind = settings.bind(nodeName: name)
        address = settings.address(nodeName: name)
        let storage = RaftStorage(dataDirectory: directory, logger: logger)
        do {
            let (identity, _) = try storage.identity()
            var options = MeshOptions(
                name: NodeName(name), listen: MeshAddress(host: bind.host, port: bind.port),
                cookie: try Self.cookie(configuration, logger),
                certificate: try .readOrMake(directory + "/mesh.pem", name: NodeName(name)), nodeID: identity.id,
                version: sluiceVersion)
            options.role = role
            options.clusterID = identity.clusterID
            options.epoch = identity.epoch
            options.advertised = address
            mesh = try Mesh(options, logger: logger)
        } catch { throw Failure("the cluster: \(error)") }
        broker.attach(mesh: mesh)
        let node = ClusterNode(
            ClusterOptions(
                name: name, role: role, clusterName: settings.name, address: address, version: sluiceVersion),
            storage: storage, mesh: mesh, logger: logger)
        self.node = node
        discovery = try Self.seeds(settings, port: bind.port).map { seeds in
            ClusterDiscovery(node, strategy: settings.discovery.rawValue, logger: logger, seeds: seeds)
        }
    }

    private static func cookie(_ configuration: BrokerConfiguration, _ logger: Logger) throws -> MeshCookie {
        if let configured = configuration.node.cookie { return try MeshCookie(configured.revealed) }
        let path = configuration.node.dataDirectory + "/cookie"
        let (cookie, isNew) = try CookieFile.readOrMake(path)
        if isNew {
            logger.notice(
                "A cookie was made. Nodes that are to join need the same one: copy the file into their data directories, or name it in node.cookie.",
                metadata: ["cluster.cookie_file": "\(path)"])
        }
        return cookie
    }

    /// Nil where nodes join by command alone.
    private static func seeds(_ settings: ClusterSettings, port: Int) throws -> (@Sendable () -> [String])? {
        switch settings.discovery {
        case .manual, .singleton: return nil
        case .fromList:
            let seeds = settings.seeds
            for seed in seeds where ClusterAddress(seed) == nil {
                throw Failure("cluster.static.seeds: \"\(seed)\" is no node; write name@host or name@host:port")
            }
            return { seeds }
        case .dns:
            guard settings.recordType != .srv else {
                throw Failure("cluster.dns.record_type: srv is not supported yet; a and aaaa are")
            }
            let (name, family) = (settings.dnsName, settings.recordType == .a ? AF_INET : AF_INET6)
            return { addresses(of: name, family: family, port: port) }
        }
    }

    /// Empty while the name can't be resolved: discovery asks again.
    private static func addresses(of name: String, family: Int32, port: Int) -> [String] {
        var hints = addrinfo()
        hints.ai_family = family
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(name, nil, &hints, &list) == 0 else { return [] }
        defer { freeaddrinfo(list) }
        var found: [String] = []
        var next = list
        while let entry = next {
            var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let status = getnameinfo(
                entry.pointee.ai_addr, entry.pointee.ai_addrlen, &host, socklen_t(host.count), nil, 0, NI_NUMERICHOST)
            if status == 0 {
                let text = String(decoding: host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
                found.append(MeshAddress(host: text, port: port).description)
            }
            next = entry.pointee.ai_next
        }
        return found
    }

    // MARK: Start and stop

    /// Reads the last known state and takes part in the log; waits for the state of a cluster that is founded now.
    func open() throws {
        do { try node.start() } catch { throw Failure("the cluster: \(error)") }
        guard node.options.role == .core else { return }
        let founded = DispatchSemaphore(value: 0)
        node.store.machine.observe { state, _ in if state.clusterID != 0 { founded.signal() } }
        if node.store.state.clusterID == 0 { _ = founded.wait(timeout: .now() + .seconds(Self.foundingSeconds)) }
    }

    /// Lets other nodes in, and reaches for them.
    func link() throws {
        do { try mesh.start() } catch { throw Failure("\(error); change cluster.listen") }
        discovery?.start()
    }

    /// Before the broker ends.
    func stop() {
        discovery?.stop()
        node.stop()
        mesh.stop()
    }
}
