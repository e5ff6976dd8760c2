import Cluster
import Consensus
import Foundation
import Testing

/// Cores and replicants on paper: the plan's steps are carried out on a model of the log, with faults where a scenario wants them.
struct MembershipScenario {
    private var state = MetaState()
    private var members: [ConsensusMember] = []
    private var ids: [String: UInt64] = [:]
    private var down: Set<String> = []
    private var leader: UInt64 = 0
    private var nextID: UInt64 = 1
    /// Steps after which the leader dies; nil for never.
    private var stepsLeft: Int?
    private var output: [String] = []

    /// Runs a scenario: a command a line. What it writes is what is expected.
    static func run(_ text: String) -> String {
        var scenario = MembershipScenario()
        for line in text.split(separator: "\n") {
            scenario.output.append("> \(line)")
            scenario.run(line.split(separator: " ").map(String.init))
        }
        return scenario.output.joined(separator: "\n") + "\n"
    }

    private var alive: [String: UInt64] { ids.filter { !down.contains($0.key) } }

    private mutating func run(_ words: [String]) {
        let name = words.count > 1 ? words[1] : ""
        switch words[0] {
        case "found":
            ids[name] = take()
            leader = ids[name] ?? 0
            members = [ConsensusMember(id: leader, name: name, role: .voter)]
            _ = state.apply(.found(clusterID: 7, name: "c"))
            carryOut(join(name, .core))
        case "join":
            carryOut(join(name, words.contains("replicant") ? .replicant : .core, words.contains("old") ? 0 : 1))
        case "wipe": ids[name] = nil
        case "leave", "force-leave":
            carryOut(
                .leave(
                    MembershipRequest.Leave(
                        name: name, id: words[0] == "leave" ? ids[name] ?? 0 : 0, isForced: words[0] != "leave",
                        mayBeAlive: words[0] == "leave" || words.contains("--live"), time: 1)))
        case "stop": down.formUnion(words.dropFirst())
        case "start": down.subtract(words.dropFirst())
        case "leader-dies-after": stepsLeft = Int(name)
        case "status": show()
        default: output.append("unknown command")
        }
        elect()
    }

    private mutating func take() -> UInt64 {
        defer { nextID += 1 }
        return nextID
    }

    private mutating func join(_ name: String, _ role: NodeRole, _ level: UInt32 = 1) -> MembershipRequest {
        if ids[name] == nil { ids[name] = take() }
        if level > 0, state.featureLevel == 0, name != "n0" { state.featureLevel = 1 }
        return .join(
            MembershipRequest.Join(
                name: name, id: ids[name] ?? 0, role: role, address: "\(name):5370", version: "1", featureLevel: level,
                time: 1, clusterID: 0))
    }

    private mutating func elect() {
        let voters = members.filter { $0.role == .voter }
        let living = voters.filter { alive[$0.name] == $0.id }
        if living.count * 2 <= voters.count {
            leader = 0
        } else if !living.contains(where: { $0.id == leader }) {
            leader = living.map(\.id).min() ?? 0
        }
    }

    private mutating func carryOut(_ request: MembershipRequest) {
        for _ in 0..<50 {
            elect()
            guard leader != 0 else { return output.append("no leader") }
            let view = MembershipView(state: state, members: members, leaderID: leader, alive: alive)
            let step = MembershipPlan.next(request, view)
            switch step {
            case .done(let notes):
                output.append((["done"] + notes).joined(separator: "; "))
                return
            case .refuse(let failure):
                output.append("\(failure)".replacing("\nNext: ", with: " -> "))
                return
            case .propose(let command): output.append("  \(describe(command))")
            case .change(let change): output.append("  \(change)".replacing("ConsensusMember.Role.", with: ""))
            }
            if stepsLeft == 0 {
                stepsLeft = nil
                output.append("  the leader dies")
                if let dead = members.first(where: { $0.id == leader }) { down.insert(dead.name) }
                return
            }
            stepsLeft = stepsLeft.map { $0 - 1 }
            take(step)
        }
        output.append("does not come to an end")
    }

    private func describe(_ command: MetaCommand) -> String {
        switch command {
        case .putMember(let member): "enter \(member.name) \(member.id) \(member.role)"
        case .removeMember(let name, let id, _): "strike \(name) \(id)"
        default: "\(command)"
        }
    }

    private mutating func take(_ step: MembershipStep) {
        switch step {
        case .propose(let command): _ = state.apply(command)
        case .change(.add(let id, let name)): members.append(ConsensusMember(id: id, name: name, role: .spare))
        case .change(.assign(let id, let role)):
            if let index = members.firstIndex(where: { $0.id == id }) { members[index].role = role }
        case .change(.remove(let id)): members.removeAll { $0.id == id }
        case .change(.transfer(let id)): leader = id ?? 0
        case .done, .refuse: break
        }
    }

    private mutating func show() {
        for member in state.members.values.sorted(by: { $0.name < $1.name }) {
            let part = members.first { $0.id == member.id }.map { "\($0.role)" } ?? "stream"
            output.append(
                "  \(member.name) id \(member.id) \(member.role) \(part)\(member.id == leader ? " leader" : "")"
                    + (alive[member.name] == member.id ? "" : " down"))
        }
        for member in members where state.members[member.name]?.id != member.id {
            output.append("  in the log only: \(member.name) id \(member.id)")
        }
    }
}

@Suite("Nodes come and go") struct MembershipScenarioTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Cases/Cluster/membership")

    private static let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path))?.sorted() ?? []

    @Test func `There are scenarios`() { #expect(Self.files.count >= 6) }

    /// With UPDATE_CASES set the files are written anew; read the difference.
    @Test(arguments: files) func `A scenario goes as it is written`(_ file: String) throws {
        let url = Self.folder.appendingPathComponent(file)
        let text = try String(contentsOf: url, encoding: .utf8)
        let parts = text.split(separator: "----\n", maxSplits: 1, omittingEmptySubsequences: false)
        let output = MembershipScenario.run(String(parts[0]))
        if ProcessInfo.processInfo.environment["UPDATE_CASES"] != nil {
            try Data("\(parts[0])----\n\(output)".utf8).write(to: url)
            return
        }
        #expect(output == (parts.count > 1 ? String(parts[1]) : ""))
    }
}
