import Broker
import Testing

@Suite struct TokenBucketTests {
    /// 10 in a second.
    private let rate = TokenBucket.Rate(burst: 10, perMillisecond: 0.01)

    /// Whether the bucket gives exactly so many.
    private func takes(_ count: Int, _ bucket: inout TokenBucket, now: Int64) -> Bool {
        let left = (0..<count).map { _ in bucket.take(1, now: now) }
        return left.dropLast().allSatisfy { $0 } && left.last == false
    }

    private func wait(_ bucket: TokenBucket, now: Int64) -> Int64 {
        var copy = bucket
        return copy.wait(now: now)
    }

    @Test func `a full bucket gives its burst at once, then one token at a time`() {
        var bucket = TokenBucket(rate, now: 1000)
        #expect(takes(10, &bucket, now: 1000))
        #expect(wait(bucket, now: 1000) == 100)
        // Rounded up, of a fraction.
        #expect((1...2).contains(wait(bucket, now: 1099)))
        #expect(wait(bucket, now: 1100) == 0)
        bucket.take(1, now: 1100)
        #expect(wait(bucket, now: 1100) == 100)
    }

    @Test func `what was taken beyond the tokens is waited for`() {
        var bucket = TokenBucket(rate, now: 0)
        bucket.take(30, now: 0)
        // Back from -20 to 1.
        #expect(wait(bucket, now: 0) == 2100)
        #expect(wait(bucket, now: 2100) == 0)
    }

    @Test func `a pause gives no more than a burst`() {
        var bucket = TokenBucket(rate, now: 0)
        bucket.take(10, now: 0)
        #expect(takes(10, &bucket, now: 3_600_000))
    }

    @Test func `a clock that stands still or goes back gives nothing`() {
        var bucket = TokenBucket(rate, now: 5000)
        bucket.take(10, now: 5000)
        #expect(wait(bucket, now: 4000) == 100)
        #expect(wait(bucket, now: 5000) == 100)
    }

    /// Over a long time the rate holds, however the takes fall.
    @Test func `the rate holds over any pattern of takes`() {
        var random = RandomNumbers(seed: 3)
        for _ in 0..<50 {
            var bucket = TokenBucket(rate, now: 0)
            var now: Int64 = 0
            var taken = 0
            while now < 100_000 {
                now += Int64.random(in: 0...300, using: &random)
                while bucket.wait(now: now) == 0 {
                    bucket.take(1, now: now)
                    taken += 1
                }
            }
            #expect((990...1020).contains(taken), "\(taken) in \(now) ms")
        }
    }
}
