package import Buffers

/// Topic filters → elements, matched level by level.
///
/// A trie whose edges lie in one open-addressing table keyed by (parent, hash of the level), so that a match of a topic
/// with n levels makes about n probes for each branch that wildcards open, and no allocation. Not synchronised: the
/// owner guards it.
package struct TopicIndex<Element> {
    private struct Node {
        var parent: Int32
        /// The level's text, to tell levels of equal hash apart; empty for the root and for wildcards.
        var level: [UInt8]
        var hash: UInt64
        var singleLevel: Int32 = -1
        var children: Int32 = 0
        /// Elements whose filter ends here.
        var elements: [Element] = []
        /// Elements whose filter ends here with `/#`, which match this level too. [MQTT-4.7.1-2]
        var multiLevel: [Element] = []

        var isBare: Bool { children == 0 && singleLevel < 0 && elements.isEmpty && multiLevel.isEmpty }
    }

    private static var root: Int32 { 0 }
    private static var empty: Int32 { -1 }
    private static var removed: Int32 { -2 }

    private var nodes: [Node] = [Node(parent: -1, level: [], hash: 0)]
    private var freeNodes: [Int32] = []
    /// Node numbers; `empty` and `removed` are marks.
    private var table: [Int32]
    private var occupied = 0
    /// Elements in the index.
    package private(set) var count = 0

    package init() { table = Array(repeating: Self.empty, count: 64) }

    /// Adds an element under a valid filter.
    package mutating func insert(_ element: Element, filter: Bytes) {
        let (node, isMultiLevel) = makeNode(filter)
        if isMultiLevel {
            nodes[Int(node)].multiLevel.append(element)
        } else {
            nodes[Int(node)].elements.append(element)
        }
        count += 1
    }

    /// Removes the elements under this filter that `isGone` picks.
    /// - Returns: how many were removed.
    @discardableResult
    package mutating func remove(filter: Bytes, where isGone: (Element) -> Bool) -> Int {
        guard let (node, isMultiLevel) = findNode(filter) else { return 0 }
        let before = isMultiLevel ? nodes[Int(node)].multiLevel.count : nodes[Int(node)].elements.count
        if isMultiLevel {
            nodes[Int(node)].multiLevel.removeAll(where: isGone)
        } else {
            nodes[Int(node)].elements.removeAll(where: isGone)
        }
        let after = isMultiLevel ? nodes[Int(node)].multiLevel.count : nodes[Int(node)].elements.count
        count -= before - after
        prune(node)
        return before - after
    }

    /// The elements under exactly this filter.
    package func elements(filter: Bytes) -> [Element] {
        guard let (node, isMultiLevel) = findNode(filter) else { return [] }
        return isMultiLevel ? nodes[Int(node)].multiLevel : nodes[Int(node)].elements
    }

    /// Calls `body` with each element whose filter matches the topic name.
    package func match(_ topic: Bytes, _ body: (Element) -> Void) {
        let isSystem = topic.first == UInt8(ascii: "$")
        match(topic, from: 0, at: Self.root, wildcards: !isSystem, body)
    }

    private func match(_ topic: Bytes, from start: Int, at node: Int32, wildcards: Bool, _ body: (Element) -> Void) {
        let here = nodes[Int(node)]
        if wildcards { for element in here.multiLevel { body(element) } }
        guard start <= topic.count else {
            for element in here.elements { body(element) }
            return
        }
        var end = start
        while end < topic.count, topic[end] != UInt8(ascii: "/") { end += 1 }
        if here.children > 0 {
            let level = Bytes(rebasing: topic[start..<end])
            let child = find(parent: node, level: level, hash: Self.hash(parent: node, level))
            if child >= 0 { match(topic, from: end + 1, at: child, wildcards: true, body) }
        }
        if wildcards, here.singleLevel >= 0 {
            match(topic, from: end + 1, at: here.singleLevel, wildcards: true, body)
        }
    }

    // MARK: Nodes

    private mutating func makeNode(_ filter: Bytes) -> (node: Int32, isMultiLevel: Bool) {
        var node = Self.root
        var start = 0
        while start <= filter.count {
            let (level, next) = Self.level(of: filter, from: start)
            start = next
            if level.count == 1, level[0] == UInt8(ascii: "#"), start > filter.count { return (node, true) }
            if level.count == 1, level[0] == UInt8(ascii: "+") {
                if nodes[Int(node)].singleLevel < 0 {
                    let child = newNode(parent: node, level: [], hash: 0)
                    nodes[Int(node)].singleLevel = child
                }
                node = nodes[Int(node)].singleLevel
                continue
            }
            let hash = Self.hash(parent: node, level)
            var child = find(parent: node, level: level, hash: hash)
            if child < 0 {
                child = newNode(parent: node, level: Array(level), hash: hash)
                nodes[Int(node)].children += 1
                link(child)
            }
            node = child
        }
        return (node, false)
    }

    private func findNode(_ filter: Bytes) -> (node: Int32, isMultiLevel: Bool)? {
        var node = Self.root
        var start = 0
        while start <= filter.count {
            let (level, next) = Self.level(of: filter, from: start)
            start = next
            if level.count == 1, level[0] == UInt8(ascii: "#"), start > filter.count { return (node, true) }
            if level.count == 1, level[0] == UInt8(ascii: "+") {
                node = nodes[Int(node)].singleLevel
            } else {
                node = find(parent: node, level: level, hash: Self.hash(parent: node, level))
            }
            if node < 0 { return nil }
        }
        return (node, false)
    }

    private static func level(of filter: Bytes, from start: Int) -> (level: Bytes, next: Int) {
        var end = start
        while end < filter.count, filter[end] != UInt8(ascii: "/") { end += 1 }
        return (Bytes(rebasing: filter[start..<end]), end + 1)
    }

    private mutating func newNode(parent: Int32, level: [UInt8], hash: UInt64) -> Int32 {
        let node = Node(parent: parent, level: level, hash: hash)
        if let free = freeNodes.popLast() {
            nodes[Int(free)] = node
            return free
        }
        nodes.append(node)
        return Int32(nodes.count - 1)
    }

    /// Removes a node that carries nothing, and its parents likewise.
    private mutating func prune(_ start: Int32) {
        var node = start
        while node != Self.root, nodes[Int(node)].isBare {
            let parent = nodes[Int(node)].parent
            if nodes[Int(parent)].singleLevel == node {
                nodes[Int(parent)].singleLevel = -1
            } else {
                unlink(node)
                nodes[Int(parent)].children -= 1
            }
            nodes[Int(node)].level = []
            freeNodes.append(node)
            node = parent
        }
    }

    // MARK: Edges

    /// FNV-1a over the level, mixed with the parent.
    private static func hash(parent: Int32, _ level: Bytes) -> UInt64 {
        var hash = 0xcbf2_9ce4_8422_2325 ^ (UInt64(UInt32(bitPattern: parent)) &* 0x9E37_79B9_7F4A_7C15)
        for byte in level { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return hash ^ (hash >> 32)
    }

    private func find(parent: Int32, level: Bytes, hash: UInt64) -> Int32 {
        let mask = table.count - 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while table[slot] != Self.empty {
            let number = table[slot]
            if number >= 0 {
                let candidate = nodes[Int(number)]
                if candidate.hash == hash, candidate.parent == parent, candidate.level.count == level.count,
                    candidate.level.withUnsafeBytes({ compareBytes($0, level) == 0 })
                {
                    return number
                }
            }
            slot = (slot + 1) & mask
        }
        return -1
    }

    private mutating func link(_ node: Int32) {
        if (occupied + 1) * 4 > table.count * 3 { rebuild() }
        let mask = table.count - 1
        var slot = Int(truncatingIfNeeded: nodes[Int(node)].hash) & mask
        while table[slot] >= 0 { slot = (slot + 1) & mask }
        if table[slot] == Self.empty { occupied += 1 }
        table[slot] = node
    }

    private mutating func unlink(_ node: Int32) {
        let mask = table.count - 1
        var slot = Int(truncatingIfNeeded: nodes[Int(node)].hash) & mask
        while table[slot] != node { slot = (slot + 1) & mask }
        table[slot] = Self.removed
    }

    private mutating func rebuild() {
        let live = table.filter { $0 >= 0 }
        var size = 64
        while size < live.count * 2 + 2 { size *= 2 }
        table = Array(repeating: Self.empty, count: max(size, 64))
        occupied = live.count
        let mask = table.count - 1
        for node in live {
            var slot = Int(truncatingIfNeeded: nodes[Int(node)].hash) & mask
            while table[slot] >= 0 { slot = (slot + 1) & mask }
            table[slot] = node
        }
    }
}
