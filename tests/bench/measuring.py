"""What a command takes: wall and CPU seconds, memory, and what it said; for the benchmarks here.

Memory is said three times. `own_mb` is the peak of the command's own process, `largest_mb` that of
the largest one it started (getrusage knows no other: superfeed's is often hugo's). `all_mb` is what
all of them held at once, shared pages counted once: looked at every 30 ms, so a lower bound, and on
Linux only.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# In a process of its own and a small one: the peak of a child counts what it was forked from.
LAUNCHER = """
import json, os, sys, time
told, *argv = sys.argv[1:]
begun = time.monotonic()
child = os.posix_spawnp(argv[0], argv, os.environ)
_, status, used = os.wait4(child, 0)
wall = time.monotonic() - begun
code, cpu = os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
with open(told, "w") as file:
    json.dump([code, wall, cpu, used.ru_maxrss], file)
"""
RSS_BYTES = 1 if sys.platform == "darwin" else 1024  # the unit of ru_maxrss
LOOK_EVERY_S = 0.03


@dataclass(frozen=True)
class Figure:
    """What one command took."""

    wall_s: float
    cpu_s: float
    own_mb: float
    largest_mb: float
    all_mb: float
    out: str = ""


def measure(*command: object, cwd: Path, env: Mapping[str, str] | None = None) -> Figure:
    """Run a command to its end, all its children counted; exits when it fails."""
    told, said, erred = (cwd / f"measured.{name}" for name in ("json", "out", "err"))
    argv = [sys.executable, "-I", "-S", "-c", LAUNCHER, told, *command]
    with said.open("wb") as out, erred.open("wb") as err:
        process = subprocess.Popen(
            [str(part) for part in argv],
            cwd=cwd,
            env=dict(env) if env else None,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
        looked = _watch(process)
    code, wall_s, cpu_s, rss = json.loads(told.read_text())
    if code:
        words = " ".join(str(part) for part in command[:6])
        sys.exit(f"{words} ...: exit {code}\n{erred.read_text()[-2000:]}")
    largest_mb = rss * RSS_BYTES / 1e6
    own_mb = largest_mb if looked.is_own_largest else looked.own_mb
    return Figure(wall_s, cpu_s, own_mb, largest_mb, looked.all_mb, said.read_text().strip())


@dataclass
class Looked:
    """What was seen of a command's memory while it ran."""

    own_mb: float = 0.0
    other_mb: float = 0.0  # the largest of those it started
    all_mb: float = 0.0

    @property
    def is_own_largest(self) -> bool:
        return self.own_mb >= self.other_mb


def _watch(launcher: subprocess.Popen[bytes]) -> Looked:
    looked = Looked()
    while launcher.poll() is None:
        for pid in children(launcher.pid):
            others = descendants(pid)
            looked.own_mb = max(looked.own_mb, memory_mb(pid, "status", "VmHWM:"))
            peaks = [memory_mb(other, "status", "VmHWM:") for other in others]
            looked.other_mb = max([looked.other_mb, *peaks])
            held = [memory_mb(one, "smaps_rollup", "Pss:") for one in (pid, *others)]
            looked.all_mb = max(looked.all_mb, sum(held))
        time.sleep(LOOK_EVERY_S)
    return looked


def memory_mb(pid: int, file: str, name: str) -> float:
    """Read a line of a process's /proc; 0 when it has gone, or where there is no /proc."""
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0) * 1024 / 1e6


def descendants(pid: int) -> list[int]:
    return [one for child in children(pid) for one in (child, *descendants(child))]


def children(pid: int) -> list[int]:
    try:
        return [int(name) for name in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def show(name: str, figure: Figure, peer: Figure | None = None, of: str = "", unit="s") -> None:
    """Print a line: the figure, in s or ms, and what share of its peer's it is."""
    times, digits = (1, 2) if unit == "s" else (1000, 0)
    wall, cpu = (f"{part * times:7.{digits}f} {unit}" for part in (figure.wall_s, figure.cpu_s))
    cost = f"{wall} {cpu} CPU {figure.own_mb:5.0f} MB"
    more = {"largest": figure.largest_mb, "all": figure.all_mb}
    told = [f"{name} {mb:.0f}" for name, mb in more.items() if mb > figure.own_mb * 1.1]
    cost += f" ({', '.join(told)})" if told else ""
    ratio = ""
    if peer:
        shares = figure.wall_s / peer.wall_s, figure.cpu_s / peer.cpu_s
        ratio = "{:.2f} x wall, {:.2f} x CPU".format(*shares) + f" of {of}" * bool(of)
    print(f"{name:38} {cost:52} {ratio}".rstrip(), flush=True)


def missing(name: str, why: str) -> None:
    print(f"{name} is left out: {why}", flush=True)


def machine() -> str:
    """Name, CPU, cores and memory of this machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.partition(":")[2].strip() for line in lines if line[:10] == "model name")
    except (OSError, StopIteration):
        cpu = platform.processor() or platform.machine()
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    place = f"{platform.node()}: {cpu}, {os.cpu_count()} cores, {memory_gb:.0f} GB"
    load = os.getloadavg()[0]
    return f"{place}, {platform.platform()}, Python {platform.python_version()}, load {load:.1f}"
