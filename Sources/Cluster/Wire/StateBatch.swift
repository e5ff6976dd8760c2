package import Buffers

/// What a batch on the lane `state` begins with. Numbers are part of the protocol between versions: never reused.
package enum StateBatch: UInt8, Sendable {
    case routeDelta = 1
    case routeDumpBegin = 2
    case routeDumpChunk = 3
    case routeDumpEnd = 4
    case routeDumpRequest = 5
    case retainedDigest = 6
    case retainedEntries = 7

    /// - Returns: nil for a kind that this version does not know, which is to be ignored.
    package init?(of bytes: Bytes) {
        guard let first = bytes.first else { return nil }
        self.init(rawValue: first)
    }
}
