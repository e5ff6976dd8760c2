import Consensus
import Dispatch
import Synchronization

/// What one node says of itself to others.
package struct ClusterNodeStatus: Sendable, Equatable {
    package var sequence: UInt64
    package var rollingHash: UInt64
    /// Sequence numbers and the hashes after them, the newest last.
    package var hashes: [Sample]
    package var rulesGeneration: UInt64
    package var failure: String

    package struct Sample: Sendable, Equatable {
        package var sequence: UInt64
        package var hash: UInt64
    }

    var encoded: [UInt8] {
        var writer = MetaWriter()
        writer.number(sequence)
        writer.number(rollingHash)
        writer.list(hashes) { writer, sample in
            writer.number(sample.sequence)
            writer.number(sample.hash)
        }
        writer.number(rulesGeneration)
        writer.text(failure)
        return writer.bytes
    }

    init(_ machine: MetaStateMachine) {
        let state = machine.state
        sequence = state.sequence
        rollingHash = state.rollingHash
        rulesGeneration = state.rules.number
        failure = machine.failure ?? ""
        let range = machine.hashRange
        let first = max(range.lowerBound, range.upperBound > 64 ? range.upperBound - 64 : 0)
        hashes = (first...range.upperBound).compactMap { sequence in
            machine.rollingHash(at: sequence).map { Sample(sequence: sequence, hash: $0) }
        }
    }

    init(decoding bytes: [UInt8]) throws(MetaFormatError) {
        var reader = MetaReader(bytes)
        sequence = try reader.number()
        rollingHash = try reader.number()
        hashes = try reader.list(limit: 1024) { reader throws(MetaFormatError) in
            Sample(sequence: try reader.number(), hash: try reader.number())
        }
        rulesGeneration = try reader.number()
        failure = try reader.text(limit: 65_536)
    }
}

/// The cluster as one node sees it.
package struct ClusterStatus: Sendable {
    package struct Node: Sendable {
        package var member: ClusterMember
        package var isAlive: Bool
        package var isSelf: Bool
        package var isLeader: Bool
        /// `voter`, `standby`, `joining` or `stream`.
        package var part: String
        /// Commands that it has not applied yet, as far as this node has; nil when it did not say.
        package var lag: UInt64?
        package var rulesGeneration: UInt64?
        package var failure: String?
    }

    package var clusterID: UInt64
    package var name: String
    package var epoch: UInt64
    package var featureLevel: UInt32
    /// Sorted by name.
    package var nodes: [Node]
    package var leader: String?
    /// Whether changes are possible as far as this node can see.
    package var hasQuorum: Bool
    package var voters: Int
    package var sequence: UInt64
}

extension ClusterNode {
    var nodeStatus: ClusterNodeStatus { ClusterNodeStatus(machine) }

    /// Asks all nodes that can be reached, at most for a second. Blocks.
    package func status() -> ClusterStatus {
        let answers = askAll()
        let state = store.state
        let engine = consensus?.status
        let alive = alive
        let nodes = state.members.values.sorted { $0.name < $1.name }.map { member -> ClusterStatus.Node in
            let role = engine?.members.first { $0.id == member.id }?.role
            let part =
                member.role == .replicant
                ? "stream" : role == .voter ? "voter" : role == .standby ? "standby" : "joining"
            let said = member.name == options.name ? nodeStatus : answers[member.name]
            return ClusterStatus.Node(
                member: member, isAlive: alive[member.name] == member.id, isSelf: member.name == options.name,
                isLeader: engine?.leader == member.name, part: engine == nil && member.role == .core ? "core" : part,
                lag: said.map { state.sequence > $0.sequence ? state.sequence - $0.sequence : 0 },
                rulesGeneration: said?.rulesGeneration, failure: said.flatMap { $0.failure.isEmpty ? nil : $0.failure })
        }
        return ClusterStatus(
            clusterID: state.clusterID, name: state.clusterName, epoch: state.epoch, featureLevel: state.featureLevel,
            nodes: nodes, leader: engine?.leader,
            hasQuorum: engine.map { $0.leader != nil && $0.failure == nil } ?? mesh.peers.contains { $0.role == .core },
            voters: engine?.members.filter { $0.role == .voter }.count ?? 0, sequence: state.sequence)
    }

    /// Whether all nodes that can be reached have come to the same state: by node, what is wrong with it. Blocks.
    package func check() -> (compared: [String], problems: [String: String]) {
        let answers = askAll()
        var compared = [options.name]
        var problems: [String: String] = [:]
        for (name, answer) in answers.sorted(by: { $0.key < $1.key }) {
            if !answer.failure.isEmpty { problems[name] = answer.failure }
            let common = answer.hashes.last { machine.rollingHash(at: $0.sequence) != nil }
            guard let common, let own = machine.rollingHash(at: common.sequence) else {
                problems[name] = problems[name] ?? "it is too far behind, or ahead, to be compared"
                continue
            }
            compared.append(name)
            if own != common.hash {
                problems[name] = "its state differs after \(common.sequence) commands: it must join again"
            }
        }
        for member in store.state.members.values where member.name != options.name && answers[member.name] == nil {
            problems[member.name] = "it can't be reached"
        }
        return (compared, problems)
    }

    private func askAll() -> [String: ClusterNodeStatus] {
        let answers = Mutex<[String: ClusterNodeStatus]>([:])
        let group = DispatchGroup()
        for peer in mesh.peers {
            group.enter()
            mesh.call(peer.name, method: .status, body: [], timeoutMilliseconds: 1000) { result in
                if case .success(let body) = result {
                    do throws(MetaFormatError) {
                        let status = try ClusterNodeStatus(decoding: body)
                        answers.withLock { $0[peer.name.text] = status }
                    } catch {
                        self.logger.debug("A node's status can't be read.", metadata: ["error": "\(error)"])
                    }
                }
                group.leave()
            }
        }
        _ = group.wait(timeout: .now() + .milliseconds(1500))
        return answers.withLock { $0 }
    }
}
