package import Buffers
import Synchronization

/// What an evaluation may use besides the event: memory, the clock, randomness, the node's name and state that outlives it.
///
/// One for each shard, confined to its thread. Time and randomness are parameters, so that a rule's test can freeze them.
package final class EvaluationContext {
    package let arena: Arena
    /// The node's name, as the column `node` shows it.
    package let node: String
    /// Nanoseconds since 1970 (UTC). The owner sets it once per tick; tests freeze it.
    package var nowNanoseconds: Int64 = 0
    package var random: RandomSource
    /// The node-wide table of `kv_store_*`.
    package let store: KeyValueStore
    /// The table of `proc_dict_*`, which belongs to the connection whose event is evaluated; the owner swaps it.
    package var processDictionary = StoredDictionary()
    /// What `getenv` sees; the names carry no prefix.
    package let environment: [String: String]
    /// The event under evaluation, for the message accessors (`topic()`, `qos()`, …).
    package var event: (any EventColumns)?
    /// Where compiled rules keep what they work on.
    private(set) lazy var frame = EvaluationFrame(self)

    package init(
        node: String, arena: Arena = Arena(), random: RandomSource = .system,
        store: KeyValueStore = KeyValueStore(), environment: [String: String] = [:]
    ) {
        self.node = node
        self.arena = arena
        self.random = random
        self.store = store
        self.environment = environment
    }
}

/// The columns of one event, read when an expression asks for them.
package protocol EventColumns: AnyObject {
    /// - Returns: the column's value, valid during this evaluation; `.undefined` when the event has no such column.
    func value(of column: Column, in context: EvaluationContext) throws(EvaluationError) -> Value
    /// The columns that `SELECT *` copies, in any order. Those whose value is undefined are left out of the row only if
    /// the event's table lists them as absent; see `emqx-rules` §7.
    var present: [Column] { get }
}

/// A column's name, interned: two columns are the same when their identifiers are.
package struct Column: Hashable, Sendable {
    package let id: Int

    private struct Table: ~Copyable {
        var names: [(text: String, bytes: UnsafeMutableRawBufferPointer)] = []
        var ids: [String: Int] = [:]
    }

    private static let table = Mutex(Table())

    /// The column of that name; made at compile time of a rule, never on the message path.
    package init(_ name: String) {
        id = Self.table.withLock { table in
            if let id = table.ids[name] { return id }
            // Never freed: keys of rows point to it, and there are as many as rules name columns.
            let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: name.utf8.count, alignment: 1)
            bytes.copyBytes(from: name.utf8)
            table.names.append((name, bytes))
            table.ids[name] = table.names.count - 1
            return table.names.count - 1
        }
    }

    package var name: String { Self.table.withLock { $0.names[id].text } }
    /// The name in memory that stays.
    package var nameBytes: Bytes {
        Bytes(start: UnsafeRawPointer(bitPattern: Self.table.withLock { UInt(bitPattern: $0.names[id].bytes.baseAddress) }),
            count: Self.table.withLock { $0.names[id].bytes.count })
    }
}

extension Column {
    package static let event = Column("event")
    package static let timestamp = Column("timestamp")
    package static let node = Column("node")
    package static let id = Column("id")
    package static let clientid = Column("clientid")
    package static let username = Column("username")
    package static let payload = Column("payload")
    package static let peerhost = Column("peerhost")
    package static let peername = Column("peername")
    package static let topic = Column("topic")
    package static let qos = Column("qos")
    package static let flags = Column("flags")
    package static let pubProps = Column("pub_props")
    package static let publishReceivedAt = Column("publish_received_at")
    package static let clientAttrs = Column("client_attrs")
    package static let metadata = Column("metadata")
}

/// A small random source that can be seeded: SplitMix64 over a state that is fresh from the system by default.
package struct RandomSource: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }
    package static var system: RandomSource { RandomSource(seed: UInt64.random(in: .min ... .max)) }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
