import Broker
import Buffers
import Cluster
import MQTTCodec
import Testing

/// What another node sends that is not what it should be.
@Suite struct NodeWireTests {
    @Test func `batches that are cut off or changed are dropped or read, and the node goes on`() throws {
        try withCluster(1) { cluster in
            let forger = cluster.network.makeMesh("forger@127.0.0.1")
            let recorder = Recorder()
            forger.own(.state, recorder)
            forger.own(.messages, recorder)
            let subscriber = try cluster.client(0, "subscriber")
            subscriber.subscribe("t/#", qos: .atLeastOnce)
            try pump([subscriber], "it is in") { subscriber.subacks == 1 }
            cluster.network.connect(cluster.meshes[0], forger)
            cluster.meshes[0].settle()
            forger.settle()
            var random = SystemRandomNumberGenerator()
            let good = message(topic: "t/1", payload: "good")
            for length in 0..<good.count { _ = post(Array(good[..<length]), forger, .messages) }
            for lane in [MeshLane.messages, .state] {
                for kind in 0...9 as ClosedRange<UInt8> {
                    for _ in 0..<300 {
                        let count = Int.random(in: 0..<120, using: &random)
                        let bytes = [kind] + (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &random) }
                        _ = post(bytes, forger, lane)
                    }
                }
            }
            for _ in 0..<5000 {
                var bytes = good
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: .min ... .max, using: &random)
                _ = post(bytes, forger, .messages)
            }
            _ = post(message(topic: "t/2", payload: "last"), forger, .messages)
            try pump([subscriber], "what is good comes") { subscriber.state.messages.contains { $0.payload == "last" } }
        }
    }

    private func post(_ bytes: [UInt8], _ mesh: LocalMesh, _ lane: MeshLane) -> UInt64 {
        let buffer = OutputBuffer(capacity: max(16, bytes.count))
        buffer.append(bytes)
        return mesh.post(buffer, to: 0, lane: lane)
    }

    /// A batch with one QoS 1 message, written by hand: the bytes are the protocol.
    private func message(topic: String, payload: String) -> [UInt8] {
        func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
            withUnsafeBytes(of: value.littleEndian) { Array($0) }
        }
        var body: [UInt8] = [1, 0] + little(UInt16(topic.utf8.count)) + little(UInt32(0)) + little(UInt16(0))
        body += little(UInt16(0)) + little(Int64(0)) + little(UInt64(1)) + little(UInt64(2))
        body += Array(topic.utf8) + Array(payload.utf8)
        return [1, 0] + little(Int64(0)) + little(UInt32(body.count)) + body
    }

    private final class Recorder: MeshLaneOwner {
        func up(_ peer: MeshPeer) {}
        func received(_ bytes: Bytes, from peer: MeshPeer) {}
        func acknowledged(upTo number: UInt64, by peer: MeshPeer) {}
        func down(_ peer: MeshPeer) {}
    }
}
