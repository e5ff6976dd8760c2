package import Cluster

/// Why an administration command failed; the exit code of `sluice ctl` tells which kind.
package enum AdminError: Error, CustomStringConvertible, Equatable {
    /// The command was understood and could not be carried out.
    case failed(String)
    case usage(String)
    case unreachable(String)
    case notFound(String)
    case conflict(String)

    package var exitCode: Int32 {
        switch self {
        case .failed: 1
        case .usage: 2
        case .unreachable: 3
        case .notFound: 4
        case .conflict: 5
        }
    }

    package var description: String {
        switch self {
        case .failed(let text), .usage(let text), .unreachable(let text), .notFound(let text), .conflict(let text): text
        }
    }
}

extension AdminError {
    /// As the cluster said it, with the next step.
    package init(_ failure: MetaFailure) {
        switch failure {
        case .refused, .outcomeUnknown: self = .failed(failure.description)
        case .conflict: self = .conflict(failure.description)
        case .notFound: self = .notFound(failure.description)
        }
    }
}
