/// What is legal and hardly meant: habits of other languages that mean something else here.
extension Checker {
    /// `SELECT clientid topic` names the first column like the second.
    mutating func checkForgottenComma(_ expression: Expression, _ field: Field) {
        guard !field.hasAs, let alias = field.alias, !alias.isQuoted, known.contains(alias.name),
            alias.name != "metadata", !isDistinct(expression), alias.span.lowerBound > expression.span.upperBound
        else { return }
        let name = path(alias)
        diagnostics.append(
            Diagnostic(
                .aliasLikeColumn, alias.span, "this names the value before it `\(name)`, which is a column too",
                hint: "write a comma before it, or AS \(name) if it is meant so"))
    }

    private func isDistinct(_ expression: Expression) -> Bool {
        if case .reference(let reference) = expression.kind { reference.name.uppercased() == "DISTINCT" } else { false }
    }

    /// `SELECT 'clientid'` is a text.
    mutating func checkTextLikeColumn(_ expression: Expression) {
        guard case .literal(.string(let bytes)) = expression.kind else { return }
        let text = String(decoding: bytes, as: UTF8.self)
        guard known.contains(text) || text.hasPrefix("payload.") else { return }
        diagnostics.append(
            Diagnostic(
                .textLikeColumn, expression.span, "this is the text '\(text)', not what stands in the column",
                hint: "write \(text) without quotes"))
    }

    mutating func checkComparison(_ operation: ComparisonOperator, _ left: Expression, _ right: Expression) {
        checkTextLikeColumn(left)
        guard operation == .equal || operation == .notEqual else { return }
        for (one, other) in [(left, right), (right, left)] {
            guard case .reference(let reference) = one.kind, reference.name == "topic", reference.steps.isEmpty,
                case .literal(.string(let bytes)) = other.kind
            else { continue }
            let filter = String(decoding: bytes, as: UTF8.self)
            guard filter.split(separator: "/").contains(where: { $0 == "#" || $0 == "+" }) else { continue }
            diagnostics.append(
                Diagnostic(
                    .wildcardEquality, other.span,
                    "`\(operation == .equal ? "=" : "!=")` compares text; `+` and `#` are plain characters to it",
                    hint: operation == .equal ? "topic =~ '\(filter)'" : "NOT topic =~ '\(filter)'"))
        }
    }

    mutating func checkIndexes(_ reference: Reference) {
        for case .index(0, isFromEnd: false) in reference.steps {
            diagnostics.append(
                Diagnostic(
                    .indexZero, reference.span, "arrays begin at 1: [0] is undefined",
                    hint: "the first element is [1], the last one [-1]"))
            return
        }
    }

    /// `payload.sensor-id` is a difference.
    mutating func checkDash(_ left: Expression, _ right: Expression) {
        guard case .reference(let whole) = left.kind, case .reference(let rest) = right.kind,
            left.span.upperBound + 1 == right.span.lowerBound, !aliases.contains(rest.name), rest.steps.isEmpty
        else { return }
        let last: String = if case .key(let key)? = whole.steps.last { key } else { whole.name }
        let before = whole.steps.isEmpty ? "" : whole.name + whole.steps.dropLast().map(\.description).joined() + "."
        dashes.insert(right.span.lowerBound)
        diagnostics.append(
            Diagnostic(
                .dashInName, left.span.lowerBound..<right.span.upperBound,
                "this subtracts `\(rest.name)` from `\(path(whole))`",
                hint: "a name with a dash is quoted: \(before)\"\(last)-\(rest.name)\""))
    }

    mutating func report(unknown reference: Reference) {
        let name = reference.name
        diagnostics.append(
            Diagnostic(
                .unknownColumn, reference.nameSpan, "no event of this rule has a column `\(name)`",
                hint: hint(forColumn: reference)))
    }

    private func hint(forColumn reference: Reference) -> String? {
        let name = reference.name
        if ["null", "undefined", "none", "nil"].contains(name.lowercased()) {
            return "there is no null literal; use null() or is_null(…)"
        }
        if ["true", "false"].contains(name.lowercased()) { return "write \(name.lowercased()), in lower case" }
        if let column = Self.synonyms[name.lowercased()], known.contains(column.name) {
            return "did you mean `\(column.path)`?"
        }
        let names = known.union(aliases.prefix(Self.mostFindings)).sorted()
        if let near = Suggestion.hint(for: name, among: names) { return near }
        if reference.isQuoted { return "a text stands in single quotes: '\(name)'" }
        if known.contains("payload") {
            return "what is in the payload is written payload.\(Parser.written(name))"
        }
        let columns = names.filter { !["event", "timestamp", "node", "metadata"].contains($0) }
        return columns.isEmpty ? nil : "its columns are \(columns.joined(separator: ", "))"
    }

    /// Names that other systems use for a column.
    private static let synonyms: [String: (name: String, path: String)] = [
        "user": ("username", "username"), "ip": ("peerhost", "peerhost"), "client_ip": ("peerhost", "peerhost"),
        "ts": ("timestamp", "timestamp"), "time": ("timestamp", "timestamp"), "now": ("timestamp", "timestamp"),
        "retain": ("flags", "flags.retain"), "dup": ("flags", "flags.dup"), "client": ("clientid", "clientid"),
        "cid": ("clientid", "clientid"), "message": ("payload", "payload"), "msg": ("payload", "payload"),
        "body": ("payload", "payload"), "data": ("payload", "payload"),
        "user_properties": ("pub_props", "pub_props.'User-Property'"),
    ]

    static func hint(forFunction name: String) -> String? {
        let lower = name.lowercased()
        if lower != name, FunctionTable.entry(named: lower) != nil { return "functions are lower case: \(lower)(…)" }
        if let hint = LeftOutFunctions.advice(for: name) ?? ForeignWords.functions[lower] { return hint }
        return Suggestion.hint(for: name, among: FunctionTable.all.map(\.name)) ?? "`sluice rules functions` lists all"
    }
}
