import CYAML

/// One step of libyaml's parser, in Swift's types. Offsets count Unicode scalars from the text's start.
struct YAMLEvent {
    enum Kind {
        case streamStart, streamEnd, documentStart, documentEnd, sequenceEnd, mappingEnd
        case alias(String)
        case scalar(String, YAMLNode.Style)
        case sequenceStart(YAMLNode.Style)
        case mappingStart(YAMLNode.Style)
    }

    var kind: Kind
    var start: Int
    var end: Int
    var anchor: String?
    var tag: String?
}

/// What libyaml says when it gives up; offsets as in `YAMLEvent`.
struct YAMLSyntaxError: Error {
    var problem: String
    var problemOffset: Int
    var context: String
    var contextOffset: Int
}

/// Owns one `yaml_parser_t` and the text it reads. Not shared between threads.
final class YAMLEventStream {
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let input: UnsafeMutableBufferPointer<UInt8>

    init(_ bytes: [UInt8]) {
        parser = .allocate(capacity: 1)
        // It fails only when memory is exhausted.
        precondition(yaml_parser_initialize(parser) == 1, "libyaml's parser got its memory.")
        input = .allocate(capacity: max(bytes.count, 1))
        _ = input.initialize(from: bytes)
        yaml_parser_set_input_string(parser, input.baseAddress, bytes.count)
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
        input.deallocate()
    }

    /// The next event. After an error or the end of the stream it must not be called again.
    func next() throws(YAMLSyntaxError) -> YAMLEvent {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else { throw failure() }
        defer { yaml_event_delete(&event) }
        let data = event.data
        func made(
            _ kind: YAMLEvent.Kind, _ anchor: UnsafeMutablePointer<UInt8>? = nil,
            _ tag: UnsafeMutablePointer<UInt8>? = nil
        )
            -> YAMLEvent
        {
            YAMLEvent(
                kind: kind, start: event.start_mark.index, end: event.end_mark.index, anchor: Self.string(anchor),
                tag: Self.string(tag))
        }
        switch event.type {
        case YAML_STREAM_END_EVENT: return made(.streamEnd)
        case YAML_DOCUMENT_START_EVENT: return made(.documentStart)
        case YAML_DOCUMENT_END_EVENT: return made(.documentEnd)
        case YAML_SEQUENCE_END_EVENT: return made(.sequenceEnd)
        case YAML_MAPPING_END_EVENT: return made(.mappingEnd)
        case YAML_ALIAS_EVENT: return made(.alias(Self.string(data.alias.anchor) ?? ""))
        case YAML_SCALAR_EVENT:
            let scalar = data.scalar
            let text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            return made(.scalar(text, Self.style(scalar.style)), scalar.anchor, scalar.tag)
        case YAML_SEQUENCE_START_EVENT:
            let style: YAMLNode.Style = data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE ? .flow : .block
            return made(.sequenceStart(style), data.sequence_start.anchor, data.sequence_start.tag)
        case YAML_MAPPING_START_EVENT:
            let style: YAMLNode.Style = data.mapping_start.style == YAML_FLOW_MAPPING_STYLE ? .flow : .block
            return made(.mappingStart(style), data.mapping_start.anchor, data.mapping_start.tag)
        default: return made(.streamStart)
        }
    }

    private func failure() -> YAMLSyntaxError {
        let parser = parser.pointee
        return YAMLSyntaxError(
            problem: parser.problem.map { String(cString: $0) } ?? "the text cannot be read",
            problemOffset: parser.problem_mark.index,
            context: parser.context.map { String(cString: $0) } ?? "",
            contextOffset: parser.context_mark.index)
    }

    private static func string(_ pointer: UnsafeMutablePointer<UInt8>?) -> String? {
        pointer.map { String(cString: $0) }
    }

    private static func style(_ style: yaml_scalar_style_t) -> YAMLNode.Style {
        switch style {
        case YAML_SINGLE_QUOTED_SCALAR_STYLE: .singleQuoted
        case YAML_DOUBLE_QUOTED_SCALAR_STYLE: .doubleQuoted
        case YAML_LITERAL_SCALAR_STYLE: .literal
        case YAML_FOLDED_SCALAR_STYLE: .folded
        default: .plain
        }
    }
}
