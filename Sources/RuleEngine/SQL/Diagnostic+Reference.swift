extension Diagnostic.Code {
    /// What the reference page tells of a code.
    package struct Reference: Sendable {
        /// A few words.
        package let title: String
        package let meaning: String
        /// What to do about it.
        package let remedy: String
        /// The test case that the page shows, a file of `Tests/Cases/RuleSQL/diagnostics` without its extension.
        package let example: String

        init(_ title: String, _ meaning: String, _ remedy: String, example: String) {
            self.title = title
            self.meaning = meaning
            self.remedy = remedy
            self.example = example
        }
    }

    package var reference: Reference {
        switch self {
        case .unexpectedToken:
            Reference(
                "Unexpected text", "Something else has to stand at this place; the message lists what can.",
                "Look at the caret and just before it: a comma, a quote or a keyword is missing, misspelt or too much.",
                example: "select-from-where-misspelt")
        case .unknownCharacter:
            Reference(
                "Character without a meaning", "The character is no part of the language outside of quotes.",
                "Quote names and texts that hold it, or use what the hint names.", example: "semicolon")
        case .unterminated:
            Reference(
                "Text without an end", "A quote opens a text or a name and nothing closes it.",
                "Write the missing quote. A backslash escapes nothing.",
                example: "string-without-end-before-others")
        case .badText:
            Reference(
                "Statement that is no statement",
                "It is blank, longer than 64 KB, or its literals take too much memory.",
                "Write a statement; split what is too long into several rules.", example: "blank")
        case .tooDeep:
            Reference(
                "Too deep or too long an expression",
                "Expressions nest at most 64 deep, a path has at most 64 steps, a statement 2048 operators.",
                "Give parts an alias in fields before.", example: "nested-too-deep")
        case .misplacedForm:
            Reference(
                "Expression in the wrong place",
                "Conditions belong to WHERE, INCASE and WHEN; CASE stands alone; comparisons are not chained.",
                "Move it, or give it an alias in a field of its own.", example: "condition-in-field")
        case .reservedWord:
            Reference(
                "Reserved word as a name", "The keywords of the language cannot be bare names, in any case.",
                "Put the name in double quotes, a key of a path in single ones.", example: "reserved-alias")
        case .badNumber:
            Reference(
                "Number out of range", "A float is beyond the range of 64 bits, or an index or a range's bound is.",
                "Write a smaller number. Integers elsewhere have any size.", example: "float-out-of-range")
        case .foreignSyntax:
            Reference(
                "Operator or notation of another language",
                "What stands here has a meaning in other dialects, in program code or in templates, and none in rule SQL.",
                "Use what the hint names.", example: "and-symbols")
        case .typographicCharacter:
            Reference(
                "Typographic or full-width character",
                "A word processor, a chat or an input method has put a lookalike in the place of an ASCII character.",
                "Type the character again; inside of quotes such characters are fine.",
                example: "full-width-punctuation")
        case .foreignClause:
            Reference(
                "Clause of another SQL",
                "A rule looks at one message at a time: it neither sorts, groups, limits nor joins.",
                "Leave the clause out and do it where the rows end up.", example: "group-by-limit")
        case .clauseOrder:
            Reference(
                "Clause in the wrong place", "A clause stands a second time, or before one that comes first.",
                "The order is SELECT … FROM … WHERE …, or FOREACH … DO … INCASE … FROM … WHERE ….",
                example: "where-before-from")
        case .unclosedBracket:
            Reference(
                "Bracket or CASE that is not closed",
                "It is open where the next clause begins, or closes what is not open.",
                "Write the closing one, or leave the one too much out.", example: "parenthesis-open")
        case .unknownFunction:
            Reference(
                "Unknown function", "There is no function of this name; names are lower case.",
                "`sluice rules functions` lists all; the hint names the nearest.", example: "function-misspelt")
        case .wrongArity:
            Reference(
                "Wrong number of arguments", "The function takes more or fewer arguments; the hint shows its form.",
                "Give the arguments that the hint names; those in brackets may be left out.", example: "arity")
        case .unknownEvent:
            Reference(
                "Unknown event", "FROM names an event below `$events/` that does not exist.",
                "Use the name of the hint.", example: "event-misspelt")
        case .bridgeTopic:
            Reference(
                "Bridge in FROM", "Rules of EMQX can read from a bridge by `$bridges/…`; here they cannot.",
                "Let the bridge publish to a topic, and read that.", example: "bridge-topic")
        case .foreachStar:
            Reference(
                "FOREACH without an array", "FOREACH goes through the elements of one array; `*` is none.",
                "Name the array: FOREACH payload.list AS item.", example: "foreach-star")
        case .foreachAlias:
            Reference(
                "Path as the element's name", "The name of FOREACH's element is a plain name.",
                "Use a name without dots and brackets.", example: "foreach-alias-path")
        case .literalCondition:
            Reference(
                "Condition that is a value", "A number or a text is neither true nor false.",
                "Compare it with something.",
                example: "literal-condition")
        case .unknownColumn:
            Reference(
                "Unknown column",
                "No event of FROM has a column of this name, and no field before makes one: it is undefined.",
                "Correct the name. What is in the payload is written `payload.name`, a text stands in single quotes.",
                example: "column-in-payload")
        case .inequalityOnMissing:
            Reference(
                "`!=` with a value that can be missing",
                "Every comparison with an undefined value is false, `!=` as well: messages without the field do not pass.",
                "If they should, write NOT (x = …); if not, the warning can stay.", example: "inequality-on-missing")
        case .everyMessage:
            Reference(
                "Every message", "FROM takes all topics and there is no WHERE, so that the rule runs for all messages.",
                "Name the topics, or choose with WHERE; leave it for an archive.", example: "every-message")
        case .alwaysRaises:
            Reference(
                "Expression that always fails", "It has only constants and fails, so the rule fails for every event.",
                "Correct it; the hint tells why it fails.", example: "always-raises")
        case .neverMatches:
            Reference(
                "Filter that matches nothing", "`#` stands alone at the end, `+` is a whole level.",
                "Correct the filter.",
                example: "filter-invalid")
        case .commentAtEnd:
            Reference(
                "Comment on the last line",
                "Without a line break at its end, `--` is read as two minus signs, as EMQX does.",
                "Put a line break behind the comment.", example: "comment-on-last-line")
        case .hiddenColumn:
            Reference(
                "Column hidden in WHERE",
                "A field without an alias, `payload.temp`, makes a new `payload` that holds only `temp`; WHERE sees that one.",
                "Give the field an alias.", example: "column-hidden-in-where")
        case .aliasLikeColumn:
            Reference(
                "Alias that is a column",
                "Without AS, a name behind a value is its alias; two columns without a comma read so.",
                "Write the comma, or AS if it is meant.", example: "comma-missing-alias-like-column")
        case .textLikeColumn:
            Reference(
                "Column in single quotes", "Single quotes make a text, not a name.", "Leave the quotes out.",
                example: "single-quoted-column")
        case .wildcardEquality:
            Reference(
                "Topic compared with a filter", "`=` compares character by character; wildcards mean nothing to it.",
                "Use `=~`, or name the filter in FROM.", example: "topic-equals-filter")
        case .indexZero:
            Reference(
                "Index 0", "Arrays begin at 1, and reading [0] gives undefined.", "Write [1] for the first element.",
                example: "index-zero")
        case .dashInName:
            Reference(
                "Dash in a name", "A dash between two names without white space reads as a difference.",
                "Quote the name that has a dash; put spaces around a minus that is meant.", example: "dash-name")
        case .eventLikeTopic:
            Reference(
                "Topic that looks like an event",
                "Only names below `$events/` are events; this is a filter of publishes.",
                "Write the event's whole name.", example: "event-without-s")
        }
    }
}
