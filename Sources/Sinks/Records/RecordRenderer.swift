package import Buffers
package import RuleEngine

/// What a sink is told of the event besides the row. The bytes are borrowed for the call.
package struct RecordContext {
    /// Milliseconds since 1970 in UTC.
    package var timestamp: Int64
    package var clientID: Bytes
    package var topic: Bytes

    package init(timestamp: Int64, clientID: Bytes, topic: Bytes) {
        self.timestamp = timestamp
        self.clientID = clientID
        self.topic = topic
    }
}

/// One rule's use of one sink; its counters are the worker's. Made once when rules are wired, shared by all shards.
package final class RuleUse: Sendable {
    package let ruleID: String
    /// How missing values are written where the whole row is.
    package let undefinedAs: JSON.UndefinedEncoding
    /// How the payload enters JSON.
    package let payloadEncoding: PayloadEncoding
    let index: Int

    /// - Parameter index: of the use's counters in the worker; 0 where nobody counts.
    package init(
        ruleID: String, undefinedAs: JSON.UndefinedEncoding, payloadEncoding: PayloadEncoding = .utf8, index: Int = 0
    ) {
        self.ruleID = ruleID
        self.undefinedAs = undefinedAs
        self.payloadEncoding = payloadEncoding
        self.index = index
    }
}

/// Lengths of a record's parts in front of its body.
package struct RenderedParts {
    package var target = 0
    package var headers = 0

    package init(target: Int = 0, headers: Int = 0) {
        self.target = target
        self.headers = headers
    }
}

/// Makes a sink's records from rows. Immutable, shared by all shards; called on the shard that evaluated the rule.
package protocol RecordRenderer: AnyObject, Sendable {
    /// Those of all templates, for the check against what a rule selects.
    var placeholders: [Template.Placeholder] { get }
    /// Whether the delivery id is among what the templates show.
    var showsDeliveryID: Bool { get }
    /// Seconds to the east of UTC that dates in templates show, at that time.
    func utcOffset(at milliseconds: Int64) -> Int

    /// Appends target, header lines and body.
    /// - Throws: what makes this record impossible; it is counted as failed and nothing of it is kept.
    func render(
        row: Value, use: RuleUse, into output: OutputBuffer, context: TemplateContext
    ) throws(EvaluationError) -> RenderedParts
}

extension RecordRenderer {
    package var placeholders: [Template.Placeholder] { [] }
    package var showsDeliveryID: Bool { false }
    package func utcOffset(at milliseconds: Int64) -> Int { 0 }
}
