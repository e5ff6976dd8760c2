/// One function of the rule language, declared once: the evaluator, the checker, `sluice rules functions`, the
/// reference page and the example tests read this entry.
package struct FunctionEntry: Sendable {
    package enum Group: String, Sendable, CaseIterable {
        case message, null, math, bits, conversion, string, array, map, codec, hash, compression, date, state, jq
    }

    /// What a parameter takes; for the checker and the reference page. The body still looks at what it gets.
    package enum Kind: String, Sendable {
        case any, string, number, integer, float, boolean, array, object, undefined
    }

    package struct Parameter: Sendable {
        package let name: String
        package let kind: Kind
        package let isOptional: Bool
        /// Takes all further arguments; only the last parameter.
        package let isRest: Bool

        package init(_ name: String, _ kind: Kind, optional: Bool = false, rest: Bool = false) {
            self.name = name
            self.kind = kind
            isOptional = optional
            isRest = rest
        }
    }

    /// `expression` evaluates to what `result` evaluates to; an example whose result is nil raises.
    package struct Example: Sendable {
        package let expression: String
        package let result: String?

        package init(_ expression: String, _ result: String?) {
            self.expression = expression
            self.result = result
        }
    }

    package typealias Body = @Sendable (Arguments, EvaluationContext) throws(EvaluationError) -> Value

    package let name: String
    package let group: Group
    package let parameters: [Parameter]
    package let returns: Kind
    /// One sentence.
    package let doc: String
    package let examples: [Example]
    /// The result depends on the arguments alone, so a call with literal arguments may be made at compile time.
    package let isPure: Bool
    package let body: Body

    package init(
        _ name: String, _ group: Group, _ parameters: [Parameter], returns: Kind, pure: Bool = true, doc: String,
        examples: [Example] = [], body: @escaping Body
    ) {
        self.name = name
        self.group = group
        self.parameters = parameters
        self.returns = returns
        isPure = pure
        self.doc = doc
        self.examples = examples
        self.body = body
    }

    /// Whether a call may take long even if its arguments are small.
    var mayBeSlow: Bool { group == .jq || group == .compression || name.hasPrefix("regex_") }

    package func takes(_ count: Int) -> Bool {
        let required = parameters.count { !$0.isOptional && !$0.isRest }
        return count >= required && (count <= parameters.count || parameters.last?.isRest == true)
    }
}

/// All functions by name. One name is one entry; the number of arguments is the entry's business.
package enum FunctionTable {
    /// The function groups in the order of the reference page.
    package static let all: [FunctionEntry] = [
        message,
        null,
        math,
        bits,
        array,
        map,
        state,
        codec,
        hash,
        string,
        conversion,
        format,
        regex,
        compression,
        date,
        jq,
    ].flatMap { $0 }

    private static let byName: [String: FunctionEntry] = {
        var table: [String: FunctionEntry] = [:]
        for entry in all { table[entry.name] = entry }
        return table
    }()

    /// Case-sensitive, as in the language.
    package static func entry(named name: String) -> FunctionEntry? { byName[name] }
}
