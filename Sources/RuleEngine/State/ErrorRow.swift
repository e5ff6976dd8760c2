internal import Buffers

extension EvaluationError {
    /// What a dead letter says of an event that a rule raised on: all of the event's columns, and `error`,
    /// `error_reason` and `rule_id`.
    ///
    /// - Returns: an object in the context's arena.
    package func row(
        of event: any EventColumns, ruleID: String, in context: EvaluationContext
    ) throws(EvaluationError) -> Value {
        var members: [Member] = []
        for column in event.present where column != .metadata {
            members.append(Member(key: column.nameBytes, value: try event.value(of: column, in: context)))
        }
        members.append(Member(key: Value.string("error").bytes, value: try context.arena.string(name)))
        members.append(Member(key: Value.string("error_reason").bytes, value: try context.arena.string(explanation)))
        members.append(Member(key: Value.string("rule_id").bytes, value: try context.arena.string(ruleID)))
        return try context.arena.object(members)
    }
}
