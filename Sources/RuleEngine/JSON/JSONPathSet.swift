package import Buffers

/// One step of a path.
package enum JSONPathStep: Hashable, Sendable {
    case key([UInt8])
    /// 1 is the first element, -1 the last; 0 leads nowhere.
    case index(Int)

    package static func key(_ text: String) -> JSONPathStep { .key(Array(text.utf8)) }
}

/// A set of paths that one pass over a JSON text reads, compiled once.
///
/// The pass goes to the end of the text, although all paths may have been found before: a text that is not JSON raises
/// wherever its fault is, and of equal keys the last one counts, as in EMQX.
// Immutable, so that all shards may share it; the memory is freed with it.
package final class JSONPathSet: @unchecked Sendable {
    /// A place in the tree of all paths. The children of a node lie side by side.
    struct Node: BitwiseCopyable {
        /// The key that leads here, in ``keys``; meaningless for an element of an array.
        var keyStart: Int32 = 0
        var keyCount: Int32 = -1
        /// The index that leads here; 0 for the member of an object.
        var index = 0
        var firstChild: Int32 = 0
        var childCount: Int32 = 0
        /// Where the value at this place goes; negative when no path ends here.
        var slot: Int32 = -1
        /// The slots of this node and of all below it.
        var firstSlot: Int32 = 0
        var endSlot: Int32 = 0
        var hasNegativeIndex = false
    }

    /// Memory rather than arrays, whose owners would be counted for each pass.
    private let nodes: UnsafeMutableBufferPointer<Node>
    private let keys: UnsafeMutableBufferPointer<UInt8>
    /// Whether text on the way is decoded as JSON for the next step, as the paths of SQL do.
    let decodesText: Bool
    private let slots: [Int]
    /// How many slots ``read(_:into:in:)`` fills.
    package let slotCount: Int

    /// - Parameter paths: in any order; the empty one is the whole text. Equal ones share a slot.
    package init(_ paths: [[JSONPathStep]], decodesText: Bool = true) {
        var builder = PathTreeBuilder()
        builder.add(paths)
        nodes = .allocate(capacity: builder.nodes.count)
        _ = nodes.initialize(from: builder.nodes)
        keys = .allocate(capacity: builder.keys.count)
        _ = keys.initialize(from: builder.keys)
        slots = builder.slots
        slotCount = builder.slotCount
        self.decodesText = decodesText
    }

    deinit {
        nodes.deallocate()
        keys.deallocate()
    }

    /// - Parameter index: of the path in the list given to the initialiser.
    package func slot(ofPath index: Int) -> Int { slots[index] }

    /// Reads all paths.
    ///
    /// - Parameters:
    ///   - text: must outlive the values.
    ///   - slots: at least ``slotCount``; each becomes the value at its path, undefined where the path leads nowhere.
    /// - Throws: as ``JSON/decode(_:in:)``.
    package func read(
        _ text: Bytes, into slots: UnsafeMutableBufferPointer<JSONSlot>, in arena: Arena
    ) throws(EvaluationError) {
        guard let start = text.baseAddress, text.count > 0 else { throw .decodeJSON(offset: 0) }
        var pass = JSONPathPass(
            reader: JSONReader(start, count: text.count), nodes: UnsafeBufferPointer(nodes),
            keys: UnsafeBufferPointer(keys), slots: slots, arena: arena, decodesText: decodesText)
        try pass.run(slotCount: slotCount)
    }
}

/// The value at a path: scalars and strings are there, arrays and objects are decoded when they are asked for.
package struct JSONSlot: BitwiseCopyable {
    /// A value; or, with ``sliceFlag``, the JSON text of an array or object that was checked before.
    private var stored: Value
    private static let sliceFlag: UInt8 = 0x80

    package init() { stored = .undefined }

    @inline(__always) init(_ value: Value) { stored = value }
    @inline(__always) init(slice: Bytes) {
        stored = Value(
            kind: .string, bits: Value.address(slice.baseAddress), count: UInt32(truncatingIfNeeded: slice.count),
            flag: Self.sliceFlag)
    }

    /// The value; an array or object is decoded once.
    @inline(__always)
    package mutating func value(in arena: Arena) throws(EvaluationError) -> Value {
        if stored.flag & Self.sliceFlag != 0 { stored = try JSON.decode(stored.bytes, in: arena) }
        return stored
    }

    /// The JSON text of an array or object that has not been decoded yet, for output as it is; nil otherwise.
    package var slice: Bytes? { stored.flag & Self.sliceFlag != 0 ? stored.bytes : nil }
}

/// Makes the tree and numbers its slots so that those below a node are consecutive.
private struct PathTreeBuilder {
    private final class Branch {
        var step: JSONPathStep?
        var children: [Branch] = []
        var paths: [Int] = []

        init(_ step: JSONPathStep?) { self.step = step }
    }

    var nodes: [JSONPathSet.Node] = []
    var keys: [UInt8] = []
    var slots: [Int] = []
    var slotCount = 0

    mutating func add(_ paths: [[JSONPathStep]]) {
        slots = Array(repeating: 0, count: paths.count)
        let root = Branch(nil)
        for (number, path) in paths.enumerated() {
            var branch = root
            for step in path {
                if let next = branch.children.first(where: { $0.step == step }) {
                    branch = next
                } else {
                    let next = Branch(step)
                    branch.children.append(next)
                    branch = next
                }
            }
            branch.paths.append(number)
        }
        nodes.append(node(root))
        fill(0, root)
    }

    private mutating func node(_ branch: Branch) -> JSONPathSet.Node {
        var node = JSONPathSet.Node()
        switch branch.step {
        case .key(let key):
            node.keyStart = Int32(keys.count)
            node.keyCount = Int32(key.count)
            keys += key
        case .index(let index): node.index = index
        case nil: break
        }
        return node
    }

    private mutating func fill(_ index: Int, _ branch: Branch) {
        nodes[index].firstSlot = Int32(slotCount)
        if !branch.paths.isEmpty {
            nodes[index].slot = Int32(slotCount)
            for path in branch.paths { slots[path] = slotCount }
            slotCount += 1
        }
        let first = nodes.count
        nodes[index].firstChild = Int32(first)
        nodes[index].childCount = Int32(branch.children.count)
        for child in branch.children {
            if case .index(let position) = child.step, position < 0 { nodes[index].hasNegativeIndex = true }
            nodes.append(node(child))
        }
        for (offset, child) in branch.children.enumerated() { fill(first + offset, child) }
        nodes[index].endSlot = Int32(slotCount)
    }
}
