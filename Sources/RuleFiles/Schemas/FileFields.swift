package import ConfigSchema
package import Sinks

extension FieldType where Value == FileSync {
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
                guard text.hasPrefix("interval:"), let duration = Units.duration(String(text.dropFirst(9))),
                    duration > .zero
                else { return nil }
                return .interval(duration)
            }
        }
    }
}

/// `actions.file.<name>`.
package enum FileActionFields {
    package static let path = Field(
        "path", .nonEmptyString, .required, hotReload: true,
        doc: "strftime on event time and `${field}` parts; stays below its constant beginning.")
    package static let enable = Field("enable", .bool, default: true, hotReload: true, doc: "Whether it works.")
    package static let format = Field(
        "format", FieldType<FileFormat>.choice, default: .jsonl, hotReload: true,
        doc: "Of a line; raw may hold line feeds.")
    package static let template = Field(
        "template", .string, hotReload: true, doc: "One line; default the whole row as JSON.")
    package static let fsync = Field(
        "fsync", .fsync, default: .interval(.seconds(1)), hotReload: true, doc: "When lines are forced to the disk.")
    package static let maximumOpenFiles = Field(
        "max_open_files", .int(1...4096), default: 64, hotReload: true,
        doc: "More are closed, the least recently used first.")

    package enum Rotate {
        package static let size = Field(
            "size", .byteSize(.kilobytes(1)...(.gigabytes(1024))), default: .megabytes(256),
            doc: "A larger file is done.")
        package static let every = Field("every", .duration, doc: "An older file is done.")
        package static let timeZone = Field(
            "timezone", .choice("UTC", "local"), default: "UTC", doc: "Of dates in the path.")
        static let all = FieldSet(
            "rotate", [size, every, timeZone, UnsupportedField("messages", accepts: "0"), UnsupportedField("idle")])
    }
    package static let rotate = Field(group: "rotate", Rotate.all, hotReload: true, doc: "When a file is done.")

    package enum Retention {
        package static let maximumFiles = Field(
            "max_files", .int(0...1_000_000), default: 0, doc: "Done files kept of each path; 0 is all.")
        static let all = FieldSet(
            "retention", [maximumFiles, UnsupportedField("max_age"), UnsupportedField("max_bytes")])
    }
    package static let retention = Field(
        group: "retention", Retention.all, hotReload: true, doc: "What becomes of done files.")

    static let all = FieldSet(
        "actions.file",
        [
            path, enable, format, template, retention, fsync, maximumOpenFiles, rotate, DeliveryFields.description,
            DeliveryFields.tags,
            DeliveryFields.memoryBuffer, DeliveryFields.batch, DeliveryFields.templates,
            UnsupportedField("columns"), UnsupportedField("compress", accepts: "none"),
            UnsupportedField("partial_suffix", accepts: ""), UnsupportedField("index", accepts: "false"),
            UnsupportedField("dead_letter"),
        ])
}

/// `connectors.disk_log.<name>` and `actions.disk_log.<name>`. [EMQX disk_log]
package enum DiskLogFields {
    package static let filePath = Field(
        "filepath", .nonEmptyString, .required, hotReload: true, doc: "The file's path.")
    package static let maximumSize = Field(
        "max_file_size", .byteSize(.kilobytes(1)...(.gigabytes(1024))), .required, hotReload: true,
        doc: "A larger file is done.")
    package static let maximumFiles = Field(
        "max_file_number", .int(1...65535), .required, hotReload: true, doc: "The oldest is removed.")
    static let connectorEnable = Field(
        "enable", .bool, default: true, hotReload: true, doc: "Whether its actions work.")

    static let connector = FieldSet(
        "connectors.disk_log",
        [
            filePath, maximumSize, maximumFiles, connectorEnable, DeliveryFields.description, DeliveryFields.tags,
            UnsupportedField("rotation"), UnsupportedField("resource_opts"),
        ])

    package static let connectorName = Field(
        "connector", .nonEmptyString, .required, hotReload: true, doc: "The disk_log connector.")
    package static let enable = Field("enable", .bool, default: true, hotReload: true, doc: "Whether it works.")

    package enum Parameters {
        package static let template = Field("template", .string, doc: "One line; default the whole row as JSON.")
        static let writeMode = Field(
            "write_mode", .choice("async", "sync"), default: "async", noEffect: "lines are written in batches",
            doc: "Read for EMQX's files.")
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
