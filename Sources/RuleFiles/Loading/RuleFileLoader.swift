package import ConfigSchema

/// Reads rule files into checked definitions: roots, defaults, short forms, references, SQL. Pure but for `${file:…}`.
package struct RuleFileLoader {
    private let options: LoadOptions
    private var interpolator: Interpolator
    private var result = LoadedRules()
    private var problems: [ConfigProblem] = []
    private var documents: RuleDocuments

    /// What references mean while loading.
    package struct LoadOptions: Sendable {
        package var environment: Environment
        /// `name@host`.
        package var nodeName: String
        /// Absolute; what relative paths of file sinks are below. It is looked at, not written to.
        package var dataDirectory: String

        package init(environment: Environment, nodeName: String = "sluice@127.0.0.1", dataDirectory: String = "/") {
            self.environment = environment
            self.nodeName = nodeName
            self.dataDirectory = dataDirectory
        }

        var node: [String: String] {
            let host = nodeName.split(separator: "@", maxSplits: 1).last.map(String.init) ?? nodeName
            return ["name": nodeName, "host": host]
        }
    }

    package static func load(_ sources: [SourceFile], _ options: LoadOptions) -> LoadedRules {
        var loader = RuleFileLoader(sources, options)
        loader.run()
        return loader.result
    }

    private init(_ sources: [SourceFile], _ options: LoadOptions) {
        self.options = options
        interpolator = Interpolator(environment: options.environment, node: options.node)
        documents = RuleDocuments(sources)
        problems = documents.problems
        result.files = sources.map(\.name)
        result.testDefaults = documents.testDefaults
    }

    private mutating func run() {
        readVariables()
        var rules: [RawObject] = []
        var actions = documents.objects.filter { $0.kind == .action }
        var connectors = documents.objects.filter { $0.kind == .connector }
        for object in documents.objects {
            switch object.kind {
            case .rule: rules.append(object)
            case .webhook, .archive: expandRoot(object, &rules)
            case .connector, .action: break
            }
        }
        let prepared = rules.map { PreparedRule($0, &problems, interpolator, interpolated: interpolated) }
        for rule in prepared {
            actions += rule.actions
            connectors += rule.connectors
        }
        connectors.forEach { readConnector($0) }
        actions.forEach { readAction($0, connectors) }
        let declared = Set(actions.map(\.id))
        prepared.forEach { readRule($0, declared) }
        warnAboutUnused(connectors, actions, prepared)
        for rule in result.definition.rules { problems += TemplateCheck.problems(rule, result.definition) }
        for rule in result.definition.rules { problems += JSONTemplateCheck.problems(rule, result.definition) }
        problems += RepublishCycle.problems(result.definition)
        result.problems = unique(problems.sortedByPlace())
    }

    /// A template of a default is found once for each object under which it lies.
    private func unique(_ problems: [ConfigProblem]) -> [ConfigProblem] {
        var seen: Set<String> = []
        return problems.filter { seen.insert($0.headline).inserted }
    }

    private mutating func readVariables() {
        for entry in documents.variables {
            if let text = interpolator.resolve(entry.value, &problems).text {
                interpolator.variables[entry.name] = text
            }
        }
    }

    private mutating func expandRoot(_ object: RawObject, _ rules: inout [RawObject]) {
        var context = ReadContext(path: object.path)
        if let rule = RootSugar.rule(object, &context) {
            if let taken = rules.first(where: { $0.name == rule.name }) {
                context.report(
                    object.key.problem(
                        .conflict, "it makes the rule \"\(rule.name)\", which is defined already",
                        hint: "at \(taken.key.source.name):\(taken.key.start)"))
            } else {
                rules.append(rule)
            }
        }
        problems += context.problems
    }

    /// The object's node with its type's defaults under it and its references replaced; a rule's tests are left as they are.
    private func interpolated(_ object: RawObject, _ problems: inout [ConfigProblem]) -> YAMLNode {
        let root: String
        switch object.kind {
        case .connector: root = "connectors.\(object.type)"
        case .action: root = "actions.\(object.type)"
        default: root = "rules"
        }
        let node = object.node.isNull ? object.key.made(.mapping([]), style: .block) : object.node
        let (rest, tests) = node.merged(over: documents.defaults[root]).removing("tests")
        let resolved = interpolator.resolve(rest, &problems)
        return tests.map { resolved.adding("tests", $0) } ?? resolved
    }

    // MARK: Objects

    private mutating func readConnector(_ object: RawObject) {
        guard let fields = SinkType.named(object.type)?.connector else { return }
        var context = ReadContext(path: object.path)
        var missing: [ConfigProblem] = []
        let node = interpolated(object, &missing)
        (object.problems + missing).forEach { context.report($0) }
        let values = fields.read(node, &context)
        problems += context.problems
        let errors = context.problems.filter { $0.severity == .error }
        guard let values, errors.isEmpty else {
            result.broken["connector:\(object.id)"] = errors
            return
        }
        result.definition.connectors.append(
            ConnectorDefinition(
                type: object.type, name: object.name, values: values, origin: DefinitionOrigin(object.key),
                content: DefinitionContent(object.type, node.canonicalJSON)))
    }

    private mutating func readAction(_ object: RawObject, _ connectors: [RawObject]) {
        guard let type = SinkType.named(object.type) else { return }
        var context = ReadContext(path: object.path)
        var missing: [ConfigProblem] = []
        let node = interpolated(object, &missing)
        (object.problems + missing).forEach { context.report($0) }
        let values = type.action.read(node, &context)
        var connector: ConnectorDefinition?
        if let values, let field = type.actionConnector {
            connector = self.connector(values, field, type, connectors, &context)
        }
        problems += context.problems
        var errors = context.problems.filter { $0.severity == .error }
        if values != nil, errors.isEmpty, type.actionConnector != nil, connector == nil, let values,
            let field = type.actionConnector
        {
            errors = result.broken["connector:\(type.name):\(values[field])"] ?? []
        }
        guard let values, errors.isEmpty, connector != nil || type.actionConnector == nil else {
            result.broken[object.id] = errors
            return
        }
        let action = ActionDefinition(
            type: object.type, name: object.name, values: values, connector: connector, owner: object.owner,
            extensions: object.extensions, isEnabled: values[type.enable], origin: DefinitionOrigin(object.key),
            content: DefinitionContent(
                object.type, node.canonicalJSON, connector?.content.hash ?? "", "\(object.extensions)"))
        do {
            _ = try action.sinkDefinition(dataDirectory: options.dataDirectory)
            result.definition.actions.append(action)
        } catch {
            let problem = values.node.problem(.badValue, "\(object.path.joined(separator: ".")): \(error.reason)")
            problems.append(problem)
            result.broken[object.id] = [problem]
        }
    }

    /// The connector an action names; a report when nobody defines it, nil as well when it has errors of its own.
    private func connector(
        _ values: ConfigValues, _ field: Field<String>, _ type: SinkType, _ connectors: [RawObject],
        _ context: inout ReadContext
    ) -> ConnectorDefinition? {
        let name = values[field]
        let names = connectors.filter { $0.type == type.name }.map(\.name)
        guard names.contains(name) else {
            let near = didYouMean(name, names.filter { !$0.contains("~") }).map { "did you mean \"\($0)\"?" }
            context.report(
                values.problem(
                    .unknownReference, "the connector \"\(type.name):\(name)\" is not defined", hint: near, at: field))
            return nil
        }
        return result.definition.connector("\(type.name):\(name)")
    }

    private mutating func readRule(_ rule: PreparedRule, _ declared: Set<String>) {
        var reader = RuleReader(rule, declared: declared)
        let definition = reader.read()
        problems += reader.context.problems
        let errors = (reader.context.problems + rule.problems).filter { $0.severity == .error }
        if let definition, errors.isEmpty {
            result.definition.rules.append(definition)
        } else {
            result.broken[rule.object.id] = errors
        }
    }

    private mutating func warnAboutUnused(_ connectors: [RawObject], _ actions: [RawObject], _ rules: [PreparedRule]) {
        let named = Set(rules.flatMap(\.references))
        for action in actions where action.owner == nil && !named.contains(action.id) {
            problems.append(
                action.key.problem(.unusedDefinition, "no rule uses the action \"\(action.id)\"", severity: .warning))
        }
        let connected = Set(
            actions.compactMap { action in action.node["connector"]?.text.map { "\(action.type):\($0)" } })
        for connector in connectors where connector.owner == nil && !connected.contains(connector.id) {
            problems.append(
                connector.key.problem(
                    .unusedDefinition, "no action uses the connector \"\(connector.id)\"", severity: .warning))
        }
    }
}
