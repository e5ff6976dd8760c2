import ConfigSchema
import MQTTCodec

extension Connection {
    /// Puts what the client's certificate says in the place of what its CONNECT says, where the node is told to.
    /// Whoever brings no certificate keeps its own names. [EMQX configuration: mqtt.peer_cert_as_username]
    func applyCertificate(to packet: inout ConnectPacket) {
        guard let certificate = endpoints.certificate else { return }
        if let name = certificate.name(shard.settings.certificateAsUsername) { packet.username = name }
        if let name = certificate.name(shard.settings.certificateAsClientID) { packet.clientID = name }
    }
}

extension PeerCertificate {
    fileprivate func name(_ kind: MQTTSettings.PeerCertificateName) -> String? {
        switch kind {
        case .disabled: nil
        case .commonName: commonName
        case .distinguishedName: distinguishedName
        }
    }
}
