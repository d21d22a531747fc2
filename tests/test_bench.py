"""The benchmarks run; what they measure is no test's business."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent / "bench"
SMALL = {
    "collect": ["--feeds", "12"],
    "deploy": ["--files", "60"],
    "repository": ["30", "3"],
    "corpus_report": [str(Path(__file__).parent / "hostile")],
}


def test_every_benchmark_has_a_small_size_here():
    assert {path.stem for path in BENCH.glob("*.py")} - {"run"} == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_runs(name):
    command = [sys.executable, BENCH / f"{name}.py", *SMALL[name]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") > 2
