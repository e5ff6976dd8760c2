package import ConfigSchema
import Glibc
import Storage

extension NodeOptions {
    /// The node that a configuration file describes.
    package init(_ configuration: BrokerConfiguration, version: String, environment: [String: String]) {
        self.init(version: version, shards: configuration.node.shards ?? Self.cores)
        name = configuration.node.name
        listeners = configuration.listeners.filter(\.isEnabled).map { ListenerOptions($0) }
        mqtt = MQTTZone(configuration)
        ignoresSystemTopics = configuration.rules.ignoresSysMessages
        heartbeatInterval = configuration.sysTopics.heartbeatInterval.finite?.milliseconds ?? 0
        systemMessageInterval = configuration.sysTopics.messageInterval.finite?.milliseconds ?? 0
        ruleEnvironment = Self.ruleEnvironment(environment)
        alarm.logs = configuration.alarm.actions.contains(.log)
        alarm.publishes = configuration.alarm.actions.contains(.publish)
        if let durability = Durability(rawValue: configuration.durability.rawValue), durability != .none {
            var storage = StorageOptions(directory: configuration.node.dataDirectory + "/store")
            storage.durability = durability
            self.storage = storage
        }
        alarm.historyLimit = configuration.alarm.historyLimit
        alarm.historyPeriod = configuration.alarm.historyPeriod.milliseconds * 1000
    }

    /// Processors that this process may run on.
    private static var cores: Int { min(32, max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))) }

    /// What `getenv('X')` finds: `EMQXVAR_X`, then `SLUICEVAR_X`.
    package static func ruleEnvironment(_ environment: [String: String]) -> [String: String] {
        var visible: [String: String] = [:]
        for prefix in ["SLUICEVAR_", "EMQXVAR_"] {
            for (name, value) in environment where name.hasPrefix(prefix) {
                visible[String(name.dropFirst(prefix.count))] = value
            }
        }
        return visible
    }
}

extension ListenerOptions {
    fileprivate init(_ settings: ListenerSettings) {
        self.init(
            kind: Kind(rawValue: settings.kind.rawValue) ?? .tcp, name: settings.name, host: settings.bind.host,
            port: settings.bind.port)
        path = settings.bind.path
        transport = settings.transport == .nio ? .nio : .epoll
        proxyMode =
            switch settings.proxy.mode {
            case .off: .off
            case .on: .on
            case .auto: .auto
            }
        proxyTimeout = settings.proxy.timeout.milliseconds
        trustedAddresses = settings.proxy.trustedAddresses
        connectionRate = settings.rates.connections.finite.map { TokenBucket.Rate($0) }
        messageRate = settings.rates.messages.finite.map { TokenBucket.Rate($0) }
        byteRate = settings.rates.bytes.finite.map { TokenBucket.Rate($0) }
        switch settings.authentication {
        case .on: authentication = .on
        case .off: authentication = .off
        case .quickDeny: authentication = .quickDeny
        }
        maxConnections = settings.maximumConnections.finite ?? .max
        backlog = settings.tcp.backlog
        noDelay = settings.tcp.noDelay
        highWaterMark = settings.tcp.highWatermark.bytes
        sendTimeout = settings.tcp.sendTimeout.finite?.milliseconds ?? .max
        receiveBuffer = settings.tcp.receiveBuffer?.bytes
        sendBuffer = settings.tcp.sendBuffer?.bytes
        keepAlive = settings.tcp.keepAlive.map { ($0.idleSeconds, $0.intervalSeconds, $0.probes) }
        if let webSocket = settings.webSocket {
            webSocketPath = webSocket.path
            failsWithoutSubprotocol = webSocket.failsWithoutSubprotocol
            subprotocols = webSocket.subprotocols
            origins = webSocket.origins
            allowsMissingOrigin = webSocket.allowsMissingOrigin
            webSocketIdleTimeout = webSocket.idleTimeout.finite?.milliseconds ?? .max
            maxFrameSize = webSocket.maximumFrameSize.finite?.bytes ?? .max
            addressHeader = webSocket.addressHeader
            portHeader = webSocket.portHeader
        }
        if let tls = settings.tls {
            var options = TLSOptions(certificateFile: tls.certificateFile, keyFile: tls.keyFile)
            options.keyPassword = tls.keyPassword?.revealed
            options.authorityFile = tls.caCertificateFile
            options.verifiesPeer = tls.verify == .peer
            options.failsWithoutPeerCertificate = tls.failsWithoutPeerCertificate
            options.allowsTLS12 = tls.versions.contains(.v12)
            options.allowsTLS13 = tls.versions.contains(.v13)
            options.handshakeTimeout = tls.handshakeTimeout.finite?.milliseconds ?? .max
            options.revocationListFile = tls.revocationListFile
            options.serverNames = tls.serverNames.map {
                TLSOptions.ServerName(
                    pattern: $0.pattern, certificateFile: $0.certificateFile, keyFile: $0.keyFile,
                    keyPassword: $0.keyPassword?.revealed)
            }
            self.tls = options
        }
    }
}

extension TokenBucket.Rate {
    fileprivate init(_ rate: Rate) {
        self.init(burst: Double(rate.count), perMillisecond: rate.perSecond / 1000)
    }
}

extension MQTTZone {
    fileprivate init(_ configuration: BrokerConfiguration) {
        self.init()
        let mqtt = configuration.mqtt
        idleTimeout = mqtt.idleTimeout.finite?.milliseconds ?? .max / 4
        maxPacketSize = mqtt.maximumPacketSize.bytes
        maxClientIDLength = mqtt.maximumClientIDLength
        maxTopicLevels = mqtt.maximumTopicLevels
        maxTopicAlias = mqtt.topicAliasMaximum
        maxQoS = UInt8(clamping: mqtt.maximumQoS)
        retainAvailable = mqtt.retainAvailable
        wildcardSubscription = mqtt.wildcardSubscription
        sharedSubscription = mqtt.sharedSubscription
        sharedStrategy = SharedStrategy(rawValue: mqtt.sharedStrategy.rawValue) ?? .roundRobin
        sessionExpiryInterval = UInt32(clamping: mqtt.sessionExpiryInterval.milliseconds / 1000)
        messageExpiryInterval = mqtt.messageExpiryInterval.finite?.milliseconds ?? .max
        maxInflight = mqtt.maximumInflight
        receiveMaximum = min(65_535, mqtt.maximumAwaitingRelease.finite ?? 65_535)
        awaitReleaseTimeout = mqtt.awaitReleaseTimeout.finite?.milliseconds ?? .max
        retryInterval = mqtt.retryInterval.finite?.milliseconds ?? .max
        queueLimits = QueueLimits(messages: mqtt.maximumQueueLength.finite ?? .max, bytes: mqtt.maximumQueueBytes.bytes)
        queuesQoS0 = mqtt.queuesQoS0
        maxSubscriptions = mqtt.maximumSubscriptions.finite ?? .max
        upgradesQoS = mqtt.upgradesQoS
        ignoresLoopDelivery = mqtt.ignoresLoopDelivery
        serverKeepAlive = mqtt.serverKeepAlive.map { UInt16(clamping: $0) }
        keepAliveMultiplier = mqtt.keepAliveMultiplier
        responseInformation = mqtt.responseInformation
        useUsernameAsClientID = mqtt.usesUsernameAsClientID
        certificateAsUsername = CertificateName(rawValue: mqtt.certificateAsUsername.rawValue) ?? .disabled
        certificateAsClientID = CertificateName(rawValue: mqtt.certificateAsClientID.rawValue) ?? .disabled
        retainerEnabled = configuration.retainer.isEnabled
        retainedExpiryInterval = configuration.retainer.messageExpiryInterval.milliseconds
        retainedPayloadLimit = configuration.retainer.maximumPayloadSize.bytes
        retainedLimit = configuration.retainer.maximumMessages.finite ?? 0
        topics = TopicOptions(configuration)
    }
}

extension Duration {
    /// Whole milliseconds.
    var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
