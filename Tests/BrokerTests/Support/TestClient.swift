import Broker
import Buffers
import Glibc
import Logging
import MQTTCodec
import Storage
import Synchronization

struct TestFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A message as a client got it.
struct Received: Equatable {
    var topic: String
    var payload: String
    var qos: QoS
}

/// How the topic of a message came.
struct AliasUse: Equatable {
    var sentTopic: String
    var alias: UInt16?
}

/// What a client keeps over its connections: messages, in order, and the QoS 2 exchanges that are under way.
final class ClientState {
    var messages: [Received] = []
    var awaitingRelease: Set<UInt16> = []
}

/// One connection of a client: raw socket, answers acknowledgements by itself. Not blocking; ``pump(_:until:)`` moves it.
final class TestClient {
    let state: ClientState
    private(set) var descriptor: Int32
    private(set) var isEnded = false
    private(set) var connack: ConnackPacket?
    private(set) var disconnect: DisconnectPacket?
    private(set) var subacks = 0
    private(set) var refusedSubscriptions: [ReasonCode] = []
    private(set) var sawDuplicateFlag = false
    /// Whether messages are answered.
    var acknowledges = true
    private(set) var pongs = 0
    /// For each PUBLISH, in order.
    private(set) var aliasUses: [AliasUse] = []
    private var aliases: [UInt16: String] = [:]
    /// Packet identifiers of messages sent and not acknowledged to the end.
    private(set) var unacknowledged: Set<UInt16> = []
    /// The reason code of the last PUBACK or PUBCOMP.
    private(set) var lastAcknowledgement: ReasonCode?
    private var nextIdentifier: UInt16 = 0
    private let input = OutputBuffer()
    private let output = OutputBuffer()
    private let version = ProtocolVersion.v5

    init(port: Int, state: ClientState = ClientState()) throws {
        self.state = state
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw TestFailure("connect: errno \(errno)") }
        var yes: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, 4)
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
    }

    deinit { end() }

    func end() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
        isEnded = true
    }

    // MARK: Sending

    func send(_ packet: Packet) {
        packet.encode(to: output, version: version)
        flush()
    }

    func send(raw bytes: [UInt8]) {
        output.append(bytes)
        flush()
    }

    func connect(
        _ clientID: String, cleanStart: Bool, expiry: UInt32 = 0, _ properties: (inout Properties) -> Void = { _ in }
    ) {
        var packet = ConnectPacket(version: version, clientID: clientID, cleanStart: cleanStart)
        if expiry > 0 { packet.properties.sessionExpiryInterval = expiry }
        properties(&packet.properties)
        send(.connect(packet))
    }

    func subscribe(_ filter: String, qos: QoS) {
        let entry = SubscribePacket.Entry(filter: filter, options: SubscriptionOptions(qos: qos))
        send(.subscribe(SubscribePacket(packetIdentifier: 1, subscriptions: [entry])))
    }

    /// Sends a message of an earlier connection again. [MQTT-4.4.0-1]
    func publishAgain(_ topic: String, _ payload: String, identifier: UInt16) {
        unacknowledged.insert(identifier)
        var packet = PublishPacket(
            topic: topic, payload: Array(payload.utf8), qos: .exactlyOnce, packetIdentifier: identifier)
        packet.isDuplicate = true
        send(.publish(packet))
    }

    func publish(_ topic: String, _ payload: String, qos: QoS) {
        if qos != .atMostOnce {
            repeat { nextIdentifier = nextIdentifier % 60_000 + 1 } while unacknowledged.contains(nextIdentifier)
            unacknowledged.insert(nextIdentifier)
        }
        send(
            .publish(
                PublishPacket(
                    topic: topic, payload: Array(payload.utf8), qos: qos,
                    packetIdentifier: qos == .atMostOnce ? 0 : nextIdentifier)))
    }

    var wantsToWrite: Bool { !output.isEmpty }

    func flush() {
        while !isEnded, !output.isEmpty {
            let bytes = output.bytes
            let count = Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            if count > 0 { output.consume(count) } else if errno == EAGAIN { return } else { output.removeAll() }
        }
    }

    // MARK: Receiving

    func receive() throws {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        guard count > 0 else {
            end()
            return
        }
        input.append(Array(buffer[..<count]))
        while let header = try FrameHeader.read(input.bytes),
            input.count >= header.headerLength + header.remainingLength
        {
            let size = header.headerLength + header.remainingLength
            let body = Bytes(rebasing: input.bytes[header.headerLength..<size])
            let packet = try Packet.decode(header: header, body: body, version: version, from: .server)
            input.consume(size)
            handle(packet)
        }
    }

    private func handle(_ packet: Packet) {
        switch packet {
        case .connack(let packet): connack = packet
        case .suback(let packet):
            subacks += 1
            refusedSubscriptions += packet.reasons.filter(\.isError)
        case .disconnect(let packet): disconnect = packet
        case .pingresp: pongs += 1
        case .publish(let packet): take(packet)
        case .pubrel(let ack):
            state.awaitingRelease.remove(ack.packetIdentifier)
            send(.pubcomp(AckPacket(packetIdentifier: ack.packetIdentifier)))
        case .pubrec(let ack): send(.pubrel(AckPacket(packetIdentifier: ack.packetIdentifier)))
        case .puback(let ack), .pubcomp(let ack):
            unacknowledged.remove(ack.packetIdentifier)
            lastAcknowledgement = ack.reason
        default: break
        }
    }

    private func take(_ packet: PublishPacket) {
        var topic = packet.topic
        if let alias = packet.properties.topicAlias {
            if topic.isEmpty {
                topic = aliases[alias] ?? "(alias \(alias) was never set)"
            } else {
                aliases[alias] = topic
            }
        }
        if packet.isDuplicate { sawDuplicateFlag = true }
        aliasUses.append(AliasUse(sentTopic: packet.topic, alias: packet.properties.topicAlias))
        let message = Received(
            topic: topic, payload: String(decoding: packet.payload, as: UTF8.self), qos: packet.qos)
        switch packet.qos {
        case .atMostOnce: state.messages.append(message)
        case .atLeastOnce:
            state.messages.append(message)
            guard acknowledges else { return }
            send(.puback(AckPacket(packetIdentifier: packet.packetIdentifier)))
        case .exactlyOnce:
            if state.awaitingRelease.insert(packet.packetIdentifier).inserted { state.messages.append(message) }
            guard acknowledges else { return }
            send(.pubrec(AckPacket(packetIdentifier: packet.packetIdentifier)))
        }
    }
}

/// Moves the clients on until `condition` holds.
/// - Throws: after 30 seconds, and when a client got what is no packet of a server.
func pump(_ clients: [TestClient], _ what: String, until condition: () throws -> Bool) throws {
    let deadline = ContinuousClock.now + .seconds(30)
    while try !condition() {
        guard ContinuousClock.now < deadline else { throw TestFailure("timed out: \(what)") }
        let open = clients.filter { !$0.isEnded }
        var polls = open.map {
            pollfd(fd: $0.descriptor, events: Int16(POLLIN) | ($0.wantsToWrite ? Int16(POLLOUT) : 0), revents: 0)
        }
        poll(&polls, nfds_t(polls.count), 5)
        for (client, state) in zip(open, polls) where state.revents != 0 {
            if state.revents & Int16(POLLOUT) != 0 { client.flush() }
            if state.revents & ~Int16(POLLOUT) != 0 { try client.receive() }
        }
    }
}

/// A broker on a port of its own for the time of `body`.
func withBroker(
    shards: Int, zone: MQTTZone = MQTTZone(), transport: ListenerOptions.Transport = .epoll,
    durability: Durability? = nil, lines: LineCollector? = nil, listener: (inout ListenerOptions) -> Void = { _ in },
    _ body: (BrokerNode, Int) throws -> Void
) throws {
    var options = NodeOptions(version: "test", shards: shards)
    options.listeners = [ListenerOptions(kind: .tcp, name: "test", host: "127.0.0.1", port: 0)]
    options.listeners[0].transport = transport
    listener(&options.listeners[0])
    options.mqtt = zone
    let store = durability.map { _ in StoreDirectory() }
    if let durability, let store {
        options.storage = StorageOptions(directory: store.path)
        options.storage?.durability = durability
    }
    defer { withExtendedLifetime(store) {} }
    // `$SYS` would be among what subscribers to all and the retained messages count.
    options.heartbeatInterval = 0
    options.systemMessageInterval = 0
    var logger = Logger(label: "test")
    logger.logLevel = .error
    if let lines { logger = Logger(label: "test") { _ in lines } }
    let node = BrokerNode(options, logger: logger)
    try node.start(options)
    defer { node.stop() }
    guard let port = node.listeners.first?.address.split(separator: ":").last.flatMap({ Int($0) }) else {
        throw TestFailure("the listener has no port")
    }
    try body(node, port)
}

/// Where a broker's store lies for the time of a test.
final class StoreDirectory {
    let path: String

    init() {
        var template = Array("/tmp/sluice-broker-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { buffer in
            guard let start = buffer.baseAddress, let made = mkdtemp(start) else { return "/nonexistent" }
            return String(cString: made)
        }
    }

    deinit {
        for name in SystemFiles().list(path) ?? [] { unlink(path + "/" + name) }
        rmdir(path)
    }
}

/// Keeps what is logged as a warning or worse, one text a line.
final class LineCollector: LogHandler, Sendable {
    private let lines = Mutex<[String]>([])

    func containing(_ text: String) -> [String] { lines.withLock { $0.filter { $0.contains(text) } } }

    func log(event: LogEvent) { lines.withLock { $0.append("\(event.message) \(event.metadata ?? [:])") } }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    var logLevel: Logger.Level {
        get { .warning }
        set {}
    }
}

extension BrokerNode {
    func metric(_ name: String) -> Int { metrics.first { $0.name == name }?.value ?? -1 }
    func statistic(_ name: String) -> Int { statistics.first { $0.name == name }?.value ?? -1 }
}
