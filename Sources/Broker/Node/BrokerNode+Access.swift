import Access
import MQTTCodec

extension BrokerNode {
    /// Has all shards look at their sessions by the rules and bans in force; returns at once. From any thread.
    package func accessChanged() {
        access?.changed()
        for shard in shards { shard.execute { $0.reviewAccess() } }
    }

    /// Reads the files of access control again. What can't be read stays as it was. Blocks on files; from any thread but
    /// a shard's.
    /// - Returns: what went wrong, a sentence each.
    package func reloadAccess() -> [String] {
        let problems = access?.reload() ?? []
        accessChanged()
        return problems
    }

    /// In the first shard's timer tick: an alarm for each service or file that access control can't reach, and how many
    /// lines were left out.
    func reportAccess() {
        lines.flush()
        for listener in listenerContexts { listener.context.flushLines() }
        guard let access else { return }
        access.flushLines()
        let problems = access.problems
        guard !problems.isEmpty || !accessAlarms.isEmpty else { return }
        let now = Set(problems.map(\.source))
        for source in accessAlarms.subtracting(now) { alarms.deactivate(source) }
        for problem in problems {
            alarms.activate(
                problem.source, details: ["resource_id": .text(problem.source), "reason": .text("resource_down")],
                message: "resource down: \(problem.reason)")
        }
        accessAlarms = now
    }

    /// Ends the connections and sessions of a user who is one no more. From any thread.
    package func expel(user: String) {
        for shard in shards {
            shard.execute { shard in
                for session in Array(shard.sessions.values)
                where session.owner.map({ $0.utf8.elementsEqual(user.utf8) }) ?? false && !shard.isLeaving(session) {
                    shard.expel(session)
                }
            }
        }
    }
}
