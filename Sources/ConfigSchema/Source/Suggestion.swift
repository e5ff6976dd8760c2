/// The candidate that a misspelt word most likely means, or nil when none is near. Case, `-` and `_` count little; one slip
/// per three letters is near, three at most.
package func didYouMean(_ word: String, _ candidates: some Sequence<String>) -> String? {
    let wanted = foldedSpelling(word)
    let allowed = min(3, max(1, wanted.count / 3))
    var best: (name: String, distance: Int)?
    for candidate in candidates where candidate != word {
        let folded = foldedSpelling(candidate)
        guard abs(folded.count - wanted.count) <= allowed else { continue }
        let distance = editDistance(wanted, folded)
        // A word of which every letter changed is another word.
        guard distance <= allowed, distance < max(wanted.count, folded.count) else { continue }
        if best.map({ distance < $0.distance }) ?? true { best = (candidate, distance) }
    }
    return best?.name
}

private func foldedSpelling(_ word: String) -> [Character] {
    word.lowercased().map { $0 == "-" ? "_" : $0 }
}

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours each cost 1. O(n·m).
private func editDistance(_ a: [Character], _ b: [Character]) -> Int {
    if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
    var beforeLast = [Int](repeating: 0, count: b.count + 1)
    var last = Array(0...b.count)
    for i in 1...a.count {
        var row = [i] + [Int](repeating: 0, count: b.count)
        for j in 1...b.count {
            let cost = a[i - 1] == b[j - 1] ? 0 : 1
            row[j] = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + cost)
            if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] { row[j] = min(row[j], beforeLast[j - 2] + 1) }
        }
        (beforeLast, last) = (last, row)
    }
    return last[b.count]
}
