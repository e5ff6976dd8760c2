/// How much is read before a text counts as an attack or a mistake.
package struct YAMLLimits: Sendable {
    package var bytes = 16 * 1024 * 1024
    package var depth = 64
    package var nodes = 1_000_000
    /// Nodes that aliases and merges may add, over all documents of a file.
    package var expandedNodes = 100_000

    package init() {}
}

/// The documents of a text and everything that is wrong with it. After a syntax error the documents in front of it are
/// there.
package struct YAMLParseResult: Sendable {
    package var documents: [YAMLNode]
    package var problems: [ConfigProblem]
}

/// YAML 1.2 (and so JSON) over libyaml's events: keys unique, aliases and `<<` merges expanded, every node with its place.
package struct YAMLParser {
    private let source: SourceFile
    private let limits: YAMLLimits
    private let stream: YAMLEventStream
    private var problems: [ConfigProblem] = []
    private var anchors: [String: (node: YAMLNode, count: Int)] = [:]
    private var nodeCount = 0
    private var expandedCount = 0

    /// Ends the reading of a text; the problem is recorded already.
    private enum Stop: Error { case syntax(YAMLSyntaxError), recorded }

    package static func parse(_ source: SourceFile, limits: YAMLLimits = YAMLLimits()) -> YAMLParseResult {
        if source.bytes.count > limits.bytes {
            let problem = ConfigProblem(
                .limit, "the file has more than \(limits.bytes) bytes", in: source,
                at: SourcePosition(line: 1, column: 1), showsSource: false)
            return YAMLParseResult(documents: [], problems: [problem])
        }
        if let problem = YAMLText.encodingProblem(source) { return YAMLParseResult(documents: [], problems: [problem]) }
        var parser = YAMLParser(source: source, limits: limits)
        let documents = parser.documents()
        return YAMLParseResult(documents: documents, problems: parser.problems.sortedByPlace())
    }

    private init(source: SourceFile, limits: YAMLLimits) {
        self.source = source
        self.limits = limits
        stream = YAMLEventStream(source.bytes)
    }

    private mutating func documents() -> [YAMLNode] {
        var documents: [YAMLNode] = []
        do throws(Stop) {
            while true {
                let event = try next()
                switch event.kind {
                case .streamEnd: return documents
                case .streamStart, .documentEnd: continue
                case .documentStart: anchors = [:]
                default: documents.append(try node(event, depth: 1).node)
                }
            }
        } catch {
            if case .syntax(let syntax) = error { problems.append(syntax.problem(in: source)) }
        }
        return documents
    }

    private func next() throws(Stop) -> YAMLEvent {
        do { return try stream.next() } catch { throw .syntax(error) }
    }

    /// The node that begins with an event, and how many nodes it holds.
    private mutating func node(_ event: YAMLEvent, depth: Int) throws(Stop) -> (node: YAMLNode, count: Int) {
        nodeCount += 1
        if nodeCount > limits.nodes { throw stop(.limit, "the file has more than \(limits.nodes) values", event) }
        if depth > limits.depth { throw stop(.limit, "values are nested deeper than \(limits.depth) levels", event) }
        if case .alias(let name) = event.kind { return try alias(name, event) }
        var made = YAMLNode(
            .scalar(""), style: .plain, source: source, start: contentStart(event),
            end: source.position(ofScalar: event.end), tag: event.tag, anchor: event.anchor)
        var count = 1
        switch event.kind {
        case .scalar(let text, let style):
            made.content = .scalar(text)
            made.style = style
        case .sequenceStart(let style):
            made.style = style
            let (items, nodes) = try sequence(depth, &made)
            made.content = .sequence(items)
            count += nodes
        case .mappingStart(let style):
            made.style = style
            let (entries, nodes) = try mapping(depth, &made)
            made.content = .mapping(entries)
            count += nodes
        default: throw stop(.syntax, "a value is expected here", event)
        }
        checkTag(made)
        if let anchor = event.anchor { anchors[anchor] = (made, count) }
        return (made, count)
    }

    private mutating func sequence(_ depth: Int, _ owner: inout YAMLNode) throws(Stop) -> ([YAMLNode], Int) {
        var items: [YAMLNode] = []
        var count = 0
        while true {
            let event = try next()
            if case .sequenceEnd = event.kind {
                owner.end = source.position(ofScalar: event.end)
                return (items, count)
            }
            let (item, nodes) = try node(event, depth: depth + 1)
            items.append(item)
            count += nodes
        }
    }

    private mutating func mapping(_ depth: Int, _ owner: inout YAMLNode) throws(Stop) -> ([YAMLEntry], Int) {
        var builder = YAMLMappingBuilder()
        var count = 0
        while true {
            let event = try next()
            if case .mappingEnd = event.kind {
                owner.end = source.position(ofScalar: event.end)
                let entries = builder.finish()
                problems += builder.problems
                return (entries, count)
            }
            let (key, keyNodes) = try node(event, depth: depth + 1)
            let (value, valueNodes) = try node(try next(), depth: depth + 1)
            count += keyNodes + valueNodes
            builder.add(key, value)
        }
    }

    private mutating func alias(_ name: String, _ event: YAMLEvent) throws(Stop) -> (node: YAMLNode, count: Int) {
        guard let (node, count) = anchors[name] else {
            let near = didYouMean(name, anchors.keys.sorted()).map { "did you mean \"*\($0)\"?" }
            problems.append(problem(.alias, "the alias \"*\(name)\" names no anchor in front of it", event, hint: near))
            let place = source.position(ofScalar: event.start)
            return (YAMLNode(.scalar(""), style: .plain, source: source, start: place, end: place), 1)
        }
        expandedCount += count
        if expandedCount > limits.expandedNodes {
            throw stop(.alias, "aliases expand to more than \(limits.expandedNodes) values", event)
        }
        return (node, count)
    }

    private mutating func checkTag(_ node: YAMLNode) {
        guard let tag = node.tag, tag != "!" else { return }
        let name = tag.hasPrefix("tag:yaml.org,2002:") ? String(tag.dropFirst(18)) : tag
        let fits: Bool
        switch (name, node.kind) {
        case ("str", .scalar), ("seq", .sequence), ("map", .mapping): fits = true
        case ("int", .scalar): if case .int = node.scalar { fits = true } else { fits = false }
        case ("bool", .scalar): if case .bool = node.scalar { fits = true } else { fits = false }
        case ("null", .scalar): fits = node.isNull
        case ("float", .scalar):
            switch node.scalar {
            case .float, .int: fits = true
            default: fits = false
            }
        default:
            problems.append(node.problem(.tag, "the tag \"\(name)\" means nothing here"))
            return
        }
        if !fits { problems.append(node.problem(.tag, "the value is not what its tag \"!!\(name)\" says")) }
    }

    /// Where the content begins, behind an anchor and a tag.
    private func contentStart(_ event: YAMLEvent) -> SourcePosition {
        let start = source.position(ofScalar: event.start)
        guard event.anchor != nil || event.tag != nil else { return start }
        let end = source.byteOffset(of: source.position(ofScalar: event.end))
        let offset = YAMLText.skipProperties(source.bytes, from: source.byteOffset(of: start), to: end)
        return source.position(ofByte: offset)
    }

    private func problem(_ code: ProblemCode, _ message: String, _ event: YAMLEvent, hint: String? = nil)
        -> ConfigProblem
    {
        ConfigProblem(code, message, hint: hint, in: source, at: source.position(ofScalar: event.start))
    }

    private mutating func stop(_ code: ProblemCode, _ message: String, _ event: YAMLEvent) -> Stop {
        problems.append(problem(code, message, event))
        return .recorded
    }
}
