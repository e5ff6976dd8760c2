import Glibc
import RuleEngine

// Measures what the evaluation of a rule costs, from the received bytes to the row's JSON bytes, on one thread.

/// Prints a sentence to standard error and ends with a failure.
func fail(_ problem: String) -> Never {
    let line = Array("RuleBench: \(problem)\n".utf8)
    _ = write(2, line, line.count)
    exit(2)
}

func read(_ path: String) -> [UInt8] {
    guard let file = fopen(path, "r") else { fail("\(path) cannot be read") }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    let count = fread(&bytes, 1, bytes.count, file)
    return Array(bytes.prefix(count))
}

struct Options {
    var asJSON = false
    var only = ""
    var folder = "Benchmarks/RuleBench/Payloads"
    var measure = Measure()
    /// Evaluate the row that ``only`` names so often and print nothing but the count: for profilers.
    var repetitions: Int?
    /// Print what evaluations take that hit a bound, and nothing else.
    var showsBounds = false

    init(_ arguments: [String]) {
        var rest = arguments.dropFirst()
        while let option = rest.popFirst() {
            if option == "--json" {
                asJSON = true
                continue
            }
            if option == "--bounds" {
                showsBounds = true
                continue
            }
            guard let value = rest.popFirst() else { fail("\(option) needs a value, or is no option") }
            switch option {
            case "--only": only = value
            case "--payloads": folder = value
            case "--runs": measure.runs = max(1, Int(value) ?? 5)
            case "--repeat": repetitions = Int(value)
            default: fail("there is no option \(option)")
            }
        }
    }
}

let options = Options(CommandLine.arguments)
let bench = Bench(
    measure: options.measure, small: read(options.folder + "/small.json"), large: read(options.folder + "/large.json"))

if let repetitions = options.repetitions {
    guard let evaluation = bench.evaluation(named: options.only) else { fail("--repeat needs --only 'QUERY SIZE'") }
    for _ in 0..<repetitions { evaluation.run() }
    print("\(repetitions) evaluations, \(evaluation.rowCount) rows, \(evaluation.failures) failures")
    print(evaluation.text)
    exit(evaluation.failures == 0 ? 0 : 1)
}

if options.showsBounds {
    print("| evaluation | ends with | ms |\n| --- | --- | --- |")
    for bound in BoundCase.all { print(bound.line(options.measure.runs)) }
    exit(0)
}

var table = Table(asJSON: options.asJSON)
bench.rows({ options.only.isEmpty || $0.contains(options.only) }) { table.add($0) }
table.finish()
