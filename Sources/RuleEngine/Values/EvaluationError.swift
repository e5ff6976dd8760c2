/// Why the evaluation of a rule for one event ended without a row. Counted as `failed.exception`, logged with the
/// rule's id, and never more than the end of this rule for this event.
package enum EvaluationError: Error, Equatable {
    /// The payload is not JSON and a path into it was read. The offset is in bytes.
    case decodeJSON(offset: Int)
    /// A function or operator was given what it does not take; the text names it and says what it takes.
    case badArgument(function: String, reason: String)
    /// Division by zero, overflow of a float, a result outside the domain.
    case arithmetic(String)
    /// A name that is no function, or no function of that many arguments.
    case unknownFunction(String, arity: Int)
    /// A condition that is neither true nor false where the language demands one of them.
    case badCondition(String)
    /// The bounds of one evaluation.
    case memoryLimit
    case stepLimit
    case rowLimit
    case depthLimit
    case timeLimit
    case regexLimit
    /// `kv_store_put` or `proc_dict_put` found no room; the text says which bound it hit.
    case storeFull(String)

    /// The class that `expect: {error: …}` in a rule's test names, and the metric's reason label.
    package var name: String {
        switch self {
        case .decodeJSON: "decode_json"
        case .badArgument: "bad_argument"
        case .arithmetic: "arithmetic"
        case .unknownFunction: "unknown_function"
        case .badCondition: "bad_condition"
        case .memoryLimit: "memory_limit"
        case .stepLimit: "step_limit"
        case .rowLimit: "row_limit"
        case .depthLimit: "depth_limit"
        case .timeLimit: "time_limit"
        case .regexLimit: "regex_limit"
        case .storeFull: "store_full"
        }
    }

    /// What went wrong, in one sentence without a full stop.
    package var explanation: String {
        switch self {
        case .decodeJSON(let offset): "the payload is not JSON, at byte \(offset)"
        case .badArgument(let function, let reason): "\(function): \(reason)"
        case .arithmetic(let reason): reason
        case .unknownFunction(let name, let arity): "there is no function \(name) of \(arity) arguments"
        case .badCondition(let reason): reason
        case .memoryLimit: "the evaluation takes more than the 8 MiB of text or 64 MiB in all that are allowed"
        case .stepLimit: "the evaluation takes more than the \(EvaluationLimits.steps) steps that are allowed"
        case .rowLimit: "the evaluation makes more than the \(EvaluationLimits.rows) rows that are allowed"
        case .depthLimit: "values are nested deeper than the 128 levels that are allowed"
        case .timeLimit: "the evaluation takes more than the 50 ms of processor time that are allowed"
        case .storeFull(let bound): "the table of kv_store_put or proc_dict_put is full: \(bound)"
        case .regexLimit: "matching the regular expression takes more steps than allowed"
        }
    }
}
