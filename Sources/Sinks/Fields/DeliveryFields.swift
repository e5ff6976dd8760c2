internal import ConfigSchema
internal import RuleEngine

/// Keys that actions of all types share: what the worker does.
enum DeliveryFields {
    static let enable = Field("enable", .bool, default: true, doc: "false keeps the definition and runs nothing")
    static let description = Field("description", .string, default: "", doc: "free text")
    static let tags = Field("tags", .list(.string), default: [], doc: "free words")
    static let templates = Field(
        "templates", FieldType<MissingPolicy>.choice, default: .compat,
        doc: "what a placeholder without a value becomes: compat writes undefined as EMQX does, strict fails the record")

    enum Retry {
        static let onStatus = Field(
            "on_status", .list(.httpStatus), default: [408...408, 425...425, 429...429, 500...599],
            doc: "answers that are tried again")
        static let onNetworkError = Field(
            "on_network_error", .bool, default: true, doc: "whether failures without an answer are tried again")
        static let onAuthError = Field(
            "on_auth_error", FieldType<HTTPRetryPolicy.OnUnauthorized>.choice, default: .pause,
            doc: "401 and 403: pause holds everything back until the credentials are accepted")
        static let initial = Field("initial", .duration(.milliseconds(1) ... .seconds(3600)), default: .seconds(1), doc: "the first pause")
        static let max = Field("max", .duration(.milliseconds(1) ... .seconds(86_400)), default: .seconds(300), doc: "the longest pause")
        static let multiplier = Field("multiplier", .number(1...100), default: 2, doc: "each pause is so many times the one before")
        static let jitter = Field(
            "jitter", FieldType<RetryJitter>.choice, default: .full,
            doc: "full: anything from nothing to the pause; equal: half of it and something; none")
        static let maxAttempts = Field(
            "max_attempts", .attempts, default: Limit<Int>.infinity, doc: "attempts in all, or unlimited: buffer.max_age ends it then")
        static let respectRetryAfter = Field(
            "respect_retry_after", .bool, default: true, doc: "whether the receiver's Retry-After makes a pause longer")
        static let maxRetryAfter = Field(
            "max_retry_after", .duration, default: .seconds(3600), doc: "the longest Retry-After that is respected")
        static let common: [any ConfigField] = [
            initial, max, multiplier, jitter, maxAttempts, respectRetryAfter, maxRetryAfter,
        ]
    }

    enum Buffer {
        static let mode = UnsupportedField("mode", accepts: "memory", doc: "where records wait; only memory for now")
        static let maxBytes = Field(
            "max_bytes", .byteSize(ByteSize(bytes: 4096)...ByteSize(bytes: 1 << 40)), default: .gigabytes(1),
            doc: "most bytes that wait or are under way, per action and node")
        static let maxAge = Field(
            "max_age", .durationOrInfinity, default: .at(.seconds(86_400)), doc: "older records are dropped and counted as expired")
        static let onFull = Field(
            "on_full", FieldType<FullPolicy>.choice, default: .dropOldest,
            doc: "block slows publishers of QoS 1 and 2 down instead of dropping")
        static let fsync = UnsupportedField("fsync", accepts: "never", doc: "for buffers on disk")
        static let drain = UnsupportedField("drain", accepts: "oldest_first", doc: "what goes first after an outage")
        static let all = FieldSet("buffer", [mode, maxBytes, maxAge, onFull, fsync, drain])
    }

    enum Batch {
        static let maxMessages = Field("max_messages", .int(1...100_000), default: 1, doc: "1 switches batches off")
        static let maxBytes = Field(
            "max_bytes", .byteSize(ByteSize(bytes: 1024)...ByteSize(bytes: 1 << 30)), default: .megabytes(1), doc: "most bytes of a batch")
        static let maxWait = Field("max_wait", .duration(.zero ... .seconds(3600)), default: .zero, doc: "how long a batch waits for more")
        static let format = Field(
            "format", FieldType<BatchSettings.Format>.choice, default: .jsonArray, doc: "how records are put into one body")
    }

    enum Breaker {
        static let failures = Field("failures", .int(0...1_000_000), default: 10, doc: "failures in a row that open it; 0 for never")
        static let openFor = Field(
            "open_for", .duration(.milliseconds(1) ... .seconds(86_400)), default: .seconds(30),
            doc: "the longest pause; the first is retry.initial, each further one twice as long")
        static let all = FieldSet("circuit_breaker", [failures, openFor])
    }

    static let buffer = Field(group: "buffer", Buffer.all, doc: "where records wait")
    static let breaker = Field(group: "circuit_breaker", Breaker.all, doc: "when a receiver counts as down")
    static let order = Field(
        "order", .choice("none", "client", "topic", "key", "total"), default: "client",
        doc: "records that keep their order among each other: at most one request of them is under way")
    static let orderKey = Field("order_key", .string, doc: "template of the key for order: key")

    /// Keys whose features are not there yet.
    static let unsupported: [any ConfigField] = [
        UnsupportedField("dead_letter", doc: "where refused records go"),
        UnsupportedField("rate_limit", accepts: "infinity", doc: "most deliveries in a time"),
    ]

    /// - Parameters:
    ///   - settings: the type's defaults, which stay where a file says nothing.
    static func read(_ values: ConfigValues, into settings: inout WorkerSettings) {
        let buffer = values[buffer]
        if buffer.isSet(Buffer.maxBytes) { settings.maxBytes = buffer[Buffer.maxBytes].bytes }
        if buffer.isSet(Buffer.maxAge) { settings.maxAge = buffer[Buffer.maxAge].finite }
        if buffer.isSet(Buffer.onFull) { settings.onFull = buffer[Buffer.onFull] }
        let breaker = values[breaker]
        if breaker.isSet(Breaker.failures) { settings.breaker.failures = breaker[Breaker.failures] }
        if breaker.isSet(Breaker.openFor) { settings.breaker.openFor = breaker[Breaker.openFor] }
    }

    static func read(retry values: ConfigValues, into settings: inout RetrySettings) {
        if values.isSet(Retry.initial) { settings.initial = values[Retry.initial] }
        if values.isSet(Retry.max) { settings.max = values[Retry.max] }
        if values.isSet(Retry.multiplier) { settings.multiplier = values[Retry.multiplier] }
        if values.isSet(Retry.jitter) { settings.jitter = values[Retry.jitter] }
        if values.isSet(Retry.maxAttempts) { settings.maxAttempts = values[Retry.maxAttempts].finite }
        settings.respectsRetryAfter = values[Retry.respectRetryAfter]
        settings.maxRetryAfter = values[Retry.maxRetryAfter]
    }

    static func read(batch values: ConfigValues, into settings: inout BatchSettings) {
        if values.isSet(Batch.maxMessages) { settings.maxMessages = values[Batch.maxMessages] }
        if values.isSet(Batch.maxBytes) { settings.maxBytes = values[Batch.maxBytes].bytes }
        if values.isSet(Batch.maxWait) { settings.maxWait = values[Batch.maxWait] }
    }
}

extension FieldType where Value == ClosedRange<Int> {
    /// A status or a hundred of them.
    static var httpStatus: FieldType {
        .scalar(
            "a status such as 429, or 5xx",
            show: { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound / 100)xx" }
        ) { text, _ in HTTPStatusSet.range(text) }
    }
}

extension FieldType where Value == Limit<Int> {
    /// A number of attempts, or `unlimited`.
    static var attempts: FieldType {
        FieldType.scalar("a number of attempts, or unlimited", show: { $0.finite.map { "\($0)" } ?? "unlimited" }) { text, scalar in
            if text == "unlimited" || text == "infinity" { return .infinity }
            guard case .int(let value) = scalar, let number = Int(exactly: value), number > 0 else { return nil }
            return .at(number)
        }
    }
}
