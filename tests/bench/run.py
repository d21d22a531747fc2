"""Run every benchmark of this folder: python tests/bench/run.py [--small] [--aws PATH] [NAME ...]

Each prints superfeed's figure, its peer's in the same run, and the ratio; all of them together take
half an hour. --small only shows that they work. Wall times mean little on a machine that does
something else: trust CPU and ratios. MB are the command's own; where others it started held more,
the largest of them and all together stand in brackets. The benchmark of real documents wants a
folder of them: --corpus FOLDER.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from measuring import machine

HERE = Path(__file__).resolve().parent
SMALL = {  # what makes each one quick
    "startup": ["--rounds", "1"],
    "collect": ["--feeds", "6", "--warm", "1"],
    "corpus_report": [HERE.parent / "hostile"],
    "deploy": ["--files", "40"],
    "hot": ["--feeds", "2"],
    "repository": ["30", "3"],
}


def options(name: str, args: argparse.Namespace) -> list[object] | None:
    """What a benchmark is called with; None when it lacks what it needs."""
    if args.small:
        return [*SMALL.get(name, [])]
    if name == "deploy" and args.aws:
        return ["--aws", args.aws]
    if name in ("collect", "hot") and args.corpus:
        return ["--corpus", args.corpus]
    if name == "corpus_report":
        return [args.corpus] if args.corpus else None
    return []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--aws", help="the aws command, if it is not on PATH")
    parser.add_argument("--corpus", type=Path, help="a folder of real feed documents")
    parser.add_argument("names", nargs="*", help=", ".join(SMALL))
    args = parser.parse_args()
    failed = []
    print(machine())
    for name in args.names or SMALL:
        wanted, started = options(name, args), time.monotonic()
        if wanted is None:
            print(f"\n== {name} is left out: it reads real documents, see --corpus")
            continue
        print(f"\n== {name}", flush=True)
        command = [sys.executable, HERE / f"{name}.py", *wanted]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
        print(f"({time.monotonic() - started:.0f} s)")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
