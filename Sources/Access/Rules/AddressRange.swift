import ConfigSchema

extension AddressRange {
    /// An address or a network such as `10.0.0.0/8` or `fd00::/8`; bits behind the prefix do not count. [EMQX acl: ipaddr]
    init(rule text: String) throws(AccessRuleError) {
        guard let range = AddressRange(text, masks: true) else {
            throw AccessRuleError("\"\(text)\" is no address or network")
        }
        self = range
    }

    /// Whether a network of the address's own kind has it: `::/0` is no IPv4 client's.
    /// - Parameter host: a numeric address; false for anything else.
    func contains(host: String) -> Bool {
        guard let address = NetworkAddress(host) else { return false }
        return address.isV4 == isV4 && contains(address)
    }
}
