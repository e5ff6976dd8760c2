import Buffers
import Testing
import Topics

private func bytes<R>(_ text: String, _ body: (Bytes) -> R) -> R {
    var text = text
    return text.withUTF8 { body(Bytes($0)) }
}

private struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ (state >> 29)
    }
}

struct TopicIndexTests {
    private func matches(_ index: TopicIndex<Int>, _ topic: String) -> [Int] {
        var found: [Int] = []
        bytes(topic) { index.match($0) { found.append($0) } }
        return found.sorted()
    }

    @Test(arguments: [
        ("a/b", ["a/b", "a/+", "+/b", "+/+", "a/#", "#", "a/b/#"]),
        ("a", ["a", "+", "#", "a/#"]),
        ("a/", ["a/", "a/+", "a/#", "+/+", "#"]),
        ("$SYS/x", ["$SYS/x", "$SYS/+", "$SYS/#"]),
        ("/", ["/", "+/+", "+/", "/+", "#", "/#"]),
    ])
    func `a topic finds exactly the filters that match it [MQTT-4.7]`(topic: String, filters: [String]) {
        let all = [
            "a/b", "a/+", "+/b", "+/+", "a/#", "#", "a/b/#", "a", "+", "a/", "$SYS/x", "$SYS/+", "$SYS/#", "/", "+/",
            "/+",
            "/#", "b", "a/b/c", "+/x",
        ]
        var index = TopicIndex<Int>()
        for (number, filter) in all.enumerated() { bytes(filter) { index.insert(number, filter: $0) } }
        let expected = all.enumerated().filter { _, filter in
            bytes(filter) { filter in bytes(topic) { TopicSyntax.matches(filter: filter, topic: $0) } }
        }
        #expect(matches(index, topic) == expected.map(\.offset))
        for filter in filters { #expect(matches(index, topic).contains(all.firstIndex(of: filter) ?? -1), "\(filter)") }
    }

    @Test func `inserting and removing at random agrees with matching every filter by itself`() {
        let seed = UInt64.random(in: .min ... .max)
        var random = Generator(state: seed)
        let levels = ["a", "b", "c", "", "+", "device", "$x", "长"]
        var index = TopicIndex<Int>()
        var filters: [Int: String] = [:]
        for step in 0..<6000 {
            if Int.random(in: 0..<3, using: &random) > 0 || filters.isEmpty {
                var parts = (0..<Int.random(in: 1...4, using: &random)).compactMap { _ in
                    levels.randomElement(using: &random)
                }
                if Int.random(in: 0..<4, using: &random) == 0 { parts.append("#") }
                let filter = parts.joined(separator: "/")
                guard bytes(filter, { TopicSyntax.isFilter($0) }) else { continue }
                filters[step] = filter
                bytes(filter) { index.insert(step, filter: $0) }
            } else if let (number, filter) = filters.randomElement(using: &random) {
                filters[number] = nil
                #expect(bytes(filter) { index.remove(filter: $0) { $0 == number } } == 1, "seed \(seed)")
            }
            guard step % 20 == 0 else { continue }
            let topic = (0..<Int.random(in: 1...5, using: &random))
                .compactMap { _ in levels.filter { $0 != "+" }.randomElement(using: &random) }.joined(separator: "/")
            let expected = filters.filter { _, filter in
                bytes(filter) { filter in bytes(topic) { TopicSyntax.matches(filter: filter, topic: $0) } }
            }
            #expect(matches(index, topic) == expected.keys.sorted(), "seed \(seed), topic \(topic)")
            #expect(index.count == filters.count, "seed \(seed)")
        }
    }

    @Test(arguments: [
        ("$share/g/a/b", "g", "a/b"), ("$queue/t/#", "$queue", "t/#"), ("$share/g/+", "g", "+"),
    ])
    func `a shared subscription is taken apart into group and filter [MQTT-4.8.2-1]`(
        text: String, group: String, filter: String
    ) {
        #expect(SharedFilter(text)?.group == group)
        #expect(SharedFilter(text)?.filter == filter)
    }

    @Test func `an ordinary filter is no shared subscription`() {
        #expect(SharedFilter("a/$share/g/b") == nil)
        #expect(SharedFilter("$shared/g/b") == nil)
    }
}
