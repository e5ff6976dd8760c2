import ConfigSchema

/// A text with everything that parsing says about it.
struct Parsed {
    let source: SourceFile
    let result: YAMLParseResult

    init(_ text: String, name: String = "t.yaml", limits: YAMLLimits = YAMLLimits()) {
        source = SourceFile(name: name, text: text)
        result = YAMLParser.parse(source, limits: limits)
    }

    var root: YAMLNode? { result.documents.first }
    var problems: [String] { result.problems.map(\.headline) }
}

func place(_ line: Int, _ column: Int) -> SourcePosition { SourcePosition(line: line, column: column) }
