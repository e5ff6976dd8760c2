/// The limits and habits of the protocol, in the units that the message path compares with. Made from the
/// configuration's `mqtt.*` and `retainer.*` keys; immutable while the node runs.
package struct MQTTZone: Sendable {
    /// Milliseconds from accept to CONNECT.
    package var idleTimeout: Int64 = 10_000
    /// Bytes of a whole packet.
    package var maxPacketSize = 1024 * 1024
    package var maxClientIDLength = 65_535
    package var maxTopicLevels = 128
    package var maxTopicAlias = 65_535
    package var maxQoS: UInt8 = 2
    package var retainAvailable = true
    package var wildcardSubscription = true
    package var sharedSubscription = true
    package var sharedStrategy = SharedStrategy.roundRobin
    /// Seconds; for 3.x clients without clean session.
    package var sessionExpiryInterval: UInt32 = 7200
    /// Milliseconds; `.max` for none. For messages that bring none.
    package var messageExpiryInterval: Int64 = .max
    /// QoS 1 and 2 messages in flight to a client that lets more be.
    package var maxInflight = 128
    /// QoS 2 messages of a client that wait for PUBREL; announced as Receive Maximum.
    package var receiveMaximum = 100
    /// Milliseconds after which a QoS 2 message that waits for PUBREL is forgotten; `.max` for never.
    package var awaitReleaseTimeout: Int64 = 300_000
    /// Milliseconds after which unacknowledged messages are sent again to clients before version 5; `.max` for only when
    /// they reconnect.
    package var retryInterval = Int64.max
    package var queueLimits = QueueLimits(messages: 10_000, bytes: 64 * 1024 * 1024)
    package var queuesQoS0 = true
    package var maxSubscriptions = Int.max
    package var upgradesQoS = false
    /// No Local for clients whose version has none.
    package var ignoresLoopDelivery = false
    /// Seconds; nil leaves it to the client.
    package var serverKeepAlive: UInt16?
    package var keepAliveMultiplier = 1.5
    package var responseInformation = ""
    package var useUsernameAsClientID = false
    package var certificateAsUsername = CertificateName.disabled
    package var certificateAsClientID = CertificateName.disabled
    package var retainerEnabled = true
    /// Milliseconds for retained messages that bring no expiry; 0 keeps them.
    package var retainedExpiryInterval: Int64 = 0
    package var retainedPayloadLimit = 1024 * 1024
    package var retainedLimit = 0
    package var topics = TopicOptions()

    /// What of a client's certificate becomes its user name or client identifier.
    package enum CertificateName: String, Sendable { case disabled, cn, dn, san }

    package init() {}

    /// The QoS at which a message is delivered. [MQTT-3.8.4-8]
    @inline(__always)
    func grantedQoS(_ published: UInt8, _ subscribed: UInt8) -> UInt8 {
        upgradesQoS ? max(published, subscribed) : min(published, subscribed)
    }
}
