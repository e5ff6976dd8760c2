/// What the machine says to a command. The same on all nodes.
package enum MetaAnswer: Hashable, Sendable {
    /// Done; the generation of the rules that is in force after it.
    case done(generation: UInt64)
    /// Nothing happened, since all was so already.
    case unchanged(generation: UInt64)
    case refused(reason: String, next: String)
    /// Something else happened first, or belongs to somebody else.
    case conflict(reason: String, next: String)
    case notFound(String)
    /// Files that must be staged first.
    case missing([BlobID])

    package var encoded: [UInt8] {
        var writer = MetaWriter()
        switch self {
        case .done(let generation):
            writer.byte(0)
            writer.number(generation)
        case .unchanged(let generation):
            writer.byte(1)
            writer.number(generation)
        case .refused(let reason, let next):
            writer.byte(2)
            writer.text(reason)
            writer.text(next)
        case .conflict(let reason, let next):
            writer.byte(3)
            writer.text(reason)
            writer.text(next)
        case .notFound(let reason):
            writer.byte(4)
            writer.text(reason)
        case .missing(let blobs):
            writer.byte(5)
            writer.list(blobs) { $0.raw($1.bytes) }
        }
        return writer.bytes
    }

    package init(decoding bytes: [UInt8]) throws(MetaFormatError) {
        var reader = MetaReader(bytes)
        switch try reader.byte() {
        case 0: self = .done(generation: try reader.number())
        case 1: self = .unchanged(generation: try reader.number())
        case 2: self = .refused(reason: try reader.text(limit: 65_536), next: try reader.text(limit: 65_536))
        case 3: self = .conflict(reason: try reader.text(limit: 65_536), next: try reader.text(limit: 65_536))
        case 4: self = .notFound(try reader.text(limit: 65_536))
        case 5:
            self = .missing(
                try reader.list(limit: MetaLimits.files + 1) { reader throws(MetaFormatError) in try reader.blob() })
        case let other: throw MetaFormatError("there is no answer \(other)")
        }
        try reader.end()
    }
}
