import Cluster

/// Two names, in order.
struct SimulatedPair: Hashable {
    let first: NodeName, second: NodeName

    init(_ one: NodeName, _ other: NodeName) {
        (first, second) = one < other ? (one, other) : (other, one)
    }

    func other(than name: NodeName) -> NodeName { name == first ? second : first }
}

/// One end of a link that is up.
struct SimulatedSide {
    /// The link's generation that this end believes in; void once the link's is another.
    var generation: UInt64
    var peer: MeshPeer
    /// Per lane: the last number given, what is not acknowledged, and when the last delivery is due.
    var lanes: [MeshLane: Lane] = [:]

    struct Lane {
        var last: UInt64 = 0
        var unacknowledged: [(number: UInt64, size: Int)] = []
        var lastDue = 0
    }

    var backlog: Int { lanes.values.reduce(0) { $0 + $1.unacknowledged.reduce(0) { $0 + $1.size } } }
}

struct SimulatedLink {
    var generation: UInt64 = 0
    var cutSince: Int?
    /// Deliveries that came due while the link was cut.
    var held: [SimulationEvent] = []
    var sides: [NodeName: SimulatedSide] = [:]
    /// Counts the cuts and crashes, so that an expiry knows whether it is still meant.
    var breaks = 0
    var connecting = false
}

struct PendingCall {
    var pair: SimulatedPair
    var asker: NodeName
    var completion: @Sendable (Result<[UInt8], MeshError>) -> Void
}

enum SimulationEvent: Sendable {
    case connect(SimulatedPair)
    case expire(SimulatedPair, side: NodeName, breaks: Int)
    case batch(SimulatedPair, to: NodeName, generation: UInt64, lane: MeshLane, number: UInt64, bytes: [UInt8])
    case acknowledgement(SimulatedPair, to: NodeName, generation: UInt64, lane: MeshLane, number: UInt64)
    case request(SimulatedPair, to: NodeName, generation: UInt64, id: UInt64, method: MeshMethod, body: [UInt8])
    case response(SimulatedPair, generation: UInt64, id: UInt64, Result<[UInt8], MeshError>)
    case timeout(id: UInt64)
    case task(@Sendable () -> Void)

    /// The pair and generation whose link it needs.
    var needs: (SimulatedPair, UInt64)? {
        switch self {
        case .batch(let pair, _, let generation, _, _, _), .acknowledgement(let pair, _, let generation, _, _),
            .request(let pair, _, let generation, _, _, _), .response(let pair, let generation, _, _):
            (pair, generation)
        case .connect, .expire, .timeout, .task: nil
        }
    }
}

struct SimulationState {
    var now = 0
    var incarnations: UInt64 = 0
    var nodes: [NodeName: SimulatedMesh] = [:]
    var links: [SimulatedPair: SimulatedLink] = [:]
    var calls: [UInt64: PendingCall] = [:]
    var lastCall: UInt64 = 0
    var ids: [NodeName: UInt64] = [:]
    var slots: [NodeName: [NodeName: Int]] = [:]
    private var random: UInt64
    /// The next one last.
    private var events: [(due: Int, order: UInt64, event: SimulationEvent)] = []
    private var order: UInt64 = 0

    init(seed: UInt64) { random = seed }

    /// SplitMix64.
    mutating func draw(_ range: ClosedRange<Int>) -> Int {
        random &+= 0x9E37_79B9_7F4A_7C15
        var value = random
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        value ^= value >> 31
        return range.lowerBound + Int(value % UInt64(range.count))
    }

    mutating func knownID(of name: NodeName) -> UInt64 {
        if let id = ids[name] { return id }
        let id = UInt64(ids.count + 1)
        ids[name] = id
        return id
    }

    mutating func slot(of peer: NodeName, at node: NodeName) -> Int {
        if let slot = slots[node]?[peer] { return slot }
        let slot = slots[node]?.count ?? 0
        slots[node, default: [:]][peer] = slot
        return slot
    }

    /// In a fixed order, so that runs repeat.
    func pairs(of name: NodeName) -> [SimulatedPair] {
        links.keys.filter { $0.first == name || $0.second == name }
            .sorted { ($0.first, $0.second) < ($1.first, $1.second) }
    }

    mutating func schedule(_ event: SimulationEvent, at due: Int) {
        order += 1
        var low = 0
        var high = events.count
        while low < high {
            let middle = (low + high) / 2
            // Descending by moment, then by order: the latest entered of one moment comes first, and so is taken last.
            if events[middle].due > due { low = middle + 1 } else { high = middle }
        }
        events.insert((due, order, event), at: low)
    }

    mutating func next(until end: Int) -> SimulationEvent? {
        guard let last = events.last, last.due <= end else { return nil }
        events.removeLast()
        now = max(now, last.due)
        return last.event
    }

    /// The calls between these two, by that one, that wait for an answer: taken out.
    mutating func takeCalls(_ pair: SimulatedPair, askedBy asker: NodeName) -> [PendingCall] {
        let ids = calls.filter { $0.value.pair == pair && $0.value.asker == asker }.keys.sorted()
        return ids.compactMap { calls.removeValue(forKey: $0) }
    }
}
