import CCurl
import ConfigSchema
import Glibc

/// The client's end of TLS, as libcurl takes it. Servers are verified unless the operator wrote otherwise.
struct HTTPTLS: Sendable {
    var authorityFile: String?
    var certificateFile: String?
    var keyFile: String?
    var verifies = true

    init() {}

    init(_ settings: ClientTLSSettings) {
        authorityFile = settings.caCertificateFile
        certificateFile = settings.certificateFile
        keyFile = settings.keyFile
        verifies = settings.verifies
    }
}

/// A reusable libcurl handle with what belongs to its request. Confined to the thread of its ``HTTPClient``.
///
/// libcurl holds it unretained while a transfer is under way; the client's lists keep it alive for that time.
final class HTTPTransfer {
    let easy: UnsafeMutableRawPointer
    var done: HTTPClient.Completion?
    private var received: [UInt8] = []
    private var headers: UnsafeMutablePointer<curl_slist>?
    private let bodyCopy: UnsafeMutablePointer<UInt8>
    private static let longestBody = 256 * 1024

    init?(_ tls: HTTPTLS) {
        guard let easy = curl_easy_init() else { return nil }
        self.easy = easy
        bodyCopy = .allocate(capacity: Self.longestBody)
        let box = Unmanaged.passUnretained(self).toOpaque()
        sluice_curl_set_long(easy, CURLOPT_NOSIGNAL, 1)
        sluice_curl_set_long(easy, CURLOPT_FOLLOWLOCATION, 0)
        sluice_curl_set_string(easy, CURLOPT_PROTOCOLS_STR, "http,https")
        // The environment's proxy is for what the operator does on the web, not for passwords.
        sluice_curl_set_string(easy, CURLOPT_PROXY, "")
        sluice_curl_set_long(easy, CURLOPT_SSL_VERIFYPEER, tls.verifies ? 1 : 0)
        sluice_curl_set_long(easy, CURLOPT_SSL_VERIFYHOST, tls.verifies ? 2 : 0)
        if let file = tls.authorityFile { sluice_curl_set_string(easy, CURLOPT_CAINFO, file) }
        if let file = tls.certificateFile { sluice_curl_set_string(easy, CURLOPT_SSLCERT, file) }
        if let file = tls.keyFile { sluice_curl_set_string(easy, CURLOPT_SSLKEY, file) }
        sluice_curl_set_pointer(easy, CURLOPT_WRITEDATA, box)
        sluice_curl_set_write(easy, CURLOPT_WRITEFUNCTION) { data, size, count, context in
            guard let context, let data else { return 0 }
            let transfer = Unmanaged<HTTPTransfer>.fromOpaque(context).takeUnretainedValue()
            guard transfer.received.count + size * count <= HTTPClient.maximumAnswer else { return 0 }
            transfer.received += UnsafeRawBufferPointer(start: data, count: size * count)
            return size * count
        }
    }

    /// - Parameter timeout: milliseconds.
    /// - Returns: false when the body is longer than what is sent.
    func prepare(_ request: HTTPClient.Request, timeout: Int) -> Bool {
        received = []
        sluice_curl_set_string(easy, CURLOPT_URL, request.url)
        sluice_curl_set_long(easy, CURLOPT_TIMEOUT_MS, max(1, timeout))
        curl_slist_free_all(headers)
        headers = nil
        for line in request.headers + ["Expect:"] {
            guard let longer = curl_slist_append(headers, line) else { return false }
            headers = longer
        }
        sluice_curl_set_list(easy, CURLOPT_HTTPHEADER, headers)
        guard let body = request.body else {
            sluice_curl_set_long(easy, CURLOPT_HTTPGET, 1)
            return true
        }
        guard body.count <= Self.longestBody else { return false }
        bodyCopy.update(from: body, count: body.count)
        sluice_curl_set_long(easy, CURLOPT_POST, 1)
        sluice_curl_set_off(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count))
        sluice_curl_set_pointer(easy, CURLOPT_POSTFIELDS, UnsafeMutableRawPointer(bodyCopy))
        return true
    }

    var answer: HTTPClient.Answer {
        var status = 0
        sluice_curl_get_long(easy, CURLINFO_RESPONSE_CODE, &status)
        return HTTPClient.Answer(status: status, body: received)
    }

    /// Frees the handle, which must not be in the multi handle any more.
    func dispose() {
        curl_easy_cleanup(easy)
        curl_slist_free_all(headers)
        headers = nil
        // It held a password.
        explicit_bzero(bodyCopy, Self.longestBody)
        bodyCopy.deallocate()
    }
}
