"""What an evaluation allocates, counted in the optimised engine."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / ".build/release/RuleBench"


@pytest.mark.skipif(not BENCH.exists(), reason="RuleBench is not built")
def test_a_where_that_is_false_allocates_nothing(tmp_path):
    library = tmp_path / "malloc_count.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, ROOT / "scripts/malloc_count.c"], check=True,
                   timeout=60)
    result = subprocess.run(
        [BENCH, "--json", "--only", "allocations"], cwd=ROOT, capture_output=True, text=True, timeout=60,
        env={**os.environ, "LD_PRELOAD": str(library), "MALLOC_COUNT_FILE": str(tmp_path / "count")})
    assert result.returncode == 0, result.stderr
    rows = {row["name"]: row["reached"] for row in json.loads(result.stdout)}
    assert rows["false allocations"] == 0
    assert rows["path allocations"] == 0


@pytest.mark.skipif(not BENCH.exists(), reason="RuleBench is not built")
def test_a_hundred_rules_on_a_topic_scan_the_payload_once():
    result = subprocess.run([BENCH, "--json", "--runs", "1", "--only", "payload scans"], cwd=ROOT,
                            capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert [row["reached"] for row in json.loads(result.stdout)] == [1]
