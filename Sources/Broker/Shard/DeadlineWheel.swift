/// Connections by the time at which to look at them again: half-second slots, no timer object per connection.
///
/// A connection that was heard of meanwhile is put into a later slot when its old one comes up, so receiving a packet
/// costs one store.
final class DeadlineWheel {
    static let slotMilliseconds: Int64 = 500
    private static let slotCount = 512

    private var slots: [[Connection]] = Array(repeating: [], count: slotCount)
    private var current: Int64

    init(now: Int64) { current = now / Self.slotMilliseconds }

    /// - Parameter deadline: monotonic milliseconds; one beyond the wheel's span comes up at its end and is put in again.
    func add(_ connection: Connection, at deadline: Int64) {
        remove(connection)
        let first = current + 1
        let wanted = (deadline + Self.slotMilliseconds - 1) / Self.slotMilliseconds
        let slot = Int(min(max(wanted, first), first + Int64(Self.slotCount) - 2) % Int64(Self.slotCount))
        connection.wheelPlace = (slot, slots[slot].count)
        slots[slot].append(connection)
    }

    func remove(_ connection: Connection) {
        guard let (slot, position) = connection.wheelPlace else { return }
        connection.wheelPlace = nil
        guard let last = slots[slot].popLast(), last !== connection else { return }
        slots[slot][position] = last
        last.wheelPlace = (slot, position)
    }

    /// Calls `body` with the connections whose slot has come; it puts them in again or closes them.
    func advance(to now: Int64, _ body: (Connection) -> Void) {
        let target = now / Self.slotMilliseconds
        var due: [Connection] = []
        var slot = max(current + 1, target - Int64(Self.slotCount) + 1)
        while slot <= target {
            let position = Int(slot % Int64(Self.slotCount))
            for connection in slots[position] { connection.wheelPlace = nil }
            due.append(contentsOf: slots[position])
            slots[position] = []
            slot += 1
        }
        current = target
        for connection in due { body(connection) }
    }
}

/// A session whose client is away and for which something is due: its will or its end.
struct Absence: Comparable {
    var at: Int64
    var session: Session

    static func < (a: Absence, b: Absence) -> Bool { a.at < b.at }
    static func == (a: Absence, b: Absence) -> Bool { a.at == b.at && a.session === b.session }
}
