#!/usr/bin/env python3
"""Runs the MQTT conformance suite against the binary (or against HOST:PORT) and judges the result.

Some failures are tolerated: at least `--minimum` percent of the tests must pass. What is not tolerated is a run that says
nothing: a suite that does not collect, errors of pytest itself, too few tests, or a broker that crashes on the way.
The names of all failing tests are printed.

    scripts/conformance.py ../shared/conformance/mqtt --minimum 90 [--host H --port P --ws-port P] [--log-dir DIR]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "Tests/Integration"))
from support.broker import Sluice  # noqa: E402

# Fewer than this and the suite was not collected as a whole.
LEAST_TESTS = 600
TIME_LIMIT = 900
# The defaults must do for what the suite asks of a broker (its README, "The broker under test").
CONFIG = {"log": {"level": "warning"}}


def run_suite(suite: Path, host: str, port: int, ws_port: int, report: Path, workers: int) -> int:
    command = [
        sys.executable, "-m", "pytest", str(suite), "-c", str(suite / "pytest.ini"), "--rootdir", str(suite), "-n", str(workers),
        "-q", "--tb=no", "-r", "", "-p", "no:cacheprovider", f"--junitxml={report}", "--host", host, "--port", str(port),
        *(["--ws-port", str(ws_port)] if ws_port else []),
    ]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=tempfile.gettempdir(), env=environment, timeout=TIME_LIMIT, stdin=subprocess.DEVNULL).returncode


def read_report(report: Path) -> dict[str, list[str]]:
    """Test names by outcome: passed, failed, error, skipped."""
    outcome: dict[str, list[str]] = {"passed": [], "failed": [], "error": [], "skipped": []}
    kinds: dict[str, str] = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        kind = next((k for tag, k in (("error", "error"), ("failure", "failed"), ("skipped", "skipped"))
                     if case.find(tag) is not None), "passed")
        # A failing clean-up comes as a second entry of the same test: the worse one counts.
        order = ["passed", "skipped", "failed", "error"]
        kinds[name] = max(kinds.get(name, "passed"), kind, key=order.index)
    for name, kind in kinds.items():
        outcome[kind].append(name)
    return outcome


def judge(code: int, outcome: dict[str, list[str]], minimum: float) -> list[str]:
    """What is wrong, in sentences; nothing when the run is good enough."""
    total = sum(map(len, outcome.values()))
    judged = total - len(outcome["skipped"])
    if code not in (0, 1):
        return [f"pytest ended with {code}: the suite did not run to its end"]
    if total < LEAST_TESTS:
        return [f"only {total} tests ran, at least {LEAST_TESTS} were expected"]
    share = 100 * len(outcome["passed"]) / judged
    print(f"MQTT conformance: {len(outcome['passed'])} of {judged} passed ({share:.1f} %), "
          f"{len(outcome['skipped'])} skipped; at least {minimum:g} % must pass")
    return [] if share >= minimum else [f"{share:.1f} % is below the minimum of {minimum:g} %"]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("suite", type=Path)
    parser.add_argument("--minimum", type=float, required=True)
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--ws-port", type=int, default=0)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--log-dir", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    suite = options.suite.resolve()
    if not (suite / "pytest.ini").is_file():
        print(f"conformance: skipped, there is no MQTT suite in {options.suite}")
        return 0
    options.log_dir.mkdir(parents=True, exist_ok=True)
    report = (options.log_dir / "conformance-mqtt.xml").resolve()
    report.unlink(missing_ok=True)

    broker = None
    wrong: list[str] = []
    try:
        if options.port:
            host, port, ws_port = options.host or "127.0.0.1", options.port, options.ws_port
        else:
            broker = Sluice(CONFIG, websocket=True).start()
            host, port, ws_port = "127.0.0.1", broker.port, broker.ws_port
        try:
            code = run_suite(suite, host, port, ws_port, report, options.workers)
        except subprocess.TimeoutExpired:
            code = None
            wrong.append(f"the suite was not done after {TIME_LIMIT} s")
        if broker:
            (options.log_dir / "conformance-broker.log").write_text(broker.output)
            if broker.alive():
                broker.terminate()
            else:
                wrong.append(f"the broker died with {broker.exit_code()}:\n{broker.output[-4000:]}")
            broker.check_no_crash()
    except AssertionError as error:
        wrong.append(str(error))
        code = None
    finally:
        if broker:
            broker.close()

    if report.is_file():
        outcome = read_report(report)
        for kind in ("failed", "error"):
            for name in sorted(outcome[kind]):
                print(f"{kind}: {name}")
        if code is not None:
            wrong += judge(code, outcome, options.minimum)
    elif not wrong:
        wrong.append(f"pytest ended with {code} and wrote no report")
    for sentence in wrong:
        print(f"conformance: {sentence}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
