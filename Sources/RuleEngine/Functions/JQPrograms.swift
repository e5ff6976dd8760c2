internal import Buffers
internal import CJQ

/// jq programs, compiled once. Compiling takes milliseconds, a run microseconds.
///
/// Belongs to one evaluation context and its thread.
final class JQPrograms {
    /// The most programs that are kept; one more forgets them all.
    static let limit = 64
    /// In bytes.
    static let programLimit = 64 * 1024
    /// The most results of one run.
    static let resultLimit = 100_000

    private var programs: [String: JQProgram] = [:]

    /// The results of a program over JSON text.
    ///
    /// Blocks the thread until they are there. What libjq does in one step (a regular expression, the repetition of
    /// text) is not interrupted.
    ///
    /// - Throws: ``EvaluationError/timeLimit``; ``EvaluationError/memoryLimit`` for more than 100,000 results or
    ///   what the arena does not hold; ``EvaluationError/badArgument(function:reason:)`` with what jq says otherwise.
    func run(
        _ text: Bytes, over json: Bytes, milliseconds: Int, in arena: Arena
    ) throws(EvaluationError) -> Value {
        guard let library = JQLibrary.shared else {
            throw .badArgument(function: "jq", reason: "libjq.so.1 is missing, which is in Debian's package libjq1")
        }
        guard text.count <= Self.programLimit, !text.contains(0) else {
            throw .badArgument(function: "jq", reason: "a program is of at most 64 KiB and without NUL")
        }
        let source = String(decoding: text, as: UTF8.self)
        let program: JQProgram
        if let known = programs[source] {
            program = known
        } else {
            program = try JQProgram(source, library)
            if programs.count >= Self.limit { programs.removeAll() }
            programs[source] = program
        }
        do throws(EvaluationError) {
            return try program.run(over: json, milliseconds: milliseconds, in: arena)
        } catch .timeLimit {
            programs[source] = nil
            throw .timeLimit
        }
    }
}

/// One compiled program. Confined to its owner's thread, apart from the watchdog's `halt`.
private final class JQProgram {
    private let library: JQLibrary
    private var state: OpaquePointer?

    /// What goes before each program: without the process's environment, output and modules, and around what ends the
    /// process or does not end in libjq 1.6 (NaN as an index, code points that are none, searching for empty text).
    /// `halt` belongs to the watchdog.
    private static let prelude = [
        "{} as $ENV | def env: {}; def stderr: .;",
        #"def modulemeta: error("modulemeta is not available"); def nan: error("nan is not available");"#,
        #"def halt: error("halt is not available"); def halt_error: halt; def halt_error($code): halt;"#,
        #"def _tonumber: tonumber; def tonumber: _tonumber | if isnan then error("not a number") else . end;"#,
        #"def _fromjson: fromjson; def fromjson: _fromjson | if any(..; type == "number" and isnan)"#,
        #"then error("not a number") else . end;"#,
        "def _implode: implode; def implode: if all(.[]; type == \"number\" and . >= 0 and . <= 1114111",
        #"and (. < 55296 or . > 57343)) then _implode else error("implode takes code points") end;"#,
        #"def _indices($i): indices($i); def indices($i): if $i == "" then null else _indices($i) end;"#,
        "def index($i): indices($i) | .[0]; def rindex($i): indices($i) | .[-1:][0];\n",
    ].joined(separator: " ")

    init(_ source: String, _ library: JQLibrary) throws(EvaluationError) {
        self.library = library
        state = library.initialize()
        guard let state else { throw .memoryLimit }
        let messages = Messages(library)
        library.setErrorCallback(
            state,
            { data, message in
                guard let data else { return }
                Unmanaged<Messages>.fromOpaque(data).takeUnretainedValue().add(message)
            }, Unmanaged.passUnretained(messages).toOpaque())
        let compiled = withExtendedLifetime(messages) { library.compile(state, Self.prelude + source) }
        // Errors at run time come with the results; nothing goes to the process's standard error.
        library.setErrorCallback(state, { _, message in JQLibrary.shared?.free(message) }, nil)
        guard compiled != 0 else {
            throw .badArgument(function: "jq", reason: messages.first ?? "the program is not valid")
        }
    }

    deinit { library.teardown(&state) }

    /// What libjq reports while it compiles.
    private final class Messages {
        private let library: JQLibrary
        private(set) var first: String?

        init(_ library: JQLibrary) { self.library = library }

        func add(_ message: sluice_jv) {
            let text = library.text(message)
            // The first line; what follows quotes the program, the prelude included.
            if first == nil { first = text.split(separator: "\n").first.map(String.init) }
        }
    }

    func run(over json: Bytes, milliseconds: Int, in arena: Arena) throws(EvaluationError) -> Value {
        guard let state, let count = Int32(exactly: json.count) else { throw .memoryLimit }
        let input = library.parse(json.baseAddress?.assumingMemoryBound(to: CChar.self), count)
        guard library.kind(input) != JQLibrary.invalidKind else { throw failure(input) }
        library.start(state, input, 0)
        let watch = try JQWatchdog.shared.watch(state, milliseconds: milliseconds, library)
        var stillWatched = true
        defer { if stillWatched { _ = JQWatchdog.shared.release(watch) } }
        var results: [Value] = []
        while true {
            let result = library.next(state)
            guard library.kind(result) != JQLibrary.invalidKind else {
                stillWatched = false
                if JQWatchdog.shared.release(watch) {
                    library.free(result)
                    throw .timeLimit
                }
                guard library.hasMessage(library.copy(result)) == 0 else { throw failure(result) }
                library.free(result)
                return try arena.array(results)
            }
            guard results.count < JQPrograms.resultLimit else {
                library.free(result)
                throw .memoryLimit
            }
            results.append(try value(result, in: arena))
        }
    }

    /// A result; frees it.
    private func value(_ result: sluice_jv, in arena: Arena) throws(EvaluationError) -> Value {
        let text = library.dump(result, 0)
        defer { library.free(text) }
        let bytes = Bytes(start: library.characters(text), count: Int(library.byteCount(library.copy(text))))
        let copy = try arena.string(copying: bytes)
        do throws(EvaluationError) {
            return try JSON.decode(copy.bytes, in: arena)
        } catch .decodeJSON {
            throw .badArgument(function: "jq", reason: "a result is too deep for JSON")
        }
    }

    /// The message of an invalid value; frees it.
    private func failure(_ invalid: sluice_jv) -> EvaluationError {
        .badArgument(function: "jq", reason: library.text(library.message(invalid)))
    }
}
