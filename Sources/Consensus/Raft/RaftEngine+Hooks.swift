import CRaft
import Glibc

extension RaftEngine {
    /// What the C side calls; the context is the engine, which each of these finds again by itself, as they cannot capture.
    static var hooks: craft_hooks {
        var hooks = craft_hooks()
        hooks.woken = { RaftEngine.of($0).drain() }
        hooks.turn = { RaftEngine.of($0).turn(changed: $1) }
        hooks.finished = { RaftEngine.of($0).finished($1, $2) }
        hooks.apply = { context, index, base, length in
            RaftEngine.of(context).apply(index: index, entry: UnsafeRawBufferPointer(start: base, count: length))
                ? 0 : 1
        }
        hooks.snapshot = { context, index, chunks in
            guard let chunks else { return 1 }
            return RaftEngine.of(context).encodeSnapshot(index: index, into: chunks) ? 0 : 1
        }
        hooks.restore = { context, index, base, length in
            RaftEngine.of(context).restore(index: index, UnsafeRawBufferPointer(start: base, count: length)) ? 0 : 1
        }
        hooks.dial = { context, token, id, name in
            guard let name else { return }
            RaftEngine.of(context).dial(token, id, String(cString: name))
        }
        return hooks
    }

    private static func of(_ context: UnsafeMutableRawPointer?) -> RaftEngine {
        guard let context else {
            preconditionFailure("The engine's hooks are called with the engine as their context.")
        }
        return Unmanaged<RaftEngine>.fromOpaque(context).takeUnretainedValue()
    }

    private func dial(_ token: UInt64, _ id: UInt64, _ name: String) {
        dial(id, name) { [inbox] descriptor in
            let descriptor = descriptor ?? -1
            if !inbox.add(.dialed(token: token, descriptor: descriptor)), descriptor >= 0 { close(descriptor) }
        }
    }
}

/// Room for a sentence from the C side.
struct CErrorText {
    private var bytes = [CChar](repeating: 0, count: CRAFT_ERROR_SIZE)

    mutating func use<R>(_ body: (UnsafeMutablePointer<CChar>?) -> R) -> R {
        bytes.withUnsafeMutableBufferPointer { body($0.baseAddress) }
    }

    var text: String { String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self) }
}

extension craft_member {
    init(_ member: ConsensusMember) {
        self.init()
        id = member.id
        role = Int32(member.role.rawValue)
        withUnsafeMutableBytes(of: &name) { $0.copyBytes(from: member.name.utf8.prefix($0.count - 1)) }
    }
}

extension ConsensusMember {
    init(_ member: craft_member) {
        let name = withUnsafeBytes(of: member.name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        self.init(id: member.id, name: name, role: Role(rawValue: UInt8(truncatingIfNeeded: member.role)) ?? .spare)
    }
}
