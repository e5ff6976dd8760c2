import Foundation
import Logging
import Management

/// One JSON object a line on standard error: `log.format: json`.
struct JSONLogHandler: LogHandler {
    let label: String
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .info

    init(label: String) { self.label = label }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var members: [String: JSONValue] = [
            "time": .string(Date().formatted(.iso8601.time(includingFractionalSeconds: true))),
            "level": .string(event.level.rawValue), "msg": .string(event.message.description),
        ]
        for (key, value) in metadata.merging(event.metadata ?? [:], uniquingKeysWith: { $1 }) {
            members[key] = .string(value.description)
        }
        FileHandle.standardError.write(JSONValue.object(members).encoded + Data("\n".utf8))
    }
}
