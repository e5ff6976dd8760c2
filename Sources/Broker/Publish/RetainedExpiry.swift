/// Retained messages by the time of their end, soonest first: a binary heap whose members know their place, so that a
/// message that is replaced leaves nothing behind.
///
/// Under the lock of its ``RetainedStore``.
struct RetainedExpiry {
    private var members: [RetainedLevel] = []

    /// The one that ends first.
    var first: RetainedLevel? { members.first }
    var count: Int { members.count }

    /// Takes the level's present message in, in place of the one before; no expiry takes it out.
    mutating func update(_ level: RetainedLevel) {
        remove(level)
        guard let message = level.message, message.traits.hasExpiry else { return }
        level.expiresAt = message.traits.expiresAt
        level.place = members.count
        members.append(level)
        rise(from: level.place)
    }

    mutating func remove(_ level: RetainedLevel) {
        let place = level.place
        guard place >= 0 else { return }
        level.place = -1
        let last = members.removeLast()
        guard last !== level else { return }
        put(last, at: place)
        rise(from: place)
        sink(from: last.place)
    }

    private mutating func put(_ level: RetainedLevel, at place: Int) {
        members[place] = level
        level.place = place
    }

    private mutating func rise(from start: Int) {
        var place = start
        let level = members[place]
        while place > 0, level.expiresAt < members[(place - 1) / 2].expiresAt {
            put(members[(place - 1) / 2], at: place)
            place = (place - 1) / 2
        }
        put(level, at: place)
    }

    private mutating func sink(from start: Int) {
        var place = start
        let level = members[place]
        while true {
            var least = 2 * place + 1
            guard least < members.count else { break }
            if least + 1 < members.count, members[least + 1].expiresAt < members[least].expiresAt { least += 1 }
            guard members[least].expiresAt < level.expiresAt else { break }
            put(members[least], at: place)
            place = least
        }
        put(level, at: place)
    }
}

/// A level of the tree of retained topics. Under the lock of its ``RetainedStore``.
final class RetainedLevel {
    var message: Message?
    var children: [[UInt8]: RetainedLevel] = [:]
    /// Of the message, as ``RetainedExpiry`` orders by it.
    fileprivate(set) var expiresAt: Int64 = .max
    /// Where ``RetainedExpiry`` holds this level; -1 when it does not.
    fileprivate(set) var place = -1
}
