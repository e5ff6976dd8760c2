#!/usr/bin/env python3
"""Writes docs/conformance.md: each numbered statement of MQTT that binds a server, the code line that bears its number, the test.

    scripts/conformance-page.py           write the page
    scripts/conformance-page.py --check   say whether the page is current; exit 1 when it is not

Sources and Tests name a statement of version 5.0 as MQTT-3.1.2-22 and one of 3.1.1 as MQTT3-3.1.2-22. A number in a test's name
or beside it counts as its test; whether code and test do what the statement says is for their reader to judge.
"""

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/conformance.md"
BLOB = "../"

# Numbers alone, of the statements that bind a server; those for clients only are left out. Section: first-last or single ones.
V5 = """
1.5.4: 1-3; 1.5.5: 1; 1.5.7: 1; 2.1.3: 1; 2.2.1: 2 4-6; 2.2.2: 1; 3.1.0: 1-2; 3.1.2: 1-19 22-29; 3.1.3: 1-12; 3.1.4: 1-6;
3.2.0: 1-2; 3.2.2: 1-3 6-10 12-13 16 19-20 22; 3.3.1: 1-13; 3.3.2: 1-8 11-20; 3.3.4: 1-5 9-10; 3.4.2: 1-3; 3.5.2: 1-3; 3.6.1: 1;
3.6.2: 1-3; 3.7.2: 1-3; 3.8.1: 1; 3.8.3: 1-5; 3.8.4: 1-8; 3.9.2: 1-2; 3.9.3: 1-2; 3.10.1: 1; 3.10.3: 1-2; 3.10.4: 1-6;
3.11.2: 1-2; 3.11.3: 1-2; 3.12.4: 1; 3.14.0: 1; 3.14.1: 1; 3.14.2: 1-4; 3.14.4: 1-3; 3.15.1: 1; 3.15.2: 1-3; 4.1.0: 1-2;
4.2.0: 1; 4.3.1: 1; 4.3.2: 1-5; 4.3.3: 1-13; 4.4.0: 1-2; 4.5.0: 1; 4.6.0: 5-6; 4.7.0: 1; 4.7.1: 1-2; 4.7.2: 1; 4.7.3: 1-4;
4.8.2: 1-6; 4.9.0: 1-3; 4.12.0: 1-2 4-6; 4.12.1: 2; 4.13.1: 1; 4.13.2: 1; 6.0.0: 1-2 4
"""
# Statements for clients that a server may have to check: listed when a line bears their number.
V5_CLIENT = """
2.2.1: 3; 3.1.2: 20-21 30; 3.2.2: 4-5 11 14-15 17-18 21; 3.3.2: 9-10; 3.3.4: 6-8; 4.5.0: 2; 4.6.0: 1-4; 4.12.0: 3 7; 4.12.1: 1;
6.0.0: 3
"""
V3 = """
1.5.3: 1-3; 2.2.2: 1-2; 2.3.1: 1 3-7; 3.1.0: 1-2; 3.1.2: 1-22 24; 3.1.3: 1-6 8-11; 3.1.4: 1-5; 3.2.0: 1; 3.2.2: 1-6; 3.3.1: 1-12;
3.3.2: 1-3; 3.3.4: 1; 3.3.5: 1-2; 3.6.1: 1; 3.8.1: 1; 3.8.3: 1-4; 3.8.4: 1-6; 3.9.3: 1-2; 3.10.1: 1; 3.10.3: 1-2; 3.10.4: 1-6;
3.12.4: 1; 3.14.1: 1; 3.14.4: 3; 4.1.0: 1-2; 4.3.1: 1; 4.3.2: 1-2; 4.3.3: 1-2; 4.4.0: 1; 4.5.0: 1; 4.6.0: 5-6; 4.7.1: 1-3;
4.7.2: 1; 4.7.3: 1-4; 4.8.0: 1-2; 6.0.0: 1-2 4
"""
V3_CLIENT = """
2.3.1: 2; 3.1.2: 23; 3.1.3: 7; 3.14.4: 1-2; 4.5.0: 2; 4.6.0: 1-4; 6.0.0: 3
"""

# MQTT-3.1.2-22 in Swift, test_MQTT_3_1_2_22 and the like in Python.
MARK = re.compile(r"(?<![A-Za-z0-9])MQTT(3?)[-_](\d+)[._](\d+)(?:[._](\d+))?[-_](\d+)")


def numbers(text: str) -> list[tuple[str, int]]:
    found = []
    for part in text.replace("\n", " ").split(";"):
        section, _, ranges = part.strip().partition(":")
        for item in ranges.split():
            first, _, last = item.partition("-")
            found += [(section, n) for n in range(int(first), int(last or first) + 1)]
    return found


def marks(folder: str) -> dict[tuple[str, str, int], list[tuple[str, int]]]:
    """Version, section, number → the places that bear it, in the order of files and lines."""
    places: dict[tuple[str, str, int], list[tuple[str, int]]] = {}
    for path in sorted((ROOT / folder).rglob("*")):
        if path.suffix not in (".swift", ".py"):
            continue
        name = path.relative_to(ROOT).as_posix()
        for line, text in enumerate(path.read_text().splitlines(), 1):
            for match in MARK.finditer(text):
                parts = [p for p in match.groups()[1:4] if p]
                section = ".".join(parts + ["0"] * (3 - len(parts)))
                place = (name, line)
                known = places.setdefault((match[1], section, int(match[5])), [])
                if place not in known:
                    known.append(place)
    return places


def cell(places: list[tuple[str, int]]) -> str:
    if not places:
        return "–"
    shown = [f"[{Path(name).name}:{line}]({BLOB}{name}#L{line})" for name, line in places[:3]]
    return ", ".join(shown) + (f" and {len(places) - 3} more" if len(places) > 3 else "")


def table(title: str, prefix: str, version: str, statements, code, tests) -> list[str]:
    rows = [(s, n, code.get((version, s, n), []), tests.get((version, s, n), [])) for s, n in statements]
    both = sum(1 for _, _, c, t in rows if c and t)
    neither = sum(1 for _, _, c, t in rows if not c and not t)
    lines = [f"## {title}", "",
             f"{len(rows)} statements: {both} with code and test, {sum(1 for r in rows if r[2] and not r[3])} with code alone, "
             f"{sum(1 for r in rows if r[3] and not r[2])} with a test alone, {neither} that nothing here names.", "",
             "| statement | code | test |", "|---|---|---|"]
    return lines + [f"| {prefix}-{s}-{n} | {cell(c)} | {cell(t)} |" for s, n, c, t in rows] + [""]


def unknown(version: str, statements, *found) -> list[str]:
    known = set(statements)
    return sorted({f"{s}-{n}" for marks in found for v, s, n in marks if v == version and (s, n) not in known})


def page() -> str:
    code, tests = marks("Sources"), marks("Tests")
    v5, v3 = numbers(V5), numbers(V3)
    lines = ["# MQTT conformance", "",
             "Written by `make conformance-page` from the numbers in the sources; not to be edited. A dash says that no line bears the",
             "number: the behaviour may be there all the same, and nothing here points at it. The black-box suite (`make conformance`)",
             "tests many of these from outside and is not counted here.", ""]
    lines += table("Version 5.0", "MQTT", "", v5, code, tests)
    lines += table("Version 3.1.1", "MQTT3", "3", v3, code, tests)
    for version, title, statements, clients in (("", "5.0", v5, V5_CLIENT), ("3", "3.1.1", v3, V3_CLIENT)):
        rows = [(s, n, code.get((version, s, n), []), tests.get((version, s, n), [])) for s, n in numbers(clients)]
        if rows := [row for row in rows if row[2] or row[3]]:
            lines += [f"## What {title} asks of clients and the server checks", "", "| statement | code | test |", "|---|---|---|"]
            lines += [f"| MQTT{version}-{s}-{n} | {cell(c)} | {cell(t)} |" for s, n, c, t in rows] + [""]
        if others := unknown(version, statements + numbers(clients), code, tests):
            lines += [f"Numbers of {title} in the sources that are no statement for a server: {', '.join(others)}.", ""]
    return "\n".join(lines).rstrip() + "\n"


def without_lines(text: str) -> str:
    """Which files bear which numbers: a line that moved makes the page a little wrong, not stale."""
    return re.sub(r"(:|#L)\d+", "", text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    text = page()
    if not arguments.check:
        PAGE.write_text(text)
        return 0
    if PAGE.exists() and without_lines(PAGE.read_text()) == without_lines(text):
        return 0
    print("docs/conformance.md is not current: make conformance-page", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
