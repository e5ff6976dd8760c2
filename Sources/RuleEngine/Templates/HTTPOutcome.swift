/// How one HTTP request ended.
package enum HTTPResult: Sendable, Equatable {
    case status(Int)
    case failure(TransportFailure)

    package enum TransportFailure: Sendable, Equatable {
        case connectionRefused
        case timeout
        /// The peer closed the connection, in order or not.
        case closed
        /// Names, routes, TLS, resets: with the library's word for it.
        case other(String)
    }
}

/// What a result means for the delivery.
package enum HTTPOutcome: String, Sendable, Equatable {
    case success
    /// To be tried again.
    case recoverable
    /// Refused for good.
    case unrecoverable
    /// Failed for good without an answer.
    case otherError = "other_error"
    /// The credentials are not accepted: the delivery waits for better ones.
    case unauthorized

    /// What EMQX makes of it: of the statuses only 429 and 503 are tried again. [EMQX rule-sql: http action]
    package static func emqx(_ result: HTTPResult) -> HTTPOutcome {
        switch result {
        case .status(200...299): .success
        case .status(429), .status(503): .recoverable
        case .status: .unrecoverable
        case .failure(.connectionRefused), .failure(.timeout), .failure(.closed): .recoverable
        case .failure(.other): .otherError
        }
    }
}

/// Statuses: single ones and hundreds.
package struct HTTPStatusSet: Sendable, Equatable {
    package var ranges: [ClosedRange<Int>]

    package init(_ ranges: [ClosedRange<Int>]) { self.ranges = ranges }

    /// - Parameter text: `429` or `5xx`; nil for anything else.
    package static func range(_ text: String) -> ClosedRange<Int>? {
        if text.count == 3, text.hasSuffix("xx"), let hundred = text.first?.wholeNumberValue, (1...5).contains(hundred) {
            return hundred * 100...hundred * 100 + 99
        }
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let status = Int(text), (100...599).contains(status)
        else { return nil }
        return status...status
    }

    package func contains(_ status: Int) -> Bool { ranges.contains { $0.contains(status) } }
}

/// Which results are tried again. Differs from EMQX: all 5xx, 408 and 425 and all failures of the transport are.
package struct HTTPRetryPolicy: Sendable, Equatable {
    package enum OnUnauthorized: String, Sendable, CaseIterable { case pause, retry, fail }

    package var success = HTTPStatusSet([200...299])
    package var retried = HTTPStatusSet([408...408, 425...425, 429...429, 500...599])
    package var retriesTransportFailures = true
    /// What 401 and 403 mean.
    package var onUnauthorized = OnUnauthorized.pause

    package init() {}

    package func outcome(of result: HTTPResult) -> HTTPOutcome {
        switch result {
        case .failure: return retriesTransportFailures ? .recoverable : .otherError
        case .status(let status):
            if success.contains(status) { return .success }
            if retried.contains(status) { return .recoverable }
            guard status == 401 || status == 403 else { return .unrecoverable }
            switch onUnauthorized {
            case .pause: return .unauthorized
            case .retry: return .recoverable
            case .fail: return .unrecoverable
            }
        }
    }
}
