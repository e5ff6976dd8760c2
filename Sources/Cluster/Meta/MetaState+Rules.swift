/// Files and generations of rules.
extension MetaState {
    // MARK: Files

    mutating func stage(
        _ blob: BlobID, _ offset: Int, _ total: Int, _ bytes: [UInt8]
    ) -> (MetaAnswer, MetaChange) {
        guard blobs[blob] == nil else { return (unchanged, []) }
        guard total <= MetaLimits.blob, offset + bytes.count <= total else {
            return (
                .refused(
                    reason: "a rule file has at most \(MetaLimits.blob) bytes", next: "split it into several files"), []
            )
        }
        forgetStaged()
        var entry = staged[blob] ?? StagedBlob(total: UInt32(total), bytes: [], sequence: sequence)
        // Parts come in order, from one proposer or from several that have the same file.
        guard Int(entry.total) == total, offset <= entry.bytes.count else { return (.missing([blob]), []) }
        let held = staged.reduce(0) { $0 + ($1.key == blob ? 0 : $1.value.bytes.count) }
        guard held + total <= MetaLimits.staged else {
            return (.refused(reason: "too many rule files are on their way", next: "try again in a minute"), [])
        }
        entry.bytes = Array(entry.bytes.prefix(offset)) + bytes
        entry.sequence = sequence
        guard entry.bytes.count == total else {
            staged[blob] = entry
            return (done, [])
        }
        staged[blob] = nil
        guard BlobID(of: entry.bytes) == blob else {
            return (.refused(reason: "a rule file arrived damaged", next: "try again"), [])
        }
        let all = blobs.reduce(0) { $0 + $1.value.count }
        guard all + total <= MetaLimits.blobs else {
            return (
                .refused(
                    reason: "the rule files and their history would exceed \(MetaLimits.blobs) bytes",
                    next: "make them smaller"), []
            )
        }
        blobs[blob] = entry.bytes
        unused[blob] = sequence
        return (done, [])
    }

    private mutating func forgetStaged() {
        staged = staged.filter { $0.value.sequence + MetaLimits.stagedLifetime > sequence }
        for (blob, at) in unused where at + MetaLimits.stagedLifetime <= sequence {
            unused[blob] = nil
            blobs[blob] = nil
        }
    }

    /// Forgets files that no generation has any more.
    private mutating func collect() {
        var used = rules.blobs
        for generation in history { used.formUnion(generation.blobs) }
        unused = unused.filter { !used.contains($0.key) && $0.value + MetaLimits.stagedLifetime > sequence }
        blobs = blobs.filter { used.contains($0.key) || unused[$0.key] != nil }
    }

    // MARK: Rules

    mutating func apply(_ change: RuleChange) -> (MetaAnswer, MetaChange) {
        if let expected = change.expected, expected != rules.number { return (changedMeanwhile(expected), []) }
        let bundle: RuleBundle
        switch change.manifest {
        case .inline(let inline): bundle = inline
        case .blob(let blob):
            guard let bytes = blobs[blob] else { return (.missing([blob]), []) }
            var reader = MetaReader(bytes)
            do throws(MetaFormatError) {
                bundle = try reader.bundle()
                try reader.end()
            } catch { return (.refused(reason: "the list of rule files is damaged", next: "try again"), []) }
        }
        let missing = Set(bundle.files.map(\.blob)).filter { blobs[$0] == nil }
        guard missing.isEmpty else { return (.missing(missing.sorted()), []) }
        if !change.takesOver, let conflict = conflict(bundle, change.owner) { return (conflict, []) }

        var next = rules
        next.bundles[change.owner] = bundle.files.isEmpty ? nil : bundle
        next.objects = owned(next.bundles, offeredBy: change.owner, takesOver: change.takesOver)
        if change.offer != 0 { offers[change.owner] = change.offer }
        guard next.objects.mapValues(\.object.hash) != rules.objects.mapValues(\.object.hash) else {
            let isSame = next == rules
            rules = next
            collect()
            return (unchanged, isSame ? [] : .rules)
        }
        next.time = change.time
        next.by = change.by
        next.note = change.note
        advance(to: next)
        return (done, .rules)
    }

    mutating func rollBack(
        to number: UInt64, _ expected: UInt64?, _ time: UInt64, _ by: String
    ) -> (MetaAnswer, MetaChange) {
        if let expected, expected != rules.number { return (changedMeanwhile(expected), []) }
        guard number != rules.number else { return (unchanged, []) }
        guard let earlier = history.last(where: { $0.number == number }) else {
            let known = history.map { "\($0.number)" }.joined(separator: ", ")
            return (
                .notFound(
                    "generation \(number) is not kept; "
                        + (known.isEmpty ? "there is no earlier one" : "kept are \(known)")
                ), []
            )
        }
        var next = earlier
        next.time = time
        next.by = by
        next.note = "rollback to \(number)"
        advance(to: next)
        return (done, .rules)
    }

    /// Makes it the next generation; objects whose text is not what it was get its number.
    private mutating func advance(to generation: RuleGeneration) {
        var next = generation
        next.number = rules.number + 1
        for (id, owned) in next.objects {
            let before = rules.objects[id]
            let isKept = before?.object.hash == owned.object.hash
            next.objects[id]?.generation = isKept ? before?.generation ?? next.number : next.number
        }
        if rules.number > 0 {
            history.append(rules)
            if history.count > MetaLimits.history { history.removeFirst(history.count - MetaLimits.history) }
        }
        rules = next
        collect()
    }

    private func changedMeanwhile(_ expected: UInt64) -> MetaAnswer {
        .conflict(
            reason: "the rules are at generation \(rules.number), not \(expected) any more",
            next: "look at them again: sluice rules diff")
    }

    /// The first object that another owner has with another text. Nodes that are no members any more own nothing.
    private func conflict(_ bundle: RuleBundle, _ owner: String) -> MetaAnswer? {
        let taken = bundle.objects.sorted { $0.id < $1.id }.first { object in
            guard let present = rules.objects[object.id] else { return false }
            return present.owner != owner && present.object.hash != object.hash && isOwner(present.owner)
        }
        guard let taken, let present = rules.objects[taken.id] else { return nil }
        let (owner, next) =
            present.owner.isEmpty
            ? ("the cluster", "change it with sluice rules apply, or take it out of \(taken.file)")
            : ("the files of \(present.owner)", "change it there (\(present.object.origin))")
        return .conflict(
            reason: "\(taken.id) (\(taken.origin)) is \(owner)'s and says something else",
            next: next)
    }

    private func isOwner(_ owner: String) -> Bool { owner.isEmpty || isMember(owner) }

    /// Who owns what: who did, as long as its files have it; then any owner whose text is the same; else nobody.
    private func owned(
        _ bundles: [String: RuleBundle], offeredBy offerer: String, takesOver: Bool
    ) -> [String: OwnedRuleObject] {
        var candidates: [String: [(owner: String, object: RuleObject)]] = [:]
        for owner in bundles.keys.sorted() {
            for object in bundles[owner]?.objects ?? [] { candidates[object.id, default: []].append((owner, object)) }
        }
        var result: [String: OwnedRuleObject] = [:]
        for (id, offers) in candidates {
            let before = rules.objects[id]
            let chosen: (owner: String, object: RuleObject)?
            if let offered = offers.first(where: { $0.owner == offerer }),
                takesOver || before == nil || before?.owner == offerer || !isOwner(before?.owner ?? "")
            {
                chosen = offered
            } else if let before {
                chosen =
                    offers.first { $0.owner == before.owner && $0.object.hash == before.object.hash }
                    ?? offers.first { $0.object.hash == before.object.hash }
            } else {
                // Only the offerer brings what was not there.
                chosen = nil
            }
            guard let chosen else { continue }
            result[id] = OwnedRuleObject(
                object: chosen.object, owner: chosen.owner, generation: before?.generation ?? 0)
        }
        return result
    }
}
