extension BrokerFields {
    enum Listeners {
        static let tcp = Field("tcp", .map(.object(tcpListener)), default: [], doc: "MQTT over TCP.")
        static let ssl = Field("ssl", .map(.object(tlsListener)), default: [], doc: "MQTT over TLS.")
        static let ws = Field("ws", .map(.object(webSocketListener)), default: [], doc: "MQTT over WebSocket.")
        static let wss = Field(
            "wss", .map(.object(tlsWebSocketListener)), default: [], doc: "MQTT over WebSocket over TLS.")
        static let all = FieldSet("listeners", [tcp, ssl, ws, wss, UnsupportedField("quic")])

        static let bind = Field(
            "bind", .bindAddress, .required,
            doc: "A port (all addresses) or address:port, 0 lets the system choose; or `unix:` and a path: mode 0660.")
        static let enable = Field("enable", .bool, default: true, aliases: ["enabled"], doc: "Whether it listens.")
        static let maximumConnections = Field(
            "max_connections", .intOrInfinity(1...Int.max), default: .infinity, doc: "More are refused.")
        static let authentication = Field(
            "enable_authn", FieldType<ListenerSettings.ListenerAuthentication>.choice, default: .on,
            doc:
                "Whether the authenticators are asked; quick_deny_anonymous refuses clients without credentials at once."
        )
        static let allowAnonymous = Field(
            "allow_anonymous", .bool, doc: "As the root's key, for this listener.")
        static let acceptors = Field(
            "acceptors", .int(1...65535), default: 16, noEffect: "the number of shards decides",
            doc: "Read for EMQX's files.")
        static let transport = Field(
            "transport", FieldType<ListenerSettings.Transport>.choice, default: .epoll, doc: "What moves the bytes.")
        static let connectionRate = Field(
            "max_conn_rate", .rate, default: .infinity, doc: "Connections accepted; more wait in the backlog.")
        static let messageRate = Field(
            "messages_rate", .rate, default: .infinity,
            doc: "Messages taken from each client; it isn't read from while it is ahead.")
        static let byteRate = Field(
            "bytes_rate", .byteRate, default: .infinity,
            doc: "Bytes taken from each client; it isn't read from while it is ahead.")
        static let tcpOptions = Field(group: "tcp_options", TCP.all, doc: "The sockets.")
        static let tlsOptions = Field(group: "ssl_options", TLS.all, doc: "Certificates.")
        static let webSocket = Field(group: "websocket", WebSocket.all, doc: "The upgrade.")

        private static let common: [any ConfigField] = [
            bind, enable, maximumConnections, acceptors, tcpOptions, UnsupportedField("mountpoint", accepts: ""),
            UnsupportedField("zone", accepts: "default"), Proxy.mode, Proxy.timeout, Proxy.trustedAddresses,
            UnsupportedField("access_rules"), authentication, allowAnonymous, connectionRate, messageRate, byteRate,
        ]
        private static let tcpListener = FieldSet("listeners.tcp", common + [transport])
        private static let tlsListener = FieldSet("listeners.ssl", common + [tlsOptions])
        private static let webSocketListener = FieldSet("listeners.ws", common + [webSocket])
        private static let tlsWebSocketListener = FieldSet("listeners.wss", common + [tlsOptions, webSocket])
    }

    /// [EMQX configuration: proxy_protocol]
    enum Proxy {
        static let defaultTimeout = Duration.seconds(3)
        static let loopback = ["127.0.0.0/8", "::1/128"].compactMap { AddressRange($0) }

        static let mode = Field(
            "proxy_protocol",
            FieldType<ProxySettings.Mode>.scalar("auto, on or off", show: { $0.rawValue }) { text, _ in
                switch text {
                case "true": .on
                case "false": .off
                default: ProxySettings.Mode(rawValue: text)
                }
            }, default: .off,
            doc:
                "Whether connections begin with a PROXY header, version 1 or 2: `on` (or `true`) all of them, `auto` as "
                + "they like, `off` (or `false`) none.")
        static let timeout = Field(
            "proxy_protocol_timeout", .duration(.milliseconds(100) ... .seconds(600)), default: defaultTimeout,
            doc: "For the header to arrive.")
        static let trustedAddresses = Field(
            "proxy_trusted_addresses", .list(.addressRange), default: loopback,
            doc: "Whose PROXY headers and X-Forwarded-For count; unix sockets always do.")
    }

    enum TCP {
        static let backlog = Field(
            "backlog", .int(1...65535), default: 1024, doc: "Connections waiting to be accepted.")
        static let noDelay = Field("nodelay", .bool, default: true, doc: "TCP_NODELAY.")
        static let highWatermark = Field(
            "high_watermark", .byteSize(.kilobytes(4)...(.gigabytes(1))), default: .megabytes(1),
            doc: "Unsent bytes of a connection above which it counts as slow.")
        static let sendTimeout = Field(
            "send_timeout", .durationOrInfinity, default: .at(.seconds(15)),
            doc: "A client that takes nothing for so long, while bytes wait for it, is closed.")
        static let receiveBuffer = Field("recbuf", .byteSize, doc: "SO_RCVBUF.")
        static let sendBuffer = Field("sndbuf", .byteSize, doc: "SO_SNDBUF.")
        static let keepAlive = Field(
            "keepalive",
            FieldType<TCPSettings.KeepAlive?>.scalar(
                "none or \"idle,interval,probes\" in seconds",
                show: { $0.map { "\($0.idleSeconds),\($0.intervalSeconds),\($0.probes)" } ?? "none" }
            ) { text, _ in
                if text == "none" { return .some(nil) }
                let parts = text.split(separator: ",").compactMap { Int($0.filter { $0 != " " }) }
                guard parts.count == 3, parts.allSatisfy({ (1...32767).contains($0) }) else { return nil }
                return TCPSettings.KeepAlive(idleSeconds: parts[0], intervalSeconds: parts[1], probes: parts[2])
            }, default: nil, doc: "The system's own probes.")
        static let all = FieldSet(
            "tcp_options",
            [
                backlog, noDelay, highWatermark, receiveBuffer, sendBuffer, keepAlive,
                sendTimeout,
                UnsupportedField("send_timeout_close", accepts: "true"), UnsupportedField("nolinger", accepts: "false"),
                UnsupportedField("reuseaddr", accepts: "true"),
                Field(
                    "active_n", .int, default: 100, noEffect: "reading is bounded by bytes",
                    doc: "Read for EMQX's files."),
                Field(
                    "buffer", .byteSize, default: .kilobytes(4), noEffect: "buffers belong to the shard",
                    doc: "Read for EMQX's files."),
            ])
    }

    enum TLS {
        static let certificate = Field(
            "certfile", .nonEmptyString, .required, doc: "PEM: the server's certificate and chain.")
        static let key = Field("keyfile", .nonEmptyString, .required, doc: "PEM: the private key.")
        static let password = Field("password", .secret, doc: "Of the private key.")
        static let ca = Field("cacertfile", .nonEmptyString, doc: "PEM: who may sign client certificates.")
        static let verify = Field(
            "verify", FieldType<TLSSettings.Verify>.choice, default: .none,
            doc: "Whether client certificates are checked.")
        static let failWithoutCertificate = Field(
            "fail_if_no_peer_cert", .bool, default: false, doc: "Whether clients must show one; with verify_peer.")
        static let versions = Field(
            "versions", .list(FieldType<TLSSettings.Version>.choice), default: [.v13, .v12],
            doc: "TLS 1.2 is the oldest there is.")
        static let handshakeTimeout = Field(
            "handshake_timeout", .durationOrInfinity, default: .at(.seconds(10)),
            doc: "From the connection, or its PROXY header, to the end of the TLS handshake.")
        static let revocationList = Field(
            "crlfile", .nonEmptyString,
            doc: "PEM or DER: certificates that their authority has revoked. One list for each authority whose clients "
                + "may come; a client whose authority has none, or an outdated one, is refused.")
        static let serverNames = Field(
            "sni_hosts", .map(.object(ServerName.all)), default: [],
            doc: "Other certificates, by the name that the client asks for; `*.example.org` for all one level below.")
        static let all = FieldSet(
            "ssl_options",
            [
                certificate, key, password, ca, verify, failWithoutCertificate, versions, handshakeTimeout,
                revocationList, serverNames, UnsupportedField("ciphers"), UnsupportedField("depth", accepts: "10"),
                UnsupportedField("ocsp"), UnsupportedField("enable_crl_check", accepts: "false"),
                UnsupportedField("reuse_sessions", accepts: "true"),
                UnsupportedField("honor_cipher_order", accepts: "true"),
            ]
        ) { values, context in
            if values[verify] == .peer, values[ca] == nil {
                context.report(
                    values.problem(
                        .missingKey, "verify_peer needs \"cacertfile\": who signs the clients' certificates", at: verify
                    ))
            }
            if values[failWithoutCertificate], values[verify] == .none {
                context.report(
                    values.problem(
                        .conflict, "fail_if_no_peer_cert needs \"verify: verify_peer\"", at: failWithoutCertificate))
            }
            if values[revocationList] != nil, values[verify] == .none {
                context.report(
                    values.problem(.conflict, "crlfile needs \"verify: verify_peer\"", at: revocationList))
            }
            if values[versions].isEmpty {
                context.report(values.problem(.badValue, "versions needs tlsv1.2, tlsv1.3 or both", at: versions))
            }
        }
    }

    enum ServerName {
        static let certificate = Field(
            "certfile", .nonEmptyString, .required, doc: "PEM: the certificate for this name, and its chain.")
        static let key = Field("keyfile", .nonEmptyString, .required, doc: "PEM: its private key.")
        static let password = Field("password", .secret, doc: "Of the private key.")
        static let all = FieldSet("sni_hosts", [certificate, key, password])
    }

    enum WebSocket {
        static let path = Field(
            "mqtt_path", FieldType.string.limited("a path that begins with /") { $0.hasPrefix("/") }, default: "/mqtt",
            doc: "Of the upgrade request.")
        static let failWithoutSubprotocol = Field(
            "fail_if_no_subprotocol", .bool, default: true,
            doc: "Whether `Sec-WebSocket-Protocol` is a must. [MQTT-6.0.0-3]")
        static let subprotocols = Field(
            "supported_subprotocols",
            FieldType<[String]>.scalar("names parted by commas", show: { "\"\($0.joined(separator: ", "))\"" }) {
                text, _ in
                text.split(separator: ",").map { String($0.drop { $0 == " " }.prefix { $0 != " " }) }
            }, default: ["mqtt", "mqtt-v3", "mqtt-v3.1.1", "mqtt-v5"], doc: "The first that the client names is taken.")
        static let maximumFrameSize = Field(
            "max_frame_size", .byteSizeOrInfinity(), default: .infinity, doc: "Besides mqtt.max_packet_size.")
        static let idleTimeout = Field(
            "idle_timeout", .durationOrInfinity, default: .at(.seconds(7200)),
            doc: "A client that sends no frame for so long is closed.")
        static let checkOrigin = Field(
            "check_origin_enable", .bool, default: false, doc: "Whether `Origin` is checked.")
        static let allowMissingOrigin = Field(
            "allow_origin_absence", .bool, default: true, doc: "Whether a request without `Origin` passes the check.")
        static let origins = Field("check_origins", .list(.string), default: [], doc: "Allowed origins.")
        static let addressHeader = Field(
            "proxy_address_header", .nonEmptyString, default: "x-forwarded-for",
            doc: "The header in which a proxy of `proxy_trusted_addresses` names the client.")
        static let portHeader = Field(
            "proxy_port_header", .nonEmptyString, default: "x-forwarded-port", doc: "And the client's port.")
        static let all = FieldSet(
            "websocket",
            [
                path, failWithoutSubprotocol, subprotocols, maximumFrameSize, checkOrigin, allowMissingOrigin,
                origins, idleTimeout,
                UnsupportedField("mqtt_piggyback", accepts: "multiple"), UnsupportedField("compress", accepts: "false"),
                addressHeader, portHeader,
                UnsupportedField("validate_utf8", accepts: "true"), UnsupportedField("deflate_opts"),
            ]
        ) { values, context in
            if values[checkOrigin], values[origins].isEmpty {
                context.report(
                    values.problem(.missingKey, "check_origin_enable needs \"check_origins\"", at: checkOrigin))
            }
        }
    }
}
