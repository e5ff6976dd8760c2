/// What a node that wants in, or out, tells the leader.
package enum MembershipRequest: Sendable, Equatable {
    case join(Join)
    case leave(Leave)

    package struct Join: Sendable, Equatable {
        package var name: String
        /// Of its new data directory; 0 while it only asks whether it may.
        package var id: UInt64
        package var role: NodeRole
        package var address: String
        package var version: String
        package var featureLevel: UInt32
        package var time: UInt64
        /// That of the cluster it has joined by its own account; 0 for none.
        package var clusterID: UInt64

        package init(
            name: String, id: UInt64, role: NodeRole, address: String, version: String, featureLevel: UInt32,
            time: UInt64, clusterID: UInt64
        ) {
            self.name = name
            self.id = id
            self.role = role
            self.address = address
            self.version = version
            self.featureLevel = featureLevel
            self.time = time
            self.clusterID = clusterID
        }
    }

    package struct Leave: Sendable, Equatable {
        package var name: String
        /// 0: whichever the name has.
        package var id: UInt64
        /// Whether somebody else removes it.
        package var isForced: Bool
        /// Whether it may be alive while somebody else removes it.
        package var mayBeAlive: Bool
        package var time: UInt64

        package init(name: String, id: UInt64, isForced: Bool, mayBeAlive: Bool, time: UInt64) {
            self.name = name
            self.id = id
            self.isForced = isForced
            self.mayBeAlive = mayBeAlive
            self.time = time
        }
    }

    package var name: String {
        switch self {
        case .join(let join): join.name
        case .leave(let leave): leave.name
        }
    }

    package var encoded: [UInt8] {
        var writer = MetaWriter()
        switch self {
        case .join(let join):
            writer.byte(1)
            writer.text(join.name)
            writer.number(join.id)
            writer.byte(join.role.rawValue)
            writer.text(join.address)
            writer.text(join.version)
            writer.number32(join.featureLevel)
            writer.number(join.time)
            writer.number(join.clusterID)
        case .leave(let leave):
            writer.byte(2)
            writer.text(leave.name)
            writer.number(leave.id)
            writer.flag(leave.isForced)
            writer.flag(leave.mayBeAlive)
            writer.number(leave.time)
        }
        return writer.bytes
    }

    package init(decoding bytes: [UInt8]) throws(MetaFormatError) {
        var reader = MetaReader(bytes)
        switch try reader.byte() {
        case 1:
            let name = try reader.text(limit: 256)
            let id = try reader.number()
            guard let role = NodeRole(rawValue: try reader.byte()) else {
                throw MetaFormatError("there is no such role")
            }
            self = .join(
                Join(
                    name: name, id: id, role: role, address: try reader.text(limit: 512),
                    version: try reader.text(limit: 64), featureLevel: try reader.number32(),
                    time: try reader.number(), clusterID: try reader.number()))
        case 2:
            self = .leave(
                Leave(
                    name: try reader.text(limit: 256), id: try reader.number(), isForced: try reader.flag(),
                    mayBeAlive: try reader.flag(), time: try reader.number()))
        case let other: throw MetaFormatError("there is no request \(other)")
        }
        // What a later version adds is not for this one.
    }
}

/// What the leader, or who stands in for it, answers.
package enum MembershipReply: Sendable, Equatable {
    /// Done, or (to one that asked) possible.
    case accepted(Cluster)
    /// Ask that one.
    case leader(name: String, address: String)
    case failed(MetaFailure)

    package struct Cluster: Sendable, Equatable {
        package var id: UInt64
        package var epoch: UInt64
        package var name: String
        /// How many commands the leader has applied.
        package var sequence: UInt64
        package var members: [ClusterMember]
        package var notes: [String]

        package init(_ state: MetaState, notes: [String] = []) {
            id = state.clusterID
            epoch = state.epoch
            name = state.clusterName
            sequence = state.sequence
            members = state.members.values.sorted { $0.name < $1.name }
            self.notes = notes
        }

        fileprivate init(
            id: UInt64, epoch: UInt64, name: String, sequence: UInt64, members: [ClusterMember], notes: [String]
        ) {
            self.id = id
            self.epoch = epoch
            self.name = name
            self.sequence = sequence
            self.members = members
            self.notes = notes
        }
    }

    package var encoded: [UInt8] {
        var writer = MetaWriter()
        switch self {
        case .accepted(let cluster):
            writer.byte(0)
            writer.number(cluster.id)
            writer.number(cluster.epoch)
            writer.text(cluster.name)
            writer.number(cluster.sequence)
            writer.list(cluster.members) { $0.member($1) }
            writer.list(cluster.notes) { $0.text($1) }
        case .leader(let name, let address):
            writer.byte(1)
            writer.text(name)
            writer.text(address)
        case .failed(let failure):
            let (kind, reason, next): (UInt8, String, String) =
                switch failure {
                case .refused(let reason, let next): (2, reason, next)
                case .conflict(let reason, let next): (3, reason, next)
                case .notFound(let reason): (4, reason, "")
                case .outcomeUnknown(let reason, let next): (5, reason, next)
                }
            writer.byte(kind)
            writer.text(reason)
            writer.text(next)
        }
        return writer.bytes
    }

    package init(decoding bytes: [UInt8]) throws(MetaFormatError) {
        var reader = MetaReader(bytes)
        let kind = try reader.byte()
        switch kind {
        case 0:
            self = .accepted(
                Cluster(
                    id: try reader.number(), epoch: try reader.number(), name: try reader.text(limit: 256),
                    sequence: try reader.number(),
                    members: try reader.list(limit: MetaLimits.members) { reader throws(MetaFormatError) in
                        try reader.member()
                    },
                    notes: try reader.list(limit: 64) { reader throws(MetaFormatError) in try reader.text() }))
        case 1: self = .leader(name: try reader.text(limit: 256), address: try reader.text(limit: 512))
        default:
            let (reason, next) = (try reader.text(limit: 65_536), try reader.text(limit: 65_536))
            switch kind {
            case 2: self = .failed(.refused(reason: reason, next: next))
            case 3: self = .failed(.conflict(reason: reason, next: next))
            case 4: self = .failed(.notFound(reason))
            case 5: self = .failed(.outcomeUnknown(reason: reason, next: next))
            default: throw MetaFormatError("there is no reply \(kind)")
            }
        }
    }
}
