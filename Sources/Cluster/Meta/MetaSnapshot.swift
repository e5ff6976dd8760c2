import CCRC32C

/// The state as bytes, in chunks that each say how long they are and what they sum to:
///
///     chunk    kind u8 | length u32 | CRC32C u32 of kind, length and body | body
///     kinds    1 head, 2 a file, 3 a table, 4 the answers, 5 a file's parts, 255 the end with the number of chunks
///
/// Equal states give equal bytes.
struct MetaSnapshot: Equatable {
    static let format: UInt8 = 1

    var state: MetaState
    /// Answers by key, the oldest first.
    var answers: [(key: CommandKey, answer: [UInt8])]

    static func == (left: MetaSnapshot, right: MetaSnapshot) -> Bool {
        left.state == right.state
            && left.answers.elementsEqual(right.answers) { $0.key == $1.key && $0.answer == $1.answer }
    }

    private enum Kind: UInt8 { case head = 1, blob = 2, table = 3, answers = 4, staged = 5, end = 255 }

    // MARK: Write

    func encoded() -> [[UInt8]] {
        var chunks = [Self.chunk(.head, head())]
        for blob in state.blobs.keys.sorted() {
            var writer = MetaWriter()
            writer.raw(blob.bytes)
            writer.data(state.blobs[blob] ?? [])
            chunks.append(Self.chunk(.blob, writer.bytes))
        }
        for blob in state.staged.keys.sorted() {
            guard let staged = state.staged[blob] else { continue }
            var writer = MetaWriter()
            writer.raw(blob.bytes)
            writer.number32(staged.total)
            writer.number(staged.sequence)
            writer.data(staged.bytes)
            chunks.append(Self.chunk(.staged, writer.bytes))
        }
        for name in MetaTableName.allCases {
            guard let table = state.tables[name] else { continue }
            var writer = MetaWriter()
            writer.byte(name.rawValue)
            writer.number(table.version)
            writer.list(table.entries.keys.sorted { $0.lexicographicallyPrecedes($1) }) { writer, key in
                writer.data(key)
                writer.data(table.entries[key] ?? [])
            }
            chunks.append(Self.chunk(.table, writer.bytes))
        }
        var writer = MetaWriter()
        writer.list(answers) { writer, entry in
            writer.number(entry.key.high)
            writer.number(entry.key.low)
            writer.data(entry.answer)
        }
        chunks.append(Self.chunk(.answers, writer.bytes))
        var end = MetaWriter()
        end.number32(UInt32(chunks.count))
        chunks.append(Self.chunk(.end, end.bytes))
        return chunks
    }

    private static func chunk(_ kind: Kind, _ body: [UInt8]) -> [UInt8] {
        var writer = MetaWriter()
        writer.byte(kind.rawValue)
        writer.number32(UInt32(body.count))
        writer.number32(checksum(writer.bytes, body))
        writer.raw(body)
        return writer.bytes
    }

    private static func checksum(_ head: [UInt8], _ body: [UInt8]) -> UInt32 {
        sluice_crc32c(sluice_crc32c(0, head, head.count), body, body.count)
    }

    private func head() -> [UInt8] {
        var writer = MetaWriter()
        writer.byte(Self.format)
        writer.number(state.sequence)
        writer.number(state.index)
        writer.number(state.rollingHash)
        writer.number(state.clusterID)
        writer.text(state.clusterName)
        writer.number(state.epoch)
        writer.number32(state.featureLevel)
        writer.list(state.members.values.sorted { $0.name < $1.name }) { $0.member($1) }
        writer.list(state.removed) { writer, member in
            writer.text(member.name)
            writer.number(member.id)
            writer.number(member.time)
        }
        writer.generation(state.rules)
        writer.list(state.history) { $0.generation($1) }
        writer.list(state.offers.sorted { $0.key < $1.key }) { writer, offer in
            writer.text(offer.key)
            writer.number(offer.value)
        }
        writer.list(state.unused.sorted { $0.key < $1.key }) { writer, entry in
            writer.raw(entry.key.bytes)
            writer.number(entry.value)
        }
        writer.list(state.configuration.sorted { $0.key < $1.key }) { writer, entry in
            writer.text(entry.key)
            writer.text(entry.value)
        }
        writer.number(state.configurationVersion)
        return writer.bytes
    }

    // MARK: Read

    /// - Throws: when a byte is wrong, when something is missing, or when a later build wrote it.
    init(decoding bytes: [UInt8]) throws(MetaFormatError) {
        state = MetaState()
        answers = []
        var reader = MetaReader(bytes)
        var count: UInt32 = 0
        var hasHead = false
        while true {
            let start = try reader.raw(5)
            let sum = try reader.number32()
            let length = (0..<4).reduce(0) { $0 | Int(start[1 + $1]) << (8 * $1) }
            let body = try reader.raw(length)
            guard Self.checksum(start, body) == sum else { throw MetaFormatError("chunk \(count) is damaged") }
            guard let kind = Kind(rawValue: start[0]) else { throw MetaFormatError("there is no chunk \(start[0])") }
            guard hasHead || kind == .head else { throw MetaFormatError("the head is missing") }
            hasHead = true
            var inner = MetaReader(body)
            if kind == .end {
                guard try inner.number32() == count else { throw MetaFormatError("chunks are missing") }
                try inner.end()
                try reader.end()
                return
            }
            try read(kind, &inner)
            try inner.end()
            count += 1
        }
    }

    private mutating func read(_ kind: Kind, _ reader: inout MetaReader) throws(MetaFormatError) {
        switch kind {
        case .head: try readHead(&reader)
        case .blob:
            let blob = try reader.blob()
            state.blobs[blob] = try reader.data(limit: MetaLimits.blob)
        case .staged:
            let blob = try reader.blob()
            let total = try reader.number32()
            let sequence = try reader.number()
            state.staged[blob] = StagedBlob(
                total: total, bytes: try reader.data(limit: MetaLimits.blob), sequence: sequence)
        case .table:
            guard let name = MetaTableName(rawValue: try reader.byte()) else {
                throw MetaFormatError("there is no such table")
            }
            var table = MetaTable()
            table.version = try reader.number()
            let entries = try reader.list(limit: MetaLimits.tableEntries) { reader throws(MetaFormatError) in
                (try reader.data(limit: 1024), try reader.data(limit: 16 * 1024))
            }
            for (key, value) in entries { table.entries[key] = value }
            state.tables[name] = table
        case .answers:
            answers = try reader.list(limit: MetaLimits.answers) { reader throws(MetaFormatError) in
                (
                    key: CommandKey(high: try reader.number(), low: try reader.number()),
                    answer: try reader.data(limit: MetaLimits.command)
                )
            }
        case .end: break
        }
    }

    private mutating func readHead(_ reader: inout MetaReader) throws(MetaFormatError) {
        let format = try reader.byte()
        guard format == Self.format else { throw MetaFormatError("the format \(format) is of a later version") }
        state.sequence = try reader.number()
        state.index = try reader.number()
        state.rollingHash = try reader.number()
        state.clusterID = try reader.number()
        state.clusterName = try reader.text(limit: 256)
        state.epoch = try reader.number()
        state.featureLevel = try reader.number32()
        for member in try reader.list(
            limit: MetaLimits.members, { reader throws(MetaFormatError) in try reader.member() })
        {
            state.members[member.name] = member
        }
        state.removed = try reader.list(limit: MetaLimits.removed) { reader throws(MetaFormatError) in
            RemovedMember(name: try reader.text(limit: 256), id: try reader.number(), time: try reader.number())
        }
        state.rules = try reader.generation()
        state.history = try reader.list(limit: MetaLimits.history) { reader throws(MetaFormatError) in
            try reader.generation()
        }
        let offers = try reader.list(limit: 65_536) { reader throws(MetaFormatError) in
            (try reader.text(limit: 256), try reader.number())
        }
        for (owner, hash) in offers { state.offers[owner] = hash }
        let unused = try reader.list(limit: 65_536) { reader throws(MetaFormatError) in
            (try reader.blob(), try reader.number())
        }
        for (blob, sequence) in unused { state.unused[blob] = sequence }
        let configuration = try reader.list(limit: MetaLimits.configuration) { reader throws(MetaFormatError) in
            (try reader.text(limit: 256), try reader.text(limit: 16 * 1024))
        }
        for (key, value) in configuration { state.configuration[key] = value }
        state.configurationVersion = try reader.number()
    }
}

extension MetaSnapshot {
    init(state: MetaState) { self.init(state: state, answers: []) }

    init(state: MetaState, answers: [(key: CommandKey, answer: [UInt8])]) {
        self.state = state
        self.answers = answers
    }
}

extension MetaWriter {
    fileprivate mutating func generation(_ generation: RuleGeneration) {
        number(generation.number)
        number(generation.time)
        text(generation.by)
        text(generation.note)
        list(generation.bundles.sorted { $0.key < $1.key }) { writer, entry in
            writer.text(entry.key)
            writer.bundle(entry.value)
        }
        list(generation.objects.values.sorted { $0.object.id < $1.object.id }) { writer, owned in
            writer.text(owned.object.id)
            writer.text(owned.owner)
            writer.number(owned.generation)
        }
    }
}

extension MetaReader {
    fileprivate mutating func generation() throws(MetaFormatError) -> RuleGeneration {
        var generation = RuleGeneration()
        generation.number = try number()
        generation.time = try number()
        generation.by = try text(limit: 256)
        generation.note = try text(limit: 1024)
        let bundles = try list(limit: 65_536) { reader throws(MetaFormatError) in
            (try reader.text(limit: 256), try reader.bundle())
        }
        var byOwner: [String: [String: RuleObject]] = [:]
        for (owner, bundle) in bundles {
            generation.bundles[owner] = bundle
            byOwner[owner] = Dictionary(bundle.objects.map { ($0.id, $0) }) { first, _ in first }
        }
        let objects = try list(limit: 1_000_000) { reader throws(MetaFormatError) in
            (try reader.text(limit: 600), try reader.text(limit: 256), try reader.number())
        }
        for (id, owner, number) in objects {
            guard let object = byOwner[owner]?[id] else { throw MetaFormatError("the object \(id) is in no file") }
            generation.objects[id] = OwnedRuleObject(object: object, owner: owner, generation: number)
        }
        return generation
    }
}
