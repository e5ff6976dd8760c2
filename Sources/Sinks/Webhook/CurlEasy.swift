internal import CCurl
internal import Glibc

/// libcurl's one-time set-up.
enum Curl {
    /// CURL_GLOBAL_ALL, which is a macro that Swift does not see.
    private static let everything = 3

    /// Whether the library could be set up; done at the first look.
    static let isReady = curl_global_init(everything) == CURLE_OK

    static func text(_ code: CURLcode) -> String { String(cString: curl_easy_strerror(code)) }

    /// Whether a connection failed over certificates or the TLS handshake.
    static func isAboutTLS(_ code: CURLcode) -> Bool {
        [
            CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CERTPROBLEM,
            CURLE_SSL_ISSUER_ERROR, CURLE_SSL_CIPHER,
        ].contains(code)
    }
}

/// One reusable easy handle with what belongs to its request. libcurl's callbacks get it as their context.
///
/// Confined to the webhook loop's thread. It is retained once for libcurl by ``init(sink:)`` and released by
/// ``dispose()``, which its owner, the sink's pool, calls exactly once.
final class WebhookRequest {
    let easy: UnsafeMutableRawPointer
    unowned let sink: WebhookSink
    var batch: SinkBatch?
    /// The body of a batch of several records.
    let body: RequestBody
    /// Bytes of the answer's body so far.
    fileprivate(set) var received = 0
    /// Whether the answer's body was longer than what is read.
    fileprivate(set) var isCapped = false
    private let headers: RequestHeaders
    /// Where libcurl says in words why a request failed; CURL_ERROR_SIZE bytes.
    private let detail: UnsafeMutablePointer<CChar>

    /// The most bytes of an answer's body that are read.
    static let maximumAnswer = 64 * 1024

    init(sink: WebhookSink) throws(SinkFailure) {
        guard let easy = curl_easy_init() else { throw SinkFailure("no memory for a request") }
        self.easy = easy
        self.sink = sink
        body = RequestBody()
        headers = RequestHeaders()
        detail = .allocate(capacity: Int(CURL_ERROR_SIZE))
        detail.pointee = 0
        // Owner: libcurl's view of this handle; released in `dispose()` alone.
        let box = Unmanaged.passRetained(self).toOpaque()
        sluice_curl_set_pointer(easy, CURLOPT_PRIVATE, box)
        sluice_curl_set_pointer(easy, CURLOPT_WRITEDATA, box)
        sluice_curl_set_pointer(easy, CURLOPT_ERRORBUFFER, detail)
        sluice_curl_set_write(easy, CURLOPT_WRITEFUNCTION) { _, size, count, context in
            guard let context else { return 0 }
            let request = Unmanaged<WebhookRequest>.fromOpaque(context).takeUnretainedValue()
            request.received += size * count
            guard request.received <= WebhookRequest.maximumAnswer else {
                request.isCapped = true
                return 0
            }
            return size * count
        }
    }

    deinit { detail.deallocate() }

    /// Why the last request failed, where libcurl says more than its code does.
    var failureDetail: String? { detail.pointee == 0 ? nil : String(cString: detail) }

    /// Frees the handle, which must not be in the multi handle any more.
    func dispose() {
        curl_easy_cleanup(easy)
        Unmanaged.passUnretained(self).release()
    }

    /// Sets what differs from request to request.
    func prepare(
        _ batch: SinkBatch, _ settings: WebhookSettings, _ format: BatchSettings.Format, _ constant: HeaderList
    ) {
        self.batch = batch
        received = 0
        isCapped = false
        detail.pointee = 0
        let first = batch[0]
        if first.target.count > 0 {
            // Ended by NUL; libcurl copies it.
            sluice_curl_set_string(easy, CURLOPT_URL, first.target.bindMemory(to: CChar.self).baseAddress)
        }
        if settings.method.hasBody {
            let bytes = batch.count == 1 ? first.body : body.join(batch, format)
            sluice_curl_set_off(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(bytes.count))
            let start = bytes.baseAddress ?? UnsafeRawPointer(body.empty)
            // libcurl reads it until the request is over, which is when the batch is completed.
            sluice_curl_set_pointer(easy, CURLOPT_POSTFIELDS, UnsafeMutableRawPointer(mutating: start))
        }
        headers.build(first, batch.id, withID: settings.sendsDeliveryID, tail: constant.head)
        sluice_curl_set_list(easy, CURLOPT_HTTPHEADER, headers.head)
    }

    static func of(_ easy: UnsafeMutableRawPointer) -> WebhookRequest? {
        var raw: UnsafeMutableRawPointer?
        sluice_curl_get_pointer(easy, CURLINFO_PRIVATE, &raw)
        return raw.map { Unmanaged<WebhookRequest>.fromOpaque($0).takeUnretainedValue() }
    }
}

/// A list of header lines that libcurl only reads.
final class HeaderList {
    private(set) var head: UnsafeMutablePointer<curl_slist>?

    init(_ lines: [String]) throws(SinkFailure) {
        for line in lines {
            guard let longer = curl_slist_append(head, line) else { throw SinkFailure("no memory for headers") }
            head = longer
        }
    }

    deinit { curl_slist_free_all(head) }
}

/// The header lines of one request: nodes of its own in front of the list that all requests of a sink share. libcurl
/// reads the list and never frees it, so that no line is copied.
final class RequestHeaders {
    private static let keyName: StaticString = "Idempotency-Key: "
    private static let idName: StaticString = "webhook-id: "
    private var nodes = UnsafeMutablePointer<curl_slist>.allocate(capacity: 8)
    private var capacity = 8
    private let lines = UnsafeMutableRawPointer.allocate(byteCount: 128, alignment: 8)
    private(set) var head: UnsafeMutablePointer<curl_slist>?

    deinit {
        nodes.deallocate()
        lines.deallocate()
    }

    func build(_ record: SinkRecord, _ id: DeliveryID, withID: Bool, tail: UnsafeMutablePointer<curl_slist>?) {
        var count = 0
        if withID {
            add(line(Self.keyName, id, at: 0), &count)
            add(line(Self.idName, id, at: 64), &count)
        }
        let headers = record.headers
        if var cursor = headers.baseAddress {
            let end = cursor + headers.count
            while cursor < end {
                let text = UnsafeMutablePointer(mutating: cursor.assumingMemoryBound(to: CChar.self))
                add(text, &count)
                cursor += strlen(text) + 1
            }
        }
        for index in 0..<count { nodes[index].next = index + 1 < count ? nodes + index + 1 : tail }
        head = count > 0 ? nodes : tail
    }

    private func line(_ name: StaticString, _ id: DeliveryID, at offset: Int) -> UnsafeMutablePointer<CChar> {
        let start = lines + offset
        start.copyMemory(from: name.utf8Start, byteCount: name.utf8CodeUnitCount)
        id.writeHex(to: start + name.utf8CodeUnitCount)
        start.storeBytes(of: 0, toByteOffset: name.utf8CodeUnitCount + DeliveryID.textLength, as: UInt8.self)
        return start.assumingMemoryBound(to: CChar.self)
    }

    private func add(_ text: UnsafeMutablePointer<CChar>, _ count: inout Int) {
        if count == capacity {
            let larger = UnsafeMutablePointer<curl_slist>.allocate(capacity: capacity * 2)
            larger.moveInitialize(from: nodes, count: count)
            nodes.deallocate()
            nodes = larger
            capacity *= 2
        }
        (nodes + count).initialize(to: curl_slist(data: text, next: nil))
        count += 1
    }
}
