/// Functions of EMQX that are known and not there, with what to do instead.
package enum LeftOutFunctions {
    /// Those of EMQX's schema registry.
    package static let names = [
        "schema_encode", "schema_decode", "schema_check", "schema_encode_and_tag", "avro_encode", "avro_decode",
        "sparkplug_encode", "sparkplug_decode",
    ]

    /// - Returns: nil for a name that is not EMQX's either.
    package static func advice(for name: String) -> String? {
        guard names.contains(name) else { return nil }
        return "it belongs to EMQX's schema registry, which is left out: publish JSON and use json_decode, or hand the "
            + "payload on as base64_encode(payload) to a webhook that knows the schema"
    }
}
