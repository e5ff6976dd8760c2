import Access
import Testing

struct AuthorizationCacheTests {
    private func with<R>(_ topic: String, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        Array(topic.utf8).withUnsafeBytes { body($0) }
    }

    @Test func `a decision is known for its topic, its flags and its time`() {
        let cache = AuthorizationCache(limit: 32, timeToLive: 100)
        with("a/b") { cache.store($0, hash: 7, flags: 1, isAllowed: false, now: 0) }
        #expect(with("a/b") { cache.find($0, hash: 7, flags: 1, now: 99)?.isAllowed } == false)
        #expect(with("a/b") { cache.find($0, hash: 7, flags: 1, now: 100)?.isAllowed } == nil)
        #expect(with("a/b") { cache.find($0, hash: 7, flags: 0, now: 0)?.isAllowed } == nil)
        // The same hash of another topic.
        #expect(with("a/c") { cache.find($0, hash: 7, flags: 1, now: 0)?.isAllowed } == nil)
        with("a/b") { cache.store($0, hash: 7, flags: 1, isAllowed: true, now: 50) }
        #expect(with("a/b") { cache.find($0, hash: 7, flags: 1, now: 100)?.isAllowed } == true)
        cache.removeAll()
        #expect(with("a/b") { cache.find($0, hash: 7, flags: 1, now: 60)?.isAllowed } == nil)
    }

    @Test(arguments: [1, 2, 3, 32, 100, 1024])
    func `it never grows beyond its bound, and the last one in is there`(limit: Int) {
        let cache = AuthorizationCache(limit: limit, timeToLive: 1_000_000)
        for number in 0..<5000 {
            let hash = UInt64(number) &* 0x9E37_79B9_7F4A_7C15
            with("t/\(number)") { cache.store($0, hash: hash, flags: 0, isAllowed: number % 2 == 0, now: 1) }
            #expect(
                with("t/\(number)") { cache.find($0, hash: hash, flags: 0, now: 2)?.isAllowed } == (number % 2 == 0))
            #expect(cache.capacity <= limit)
        }
    }

    @Test func `topics whose hashes collide push each other out and are never mixed up`() {
        let cache = AuthorizationCache(limit: 32, timeToLive: 1000)
        for number in 0..<100 {
            with("t/\(number)") { cache.store($0, hash: 5, flags: 0, isAllowed: number == 99, now: 1) }
        }
        let known = (0..<100).compactMap { number in
            with("t/\(number)") { cache.find($0, hash: 5, flags: 0, now: 2)?.isAllowed }
        }
        #expect(known.filter { $0 }.count == 1 && known.count <= 4)
    }
}
