"""The benchmarks run; what they measure is no test's business."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent / "bench"
sys.path.append(str(BENCH))

from run import SMALL  # noqa: E402


def run(*argv):
    command = [sys.executable, BENCH / "run.py", "--small", *argv]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_every_benchmark_is_run_and_has_a_small_size():
    assert {path.stem for path in BENCH.glob("*.py")} - {"run", "measuring"} == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_runs(name):
    done = run(name)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") > 4


def test_a_benchmark_that_fails_is_named():
    done = run("none-of-them")
    assert done.returncode == 1
    assert "failed: none-of-them" in done.stderr
