/// `docs/reference/events.md`, made of the declarations.
package enum EventReference {
    package static var markdown: String {
        var text = introduction
        for declaration in EventDeclaration.all { text += section(declaration) }
        return text
    }

    private static var introduction: String {
        """
        # Events

        <!-- Made of the declarations in Sources/RuleEngine/Events by `UPDATE_DOCS=1 swift test --filter EventReference`. -->

        A rule listens to publishes by a topic filter, and to what else happens in the broker by the name of an event:

        ```sql
        SELECT clientid, reason FROM "$events/client_disconnected" WHERE reason != 'normal'
        ```

        An event that no rule listens to is not made. The names and columns are EMQX's; both spellings of a name mean the same.

        * **Wildcards** choose all events of which one spelling matches: `$events/#` is every event, `$events/session/+` both of
          sessions, `$events/+` all that have a spelling with one level. Publishes are not among them. EMQX takes them from 5.10 on.
        * **Refused**, each with a message of its own (`SQL103`, `SQL104`): names that no event has, `$bridges/…`,
          `$events/message_publish` (a publish is chosen by its topic), and the events of schema validation and message
          transformation, which do not exist here.
        * `$SYS/…` messages set off no message event while `rule_engine.ignore_sys_message` is true, the default.
        * A column of the kind *word* is text in output and for `=`; `IN` and `is_str` do not take it for a string. A column
          marked *may be missing* is undefined in some events. Properties are objects by their MQTT names, such as
          `Message-Expiry-Interval`; `User-Property` is always there, `User-Property-Pairs` where there are some.


        """ + overview + "\nEvery event has these columns:\n\n" + table(EventDeclaration.common)
    }

    private static var overview: String {
        var text = "| event | FROM | |\n| --- | --- | --- |\n"
        for declaration in EventDeclaration.all {
            let names = declaration.topics.map { "`\($0)`" }.joined(separator: "<br>")
            text += "| [\(declaration.event.rawValue)](#\(anchor(declaration))) | "
            text += "\(names.isEmpty ? "any topic filter" : names) | \(declaration.doc) |\n"
        }
        return text
    }

    private static func section(_ declaration: EventDeclaration) -> String {
        var text = "\n## \(declaration.event.rawValue)\n\n\(declaration.doc)\n\n"
        text += table(Array(declaration.columns.dropFirst(EventDeclaration.common.count)))
        for (column, words) in declaration.words {
            text += "\n`\(column)`: " + words.map { "`\($0)`" }.joined(separator: ", ")
            text += column == "reason" || column == "reason_code" ? ", …\n" : "\n"
        }
        return text
    }

    private static func table(_ columns: [EventColumn]) -> String {
        var text = "| column | kind | |\n| --- | --- | --- |\n"
        for column in columns {
            text += "| `\(column.name)` | \(column.kind.rawValue) | \(column.doc)"
            text += column.isOptional ? " May be missing. |\n" : " |\n"
        }
        return text
    }

    /// As GitHub makes them of headings.
    private static func anchor(_ declaration: EventDeclaration) -> String {
        declaration.event.rawValue.filter { $0 != "." }
    }
}
