"""Start superfeed: --help, and a run with one feed and no news, beside what Python itself takes.

    python tests/bench/startup.py [--rounds 20]

Every round runs each command once; the medians are printed. "Compiled" is the same file imported
with its .pyc: what a script of one file pays at every start is the difference. Then the seconds of
each stage of the run, and the imports it makes (as -X importtime sees them: slower than life).
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from collect import ROOT, Bench, FeedServer, address, document, write_posts
from measuring import Figure, machine, measure, show

PASS = "python -c pass"
IMPORTED = "import sys; sys.path.insert(0, sys.argv.pop(1)); import superfeed; superfeed.main()"
COMPILE = "compile(open({!r}).read(), 'superfeed.py', 'exec')"
LIBRARIES = "feedparser", "git", "frontmatter", "yaml", "nh3", "urllib3", "filelock"
POSTS = 40


def medians(bench: Bench, commands: Mapping[str, list[object]], rounds: int) -> dict[str, Figure]:
    """Run all of them in every round, so that what disturbs the machine disturbs all."""
    taken: dict[str, list[Figure]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            taken[name].append(measure(*command, cwd=bench.folder, env=bench.env))
    return {
        name: Figure(*(statistics.median(getattr(f, part) for f in figures) for part in PARTS))
        for name, figures in taken.items()
    }


PARTS = ("wall_s", "cpu_s", "own_mb", "largest_mb", "all_mb")


def runs(bench: Bench, port: int) -> dict[str, list[object]]:
    """A run with one feed, with and without the build; both have seen the feed already."""
    bench.list([f"http://{address(0)}:{port}/feed"])
    bench.new_site()
    write_posts(bench.site / "content" / "feeds", POSTS)
    bench.commit()
    script = [sys.executable, ROOT / "superfeed.py", "--site", bench.site, "--keep", "0"]
    script += ["--feeds", bench.folder / "feeds.txt", "--hugo", bench.hugo, "-q"]
    script += ["--report", bench.report]
    measure(*script, cwd=bench.folder, env=bench.env)
    return {
        "one feed, 304, build skipped": [*script, "--skip", "build"],
        "one feed, 304, build": script,
    }


def show_stages(bench: Bench, command: list[object]) -> None:
    figure = measure(*command, cwd=bench.folder, env=bench.env)
    report = json.loads(bench.report.read_text())
    assert report["feeds"][0]["status"] == "unchanged", report["feeds"]
    stages = {name: seconds for name, seconds in report["seconds"].items() if seconds}
    rest = figure.wall_s - sum(stages.values())
    told = ", ".join(f"{name} {seconds * 1000:.0f}" for name, seconds in stages.items())
    print(f"its stages in ms: {told}; Python, options, lock {rest * 1000:.0f}")


def show_imports(bench: Bench, command: list[object]) -> None:
    """Print what superfeed itself imports and waits 2 ms or more for, the costliest first."""
    timed = [command[0], "-X", "importtime", *command[1:]]
    done = subprocess.run(
        [str(part) for part in timed], env=bench.env, capture_output=True, text=True, check=True
    )
    after = done.stderr.partition("| site\n")[2]
    found = re.findall(r"^import time: +\d+ \| +(\d+) \| (\w[\w.]*)$", after, re.MULTILINE)
    costs = sorted(((int(us) / 1000, name) for us, name in found if int(us) >= 2000), reverse=True)
    total = sum(int(us) for us, _ in found) / 1000
    print(f"its imports, {total:.0f} ms: " + ", ".join(f"{name} {ms:.0f}" for ms, name in costs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    print(f"medians of {rounds} rounds; {machine()}")
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        copy = bench.folder / "compiled"
        copy.mkdir()
        shutil.copy(ROOT / "superfeed.py", copy)
        (bench.folder / "0.xml").write_bytes(document(0, 1))
        server = FeedServer(bench.folder, 1, latency_s=(0, 0))
        try:
            python = [sys.executable, "-c"]
            compiled = [*python, IMPORTED, copy]
            measure(*compiled, "--version", cwd=bench.folder, env=bench.env)
            parts = runs(bench, server.port)
            skipped, built = parts
            commands = {
                PASS: [*python, "pass"],
                "import configargparse": [*python, "import configargparse"],
                "compile superfeed.py": [*python, COMPILE.format(str(ROOT / "superfeed.py"))],
                "superfeed --help": [sys.executable, ROOT / "superfeed.py", "--help"],
                "superfeed --help, compiled": [*compiled, "--help"],
                "import the libraries a run needs": [*python, f"import {', '.join(LIBRARIES)}"],
                **parts,
                f"{skipped}, compiled": [*compiled, *parts[skipped][2:]],
                "hugo alone": [bench.hugo, "--quiet", "-s", bench.site, "-d", bench.folder / "p"],
            }
            figures = medians(bench, commands, rounds)
            for command, figure in figures.items():
                show(command, figure, figures[PASS], unit="ms")
            show_stages(bench, parts[built])
            show_imports(bench, commands["superfeed --help"])
            show_imports(bench, parts[skipped])
        finally:
            server.close()


if __name__ == "__main__":
    main()
