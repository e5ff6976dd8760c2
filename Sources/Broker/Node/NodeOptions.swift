import ConfigSchema
package import Storage

/// What a node is made of, in the form that the broker works with; made from the configuration file.
package struct NodeOptions: Sendable {
    package var name = "sluice@127.0.0.1"
    package var version: String
    /// Threads that carry connections; a TLS or WebSocket listener adds as many event loops. At most 64 in all count.
    package var shards: Int
    package var listeners: [ListenerOptions] = []
    package var mqtt = MQTTZone()
    package var ignoresSystemTopics = true
    /// Milliseconds.
    package var heartbeatInterval: Int64 = 30_000
    /// Milliseconds.
    package var systemMessageInterval: Int64 = 60_000
    package var alarm = AlarmOptions()
    /// Where sessions and retained messages are kept; nil keeps them in memory alone.
    package var storage: StorageOptions?
    /// What `getenv()` in rules sees; names without their prefix.
    package var ruleEnvironment: [String: String] = [:]

    package init(version: String, shards: Int) {
        self.version = version
        self.shards = shards
    }
}

package struct StorageOptions: Sendable {
    /// Made when it is not there; its parent must be.
    package var directory: String
    package var durability = Durability.process

    package init(directory: String) { self.directory = directory }
}

package struct ListenerOptions: Sendable {
    package enum Kind: String, Sendable { case tcp, ssl, ws, wss }
    package enum Transport: String, Sendable { case epoll, nio }
    package enum ProxyMode: Sendable { case off, on, auto }

    /// Whether the authenticators are asked, and whether clients without credentials are refused before.
    package enum Authentication: Sendable { case on, off, quickDeny }

    package var kind: Kind
    package var name: String
    package var host: String
    package var port: Int
    /// Of a unix socket, instead of host and port.
    package var path: String?
    package var proxyMode = ProxyMode.off
    /// Milliseconds.
    package var proxyTimeout: Int64 = 3000
    var trustedAddresses: [AddressRange] = []
    var connectionRate: TokenBucket.Rate?
    /// Of each client, as is the next.
    var messageRate: TokenBucket.Rate?
    var byteRate: TokenBucket.Rate?
    package var transport = Transport.epoll
    package var authentication = Authentication.on
    package var maxConnections = Int.max
    package var backlog = 1024
    package var noDelay = true
    /// Bytes that a client has not taken, from which on messages wait in its session.
    package var highWaterMark = 1024 * 1024
    /// Milliseconds that a full socket may go without its client taking a byte; `.max` for any time.
    package var sendTimeout: Int64 = 15_000
    package var receiveBuffer: Int?
    package var sendBuffer: Int?
    /// Seconds until the first probe, between probes, and how many.
    package var keepAlive: (idle: Int, interval: Int, probes: Int)?
    package var webSocketPath = "/mqtt"
    package var failsWithoutSubprotocol = true
    package var subprotocols = ["mqtt", "mqtt-v3", "mqtt-v3.1.1", "mqtt-v5"]
    /// Origins that may connect; empty for all.
    package var origins: [String] = []
    package var allowsMissingOrigin = true
    package var maxFrameSize = Int.max
    /// Milliseconds that a WebSocket may go without a frame from its client; `.max` for any time.
    package var webSocketIdleTimeout: Int64 = 7_200_000
    /// Lower case.
    package var addressHeader = "x-forwarded-for"
    package var portHeader = "x-forwarded-port"
    package var tls: TLSOptions?

    package init(kind: Kind, name: String, host: String, port: Int) {
        self.kind = kind
        self.name = name
        self.host = host
        self.port = port
    }

    package var id: String { "\(kind.rawValue):\(name)" }

    func address(port: Int) -> String { path.map { "unix:\($0)" } ?? Endpoints.name(host, port) }
}

package struct TLSOptions: Sendable {
    package var certificateFile: String
    package var keyFile: String
    package var keyPassword: String?
    package var authorityFile: String?
    /// Asks for a client certificate and checks it.
    package var verifiesPeer = false
    package var failsWithoutPeerCertificate = false
    package var allowsTLS12 = true
    package var allowsTLS13 = true
    /// Milliseconds from accept, or the PROXY header, to the end of the handshake; `.max` for any time.
    package var handshakeTimeout: Int64 = 10_000
    package var revocationListFile: String?
    package var serverNames: [ServerName] = []

    package struct ServerName: Sendable {
        /// Lower case; `*.example.org` for all one level below.
        package var pattern: String
        package var certificateFile: String
        package var keyFile: String
        package var keyPassword: String?
    }

    package init(certificateFile: String, keyFile: String) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
    }
}
