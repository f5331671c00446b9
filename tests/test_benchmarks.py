"""Benchmarks run, at toy sizes: they use the library's public names only."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

#: What can be run; the other modules are imported by these.
SCRIPTS = [path for path in BENCHMARKS.glob("*.py") if "__main__" in path.read_text()]


@pytest.mark.parametrize("script", sorted(SCRIPTS), ids=lambda path: path.stem)
def test_a_benchmark_runs_and_reports(script: Path, tmp_path: Path):
    report = tmp_path / "report.json"

    done = subprocess.run(
        [sys.executable, script, "--quick", "--json", report],
        cwd=BENCHMARKS.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(report.read_text())["rows"]
