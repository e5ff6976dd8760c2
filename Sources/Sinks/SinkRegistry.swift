package import ConfigSchema

/// What a sink's definition is made from.
package struct SinkInputs: Sendable {
    package var name: String
    package var action: ConfigValues
    /// Nil for types without connectors.
    package var connector: ConfigValues?
    /// Whether templates know what EMQX's do not.
    package var extensions: Bool
    /// Relative paths are below it; absolute.
    package var baseDirectory: String

    package init(
        name: String, action: ConfigValues, connector: ConfigValues? = nil, extensions: Bool = true, baseDirectory: String
    ) {
        self.name = name
        self.action = action
        self.connector = connector
        self.extensions = extensions
        self.baseDirectory = baseDirectory
    }
}

/// A type of sink: its keys and how one is made.
package struct SinkType: Sendable {
    /// As in `actions.<name>`.
    package let name: String
    package let aliases: [String]
    /// The keys of `connectors.<name>.<id>`; nil when actions of this type have none.
    package let connector: FieldSet?
    /// The keys of `actions.<name>.<id>`.
    package let action: FieldSet
    private let makeDefinition: @Sendable (SinkInputs) throws(SinkFailure) -> SinkDefinition

    init(
        _ name: String, aliases: [String] = [], connector: FieldSet? = nil, action: FieldSet,
        make: @escaping @Sendable (SinkInputs) throws(SinkFailure) -> SinkDefinition
    ) {
        self.name = name
        self.aliases = aliases
        self.connector = connector
        self.action = action
        makeDefinition = make
    }

    /// - Throws: what is wrong beyond what the keys' own checks see, in words.
    package func make(_ inputs: SinkInputs) throws(SinkFailure) -> SinkDefinition { try makeDefinition(inputs) }
}

/// All types of sinks; a new one is a line here.
package struct SinkRegistry: Sendable {
    package let types: [SinkType]

    package static let standard = SinkRegistry(types: [
        SinkType(
            "http", aliases: ["webhook"], connector: HTTPConnectorFields.all, action: HTTPActionFields.all,
            make: HTTPActionFields.definition),
        SinkType("file", action: FileActionFields.all, make: FileActionFields.definition),
        SinkType("console", action: ConsoleActionFields.all, make: ConsoleActionFields.definition),
    ])

    /// By name or alias.
    package func type(named name: String) -> SinkType? {
        types.first { $0.name == name || $0.aliases.contains(name) }
    }
}
