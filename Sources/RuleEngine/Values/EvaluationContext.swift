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
    /// Nanoseconds of a clock that never goes back, for what lasts a while. Set with the other one.
    package var uptimeNanoseconds: Int64 = 0
    package var random: RandomSource
    /// The node-wide table of `kv_store_*`.
    package let store: KeyValueStore
    /// The table of `proc_dict_*`, which belongs to the connection whose event is evaluated; the owner swaps it.
    package var processDictionary = StoredDictionary(byteLimit: 4 << 20)
    /// What `jq` has compiled.
    let jqPrograms = JQPrograms()
    /// What the date functions know of the world's clocks.
    let timeZones = TimeZones()
    /// What `getenv` sees; the names carry no prefix.
    package let environment: [String: String]
    /// The event under evaluation, for the message accessors (`topic()`, `qos()`, …).
    package var event: (any EventColumns)?
    /// What regular expressions are matched with.
    let regex = RegexWorkspace()
    /// Where compiled rules keep what they work on.
    let frame: EvaluationFrame

    package init(
        node: String, arena: Arena = Arena(), random: RandomSource = .system,
        store: KeyValueStore = KeyValueStore(), environment: [String: String] = [:]
    ) {
        self.node = node
        self.arena = arena
        self.random = random
        self.store = store
        self.environment = environment
        frame = EvaluationFrame(arena)
        frame.context = self
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
public struct Column: Hashable, Sendable {
    public let id: Int

    private struct Table: ~Copyable {
        var names: [(text: String, bytes: Bytes)] = []
        var ids: [String: Int] = [:]

        init() {
            for name in Column.fixedNames { _ = number(of: name) }
        }

        mutating func number(of name: String) -> Int {
            if let id = ids[name] { return id }
            // Never freed: keys of rows point to it, and there are as many as rules name columns.
            let memory = UnsafeMutableRawBufferPointer.allocate(
                byteCount: FramedKey.size(of: name.utf8.count), alignment: 1)
            names.append((name, FramedKey.store(Array(name.utf8), in: memory)))
            ids[name] = names.count - 1
            return names.count - 1
        }
    }

    private static let table = Mutex(Table())

    /// The column of that name; made at compile time of a rule, never on the message path.
    package init(_ name: String) {
        id = Self.table.withLock { $0.number(of: name) }
    }

    @inlinable init(id: Int) { self.id = id }

    package var name: String { Self.table.withLock { $0.names[id].text } }
    /// The name in memory that stays, as a ``FramedKey``.
    package var nameBytes: Bytes {
        Bytes(
            start: UnsafeRawPointer(
                bitPattern: Self.table.withLock { UInt(bitPattern: $0.names[id].bytes.baseAddress) }),
            count: Self.table.withLock { $0.names[id].bytes.count })
    }
}

// The columns of a publish have fixed numbers, so that an event's `switch` over them is a jump.
extension Column {
    @inlinable public static var event: Column { Column(id: 0) }
    @inlinable public static var timestamp: Column { Column(id: 1) }
    @inlinable public static var node: Column { Column(id: 2) }
    @inlinable public static var id: Column { Column(id: 3) }
    @inlinable public static var clientid: Column { Column(id: 4) }
    @inlinable public static var username: Column { Column(id: 5) }
    @inlinable public static var payload: Column { Column(id: 6) }
    @inlinable public static var peerhost: Column { Column(id: 7) }
    @inlinable public static var peername: Column { Column(id: 8) }
    @inlinable public static var topic: Column { Column(id: 9) }
    @inlinable public static var qos: Column { Column(id: 10) }
    @inlinable public static var flags: Column { Column(id: 11) }
    @inlinable public static var pubProps: Column { Column(id: 12) }
    @inlinable public static var publishReceivedAt: Column { Column(id: 13) }
    @inlinable public static var clientAttrs: Column { Column(id: 14) }
    @inlinable public static var metadata: Column { Column(id: 15) }

    fileprivate static let fixedNames = [
        "event",
        "timestamp",
        "node",
        "id",
        "clientid",
        "username",
        "payload",
        "peerhost",
        "peername",
        "topic",
        "qos",
        "flags",
        "pub_props",
        "publish_received_at",
        "client_attrs",
        "metadata",
    ]
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
