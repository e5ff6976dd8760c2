import CRaft

/// What can be asked of, and done to, a log whose node does not run.
package enum RaftDirectory {
    package struct Inspection: Sendable, Equatable {
        /// The highest this member has seen.
        package var term: UInt64
        /// Of the survivors of a lost majority, the one with the highest (``lastTerm``, ``lastIndex``) knows most.
        package var lastTerm: UInt64
        package var lastIndex: UInt64
        package var snapshotIndex: UInt64
        /// As of the log's end.
        package var members: [ConsensusMember]
    }

    package static func inspect(_ configuration: RaftConfiguration) throws(ConsensusStartError) -> Inspection {
        var raw = craft_inspection()
        var error = CErrorText()
        let result = error.use { craft_inspect(configuration.logFolder, &raw, $0) }
        guard result == 0 else { throw RaftEngine.startError(result, error) }
        let members = withUnsafeBytes(of: raw.members) { bytes in
            bytes.bindMemory(to: craft_member.self).prefix(Int(raw.member_count)).map(ConsensusMember.init)
        }
        return Inspection(
            term: raw.term, lastTerm: raw.last_term, lastIndex: raw.last_index, snapshotIndex: raw.snapshot_index,
            members: members)
    }

    /// Makes these the members, after the majority has been lost for good. To be done on one survivor alone; all others must join
    /// again under new identities, as their logs would elect a leader of their own: raise the identity's epoch with it.
    package static func recover(_ configuration: RaftConfiguration, members: [ConsensusMember])
        throws(ConsensusStartError)
    {
        var error = CErrorText()
        let raw = members.map(craft_member.init)
        let result = error.use { craft_recover(configuration.logFolder, raw, UInt32(raw.count), $0) }
        guard result == 0 else { throw RaftEngine.startError(result, error) }
    }
}
