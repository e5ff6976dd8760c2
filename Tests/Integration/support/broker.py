"""The real `sluice` binary as a child process."""

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

from .waiting import wait_for

ROOT = Path(__file__).resolve().parents[3]
RUNNING = re.compile(r"Sluice \S+ is running now!")
# What a Swift runtime failure, a sanitizer or the C library leaves behind.
CRASH = re.compile(r"Fatal error|Crash:|Illegal instruction|Segmentation fault|Current stack trace|Simultaneous accesses|"
                   r"Precondition failed|Assertion failed|double free|corrupted|AddressSanitizer|ThreadSanitizer")


def binary() -> str:
    path = os.environ.get("SLUICE_BIN") or str(ROOT / ".build/release/sluice")
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"no binary at {path}: `make build`, or set SLUICE_BIN")
    return path


def clean_environment(**extra) -> dict:
    """The environment without variables that would change the broker's configuration."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SLUICE_", "EMQX"))}
    environment.update(extra)
    return environment


_taken: list = []  # lock files of the ports of this process


def free_port() -> int:
    """A loopback port that no other test process takes: below the kernel's ephemeral range, and held by a lock file."""
    folder = Path(tempfile.gettempdir()) / "sluice-test-ports"
    folder.mkdir(exist_ok=True)
    first = 20000 + os.getpid() * 37 % 10000
    for port in (20000 + (first + step) % 12000 for step in range(12000)):
        lock = open(folder / str(port), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        _taken.append(lock)
        return port
    raise RuntimeError("no free port")


def short_folder() -> Path:
    """A folder with a short path: a unix socket's path holds 107 bytes."""
    return Path(tempfile.mkdtemp(prefix="sl-"))


def to_yaml(value, indent=0) -> str:
    """Block YAML for nested dicts; scalars and lists as JSON, which is YAML."""
    lines = []
    for key, item in value.items():
        key = key if key.replace("_", "").replace("-", "").isalnum() else json.dumps(key)
        if isinstance(item, dict) and item:
            lines += [" " * indent + f"{key}:", to_yaml(item, indent + 2)]
        else:
            lines.append(" " * indent + f"{key}: {json.dumps(item)}")
    return "\n".join(lines)


def merge(base: dict, over: dict) -> dict:
    result = dict(base)
    for key, item in over.items():
        both = isinstance(item, dict) and isinstance(result.get(key), dict)
        result[key] = merge(result[key], item) if both else item
    return result


class Sluice:
    """A broker with its own folder. `rules` maps file names to YAML text; `config` is merged over the default configuration."""

    def __init__(self, config: dict | None = None, rules: dict[str, str] | None = None, *, websocket=False,
                 env: dict | None = None, wrapper: list[str] | None = None):
        self.folder = short_folder()
        self.rules_folder = self.folder / "rules"
        self.rules_folder.mkdir()
        self.data = self.folder / "data"
        self.port = free_port()
        self.ws_port = free_port() if websocket else None
        self.environment = clean_environment(**(env or {}))
        self.wrapper = wrapper or []
        settings = {
            "node": {"name": "sluice@127.0.0.1", "data_dir": str(self.data)},
            "listeners": {"tcp": {"default": {"bind": f"127.0.0.1:{self.port}"}}},
            "rules": {"paths": [str(self.rules_folder)]},
            "log": {"level": "info"},
        }
        if websocket:
            settings["listeners"]["ws"] = {"default": {"bind": f"127.0.0.1:{self.ws_port}"}}
        self.settings = merge(settings, config or {})
        self.config = self.folder / "sluice.yaml"
        self.config.write_text(to_yaml(self.settings) + "\n")
        for name, text in (rules or {}).items():
            self.write_rules(name, text)
        self.process: subprocess.Popen | None = None
        self._lines: list[str] = []
        self._readers: list[threading.Thread] = []

    # ---------------------------------------------------------------- life

    def start(self, deadline=20.0) -> "Sluice":
        self.launch()
        wait_for(lambda: self.is_running() or self.process.poll() is not None, deadline, lambda: f"start-up of\n{self.output}")
        assert self.process.poll() is None, f"the broker ended with {self.process.returncode}:\n{self.output}"
        return self

    def launch(self) -> None:
        """Starts the process without waiting for its listeners."""
        self._lines = []
        self.process = subprocess.Popen(
            [*self.wrapper, binary(), "start", "--config", str(self.config)], cwd=self.folder, env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        self._readers = [threading.Thread(target=self._read, args=(stream,), daemon=True)
                         for stream in (self.process.stdout, self.process.stderr)]
        for reader in self._readers:
            reader.start()

    def _read(self, stream) -> None:
        for line in stream:
            self._lines.append(line.decode("utf-8", "replace"))

    def is_running(self) -> bool:
        return any(RUNNING.search(line) for line in list(self._lines))

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        """Standard output and error so far, mixed by line."""
        return "".join(list(self._lines))

    def wait_for_output(self, pattern: str, deadline=5.0, since: int = 0) -> re.Match:
        """Waits for a match after the first `since` characters of the output."""
        return wait_for(lambda: re.search(pattern, self.output[since:]), deadline, lambda: f"/{pattern}/ in\n{self.output[since:]}")

    def exit_code(self, deadline=20.0) -> int:
        code = self.process.wait(timeout=deadline)
        for reader in self._readers:
            reader.join(timeout=5)
        return code

    def terminate(self, deadline=30.0) -> None:
        """SIGTERM; the broker must drain and end with 0 and without a trace of a crash."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.exit_code(deadline)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running {deadline} s after SIGTERM:\n{self.output}") from None
        assert code == 0, f"exit code {code} after SIGTERM:\n{self.output}"
        self.check_no_crash()

    def kill(self) -> None:
        """kill -9, as a power cut would be for the process."""
        self.process.kill()
        self.exit_code()

    def check_no_crash(self) -> None:
        found = CRASH.search(self.output)
        assert not found, f"{found[0]!r} in the output:\n{self.output[-6000:]}"

    def close(self) -> None:
        """Ends whatever is left and removes the folder; for fixtures, after the checks."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    # ---------------------------------------------------------------- rules, control, figures

    def write_rules(self, name: str, text: str) -> None:
        """Writes a rule file as an editor does: a new file renamed over the old one."""
        new = self.rules_folder / f".{name}.new"
        new.write_text(text)
        new.rename(self.rules_folder / name)

    def ctl(self, *arguments: str, check=True) -> subprocess.CompletedProcess:
        # `ctl --config FILE …`: the file's own node is the one that is spoken to.
        return run_sluice("ctl", "--config", str(self.config), *arguments, check=check, env=self.environment)

    def ctl_json(self, *arguments: str):
        result = self.ctl(*arguments, "--json")
        return json.loads(result.stdout)

    def rule(self, rule_id: str) -> dict:
        """The counters of a rule, flattened: {"matched": 3, "failed.exception": 0, …}."""
        return counters(self.ctl_json("rules", "show", rule_id))

    def sink(self, sink_id: str) -> dict:
        return counters(self.ctl_json("sinks", "show", sink_id))

    def rss_kb(self) -> int:
        """Resident memory; 0 for a process that is just ending."""
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())
        return int(found[1]) if found else 0


def counters(value, prefix="") -> dict:
    """All numbers in a JSON value by dotted path; the containers `metrics` are left out of it."""
    result = {}
    if isinstance(value, list):
        value = {str(index): item for index, item in enumerate(value)}
    for key, item in value.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(item, (dict, list)):
            result.update(counters(item, prefix if key == "metrics" else name))
        elif isinstance(item, (int, float)) and not isinstance(item, bool):
            result[name] = item
    return result


def run_sluice(*arguments: str, check=True, timeout=30, env=None, cwd=None) -> subprocess.CompletedProcess:
    """Runs a command to its end. A crash fails whatever was expected; `check` also wants exit code 0."""
    result = subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=timeout, cwd=cwd,
                            env=env or clean_environment(), stdin=subprocess.DEVNULL)
    text = result.stdout + result.stderr
    assert result.returncode >= 0 and not CRASH.search(text), f"crash ({result.returncode}) of {arguments}:\n{text}"
    if check:
        assert result.returncode == 0, f"exit code {result.returncode} of {arguments}:\n{text}"
    return result
