"""`sluice rules check|test|explain`: what they print, and their exit codes."""

import re

import pytest

from support.broker import run_sluice

GOOD = """version: 1
rules:
  hot:
    sql: |
      SELECT clientid, payload.temp AS temp
      FROM "plant/+/temp"
      WHERE payload.temp > 40
    actions:
      - function: console
    tests:
      - name: hot
        input: {topic: plant/1/temp, clientid: c1, payload: {temp: 41}}
        expect: {output: {clientid: c1, temp: 41}}
"""

BAD = """version: 1
rules:
  first:
    sql: |
      SELECT uper(payload.name) AS name
      FROM "t/#"
    actoins: []
  second:
    sql: |
      SELECT * FORM "t/#"
    actions: ["http:nowhere"]
"""


@pytest.fixture
def files(tmp_path):
    def write(**texts):
        for name, text in texts.items():
            (tmp_path / f"{name}.yaml").write_text(text)
        return tmp_path

    return write


def line_of(text: str, needle: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if needle in line)


def test_a_good_file_passes(files):
    folder = files(good=GOOD)
    for command in ("check", "test"):
        assert run_sluice("rules", command, str(folder)).returncode == 0
    assert run_sluice("rules", "check", str(folder / "good.yaml")).returncode == 0


def test_all_problems_of_a_file_are_shown_at_once_with_place_line_caret_and_suggestion(files):
    folder = files(bad=BAD)
    result = run_sluice("rules", "check", str(folder), check=False)
    assert result.returncode == 1
    text = result.stdout + result.stderr
    for needle, suggestion in [("uper(", "upper"), ("actoins", "actions"), ("FORM", "FROM"), ("http:nowhere", None)]:
        line = line_of(BAD, needle)
        column = BAD.splitlines()[line - 1].index(needle.rstrip("(")) + 1
        place = re.search(rf"bad\.yaml:{line}:(\d+)", text)
        assert place, f"{needle!r} (line {line}) is not reported in\n{text}"
        if needle != "http:nowhere":
            assert int(place[1]) == column, f"{needle!r} at column {column}, reported {place[1]}:\n{text}"
        if suggestion:
            assert re.search(rf"did you mean .?{suggestion}", text), f"no suggestion {suggestion!r} in\n{text}"
    assert "SELECT uper(payload.name) AS name" in text
    assert re.search(r"^\s*\|?\s*\^", text, re.MULTILINE), f"no caret in\n{text}"


@pytest.mark.parametrize("name, text, expected", [
    ("a tab", "rules:\n\tx: 1\n", r":2:1"),
    ("a duplicate key", GOOD + "    enable: true\n    enable: false\n", r":15:5"),
    ("an unclosed quote", 'rules:\n  a:\n    sql: "SELECT * FROM\n', r":\d+:\d+"),
    ("a wrong type", "rules:\n  a:\n    sql: [1]\n", r":3:10"),
    ("an alias bomb", "x-a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"x-{chr(98 + n)}: &{chr(98 + n)} [" + ",".join([f"*{chr(97 + n)}"] * 10) + "]\n" for n in range(9)), r""),
    ("deep nesting", "rules: " + "[" * 5000 + "]" * 5000 + "\n", r""),
    ("a file that is no text", "rules: \x00\x01\x02", r""),
    ("no such function arity", GOOD.replace("payload.temp AS", "upper() AS"), r":5:\d+"),
    ("no version this program knows", GOOD.replace("version: 1", "version: 99"), r":1:\d+"),
], ids=lambda value: value if len(value) < 40 and "\n" not in value else "")
def test_a_wrong_file_is_refused_with_its_place(files, name, text, expected):
    result = run_sluice("rules", "check", str(files(wrong=text)), check=False)
    assert result.returncode == 1, f"{name}: exit code {result.returncode}\n{result.stdout}{result.stderr}"
    assert re.search(r"wrong\.yaml" + expected, result.stdout + result.stderr), result.stdout + result.stderr


def test_a_topic_filter_that_matches_nothing_is_a_warning(files):
    """EMQX takes such a rule; so it is loaded, and `--strict` refuses it."""
    folder = files(wrong=GOOD.replace("plant/+/temp", "plant/#/temp"))
    result = run_sluice("rules", "check", str(folder))
    assert re.search(r"wrong\.yaml:6:12: warning", result.stdout + result.stderr)
    assert run_sluice("rules", "check", "--strict", str(folder), check=False).returncode == 1


def test_the_same_name_in_two_files_is_an_error_that_shows_both(files):
    folder = files(a=GOOD, b=GOOD)
    result = run_sluice("rules", "check", str(folder), check=False)
    text = result.stdout + result.stderr
    assert result.returncode == 1
    assert re.search(r"a\.yaml(:3)?", text) and re.search(r"b\.yaml:3", text), text


def test_a_missing_path_is_an_error(tmp_path):
    result = run_sluice("rules", "check", str(tmp_path / "nowhere"), check=False)
    assert result.returncode != 0 and "nowhere" in result.stdout + result.stderr


def test_a_failing_inline_test_is_shown_with_what_came_instead(files):
    folder = files(good=GOOD.replace("temp: 41}}\n        expect: {output: {clientid: c1, temp: 41}}",
                                     "temp: 41}}\n        expect: {output: {clientid: c1, temp: 42}}"))
    assert run_sluice("rules", "check", str(folder)).returncode == 0
    result = run_sluice("rules", "test", str(folder), check=False)
    text = result.stdout + result.stderr
    assert result.returncode == 1
    assert "hot" in text and "41" in text and "42" in text, text


def test_explain_names_topics_actions_and_file(files):
    result = run_sluice("rules", "explain", "hot", "--from", str(files(good=GOOD)), check=False)
    text = result.stdout
    assert result.returncode == 0, result.stdout + result.stderr
    assert "plant/+/temp" in text and "console" in text and "good.yaml" in text


def test_explain_of_an_unknown_rule_fails_and_suggests(files):
    result = run_sluice("rules", "explain", "hott", "--from", str(files(good=GOOD)), check=False)
    assert result.returncode != 0 and "hot" in result.stdout + result.stderr


def test_environment_references_resolve_or_are_reported(files):
    text = GOOD.replace("    actions:\n", '    description: "${env:RULE_TEXT}"\n    actions:\n')
    result = run_sluice("rules", "check", str(files(env=text)), check=False)
    assert result.returncode == 1 and "RULE_TEXT" in result.stdout + result.stderr
    with_fallback = text.replace("${env:RULE_TEXT}", "${env:RULE_TEXT:-none}")
    assert run_sluice("rules", "check", str(files(env=with_fallback))).returncode == 0
