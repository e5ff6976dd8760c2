extension BrokerConfiguration {
    init(_ values: ConfigValues) {
        node = NodeSettings(values[BrokerFields.node])
        cluster = ClusterSettings(
            values[BrokerFields.cluster], isConfigured: values.isSet(BrokerFields.cluster))
        let named = BrokerFields.Listeners.kinds.flatMap { kind, field in
            values[BrokerFields.listeners][field].map { ListenerSettings(kind, $0.name, $0.value) }
        }
        listeners = named.isEmpty ? [.loopback] : named
        access = AccessSettings(values)
        mqtt = MQTTSettings(values[BrokerFields.mqtt])
        let retained = values[BrokerFields.retainer]
        retainer = RetainerSettings(
            isEnabled: retained[BrokerFields.Retainer.enable],
            messageExpiryInterval: retained[BrokerFields.Retainer.expiry],
            maximumPayloadSize: retained[BrokerFields.Retainer.payloadSize],
            maximumMessages: retained[BrokerFields.Retainer.messages])
        let sys = values[BrokerFields.sysTopics]
        sysTopics = SysTopicSettings(
            messageInterval: sys[BrokerFields.SysTopics.message],
            heartbeatInterval: sys[BrokerFields.SysTopics.heartbeat],
            tellsConnected: sys[BrokerFields.SysTopics.events][BrokerFields.SysEvents.connected],
            tellsDisconnected: sys[BrokerFields.SysTopics.events][BrokerFields.SysEvents.disconnected],
            tellsSubscribed: sys[BrokerFields.SysTopics.events][BrokerFields.SysEvents.subscribed],
            tellsUnsubscribed: sys[BrokerFields.SysTopics.events][BrokerFields.SysEvents.unsubscribed])
        delayed = DelayedSettings(values[BrokerFields.delayed])
        rewrites = values[BrokerFields.rewrite].map { RewriteSettings($0) }
        autoSubscriptions = values[BrokerFields.autoSubscribe][BrokerFields.AutoSubscribe.topics].map {
            AutoSubscribeSettings($0)
        }
        let alarms = values[BrokerFields.alarm]
        alarm = AlarmSettings(
            actions: alarms[BrokerFields.Alarm.actions], historyLimit: alarms[BrokerFields.Alarm.sizeLimit],
            historyPeriod: alarms[BrokerFields.Alarm.validityPeriod])
        durability = values[BrokerFields.durability]
        let files = values[BrokerFields.rules]
        rules = RuleFileSettings(
            paths: files[BrokerFields.Rules.paths], pathsAreDefault: !files.isSet(BrokerFields.Rules.paths),
            source: files[BrokerFields.Rules.source], testsOnLoad: files[BrokerFields.Rules.testsOnLoad],
            requiresValid: files[BrokerFields.Rules.requireValid],
            ignoresSysMessages: values[BrokerFields.ruleEngine][BrokerFields.RuleEngine.ignoreSys])
        log = LogSettings(
            level: values[BrokerFields.log][BrokerFields.Log.level],
            format: values[BrokerFields.log][BrokerFields.Log.format])
        drainTimeout = values[BrokerFields.shutdown][BrokerFields.Shutdown.drainTimeout]
    }
}

extension NodeSettings {
    fileprivate init(_ values: ConfigValues) {
        typealias Fields = BrokerFields.Node
        name = values[Fields.name]
        cookie = values[Fields.cookie]
        role = values[Fields.role]
        dataDirectory = values[Fields.dataDirectory]
        shards = values[Fields.shards].finite
    }
}

extension ListenerSettings {
    /// What a node without listeners in its configuration has: reachable from its own machine only.
    fileprivate static let loopback = ListenerSettings(
        kind: .tcp, name: "default", bind: BindAddress(host: "127.0.0.1", port: 1883), isEnabled: true,
        authentication: .on, maximumConnections: .infinity, transport: .epoll,
        proxy: ProxySettings(
            mode: .off, timeout: BrokerFields.Proxy.defaultTimeout, trustedAddresses: BrokerFields.Proxy.loopback),
        rates: RateSettings(connections: .infinity, messages: .infinity, bytes: .infinity), tcp: .defaults, tls: nil,
        webSocket: nil)

    fileprivate init(_ kind: Kind, _ name: String, _ values: ConfigValues) {
        typealias Fields = BrokerFields.Listeners
        self.kind = kind
        self.name = name
        bind = values[Fields.bind]
        isEnabled = values[Fields.enable]
        authentication = values[Fields.authentication]
        maximumConnections = values[Fields.maximumConnections]
        transport = kind == .tcp ? values[Fields.transport] : .nio
        proxy = ProxySettings(
            mode: values[BrokerFields.Proxy.mode], timeout: values[BrokerFields.Proxy.timeout],
            trustedAddresses: values[BrokerFields.Proxy.trustedAddresses])
        rates = RateSettings(
            connections: values[Fields.connectionRate], messages: values[Fields.messageRate],
            bytes: values[Fields.byteRate])
        tcp = TCPSettings(values[Fields.tcpOptions])
        tls = kind.usesTLS ? TLSSettings(values[Fields.tlsOptions]) : nil
        webSocket = kind.usesWebSocket ? WebSocketSettings(values[Fields.webSocket]) : nil
    }
}

extension TCPSettings {
    fileprivate static let defaults = TCPSettings(.defaults)

    fileprivate init(_ values: ConfigValues) {
        typealias Fields = BrokerFields.TCP
        backlog = values[Fields.backlog]
        noDelay = values[Fields.noDelay]
        keepAlive = values[Fields.keepAlive]
        highWatermark = values[Fields.highWatermark]
        sendTimeout = values[Fields.sendTimeout]
        receiveBuffer = values[Fields.receiveBuffer]
        sendBuffer = values[Fields.sendBuffer]
    }
}

extension ConfigValues {
    /// What an empty mapping gives, for sets without required keys.
    package static let defaults = ConfigValues(
        node: YAMLNode(
            .mapping([]), style: .block, source: SourceFile(name: "defaults", bytes: []),
            start: SourcePosition(line: 1, column: 1), end: SourcePosition(line: 1, column: 1)), path: [])
}

extension TLSSettings {
    fileprivate init(_ values: ConfigValues) {
        typealias Fields = BrokerFields.TLS
        certificateFile = values[Fields.certificate]
        keyFile = values[Fields.key]
        keyPassword = values[Fields.password]
        caCertificateFile = values[Fields.ca]
        verify = values[Fields.verify]
        failsWithoutPeerCertificate = values[Fields.failWithoutCertificate]
        versions = values[Fields.versions]
        handshakeTimeout = values[Fields.handshakeTimeout]
        revocationListFile = values[Fields.revocationList]
        serverNames = values[Fields.serverNames].map {
            ServerName(
                pattern: $0.name.lowercased(), certificateFile: $0.value[BrokerFields.ServerName.certificate],
                keyFile: $0.value[BrokerFields.ServerName.key],
                keyPassword: $0.value[BrokerFields.ServerName.password])
        }
    }
}

extension WebSocketSettings {
    fileprivate init(_ values: ConfigValues) {
        typealias Fields = BrokerFields.WebSocket
        path = values[Fields.path]
        failsWithoutSubprotocol = values[Fields.failWithoutSubprotocol]
        subprotocols = values[Fields.subprotocols]
        maximumFrameSize = values[Fields.maximumFrameSize]
        idleTimeout = values[Fields.idleTimeout]
        allowsMissingOrigin = !values[Fields.checkOrigin] || values[Fields.allowMissingOrigin]
        origins = values[Fields.checkOrigin] ? values[Fields.origins] : []
        addressHeader = values[Fields.addressHeader].lowercased()
        portHeader = values[Fields.portHeader].lowercased()
    }
}

extension MQTTSettings {
    /// EMQX's defaults.
    package static let defaults = MQTTSettings(.defaults)

    fileprivate init(_ values: ConfigValues) {
        typealias Fields = BrokerFields.MQTT
        idleTimeout = values[Fields.idleTimeout]
        maximumPacketSize = values[Fields.packetSize]
        maximumClientIDLength = values[Fields.clientIDLength]
        maximumTopicLevels = values[Fields.topicLevels]
        topicAliasMaximum = values[Fields.topicAlias]
        maximumQoS = values[Fields.qos]
        retainAvailable = values[Fields.retain]
        wildcardSubscription = values[Fields.wildcard]
        sharedSubscription = values[Fields.shared]
        exclusiveSubscription = values[Fields.exclusive]
        sharedStrategy = values[Fields.strategy]
        ignoresLoopDelivery = values[Fields.ignoreLoop]
        sessionExpiryInterval = values[Fields.sessionExpiry]
        messageExpiryInterval = values[Fields.messageExpiry]
        maximumInflight = values[Fields.inflight]
        maximumAwaitingRelease = values[Fields.awaitingRel]
        awaitReleaseTimeout = values[Fields.awaitRelTimeout]
        retryInterval = values[Fields.retryInterval]
        maximumQueueLength = values[Fields.queueLength]
        maximumQueueBytes = values[Fields.queueBytes]
        queuesQoS0 = values[Fields.queueQoS0]
        maximumSubscriptions = values[Fields.subscriptions]
        upgradesQoS = values[Fields.upgradeQoS]
        serverKeepAlive = values[Fields.serverKeepAlive].finite
        keepAliveMultiplier = values[Fields.keepAliveMultiplier]
        responseInformation = values[Fields.responseInformation]
        usesUsernameAsClientID = values[Fields.usernameAsClientID]
        certificateAsUsername = values[Fields.certificateAsUsername]
        certificateAsClientID = values[Fields.certificateAsClientID]
    }
}
