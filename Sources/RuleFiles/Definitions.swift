package import ConfigSchema
package import RuleEngine

/// Where an object is defined; what the API tells who may not change it there.
package struct DefinitionOrigin: Sendable, Hashable, CustomStringConvertible {
    package let file: String
    package let line: Int

    init(_ node: YAMLNode) {
        file = node.source.name
        line = node.start.line
    }

    package var description: String { "\(file):\(line)" }
}

/// What an expanded object says, for telling whether a reload changed it. Holds secrets: compared, never printed.
package struct DefinitionContent: Sendable, Hashable {
    private let text: String

    init(_ parts: String...) { text = parts.joined(separator: "\u{0}") }

    /// 16 hexadecimal digits; equal contents have equal ones. [FNV-1a]
    package var hash: String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

package struct ConnectorDefinition: Sendable {
    package let type: String
    package let name: String
    /// Read by the type's fields, such as `HTTPConnectorFields`.
    package let values: ConfigValues
    package let origin: DefinitionOrigin
    package let content: DefinitionContent

    package var id: String { "\(type):\(name)" }
}

package struct ActionDefinition: Sendable {
    package let type: String
    /// As defined, or `<rule>~<n>` for one that stands inside a rule.
    package let name: String
    /// Read by the type's fields, such as `HTTPActionFields`.
    package let values: ConfigValues
    /// There for types that have connectors.
    package let connector: ConnectorDefinition?
    /// The rule it stands in.
    package let owner: String?
    /// Whether its templates may hold what EMQX does not know.
    package let extensions: Bool
    package let isEnabled: Bool
    package let origin: DefinitionOrigin
    /// Its connector's included: whoever runs it starts anew when either changed.
    package let content: DefinitionContent

    package var id: String { "\(type):\(name)" }
}

/// One entry of a rule's `actions`.
package struct RuleActionUse: Sendable {
    package enum Kind: Sendable {
        /// The id of an `ActionDefinition`.
        case action(String)
        case republish(RepublishArguments)
        /// Lines on standard output.
        case console
    }

    package let kind: Kind
    /// The rows that the action gets; nil for all.
    package let when: RowCondition?
    /// What metrics call it: the action's id, or `<rule>~<n>`.
    package let name: String
    package let node: YAMLNode
}

package struct RuleDefinition: Sendable {
    package let id: String
    package let name: String
    package let description: String
    package let tags: [String]
    package let isEnabled: Bool
    package let sql: String
    package let compiled: CompiledRule
    package let actions: [RuleActionUse]
    /// How missing values are written in JSON output.
    package let undefinedAs: JSON.UndefinedEncoding
    /// How the payload enters JSON.
    package let payloadEncoding: PayloadEncoding
    /// How often a message may be republished, over all rules.
    package let maximumHops: Int
    /// Whether messages that it listens to need no subscriber.
    package let consumes: Bool
    package let onError: RuleErrorHandling
    /// What holds rows back; nil when all pass.
    package let gate: RowGateSettings?
    /// Whether its templates may hold what EMQX does not know.
    package let extensions: Bool
    /// Its own scalars that hold templates, and those that name members of its rows.
    let references: (templates: [YAMLNode], members: [YAMLNode])
    /// As written; `RuleTestRunner` reads them.
    package let tests: [YAMLNode]
    package let origin: DefinitionOrigin
    /// Without its tests.
    package let content: DefinitionContent
}

/// All objects of a set of rule files, each checked and complete.
package struct RuleSetDefinition: Sendable {
    /// In the order of the files.
    package internal(set) var rules: [RuleDefinition] = []
    package internal(set) var connectors: [ConnectorDefinition] = []
    package internal(set) var actions: [ActionDefinition] = []

    package init() {}

    package func rule(_ id: String) -> RuleDefinition? { rules.first { $0.id == id } }
    package func action(_ id: String) -> ActionDefinition? { actions.first { $0.id == id } }
    package func connector(_ id: String) -> ConnectorDefinition? { connectors.first { $0.id == id } }

    /// The same for the same objects, wherever they stand.
    package var hash: String {
        let lines =
            connectors.map { "c \($0.id) \($0.content.hash)" } + actions.map { "a \($0.id) \($0.content.hash)" }
            + rules.map { "r \($0.id) \($0.content.hash)" }
        return DefinitionContent(lines.sorted().joined(separator: "\n")).hash
    }
}

/// What loading comes to. Nothing of it may go live when a problem is an error.
package struct LoadedRules: Sendable {
    /// The objects that are right.
    package internal(set) var definition = RuleSetDefinition()
    /// By file and place.
    package internal(set) var problems: [ConfigProblem] = []
    /// The errors of objects that are not in the definition, by `rule:<id>` or the action's id.
    package internal(set) var broken: [String: [ConfigProblem]] = [:]
    /// Values under every test's input.
    package internal(set) var testDefaults: YAMLNode?
    package internal(set) var files: [String] = []

    package var isValid: Bool { !problems.hasErrors }
}
