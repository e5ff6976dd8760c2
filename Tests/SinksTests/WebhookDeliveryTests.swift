import Foundation
import RuleEngine
import Sinks
import Synchronization
import Testing

@Suite struct WebhookDeliveryTests {
    @Test func `a row is posted as JSON with its delivery id`() async throws {
        let receiver = try HTTPReceiver()
        defer { receiver.stop() }
        var settings = WebhookSettings(url: receiver.url + "/base/")
        settings.path = "mqtt/flow"
        let rig = try SinkRig(.webhook("w", settings))
        try rig.send("c1", 7)
        await rig.settle()
        let request = try #require(receiver.requests.first)
        #expect(request.method == "POST")
        #expect(request.target == "/base/mqtt/flow")
        #expect(request.text == #"{"c":"c1","n":7}"#)
        #expect(request.header("content-type") == "application/json")
        #expect(request.header("idempotency-key")?.count == 32)
        #expect(request.header("webhook-id") == request.header("idempotency-key"))
        #expect(request.header("expect") == nil)
        #expect(rig.worker.status().state == .connected)
        #expect(rig.counters.success == 1)
        rig.drain()
    }

    @Test(arguments: [
        ("503 now and then", 0), ("503 with Retry-After: 0", 1), ("resets", 2), ("garbage", 3), ("429", 4),
        ("slow answers", 5),
        ("hangs", 6),
    ])
    func `nothing is lost and each client's order is kept through faults`(fault: (name: String, kind: Int)) async throws
    {
        let delivered = Mutex<[Mark]>([])
        let receiver = try HTTPReceiver { request, number in
            let fails = number % 7 == 3
            if fails {
                switch fault.kind {
                case 0: return .status(503)
                case 1: return .status(503, headers: ["Retry-After: 0"])
                case 2: return .reset
                case 3: return .garbage
                case 4: return .status(429)
                case 6: return .hang
                default: break
                }
            }
            if let marks = try? Mark.all(in: request.body) { delivered.withLock { $0 += marks } }
            return fault.kind == 5 && fails ? .slow : .status(200)
        }
        defer { receiver.stop() }
        var settings = WebhookSettings(url: receiver.url)
        settings.totalTimeout = .milliseconds(150)
        let rig = try SinkRig(.webhook("w", settings, worker: .quick))
        for number in 0..<60 { for client in 0..<6 { try rig.send("c\(client)", number) } }
        await eventually(15, "all to be delivered: \(rig.counters)") {
            #expect(rig.counters.addsUp)
            return rig.counters.success == 360
        }
        for client in 0..<6 {
            let numbers = delivered.withLock { $0.filter { $0.c == "c\(client)" }.map(\.n) }
            #expect(numbers == Array(0..<60))
        }
        if fault.kind != 5 { #expect(rig.counters.retried > 0) }
        #expect(rig.drain() == 0)
    }

    @Test func `a receiver that is down gets everything when it is up, with the id that was tried before`() async throws
    {
        let first = try HTTPReceiver { _, _ in .status(503) }
        let rig = try SinkRig(.webhook("w", WebhookSettings(url: first.url), worker: .quick))
        for number in 0..<200 { try rig.send("c\(number % 10)", number) }
        await eventually(60, "the sink to see that its receiver is down") {
            if case .disconnected(let reason) = rig.worker.status().state {
                return reason.contains("503")
            } else {
                return false
            }
        }
        let tried = Set(first.requests.compactMap { $0.header("idempotency-key") })
        first.stop()
        await eventually(60, "the connection to be refused") {
            rig.worker.status().lastError?.contains("connect") == true
        }
        #expect(rig.counters.success == 0)
        #expect(rig.counters.addsUp)
        let second = try HTTPReceiver(port: first.port)
        defer { second.stop() }
        await rig.settle()
        #expect(rig.counters.success == 200)
        let arrived = second.requests.compactMap { $0.header("idempotency-key") }
        #expect(Set(arrived).count == 200)
        #expect(tried.isSubset(of: Set(arrived)))
        #expect(rig.worker.status().state == .connected)
        rig.drain()
    }

    @Test func `without a fault nothing is sent twice, and each delivery has an id of its own`() async throws {
        let receiver = try HTTPReceiver()
        defer { receiver.stop() }
        let rig = try SinkRig(.webhook("w", WebhookSettings(url: receiver.url)))
        for number in 0..<500 { try rig.send("c\(number % 50)", number) }
        await rig.settle()
        let marks = try receiver.requests.flatMap { try Mark.all(in: $0.body) }
        #expect(marks.count == 500)
        #expect(Set(marks).count == 500)
        #expect(Set(receiver.requests.compactMap { $0.header("webhook-id") }).count == 500)
        #expect(receiver.connections <= 8)
        #expect(receiver.mostActive > 1)
        rig.drain()
    }

    @Test func `at most one request of a client is under way`() async throws {
        let receiver = try HTTPReceiver { _, _ in .slow }
        defer { receiver.stop() }
        let rig = try SinkRig(.webhook("w", WebhookSettings(url: receiver.url)))
        for number in 0..<10 { try rig.send("c1", number) }
        await rig.settle()
        #expect(receiver.mostActive == 1)
        #expect(try receiver.requests.map { try Mark.all(in: $0.body)[0].n } == Array(0..<10))
        rig.drain()
    }

    @Test(arguments: [BatchSettings.Format.jsonArray, .ndjson])
    func `batches carry many records in order`(format: BatchSettings.Format) async throws {
        let receiver = try HTTPReceiver { _, number in number == 1 ? .status(503) : .status(200) }
        defer { receiver.stop() }
        var worker = WorkerSettings.quick
        worker.batch.maxMessages = 100
        worker.batch.maxWait = .milliseconds(20)
        worker.batch.format = format
        let rig = try SinkRig(.webhook("w", WebhookSettings(url: receiver.url), worker: worker))
        for number in 0..<1000 { try rig.send("c\(number % 3)", number) }
        await rig.settle()
        #expect(rig.counters.success == 1000)
        let requests = receiver.requests
        #expect(requests.count <= 60)
        // The batch that failed came again as it was.
        let failed = requests[1]
        #expect(
            requests.filter { $0.header("webhook-id") == failed.header("webhook-id") }.map(\.text) == [
                failed.text, failed.text,
            ])
        let accepted = requests.enumerated().filter { $0.offset != 1 }.map(\.element)
        let marks = try accepted.flatMap { try Mark.all(in: $0.body) }
        #expect(marks.count == 1000)
        for client in 0..<3 {
            let numbers = marks.filter { $0.c == "c\(client)" }.map(\.n)
            #expect(numbers == numbers.sorted())
        }
        rig.drain()
    }

    @Test func `Retry-After is respected and capped`() async throws {
        let times = Mutex<[ContinuousClock.Instant]>([])
        let receiver = try HTTPReceiver { _, number in
            times.withLock { $0.append(.now) }
            return number == 0 ? .status(503, headers: ["Retry-After: 3600"]) : .status(200)
        }
        defer { receiver.stop() }
        var worker = WorkerSettings.quick
        worker.retry.maxRetryAfter = .milliseconds(300)
        let rig = try SinkRig(.webhook("w", WebhookSettings(url: receiver.url), worker: worker))
        try rig.send("c1", 1)
        await rig.settle()
        let pause = times.withLock { $0[0].duration(to: $0[1]) }
        #expect(pause >= .milliseconds(295))
        rig.drain()
    }

    @Test(arguments: [
        (400, false), (404, false), (301, false), (410, false), (408, true), (425, true), (500, true), (503, true),
    ])
    func `a status is final or tried again`(status: Int, isRetried: Bool) async throws {
        let receiver = try HTTPReceiver { _, number in .status(number == 0 ? status : 200) }
        defer { receiver.stop() }
        let rig = try SinkRig(.webhook("w", WebhookSettings(url: receiver.url), worker: .quick))
        try rig.send("c1", 1)
        await rig.settle()
        #expect(rig.counters.success == (isRetried ? 1 : 0))
        #expect(rig.counters.failed == (isRetried ? 0 : 1))
        #expect(rig.counters.retriedSuccess == (isRetried ? 1 : 0))
        if !isRetried { #expect(rig.worker.status().lastError == "HTTP status \(status)") }
        rig.drain()
    }

    @Test func `refused credentials hold everything back and lose nothing`() async throws {
        let receiver = try HTTPReceiver { request, number in
            request.header("authorization") == "Bearer s3cret-canary" && number > 2 ? .status(200) : .status(401)
        }
        defer { receiver.stop() }
        var settings = WebhookSettings(url: receiver.url)
        settings.authentication = .bearer(.init("s3cret-canary"))
        let rig = try SinkRig(.webhook("w", settings, worker: .quick))
        for number in 0..<20 { try rig.send("c1", number) }
        await rig.settle()
        #expect(rig.counters.success == 20)
        #expect(receiver.requests.count == 23)
        #expect(!"\(rig.worker.status())".contains("canary"))
        #expect(!"\(settings)".contains("canary"))
        rig.drain()
    }

    @Test func `basic credentials are sent`() async throws {
        let receiver = try HTTPReceiver()
        defer { receiver.stop() }
        var settings = WebhookSettings(url: receiver.url)
        settings.authentication = .basic(username: "u", password: .init("p"))
        let rig = try SinkRig(.webhook("w", settings))
        try rig.send("c1", 1)
        await rig.settle()
        #expect(receiver.requests.first?.header("authorization") == "Basic dTpw")
        rig.drain()
    }

    @Test func `an answer that never ends is cut and counts by its status`() async throws {
        let receiver = try HTTPReceiver { _, _ in .status(200, body: 8 << 20) }
        defer { receiver.stop() }
        let rig = try SinkRig(.webhook("w", WebhookSettings(url: receiver.url)))
        for number in 0..<3 { try rig.send("c1", number) }
        await rig.settle()
        #expect(rig.counters.success == 3)
        #expect(receiver.requests.count == 3)
        rig.drain()
    }

    @Test func `attempts are limited where that is asked for`() async throws {
        let receiver = try HTTPReceiver { _, _ in .status(500) }
        defer { receiver.stop() }
        var worker = WorkerSettings.quick
        worker.retry.maxAttempts = 3
        let rig = try SinkRig(.webhook("w", WebhookSettings(url: receiver.url), worker: worker))
        for number in 0..<5 { try rig.send("c\(number)", number) }
        await rig.settle()
        #expect(rig.counters.failed == 5)
        #expect(rig.counters.retriedFailed == 5)
        #expect(receiver.requests.count == 15)
        rig.drain()
    }

    @Test func `one hanging receiver does not hold up another`() async throws {
        let hanging = try HTTPReceiver { _, _ in .hang }
        let healthy = try HTTPReceiver()
        defer {
            hanging.stop()
            healthy.stop()
        }
        let first = try SinkRig(.webhook("bad", WebhookSettings(url: hanging.url)))
        for number in 0..<50 { try first.send("c\(number)", number) }
        await eventually(60, "requests to hang") { hanging.mostActive == 8 }
        let second = try SinkRig(.webhook("good", WebhookSettings(url: healthy.url)), runtime: first.runtime)
        for number in 0..<200 { try second.send("c\(number)", number) }
        await second.settle(3)
        #expect(second.counters.success == 200)
        #expect(first.counters.addsUp)
        #expect(first.counters.inflight == 8)
        let start = ContinuousClock.now
        #expect(first.drain(0.2) == 50)
        #expect(start.duration(to: .now) < .seconds(2))
        #expect(first.counters.droppedStopped == 50)
        #expect(first.counters.addsUp)
        #expect(second.drain() == 0)
    }
}
