import Buffers
import Cluster

/// A generator that gives the same numbers for the same seed. [SplitMix64]
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

/// Nodes with routes on a network that keeps the order of each pair and otherwise delivers in any order.
struct RouteSimulation {
    private struct Node {
        var local = LocalRoutes()
        var peers: [Int: PeerRoutes] = [:]
        /// What all peers' changes have come to, as a router would have it.
        var applied: [Int: [RouteKey: RouteValue]] = [:]
        var dumps: [Int: LocalRoutes.Dump] = [:]
        var truth: [RouteKey: Int] = [:]
    }

    private var nodes: [Node] = []
    private var queues: [[[[UInt8]]]] = []
    private var links: Set<[Int]> = []
    private var random: SeededRandom
    /// One in so many batches is lost; 0 for none.
    private var loss = 0

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    // MARK: Scenarios

    /// - Returns: what was expected and is not so, with its line.
    mutating func run(_ scenario: String) -> [String] {
        var problems: [String] = []
        for (number, line) in scenario.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = line.split(separator: " ").map(String.init)
            guard let verb = words.first, verb != "#" else { continue }
            if let problem = run(verb, Array(words.dropFirst())) { problems.append("line \(number + 1): \(problem)") }
        }
        return problems
    }

    private mutating func run(_ verb: String, _ words: [String]) -> String? {
        switch (verb, words.count) {
        case ("nodes", 1): make(Int(words[0]) ?? 0)
        case ("connect", 1):
            for a in nodes.indices { for b in nodes.indices where a < b { connect(a, b) } }
        case ("connect", 2): connect(index(words[0]), index(words[1]))
        case ("cut", 2): cut(index(words[0]), index(words[1]))
        case ("storm", 2): storm(index(words[0]), Int(words[1]) ?? 0)
        case ("restart", 1): restart(index(words[0]))
        case ("step", 1): for _ in 0..<(Int(words[0]) ?? 0) { step() }
        case ("settle", 0): while step() {}
        case ("lose", 1): loss = Int(words[0]) ?? 0
        case ("compare", 0): compare()
        case ("converged", 0): return divergence()
        case ("dropped", 2):
            let count = nodes[index(words[0])].applied[index(words[1])]?.count ?? 0
            return count == 0 ? nil : "\(count) routes are left"
        default: return "not a step: \(verb) \(words)"
        }
        return nil
    }

    private func index(_ name: String) -> Int { Int(name.utf8.first ?? 97) - 97 }

    private mutating func make(_ count: Int) {
        nodes = Array(repeating: Node(), count: count)
        queues = Array(repeating: Array(repeating: [], count: count), count: count)
    }

    // MARK: Nodes

    private mutating func storm(_ node: Int, _ count: Int) {
        for _ in 0..<count {
            let number = Int.random(in: 0..<max(10, count / 2), using: &random)
            let isShared = number % 5 == 0
            let key = RouteKey(filter: "t/\(number)/\(number % 3 == 0 ? "#" : "+")", group: isShared ? "g" : nil)
            let members = nodes[node].truth[key] ?? 0
            let isLeaving = members > 0 && Bool.random(using: &random)
            nodes[node].truth[key] = members + (isLeaving ? -1 : 1)
            nodes[node].local.change(key, members: isLeaving ? -1 : 1)
            if Int.random(in: 0..<4, using: &random) == 0 { flush(node) }
        }
        flush(node)
    }

    private mutating func flush(_ node: Int) {
        while let delta = nodes[node].local.takeDelta() {
            for peer in nodes.indices where links.contains([node, peer]) { send(Array(delta.bytes), node, peer) }
        }
    }

    private mutating func restart(_ node: Int) {
        let peers = nodes.indices.filter { links.contains([node, $0]) }
        for peer in peers { cut(node, peer) }
        nodes[node] = Node()
        for peer in peers { connect(node, peer) }
    }

    private mutating func send(_ batch: [UInt8], _ from: Int, _ to: Int) {
        if loss > 0, Int.random(in: 0..<loss, using: &random) == 0 { return }
        queues[from][to].append(batch)
    }

    // MARK: Links

    private mutating func connect(_ a: Int, _ b: Int) {
        guard a != b, links.insert([a, b]).inserted else { return }
        links.insert([b, a])
        for (from, to) in [(a, b), (b, a)] {
            nodes[to].peers[from] = PeerRoutes()
            nodes[to].applied[from] = [:]
        }
        beginDump(a, b)
        beginDump(b, a)
    }

    private mutating func cut(_ a: Int, _ b: Int) {
        guard links.remove([a, b]) != nil else { return }
        links.remove([b, a])
        for (from, to) in [(a, b), (b, a)] {
            queues[from][to] = []
            nodes[from].dumps[to] = nil
            for change in nodes[to].peers[from]?.drop() ?? [] { apply(change, from, to) }
            nodes[to].peers[from] = nil
        }
    }

    private mutating func beginDump(_ from: Int, _ to: Int) {
        let (dump, batch) = nodes[from].local.beginDump()
        nodes[from].dumps[to] = dump
        send(Array(batch.bytes), from, to)
    }

    // MARK: Network

    /// Delivers one batch of a pair that has one, or goes on with a dump.
    /// - Returns: false when nothing is left to do.
    @discardableResult
    private mutating func step() -> Bool {
        let pairs = links.sorted { $0.lexicographicallyPrecedes($1) }
            .filter { !queues[$0[0]][$0[1]].isEmpty || nodes[$0[0]].dumps[$0[1]] != nil }
        guard let pair = pairs.randomElement(using: &random) else { return false }
        let (from, to) = (pair[0], pair[1])
        if var dump = nodes[from].dumps[to], queues[from][to].isEmpty || Bool.random(using: &random) {
            let chunk = nodes[from].local.nextChunk(of: &dump)
            nodes[from].dumps[to] = dump.isFinished ? nil : dump
            send(Array(chunk.bytes), from, to)
            return true
        }
        deliver(queues[from][to].removeFirst(), from, to)
        return true
    }

    private mutating func deliver(_ batch: [UInt8], _ from: Int, _ to: Int) {
        if batch.withUnsafeBytes({ StateBatch(of: $0) }) == .routeDumpRequest {
            beginDump(to, from)
            return
        }
        var changes: [RouteChange] = []
        let outcome = batch.withUnsafeBytes { nodes[to].peers[from]?.apply($0, changes: &changes) }
        for change in changes { apply(change, from, to) }
        if outcome == .needsDump, let request = nodes[to].peers[from]?.dumpRequest() {
            send(Array(request.bytes), to, from)
        }
    }

    private mutating func apply(_ change: RouteChange, _ from: Int, _ to: Int) {
        nodes[to].applied[from]?[change.key] = change.value
    }

    /// What happens every 30 seconds.
    private mutating func compare() {
        for pair in links.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            let (from, to) = (pair[0], pair[1])
            let summary = nodes[from].local.summary
            let comparison = summary.withUnsafeBytes { nodes[to].peers[from]?.compare(with: $0) }
            if comparison == .different, let request = nodes[to].peers[from]?.dumpRequest() {
                queues[to][from].append(Array(request.bytes))
            }
        }
    }

    private func divergence() -> String? {
        for pair in links {
            let (from, to) = (pair[0], pair[1])
            let truth = nodes[from].truth.filter { $0.value > 0 }
                .reduce(into: [RouteKey: RouteValue]()) {
                    $0[$1.key] = RouteValue(members: $1.key.isShared ? UInt32($1.value) : 1)
                }
            if nodes[to].applied[from] != truth {
                return
                    "node \(to) has \(nodes[to].applied[from]?.count ?? -1) routes of \(from), which has \(truth.count)"
            }
            if nodes[to].peers[from]?.hash != nodes[from].local.hash { return "the hashes of \(from) differ at \(to)" }
        }
        return nil
    }
}
