import Buffers
import Testing
import Topics

private func bytes<T>(_ text: String, _ body: (Bytes) -> T) -> T { Array(text.utf8).withUnsafeBytes(body) }

private func matches(_ filter: String, _ topic: String) -> Bool {
    bytes(filter) { filter in bytes(topic) { TopicSyntax.matches(filter: filter, topic: $0) } }
}

/// The specification's words, level by level.
private func matchesNaively(_ filter: String, _ topic: String) -> Bool {
    let filters = filter.split(separator: "/", omittingEmptySubsequences: false)
    let topics = topic.split(separator: "/", omittingEmptySubsequences: false)
    if topic.hasPrefix("$"), filters[0] == "+" || filters[0] == "#" { return false }
    for (index, level) in filters.enumerated() {
        if level == "#" { return topics.count >= index }
        guard index < topics.count, level == "+" || level == topics[index] else { return false }
    }
    return filters.count == topics.count
}

@Suite struct TopicSyntaxTests {
    @Test(arguments: [
        ("s/t/p1/#", "s/t/p1", true), ("s/t/p1/#", "s/t/p1/r", true), ("s/t/p1/#", "s/t/p1/s/w", true),
        ("s/t/p1/#", "s/t/p10", false), ("s/#", "s", true), ("s/#", "s/", true), ("s/#", "sx/y", false),
        ("#", "a", true), ("#", "/", true), ("#", "a/b/c", true), ("+", "a", true), ("+", "/a", false),
        ("s/t/+", "s/t/p1", true), ("s/t/+", "s/t/p1/r", false), ("s/+", "s", false), ("s/+", "s/", true),
        ("s/+/p", "s/t/p", true), ("s/+/p", "s//p", true), ("s/+/p", "s/t/u/p", false), ("+/t/#", "s/t/p1", true),
        ("+/+", "/f", true), ("/+", "/f", true), ("+", "/f", false), ("+/+", "f", false), ("s/", "s", false),
        ("s", "s/", false), ("S", "s", false), ("s t", "s t", true), ("//", "//", true), ("/+/", "//", true),
        ("/+/", "///", false), ("a//b", "a/b", false), ("+/#", "x", true), ("+/+/#", "a", false),
        ("é", "e\u{301}", false), ("a/\u{FEFF}b", "a/b", false), ("a/*", "a/b", false), ("+/b/+/d", "a/b/c/d", true),
        ("+/b/+/d", "a/b/c/e", false), ("a", "ab", false), ("ab", "a", false),
    ])
    func `a filter matches level by level [MQTT-4.7.1-2]`(
        _ filter: String, _ topic: String, _ want: Bool
    ) {
        #expect(matches(filter, topic) == want)
    }

    @Test(arguments: [
        ("#", "$SYS/x", false), ("+/x", "$SYS/x", false), ("+/#", "$SYS/x", false), ("$SYS/#", "$SYS/x", true),
        ("$SYS/+", "$SYS/x", true), ("$SYS/x", "$SYS/x", true), ("a/+", "a/$x", true), ("a/$x", "a/$x", true),
        ("#", "$", false), ("$", "$", true),
    ])
    func `a leading wildcard leaves out topics with a dollar [MQTT-4.7.2-1]`(
        _ filter: String, _ topic: String, _ want: Bool
    ) {
        #expect(matches(filter, topic) == want)
    }

    @Test(arguments: ["a", "/", "//", "+", "#", "a/+/b", "+/+", "/+", "+/", "a/#", "/#", "$share", "a b", "é/+", "+/#"])
    func `a valid filter`(_ filter: String) {
        #expect(bytes(filter) { TopicSyntax.isFilter($0) })
    }

    @Test(arguments: [
        "", "#/", "#/a", "a#", "#a", "a/#/b", "a/b#", "##", "a+", "+a", "a/+b", "++", "a/b+/c", "a\0", "\0", "+#",
    ])
    func `an invalid filter [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-1] [MQTT-4.7.3-2]`(_ filter: String) {
        #expect(!bytes(filter) { TopicSyntax.isFilter($0) })
    }

    @Test func `a name has a character and no wildcard [MQTT-4.7.0-1] [MQTT-4.7.3-1]`() {
        for name in ["a", "/", "a//b", "$SYS/x", "é"] { #expect(bytes(name) { TopicSyntax.isName($0) }) }
        for name in ["", "+", "a/#", "a+b", "a\0b"] { #expect(!bytes(name) { TopicSyntax.isName($0) }) }
    }

    @Test func `at most 65,535 bytes [MQTT-4.7.3-3]`() {
        let longest = String(repeating: "a", count: 65_535)
        #expect(bytes(longest) { TopicSyntax.isName($0) && TopicSyntax.isFilter($0) })
        #expect(!bytes(longest + "a") { TopicSyntax.isName($0) || TopicSyntax.isFilter($0) })
    }

    @Test func `levels and wildcards are counted`() {
        for (filter, levels, wildcard) in [("a", 1, false), ("/", 2, false), ("a/+/#", 3, true), ("#", 1, true)] {
            #expect(bytes(filter) { TopicSyntax.levels($0) } == levels)
            #expect(bytes(filter) { TopicSyntax.hasWildcard($0) } == wildcard)
        }
    }

    @Test func `every short filter matches every short topic as the specification says`() {
        let filters = words(from: ["a", "$", "/", "+", "#"], upTo: 5).filter { bytes($0) { TopicSyntax.isFilter($0) } }
        let topics = words(from: ["a", "$", "/"], upTo: 5)
        var matched = 0
        for filter in filters {
            for topic in topics {
                let got = matches(filter, topic)
                if got { matched += 1 }
                if got != matchesNaively(filter, topic) { Issue.record("\(filter) with \(topic): \(got)") }
            }
        }
        #expect(matched > topics.count)
    }

    @Test func `every short text is judged as a filter as the specification says`() {
        for filter in words(from: ["a", "/", "+", "#"], upTo: 6) {
            let levels = filter.split(separator: "/", omittingEmptySubsequences: false)
            let want = levels.enumerated().allSatisfy { index, level in
                level == "+" || level == "#" && index == levels.count - 1 || !level.contains { $0 == "+" || $0 == "#" }
            }
            if bytes(filter, { TopicSyntax.isFilter($0) }) != want { Issue.record("\(filter)") }
        }
    }

    /// All words of one to that many letters.
    private func words(from letters: [String], upTo length: Int) -> [String] {
        var last = [""]
        var all: [String] = []
        for _ in 0..<length {
            last = last.flatMap { word in letters.map { word + $0 } }
            all += last
        }
        return all
    }
}
