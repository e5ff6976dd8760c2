/// Packet identifiers of QoS 2 messages that a client sent and has not released, with the time of each. [MQTT-4.3.3-10]
///
/// Two arrays: the look-up of each such message goes through the identifiers alone.
struct AwaitingRelease {
    private var identifiers: [UInt16] = []
    private var times: [Int64] = []

    @inline(__always)
    var count: Int { identifiers.count }

    @inline(__always)
    func contains(_ identifier: UInt16) -> Bool { identifiers.contains(identifier) }

    /// - Parameter now: monotonic milliseconds.
    @inline(__always)
    mutating func insert(_ identifier: UInt16, now: Int64) {
        identifiers.append(identifier)
        times.append(now)
    }

    /// - Returns: false when it was not there.
    mutating func remove(_ identifier: UInt16) -> Bool {
        guard let position = identifiers.firstIndex(of: identifier) else { return false }
        identifiers.remove(at: position)
        times.remove(at: position)
        return true
    }

    /// Gives up those from before a time. They stand in the order of their coming.
    /// - Returns: how many.
    mutating func removeAll(before time: Int64) -> Int {
        let count = times.prefix { $0 <= time }.count
        identifiers.removeFirst(count)
        times.removeFirst(count)
        return count
    }
}
