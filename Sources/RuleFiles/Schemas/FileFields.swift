package import ConfigSchema

/// When written lines are forced to the disk.
package enum FsyncPolicy: Sendable, Equatable, Comparable {
    case never
    case interval(Duration)
    case always
}

extension FieldType where Value == FsyncPolicy {
    static var fsync: FieldType {
        .scalar(
            "never, always, or interval:1s",
            show: { policy in
                switch policy {
                case .never: "never"
                case .always: "always"
                case .interval(let duration): "interval:\(Units.show(duration))"
                }
            }
        ) { text, _ in
            switch text {
            case "never": return .never
            case "always": return .always
            default:
                guard text.hasPrefix("interval:"), let duration = Units.duration(String(text.dropFirst(9))), duration > .zero
                else { return nil }
                return .interval(duration)
            }
        }
    }
}

/// Which clock dates in a path show.
package enum FileTimeZone: Sendable, Equatable {
    case utc
    case local
    /// Seconds to the east.
    case fixed(Int)
}

extension FieldType where Value == FileTimeZone {
    static var timeZone: FieldType {
        .scalar("UTC, local, or an offset such as +08:00") { text, _ in
            switch text {
            case "UTC", "utc", "Z": return .utc
            case "local": return .local
            default:
                let parts = text.dropFirst().split(separator: ":")
                guard let sign = text.first, sign == "+" || sign == "-", parts.count == 2,
                    let hours = Int(parts[0]), let minutes = Int(parts[1]), hours <= 14, minutes < 60
                else { return nil }
                return .fixed((sign == "-" ? -1 : 1) * (hours * 3600 + minutes * 60))
            }
        }
    }
}

/// `actions.file.<name>`.
package enum FileActionFields {
    package static let path = Field(
        "path", .nonEmptyString, .required, hotReload: true, doc: "strftime on event time and `${field}` parts; stays below its constant beginning.")
    package static let enable = Field("enable", .bool, default: true, hotReload: true, doc: "Whether it works.")
    package static let template = Field("template", .string, default: "${.}", hotReload: true, doc: "One line.")
    package static let fsync = Field("fsync", .fsync, default: .interval(.seconds(1)), hotReload: true, doc: "When lines are forced to the disk.")
    package static let maximumOpenFiles = Field("max_open_files", .int(1...4096), default: 64, hotReload: true, doc: "More are closed, the least recently used first.")

    package enum Rotate {
        package static let size = Field("size", .byteSize(.kilobytes(1)...(.gigabytes(1024))), default: .megabytes(256), doc: "A larger file is done.")
        package static let every = Field("every", .duration, doc: "An older file is done.")
        package static let timeZone = Field("timezone", .timeZone, default: .utc, doc: "Of dates in the path.")
        static let all = FieldSet(
            "rotate", [size, every, timeZone, UnsupportedField("messages", accepts: "0"), UnsupportedField("idle")])
    }
    package static let rotate = Field(group: "rotate", Rotate.all, hotReload: true, doc: "When a file is done.")

    static let all = FieldSet(
        "actions.file",
        [
            path, enable, template, fsync, maximumOpenFiles, rotate, DeliveryFields.description, DeliveryFields.tags,
            DeliveryFields.memoryBuffer, DeliveryFields.batch, DeliveryFields.templates,
            UnsupportedField("format", accepts: "jsonl"), UnsupportedField("columns"), UnsupportedField("compress", accepts: "none"),
            UnsupportedField("retention"), UnsupportedField("partial_suffix", accepts: ""), UnsupportedField("index", accepts: "false"),
            UnsupportedField("dead_letter"),
        ])
}

/// `connectors.disk_log.<name>` and `actions.disk_log.<name>`. [EMQX disk_log]
package enum DiskLogFields {
    package static let filePath = Field("filepath", .nonEmptyString, .required, hotReload: true, doc: "The file's path.")
    package static let maximumSize = Field(
        "max_file_size", .byteSize(.kilobytes(1)...(.gigabytes(1024))), .required, hotReload: true, doc: "A larger file is done.")
    package static let maximumFiles = Field("max_file_number", .int(1...65535), .required, hotReload: true, doc: "The oldest is removed.")
    static let connectorEnable = Field("enable", .bool, default: true, hotReload: true, doc: "Whether its actions work.")

    static let connector = FieldSet(
        "connectors.disk_log",
        [
            filePath, maximumSize, maximumFiles, connectorEnable, DeliveryFields.description, DeliveryFields.tags,
            UnsupportedField("rotation"), UnsupportedField("resource_opts"),
        ])

    package static let connectorName = Field("connector", .nonEmptyString, .required, hotReload: true, doc: "The disk_log connector.")
    package static let enable = Field("enable", .bool, default: true, hotReload: true, doc: "Whether it works.")

    package enum Parameters {
        package static let template = Field("template", .string, default: "${.}", doc: "One line.")
        static let writeMode = Field(
            "write_mode", .choice("async", "sync"), default: "async", noEffect: "lines are written in batches", doc: "Read for EMQX's files.")
        static let all = FieldSet("parameters", [template, writeMode])
    }
    package static let parameters = Field(group: "parameters", Parameters.all, hotReload: true, doc: "The line.")

    static let action = FieldSet(
        "actions.disk_log",
        [
            connectorName, enable, parameters, DeliveryFields.resource, DeliveryFields.description, DeliveryFields.tags,
            UnsupportedField("fallback_actions"),
        ])
}
