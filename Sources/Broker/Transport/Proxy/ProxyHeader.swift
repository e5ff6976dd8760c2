package import ConfigSchema

/// What a proxy says about a connection in front of its bytes. [PROXY protocol]
package struct ProxyHeader: Sendable, Equatable {
    package struct Endpoint: Sendable, Equatable {
        package var address: NetworkAddress
        package var port: UInt16

        package init(address: NetworkAddress, port: UInt16) {
            self.address = address
            self.port = port
        }
    }

    package var version: Int
    /// Nil where the proxy speaks for itself (a health check) or knows no address: the socket's own then counts.
    package var source: Endpoint?
    package var destination: Endpoint?
    /// Of the client certificate that the proxy has verified; version 2 alone.
    package var commonName: String?

    package init(
        version: Int, source: Endpoint? = nil, destination: Endpoint? = nil, commonName: String? = nil
    ) {
        self.version = version
        self.source = source
        self.destination = destination
        self.commonName = commonName
    }
}

/// Why a header is none.
package enum ProxyHeaderError: String, Error, Sendable {
    case absent = "the connection does not begin with a PROXY header"
    case tooLong = "the header is longer than a header may be"
    case badLine = "the line of version 1 is not as it should be"
    case badAddress = "an address or port is none"
    case badVersion = "the version or command is unknown"
    case badFamily = "the address family or transport is unknown"
    case tooShort = "the announced length does not hold the addresses"
    case badExtension = "an extension goes beyond the header, or is not as it should be"
    case badChecksum = "the checksum is wrong"
}
