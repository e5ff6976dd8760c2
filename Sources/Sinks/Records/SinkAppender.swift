internal import Buffers
package import RuleEngine

/// A shard's end of a sink: renders rows into frames and hands them over once per tick.
///
/// Confined to its shard's thread. Nothing here waits; the only lock is taken once per hand-over.
package final class SinkAppender {
    private let inbox: SinkInbox
    private let renderer: any RecordRenderer
    private let order: DeliveryOrder
    private let orderSeed: UInt64
    private let idHigh = UInt64.random(in: .min ... .max)
    private var idLow: UInt64 = 0
    private var chunk = RecordChunk()
    private var tally = AppendTally()
    private var templates: TemplateContext?
    private var lastUse: RuleUse?

    init(inbox: SinkInbox, renderer: any RecordRenderer, order: DeliveryOrder, orderSeed: UInt64) {
        self.inbox = inbox
        self.renderer = renderer
        self.order = order
        self.orderSeed = orderSeed
    }

    /// Whether the operator chose to slow publishers down when the queue is full.
    package var canCongest: Bool { inbox.canCongest }
    /// Whether the queue is full and the operator chose to slow publishers down; any thread.
    package var isCongested: Bool { inbox.isCongested }

    /// Whether so much has been rendered that it should be handed over whatever else is to come.
    package var isFull: Bool { chunk.buffer.count >= RecordChunk.size }

    /// Renders one row. A rendering that fails is counted and is otherwise without effect.
    ///
    /// - Parameter context: the shard's, whose arena holds the row.
    /// - Returns: true when there was nothing to hand over before: the shard then puts this appender on its dirty list.
    @discardableResult
    package func append(row: Value, use: RuleUse, event: RecordContext, context: EvaluationContext) -> Bool {
        let wasClean = tally.isEmpty
        let buffer = chunk.buffer
        let mark = buffer.count
        buffer.reserve(RecordHeader.size)
        buffer.advance(RecordHeader.size)
        idLow &+= 1
        let id = DeliveryID(high: idHigh, low: idLow)
        do throws(EvaluationError) {
            let templates = templateContext(use, event, id, context)
            let parts = try renderer.render(row: row, use: use, into: buffer, context: templates)
            finish(mark, parts, id, event, try orderKey(row, event, templates), use)
            tally.add(use.index)
        } catch {
            buffer.truncate(to: mark)
            tally.addFailure(use.index, error)
        }
        return wasClean
    }

    /// Gives what was rendered to the worker. Cheap when there is nothing.
    package func handOver() {
        guard !tally.isEmpty else { return }
        inbox.accept(&chunk, tally)
        tally.removeAll()
    }

    private func templateContext(
        _ use: RuleUse, _ event: RecordContext, _ id: DeliveryID, _ context: EvaluationContext
    ) -> TemplateContext {
        let templates: TemplateContext
        if let known = self.templates, known.arena === context.arena {
            templates = known
        } else {
            templates = TemplateContext(arena: context.arena)
            self.templates = templates
            lastUse = nil
        }
        if use !== lastUse {
            lastUse = use
            templates.ruleID = use.ruleID
            templates.undefinedAs = use.undefinedAs
            templates.payloadEncoding = use.payloadEncoding
        }
        templates.eventMilliseconds = event.timestamp
        templates.utcOffset = renderer.utcOffset(at: event.timestamp)
        if renderer.showsDeliveryID { templates.deliveryID = id.text }
        return templates
    }

    private func orderKey(
        _ row: Value, _ event: RecordContext, _ templates: TemplateContext
    ) throws(EvaluationError) -> UInt64 {
        switch order {
        case .none, .total: 0
        case .client: orderHash(event.clientID, seed: orderSeed)
        case .topic: orderHash(event.topic, seed: orderSeed)
        case .key(let template): orderHash(try template.bytes(row: row, context: templates), seed: orderSeed)
        }
    }

    private func finish(
        _ mark: Int, _ parts: RenderedParts, _ id: DeliveryID, _ event: RecordContext, _ key: UInt64, _ use: RuleUse
    ) {
        let buffer = chunk.buffer
        let body = buffer.count - mark - RecordHeader.size - parts.target - parts.headers
        while buffer.count & 7 != 0 { buffer.append(UInt8(0)) }
        let header = RecordHeader(
            length: UInt32(buffer.count - mark), targetLength: UInt32(parts.target),
            headersLength: UInt32(parts.headers),
            bodyLength: UInt32(body), orderKey: key, eventMilliseconds: event.timestamp, id: id, use: UInt32(use.index))
        (buffer.start + buffer.head + mark).storeBytes(of: header, as: RecordHeader.self)
    }
}

/// What an appender did since its last hand-over, for each rule.
struct AppendTally {
    private(set) var uses: [(use: Int, rendered: Int, failed: Int)] = []
    private(set) var lastError: EvaluationError?

    var isEmpty: Bool { uses.isEmpty }
    var rendered: Int { uses.reduce(0) { $0 + $1.rendered } }

    mutating func add(_ use: Int) { uses[slot(use)].rendered += 1 }

    mutating func addFailure(_ use: Int, _ error: EvaluationError) {
        uses[slot(use)].failed += 1
        lastError = error
    }

    mutating func removeAll() {
        uses.removeAll(keepingCapacity: true)
        lastError = nil
    }

    private mutating func slot(_ use: Int) -> Int {
        for (index, entry) in uses.enumerated() where entry.use == use { return index }
        uses.append((use, 0, 0))
        return uses.count - 1
    }
}
