import Foundation
import Glibc

/// The other end of the admin socket, for `sluice ctl`: one request, one answer.
package enum AdminClient {
    /// - Returns: the command's text and data.
    /// - Throws: ``AdminError``, `unreachable` when no node answers at that path.
    ///
    /// - Parameter seconds: how long the answer is waited for.
    package static func run(
        path: String, command: String, arguments: [String], seconds: Int = 10
    ) throws(AdminError) -> (text: String, data: JSONValue) {
        let request = JSONValue.object([
            "command": .string(command), "arguments": .array(arguments.map { .string($0) }),
        ])
        let line = try exchange(path: path, request.encoded + Data("\n".utf8), seconds)
        let answer: JSONValue
        do { answer = try JSONValue(decoding: line) } catch {
            throw .failed("the node's answer can't be read: \(error)")
        }
        if let error = answer["error"]?.string { throw self.error(code: answer["code"]?.integer ?? 1, error) }
        return (answer["text"]?.string ?? "", answer["data"] ?? .null)
    }

    private static func error(code: Int, _ text: String) -> AdminError {
        switch code {
        case 2: .usage(text)
        case 3: .unreachable(text)
        case 4: .notFound(text)
        case 5: .conflict(text)
        default: .failed(text)
        }
    }

    private static func exchange(path: String, _ request: Data, _ seconds: Int) throws(AdminError) -> Data {
        let descriptor = try connect(path)
        var timeout = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        defer { close(descriptor) }
        var sent = 0
        while sent < request.count {
            let count = request.withUnsafeBytes {
                send(descriptor, $0.baseAddress.map { $0 + sent }, $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw .unreachable("the node closed the connection") }
            sent += count
        }
        var answer = Data()
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while answer.last != UInt8(ascii: "\n") {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { throw .unreachable("the node did not answer in \(seconds) s") }
            answer.append(contentsOf: buffer[..<count])
        }
        return answer
    }

    private static func connect(_ path: String) throws(AdminError) -> Int32 {
        let result = AdminServer.withShortPath(path) { short in
            Result { () throws(AdminError) in try connect(path, by: short) }
        }
        return try result.get()
    }

    private static func connect(_ path: String, by short: String) throws(AdminError) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard short.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw .usage("the path of the admin socket is too long: \(path)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: short.utf8) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw .failed("socket: \(String(cString: strerror(errno)))") }
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0 else {
            let reason = String(cString: strerror(errno))
            close(descriptor)
            throw .unreachable("no node answers at \(path) (\(reason)); start it with: sluice start --config FILE")
        }
        return descriptor
    }
}
