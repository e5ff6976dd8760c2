internal import CJQ
internal import Glibc

/// libjq's functions, found at run time, so that the broker runs where the library is missing.
///
/// `@unchecked Sendable`: addresses of code, owned by nobody and never changed.
struct JQLibrary: @unchecked Sendable {
    let initialize: sluice_jq_init
    let teardown: sluice_jq_teardown
    let setErrorCallback: sluice_jq_set_error_cb
    let compile: sluice_jq_compile
    let start: sluice_jq_start
    let next: sluice_jq_next
    let halt: sluice_jq_halt
    let invalid: sluice_jv_make
    let parse: sluice_jv_parse_sized
    let dump: sluice_jv_dump_string
    let copy: sluice_jv_convert
    let message: sluice_jv_convert
    let free: sluice_jv_free
    let kind: sluice_jv_inspect
    let byteCount: sluice_jv_inspect
    let hasMessage: sluice_jv_inspect
    let characters: sluice_jv_string_value

    // `jv_kind`.
    static let invalidKind: Int32 = 0
    static let stringKind: Int32 = 5

    /// Loaded once and never unloaded; nil when it, or a function of it, is missing.
    static let shared: JQLibrary? = {
        guard let handle = dlopen("libjq.so.1", RTLD_NOW | RTLD_LOCAL) else { return nil }
        do throws(Missing) {
            return try JQLibrary(handle)
        } catch {
            return nil
        }
    }()

    private struct Missing: Error {}

    private init(_ handle: UnsafeMutableRawPointer) throws(Missing) {
        // The types are those of jq's headers, restated in shim.h.
        func symbol<T>(_ name: String, _: T.Type = T.self) throws(Missing) -> T {
            guard let address = dlsym(handle, name) else { throw Missing() }
            return unsafeBitCast(address, to: T.self)
        }
        initialize = try symbol("jq_init")
        teardown = try symbol("jq_teardown")
        setErrorCallback = try symbol("jq_set_error_cb")
        compile = try symbol("jq_compile")
        start = try symbol("jq_start")
        next = try symbol("jq_next")
        halt = try symbol("jq_halt")
        invalid = try symbol("jv_invalid")
        parse = try symbol("jv_parse_sized")
        dump = try symbol("jv_dump_string")
        copy = try symbol("jv_copy")
        message = try symbol("jv_invalid_get_msg")
        free = try symbol("jv_free")
        kind = try symbol("jv_get_kind")
        byteCount = try symbol("jv_string_length_bytes")
        hasMessage = try symbol("jv_invalid_has_msg")
        characters = try symbol("jv_string_value")
    }

    /// The text of a string, the JSON text of another value; frees it.
    func text(_ value: sluice_jv) -> String {
        let string = kind(value) == Self.stringKind ? value : dump(value, 0)
        defer { free(string) }
        return characters(string).map { String(cString: $0) } ?? ""
    }
}
