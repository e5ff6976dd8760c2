/// Looks at the meaning of a statement: functions, events, columns, and what is legal but hardly meant.
struct Checker {
    var diagnostics: [Diagnostic] = []
    private(set) var events: Set<EventName> = []
    /// Columns of all events that FROM names.
    private(set) var known: Set<String> = []
    /// Names that fields or FOREACH made.
    private(set) var aliases: Set<String> = []
    /// What the fields write below names that are columns: in WHERE nothing else is left of these columns.
    private var written: [String: [[String]]] = [:]
    private var isInWhere = false
    /// Where names begin that rather belong to a name with a dash.
    var dashes: Set<Int> = []
    /// What a condition over rows can name.
    private var rowMembers: Set<String>?

    /// More columns that nobody knows are not listed.
    static let mostFindings = 100

    /// - Returns: what FROM stands for, each entry once, and the findings in the order of the text.
    static func check(_ statement: Statement) -> (topics: [RuleTopic], diagnostics: [Diagnostic]) {
        var checker = Checker()
        let topics = checker.checkTopics(statement)
        switch statement.body {
        case .select(let fields): checker.check(fields)
        case .foreach(let fields, let each, let inCase): checker.checkForeach(fields, each, inCase, statement.condition)
        }
        if case .select = statement.body, let condition = statement.condition { checker.checkWhere(condition) }
        return (topics, checker.diagnostics.sorted { $0.span.lowerBound < $1.span.lowerBound })
    }

    /// - Parameter outputs: the members of the rule's rows; nil when they are not known.
    /// - Returns: what there is to say about a condition over a rule's rows.
    static func check(_ condition: Expression, over outputs: Set<String>?) -> [Diagnostic] {
        var checker = Checker()
        checker.rowMembers = outputs
        checker.checkCondition(condition)
        return checker.diagnostics.sorted { $0.span.lowerBound < $1.span.lowerBound }
    }

    /// Calls may carry the module that EMQX's functions live in.
    static func functionName(_ name: String) -> String {
        name.hasPrefix("emqx_rule_funcs.") ? String(name.dropFirst("emqx_rule_funcs.".count)) : name
    }

    // MARK: clauses

    private mutating func checkTopics(_ statement: Statement) -> [RuleTopic] {
        var topics: [RuleTopic] = []
        for topic in statement.topics {
            let (resolved, diagnostic) = RuleTopic.resolve(topic)
            if let diagnostic { diagnostics.append(diagnostic) }
            for one in resolved where !topics.contains(one) { topics.append(one) }
            if ["#", "+/#"].contains(topic.text), statement.condition == nil {
                diagnostics.append(
                    Diagnostic(
                        .everyMessage, topic.span, "this rule takes every message of the broker",
                        hint: "name the topics, or choose with WHERE"))
            }
        }
        for topic in topics {
            if case .event(let event) = topic { events.insert(event) } else { events.insert(.messagePublish) }
        }
        for event in events { known.formUnion(event.columns) }
        known.insert("metadata")
        return topics
    }

    private mutating func check(_ fields: [Field]) {
        for (index, field) in fields.enumerated() {
            guard case .expression(let expression) = field.value else { continue }
            check(expression)
            checkForeignWord(expression, field, isFirst: index == 0)
            checkForgottenComma(expression, field)
            if field.alias == nil { checkTextLikeColumn(expression) }
            noteTarget(field, expression)
            if let alias = field.alias {
                for case .variable(let reference) in alias.steps { check(reference) }
                aliases.insert(alias.name)
            }
        }
    }

    /// A field that writes along a path makes the row's member, which hides the column of that name in WHERE.
    private mutating func noteTarget(_ field: Field, _ expression: Expression) {
        var target = field.alias
        if target == nil {
            switch expression.kind {
            case .reference(let reference), .rangeOf(let reference, _, _): target = reference
            default: break
            }
        }
        guard let target else { return }
        written[target.name, default: []].append(target.steps.map(\.description))
    }

    private mutating func checkWhere(_ condition: Expression) {
        isInWhere = true
        checkCondition(condition)
        isInWhere = false
    }

    private mutating func checkHidden(_ reference: Reference) {
        guard isInWhere, let paths = written[reference.name], !reference.steps.isEmpty else { return }
        let steps = reference.steps.map(\.description)
        guard paths.allSatisfy({ path in !zip(path, steps).allSatisfy { $0 == $1 } }) else { return }
        diagnostics.append(
            Diagnostic(
                .hiddenColumn, reference.span,
                "\(path(reference)) is undefined in WHERE, where the field `\(reference.name)\(paths[0].joined())` hides the column",
                hint: "give that field an alias: \(reference.name)\(paths[0].joined()) AS …"))
    }

    private mutating func checkForeach(
        _ fields: [Field], _ each: [Field]?, _ inCase: Expression?, _ condition: Expression?
    ) {
        for field in fields {
            guard case .all = field.value else { continue }
            diagnostics.append(
                Diagnostic(
                    .foreachStar, field.span, "FOREACH takes an array; `*` is none",
                    hint: "FOREACH payload.list AS item"))
        }
        if let alias = fields.last?.alias, !alias.steps.isEmpty {
            diagnostics.append(
                Diagnostic(.foreachAlias, alias.span, "the name of FOREACH's element is a plain name, not a path"))
        }
        check(fields)
        if let condition { checkWhere(condition) }
        aliases.insert(fields.last?.alias?.name ?? "item")
        if let inCase { checkCondition(inCase) }
        if let each { check(each) }
    }

    /// `SELECT DISTINCT x` reads as a column DISTINCT under the name x.
    private mutating func checkForeignWord(_ expression: Expression, _ field: Field, isFirst: Bool) {
        guard isFirst, case .reference(let reference) = expression.kind, reference.steps.isEmpty, field.alias != nil,
            reference.name.uppercased() == "DISTINCT"
        else { return }
        diagnostics.append(
            Diagnostic(.unknownColumn, reference.span, "there is no DISTINCT; this reads a column of that name"))
    }

    // MARK: expressions

    private mutating func check(_ expression: Expression) {
        switch expression.kind {
        case .literal, .range, .invalid: break
        case .reference(let reference), .rangeOf(let reference, _, _): check(reference)
        case .list(let elements): for element in elements { check(element) }
        case .call(let name, let arguments, let span):
            let isWhole = arguments.allSatisfy { if case .invalid = $0.kind { false } else { true } }
            checkCall(name, isWhole ? arguments.count : nil, span, expression.span)
            for argument in arguments { check(argument) }
        case .negate(let operand), .plus(let operand): check(operand)
        case .arithmetic(let operation, let left, let right):
            if operation == .subtract { checkDash(left, right) }
            check(left)
            check(right)
        case .choice(let operand, let branches, let otherwise):
            if let operand { check(operand) }
            for branch in branches {
                if operand == nil { checkCondition(branch.when) } else { check(branch.when) }
                check(branch.then)
            }
            if let otherwise { check(otherwise) }
        case .comparison, .and, .or, .not, .isIn: checkCondition(expression)
        }
    }

    private mutating func checkCondition(_ expression: Expression) {
        switch expression.kind {
        case .comparison(let operation, let left, let right):
            check(left)
            check(right)
            if operation == .notEqual { checkInequality(left, right, expression.span) }
            checkComparison(operation, left, right)
        case .and(let left, let right), .or(let left, let right):
            checkCondition(left)
            checkCondition(right)
        case .not(let operand):
            switch operand.kind {
            case .comparison, .and, .or, .not, .isIn: checkCondition(operand)
            default: check(operand)
            }
        case .isIn(let value, let list, _):
            check(value)
            for element in list { check(element) }
        case .literal(let value):
            if case .boolean = value { break }
            diagnostics.append(
                Diagnostic(
                    .literalCondition, expression.span, "this is neither true nor false",
                    hint: "compare it with something"))
        default: check(expression)
        }
    }

    /// The author of `x != 1` rarely knows that it is false where x is missing.
    private mutating func checkInequality(_ left: Expression, _ right: Expression, _ span: Range<Int>) {
        for side in [left, right] {
            guard case .reference(let reference) = side.kind else { continue }
            let isOptional = EventDeclaration.optionalColumns.contains(reference.name)
            guard !reference.steps.isEmpty || isOptional, !aliases.contains(reference.name) else { continue }
            let problem = "`!=` is false where \(path(reference)) is missing"
            diagnostics.append(
                Diagnostic(.inequalityOnMissing, span, problem, hint: "NOT (\(path(reference)) = …) is true there"))
            return
        }
    }

    func path(_ reference: Reference) -> String {
        reference.name + reference.steps.map(\.description).joined()
    }

    private mutating func check(_ reference: Reference) {
        for case .variable(let index) in reference.steps where reference.name != "payload" { check(index) }
        checkHidden(reference)
        checkIndexes(reference)
        if let rowMembers { return checkMember(reference, rowMembers) }
        guard !known.contains(reference.name), !aliases.contains(reference.name), !known.isEmpty, !events.isEmpty else {
            return
        }
        guard reference.name.uppercased() != "DISTINCT", diagnostics.count < Self.mostFindings else { return }
        if !dashes.contains(reference.nameSpan.lowerBound) { report(unknown: reference) }
    }

    private mutating func checkMember(_ reference: Reference, _ members: Set<String>) {
        guard !members.contains(reference.name), reference.name != "metadata" else { return }
        let names = members.sorted()
        let problem = "`\(reference.name)` is not produced by the rule's SELECT list (\(names.joined(separator: ", ")))"
        let hint = Suggestion.hint(for: reference.name, among: names)
        diagnostics.append(Diagnostic(.unknownColumn, reference.nameSpan, problem, hint: hint))
    }

    private mutating func checkCall(_ fullName: String, _ count: Int?, _ nameSpan: Range<Int>, _ span: Range<Int>) {
        let name = Self.functionName(fullName)
        if name == "div" || name == "mod" {
            if let count, count != 2 {
                diagnostics.append(Diagnostic(.wrongArity, span, "\(name)() takes 2 arguments, not \(count)"))
            }
            return
        }
        guard let entry = FunctionTable.entry(named: name) else {
            diagnostics.append(
                Diagnostic(
                    .unknownFunction, nameSpan, "there is no function `\(fullName)`", hint: Self.hint(forFunction: name)
                ))
            return
        }
        guard let count, !entry.takes(count) else { return }
        let parameters = entry.parameters.map { $0.isRest ? "\($0.name)…" : $0.isOptional ? "[\($0.name)]" : $0.name }
        diagnostics.append(
            Diagnostic(
                .wrongArity, span, "\(name)() does not take \(count) argument\(count == 1 ? "" : "s")",
                hint: "\(name)(\(parameters.joined(separator: ", ")))"))
    }
}
