#!/usr/bin/env python3
"""Compares the imports in the sources with the arrows in Package.swift, and with what a folder must not know.

Package.swift stays the only list of arrows: a file may import its target's direct dependencies and nothing else of
the package or of another package (SwiftPM itself lets transitive modules through). Prints `file:line: problem`
and exits with 1 when there is one.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Modules of the toolchain. Everything else must be a dependency of the target.
TOOLCHAIN = {"Swift", "Glibc", "Musl", "Darwin", "Synchronization", "Dispatch", "Testing", "XCTest", "RegexBuilder"}
FOUNDATION = {"Foundation", "FoundationEssentials", "FoundationNetworking", "FoundationInternationalization"}

# Products that bring modules of other names.
PRODUCT_MODULES = {
    "Collections": {"Collections", "BitCollections", "DequeModule", "HashTreeCollections", "HeapModule",
                    "OrderedCollections"},
}

NIO = re.compile(r"^_?NIO")
FOUNDATION_NAME = re.compile(r"^Foundation")
# Folder -> (what it must not import, why). Paths are prefixes, relative to the repository; the first match counts for
# each entry, so a folder can be under several.
FORBIDDEN = [
    ("Sources/Buffers", [NIO, FOUNDATION_NAME], "bytes are plain memory"),
    ("Sources/Storage", [NIO, FOUNDATION_NAME], "shards call it at the end of each tick"),
    ("Sources/Topics", [NIO, FOUNDATION_NAME], "the index is on the message path"),
    ("Sources/MQTTCodec", [NIO, FOUNDATION_NAME], "the codec parses the shard's own buffer"),
    ("Sources/RuleEngine", [NIO, FOUNDATION_NAME], "the rule engine knows no network, and Foundation is slow"),
    ("Sources/Sinks", [NIO], "sinks have their own threads"),
    ("Sources/Access", [NIO], "access control has threads of its own, and is tested without a server"),
    ("Sources/RuleFiles", [NIO], "rule files are read without a server too"),
    ("Sources/ConfigSchema", [NIO], "configuration is read without a server too"),
    ("Sources/Broker/Connection", [NIO], "the protocol sees four transport operations only"),
    ("Sources/Broker/Session", [NIO, FOUNDATION_NAME], "the session sees four transport operations only"),
    ("Sources/Broker/Router", [NIO, FOUNDATION_NAME], "the router is on the message path"),
    ("Sources/Broker/Publish", [NIO, FOUNDATION_NAME], "the pipeline is on the message path"),
]

IMPORT = re.compile(
    r"^\s*(?:@(?P<attribute>\w+)(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?"
    r"import\s+(?:(?:struct|class|enum|protocol|func|typealias|let|var)\s+)?(?P<module>\w+)")


def package_description() -> dict:
    command = shlex.split(os.environ.get("SWIFT") or "swift") + ["package", "dump-package"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    if result.returncode != 0:
        sys.exit(f"check-imports: `{' '.join(command)}` failed:\n{result.stderr}")
    return json.loads(result.stdout)


def dependency_name(dependency: dict) -> str:
    """The name inside {"byName": [name, …]}, {"target": [name, …]} or {"product": [name, package, …]}."""
    return next(iter(dependency.values()))[0]


def allowed_imports(target: dict, targets: dict[str, dict]) -> set[str]:
    """A source target may import its direct dependencies; a test target also what those stand on."""
    names = {dependency_name(dependency) for dependency in target["dependencies"]}
    if target["type"] == "test":
        todo = list(names)
        while todo:
            below = targets.get(todo.pop(), {"dependencies": []})["dependencies"]
            new = {dependency_name(dependency) for dependency in below} - names
            names |= new
            todo += new
    modules = set().union(*(PRODUCT_MODULES.get(name, {name}) for name in names)) if names else set()
    return modules | TOOLCHAIN | FOUNDATION | {target["name"]}


def target_folder(target: dict) -> Path:
    if target.get("path"):
        return ROOT / target["path"]
    return ROOT / ("Tests" if target["type"] == "test" else "Sources") / target["name"]


def imports(file: Path):
    """Yields (line number, module, attribute) of each import; block comments and strings do not matter at line starts."""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        match = IMPORT.match(line)
        if match:
            yield number, match["module"], match["attribute"]


def problems(description: dict):
    targets = {target["name"]: target for target in description["targets"]}
    for target in targets.values():
        if target["type"] == "system":
            continue
        allowed = allowed_imports(target, targets)
        for file in sorted(target_folder(target).rglob("*.swift")):
            path = file.relative_to(ROOT).as_posix()
            for line, module, attribute in imports(file):
                if module not in allowed:
                    yield path, line, f"{target['name']} imports {module}, which Package.swift does not list for it"
                if attribute == "testable":
                    yield path, line, "@testable: tests use package API, so that they run on the optimised build too"
                for folder, patterns, reason in FORBIDDEN:
                    if path.startswith(folder + "/") and any(pattern.match(module) for pattern in patterns):
                        yield path, line, f"{folder} must not import {module}: {reason}"


def unreachable_targets(description: dict) -> list[str]:
    """Targets that neither the binary nor a test reaches."""
    targets = {target["name"]: target for target in description["targets"]}
    reached: set[str] = set()
    todo = [name for name, target in targets.items() if target["type"] in ("executable", "test")]
    while todo:
        name = todo.pop()
        if name in reached or name not in targets:
            continue
        reached.add(name)
        todo += [dependency_name(dependency) for dependency in targets[name]["dependencies"]]
    return sorted(set(targets) - reached)


def main() -> int:
    description = package_description()
    found = list(problems(description))
    for path, line, text in found:
        print(f"{path}:{line}: {text}")
    unreached = unreachable_targets(description)
    for name in unreached:
        print(f"Package.swift: nothing depends on the target {name}")
    if found or unreached:
        return 1
    print(f"check-imports: {len(description['targets'])} targets, every import follows Package.swift")
    return 0


if __name__ == "__main__":
    sys.exit(main())
