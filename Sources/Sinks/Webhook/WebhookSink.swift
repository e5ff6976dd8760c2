internal import CCurl
internal import Glibc
internal import RuleEngine

/// Posts batches over the webhook loop's multi handle; a request at a time for each easy handle of its pool.
///
/// Confined to the webhook loop's thread.
final class WebhookSink: Sink {
    private let settings: WebhookSettings
    private let format: BatchSettings.Format
    private let inflightWindow: Int
    private let multi: UnsafeMutableRawPointer
    private let url: String
    private let headers: HeaderList
    private let guardian: AddressGuard
    private let isSecure: Bool
    private var idle: [WebhookRequest] = []
    private var all: [WebhookRequest] = []
    /// Set by the loop when the worker exists.
    unowned(unsafe) var worker: SinkWorker?
    /// What the last connection was refused for by ``guardian``.
    fileprivate var refusal: String?
    /// Whether an answer came over HTTP/2, where requests share a connection.
    private var multiplexes = false

    init(
        _ settings: WebhookSettings, _ renderer: WebhookRenderer, _ worker: WorkerSettings,
        multi: UnsafeMutableRawPointer
    ) throws(SinkFailure) {
        self.settings = settings
        self.multi = multi
        format = worker.batch.format
        inflightWindow = max(1, worker.inflightWindow)
        let address = try WebhookAddress(settings.base)
        isSecure = address.isSecure
        url = renderer.constantURL
        // `Expect:` takes away the wait for a 100 that large bodies begin with.
        headers = try HeaderList(["Expect:"] + renderer.constantHeaders)
        guardian = AddressGuard(host: address.host, allowHosts: settings.allowHosts)
        try settings.tls.check()
    }

    /// Requests under way at most: connections, and with HTTP/2 streams.
    var window: Int { multiplexes ? inflightWindow : min(inflightWindow, max(1, settings.poolSize)) }

    func write(_ batch: SinkBatch, now: Int64) -> WriteOutcome {
        let request: WebhookRequest
        do throws(SinkFailure) {
            if let pooled = idle.popLast() { request = pooled } else { request = try makeRequest() }
        } catch {
            return .finished(.retryable(reason: error.reason))
        }
        request.prepare(batch, settings, format, headers)
        guard curl_multi_add_handle(multi, request.easy) == CURLM_OK else {
            request.batch = nil
            idle.append(request)
            return .finished(.retryable(reason: "the request could not be begun"))
        }
        return .started
    }

    /// The request is over. Takes it out of the multi handle and makes it idle.
    func finish(_ request: WebhookRequest, _ code: CURLcode) -> (batch: SinkBatch?, verdict: Verdict) {
        let verdict = verdict(of: request, code)
        curl_multi_remove_handle(multi, request.easy)
        let batch = request.batch
        request.batch = nil
        idle.append(request)
        return (batch, verdict)
    }

    func close() {
        for request in all {
            if request.batch != nil { curl_multi_remove_handle(multi, request.easy) }
            request.dispose()
        }
        all.removeAll()
        idle.removeAll()
    }
}

// Answers.
extension WebhookSink {
    private func verdict(of request: WebhookRequest, _ code: CURLcode) -> Verdict {
        var status = 0
        sluice_curl_get_long(request.easy, CURLINFO_RESPONSE_CODE, &status)
        let isAnswered = code == CURLE_OK || (code == CURLE_WRITE_ERROR && request.isCapped)
        guard isAnswered, status > 0 else { return failure(request, code) }
        if settings.version != .http1 { learnVersion(request) }
        let reason = "HTTP status \(status)"
        switch settings.policy.outcome(of: .status(status)) {
        case .success: return .delivered
        case .recoverable: return .retryable(reason: reason, after: retryAfter(request))
        case .unauthorized: return .paused(reason: reason)
        case .unrecoverable, .otherError: return .permanent(reason: reason)
        }
    }

    private func failure(_ request: WebhookRequest, _ code: CURLcode) -> Verdict {
        var reason = Curl.text(code)
        // What was wrong with whose certificate: libcurl's own words, which hold nothing that the peer sent.
        if Curl.isAboutTLS(code), let detail = request.failureDetail { reason += ": \(detail)" }
        if code == CURLE_COULDNT_CONNECT, let refusal {
            reason = refusal
            self.refusal = nil
        }
        switch code {
        // The record's own fault. An unsupported protocol is none: so an answer is called that is no HTTP.
        case CURLE_URL_MALFORMAT, CURLE_BAD_FUNCTION_ARGUMENT:
            return .permanent(reason: reason)
        default:
            return settings.policy.retriesTransportFailures ? .retryable(reason: reason) : .permanent(reason: reason)
        }
    }

    /// Seconds or a date, as libcurl reads it.
    private func retryAfter(_ request: WebhookRequest) -> Duration? {
        var seconds: curl_off_t = 0
        sluice_curl_get_off(request.easy, CURLINFO_RETRY_AFTER, &seconds)
        return seconds > 0 ? .seconds(Int64(seconds)) : nil
    }

    private func learnVersion(_ request: WebhookRequest) {
        var version = 0
        sluice_curl_get_long(request.easy, CURLINFO_HTTP_VERSION, &version)
        multiplexes = version >= 3
    }
}

// Handles.
extension WebhookSink {
    private func makeRequest() throws(SinkFailure) -> WebhookRequest {
        let request = try WebhookRequest(sink: self)
        configure(request.easy)
        all.append(request)
        return request
    }

    private func configure(_ easy: UnsafeMutableRawPointer) {
        sluice_curl_set_long(easy, CURLOPT_NOSIGNAL, 1)
        sluice_curl_set_long(easy, CURLOPT_TCP_NODELAY, 1)
        sluice_curl_set_long(easy, CURLOPT_TCP_KEEPALIVE, 1)
        sluice_curl_set_long(easy, CURLOPT_FOLLOWLOCATION, 0)
        sluice_curl_set_long(easy, CURLOPT_PATH_AS_IS, 1)
        sluice_curl_set_long(easy, CURLOPT_NOPROGRESS, 1)
        sluice_curl_set_string(easy, CURLOPT_PROTOCOLS_STR, "http,https")
        sluice_curl_set_string(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https")
        sluice_curl_set_string(easy, CURLOPT_USERAGENT, "sluice")
        sluice_curl_set_string(easy, CURLOPT_URL, url)
        // An empty proxy also switches off what the environment says: where requests go is the configuration's to say.
        sluice_curl_set_string(easy, CURLOPT_PROXY, settings.proxy)
        sluice_curl_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(settings.connectTimeout))
        sluice_curl_set_long(easy, CURLOPT_TIMEOUT_MS, milliseconds(settings.totalTimeout))
        configureMethod(easy)
        configureVersion(easy)
        settings.tls.configure(easy)
        settings.authentication.configure(easy)
        if settings.proxy.isEmpty { configureGuard(easy) }
    }

    private func milliseconds(_ duration: Duration) -> Int {
        max(1, Int(clamping: duration.nanoseconds / 1_000_000))
    }

    private func configureMethod(_ easy: UnsafeMutableRawPointer) {
        if settings.method.hasBody { sluice_curl_set_long(easy, CURLOPT_POST, 1) }
        if settings.method != .post {
            sluice_curl_set_string(easy, CURLOPT_CUSTOMREQUEST, settings.method.rawValue.uppercased())
        }
    }

    private func configureVersion(_ easy: UnsafeMutableRawPointer) {
        let version: Int
        switch settings.version {
        case .http1: version = Int(CURL_HTTP_VERSION_1_1)
        // Over TLS by negotiation; in clear text HTTP/1.1.
        case .auto: version = Int(CURL_HTTP_VERSION_2TLS)
        case .http2: version = isSecure ? Int(CURL_HTTP_VERSION_2TLS) : Int(CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE)
        }
        sluice_curl_set_long(easy, CURLOPT_HTTP_VERSION, version)
        // Waiting for a connection to share is right where sharing is possible; in HTTP/1.1 one request that hangs
        // would hold up all others.
        let mayShare = settings.version != .http1 && (isSecure || settings.version == .http2)
        sluice_curl_set_long(easy, CURLOPT_PIPEWAIT, mayShare ? 1 : 0)
    }

    private func configureGuard(_ easy: UnsafeMutableRawPointer) {
        // Borrowed: the sink outlives its handles.
        sluice_curl_set_pointer(easy, CURLOPT_OPENSOCKETDATA, Unmanaged.passUnretained(self).toOpaque())
        sluice_curl_set_open_socket(easy) { context, _, address in
            guard let context, let address else { return -1 }
            return Unmanaged<WebhookSink>.fromOpaque(context).takeUnretainedValue().openSocket(address)
        }
    }

    private func openSocket(_ address: UnsafeMutablePointer<curl_sockaddr>) -> Int32 {
        guard let offset = MemoryLayout<curl_sockaddr>.offset(of: \.addr) else { return -1 }
        // The address may be longer than the member's type: libcurl's is a union of all kinds.
        guard guardian.allows(UnsafeRawPointer(address) + offset, family: address.pointee.family) else {
            refusal = "the host's name leads to a private address; name the host in allow_hosts if that is meant"
            return -1
        }
        return socket(
            address.pointee.family, address.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue), address.pointee.`protocol`)
    }
}

extension WebhookTLS {
    /// - Throws: when a file cannot be read.
    func check() throws(SinkFailure) {
        for file in [caFile, certificateFile, keyFile].compactMap({ $0 }) where access(file, R_OK) != 0 {
            throw SinkFailure("the file \(file) cannot be read: \(errorText(errno))")
        }
    }

    func configure(_ easy: UnsafeMutableRawPointer) {
        sluice_curl_set_long(easy, CURLOPT_SSL_VERIFYPEER, verifies ? 1 : 0)
        sluice_curl_set_long(easy, CURLOPT_SSL_VERIFYHOST, verifies ? 2 : 0)
        sluice_curl_set_long(easy, CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        if let caFile { sluice_curl_set_string(easy, CURLOPT_CAINFO, caFile) }
        if let certificateFile { sluice_curl_set_string(easy, CURLOPT_SSLCERT, certificateFile) }
        if let keyFile { sluice_curl_set_string(easy, CURLOPT_SSLKEY, keyFile) }
    }
}

extension WebhookAuthentication {
    fileprivate func configure(_ easy: UnsafeMutableRawPointer) {
        switch self {
        case .none: break
        case .basic(let username, let password):
            sluice_curl_set_long(easy, CURLOPT_HTTPAUTH, 1 << 0)
            sluice_curl_set_string(easy, CURLOPT_USERNAME, username)
            sluice_curl_set_string(easy, CURLOPT_PASSWORD, password.revealed)
        case .bearer(let token):
            sluice_curl_set_long(easy, CURLOPT_HTTPAUTH, 1 << 6)
            sluice_curl_set_string(easy, CURLOPT_XOAUTH2_BEARER, token.revealed)
        }
    }
}
