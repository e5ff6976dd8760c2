import Cluster
import Testing

/// Whose rules are in force when several nodes have files.
@Suite("Rule files of several nodes") struct RuleOwnershipTests {
    private var state = MetaState()

    init() {
        for (id, name) in ["n1@h", "n2@h"].enumerated() {
            _ = state.apply(
                .putMember(
                    ClusterMember(
                        name: name, id: UInt64(id + 1), role: .core, address: "", joined: 0, version: "1",
                        featureLevel: 1)))
        }
    }

    private mutating func offer(
        _ owner: String, _ objects: [String: UInt64], expected: UInt64? = nil, takesOver: Bool = false
    ) -> MetaAnswer {
        let text = Array("\(objects.sorted { $0.key < $1.key })".utf8)
        let blob = BlobID(of: text)
        _ = state.apply(.stage(blob: blob, offset: 0, total: UInt32(text.count), bytes: text))
        let bundle = RuleBundle(
            files: [RuleBundle.File(path: "a.yaml", blob: blob)],
            objects: objects.map { RuleObject(id: "rule:\($0.key)", hash: $0.value, file: "a.yaml", line: 1) })
        state.sequence += 1
        return state.apply(
            .applyRules(
                RuleChange(
                    owner: owner, manifest: .inline(bundle), offer: 1, expected: expected, takesOver: takesOver,
                    time: 1,
                    by: owner, note: "")
            )
        ).answer
    }

    private var inForce: [String: UInt64] {
        Dictionary(uniqueKeysWithValues: state.rules.objects.values.map { ($0.object.id, $0.object.hash) })
    }

    @Test mutating func `The same files on two nodes are one set, which goes when both have dropped it`() {
        #expect(offer("n1@h", ["a": 1, "b": 1]) == .done(generation: 1))
        #expect(offer("n2@h", ["a": 1, "b": 1]) == .unchanged(generation: 1))
        #expect(offer("n1@h", ["a": 1]) == .unchanged(generation: 1), "n2 has b still")
        #expect(state.rules.objects["rule:b"]?.owner == "n2@h")
        #expect(offer("n2@h", ["a": 1]) == .done(generation: 2))
        #expect(inForce == ["rule:a": 1])
    }

    @Test mutating func `Who comes second with other text is refused, and told where to change it`() {
        _ = offer("n1@h", ["a": 1])
        guard case .conflict(let reason, let next) = offer("n2@h", ["a": 2, "c": 1]) else {
            Issue.record("it was taken")
            return
        }
        #expect(reason.contains("rule:a") && reason.contains("n1@h"))
        #expect(next.contains("a.yaml:1"))
        #expect(inForce == ["rule:a": 1], "as a whole or not at all")
        #expect(state.offers["n2@h"] == nil, "it may be offered again")
        #expect(offer("n1@h", ["a": 2]) == .done(generation: 2))
        #expect(offer("n2@h", ["a": 2, "c": 1]) == .done(generation: 3))
        #expect(state.rules.objects["rule:a"]?.generation == 2)
        #expect(state.rules.objects["rule:c"]?.generation == 3)
    }

    @Test mutating func `Rules of a node that has left stay, and others may change them`() {
        _ = offer("n1@h", ["a": 1])
        _ = state.apply(.removeMember(name: "n1@h", id: 1, time: 2))
        #expect(inForce == ["rule:a": 1])
        #expect(offer("n2@h", ["a": 2]) == .done(generation: 2))
        #expect(state.rules.objects["rule:a"]?.owner == "n2@h")
    }

    @Test mutating func `The old text of another node does not come back when the owner drops a rule`() {
        _ = offer("n1@h", ["a": 1])
        _ = offer("n2@h", ["a": 1])
        _ = offer("n1@h", ["a": 2])
        #expect(offer("n1@h", [:]) == .done(generation: 3))
        #expect(inForce.isEmpty)
    }

    @Test mutating func `What a command applies belongs to the cluster; taking over is said`() {
        _ = offer("n1@h", ["a": 1])
        guard case .conflict = offer("", ["a": 2]) else {
            Issue.record("it was taken")
            return
        }
        #expect(offer("", ["a": 2], takesOver: true) == .done(generation: 2))
        #expect(state.rules.objects["rule:a"]?.owner == "")
    }

    @Test mutating func `A change that was checked against another generation is a conflict`() {
        _ = offer("n1@h", ["a": 1])
        guard case .conflict = offer("", ["b": 1], expected: 0) else {
            Issue.record("it was taken")
            return
        }
        #expect(offer("", ["b": 1], expected: 1) == .done(generation: 2))
    }

    @Test mutating func `A rollback brings a generation's rules and files back under a new number`() {
        _ = offer("n1@h", ["a": 1])
        _ = offer("n1@h", ["a": 2])
        let first = state.history[0]
        #expect(state.apply(.rollbackRules(to: 1, expected: nil, time: 3, by: "me")).answer == .done(generation: 3))
        #expect(inForce == ["rule:a": 1])
        #expect(state.rules.bundles == first.bundles)
        #expect(state.rules.bundles.values.allSatisfy { $0.files.allSatisfy { state.bytes(of: $0) != nil } })
        guard case .notFound(let text) = state.apply(.rollbackRules(to: 77, expected: nil, time: 3, by: "me")).answer
        else {
            Issue.record("there is no generation 77")
            return
        }
        #expect(text.contains("1, 2"))
    }

    @Test mutating func `20 earlier generations are kept, with their files and no others`() {
        for number in 1...40 { _ = offer("n1@h", ["a": UInt64(number)]) }
        #expect(state.history.map(\.number) == Array(20...39))
        state.sequence += MetaLimits.stagedLifetime
        _ = offer("n1@h", ["a": 41])
        #expect(state.blobs.count == 21)
    }
}
