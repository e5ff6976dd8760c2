import Cluster
import ConfigSchema
import Foundation
import Logging
import Management

/// `sluice ctl cluster recover`: works on the files of a node that does not run.
struct Recovery {
    private let configuration: BrokerConfiguration
    private let json: Bool

    init(_ configuration: BrokerConfiguration, json: Bool) {
        self.configuration = configuration
        self.json = json
    }

    /// - Parameter keep: names of the survivors, with commas between them; nil shows what the log knows.
    func run(_ inspects: Bool, _ keep: String?) throws(AdminError) {
        guard inspects != (keep != nil) else {
            throw .usage("usage: sluice ctl cluster recover --keep <Node>[,<Node>…] | --inspect")
        }
        // Held until the end: the node must not run meanwhile.
        let directory: DataDirectory
        do { directory = try DataDirectory(configuration.node.dataDirectory) } catch { throw .conflict("\(error)") }
        defer { withExtendedLifetime(directory) {} }
        let name = configuration.node.name
        let storage = RaftStorage(
            dataDirectory: configuration.node.dataDirectory, logger: Logger(label: "sluice"))
        do throws(ClusterStorageError) {
            if let keep {
                let kept = keep.split(separator: ",").map(String.init)
                let epoch = try storage.recover(name: name, keeping: kept)
                show(
                    "\(kept.joined(separator: ", ")) are the cluster's cores now, in epoch \(epoch).\n"
                        + "Next: start them; the others may only come back with sluice ctl cluster join --discard.\n",
                    .object(["kept": .array(kept.map { .string($0) }), "epoch": .integer(Int(epoch))]))
            } else {
                let found = try storage.inspect(name: name)
                let cores = found.members.map(\.name)
                show(
                    "\(name): term \(found.term), index \(found.index), epoch \(found.identity.epoch); cores "
                        + "\(cores.joined(separator: ", "))\n"
                        + "Next: of several survivors, recover the one with the highest term, then index.\n",
                    .object([
                        "node": .string(name), "term": .integer(Int(found.term)), "index": .integer(Int(found.index)),
                        "epoch": .integer(Int(found.identity.epoch)), "cores": .array(cores.map { .string($0) }),
                    ]))
            }
        } catch { throw .failed("\(error)") }
    }

    private func show(_ text: String, _ data: JSONValue) {
        if json {
            FileHandle.standardOutput.write(data.encoded(pretty: true) + Data("\n".utf8))
        } else {
            print(text, terminator: "")
        }
    }
}
