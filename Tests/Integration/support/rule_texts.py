"""Rule files that several tests use, and reading what a file sink wrote."""

import json
from pathlib import Path


def file_rule(name: str, filter_: str, *, select="*", where="", extra="") -> str:
    """A rule that writes each message to lines in `<name>.jsonl`."""
    condition = f" WHERE {where}" if where else ""
    return f"""
version: 1
actions:
  file:
    {name}:
      path: "{name}.jsonl"
      batch: {{max_messages: 100, max_wait: 20ms}}
{extra}
rules:
  {name}:
    sql: |
      SELECT {select} FROM "{filter_}"{condition}
    actions: ["file:{name}"]
"""


def webhook_rule(name: str, filter_: str, url: str, *, options="", select="clientid, payload.n as n") -> str:
    """A rule that posts each message; `options` are lines of the action at six spaces."""
    return f"""
version: 1
connectors:
  http:
    {name}:
      url: "{url}"
actions:
  http:
    {name}:
      connector: {name}
      parameters: {{method: post, path: /hook}}
      retry: {{initial: 50ms, max: 400ms}}
      circuit_breaker: {{open_for: 500ms}}
      buffer: {{mode: memory, max_bytes: 64MB}}
{options}
rules:
  {name}:
    sql: |
      SELECT {select} FROM "{filter_}"
    actions: ["http:{name}"]
"""


def republish_rule(name: str, filter_: str, topic: str, payload="${payload}", qos=1) -> str:
    return f"""
version: 1
rules:
  {name}:
    sql: |
      SELECT * FROM "{filter_}"
    actions:
      - function: republish
        args: {{topic: "{topic}", payload: "{payload}", qos: {qos}}}
"""


def sink_bytes(folder: Path, stem: str) -> bytes:
    """Everything that a file sink wrote to files whose names begin with `stem`, in name order."""
    files = sorted(path for path in Path(folder).rglob(f"{stem}*") if path.is_file() and path.suffix != ".yaml")
    return b"".join(path.read_bytes() for path in files)


def sink_lines(folder: Path, stem: str) -> list:
    """The complete lines as JSON; a last line without its newline is not counted."""
    return [json.loads(line) for line in sink_bytes(folder, stem).split(b"\n")[:-1]]
