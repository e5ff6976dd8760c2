import Foundation
import Synchronization

/// A webhook's receiver on a loopback port: raw sockets, a thread for each connection, faults at will.
final class HTTPReceiver: Sendable {
    struct Request: Sendable {
        var method = ""
        var target = ""
        var headers: [(name: String, value: String)] = []
        var body: [UInt8] = []

        var text: String { String(decoding: body, as: UTF8.self) }
        func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name }?.value }
    }

    enum Reply: Sendable {
        case status(Int, headers: [String] = [], body: Int = 0)
        /// No answer; the connection stays until the receiver stops.
        case hang
        /// The connection is reset.
        case reset
        /// Bytes that are not HTTP.
        case garbage
        /// The answer in single bytes with pauses.
        case slow
    }

    private struct State {
        var requests: [Request] = []
        var descriptors: Set<Int32> = []
        var connections = 0
        var isStopped = false
        var active = 0
        var mostActive = 0
    }

    let port: Int
    private let listener: Int32
    private let state = Mutex(State())
    private let reply: @Sendable (Request, Int) -> Reply

    /// - Parameter reply: is given the request and its number, from 0; called on the connection's thread.
    init(port: Int = 0, _ reply: @escaping @Sendable (Request, Int) -> Reply = { _, _ in .status(200) }) throws {
        self.reply = reply
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        var one: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, 4)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                bind(listener, raw, size) == 0 && listen(listener, 512) == 0 && getsockname(listener, raw, &size) == 0
            }
        }
        guard bound else { throw POSIXError(.EADDRINUSE) }
        self.port = Int(in_port_t(bigEndian: address.sin_port))
        Thread.detachNewThread { [self] in accept(listener) }
    }

    var url: String { "http://127.0.0.1:\(port)" }
    var requests: [Request] { state.withLock { $0.requests } }
    var connections: Int { state.withLock { $0.connections } }
    /// The most requests that were under way at a time.
    var mostActive: Int { state.withLock { $0.mostActive } }

    func stop() {
        let open = state.withLock { state in
            state.isStopped = true
            defer { state.descriptors = [] }
            return state.descriptors
        }
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        for descriptor in open { shutdown(descriptor, Int32(SHUT_RDWR)) }
    }

    private func accept(_ listener: Int32) {
        while true {
            let descriptor = Glibc.accept(listener, nil, nil)
            guard descriptor >= 0 else { return }
            var one: Int32 = 1
            setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
            let isStopped = state.withLock { state in
                state.connections += 1
                state.descriptors.insert(descriptor)
                return state.isStopped
            }
            if isStopped {
                close(descriptor)
                return
            }
            Thread.detachNewThread { [self] in serve(descriptor) }
        }
    }

    private func serve(_ descriptor: Int32) {
        var input: [UInt8] = []
        while let request = read(descriptor, &input) {
            let number = state.withLock { state in
                state.requests.append(request)
                state.active += 1
                state.mostActive = max(state.mostActive, state.active)
                return state.requests.count - 1
            }
            let goesOn = answer(descriptor, reply(request, number))
            state.withLock { $0.active -= 1 }
            guard goesOn else { break }
        }
        state.withLock { _ = $0.descriptors.remove(descriptor) }
        close(descriptor)
    }

    private func read(_ descriptor: Int32, _ input: inout [UInt8]) -> Request? {
        var block = [UInt8](repeating: 0, count: 65536)
        while true {
            if let request = parse(&input) { return request }
            let count = recv(descriptor, &block, block.count, 0)
            guard count > 0 else { return nil }
            input += block[..<count]
        }
    }

    private func parse(_ input: inout [UInt8]) -> Request? {
        guard
            let end = (0..<max(0, input.count - 3)).first(where: { Array(input[$0..<$0 + 4]) == Array("\r\n\r\n".utf8) }
            )
        else { return nil }
        let lines = String(decoding: input[..<end], as: UTF8.self).components(separatedBy: "\r\n")
        let first = lines[0].split(separator: " ")
        var request = Request(method: String(first[0]), target: String(first[1]))
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            request.headers.append((String(parts[0]), parts[1].trimmingCharacters(in: .whitespaces)))
        }
        let length = Int(request.header("content-length") ?? "0") ?? 0
        guard input.count >= end + 4 + length else { return nil }
        request.body = Array(input[(end + 4)..<(end + 4 + length)])
        input.removeFirst(end + 4 + length)
        return request
    }

    /// - Returns: whether the connection goes on.
    private func answer(_ descriptor: Int32, _ reply: Reply) -> Bool {
        switch reply {
        case .status(let status, let headers, let body):
            let lines = ["HTTP/1.1 \(status) X", "Content-Length: \(body)"] + headers
            return send(
                descriptor,
                Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + [UInt8](repeating: 0x78, count: body))
        case .hang:
            var byte: UInt8 = 0
            // Until the other side or `stop` ends it.
            while recv(descriptor, &byte, 1, 0) > 0 {}
            return false
        case .reset:
            var linger = linger(l_onoff: 1, l_linger: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
            return false
        case .garbage:
            _ = send(descriptor, Array("\u{1}\u{2}nothing like HTTP\r\n\r\n".utf8))
            return false
        case .slow:
            for byte in "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".utf8 {
                guard send(descriptor, [byte]) else { return false }
                usleep(500)
            }
            return true
        }
    }

    private func send(_ descriptor: Int32, _ bytes: [UInt8]) -> Bool {
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress! + offset, bytes.count - offset, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            offset += count
        }
        return true
    }
}
