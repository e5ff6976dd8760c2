import Buffers
import Testing
import Topics

@Suite struct DelayedTopicTests {
    struct Case: Sendable {
        let topic: String
        let expected: String

        init(_ topic: String, _ expected: String) {
            self.topic = topic
            self.expected = expected
        }
    }

    private static let now: Int64 = 1_700_000_000_000

    @Test(arguments: [
        Case("t", "none"), Case("$delayed", "none"), Case("$delayedx/1/t", "none"), Case("$SYS/a", "none"),
        Case("$delayed/15/a/b", "a/b +15000"), Case("$delayed/0/t", "t +0"), Case("$delayed/007//t", "/t +7000"),
        Case("$delayed/4294967/t", "t +4294967000"),
        // A larger number is a time.
        Case("$delayed/1700000060/t", "t +60000"), Case("$delayed/1699999999/t", "t +-1000"),
        Case("$delayed/1704294967/t", "t +4294967000"), Case("$delayed/1704294968/t", "malformed"),
        Case("$delayed/999999999999/t", "malformed"), Case("$delayed/18446744073709551616/t", "malformed"),
        Case("$delayed/", "malformed"), Case("$delayed/5", "malformed"), Case("$delayed/5/", "malformed"),
        Case("$delayed//t", "malformed"), Case("$delayed/x/t", "malformed"), Case("$delayed/-5/t", "malformed"),
        Case("$delayed/5s/t", "malformed"), Case("$delayed/2/$delayed/3/t", "$delayed/3/t +2000"),
    ])
    func `a delay and a topic are told apart`(_ test: Case) {
        let bytes = Array(test.topic.utf8)
        let found = bytes.withUnsafeBytes { bytes in
            switch DelayedTopic(bytes, now: Self.now) {
            case .none: "none"
            case .malformed: "malformed"
            case .delayed(let topic, let dueAt): "\(String(decoding: topic, as: UTF8.self)) +\(dueAt - Self.now)"
            }
        }
        #expect(found == test.expected)
    }

    @Test func `an exclusive filter is what stands behind its prefix`() {
        #expect(ExclusiveFilter.inner("$exclusive/a/+") == "a/+")
        #expect(ExclusiveFilter.inner("$exclusive/") == "")
        #expect(ExclusiveFilter.inner("$exclusive") == nil)
        #expect(ExclusiveFilter.inner("a/$exclusive/b") == nil)
    }
}
