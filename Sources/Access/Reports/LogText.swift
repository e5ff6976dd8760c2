extension String {
    /// For the log: control characters as `\u{…}`, so that a name can't write lines of its own.
    package var escaped: String {
        unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) || $0.value == 0x2028 }
            ? unicodeScalars.map {
                $0.value < 0x20 || (0x7F...0x9F).contains($0.value) || $0.value == 0x2028
                    ? $0.escaped(asASCII: true) : String($0)
            }.joined() : self
    }
}
