import Buffers
import MQTTCodec
import Topics

/// What a PUBLISH comes to when its topic asks for more than being published, or may be rewritten.
enum SpecialTopic {
    /// - authorizing: the topic that the client needs the right for: before rewriting, without `$delayed/seconds/`.
    case topic(Bytes, authorizing: Bytes, dueAt: Int64?)
    case refused
}

extension Connection {
    /// Takes the prefix of a delayed message off and rewrites. The bytes are valid during `body` only.
    func withSpecialTopic(
        _ topic: Bytes, session: Session, _ body: (SpecialTopic) throws(ProtocolViolation) -> Void
    ) throws(ProtocolViolation) {
        try PublishView.validate(topic: topic)
        let rewritten: TopicRewriter.Outcome =
            shard.rewritesPublishes ? shard.rewrite(.publish, topic, publisher: session.publisher) : .unchanged
        let authorizing = delayed(topic).inner ?? topic
        switch rewritten {
        case .refused: try body(.refused)
        case .unchanged: try body(special(topic, authorizing: authorizing))
        case .topic(let bytes):
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, bytes.count), alignment: 8)
            defer { copy.deallocate() }
            copy.copyBytes(from: bytes)
            try body(special(Bytes(rebasing: Bytes(copy)[..<bytes.count]), authorizing: authorizing))
        }
    }

    private func special(_ topic: Bytes, authorizing: Bytes) -> SpecialTopic {
        switch delayed(topic) {
        case .none: .topic(topic, authorizing: authorizing, dueAt: nil)
        case .malformed: .refused
        case .delayed(let inner, let dueAt):
            TopicSyntax.isName(inner) ? .topic(inner, authorizing: authorizing, dueAt: dueAt) : .refused
        }
    }

    private func delayed(_ topic: Bytes) -> DelayedTopic {
        shard.settings.topics.delayedEnabled ? DelayedTopic(topic, now: shard.wall) : .none
    }
}

extension DelayedTopic {
    /// The topic behind `$delayed/seconds/`; nil where there is no such prefix.
    var inner: Bytes? { if case .delayed(let topic, _) = self { topic } else { nil } }
}
