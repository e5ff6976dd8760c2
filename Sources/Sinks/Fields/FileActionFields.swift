internal import ConfigSchema
internal import RuleEngine

/// The keys of `actions.file.<id>`.
enum FileActionFields {
    enum Rotate {
        static let size = Field(
            "size", FieldType<ByteSize>.byteSize(ByteSize(bytes: 1024)...ByteSize(bytes: 1 << 50)), doc: "a file never grows beyond")
        static let every = Field(
            "every", FieldType<Duration>.duration(.seconds(1) ... .seconds(366 * 86_400)), doc: "at the multiples of this time of the clock")
        static let timezone = Field("timezone", .choice("UTC", "local"), default: "UTC", doc: "of dates in the path and of `every`")
        static let all = FieldSet("rotate", [
            size, every, timezone, UnsupportedField("messages", accepts: "0", doc: "by number of lines"),
            UnsupportedField("idle", accepts: "0", "0s", doc: "when nothing comes"),
        ])
    }

    enum Retention {
        static let maxFiles = Field("max_files", .int(0...1_000_000), default: 0, doc: "complete files kept of each path; 0 for all")
        static let all = FieldSet("retention", [
            maxFiles, UnsupportedField("max_age", accepts: "0", doc: "by age"), UnsupportedField("max_bytes", accepts: "0", doc: "by size"),
        ])
    }

    static let path = Field(
        "path", .nonEmptyString, .required,
        doc: "with %Y %m %d %H %M %S of the event's time and ${field} parts; a relative one is below the data directory")
    static let format = Field("format", FieldType<FileFormat>.choice, default: .jsonl, doc: "what a line is")
    static let template = Field("template", .string, doc: "a line; absent: the row as JSON")
    static let rotate = Field(group: "rotate", Rotate.all, doc: "when a file is complete and renamed")
    static let retention = Field(group: "retention", Retention.all, doc: "what is kept of complete files")
    static let fsync = Field("fsync", FieldType<FileSync>.fileSync, default: .interval(.seconds(1)), doc: "when lines are forced to the disk")
    static let maxOpenFiles = Field("max_open_files", .int(1...100_000), default: 64, doc: "the least used is closed first")
    static let batch = Field(
        group: "batch",
        FieldSet("batch", [DeliveryFields.Batch.maxMessages, DeliveryFields.Batch.maxBytes, DeliveryFields.Batch.maxWait]),
        doc: "lines written together: 1000, or what came in 100ms, if nothing is said")
    static let retry = Field(group: "retry", FieldSet("retry", DeliveryFields.Retry.common), doc: "when a failed write is tried again")

    static let all = FieldSet("actions.file", [
        path, format, template, rotate, retention, fsync, maxOpenFiles, batch, retry, DeliveryFields.buffer,
        DeliveryFields.breaker, DeliveryFields.templates, DeliveryFields.enable, DeliveryFields.description, DeliveryFields.tags,
        UnsupportedField("columns", doc: "of CSV"), UnsupportedField("compress", accepts: "none", doc: "of complete files"),
        UnsupportedField("partial_suffix", accepts: "", doc: "of files that are not complete"),
        UnsupportedField("index", accepts: "false", doc: "for queries"),
    ] + DeliveryFields.unsupported) { values, context in
        do throws(SinkFailure) {
            _ = try FilePath(FileSettings(path: values[path], baseDirectory: "/"))
        } catch {
            context.report(values.problem(.badValue, error.reason, at: path))
        }
    }

    @Sendable static func definition(_ inputs: SinkInputs) throws(SinkFailure) -> SinkDefinition {
        let values = inputs.action
        var settings = FileSettings(path: values[path], baseDirectory: inputs.baseDirectory)
        settings.format = values[format]
        settings.template = values[template]
        settings.extensions = inputs.extensions
        settings.missing = values[DeliveryFields.templates]
        let rotate = values[rotate]
        settings.rotateSize = rotate[Rotate.size]?.bytes
        settings.rotateEvery = rotate[Rotate.every]
        settings.usesLocalTime = rotate[Rotate.timezone] == "local"
        settings.maxFiles = values[retention][Retention.maxFiles]
        settings.sync = values[fsync]
        settings.maxOpenFiles = values[maxOpenFiles]
        var worker = WorkerSettings.file
        DeliveryFields.read(values, into: &worker)
        DeliveryFields.read(retry: values[retry], into: &worker.retry)
        DeliveryFields.read(batch: values[batch], into: &worker.batch)
        return try .file(inputs.name, settings, worker: worker)
    }
}

extension FieldType where Value == FileSync {
    /// `never`, `always` or `interval:<duration>`.
    static var fileSync: FieldType {
        .scalar(
            "never, always or interval:<duration>",
            show: {
                switch $0 {
                case .never: "never"
                case .always: "always"
                case .interval(let interval): "interval:\(Units.show(interval))"
                }
            }
        ) { text, _ in
            if text == "never" { return .never }
            if text == "always" { return .always }
            guard text.hasPrefix("interval:"), let interval = Units.duration(String(text.dropFirst(9))), interval > .zero
            else { return nil }
            return .interval(interval)
        }
    }
}

/// The keys of `actions.console.<id>`.
enum ConsoleActionFields {
    static let all = FieldSet("actions.console", [
        DeliveryFields.enable, DeliveryFields.description, DeliveryFields.tags,
        UnsupportedField("level", accepts: "info", doc: "of the line"), UnsupportedField("format", accepts: "json", doc: "of the line"),
    ])

    @Sendable static func definition(_ inputs: SinkInputs) throws(SinkFailure) -> SinkDefinition { .console(inputs.name) }
}
