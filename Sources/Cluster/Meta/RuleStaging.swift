/// A rule file as somebody read it.
package struct RuleFileContent: Sendable, Equatable {
    package var path: String
    package var bytes: [UInt8]

    package init(path: String, bytes: [UInt8]) {
        self.path = path
        self.bytes = bytes
    }
}

extension MetaStore {
    /// Puts rule files in the place of all that `owner` had before. The files that the cluster does not know yet go first, in parts.
    ///
    /// Blocks; not for an event loop.
    /// - Parameter time: seconds since 1970.
    package func applyRules(
        owner: String, files: [RuleFileContent], objects: [RuleObject], offer: UInt64, expected: UInt64? = nil,
        takesOver: Bool = false, time: UInt64, by: String, note: String = "", timeoutMilliseconds: Int = 8000
    ) throws(MetaFailure) -> (changed: Bool, generation: UInt64) {
        let named = files.map { (file: RuleBundle.File(path: $0.path, blob: BlobID(of: $0.bytes)), bytes: $0.bytes) }
        let bundle = RuleBundle(files: named.map(\.file), objects: objects)
        try check(files, bundle)
        var contents = Dictionary(named.map { ($0.file.blob, $0.bytes) }) { first, _ in first }
        var manifest = RuleChange.Manifest.inline(bundle)
        var writer = MetaWriter()
        writer.bundle(bundle)
        if writer.bytes.count > MetaLimits.command - 8192 {
            let blob = BlobID(of: writer.bytes)
            contents[blob] = writer.bytes
            manifest = .blob(blob)
        }
        let change = RuleChange(
            owner: owner, manifest: manifest, offer: offer, expected: expected, takesOver: takesOver, time: time,
            by: by,
            note: note)
        let known = state.blobs
        var missing = contents.keys.filter { known[$0] == nil }.sorted()
        // What was there may be forgotten meanwhile; then the answer says what is missing.
        for _ in 0..<4 {
            for blob in missing { try stage(blob, contents[blob] ?? [], timeoutMilliseconds) }
            let answer = try submit(.applyRules(change), timeoutMilliseconds: timeoutMilliseconds)
            switch answer {
            case .done(let generation): return (true, generation)
            case .unchanged(let generation): return (false, generation)
            case .missing(let blobs): missing = blobs
            default: throw MetaFailure.of(answer) ?? .notFound("")
            }
        }
        throw .refused(reason: "the rule files did not arrive whole", next: "try again")
    }

    private func check(_ files: [RuleFileContent], _ bundle: RuleBundle) throws(MetaFailure) {
        if let large = files.first(where: { $0.bytes.count > MetaLimits.blob }) {
            throw .refused(
                reason: "\(large.path) has more than \(MetaLimits.blob) bytes", next: "split it into several files")
        }
        guard bundle.files.count <= MetaLimits.files, bundle.objects.count <= MetaLimits.objects else {
            throw .refused(
                reason: "there are more than \(MetaLimits.files) rule files or \(MetaLimits.objects) objects in them",
                next: "take some away")
        }
        guard Set(bundle.files.map(\.path)).count == bundle.files.count else {
            throw .refused(reason: "two rule files have one name", next: "rename one")
        }
    }

    private func stage(_ blob: BlobID, _ bytes: [UInt8], _ timeoutMilliseconds: Int) throws(MetaFailure) {
        var offset = 0
        repeat {
            let part = Array(bytes[offset..<min(offset + MetaLimits.blobPart, bytes.count)])
            let answer = try submit(
                .stage(blob: blob, offset: UInt32(offset), total: UInt32(bytes.count), bytes: part),
                timeoutMilliseconds: timeoutMilliseconds)
            // Somebody else's parts of the same file may have been there first; the command itself finds out.
            if case .missing = answer { return }
            if let failure = MetaFailure.of(answer) { throw failure }
            offset += part.count
        } while offset < bytes.count
    }
}
