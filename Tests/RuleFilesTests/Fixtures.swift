import ConfigSchema
import RuleFiles

/// Loads texts as rule files, named `r1.yaml`, `r2.yaml`, ….
func load(_ texts: String..., env: [String: String] = [:], files: [String: String] = [:]) -> LoadedRules {
    let environment = Environment(variables: env) { path in files[path].map { Array($0.utf8) } }
    return RuleFileLoader.load(
        sources(texts),
        RuleFileLoader.LoadOptions(environment: environment, nodeName: "n1@h1", dataDirectory: "/var/lib/sluice"))
}

func sources(_ texts: [String]) -> [SourceFile] {
    texts.enumerated().map { SourceFile(name: "r\($0 + 1).yaml", text: $1) }
}

/// Problems without warnings about what is not used, which most small files have.
func problems(_ loaded: LoadedRules) -> [String] {
    loaded.problems.filter { $0.code != .unusedDefinition && $0.code != .noEffect }.map(\.headline)
}

/// `rule/test: failure` for each failure.
func failures(_ texts: String...) -> [String] {
    RuleTestRunner.run(sources(texts)).flatMap { result in
        result.failures.map { "\(result.rule)/\(result.name): \($0.position) \($0.message)" }
    }
}
