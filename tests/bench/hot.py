"""Where superfeed's own CPU goes while it parses: the functions that take most of it.

    python tests/bench/hot.py [--feeds 100] [--corpus FOLDER] [--top 15]

In one process and under cProfile, which makes small functions look about twice as dear as they
are; so the seconds without it stand above, and what counts is the order. Time is a function's
own, without what it calls.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import io
import logging
import pstats
import resource
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from collect import ROOT, document
from measuring import machine

import superfeed

TIMEOUT_S = 60


def parse(paths: Iterable[Path]) -> int:
    """Read documents as a run does, to the text of a post for every entry."""
    entries = 0
    for path in paths:
        url = f"https://feeds.example/{path.name}"
        kind = "application/json" if path.suffix == ".json" else "text/xml"
        try:
            found = superfeed.read_document(path, kind, url, "summary", TIMEOUT_S)
        except superfeed.FeedError:
            continue
        source = superfeed.Source(found.title or "A feed", found.site or url, url)
        feed = superfeed.feed_id(url)
        entries += len(found.entries)
        for entry in found.entries:
            write(entry, source, feed)
    return entries


def write(entry: superfeed.Entry, source: superfeed.Source, feed: str) -> str:
    keys = superfeed.entry_keys(feed, entry)
    date = entry.published or entry.updated or superfeed.datetime(2026, 1, 1, tzinfo=superfeed.UTC)
    path = "2026/01/a.md"
    post = superfeed.Post(path, feed, keys, entry.link, entry.title, date, None, undated=False)
    head = superfeed.front_matter(entry, source, post)
    return superfeed.dump_post(head, superfeed.post_body(entry, source))


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def place(where: tuple[str, int, str]) -> str:
    """A function as `file:line name`, the file below its package's folder."""
    file, line, name = where
    if not line:
        return name
    path = Path(file)
    shown = path.name if path.parent == ROOT else f"{path.parent.name}/{path.name}"
    return f"{shown}:{line} {name}"


def report(title: str, paths: list[Path], top: int) -> None:
    with contextlib.redirect_stderr(io.StringIO()):
        parse(paths[:1])  # the imports
        before = cpu_s()
        entries = parse(paths)
        plain_s = cpu_s() - before
        profile = cProfile.Profile()
        profile.runcall(parse, paths)
    stats = pstats.Stats(profile)
    rows = sorted(stats.stats.items(), key=lambda row: -row[1][2])
    print(f"\n{title}: {len(paths)} documents, {entries} entries, {plain_s:.2f} s CPU")
    print(f"{'own':>7}{'share':>7}{'with calls':>12}{'calls':>11}")
    for where, (_, calls, own_s, all_s, _) in rows[:top]:
        share = own_s / stats.total_tt
        print(f"{own_s:6.2f}s{share:7.1%}{all_s:11.2f}s{calls:11,}  {place(where)}")
    own = [row for row in stats.stats.items() if Path(row[0][0]).name == "superfeed.py"]
    print("superfeed's functions, with what they call:")
    for where, (_, calls, _, all_s, _) in sorted(own, key=lambda row: -row[1][3])[:top]:
        print(f"{'':14}{all_s:11.2f}s{calls:11,}  {place(where)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--feeds", type=int, default=100)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--top", type=int, default=15)
    args = parser.parse_args()
    logging.disable()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}.xml") for number in range(args.feeds)]
        for number, path in enumerate(paths):
            path.write_bytes(document(number, 28))
        report("made", paths, args.top)
    if args.corpus:
        real = sorted(path for path in args.corpus.rglob("*") if path.is_file())
        report(str(args.corpus), real, args.top)


if __name__ == "__main__":
    sys.exit(main())
