"""`sluice rules check|test|explain|try`: what they print, and their exit codes."""

import gzip
import json
import os
import pty
import re
import subprocess
import xml.etree.ElementTree

import pytest

from support.broker import binary, clean_environment, run_sluice
from support.rule_texts import file_rule

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


# --- rules try ---------------------------------------------------------------------------------------------------

SELECT = 'SELECT payload.a AS a, topic FROM "t/#" WHERE payload.a > 0'


def rules_try(*arguments, stdin=None):
    """Exit code, standard output, standard error."""
    result = subprocess.run([binary(), "rules", "try", *arguments], capture_output=True, timeout=60,
                            env=clean_environment(), input=stdin.encode() if isinstance(stdin, str) else stdin or b"")
    return result.returncode, result.stdout.decode(), result.stderr.decode()


def test_try_prints_each_row_as_a_line_of_json(tmp_path):
    assert rules_try(SELECT, "--topic", "t/1", "--payload", '{"a":1}') == (0, '{"a":1,"topic":"t/1"}\n', "")
    foreach = 'FOREACH payload.l AS v DO v, clientid FROM "t"'
    file = tmp_path / "payload.json"
    file.write_text('{"l":[1,2]}')
    rows = '{"clientid":"c","v":1}\n{"clientid":"c","v":2}\n'
    for source in (["--payload-file", str(file)], ["--payload-file", "-"], ["--payload", "-"]):
        assert rules_try(foreach, "--clientid", "c", *source, stdin='{"l":[1,2]}') == (0, rows, "")
    _, pretty, _ = rules_try(SELECT, "--payload", '{"a":1}', "--pretty")
    assert pretty == '{\n  "a": 1,\n  "topic": "t/1"\n}\n'


def test_try_knows_events_and_columns():
    code, out, _ = rules_try('SELECT * FROM "$events/client_connected"', "--clientid", "c9", "--username", "u",
                             "--set", "keepalive=7", "--set", 'conn_props={"x":[1]}', "--now", "2026-01-01T00:00:00Z")
    row = json.loads(out)
    assert code == 0 and row["event"] == "client.connected" and row["timestamp"] == 1767225600000
    assert (row["clientid"], row["username"], row["keepalive"], row["conn_props"]) == ("c9", "u", 7, {"x": [1]})
    code, out, _ = rules_try('SELECT qos, flags.retain AS r FROM "t"', "--qos", "2", "--retain")
    assert (code, json.loads(out)) == (0, {"qos": 2, "r": True})


@pytest.mark.parametrize("arguments, code, text", [
    (['SELECT uper(topic) AS t FORM "t"'], 1, "did you mean FROM"),
    ([SELECT, "--payload", '{"a":0}'], 3, "no row: WHERE is false: payload.a > 0"),
    ([SELECT, "--topic", "x", "--payload", '{"a":1}'], 3, 'FROM takes "t/#", not the topic "x"'),
    ([SELECT, "--payload", '{"a":x}'], 4, "failed: decode_json: the payload is not JSON, at byte 5\n  {\"a\":x}\n       ^"),
    ([SELECT, "--payload-file", "/no/such/file"], 5, "/no/such/file cannot be read"),
    ([SELECT, "--from", "/no/such/file"], 5, "/no/such/file cannot be read"),
    ([SELECT, "--set", "clientit=1"], 64, 'did you mean "clientid"'),
    ([SELECT, "--event", "client_conected"], 64, 'did you mean "client_connected"'),
    ([SELECT, "--qos", "3"], 64, "--qos is 0, 1 or 2"),
    ([SELECT, "--from", "x", "--topic", "t"], 64, "--from brings the events"),
])
def test_try_without_a_row_says_why_and_by_exit_code(arguments, code, text):
    result = rules_try(*arguments)
    assert (result[0], result[1]) == (code, "")
    assert text in result[2]


@pytest.mark.parametrize("arguments, code, expected", [
    ([SELECT, "--payload", '{"a":1}'], 0, {"rows": [{"a": 1, "topic": "t/1"}], "reason": None, "error": None}),
    ([SELECT, "--payload", '{"a":0}'], 3, {"rows": [], "reason": "where", "error": None}),
    ([SELECT, "--payload", "x"], 4, {"rows": [], "reason": "failed", "error": "decode_json"}),
    (['SELECT uper(topic) FROM "t"'], 1, {"rows": [], "reason": "sql", "error": None, "ns": None}),
])
def test_try_as_json_has_always_the_same_members(arguments, code, expected):
    result = rules_try(*arguments, "--json")
    assert (result[0], result[2]) == (code, "")
    data = json.loads(result[1])
    assert set(data) == {"rows", "reason", "message", "error", "ns", "problems"}
    assert {name: data[name] for name in expected} == expected
    assert data["ns"] is None if code == 1 else data["ns"] > 0
    if code == 1:
        problem = data["problems"][0]
        assert (problem["code"], problem["severity"], problem["line"], problem["column"]) == ("SQL101", "error", 1, 8)


ARCHIVE = """{"topic":"t/1","payload":"{\\"a\\":1}","timestamp":1700000000000}
{"topic":"t/2","payload":{"a":2}}
{"topic":"t/3","payload":{"a":0}}
{"topic":"other","payload":{"a":9}}
"""


@pytest.mark.parametrize("kind", ["plain", "gzip", "standard input"])
def test_try_from_an_archive(tmp_path, kind):
    file = tmp_path / ("a.jsonl.gz" if kind == "gzip" else "a.jsonl")
    file.write_bytes(gzip.compress(ARCHIVE.encode()) if kind == "gzip" else ARCHIVE.encode())
    path = "-" if kind == "standard input" else str(file)
    code, out, err = rules_try(SELECT, "--from", path, stdin=ARCHIVE)
    assert (code, out) == (0, '{"a":1,"topic":"t/1"}\n{"a":2,"topic":"t/2"}\n')
    assert re.fullmatch(r"4 messages, 3 matched FROM, 2 passed, 2 rows, 0 failed, 0 bad lines; \d+ messages/s\n", err)


def test_try_from_an_archive_goes_on_after_bad_lines_and_failures(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"topic":"t/1","payload":"boom"}\n' + ARCHIVE)
    code, out, err = rules_try(SELECT, "--from", str(file))
    assert code == 4 and len(out.splitlines()) == 2
    assert f"first failure: {file}:1: decode_json: the payload is not JSON, at byte 0" in err
    file.write_text("nonsense\n" + ARCHIVE + '{"topic":"t/1","pay')
    code, out, err = rules_try(SELECT, "--from", str(file))
    assert code == 5 and len(out.splitlines()) == 2
    assert f"{file}:1: error: it is not JSON, at byte 1" in err and f"{file}:6: error: " in err
    assert "4 messages" in err and "2 bad lines" in err
    code, out, err = rules_try(SELECT, "--from", str(file), "--json")
    summary = json.loads(err.splitlines()[-1])
    assert (summary["messages"], summary["rows"], summary["bad_lines"], summary["read_error"]) == (4, 2, 2, None)
    file.write_text('{"topic":"other","payload":1}\n')
    assert rules_try(SELECT, "--from", str(file))[0] == 3


def test_try_reads_what_the_file_sink_wrote(sluice, client, tmp_path):
    broker = sluice(rules={"archive.yaml": file_rule("all", "arch/#")})
    sender = client(broker)
    for number in range(20):
        sender.publish(f"arch/{number % 2}", json.dumps({"a": number}).encode(), qos=1)
    sender.close()
    broker.terminate()
    files = sorted(broker.data.rglob("all*.jsonl"))
    assert files, "the file sink wrote nothing"
    code, out, err = rules_try('SELECT payload.a AS a, clientid FROM "arch/1" WHERE payload.a > 10', "--from", str(files[0]))
    assert code == 0, err
    assert [json.loads(line)["a"] for line in out.splitlines()] == [11, 13, 15, 17, 19]
    assert "20 messages, 10 matched FROM, 5 passed, 5 rows" in err


def test_try_from_a_large_file_takes_little_memory(tmp_path):
    file = tmp_path / "large.jsonl.gz"
    line = json.dumps({"topic": "t/1", "payload": json.dumps({"a": 1, "text": "x" * 900})}) + "\n"
    with gzip.open(file, "wt", compresslevel=1) as out:
        for _ in range(200):
            out.write(line * 500)
    command = [binary(), "rules", "try", 'SELECT payload.a AS a FROM "t/#"', "--from", str(file)]
    with open(tmp_path / "out", "wb") as rows, open(tmp_path / "err", "wb") as errors:
        process = subprocess.Popen(command, stdout=rows, stderr=errors, env=clean_environment())
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert (tmp_path / "out").read_bytes().count(b"\n") == 100_000
    assert usage.ru_maxrss < 100 * 1024, f"{usage.ru_maxrss} KB for a file of 94 MB"


def test_progress_and_colours_are_for_terminals_only(files, tmp_path):
    file = tmp_path / "a.jsonl"
    with open(file, "w") as out:
        for _ in range(1000):
            out.write('{"topic":"t/1","payload":{"a":0},"text":"%s"}\n' % ("x" * 900) * 300)
    command = [binary(), "rules", "try", SELECT, "--from", str(file)]
    assert "\x1b" not in rules_try(*command[3:])[2]
    assert "\x1b" not in run_sluice("rules", "test", str(files(good=GOOD))).stdout
    assert re.search(r"\r\x1b\[K\d+ %, \d+ messages, 0 rows, \d+ messages/s", on_terminal(command))
    test = [binary(), "rules", "test", str(files(good=GOOD))]
    assert "\x1b[32mok\x1b[0m" in on_terminal(test)
    assert "\x1b" not in on_terminal(test, NO_COLOR="1")


def on_terminal(command, **extra) -> str:
    """What a command shows on a terminal."""
    terminal, end = pty.openpty()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=end, stderr=end, env=clean_environment(**extra))
    os.close(end)
    shown = b""
    try:
        while part := os.read(terminal, 65536):
            shown += part
    except OSError:  # Linux says so when the other end is closed
        pass
    os.close(terminal)
    process.wait(30)
    return shown.decode()


# --- rules test: formats, coverage, update ---------------------------------------------------------------------

MIXED = GOOD + """      - name: "cold <&> \\"q\\" #1"
        input: {topic: plant/1/temp, clientid: c1, payload: {temp: 41}}
        expect: {matched: false}   # wrong
"""


def read_tap(text: str) -> list[tuple[bool, str, list[str]]]:
    """A reader of TAP version 14: the tests with their YAML lines; raises where the text is no TAP."""
    lines = text.splitlines()
    assert lines[0] == "TAP version 14"
    plan = re.fullmatch(r"1\.\.(\d+)", lines[1])
    assert plan
    tests: list[tuple[bool, str, list[str]]] = []
    block = None
    for line in lines[2:]:
        if block is not None:
            if line == "  ...":
                block = None
            else:
                assert line.startswith("  "), line
                block.append(line[2:])
        elif line == "  ---":
            block = tests[-1][2]
        elif not line.startswith("#"):
            found = re.fullmatch(r"(not )?ok (\d+) - ((?:[^#\\]|\\#|\\\\)*)", line)
            assert found and int(found[2]) == len(tests) + 1, line
            tests.append((not found[1], found[3].replace("\\#", "#").replace("\\\\", "\\"), []))
    assert block is None and len(tests) == int(plan[1])
    return tests


def test_test_as_tap(files):
    result = run_sluice("rules", "test", str(files(mixed=MIXED)), "--format", "tap", check=False)
    assert result.returncode == 1
    tests = read_tap(result.stdout)
    assert [(passed, name) for passed, name, _ in tests] == [(True, "hot: hot"), (False, 'hot: cold <&> "q" #1')]
    assert any("it matched" in line for line in tests[1][2]) and any("line: 16" in line for line in tests[1][2])


def test_test_as_junit(files, tmp_path):
    report = tmp_path / "report.xml"
    result = run_sluice("rules", "test", str(files(mixed=MIXED)), "--format", "junit", "--coverage",
                        "--output", str(report), check=False)
    assert (result.returncode, result.stdout) == (1, "1 passed, 1 failed\n")
    root = xml.etree.ElementTree.parse(report).getroot()
    assert (root.tag, root.get("tests"), root.get("failures"), root.get("errors")) == ("testsuites", "2", "1", "0")
    suite = root.find("testsuite")
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == ["hot", 'cold <&> "q" #1']
    assert cases[0].find("failure") is None
    failure = cases[1].find("failure")
    assert "it matched" in failure.get("message") and "^" in failure.text
    assert float(suite.get("time")) >= 0
    assert suite.find("properties/property[@name='coverage.covered']").get("value") == "2"


def test_test_as_json(files):
    for option in (["--json"], ["--format", "json"]):
        result = run_sluice("rules", "test", str(files(mixed=MIXED)), *option, "--coverage", check=False)
        data = json.loads(result.stdout)
        assert (data["passed"], data["failed"], data["problems"]) == (1, 1, [])
        assert [test["passed"] for test in data["tests"]] == [True, False]
        assert data["tests"][1]["failures"][0]["line"] == 16
        assert data["coverage"]["percent"] == 66


def test_a_report_shows_that_a_rule_cannot_be_read(files):
    folder = files(good=GOOD, bad=BAD)
    for form in ("tap", "junit", "json"):
        result = run_sluice("rules", "test", str(folder), "--format", form, check=False)
        assert result.returncode == 1
        if form == "tap":
            assert not all(passed for passed, _, _ in read_tap(result.stdout))
        elif form == "junit":
            assert int(xml.etree.ElementTree.fromstring(result.stdout.encode()).get("errors")) > 0
        else:
            assert json.loads(result.stdout)["problems"]


def test_coverage_names_what_no_test_reached_and_has_a_minimum(files):
    folder = files(good=GOOD)
    result = run_sluice("rules", "test", str(folder), "--coverage")
    assert "coverage: 2 of 3 branches (66 %)" in result.stdout
    assert "good.yaml:7:13: WHERE was never false: payload.temp > 40" in result.stdout
    assert run_sluice("rules", "test", str(folder), "--coverage-minimum", "66").returncode == 0
    below = run_sluice("rules", "test", str(folder), "--coverage-minimum", "67", check=False)
    assert below.returncode == 1 and "66 % of the branches were taken, wanted are 67 %" in below.stderr
    assert run_sluice("rules", "test", str(folder), "--coverage-minimum", "101", check=False).returncode == 64


def test_update_rewrites_expected_values_in_place(files):
    text = MIXED.replace("clientid: c1, temp: 41}}", "clientid: c2, temp: 40}}   # keep me")
    folder = files(mixed=text)
    file = folder / "mixed.yaml"
    file.chmod(0o640)
    result = run_sluice("rules", "test", str(folder), "--update")
    assert file.read_text() == MIXED.replace("temp: 41}}\n      - name: \"cold", "temp: 41}}   # keep me\n      - name: \"cold").replace("matched: false", "matched: true")
    assert file.stat().st_mode & 0o777 == 0o640
    assert "mixed.yaml:13:37: hot: hot: output.clientid: \"c2\" → c1" in result.stdout
    assert "3 changes in 1 file" in result.stdout
    assert list(folder.iterdir()) == [file], "nothing else is left"
    assert run_sluice("rules", "test", str(folder)).returncode == 0
    assert "0 changes" in run_sluice("rules", "test", str(folder), "--update").stdout


def test_update_keeps_links_and_refuses_files_with_problems(files, tmp_path_factory):
    real = tmp_path_factory.mktemp("real") / "real.yaml"
    real.write_text(MIXED)
    folder = files()
    (folder / "link.yaml").symlink_to(real)
    assert run_sluice("rules", "test", str(folder), "--update").returncode == 0
    assert (folder / "link.yaml").is_symlink() and "matched: true" in real.read_text()
    real.write_text(MIXED)
    (folder / "bad.yaml").write_text(BAD)
    result = run_sluice("rules", "test", str(folder), "--update", check=False)
    assert result.returncode == 1 and real.read_text() == MIXED
    assert "nothing was changed: the files have problems" in result.stderr


def test_a_filter_that_takes_no_test_is_an_error(files):
    result = run_sluice("rules", "test", str(files(a=GOOD)), "--filter", "hto", check=False)
    assert result.returncode == 1
    assert 'no test has "hto" in its name' in result.stderr


def test_try_of_a_rule_id_says_where_rules_are_tried():
    code, _, errors = rules_try("hot-temperature")
    assert code == 64
    assert "sluice rules test --filter hot-temperature" in errors


@pytest.mark.parametrize("name", ["client_connected", "client.connected", "client/connected", "$events/client_connected"])
def test_one_event_is_shown(name):
    result = run_sluice("rules", "events", name)
    assert result.returncode == 0 and result.stdout.startswith("client.connected\n")
    assert "message" not in result.stdout


def test_an_unknown_event_is_an_error():
    result = run_sluice("rules", "events", "client_conected", check=False)
    assert result.returncode == 1 and "client.connected" in result.stderr
