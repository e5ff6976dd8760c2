import Buffers
import Topics

/// One entry of FROM.
package enum RuleTopic: Hashable, Sendable {
    /// Publishes to topics that match.
    case filter(String)
    case event(EventName)
}

extension RuleTopic {
    /// What an entry of FROM stands for, and what there is to say about it.
    ///
    /// Differs from EMQX: an unknown event, `$bridges/…` and wildcards over `$events/` have a meaning or a message.
    static func resolve(_ topic: Topic) -> (topics: [RuleTopic], diagnostic: Diagnostic?) {
        let text = topic.text
        if text == "$bridges" || text.hasPrefix("$bridges/") {
            let problem = "`\(text)`: a rule cannot read from a bridge"
            return (
                [], Diagnostic(.bridgeTopic, topic.span, problem, hint: "let the bridge publish, and read its topic")
            )
        }
        if text.hasPrefix("$events/") { return resolveEvent(text, topic.span) }
        guard bytes(of: text, TopicSyntax.isFilter) else {
            let hint = "`#` stands alone at the end, `+` stands for a whole level"
            let problem = "`\(text)` is no valid topic filter and matches nothing"
            return ([.filter(text)], Diagnostic(.neverMatches, topic.span, problem, hint: hint))
        }
        return ([.filter(text)], likeEvent(topic))
    }

    /// `$event/client_connected` and `client_connected` are filters of publishes, and hardly meant so.
    private static func likeEvent(_ topic: Topic) -> Diagnostic? {
        let names = EventName.byTopic.keys.sorted()
        let isName = topic.text.contains("_") && !topic.text.contains("/")
        let meant =
            EventName.byTopic["$events/\(topic.text)"] != nil
            ? "$events/\(topic.text)"
            : topic.text.lowercased().hasPrefix("$event") || topic.text.hasPrefix("events/") || isName
                ? Suggestion.nearest(to: isName ? "$events/\(topic.text)" : topic.text, among: names) : nil
        return meant.map {
            Diagnostic(
                .eventLikeTopic, topic.span, "`\(topic.text)` is a filter of publishes, no event",
                hint: "did you mean `\($0)`?")
        }
    }

    private static func resolveEvent(_ text: String, _ span: Range<Int>) -> (
        topics: [RuleTopic], diagnostic: Diagnostic?
    ) {
        if let event = EventName.named(topic: text) { return ([.event(event)], nil) }
        guard bytes(of: text, TopicSyntax.isFilter) else {
            let hint = "`#` stands alone at the end, `+` stands for a whole level"
            return ([], Diagnostic(.unknownEvent, span, "`\(text)` is no valid topic filter", hint: hint))
        }
        let events = EventName.matching(filter: text)
        if !events.isEmpty { return (events.map(RuleTopic.event), nil) }
        return ([], absence(of: text, span))
    }

    /// Why no event goes by this name or filter.
    private static func absence(of text: String, _ span: Range<Int>) -> Diagnostic {
        if let absent = AbsentEvent.matching(filter: text) {
            let problem = "`\(text)` never happens: there is no \(absent.feature)"
            return Diagnostic(.unknownEvent, span, problem)
        }
        if publishTopics.contains(text) {
            let problem = "`\(text)`: a publish is chosen by its topic"
            return Diagnostic(.unknownEvent, span, problem, hint: "FROM \"t/#\"")
        }
        guard bytes(of: text, TopicSyntax.hasWildcard) else {
            let hint = Suggestion.hint(for: text, among: EventName.byTopic.keys.sorted())
            return Diagnostic(.unknownEvent, span, "there is no event `\(text)`", hint: hint)
        }
        let hint = "events stand below `$events/client/`, `message/`, `session/`, `auth/` and `sys/`"
        return Diagnostic(.unknownEvent, span, "no event matches `\(text)`", hint: hint)
    }

    private static func bytes(of text: String, _ check: (Bytes) -> Bool) -> Bool {
        var text = text
        return text.withUTF8 { check(Bytes($0)) }
    }

    /// The events that a person means: by name (`client.connected`), or as FROM writes them, in either spelling, with
    /// wildcards, and also without `$events/` in front. A publish goes by its name as well, which FROM does not take.
    package static func events(meantBy text: String) -> [EventName] {
        if let event = EventName(rawValue: text) { return [event] }
        let topic = text.hasPrefix("$events/") ? text : "$events/\(text)"
        if publishTopics.contains(topic) { return [.messagePublish] }
        guard bytes(of: topic, TopicSyntax.isFilter) else { return [] }
        let all = EventName.matching(filter: topic)
        // What FROM leaves out, since it chooses a publish by its topic.
        let takesPublish = publishTopics.contains { matches(filter: topic, topic: $0) }
        return takesPublish ? [.messagePublish] + all.filter { $0 != .messagePublish } : all
    }

    private static let publishTopics = ["$events/message_publish", "$events/message/publish"]

    /// Whether the filter takes the topic.
    package static func matches(filter: String, topic: String) -> Bool {
        bytes(of: filter) { filter in bytes(of: topic) { TopicSyntax.matches(filter: filter, topic: $0) } }
    }
}
