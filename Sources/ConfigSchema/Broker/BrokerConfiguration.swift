/// What a node is told at its start: plain values, read once. Keys, defaults and docs are in `BrokerFields`.
package struct BrokerConfiguration: Sendable {
    package var node: NodeSettings
    package var cluster: ClusterSettings
    package var listeners: [ListenerSettings]
    package var access: AccessSettings
    package var mqtt: MQTTSettings
    package var retainer: RetainerSettings
    package var delayed: DelayedSettings
    package var rewrites: [RewriteSettings]
    package var autoSubscriptions: [AutoSubscribeSettings]
    package var sysTopics: SysTopicSettings
    package var alarm: AlarmSettings
    package var durability: DurabilityMode
    package var rules: RuleFileSettings
    package var log: LogSettings
    /// How long queued work may go on after SIGTERM.
    package var drainTimeout: Duration
}

/// What must have happened before a message is acknowledged.
package enum DurabilityMode: String, Sendable, CaseIterable { case none, process, fsync }

package struct NodeSettings: Sendable {
    package enum Role: String, Sendable, CaseIterable { case core, replicant }

    /// `name@host`.
    package var name: String
    /// Nil: the node makes one at its first start.
    package var cookie: SecretString?
    package var role: Role
    package var dataDirectory: String
    /// Nil: one per core.
    package var shards: Int?

    /// The part behind the `@`.
    package var host: String {
        name.split(separator: "@", maxSplits: 1).last.map(String.init) ?? name
    }
}

package struct ListenerSettings: Sendable {
    package enum Kind: String, Sendable, CaseIterable {
        case tcp, ssl, ws, wss

        package var usesTLS: Bool { self == .ssl || self == .wss }
        package var usesWebSocket: Bool { self == .ws || self == .wss }
    }

    package enum Transport: String, Sendable, CaseIterable { case epoll, nio }

    /// Whether the authenticators are asked about a listener's clients. [EMQX enable_authn]
    package enum ListenerAuthentication: String, Sendable, CaseIterable {
        case on = "true"
        case off = "false"
        /// Clients without credentials are refused before anybody is asked.
        case quickDeny = "quick_deny_anonymous"
    }

    package var kind: Kind
    package var name: String
    package var bind: BindAddress
    package var isEnabled: Bool
    package var authentication: ListenerAuthentication
    package var maximumConnections: Limit<Int>
    package var transport: Transport
    package var proxy: ProxySettings
    package var rates: RateSettings
    package var tcp: TCPSettings
    /// There for `ssl` and `wss`.
    package var tls: TLSSettings?
    /// There for `ws` and `wss`.
    package var webSocket: WebSocketSettings?

    /// `tcp:default`, as in EMQX's commands.
    package var id: String { "\(kind.rawValue):\(name)" }
}

/// Who may speak for a client's address.
package struct ProxySettings: Sendable {
    package enum Mode: String, Sendable { case off, on, auto }

    package var mode: Mode
    /// From the accept to the end of the header.
    package var timeout: Duration
    package var trustedAddresses: [AddressRange]
}

/// What a listener takes in a time: connections in all, messages and bytes of each client.
package struct RateSettings: Sendable {
    package var connections: Limit<Rate>
    package var messages: Limit<Rate>
    package var bytes: Limit<Rate>
}

package struct TCPSettings: Sendable {
    package struct KeepAlive: Sendable, Equatable {
        package var idleSeconds: Int
        package var intervalSeconds: Int
        package var probes: Int
    }

    package var backlog: Int
    package var noDelay: Bool
    package var keepAlive: KeepAlive?
    /// Bytes a connection may hold unsent before reading from its publishers stops.
    package var highWatermark: ByteSize
    /// How long a client may take nothing while bytes wait for it.
    package var sendTimeout: Limit<Duration>
    /// Nil: the system's.
    package var receiveBuffer: ByteSize?
    package var sendBuffer: ByteSize?
}

package struct TLSSettings: Sendable {
    package enum Verify: String, Sendable, CaseIterable {
        case none = "verify_none"
        case peer = "verify_peer"
    }

    package var certificateFile: String
    package var keyFile: String
    package var keyPassword: SecretString?
    package var caCertificateFile: String?
    package var verify: Verify
    package var failsWithoutPeerCertificate: Bool
    package var versions: [Version]
    package var handshakeTimeout: Limit<Duration>
    package var revocationListFile: String?
    package var serverNames: [ServerName]

    package enum Version: String, Sendable, CaseIterable {
        case v12 = "tlsv1.2"
        case v13 = "tlsv1.3"
    }

    /// The certificate for clients that ask for a name.
    package struct ServerName: Sendable {
        /// Lower case; `*.example.org` for all one level below.
        package var pattern: String
        package var certificateFile: String
        package var keyFile: String
        package var keyPassword: SecretString?
    }
}

package struct WebSocketSettings: Sendable {
    package var path: String
    package var failsWithoutSubprotocol: Bool
    package var subprotocols: [String]
    package var maximumFrameSize: Limit<ByteSize>
    /// Between two frames of the client.
    package var idleTimeout: Limit<Duration>
    package var allowsMissingOrigin: Bool
    /// Empty: every origin.
    package var origins: [String]
    /// Lower case; what a trusted proxy says about the client.
    package var addressHeader: String
    package var portHeader: String
}

/// The `mqtt.*` zone with EMQX's meaning.
package struct MQTTSettings: Sendable {
    /// What of a client's certificate stands for a name.
    package enum PeerCertificateName: String, Sendable, CaseIterable {
        case disabled
        case commonName = "cn"
        case distinguishedName = "dn"
    }

    package enum SharedStrategy: String, Sendable, CaseIterable {
        case random
        case roundRobin = "round_robin"
        case roundRobinPerGroup = "round_robin_per_group"
        case sticky, local
        case hashTopic = "hash_topic"
        case hashClientID = "hash_clientid"
    }

    /// What of a client's certificate becomes its name. [EMQX peer_cert_as_username]
    package enum CertificateName: String, Sendable, CaseIterable { case disabled, cn, dn, san }

    /// From the connection to its CONNECT.
    package var idleTimeout: Limit<Duration>
    package var maximumPacketSize: ByteSize
    package var maximumClientIDLength: Int
    package var maximumTopicLevels: Int
    package var topicAliasMaximum: Int
    package var maximumQoS: Int
    package var retainAvailable: Bool
    package var wildcardSubscription: Bool
    package var sharedSubscription: Bool
    package var exclusiveSubscription: Bool
    package var sharedStrategy: SharedStrategy
    package var ignoresLoopDelivery: Bool
    /// For 3.1.1 clients with clean_session=0, and the bound for MQTT 5 ones.
    package var sessionExpiryInterval: Duration
    package var messageExpiryInterval: Limit<Duration>
    package var maximumInflight: Int
    package var maximumAwaitingRelease: Limit<Int>
    /// For PUBREL, after PUBREC.
    package var awaitReleaseTimeout: Limit<Duration>
    package var retryInterval: Limit<Duration>
    package var maximumQueueLength: Limit<Int>
    package var maximumQueueBytes: ByteSize
    package var queuesQoS0: Bool
    package var maximumSubscriptions: Limit<Int>
    package var upgradesQoS: Bool
    /// Seconds the server imposes; nil leaves it to the client.
    package var serverKeepAlive: Int?
    package var keepAliveMultiplier: Double
    package var responseInformation: String
    package var usesUsernameAsClientID: Bool
    package var certificateAsUsername: CertificateName
    package var certificateAsClientID: CertificateName
}

package struct RetainerSettings: Sendable {
    package var isEnabled: Bool
    /// Zero: kept until replaced.
    package var messageExpiryInterval: Duration
    package var maximumPayloadSize: ByteSize
    package var maximumMessages: Limit<Int>
}

package struct SysTopicSettings: Sendable {
    package var messageInterval: Limit<Duration>
    package var heartbeatInterval: Limit<Duration>
    package var tellsConnected: Bool
    package var tellsDisconnected: Bool
    package var tellsSubscribed: Bool
    package var tellsUnsubscribed: Bool
}

package struct AlarmSettings: Sendable {
    package enum Action: String, Sendable, CaseIterable { case log, publish }

    /// What happens when an alarm begins or ends.
    package var actions: [Action]
    /// Alarms that are over and kept.
    package var historyLimit: Int
    /// How long these are kept.
    package var historyPeriod: Duration
}

package struct RuleFileSettings: Sendable {
    package enum TestsOnLoad: String, Sendable, CaseIterable { case require, warn, off }
    /// Where rules come from: this node's files, or the cluster alone.
    package enum Source: String, Sendable, CaseIterable { case files, cluster }

    /// Files and directories, relative to the working directory.
    package var paths: [String]
    /// True when nobody named them: a missing directory is no mistake then.
    package var pathsAreDefault: Bool
    package var source: Source
    package var testsOnLoad: TestsOnLoad
    /// Whether files that are wrong are the end of the start even where the cluster has rules.
    package var requiresValid: Bool
    package var ignoresSysMessages: Bool
}

package struct LogSettings: Sendable {
    package enum Level: String, Sendable, CaseIterable { case debug, info, notice, warning, error }
    package enum Format: String, Sendable, CaseIterable { case text, json }

    package var level: Level
    package var format: Format
}
