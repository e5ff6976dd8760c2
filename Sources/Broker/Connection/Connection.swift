import Access
import Buffers
import MQTTCodec

/// One network connection: bytes → packets → what they ask for. Confined to its shard's thread.
///
/// The packet handlers stand in the extensions, one file a concern. PUBLISH and its acknowledgements are read in place;
/// everything else is decoded into values.
final class Connection: Hashable {
    enum Phase {
        case awaitingConnect
        /// Somebody else is asked who the client is; nothing is read meanwhile.
        case authenticating
        /// The client has to answer a challenge with an AUTH before it is let in.
        case exchanging
        /// The session is on its way from another shard; nothing is read meanwhile.
        case awaitingSession
        case connected
        case closed
    }

    /// The node keeps its shards until their threads, and so all their connections, have ended.
    unowned(unsafe) let shard: Shard
    /// Set once, by the transport that made the connection.
    var transport: Transport
    /// Bytes that the client has not taken, from which on messages wait in its session.
    let highWaterMark: Int
    /// Bytes that the client has not taken, from which on nothing more is read from it: messages and answers to it.
    var answerLimit: Int { highWaterMark + shard.settings.maxPacketSize + 64 * 1024 }
    /// Milliseconds; `.max` for none.
    let sendTimeout: Int64
    let endpoints: Endpoints
    let listener: ListenerContext
    var phase = Phase.awaitingConnect
    var version = ProtocolVersion.v5
    var connect: ConnectPacket?
    var hasAssignedClientID = false
    /// What the client's DISCONNECT brought.
    var disconnectProperties = Properties()
    var session: Session?
    var connectedAt: Int64 = 0

    // Who the client is and what it may do: `Connection+Access.swift`.
    var access: ClientAccess?
    var decisions: ConnectionDecisions?
    var allowedPublishes = AllowedPublishes()
    /// Somebody else is asked whether the packet at the front may be; nothing is read meanwhile.
    var isAwaitingDecision = false
    /// Monotonic milliseconds: when the client's credentials end, and when an authentication is given up.
    var credentialsEndAt: Int64 = .max
    var authenticationEndsAt: Int64 = .max
    /// Nil for a client that named no Authentication Method.
    var authentication: EnhancedAuthentication?

    // What was agreed in CONNECT and CONNACK.
    var keepAliveLimit: Int64 = 0
    var receiveMaximum = 0
    var maximumPacketSize = Int.max
    /// Aliases that the client lets us set; 0 before version 5.0.
    var outboundAliasMaximum = 0
    /// Made with the first message that gets one.
    var outboundAliases: OutboundAliases?
    /// Alias → topic, as the client set them. [MQTT-3.3.2-7]
    var inboundAliases: [UInt16: [UInt8]] = [:]
    var inboundAliasBytes = 0
    /// What the topics of all of a client's aliases may take: 65,535 of the longest topics would be 4 GiB.
    static let maximumAliasBytes = 4 * 1024 * 1024

    // Bytes.
    var out: OutputBuffer?
    /// Something that was written since the last tick waits for the log.
    var isHeld = false
    /// The first of the shard's holds that it waits for.
    var heldSince: UInt64 = 0
    /// Buffers that wait for the log, and their bytes: all that is written meanwhile goes behind them.
    var heldCount = 0
    var heldBytes = 0
    var pending: OutputBuffer?
    var released: OutputBuffer?
    var isDirty = false
    var isPausedByPressure = false
    /// Not read from until the client has taken its answers.
    var isPausedByBacklog = false
    /// Not read from until its rates allow it; ``limiter`` knows when.
    var isPausedByRate = false
    let limiter: ReceiveLimiter?
    var closesAfterFlush = false
    /// Monotonic milliseconds.
    var lastReceived: Int64
    let acceptedAt: Int64
    /// What had been sent when unacknowledged messages were last looked at.
    var retryMark: UInt64 = 0
    /// Monotonic milliseconds at which the client last took something, while it is behind.
    var lastTaken: Int64 = 0
    var isStalled = false
    /// Where the shard's wheel holds this connection.
    var wheelPlace: (slot: Int, position: Int)?

    init(shard: Shard, transport: Transport, endpoints: Endpoints, listener: ListenerContext) {
        self.shard = shard
        self.transport = transport
        self.endpoints = endpoints
        self.listener = listener
        highWaterMark = listener.highWaterMark
        sendTimeout = listener.sendTimeout
        limiter = listener.makeLimiter(now: shard.now)
        lastReceived = shard.now
        acceptedAt = shard.now
        shard.connections.insert(self)
        shard.keepAlive.add(self, at: shard.now + shard.settings.idleTimeout)
    }

    deinit { allowedPublishes.deallocate() }

    static func == (a: Connection, b: Connection) -> Bool { a === b }
    func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }

    var isV5: Bool { version == .v5 }
}
