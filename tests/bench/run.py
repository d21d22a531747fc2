"""Run every benchmark of this folder: python tests/bench/run.py [--small] [NAME ...]

Each prints superfeed's figure, its peer's in the same run, and the ratio. --small only shows that
they work. Wall times mean little on a machine that does something else: trust CPU and ratios.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SMALL = {  # what makes each one quick
    "collect": ["--feeds", "20"],
    "deploy": ["--files", "200"],
    "repository": ["200", "10"],
}
NEEDS_A_FOLDER = {"corpus_report"}  # of real documents, which are not part of the project


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    found = sorted(path.stem for path in HERE.glob("*.py") if path != Path(__file__).resolve())
    failed = []
    print(f"{platform.platform()}, {platform.machine()}, Python {platform.python_version()}")
    for name in args.names or [name for name in found if name not in NEEDS_A_FOLDER]:
        print(f"\n== {name}", flush=True)
        options = SMALL.get(name, []) if args.small else []
        command = [sys.executable, HERE / f"{name}.py", *options]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
