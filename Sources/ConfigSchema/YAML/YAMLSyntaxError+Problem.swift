extension YAMLSyntaxError {
    /// libyaml's complaint in words that help, at the place that must be changed.
    func problem(in source: SourceFile) -> ConfigProblem {
        let place = source.position(ofScalar: problemOffset)
        let opened = source.position(ofScalar: contextOffset)
        let offset = source.byteOffset(of: place)
        let byte = offset < source.bytes.count ? source.bytes[offset] : 0
        if byte == UInt8(ascii: "\t") || problem.contains("tab character") {
            return ConfigProblem(.tab, "a tab indents this line", hint: "use spaces", in: source, at: place)
        }
        if let dollar = unquotedPlaceholder(source, offset) {
            return ConfigProblem(
                .templateNeedsQuotes, "\"${…}\" inside {} or [] needs quotes, since braces are YAML's there",
                hint: "write \"${…}\"", in: source, at: source.position(ofByte: dollar), length: 2)
        }
        let words = clearWords(opened)
        return ConfigProblem(
            .syntax, words.message, hint: words.hint, in: source, at: words.atContext ? opened : place)
    }

    /// The offset of a `${` that stands unquoted where libyaml stumbled.
    private func unquotedPlaceholder(_ source: SourceFile, _ offset: Int) -> Int? {
        guard problem.contains("',' or") || problem.contains("expected ':'") || problem.contains("not allowed")
        else { return nil }
        let bytes = source.bytes
        let lineStart = source.byteOffset(of: SourcePosition(line: source.position(ofByte: offset).line, column: 1))
        var index = min(offset, bytes.count - 1)
        while index > lineStart {
            if bytes[index] == UInt8(ascii: "{"), bytes[index - 1] == UInt8(ascii: "$") {
                let before = index >= 2 ? bytes[index - 2] : UInt8(ascii: " ")
                let isQuoted = before == UInt8(ascii: "\"") || before == UInt8(ascii: "'")
                return isQuoted ? nil : index - 1
            }
            index -= 1
        }
        return nil
    }

    private func clearWords(_ opened: SourcePosition) -> (message: String, hint: String?, atContext: Bool) {
        switch problem {
        case "did not find expected ',' or '}'":
            ("expected \",\" or \"}\" in the mapping that \"{\" opens at \(opened)", nil, false)
        case "did not find expected ',' or ']'":
            ("expected \",\" or \"]\" in the list that \"[\" opens at \(opened)", nil, false)
        case "found unexpected end of stream":
            ("the quote that opens here is not closed", nil, true)
        case "could not find expected ':'":
            ("this line is no \"key: value\" pair", "a \":\" and a space are missing, or it is indented wrongly", true)
        case "mapping values are not allowed in this context":
            ("a \":\" is not expected here", "quote the value when it contains \": \", or check the indentation", false)
        case "mapping keys are not allowed in this context":
            ("a key is not expected here", "check the indentation", false)
        case "block sequence entries are not allowed in this context":
            ("a list item is not expected here", "put \"-\" on a line of its own, indented below its key", false)
        case "did not find expected key":
            ("expected a key of the mapping that begins at \(opened)", "check the indentation", false)
        case "did not find expected '-' indicator":
            ("expected \"- \" of the list that begins at \(opened)", "check the indentation", false)
        case "did not find expected node content":
            ("expected a value", nil, false)
        case "did not find expected <document start>":
            ("expected the end of the document, or \"---\" in front of the next one", "check the indentation", false)
        case "found character that cannot start any token":
            ("a value cannot begin with this character", "quote the value", false)
        case "found unknown escape character":
            ("unknown escape in a double-quoted text", "write \"\\\\\" for a backslash, or use single quotes", false)
        case "did not find expected hexdecimal number", "found invalid Unicode character escape code":
            ("this \\x, \\u or \\U escape is not a character", nil, false)
        case "found undefined tag handle":
            ("this tag is not known", nil, false)
        case "found incompatible YAML document":
            ("only YAML 1.1 and 1.2 are read", nil, false)
        case "found unexpected document indicator":
            ("the quote that opens at \(opened) is not closed before the document ends", nil, false)
        case "did not find expected alphabetic or numeric character":
            (
                "a name of letters, digits, \"-\" and \"_\" must follow \"&\" or \"*\"", "quote a value that begins so",
                false
            )
        case "did not find expected comment or line break":
            ("only a comment may follow \"|\" or \">\" on its line", nil, false)
        default:
            (problem + (context.isEmpty ? "" : " (\(context))"), nil, false)
        }
    }
}
