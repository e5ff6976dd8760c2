extension BrokerConfiguration {
    /// What loading comes to: a configuration unless one of the problems is an error.
    package struct Loaded: Sendable {
        package var configuration: BrokerConfiguration?
        package var problems: [ConfigProblem]
    }

    /// Reads a file (nil: defaults and variables alone) and the `SLUICE_…` variables. Blocks on file reads.
    ///
    /// - Parameter ignoring: `SLUICE_` variables that mean something else to the caller.
    package static func load(file: String?, environment: Environment, ignoring: Set<String> = []) -> Loaded {
        guard let file else { return load(SourceFile(name: "configuration", bytes: []), environment, ignoring) }
        guard let bytes = environment.readFile(file) else {
            let problem = ConfigProblem(
                .unreadableFile, "the configuration file cannot be read", in: SourceFile(name: file, bytes: []),
                at: SourcePosition(line: 1, column: 1))
            return Loaded(configuration: nil, problems: [problem])
        }
        return load(SourceFile(name: file, bytes: bytes), environment, ignoring)
    }

    private static func load(_ source: SourceFile, _ environment: Environment, _ ignoring: Set<String>) -> Loaded {
        let parsed = YAMLParser.parse(source)
        var problems = parsed.problems
        for extra in parsed.documents.dropFirst() {
            problems.append(extra.problem(.wrongType, "the configuration is one document, this is another"))
        }
        let start = SourcePosition(line: 1, column: 1)
        var root =
            parsed.documents.first ?? YAMLNode(.mapping([]), style: .block, source: source, start: start, end: start)
        if root.isNull { root.content = .mapping([]) }
        guard root.kind == .mapping, !problems.hasErrors else {
            if root.kind != .mapping {
                problems.append(root.problem(.wrongType, "the configuration is a mapping of keys"))
            }
            return Loaded(configuration: nil, problems: problems)
        }
        root = EnvironmentOverrides.apply(environment.variables.filter { !ignoring.contains($0.key) }, to: root)
        root = interpolated(root, environment, &problems)
        var context = ReadContext()
        guard let values = BrokerFields.all.read(root, &context) else {
            return Loaded(
                configuration: nil, problems: (problems + context.problems).sortedByPlace().withoutSecretLines())
        }
        let configuration = BrokerConfiguration(values)
        checkListeners(values[BrokerFields.listeners], environment, &context)
        checkAnonymous(values, &context)
        problems = (problems + context.problems).sortedByPlace().withoutSecretLines()
        return Loaded(configuration: problems.hasErrors ? nil : configuration, problems: problems)
    }

    /// References replaced; `${node:…}` means what `node.name` says by then.
    private static func interpolated(
        _ root: YAMLNode, _ environment: Environment, _ problems: inout [ConfigProblem]
    ) -> YAMLNode {
        var ignored: [ConfigProblem] = []
        let early = Interpolator(environment: environment)
        let name = root.at("node", "name").flatMap { early.resolve($0, &ignored).text } ?? "sluice@127.0.0.1"
        let host = name.split(separator: "@", maxSplits: 1).last.map(String.init) ?? name
        return Interpolator(environment: environment, node: ["name": name, "host": host]).resolve(root, &problems)
    }

    /// Two listeners on one address, and certificates that are not there.
    private static func checkListeners(
        _ listeners: ConfigValues, _ environment: Environment, _ context: inout ReadContext
    ) {
        typealias Fields = BrokerFields.Listeners
        var taken: [BindAddress: String] = [:]
        for (kind, field) in Fields.kinds {
            for listener in listeners[field] where listener.value[Fields.enable] {
                let id = "\(kind.rawValue):\(listener.name)"
                let bind = listener.value[Fields.bind]
                if bind.port != 0 || bind.path != nil, let other = taken.updateValue(id, forKey: bind) {
                    context.report(
                        listener.value.problem(.conflict, "\(id) and \(other) both bind \(bind)", at: Fields.bind))
                }
                if kind.usesTLS { checkFiles(listener.value[Fields.tlsOptions], environment, &context) }
            }
        }
    }

    /// A listener that other machines reach takes strangers only where someone wrote so. [ADR-0011]
    private static func checkAnonymous(_ values: ConfigValues, _ context: inout ReadContext) {
        typealias Fields = BrokerFields.Listeners
        let authenticates = values[BrokerFields.authentication].contains {
            $0.values[BrokerFields.Authentication.enable]
        }
        for (kind, field) in Fields.kinds {
            for listener in values[BrokerFields.listeners][field] where listener.value[Fields.enable] {
                let asks = authenticates && listener.value[Fields.authentication] != .off
                let allows = listener.value[Fields.allowAnonymous] ?? values[BrokerFields.allowAnonymous]
                guard !asks, !allows, !listener.value[Fields.bind].isLoopback else { continue }
                context.report(
                    listener.value.problem(
                        .openListener,
                        "\(kind.rawValue):\(listener.name) listens on \(listener.value[Fields.bind]) and nobody asks its clients "
                            + "who they are",
                        hint: "configure \"authentication\", bind to 127.0.0.1, or write \"allow_anonymous: true\"",
                        at: Fields.bind))
            }
        }
    }

    private static func checkFiles(_ tls: ConfigValues, _ environment: Environment, _ context: inout ReadContext) {
        func check(_ path: String?, _ field: some ConfigField) {
            if let path, environment.readFile(path) == nil {
                context.report(tls.problem(.unreadableFile, "the file \(path) cannot be read", at: field))
            }
        }
        check(tls[BrokerFields.TLS.certificate], BrokerFields.TLS.certificate)
        check(tls[BrokerFields.TLS.key], BrokerFields.TLS.key)
        check(tls[BrokerFields.TLS.ca], BrokerFields.TLS.ca)
        check(tls[BrokerFields.TLS.revocationList], BrokerFields.TLS.revocationList)
        for host in tls[BrokerFields.TLS.serverNames] {
            typealias Fields = BrokerFields.ServerName
            for (path, field) in [
                (host.value[Fields.certificate], Fields.certificate), (host.value[Fields.key], Fields.key),
            ] where environment.readFile(path) == nil {
                context.report(host.value.problem(.unreadableFile, "the file \(path) cannot be read", at: field))
            }
        }
    }
}

extension BrokerFields.Listeners {
    static let kinds: [(ListenerSettings.Kind, Field<[Named<ConfigValues>]>)] = [
        (.tcp, tcp), (.ssl, ssl), (.ws, ws), (.wss, wss),
    ]
}

extension [ConfigProblem] {
    /// The same problems; one on a line that holds a secret is told without its line.
    fileprivate func withoutSecretLines() -> [ConfigProblem] {
        let secret = filter { $0.code == .literalSecret }
        return map { problem in
            var problem = problem
            if secret.contains(where: { $0.file == problem.file && $0.line == problem.line }) {
                problem.showsSource = false
            }
            return problem
        }
    }
}
