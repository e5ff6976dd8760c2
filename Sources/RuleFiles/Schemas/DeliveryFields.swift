package import ConfigSchema
package import RuleEngine
package import Sinks

/// What the sinks' worker does for every type: queueing, batching, retrying.
package enum DeliveryFields {
    package enum Order: String, Sendable, CaseIterable { case none, client, topic, key, total }

    static let description = Field("description", .string, default: "", hotReload: true, doc: "Shown in the UI.")
    static let tags = Field("tags", .list(.string), default: [], hotReload: true, doc: "For searching.")
    package static let order = Field(
        "order", FieldType<Order>.choice, default: .client, hotReload: true,
        doc: "Which records stay in order among each other.")
    package static let orderKey = Field(
        "order_key", .nonEmptyString, hotReload: true, doc: "Template; with `order: key`.")
    package static let templates = Field(
        "templates", FieldType<MissingPolicy>.choice, default: .compat, hotReload: true,
        doc: "What a missing value becomes.")

    package enum Retry {
        package static let onStatus = Field(
            "on_status", .list(.status), default: [408...408, 425...425, 429...429, 500...599],
            doc: "Statuses that are tried again.")
        package static let onNetworkError = Field(
            "on_network_error", .bool, default: true, doc: "Refused, reset, timed out.")
        package static let onAuthError = Field(
            "on_auth_error", FieldType<HTTPRetryPolicy.OnUnauthorized>.choice, default: .pause, doc: "401 and 403.")
        package static let initial = Field("initial", .duration, default: .seconds(1), doc: "The first pause.")
        package static let maximum = Field("max", .duration, default: .seconds(300), doc: "The longest pause.")
        package static let multiplier = Field("multiplier", .number(1...100), default: 2, doc: "From pause to pause.")
        package static let jitter = Field(
            "jitter", FieldType<RetryJitter>.choice, default: .full, doc: "How pauses are spread.")
        package static let maximumAttempts = Field(
            "max_attempts",
            FieldType<Limit<Int>>.scalar(
                "a number from 1, or unlimited", show: { $0.finite.map { "\($0)" } ?? "unlimited" }
            ) { text, scalar in
                if text == "unlimited" { return .infinity }
                guard case .int(let count) = scalar, count >= 1 else { return nil }
                return .at(Int(count))
            }, default: .infinity, doc: "Bounded by buffer.max_age all the same.")
        package static let respectRetryAfter = Field(
            "respect_retry_after", .bool, default: true, doc: "Whether the server may name the pause.")
        package static let maximumRetryAfter = Field(
            "max_retry_after", .duration, default: .seconds(3600), doc: "The longest it may name.")
        static let all = FieldSet(
            "retry",
            [
                onStatus, onNetworkError, onAuthError, initial, maximum, multiplier, jitter, maximumAttempts,
                respectRetryAfter,
                maximumRetryAfter,
            ]
        ) { values, context in
            if values[initial] > values[maximum] {
                context.report(values.problem(.conflict, "\"initial\" is longer than \"max\"", at: initial))
            }
        }
    }
    package static let retry = Field(group: "retry", Retry.all, hotReload: true, doc: "When a delivery is tried again.")

    package enum Buffer {
        /// Differs from the design's disk buffer, which does not exist yet.
        static let mode = Field("mode", .memoryMode, default: "memory", doc: "Where records wait.")
        package static let maximumBytes = Field(
            "max_bytes", .byteSize(.kilobytes(64)...(.gigabytes(1024))), doc: "Default 256MB.")
        package static let maximumAge = Field(
            "max_age", .durationOrInfinity, doc: "Older ones are dropped and counted; default 24h, a file's infinity.")
        package static let onFull = Field(
            "on_full", FieldType<FullPolicy>.choice, default: .dropOldest, doc: "block slows publishers down.")
        static let all = FieldSet(
            "buffer",
            [
                mode, maximumBytes, maximumAge, onFull, UnsupportedField("fsync"),
                UnsupportedField("drain", accepts: "oldest_first"),
            ])
    }
    package static let memoryBuffer = Field(group: "buffer", Buffer.all, hotReload: true, doc: "Records that wait.")

    package enum Batch {
        package static let maximumMessages = Field("max_messages", .int(1...100_000), doc: "1 is off.")
        package static let maximumBytes = Field(
            "max_bytes", .byteSize(.kilobytes(1)...(.gigabytes(1))), default: .megabytes(1), doc: "Of one batch.")
        package static let maximumWait = Field("max_wait", .duration, doc: "For a batch that is not full.")
        package static let format = Field(
            "format", FieldType<BatchSettings.Format>.choice, default: .jsonArray, doc: "Of a request's body.")
        static let all = FieldSet("batch", [maximumMessages, maximumBytes, maximumWait, format])
    }
    package static let batch = Field(group: "batch", Batch.all, hotReload: true, doc: "Several records in one write.")

    package enum Breaker {
        package static let failures = Field("failures", .int(0...1_000_000), default: 10, doc: "In a row; 0 is off.")
        package static let openFor = Field("open_for", .duration, default: .seconds(30), doc: "The longest pause.")
        static let all = FieldSet("circuit_breaker", [failures, openFor])
    }
    package static let breaker = Field(
        group: "circuit_breaker", Breaker.all, hotReload: true, doc: "Rest after failures.")

    /// EMQX's `resource_opts`.
    package enum Resource {
        package static let inflightWindow = Field(
            "inflight_window", .int(1...65535), default: 100, doc: "Most writes under way.")
        package static let maximumBufferBytes = Field(
            "max_buffer_bytes", .byteSize, doc: "Another name of buffer.max_bytes.")
        package static let batchSize = Field(
            "batch_size", .int(1...100_000), doc: "Another name of batch.max_messages.")
        package static let batchTime = Field("batch_time", .duration, doc: "Another name of batch.max_wait.")
        static let all = FieldSet(
            "resource_opts",
            [
                inflightWindow, maximumBufferBytes, batchSize, batchTime,
                Field(
                    "worker_pool_size", .int(1...1024), default: 16, noEffect: "one worker serves a sink",
                    doc: "Read for EMQX's files."),
                Field(
                    "query_mode", .choice("async", "sync"), default: "async", noEffect: "always async",
                    doc: "Read for EMQX's files."),
                Field(
                    "request_ttl", .durationOrInfinity, default: .at(.seconds(45)),
                    noEffect: "buffer.max_age and timeout decide", doc: "Read for EMQX's files."),
                Field(
                    "health_check_interval", .duration, default: .seconds(15), noEffect: "deliveries themselves tell",
                    doc: "Read for EMQX's files."),
                Field(
                    "resume_interval", .duration, default: .seconds(15), noEffect: "retry decides",
                    doc: "Read for EMQX's files."),
                Field(
                    "metrics_flush_interval", .duration, default: .seconds(5), noEffect: "counters are exact",
                    doc: "Read for EMQX's files."),
                UnsupportedField("buffer_mode", accepts: "memory_only"), UnsupportedField("buffer_seg_bytes"),
            ])
    }
    package static let resource = Field(group: "resource_opts", Resource.all, hotReload: true, doc: "EMQX's names.")

    /// What the keys say together; for actions that have all of these fields.
    @Sendable static func check(_ values: ConfigValues, _ context: inout ReadContext) {
        let (buffer, batch, resource) = (values[memoryBuffer], values[Self.batch], values[Self.resource])
        func both(_ own: some ConfigField, _ ownValues: ConfigValues, _ other: some ConfigField, _ name: String) {
            if ownValues.isSet(own), resource.isSet(other) {
                context.report(
                    resource.problem(
                        .conflict, "\"\(other.name)\" is another name of \"\(name)\", which is there too", at: other))
            }
        }
        both(Buffer.maximumBytes, buffer, Resource.maximumBufferBytes, "buffer.max_bytes")
        both(Batch.maximumMessages, batch, Resource.batchSize, "batch.max_messages")
        both(Batch.maximumWait, batch, Resource.batchTime, "batch.max_wait")
        if values[order] == .key, values[orderKey] == nil {
            context.report(values.problem(.missingKey, "\"order: key\" needs \"order_key\"", at: order))
        }
        if values[order] != .key, values[orderKey] != nil {
            context.report(values.problem(.conflict, "\"order_key\" needs \"order: key\"", at: orderKey))
        }
    }
}

extension FieldType where Value == String {
    /// `memory`; the disk buffer is refused by name.
    fileprivate static var memoryMode: FieldType {
        FieldType("memory") { node, context in
            switch node.text {
            case "memory": return "memory"
            case "disk", "none":
                context.report(
                    node.problem(
                        .notSupported, "\(context.pathText): \(node.kindInWords) is not supported yet",
                        hint: "write memory, or leave it out"))
            default:
                context.report(node.problem(.badValue, "\(context.pathText) takes memory, not \(node.kindInWords)"))
            }
            return nil
        }
    }
}
