#!/usr/bin/env python3
"""Adds up what the runners of `make ci` counted and prints one closing line: `N passed, N failed, N skipped`.

Conformance cases that fail within the tolerated share are not among the failed; their names stand further up.
Exits with 1 when a report is missing or anything failed, so that a run that tested nothing is not green.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

SWIFT_TOTAL = re.compile(r"Test run with (\d+) tests?.*? (passed|failed)(?:.*? with (\d+) issues?)?")
SWIFT_FAILED = re.compile(r"^. Test .* failed after ", re.MULTILINE)
SWIFT_SKIPPED = re.compile(r"^. Test .* skipped", re.MULTILINE)


def swift_counts(log: Path) -> tuple[int, int, int]:
    text = log.read_text(errors="replace")
    totals = [int(match[1]) for match in SWIFT_TOTAL.finditer(text)]
    failed, skipped = len(SWIFT_FAILED.findall(text)), len(SWIFT_SKIPPED.findall(text))
    return sum(totals) - failed - skipped, failed, skipped


def pytest_counts(report: Path) -> tuple[int, int, int]:
    suites = list(ElementTree.parse(report).getroot().iter("testsuite"))
    count = lambda key: sum(int(suite.get(key, 0)) for suite in suites)  # noqa: E731
    failed, skipped = count("failures") + count("errors"), count("skipped")
    return count("tests") - failed - skipped, failed, skipped


def main() -> int:
    folder = Path(sys.argv[1])
    readers = {"unit.log": swift_counts, "integration.xml": pytest_counts}
    total = [0, 0, 0]
    for name, read in readers.items():
        if not (folder / name).is_file():
            print(f"ci: {folder / name} is missing: a part of the tests did not run", file=sys.stderr)
            return 1
        counts = read(folder / name)
        if counts[0] == 0:
            print(f"ci: no test passed according to {folder / name}", file=sys.stderr)
            return 1
        total = [sum(pair) for pair in zip(total, counts)]
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
