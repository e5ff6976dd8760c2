package import ConfigSchema
import Glibc

/// Finds and reads rule files. Blocks on the file system.
package enum RuleFileFinder {
    /// The files that `paths` name, directories' in name order, read; what cannot be read is a problem.
    ///
    /// - Parameter missingIsError: false lets a path that is not there pass in silence: the default directory.
    package static func sources(_ paths: [String], missingIsError: Bool = true) -> (
        sources: [SourceFile], problems: [ConfigProblem]
    ) {
        var sources: [SourceFile] = []
        var problems: [ConfigProblem] = []
        func report(_ path: String, _ message: String) {
            problems.append(
                ConfigProblem(
                    .unreadableFile, message, in: SourceFile(name: path, bytes: []),
                    at: SourcePosition(line: 1, column: 1)))
        }
        func read(_ path: String) {
            guard !sources.contains(where: { $0.name == path }) else { return }
            if let bytes = FileReading.bytes(ofFile: path) {
                sources.append(SourceFile(name: path, bytes: bytes))
            } else {
                report(path, "the rule file cannot be read")
            }
        }
        for path in paths {
            if let names = directory(path) {
                for name in names.sorted() where isRuleFile(name) {
                    read(path.hasSuffix("/") ? path + name : "\(path)/\(name)")
                }
            } else if access(path, F_OK) == 0 {
                read(path)
            } else if missingIsError {
                report(path, "there is no such file or directory")
            }
        }
        return (sources, problems)
    }

    /// Hidden files (editors' swap files, Kubernetes' `..data`) are none.
    package static func isRuleFile(_ name: String) -> Bool {
        !name.hasPrefix(".") && [".yaml", ".yml", ".json"].contains { name.hasSuffix($0) }
    }

    /// The names in a directory; nil when it is none.
    private static func directory(_ path: String) -> [String]? {
        guard let handle = opendir(path) else { return nil }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            names.append(name)
        }
        return names
    }
}
