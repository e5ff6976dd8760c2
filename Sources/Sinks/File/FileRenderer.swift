package import Buffers
internal import Glibc
package import RuleEngine
internal import Synchronization

/// Makes a file sink's records: the path as far as it differs between records, and the line with its line feed.
package final class FileRenderer: RecordRenderer {
    let path: FilePath
    private let template: Template?
    private let format: FileFormat
    private let usesLocalTime: Bool
    private let offset = Mutex<(quarter: Int64, seconds: Int)>((.min, 0))
    package let showsDeliveryID: Bool
    package let placeholders: [Template.Placeholder]

    /// - Throws: what is wrong with the settings, in words.
    package init(_ settings: FileSettings) throws(SinkFailure) {
        path = try FilePath(settings)
        format = settings.format
        usesLocalTime = settings.usesLocalTime
        let template = settings.template.map {
            Template.compile($0, extensions: settings.extensions, missing: settings.missing)
        }
        self.template = template
        placeholders = path.placeholders + (template?.placeholders ?? [])
        showsDeliveryID = placeholders.contains { $0.kind == .meta }
    }

    package func render(
        row: Value, use: RuleUse, into output: OutputBuffer, context: TemplateContext
    ) throws(EvaluationError) -> RenderedParts {
        let start = output.count
        try path.render(row, into: output, context)
        let line = output.count
        if let template {
            try template.render(row: row, into: output, context: context)
            if format == .jsonl, output.bytes[line...].contains(UInt8(ascii: "\n")) {
                throw .badArgument(function: "file", reason: "a line of a JSONL file has a line feed in it")
            }
        } else {
            try context.appendRow(row, to: output)
        }
        output.append(UInt8(ascii: "\n"))
        return RenderedParts(target: line - start)
    }

    /// The whole path of a record.
    /// - Parameter target: what ``render(row:use:into:context:)`` put in front of the line.
    package func path(target: Bytes) -> String {
        "\(path.directory)/\(path.constant ?? String(decoding: target, as: UTF8.self))"
    }

    /// The zone's offset changes at whole quarters of an hour only, so that it is looked up once in each.
    package func utcOffset(at milliseconds: Int64) -> Int {
        guard usesLocalTime else { return 0 }
        let quarter = milliseconds / 900_000
        return offset.withLock { known in
            if known.quarter != quarter { known = (quarter, Self.localOffset(milliseconds / 1000)) }
            return known.seconds
        }
    }

    static func localOffset(_ seconds: Int64) -> Int {
        var time = time_t(seconds)
        var local = tm()
        localtime_r(&time, &local)
        return local.tm_gmtoff
    }
}
