import Synchronization

/// Which branches of a statement the evaluations took. A rule is compiled with one, or without, and then pays nothing.
///
/// Branches of CASE in the fields count only for events that gave a row or raised: what an unmatched event computed on
/// the way to WHERE shows nobody anything. Conditions count for each event. Usable from any thread.
package final class RuleCoverage: Sendable {
    package enum Kind: String, Sendable {
        case condition = "WHERE"
        case inCase = "INCASE"
        case when = "WHEN"
        case otherwise = "ELSE"
    }

    /// One place where the way forks.
    package struct Point: Sendable {
        package let kind: Kind
        /// Of the condition, or of the value that the branch gives; of the whole CASE for an ELSE that is not written.
        package let span: Range<Int>
        package let isWritten: Bool
        /// How often the condition was true, or the branch was taken.
        package fileprivate(set) var taken = 0
        /// How often the condition was false; 0 for branches.
        package fileprivate(set) var refused = 0
        fileprivate let countsAlways: Bool
        fileprivate var pending = 0
    }

    private struct State {
        var points: [Point] = []
        var evaluations = 0
    }

    private let state = Mutex(State())

    package init() {}

    /// In the order of compilation.
    package var points: [Point] { state.withLock { $0.points } }
    /// How many events FROM let through.
    package var evaluations: Int { state.withLock { $0.evaluations } }

    fileprivate func add(_ kind: Kind, _ span: Range<Int>, isWritten: Bool, countsAlways: Bool) -> Int {
        state.withLock {
            $0.points.append(Point(kind: kind, span: span, isWritten: isWritten, countsAlways: countsAlways))
            return $0.points.count - 1
        }
    }

    fileprivate func decided(_ point: Int, _ isTrue: Bool) {
        state.withLock { isTrue ? ($0.points[point].taken += 1) : ($0.points[point].refused += 1) }
    }

    fileprivate func took(_ point: Int) {
        state.withLock {
            if $0.points[point].countsAlways { $0.points[point].taken += 1 } else { $0.points[point].pending += 1 }
        }
    }

    fileprivate func settle(counts: Bool) {
        state.withLock {
            $0.evaluations += 1
            for index in $0.points.indices {
                if counts { $0.points[index].taken += $0.points[index].pending }
                $0.points[index].pending = 0
            }
        }
    }
}

extension Compiler {
    /// A condition of its own clause, counted if anybody wants to know.
    mutating func compileClause(_ kind: RuleCoverage.Kind, _ condition: Expression, _ scope: Scope)
        throws(EvaluationError) -> Test
    {
        isInClause = true
        defer { isInClause = false }
        let test = try compileTest(condition, scope, inCase: false)
        guard let coverage else { return test }
        let point = coverage.add(kind, condition.span, isWritten: true, countsAlways: true)
        return { frame throws(EvaluationError) in
            let result = try test(frame)
            coverage.decided(point, result)
            return result
        }
    }

    /// The value of a branch of CASE, counted likewise.
    func watched(_ kind: RuleCoverage.Kind, _ span: Range<Int>, isWritten: Bool = true, _ value: @escaping Evaluator)
        -> Evaluator
    {
        guard let coverage else { return value }
        let point = coverage.add(kind, span, isWritten: isWritten, countsAlways: isInClause)
        return { frame throws(EvaluationError) in
            coverage.took(point)
            return try value(frame)
        }
    }

    func watched(_ program: @escaping RuleProgram) -> RuleProgram {
        guard let coverage else { return program }
        return { frame, rows throws(EvaluationError) in
            do throws(EvaluationError) {
                let count = try program(frame, rows)
                coverage.settle(counts: count > 0)
                return count
            } catch {
                coverage.settle(counts: true)
                throw error
            }
        }
    }
}
