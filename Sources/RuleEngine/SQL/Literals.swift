import BigInt

extension StoredValue {
    /// The integer of these decimal digits, of any size.
    init(decimal digits: String) {
        if let value = Int(digits) {
            self = .integer(value)
        } else {
            self = .bigInteger(negative: false, magnitude: Array((BigUInt(digits) ?? 0).words))
        }
    }
}
