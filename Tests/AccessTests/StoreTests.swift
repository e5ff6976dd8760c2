import Access
import Foundation
import Testing

/// A folder that goes with the test.
private final class Folder {
    let path = NSTemporaryDirectory() + "access-\(UUID().uuidString)"
    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: path) }
    func mode(_ name: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path + "/" + name)[.posixPermissions] as? Int
    }
}

struct StoreTests {
    @Test func `users are kept in a file that is its owner's alone [CVE-2017-9868]`() throws {
        let folder = try Folder()
        let store = try UserStore(path: folder.path + "/users.json")
        let hash = try #require(PasswordAlgorithm.pbkdf2(.sha256, rounds: 10, length: nil).hash(Array("canary".utf8)))
        try store.apply([.add("ann", UserRecord(hash: hash, isSuperuser: true)), .add("bob", UserRecord(hash: hash))])
        #expect(try folder.mode("users.json") == 0o600)
        let again = try UserStore(path: folder.path + "/users.json")
        #expect(again.find("ann") == UserRecord(hash: hash, isSuperuser: true))
        #expect(again.list.map(\.id) == ["ann", "bob"])
        #expect(try !String(contentsOfFile: folder.path + "/users.json", encoding: .utf8).contains("canary"))
    }

    @Test func `a change that is refused in part changes nothing`() throws {
        let store = try UserStore(path: nil)
        let user = UserRecord(hash: .plain([1]))
        try store.apply([.add("ann", user)])
        #expect(throws: AccessFailure.self) { try store.apply([.remove("ann"), .remove("nobody")]) }
        #expect(throws: AccessFailure.self) { try store.apply([.add("bob", user), .add("ann", user)]) }
        #expect(store.list.map(\.id) == ["ann"])
        #expect(try store.apply([.add("bob", user), .add("ann", user)], skipsKnown: true) == 1)
    }

    @Test(arguments: ["", "{}", "[", #"{"users":[{}]}"#, #"{"users":[{"user_id":"a","password":"x"}]}"#])
    func `a damaged file stops the start`(text: String) throws {
        let folder = try Folder()
        for name in ["users.json", "acl.json", "banned.json"] {
            try Data(text.utf8).write(to: URL(fileURLWithPath: folder.path + "/" + name))
        }
        #expect(throws: AccessFailure.self) { try UserStore(path: folder.path + "/users.json") }
        #expect(throws: AccessFailure.self) { try BuiltInRules(path: folder.path + "/acl.json") }
        #expect(throws: AccessFailure.self) { try BanTable(path: folder.path + "/banned.json") }
    }

    @Test(arguments: [
        (Ban.Kind.clientID, "c1", true), (.clientID, "c", false), (.username, "ann", true), (.username, "c1", false),
        (.peerHost, "10.1.2.3", true), (.peerHost, "10.1.2.4", false), (.clientIDPattern, "^c", true),
        (.clientIDPattern, "^ann", false), (.usernamePattern, "nn$", true), (.network, "10.0.0.0/8", true),
        (.network, "10.2.0.0/16", false),
    ])
    func `a ban keeps out whom it names, until it ends`(kind: Ban.Kind, who: String, holds: Bool) throws {
        let folder = try Folder()
        let bans = try BanTable(path: folder.path + "/banned.json")
        try bans.add(Ban(kind: kind, who: who, by: "test", at: 100, until: 200))
        for table in [bans, try BanTable(path: folder.path + "/banned.json")] {
            #expect(table.isBanned(clientID: "c1", username: "ann", peerHost: "10.1.2.3", now: 199) == holds)
            #expect(!table.isBanned(clientID: "c1", username: "ann", peerHost: "10.1.2.3", now: 200))
            #expect(table.list(now: 150).count == 1 && table.list(now: 200).isEmpty)
        }
        try bans.remove(kind, who)
        #expect(!bans.isBanned(clientID: "c1", username: "ann", peerHost: "10.1.2.3", now: 150))
        #expect(throws: AccessFailure.self) { try bans.remove(kind, who) }
    }

    @Test func `who has no name is looked for by the others`() throws {
        let bans = try BanTable(path: nil)
        try bans.add(Ban(kind: .username, who: "", by: "", at: 0, until: nil).with(who: "x"))
        try bans.add(Ban(kind: .usernamePattern, who: ".*", by: "", at: 0, until: nil))
        #expect(!bans.isBanned(clientID: "c", username: nil, peerHost: "", now: 1))
        #expect(throws: AccessFailure.self) { try bans.add(Ban(kind: .clientID, who: "", by: "", at: 0, until: nil)) }
        #expect(throws: AccessFailure.self) { try bans.add(Ban(kind: .network, who: "x", by: "", at: 0, until: nil)) }
    }

    @Test func `a client that goes too often in the window is noticed once`() {
        let detector = FlappingDetector(maximum: 3, window: 1000)
        #expect([0, 10, 20, 30].map { detector.disconnected("a", now: $0) } == [false, false, true, false])
        #expect([0, 600, 1200, 1300].map { detector.disconnected("b", now: $0) } == [false, false, false, false])
        #expect(detector.disconnected("b", now: 1400))
    }
}

extension Ban {
    fileprivate func with(who: String) -> Ban {
        var ban = self
        ban.who = who
        return ban
    }
}
