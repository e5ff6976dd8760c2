import Buffers
import NIOCore

/// A call that waits for its answer.
struct PendingCall {
    var timeout: Scheduled<Void>
    var completion: @Sendable (Result<[UInt8], MeshError>) -> Void
}

/// One connection that carries frames: the link to a peer, or a guest's, which carries calls alone.
///
/// Confined to the mesh's event loop, hence the unchecked conformance.
final class MeshLink: ConnectionUser, @unchecked Sendable {
    /// Bytes that one write gathers.
    private static let writeSize = 256 * 1024
    static let mostCalls = 1024
    /// Bytes of requests that may wait to be written.
    static let mostCallBytes = 16 << 20

    let connection: MeshConnection
    let hello: MeshHello
    /// Nil: a guest's.
    let peer: PeerState?
    private unowned let core: MeshCore
    private let mine: ResumePoint
    private(set) var isResumed = false
    private var cumulation = ByteBuffer()
    /// Frames of no lane, which go first.
    private var control = ByteBuffer()
    private var scratch = ByteBuffer()
    private var hasWritten = false
    var calls: [UInt64: PendingCall] = [:]
    private var lastCall: UInt64 = 0
    /// Calls of the other end that are being answered.
    private var serving: Set<UInt64> = []
    /// Why it ends when what is being served has been answered: the node is no member any more.
    private var ending: String?
    private var lastUsed = NIODeadline.now()
    private var lastHeard = NIODeadline.now()

    init(core: MeshCore, connection: MeshConnection, hello: MeshHello, peer: PeerState?) {
        self.core = core
        self.connection = connection
        self.hello = hello
        self.peer = peer
        mine = ResumePoint(
            association: peer?.association ?? 0, proposal: .random(in: 1...UInt64.max),
            received: peer?.lanes.map(\.received) ?? [])
        if let peer {
            control.writeFrame(.resume, body: mine.encoded)
            for lane in peer.lanes {
                lane.sent = 0
                lane.inFlight = 0
                lane.acknowledged = lane.received
            }
        }
    }

    var mayRead: Bool { true }

    func closed(_ reason: String) {
        let waiting = calls
        calls = [:]
        serving = []
        core.ended(self, reason)
        for call in waiting.sorted(by: { $0.key < $1.key }).map(\.value) {
            call.timeout.cancel()
            call.completion(.failure(.linkLost))
        }
    }

    var isServing: Bool { !serving.isEmpty }
    var isEnding: Bool { ending != nil }

    /// Carries only answers from here on, and ends with the last, or soon: who leaves hears of it by an answer.
    func endWhenAnswered(_ reason: String) {
        ending = reason
        core.loop.scheduleTask(in: .seconds(5)) { [weak self] in self?.connection.close(reason) }
    }

    // MARK: Reading

    func received(_ buffer: inout ByteBuffer) {
        let now = NIODeadline.now()
        lastHeard = now
        peer?.lastHeard = now
        peer?.bytesReceived += buffer.readableBytes
        core.counters.bytesReceived += buffer.readableBytes
        if cumulation.readableBytes == 0 { cumulation = buffer } else { cumulation.writeBuffer(&buffer) }
        while connection.isOpen, let header = cumulation.frameHeader {
            guard header.length <= core.options.backlogLimit else {
                return connection.close("a frame of \(header.length) bytes came")
            }
            guard cumulation.readableBytes >= FrameHeader.size + header.length else { break }
            let problem = cumulation.withUnsafeReadableBytes { bytes in
                take(header, Bytes(rebasing: bytes[FrameHeader.size..<FrameHeader.size + header.length]))
            }
            if let problem { return connection.close(problem) }
            cumulation.moveReaderIndex(forwardBy: FrameHeader.size + header.length)
        }
        if cumulation.readableBytes == 0 {
            cumulation = ByteBuffer()
        } else if cumulation.readerIndex > 64 * 1024 {
            cumulation.discardReadBytes()
        }
    }

    func readComplete() { pump() }
    func writabilityChanged() { if connection.isWritable { pump() } }

    /// - Returns: what is wrong with it.
    private func take(_ header: FrameHeader, _ payload: Bytes) -> String? {
        switch FrameType(rawValue: header.type) {
        case .resume: return resume(payload)
        case .batch: return isEnding ? nil : takeBatch(header, payload)
        case .acknowledgement: return isEnding ? nil : takeAcknowledgement(header)
        case .keepAlive: return nil
        case .request:
            takeRequest(header, payload)
            return nil
        case .response:
            takeResponse(header, payload)
            return nil
        case .goodbye:
            if let peer, !isEnding { core.takeDown(peer, "the node was stopped") }
            return "the node was stopped"
        // A later version's: it says by its feature level when it depends on the answer.
        case nil: return nil
        }
    }

    private func resume(_ payload: Bytes) -> String? {
        guard let peer, !isResumed, let theirs = ResumePoint(decoding: payload) else { return "a resume out of place" }
        guard peer.association == mine.association else { return "the node went down meanwhile" }
        if mine.resumes(theirs), peer.isUp, peer.peer?.incarnation == hello.incarnation {
            guard core.resume(peer, theirs) else { return "it has had what was never sent" }
        } else {
            core.bringUp(peer, hello, mine.newAssociation(with: theirs))
        }
        isResumed = true
        return nil
    }

    private func takeBatch(_ header: FrameHeader, _ payload: Bytes) -> String? {
        guard let peer, isResumed, let identity = peer.peer else { return "a batch out of place" }
        guard header.detail >= 1, Int(header.detail) <= peer.lanes.count else { return "a batch of an unknown lane" }
        let lane = peer.lanes[Int(header.detail) - 1]
        if header.number <= lane.received {
            core.counters.duplicatesDropped += 1
            return nil
        }
        guard header.number == lane.received + 1 else { return "a batch is missing" }
        lane.received = header.number
        peer.batchesReceived += 1
        core.counters.batchesReceived += 1
        core.owners[Int(header.detail) - 1]?.received(payload, from: identity)
        return nil
    }

    private func takeAcknowledgement(_ header: FrameHeader) -> String? {
        guard let peer, isResumed, header.detail >= 1, Int(header.detail) <= peer.lanes.count else {
            return "an acknowledgement out of place"
        }
        let lane = peer.lanes[Int(header.detail) - 1]
        guard header.number <= lane.highest else { return "it acknowledges what was never sent" }
        core.acknowledged(peer, lane, upTo: header.number)
        return nil
    }

    // MARK: Calls

    func call(
        _ method: MeshMethod, _ body: [UInt8], timeoutMilliseconds: Int,
        _ completion: @escaping @Sendable (Result<[UInt8], MeshError>) -> Void
    ) {
        guard peer == nil || isResumed else { return completion(.failure(.notConnected)) }
        guard calls.count < Self.mostCalls, control.readableBytes + body.count <= Self.mostCallBytes else {
            return completion(.failure(.refused("too many calls wait for \(hello.name)")))
        }
        lastCall += 1
        let id = lastCall
        let timeout = core.loop.scheduleTask(in: .milliseconds(Int64(timeoutMilliseconds))) { [weak self] in
            guard let call = self?.calls.removeValue(forKey: id) else { return }
            call.completion(.failure(.timedOut))
        }
        calls[id] = PendingCall(timeout: timeout, completion: completion)
        core.counters.calls += 1
        lastUsed = .now()
        control.writeFrame(.request, detail: method.rawValue, number: id, body: body)
        pump()
    }

    private func takeRequest(_ header: FrameHeader, _ payload: Bytes) {
        lastUsed = .now()
        let id = header.number
        guard let method = MeshMethod(rawValue: header.detail) else {
            return refuse(id, "method \(header.detail) is unknown here")
        }
        guard peer.map({ _ in isResumed && !isEnding }) ?? core.mayGuest(hello, call: method) else {
            return refuse(id, "a node that is no member may only join")
        }
        guard let handler = core.handler(of: method) else { return refuse(id, "\(method) is not served here") }
        guard serving.count < Self.mostCalls, serving.insert(id).inserted else {
            return refuse(id, "too many calls are being served")
        }
        core.counters.callsServed += 1
        handler(peer?.peer ?? hello.peer(slot: -1), [UInt8](payload)) { [weak self, loop = core.loop] result in
            loop.execute { [weak self] in self?.answer(id, result) }
        }
    }

    private func answer(_ id: UInt64, _ result: Result<[UInt8], MeshError>) {
        guard connection.isOpen, serving.remove(id) != nil else { return }
        lastUsed = .now()
        switch result {
        case .success(let body) where control.readableBytes + body.count <= core.options.backlogLimit - FrameHeader.size:
            control.writeFrame(.response, number: id, body: body)
        case .success: refuse(id, "the answers are too large")
        case .failure(.refused(let reason)): refuse(id, reason)
        case .failure(let error): refuse(id, "\(error)")
        }
        pump()
        if let ending, serving.isEmpty { connection.closeAfterFlush(ending) }
    }

    private func refuse(_ id: UInt64, _ reason: String) {
        core.counters.callsRefused += 1
        control.writeFrame(.response, detail: 1, number: id, body: Array(reason.utf8.prefix(4096)))
    }

    private func takeResponse(_ header: FrameHeader, _ payload: Bytes) {
        // One that comes after its time finds nobody.
        guard let call = calls.removeValue(forKey: header.number) else { return }
        call.timeout.cancel()
        call.completion(
            header.detail == 0
                ? .success([UInt8](payload)) : .failure(.refused(String(decoding: payload, as: UTF8.self))))
    }

    // MARK: Writing

    /// Writes what there is, as far as the other end reads.
    func pump() {
        while connection.isWritable {
            scratch.clear()
            if control.readableBytes > 0 { swap(&scratch, &control) }
            if let peer, isResumed, !isEnding { gather(peer) }
            let count = scratch.readableBytes
            guard count > 0 else { return }
            hasWritten = true
            peer?.bytesSent += count
            core.counters.bytesSent += count
            core.counters.writes += 1
            connection.write(scratch)
        }
    }

    private func gather(_ peer: PeerState) {
        for (index, lane) in peer.lanes.enumerated() where lane.acknowledged < lane.received && !lane.isHeld {
            lane.acknowledged = lane.received
            scratch.writeFrame(.acknowledgement, detail: UInt8(index + 1), number: lane.received)
        }
        for lane in peer.urgency {
            while lane.sent < lane.unacknowledged.count, lane.inFlight < core.options.window,
                scratch.readableBytes < Self.writeSize
            {
                let batch = lane.unacknowledged[offset: lane.sent]
                scratch.writeFrame(.batch, detail: lane.lane.rawValue, number: batch.number, batch.buffer.bytes)
                lane.sent += 1
                lane.inFlight += batch.buffer.count
                if batch.number > lane.highest {
                    lane.highest = batch.number
                    peer.batchesSent += 1
                    core.counters.batchesSent += 1
                } else {
                    core.counters.batchesResent += 1
                }
            }
        }
    }

    /// Every keep-alive time.
    func tick(_ now: NIODeadline) {
        if !hasWritten { control.writeFrame(.keepAlive) }
        hasWritten = false
        pump()
        hasWritten = false
        guard peer == nil else { return }
        let failure = TimeAmount.milliseconds(Int64(core.options.failureMilliseconds))
        if now - lastHeard > failure {
            connection.close("silent")
        } else if calls.isEmpty, serving.isEmpty, now - lastUsed > .seconds(60) {
            connection.close("not used")
        }
    }

    func sayGoodbye() {
        control.writeFrame(.goodbye)
        pump()
        connection.closeAfterFlush("stopped")
    }
}

extension CircularBuffer {
    subscript(offset offset: Int) -> Element { self[index(startIndex, offsetBy: offset)] }
}
