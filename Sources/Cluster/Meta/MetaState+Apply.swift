import Crypto

extension BlobID {
    package init(of content: [UInt8]) {
        self.init(digest: Array(SHA256.hash(data: content)))
    }
}

/// The rules by which commands change the state. Pure: what comes out depends on the state and the command alone.
extension MetaState {
    package mutating func apply(_ command: MetaCommand) -> (answer: MetaAnswer, change: MetaChange) {
        switch command {
        case .found(let id, let name): found(id, name)
        case .putMember(let member): put(member)
        case .removeMember(let name, let id, let time): remove(name, id, time)
        case .raiseFeatureLevel(let level): raise(featureLevel: level)
        case .raiseEpoch(let epoch): raise(epoch: epoch)
        case .stage(let blob, let offset, let total, let bytes): stage(blob, Int(offset), Int(total), bytes)
        case .applyRules(let change): apply(change)
        case .rollbackRules(let generation, let expected, let time, let by):
            rollBack(to: generation, expected, time, by)
        case .configure(let key, let value): configure(key, value)
        case .changeTable(let name, let changes): change(name, changes)
        case .barrier: (done, [])
        }
    }

    var done: MetaAnswer { .done(generation: rules.number) }
    var unchanged: MetaAnswer { .unchanged(generation: rules.number) }

    // MARK: Membership

    private mutating func found(_ id: UInt64, _ name: String) -> (MetaAnswer, MetaChange) {
        guard clusterID == 0, id != 0 else { return (unchanged, []) }
        clusterID = id
        clusterName = name
        epoch = max(epoch, 1)
        return (done, .members)
    }

    private mutating func put(_ member: ClusterMember) -> (MetaAnswer, MetaChange) {
        if let old = members[member.name], old == member { return (unchanged, []) }
        guard member.id != 0, !member.name.isEmpty else {
            return (.refused(reason: "a member has a name and an id", next: "report this as a defect"), [])
        }
        if let other = members.values.first(where: { $0.id == member.id && $0.name != member.name }) {
            return (
                .conflict(
                    reason: "\(other.name) has the id of \(member.name)",
                    next: "a data directory was copied: start \(member.name) with an empty one"), []
            )
        }
        if let old = members[member.name], old.id != member.id {
            return (
                .conflict(
                    reason: "\(member.name) is a member with another data directory",
                    next: "sluice ctl cluster force-leave \(member.name), then join again"), []
            )
        }
        if removed.contains(where: { $0.id == member.id }) {
            return (
                .refused(
                    reason: "\(member.name) has been removed", next: "join with a new data directory"), []
            )
        }
        guard members.count < MetaLimits.members || members[member.name] != nil else {
            return (
                .refused(
                    reason: "a cluster has at most \(MetaLimits.members) nodes", next: "remove one first"), []
            )
        }
        members[member.name] = member
        return (done, .members)
    }

    private mutating func remove(_ name: String, _ id: UInt64, _ time: UInt64) -> (MetaAnswer, MetaChange) {
        guard let member = members[name], member.id == id else {
            return (removed.contains { $0.id == id } ? unchanged : .notFound("\(name) is no member"), [])
        }
        members[name] = nil
        removed.append(RemovedMember(name: name, id: id, time: time))
        if removed.count > MetaLimits.removed { removed.removeFirst(removed.count - MetaLimits.removed) }
        // The files of a node that comes back under this name are offered anew. Its rules stay.
        offers[name] = nil
        return (done, .members)
    }

    private mutating func raise(featureLevel level: UInt32) -> (MetaAnswer, MetaChange) {
        guard level > featureLevel else { return (unchanged, []) }
        if let older = members.values.filter({ $0.featureLevel < level }).map(\.name).min() {
            return (.refused(reason: "\(older) runs an older version", next: "upgrade it first"), [])
        }
        featureLevel = level
        return (done, .members)
    }

    private mutating func raise(epoch new: UInt64) -> (MetaAnswer, MetaChange) {
        guard new > epoch else { return (unchanged, []) }
        epoch = new
        return (done, .members)
    }

    // MARK: Configuration and tables

    private mutating func configure(_ key: String, _ value: String?) -> (MetaAnswer, MetaChange) {
        if configuration[key] == value { return (unchanged, []) }
        guard value == nil || configuration[key] != nil || configuration.count < MetaLimits.configuration else {
            return (
                .refused(
                    reason: "at most \(MetaLimits.configuration) keys can be set for the cluster",
                    next: "remove some first"), []
            )
        }
        configuration[key] = value
        configurationVersion += 1
        return (done, .configuration)
    }

    private mutating func change(_ name: MetaTableName, _ changes: [TableChange]) -> (MetaAnswer, MetaChange) {
        var table = tables[name] ?? MetaTable()
        let before = table.entries
        for change in changes { table.entries[change.key] = change.value }
        guard table.entries != before else { return (unchanged, []) }
        let bytes = table.entries.reduce(0) { $0 + $1.key.count + $1.value.count }
        guard table.entries.count <= MetaLimits.tableEntries, bytes <= MetaLimits.tableBytes else {
            return (.refused(reason: "the table \(name) is full", next: "remove entries first"), [])
        }
        table.version += 1
        tables[name] = table
        return (done, .tables)
    }
}
