import Glibc
import NIOCore
import NIOSSL
import Synchronization

/// What is wrong with a file of certificates, or with a certificate.
struct TLSFileError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

enum TLSFile {
    /// The file's bytes; at most 64 MB, which the largest public revocation lists stay below. Blocks.
    static func read(_ path: String) throws(TLSFileError) -> [UInt8] {
        guard let file = fopen(path, "re") else { throw TLSFileError(String(cString: strerror(errno))) }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 {
            bytes += chunk[..<count]
            guard bytes.count <= 64 << 20 else { throw TLSFileError("it is larger than 64 MB") }
        }
        guard ferror(file) == 0 else { throw TLSFileError("it cannot be read") }
        return bytes
    }
}

/// A listener's certificates, as new connections see them: read again without touching those there are.
final class TLSContexts: Sendable {
    private struct Loaded {
        var context: NIOSSLContext
        var revocation: RevocationChecker?
    }

    private let options: TLSOptions
    private let loaded: Mutex<Loaded>
    /// Milliseconds.
    var handshakeTimeout: Int64 { options.handshakeTimeout }

    /// Blocks on the files.
    /// - Throws: what is wrong with which file.
    init(_ options: TLSOptions) throws {
        self.options = options
        loaded = Mutex(try Self.load(options))
    }

    /// Reads the files again; on an error what was read before stays in force. Blocks.
    func reload() throws {
        let new = try Self.load(options)
        loaded.withLock { $0 = new }
    }

    /// Where a change means new certificates.
    var files: [String] {
        [options.certificateFile, options.keyFile]
            + [options.authorityFile, options.revocationListFile].compactMap { $0 }
            + options.serverNames.flatMap { [$0.certificateFile, $0.keyFile] }
    }

    func makeHandler() -> NIOSSLServerHandler {
        let (context, revocation) = loaded.withLock { ($0.context, $0.revocation) }
        guard let revocation else { return NIOSSLServerHandler(context: context) }
        // Called behind the verification of the chain, for the client's own certificate.
        return NIOSSLServerHandler._makeSSLServerHandler(context: context) { certificate, channel in
            do {
                try revocation.check(certificate.toDERBytes())
                return channel.eventLoop.makeSucceededVoidFuture()
            } catch {
                return channel.eventLoop.makeFailedFuture(error)
            }
        }
    }

    // MARK: Loading

    private static func load(_ options: TLSOptions) throws -> Loaded {
        let main = try Identity(options.certificateFile, options.keyFile, options.keyPassword)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: main.chain, privateKey: main.key)
        configuration.minimumTLSVersion = options.allowsTLS12 ? .tlsv12 : .tlsv13
        if !options.allowsTLS13 { configuration.maximumTLSVersion = .tlsv12 }
        var authorities: [NIOSSLCertificate] = []
        if let file = options.authorityFile {
            authorities = try naming(file) { try NIOSSLCertificate.fromPEMFile(file) }
            configuration.trustRoots = .certificates(authorities)
        }
        if options.verifiesPeer {
            configuration.certificateVerification =
                options.failsWithoutPeerCertificate ? .noHostnameVerification : .optionalVerification
        }
        let names = try options.serverNames.map {
            ($0.pattern, try Identity($0.certificateFile, $0.keyFile, $0.keyPassword))
        }
        if !names.isEmpty {
            configuration.sslContextCallback = { client, promise in
                var change = NIOSSLContextConfigurationOverride.noChanges
                if let host = client.serverHostname?.lowercased(), let identity = Self.identity(for: host, in: names) {
                    change.certificateChain = identity.chain
                    change.privateKey = identity.key
                }
                promise.succeed(change)
            }
        }
        let revocation = try options.revocationListFile.map { file in
            try naming(file) { try RevocationChecker(file: file, authorities: authorities) }
        }
        let context = try naming(options.certificateFile) { try NIOSSLContext(configuration: configuration) }
        return Loaded(context: context, revocation: revocation)
    }

    /// The certificate for a name: its own first, then one for all names beside it.
    private static func identity(for host: String, in names: [(pattern: String, identity: Identity)]) -> Identity? {
        if let exact = names.first(where: { $0.pattern == host }) { return exact.identity }
        guard let dot = host.firstIndex(of: ".") else { return nil }
        let wildcard = "*" + host[dot...]
        return names.first { $0.pattern == wildcard }?.identity
    }

    private static func naming<T>(_ file: String, _ body: () throws -> T) throws -> T {
        do { return try body() } catch { throw TLSFileError("\(file): \(error)") }
    }

    /// A certificate with its chain and its key.
    private struct Identity: Sendable {
        let chain: [NIOSSLCertificateSource]
        let key: NIOSSLPrivateKeySource

        init(_ certificateFile: String, _ keyFile: String, _ password: String?) throws {
            let certificates = try naming(certificateFile) { try NIOSSLCertificate.fromPEMFile(certificateFile) }
            let key = try naming(keyFile) {
                guard let password else { return try NIOSSLPrivateKey(file: keyFile, format: .pem) }
                return try NIOSSLPrivateKey(file: keyFile, format: .pem) {
                    (provide: NIOSSLPassphraseSetter<[UInt8]>) in provide(Array(password.utf8))
                }
            }
            chain = certificates.map { .certificate($0) }
            self.key = .privateKey(key)
        }
    }
}
