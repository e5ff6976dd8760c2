import ConfigSchema

/// A kind of sink as rule files name it: a line here and a set of fields make one.
struct SinkType: Sendable {
    let name: String
    let aliases: [String]
    /// Nil for types whose actions need no connector.
    let connector: FieldSet?
    let action: FieldSet
    let actionConnector: Field<String>?
    let enable: Field<Bool>

    static let all = [
        SinkType(
            name: "http", aliases: ["webhook"], connector: HTTPConnectorFields.all, action: HTTPActionFields.all,
            actionConnector: HTTPActionFields.connector, enable: HTTPActionFields.enable),
        SinkType(
            name: "file", aliases: [], connector: nil, action: FileActionFields.all, actionConnector: nil,
            enable: FileActionFields.enable),
        SinkType(
            name: "disk_log", aliases: [], connector: DiskLogFields.connector, action: DiskLogFields.action,
            actionConnector: DiskLogFields.connectorName, enable: DiskLogFields.enable),
    ]

    static let names = all.map(\.name)

    static func named(_ name: String) -> SinkType? {
        all.first { $0.name == name || $0.aliases.contains(name) }
    }
}
