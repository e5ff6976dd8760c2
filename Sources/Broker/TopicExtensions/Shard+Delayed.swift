import Buffers
import Topics

extension Shard {
    /// Messages that one turn of the loop publishes; the next turn goes on.
    private static let delayedBatch = 500

    /// Keeps a message until its time.
    /// - Returns: false when there are as many as may be, or it can't be stored; the message is counted then, and gone.
    @inline(never)
    func delay(_ message: MessageView, until dueAt: Int64) -> Bool {
        let delayed = DelayedMessage(message: Message.make(copying: message), dueAt: dueAt)
        guard node.delayed.add(delayed) else {
            counters.delayedFull.add(1)
            if rules.wantsDropped { rules.messageDropped(message, reason: "delayed_full") }
            return false
        }
        guard persistDelayed(delayed) else {
            _ = node.delayed.remove(message.id)
            return false
        }
        counters.delayed.add(1)
        return true
    }

    /// Publishes what is due. Run by the first shard.
    func publishDelayed() {
        let due = node.delayed.takeDue(now: wall, most: Self.delayedBatch)
        for delayed in due {
            // Rewritten before it waited: a rule whose result is delayed again would never let it go.
            publish(delayed.message, isRewritable: false)
        }
        if let durable, !due.isEmpty {
            // Not before the sessions that it is for have it.
            let ids = due.map(\.message.header.id)
            durable.whenStored { [unowned self] in forgetDelayed(ids) }
        }
        if due.count == Self.delayedBatch { execute { $0.publishDelayed() } }
    }

    /// The broker's own message (a will, a rule's) after what topics can ask for; nil when it waits now or was refused.
    @inline(never)
    func prepared(_ message: Message, isRewritable: Bool) -> Message? {
        let view = message.view
        let rewritten = isRewritable ? rewrite(.publish, view.topic, publisher: view.publisher) : .unchanged
        var topic = view.topic
        var kept = [UInt8]()
        switch rewritten {
        case .unchanged: break
        case .refused:
            refuseTopic(view)
            return nil
        case .topic(let bytes): kept = bytes
        }
        return kept.withUnsafeBytes { kept -> Message? in
            if kept.count > 0 { topic = kept }
            var changed = view
            guard settings.topics.delayedEnabled, case let form = DelayedTopic(topic, now: wall), !form.isOrdinary
            else {
                guard kept.count > 0 else { return message }
                changed.topic = topic
                return Message.make(copying: changed)
            }
            guard case .delayed(let inner, let dueAt) = form, TopicSyntax.isName(inner) else {
                refuseTopic(view)
                return nil
            }
            changed.topic = inner
            _ = delay(changed, until: dueAt)
            return nil
        }
    }

    @inline(never)
    func refuseTopic(_ message: MessageView) {
        counters.topicsRefused.add(1)
        if rules.wantsDropped { rules.messageDropped(message, reason: "topic_refused") }
    }
}

extension DelayedTopic {
    var isOrdinary: Bool { if case .none = self { true } else { false } }
}
