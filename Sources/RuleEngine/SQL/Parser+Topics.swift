/// The topics of FROM.
extension Parser {
    mutating func parseTopics() -> [Topic] {
        var topics: [Topic] = []
        repeat {
            guard let text = topicText else {
                reportNoTopic()
                if !isAtClause { skip { $0.isAtClause } }
                return topics
            }
            topics.append(Topic(text: text, span: current.span))
            advance()
            resumeTopics()
        } while takeSymbol(.comma)
        return topics
    }

    private var topicText: String? {
        switch current.kind {
        case .name(let text, _): text
        case .string(let bytes): String(decoding: bytes, as: UTF8.self)
        default: nil
        }
    }

    private mutating func reportNoTopic() {
        switch current.kind {
        case .symbol(.openParenthesis):
            expected(["a topic in quotes"], hint: "there are no subqueries; a rule can republish to another one")
            toldSubquery = true
        case _ where previous == .symbol(.comma):
            expected(["a topic in quotes"], hint: "leave the comma before it out")
        default: expected(["a topic in quotes"], hint: "FROM \"t/#\"")
        }
    }

    /// Goes on behind a topic where neither a comma nor WHERE follows.
    private mutating func resumeTopics() {
        if isAtClause || current.kind == .symbol(.comma) || repairKeyword([.where]) { return }
        if reportForeignClause() { return }
        let isJoined = isAt(.and) || isAt(.or)
        let next = isJoined ? following.kind : current.kind
        let isTopic =
            switch next {
            case .string, .name(_, true): true
            default: false
            }
        if isTopic {
            expected(
                [",", "WHERE", "the end"],
                hint: isJoined ? "topics are listed with commas" : "is a comma missing before it?")
            if isJoined {
                tokens[index] = Token(kind: .symbol(.comma), span: current.span)
            } else {
                let span = current.span.lowerBound..<current.span.lowerBound
                tokens.insert(Token(kind: .symbol(.comma), span: span), at: index)
            }
            return
        }
        if isAt(.as) {
            expected([",", "WHERE", "the end"], hint: "topics have no other names")
        } else if isJoined {
            expected([",", "WHERE", "the end"], hint: "conditions stand behind WHERE")
        } else {
            let isName = if case .name(_, false) = current.kind { true } else { false }
            expected([",", "WHERE", "the end"], hint: isName ? "topics have no other names" : nil)
        }
        skip { $0.isAtClause || $0.current.kind == .symbol(.comma) || $0.isAtForeignClause }
        if isAtForeignClause { _ = reportForeignClause() }
    }
}
