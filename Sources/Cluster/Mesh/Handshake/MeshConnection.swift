import Glibc
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS

/// What uses a connection after the handshake. Called on the mesh's thread.
protocol ConnectionUser: AnyObject {
    func received(_ buffer: inout ByteBuffer)
    func readComplete()
    func writabilityChanged()
    /// Whether more may be read now.
    var mayRead: Bool { get }
    /// Exactly once; nothing comes after it.
    func closed(_ reason: String)
}

/// Why a connection that this node opened came to nothing.
struct DialFailure: Error {
    var refusal: MeshRefusal?
    var isConnectionRefused = false
    var text: String
}

/// One TLS connection of the mesh: the handshake of ``HandshakeMessages``, then whoever uses it.
///
/// Confined to the mesh's event loop, hence the unchecked conformance.
final class MeshConnection: ChannelDuplexHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What a dialing node wants.
    struct Request {
        var hello: MeshHello
        /// Nil: whoever answers.
        var expected: NodeName?
        var done: (Result<MeshConnection, DialFailure>) -> Void
    }

    private enum Stage {
        case tls
        case opening(nonce: [UInt8])
        case proving
        case deciding
        case established
        case ended
    }

    private unowned let core: MeshCore
    private var request: Request?
    private var stage = Stage.tls
    private var accumulated = ByteBuffer()
    /// Messages 1, 2 and 3, as they went over the wire.
    private var transcript: [[UInt8]] = []
    private var certificate: [UInt8] = []
    private var timeout: Scheduled<Void>?
    private var isReadWanted = false
    private var wasActive = false
    private(set) var context: ChannelHandlerContext?
    /// Of the other end, once proven.
    private(set) var hello: MeshHello?
    let isDialer: Bool
    var user: (any ConnectionUser)?
    /// Fault injection: nothing goes out, and what comes in is forgotten.
    var isMuted = false
    /// Fault injection: whose hello was not answered.
    var unanswered: NodeName?

    init(core: MeshCore, request: Request?) {
        self.core = core
        self.request = request
        isDialer = request != nil
        if !isDialer { certificate = core.options.certificate.fingerprint }
    }

    var isOpen: Bool { context != nil }
    var isWritable: Bool { context?.channel.isWritable ?? false }
    var remoteAddress: String { context?.remoteAddress.map { "\($0)" } ?? "" }

    // MARK: Channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        // Who dials has another try to make.
        let limit = TimeAmount.milliseconds(
            Int64(
                min(
                    core.options.handshakeMilliseconds,
                    isDialer ? max(1000, core.options.failureMilliseconds / 2) : .max)))
        timeout = context.eventLoop.scheduleTask(in: limit) { [weak self] in
            self?.fail(.malformed, "it did not answer in time", counts: \.timedOut)
        }
        if !isDialer { core.opened(self) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if isDialer, case .handshakeCompleted? = event as? TLSUserEvent { open(context) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        if isMuted || self.context == nil { return }
        if let user { return user.received(&buffer) }
        accumulated.writeBuffer(&buffer)
        readMessages()
    }

    func channelReadComplete(context: ChannelHandlerContext) { user?.readComplete() }
    func channelWritabilityChanged(context: ChannelHandlerContext) { user?.writabilityChanged() }

    func read(context: ChannelHandlerContext) {
        if user?.mayRead ?? true { context.read() } else { isReadWanted = true }
    }

    /// Goes on reading after ``ConnectionUser/mayRead`` has become true.
    func resumeReading() {
        guard isReadWanted else { return }
        isReadWanted = false
        context?.read()
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(nil, "the other end closed the connection", counts: \.closed)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(.malformed, "\(error)", counts: \.garbage)
    }

    func channelActive(context: ChannelHandlerContext) {
        wasActive = true
        context.fireChannelActive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        if isDialer, !wasActive {
            // Why there is no connection comes by ``connectFailed(_:)``.
            self.context = nil
            timeout?.cancel()
        } else {
            fail(nil, "the connection has ended", counts: \.closed)
        }
    }

    func connectFailed(_ error: any Error) {
        let errors = (error as? NIOConnectionError)?.connectionErrors.map(\.error) ?? [error]
        let codes = errors.map { ($0 as? IOError)?.errnoCode }
        let text = errors.first.map { "\($0)" } ?? "\(error)"
        finish(
            .failure(
                DialFailure(
                    isConnectionRefused: !codes.isEmpty && codes.allSatisfy { $0 == ECONNREFUSED }, text: text)))
        end(text)
    }

    // MARK: Writing and closing

    func write(_ buffer: ByteBuffer) {
        guard let context, !isMuted else { return }
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
    }

    /// Ends it; the user is told.
    func close(_ reason: String) { end(reason) }

    /// Ends it when what was written has left.
    func closeAfterFlush(_ reason: String) {
        guard let context else { return }
        let written = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: written)
        written.futureResult.assumeIsolated().whenComplete { [self] _ in end(reason) }
        // One that doesn't read keeps nothing open.
        context.eventLoop.scheduleTask(in: .seconds(1)) { [self] in end(reason) }
    }

    private func end(_ reason: String) {
        guard let context else { return }
        self.context = nil
        stage = .ended
        timeout?.cancel()
        core.closed(self)
        context.close(promise: nil)
        let user = user
        self.user = nil
        user?.closed(reason)
        finish(.failure(DialFailure(text: reason)))
    }

    /// Ends a handshake, or a connection that has failed.
    private func fail(
        _ refusal: MeshRefusal?, _ text: String, counts counter: WritableKeyPath<MeshCounters.Refused, Int>
    ) {
        guard context != nil else { return }
        switch stage {
        case .established, .ended: return end(text)
        default: break
        }
        if isDialer {
            finish(.failure(DialFailure(refusal: refusal == .malformed ? nil : refusal, text: text)))
        } else {
            core.counters.refused[keyPath: counter] += 1
            core.complain(refusal ?? .malformed, text, from: remoteAddress)
        }
        end(text)
    }

    private func finish(_ result: Result<MeshConnection, DialFailure>) {
        let done = request?.done
        request = nil
        done?(result)
    }

    // MARK: Messages

    private func send(_ message: [UInt8]) {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(message.count + 2)
        buffer.writeInteger(UInt16(message.count))
        buffer.writeBytes(message)
        write(buffer)
    }

    private func readMessages() {
        while let context, context.channel.isActive, user == nil {
            guard let length = accumulated.getInteger(at: accumulated.readerIndex, as: UInt16.self) else { return }
            guard length <= HandshakeMessages.largest else {
                return fail(.malformed, "a message is too long", counts: \.oversized)
            }
            guard accumulated.readableBytes >= Int(length) + 2 else { return }
            accumulated.moveReaderIndex(forwardBy: 2)
            read(message: accumulated.readBytes(length: Int(length)) ?? [])
        }
        if user != nil, accumulated.readableBytes > 0 {
            var rest = accumulated
            accumulated = ByteBuffer()
            user?.received(&rest)
        }
    }

    private func read(message: [UInt8]) {
        switch (isDialer, stage) {
        case (false, .tls): answerOpening(message)
        case (true, .opening(let nonce)): prove(nonce, message)
        case (false, .proving): check(message)
        case (true, .proving): checkServer(message)
        case (false, .deciding): decided(message)
        default: fail(.malformed, "a message out of order", counts: \.garbage)
        }
    }

    // MARK: Client

    private func open(_ context: ChannelHandlerContext) {
        guard let seen = try? context.channel.pipeline.syncOperations.nioSSL_peerCertificate(),
            let der = try? seen.toDERBytes()
        else { return fail(nil, "the other end shows no certificate", counts: \.garbage) }
        certificate = MeshCertificate.fingerprint(der)
        let nonce = HandshakeMessages.nonce()
        stage = .opening(nonce: nonce)
        transcript = [HandshakeMessages.opening(nonce)]
        send(transcript[0])
    }

    private func prove(_ nonce: [UInt8], _ message: [UInt8]) {
        guard let status = message.first else { return fail(nil, "an empty answer", counts: \.garbage) }
        guard status == 0 else { return refused(status) }
        guard message.count == 2 + HandshakeMessages.nonceLength, HandshakeMessages.versions.contains(message[1]),
            let request
        else { return fail(.version, MeshRefusal.version.explanation, counts: \.garbage) }
        transcript.append(message)
        let hello = request.hello.encoded
        let proof = HandshakeMessages.proof(
            .client, core.options.cookie, certificate: certificate, transcript + [hello])
        transcript.append(hello + proof)
        stage = .proving
        send(transcript[2])
    }

    private func checkServer(_ message: [UInt8]) {
        guard let status = message.first else { return fail(nil, "an empty answer", counts: \.garbage) }
        guard status == 0 else { return refused(status) }
        let end = message.count - HandshakeMessages.proofLength
        guard end >= 2,
            HandshakeMessages.isValid(
                message[end...], .server, core.options.cookie, certificate: certificate,
                transcript + [Array(message[..<end])])
        else { return fail(.cookie, MeshRefusal.cookie.explanation, counts: \.cookie) }
        guard let hello = MeshHello(decoding: message[2..<end]) else {
            return fail(.malformed, "the hello can't be read", counts: \.garbage)
        }
        guard let verdict = MeshRefusal.from(message[1]) else { return accepted(hello) }
        core.tell(.refusedBy(hello.name, verdict))
        fail(verdict, verdict.explanation, counts: \.closed)
    }

    private func accepted(_ hello: MeshHello) {
        var hello = hello
        hello.intent = request?.hello.intent ?? .link
        if core.turnsAway(self, hello.name) { return }
        if let expected = request?.expected, expected != hello.name {
            return reject(hello, .unexpectedName)
        }
        switch core.judge(hello, isDialer: true) {
        case .refuse(let refusal): return reject(hello, refusal)
        case .silence: return
        case .accept: break
        }
        send([0])
        establish(hello)
        finish(.success(self))
    }

    private func reject(_ hello: MeshHello, _ refusal: MeshRefusal) {
        core.tell(.refused(hello, refusal))
        send([refusal.rawValue])
        finish(.failure(DialFailure(refusal: refusal, text: refusal.explanation)))
        closeAfterFlush(refusal.explanation)
    }

    /// The other end's words are not proven here: they explain, and decide nothing.
    private func refused(_ status: UInt8) {
        let refusal = MeshRefusal(rawValue: status).flatMap { $0.endsMembership ? nil : $0 } ?? .malformed
        fail(refusal, refusal.explanation, counts: \.closed)
    }

    // MARK: Server

    private func answerOpening(_ message: [UInt8]) {
        switch HandshakeMessages.version(of: message) {
        case .failure(let refusal):
            if refusal == .version { send([refusal.rawValue]) }
            refuse(refusal, counts: refusal == .version ? \.version : \.garbage)
        case .success(let version):
            transcript = [message, [0, version] + HandshakeMessages.nonce()]
            stage = .proving
            send(transcript[1])
        }
    }

    private func check(_ message: [UInt8]) {
        let end = message.count - HandshakeMessages.proofLength
        guard end > 0,
            HandshakeMessages.isValid(
                message[end...], .client, core.options.cookie, certificate: certificate,
                transcript + [Array(message[..<end])])
        else {
            send([MeshRefusal.cookie.rawValue])
            return refuse(.cookie, counts: \.cookie)
        }
        guard let hello = MeshHello(decoding: message[..<end]) else { return refuse(.malformed, counts: \.garbage) }
        transcript.append(message)
        if core.turnsAway(self, hello.name) { return }
        var verdict: UInt8 = 0
        switch core.judge(hello, isDialer: false) {
        case .accept: break
        case .silence: return
        case .refuse(let refusal): verdict = refusal.rawValue
        }
        let answer = [0, verdict] + core.hello(intent: hello.intent).encoded
        send(
            answer
                + HandshakeMessages.proof(
                    .server, core.options.cookie, certificate: certificate, transcript + [answer]))
        if let refusal = MeshRefusal.from(verdict) {
            core.tell(.refused(hello, refusal))
            return refuse(refusal, counts: \.membership)
        }
        self.hello = hello
        stage = .deciding
    }

    private func decided(_ message: [UInt8]) {
        guard let hello, let verdict = message.first else { return fail(.malformed, "no verdict", counts: \.garbage) }
        if let refusal = MeshRefusal.from(verdict) {
            core.tell(.refusedBy(hello.name, refusal))
            return end(refusal.explanation)
        }
        // Other connections may have come in between.
        guard case .accept = core.judge(hello, isDialer: false) else { return end(MeshRefusal.duplicate.explanation) }
        establish(hello)
        core.accepted(self, hello)
        if user == nil { end(MeshRefusal.notServed.explanation) }
    }

    private func refuse(_ refusal: MeshRefusal, counts counter: WritableKeyPath<MeshCounters.Refused, Int>) {
        core.counters.refused[keyPath: counter] += 1
        if refusal != .duplicate { core.complain(refusal, refusal.explanation, from: remoteAddress) }
        stage = .ended
        closeAfterFlush(refusal.explanation)
    }

    private func establish(_ hello: MeshHello) {
        self.hello = hello
        stage = .established
        timeout?.cancel()
        transcript = []
        core.proven(self, hello)
    }
}

extension MeshRefusal {
    /// Nil for "accepted".
    static func from(_ verdict: UInt8) -> MeshRefusal? {
        verdict == 0 ? nil : MeshRefusal(rawValue: verdict) ?? .malformed
    }
}
