/// A QoS 1 or 2 message that was given a packet identifier. [MQTT-4.4.0-1]
struct InflightEntry {
    enum Phase: UInt8 {
        case free
        /// PUBLISH is to be acknowledged by PUBACK or PUBREC.
        case published
        /// PUBREL is to be acknowledged by PUBCOMP.
        case released
    }

    var phase = Phase.free
    var qos: UInt8 = 0
    var isRetained = false
    /// Sent on the current connection; false while a resumed session has still to send it again.
    var isOutstanding = false
    var packetIdentifier: UInt16 = 0
    /// Order of sending.
    var sequence: UInt64 = 0
    /// Nil once the receiver has the message (QoS 2 after PUBREC).
    var message: Message?
    var identifiers = SubscriptionIdentifiers()
    /// In the queue of a persistent session; ``noPosition`` when the message is in memory alone.
    var position = noPosition

    static let noPosition = UInt64.max
}

/// The messages on their way to one client, in a ring indexed by packet identifier: no dictionary, no allocation once
/// it has grown to what the client lets be in flight.
struct InflightWindow {
    private var entries: [InflightEntry] = []
    private var nextIdentifier: UInt16 = 1
    private var nextSequence: UInt64 = 0
    /// Entries in use.
    private(set) var count = 0
    /// How many of them were sent on the current connection.
    private(set) var outstanding = 0
    /// What a resumed session has still to send again, in order; limited by the client's Receive Maximum.
    private var resend: [UInt16] = []

    private func slot(_ identifier: UInt16) -> Int { Int(identifier) & (entries.count - 1) }

    /// Takes the next free packet identifier and puts the message under it.
    mutating func add(_ message: Message, qos: UInt8, isRetained: Bool, identifiers: SubscriptionIdentifiers) -> UInt16
    {
        if (count + 1) * 2 > entries.count { grow() }
        while entries[slot(nextIdentifier)].phase != .free { advanceIdentifier() }
        let identifier = nextIdentifier
        advanceIdentifier()
        nextSequence += 1
        let position = slot(identifier)
        entries[position].phase = .published
        entries[position].qos = qos
        entries[position].isRetained = isRetained
        entries[position].isOutstanding = true
        entries[position].packetIdentifier = identifier
        entries[position].sequence = nextSequence
        entries[position].message = message
        entries[position].identifiers = identifiers
        count += 1
        outstanding += 1
        return identifier
    }

    // MARK: Persistent sessions: identifiers follow from positions

    /// Whether a message with this identifier finds room. The ring does not grow far beyond what is in flight.
    func canAdd(_ identifier: UInt16) -> Bool {
        if (count + 1) * 2 > entries.count || entries[slot(identifier)].phase == .free { return true }
        return entries[slot(identifier)].packetIdentifier != identifier && entries.count < max(256, count * 64)
    }

    /// Puts a message under its identifier; ``canAdd(_:)`` has been asked.
    mutating func add(
        _ message: Message?, qos: UInt8, isRetained: Bool, identifiers: SubscriptionIdentifiers, identifier: UInt16,
        position: UInt64
    ) {
        if (count + 1) * 2 > entries.count { grow() }
        while entries[slot(identifier)].phase != .free, entries[slot(identifier)].packetIdentifier != identifier {
            grow()
        }
        nextSequence += 1
        let place = slot(identifier)
        entries[place] = InflightEntry(
            phase: message == nil ? .released : .published, qos: qos, isRetained: isRetained, isOutstanding: true,
            packetIdentifier: identifier, sequence: nextSequence, message: message, identifiers: identifiers,
            position: position)
        count += 1
        outstanding += 1
    }

    /// Takes out what awaits PUBACK or PUBREC, oldest first.
    /// - Returns: the positions.
    mutating func takePublished() -> [UInt64] {
        let published = unacknowledged
        for entry in published { discard(entry.packetIdentifier) }
        if count == 0 { entries = [] }
        return published.map(\.position).filter { $0 != InflightEntry.noPosition }
    }

    var releasedIdentifiers: [UInt16] { entries.filter { $0.phase == .released }.map(\.packetIdentifier) }

    private mutating func advanceIdentifier() { nextIdentifier = nextIdentifier == .max ? 1 : nextIdentifier + 1 }

    /// Doubles the ring; two entries never fall on one slot, since a larger mask only tells more of them apart.
    private mutating func grow() {
        let old = entries
        entries = Array(repeating: InflightEntry(), count: max(16, old.count * 2))
        for entry in old where entry.phase != .free { entries[slot(entry.packetIdentifier)] = entry }
    }

    func entry(_ identifier: UInt16) -> InflightEntry? {
        guard !entries.isEmpty else { return nil }
        let entry = entries[slot(identifier)]
        return entry.phase != .free && entry.packetIdentifier == identifier ? entry : nil
    }

    /// Ends an exchange: PUBACK, PUBCOMP, or PUBREC with an error.
    /// - Returns: the message, if this identifier was in flight in that phase.
    mutating func finish(_ identifier: UInt16, phase: InflightEntry.Phase, qos: UInt8) -> InflightEntry? {
        guard let entry = entry(identifier), entry.phase == phase, entry.qos == qos else { return nil }
        entries[slot(identifier)] = InflightEntry()
        count -= 1
        // A client may acknowledge what it got on an earlier connection and was not sent again yet.
        if entry.isOutstanding { outstanding -= 1 }
        return entry
    }

    /// PUBREC: the receiver has the message, PUBREL follows.
    /// - Returns: the entry as it was; nil when the identifier is unknown.
    mutating func release(_ identifier: UInt16) -> InflightEntry? {
        guard let entry = entry(identifier), entry.qos == 2 else { return nil }
        entries[slot(identifier)].phase = .released
        entries[slot(identifier)].message = nil
        return entry
    }

    /// Takes an entry out whose message cannot be sent to this client.
    mutating func discard(_ identifier: UInt16) {
        guard let entry = entry(identifier) else { return }
        _ = finish(identifier, phase: entry.phase, qos: entry.qos)
    }

    // MARK: A resumed session [MQTT-4.4.0-1]

    /// Nothing has been sent on the new connection yet.
    mutating func beginResend() {
        outstanding = 0
        for position in entries.indices { entries[position].isOutstanding = false }
        resend = entries.filter { $0.phase != .free }.sorted { $0.sequence > $1.sequence }.map(\.packetIdentifier)
    }

    /// The next entry to send again while fewer than `limit` are outstanding; each counts as sent from here on.
    mutating func nextResend(limit: Int) -> InflightEntry? {
        while outstanding < limit, let identifier = resend.popLast() {
            guard let entry = entry(identifier) else { continue }
            entries[slot(identifier)].isOutstanding = true
            outstanding += 1
            return entry
        }
        return nil
    }

    var hasResends: Bool { !resend.isEmpty }

    /// The number of the message that was added last, 0 before the first.
    var lastSequence: UInt64 { nextSequence }

    /// What was sent on this connection and added no later than that, in order.
    func outstanding(upTo sequence: UInt64) -> [InflightEntry] {
        entries.filter { $0.phase != .free && $0.isOutstanding && $0.sequence <= sequence }
            .sorted { $0.sequence < $1.sequence }
    }

    /// What has not been acknowledged at all, in the order of sending: for a session that ends.
    var unacknowledged: [InflightEntry] {
        entries.filter { $0.phase == .published }.sorted { $0.sequence < $1.sequence }
    }

    mutating func removeAll() { self = InflightWindow() }
}
