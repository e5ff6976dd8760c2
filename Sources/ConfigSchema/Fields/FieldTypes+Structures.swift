extension FieldType {
    /// A list; a single value stands for a list of one.
    package static func list<Element: Sendable>(_ element: FieldType<Element>) -> FieldType where Value == [Element] {
        FieldType(
            "a list of \(element.expectation)", nested: element.nested, isSecret: element.isSecret,
            show: { "[" + $0.map(element.show).joined(separator: ", ") + "]" }
        ) { node, context in
            let before = context.errorCount
            var values: [Element] = []
            for (index, item) in (node.items ?? [node]).enumerated() {
                let value =
                    node.items == nil
                    ? element.read(item, &context) : context.under("\(index + 1)") { element.read(item, &$0) }
                if let value { values.append(value) }
            }
            return context.errorCount == before ? values : nil
        }
    }

    /// Free names, each with a value of one type, in file order.
    package static func map<Element: Sendable>(_ element: FieldType<Element>) -> FieldType
    where Value == [Named<Element>] {
        FieldType(
            "a mapping of names to \(element.expectation)", nested: element.nested, isSecret: element.isSecret,
            show: { "{" + $0.map { "\($0.name): \(element.show($0.value))" }.joined(separator: ", ") + "}" }
        ) { node, context in
            guard let entries = node.entries else {
                context.reportWrongType(node, "a mapping of names to \(element.expectation)")
                return nil
            }
            let before = context.errorCount
            let values = entries.compactMap { entry in
                context.under(entry.name) { element.read(entry.value, &$0) }
                    .map { Named(name: entry.name, value: $0, key: entry.key) }
            }
            return context.errorCount == before ? values : nil
        }
    }

    /// The first type when the node is of `kind`, else the second.
    package static func either<First: Sendable, Second: Sendable>(
        _ first: FieldType<First>, whenKind kind: YAMLNode.Kind, or second: FieldType<Second>
    ) -> FieldType where Value == Either<First, Second> {
        FieldType("\(first.expectation), or \(second.expectation)", nested: first.nested ?? second.nested) {
            node, context in
            node.kind == kind
                ? first.read(node, &context).map { .first($0) } : second.read(node, &context).map { .second($0) }
        }
    }
}

package enum Either<First: Sendable, Second: Sendable>: Sendable {
    case first(First)
    case second(Second)
}

extension FieldType where Value == ConfigValues {
    /// A mapping of its own fields.
    package static func object(_ fields: FieldSet) -> FieldType {
        FieldType("a mapping", nested: fields, show: { _ in "{}" }) { node, context in fields.read(node, &context) }
    }
}

extension FieldType where Value == YAMLNode {
    /// Anything; for templates and values whose reading comes later.
    package static var any: FieldType {
        FieldType("any value", show: { $0.json }) { node, _ in node }
    }
}

/// Where a listener waits.
package struct BindAddress: Sendable, Hashable, CustomStringConvertible {
    /// An address without brackets; `0.0.0.0` when only a port was given.
    package var host: String
    /// 0 lets the system choose.
    package var port: Int
    /// Of a unix socket, which has neither host nor port; nil for TCP.
    package var path: String?

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// - Parameter path: absolute, and no longer than the system's addresses are.
    package init?(path: String) {
        guard path.hasPrefix("/"), (2...107).contains(path.utf8.count), !path.utf8.contains(0) else { return nil }
        self.init(host: "", port: 0)
        self.path = path
    }

    package var isIPv6: Bool { host.contains(":") }

    /// Only this machine reaches it.
    package var isLoopback: Bool {
        path != nil || host == "::1" || host == "localhost" || host.hasPrefix("127.")
    }

    package var description: String {
        if let path { return "unix:\(path)" }
        return isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    /// `1883`, `:1883`, `127.0.0.1:1883`, `[::1]:1883`, `unix:/run/sluice.sock`; nil for anything else.
    package init?(_ text: String) {
        if text.hasPrefix("unix:") {
            self.init(path: String(text.dropFirst(5)))
            return
        }
        let host: Substring
        let port: Substring
        if text.hasPrefix("[") {
            guard let close = text.firstIndex(of: "]"), text[text.index(after: close)...].hasPrefix(":") else {
                return nil
            }
            host = text[text.index(after: text.startIndex)..<close]
            port = text[text.index(close, offsetBy: 2)...]
            guard host.contains(":"), host.allSatisfy({ $0.isHexDigit || ":.%".contains($0) }) else { return nil }
        } else if let colon = text.lastIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
            guard !host.contains(":"),
                host.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-._".contains($0)) })
            else { return nil }
        } else {
            host = ""
            port = Substring(text)
        }
        guard !port.isEmpty, port.allSatisfy({ $0.isASCII && $0.isNumber }), let number = Int(port), number <= 65535
        else { return nil }
        self.init(host: host.isEmpty ? "0.0.0.0" : String(host), port: number)
    }
}

extension FieldType where Value == BindAddress {
    package static var bindAddress: FieldType {
        .scalar("a port or an address such as 1883, \"127.0.0.1:1883\", \"[::1]:1883\" or \"unix:/run/sluice.sock\"") {
            text, _ in
            BindAddress(text)
        }
    }
}
