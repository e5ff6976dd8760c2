import ConfigSchema

/// A rule whose references are replaced and whose inline actions have become objects of their own.
struct PreparedRule {
    /// An entry of `actions` with the name that metrics give it.
    struct Item {
        let item: ActionItem
        let name: String
        /// The condition under which it gets a row.
        let when: YAMLNode?
    }

    let object: RawObject
    let node: YAMLNode
    private(set) var items: [Item] = []
    private(set) var actions: [RawObject] = []
    private(set) var connectors: [RawObject] = []
    /// What its own text has wrong already.
    private(set) var problems: [ConfigProblem] = []

    /// - Parameter interpolated: gives an object's node with defaults and without references.
    init(
        _ object: RawObject, _ all: inout [ConfigProblem], _ interpolator: Interpolator,
        interpolated: (RawObject, inout [ConfigProblem]) -> YAMLNode
    ) {
        self.object = object
        // Inline actions are objects of their own: what is missing in one breaks it, not the rule.
        let (rest, uses) = object.node.removing("actions")
        var bare = object
        bare.node = rest
        node = interpolated(bare, &problems)
        var context = ReadContext(path: object.path + ["actions"])
        if let uses, !uses.isNull { add(uses.items ?? [uses], interpolator, &context) }
        problems += context.problems
        all += problems
    }

    /// Ids of the actions it names.
    var references: [String] {
        let named = items.compactMap {
            if case .reference(let type, let name, _) = $0.item { "\(type):\(name)" } else { nil }
        }
        var context = ReadContext()
        guard let node = node["on_error"], let read = FieldType<RuleErrorHandling>.onError.read(node, &context),
            case .deadLetter(let id) = read
        else { return named }
        return named + [id]
    }

    private mutating func add(_ nodes: [YAMLNode], _ interpolator: Interpolator, _ context: inout ReadContext) {
        var inline = 0
        for (index, node) in nodes.enumerated() {
            // A URL is split where it ends up, so references are replaced first. What is missing breaks the action alone.
            var missing: [ConfigProblem] = []
            let node = interpolator.resolve(node, &missing)
            guard let item = context.under("\(index + 1)", { ActionSugar.item(node, &$0) }) else {
                missing.forEach { context.report($0) }
                continue
            }
            if case .reference(let type, let name, _) = item {
                missing.forEach { context.report($0) }
                items.append(Item(item: item, name: "\(type):\(name)", when: node["when"]))
                continue
            }
            inline += 1
            let name = "\(object.name)~\(inline)"
            items.append(Item(item: item, name: name, when: node["when"]))
            if case .inline(let type, let action, let connector, let place) = item {
                addObjects(type, name, action, connector, place, missing)
            } else {
                missing.forEach { context.report($0) }
            }
        }
    }

    private mutating func addObjects(
        _ type: String, _ name: String, _ action: YAMLNode, _ connector: YAMLNode?, _ place: YAMLNode,
        _ missing: [ConfigProblem]
    ) {
        func made(_ kind: RawObject.Kind, _ node: YAMLNode) -> RawObject {
            RawObject(
                kind: kind, type: type, name: name, key: place, node: node, extensions: object.extensions,
                owner: object.name)
        }
        var action = action
        if let connector {
            connectors.append(made(.connector, connector))
            action = action.adding("connector", place.made(.scalar(name)))
        }
        var inline = made(.action, action)
        inline.problems = missing
        actions.append(inline)
    }
}
