import Access
import Foundation
import Testing

struct PeerCertificateTests {
    /// Subject C=DE, O="Acme, Inc.", OU="Pumps+Valves", CN="#pump-7"; four alternative names, one of them an address.
    private static let device =
        "MIICBjCCAaugAwIBAgIUPn+yeDl7cmkQR59XE7K9eahJ8zowCgYIKoZIzj0EAwIwSzELMAkGA1UEBhMCREUxEzARBgNVBAoMCkFjbWUsIEluYy4xFTATBgNVBAsMDFB1bXBzK1ZhbHZlczEQMA4GA1UEAwwHI3B1bXAtNzAeFw0yNjExMjUwNTAyMzJaFw0zNjExMjIwNTAyMzJaMEsxCzAJBgNVBAYTAkRFMRMwEQYDVQQKDApBY21lLCBJbmMuMRUwEwYDVQQLDAxQdW1wcytWYWx2ZXMxEDAOBgNVBAMMByNwdW1wLTcwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASPqExlNI08ZspVNWaxQ1uq33FhXY8Igpg7TSGvSWeCUOJPJIVIRPj2a1iAr7BHSHTDlu9excBji5QjnUODEwiDo20wazA8BgNVHREENTAzgg5wdW1wLTcuZXhhbXBsZYEQcHVtcEBleGFtcGxlLmNvbYYJdXJuOmRldjo3hwQKAAAHMAwGA1UdEwEB/wQCMAAwHQYDVR0OBBYEFOEJxpgAO8jKsuFHhEHaLNQBcUz6MAoGCCqGSM49BAMCA0kAMEYCIQCA5CjDlk/quYwtpT9LD0HGt0Pp6pzjNQClKruhJ01AHQIhAOYvJcJm1nebbNlKtDvaOLI0DOa/hVSIm21PBTfx73TT"
    /// CN="Kühe" as a BMPString, without extensions of names.
    private static let wide =
        "MIIBIDCBxwIUNAfpkuMulUZ/RLv2Zy3rM84nCZkwCgYIKoZIzj0EAwIwEzERMA8GA1UEAx4IAEsA/ABoAGUwHhcNMjYxMTI1MDUwMTU3WhcNMzYxMTIyMDUwMTU3WjATMREwDwYDVQQDHggASwD8AGgAZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABIRyeJYEfhute6voOvXhA/wiUltxQHpx4SjcycXpfgWLldLD6S0Cs8nT4XJGpJMIU2IPV24fHs53/r+VjYuTnFAwCgYIKoZIzj0EAwIDSAAwRQIgfaqzHyWrM4NCWY4ZATcIrkRWOvsueYma5EdkQIE6ZDwCIQDWVqL9u2BHqexcV1tcxjH4M6NLWAcKwp2/OBai407HsQ=="

    private func bytes(_ text: String) throws -> [UInt8] { Array(try #require(Data(base64Encoded: text))) }

    @Test func `the names of a certificate are read, and the subject is written as RFC 4514 does`() throws {
        let certificate = try PeerCertificate(der: try bytes(Self.device))
        #expect(certificate.commonName == "#pump-7")
        #expect(certificate.subject == ##"CN=\#pump-7,OU=Pumps\+Valves,O=Acme\, Inc.,C=DE"##)
        #expect(certificate.alternativeNames == ["pump-7.example", "pump@example.com", "urn:dev:7"])
    }

    @Test func `a name of two bytes a character is read`() throws {
        let certificate = try PeerCertificate(der: try bytes(Self.wide))
        #expect(certificate.commonName == "Kühe")
        #expect(certificate.alternativeNames == [])
    }

    @Test func `no certificate that is cut short is one`() throws {
        let bytes = try bytes(Self.device)
        for count in 0..<bytes.count {
            #expect(throws: (any Error).self) { try PeerCertificate(der: Array(bytes.prefix(count))) }
        }
    }

    @Test(arguments: [0x00, 0x01, 0x7F, 0x80, 0xFF] as [UInt8])
    func `a changed byte ends in an error or in other names, never in a crash`(change: UInt8) throws {
        let bytes = try bytes(Self.device)
        var read = 0
        for index in bytes.indices {
            var changed = bytes
            changed[index] = change
            do {
                _ = try PeerCertificate(der: changed)
                read += 1
            } catch { continue }
        }
        #expect(read > 0 && read < bytes.count)
    }
}
