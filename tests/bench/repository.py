"""How the repository grows: so many hourly commits of ten posts each, in a site of many posts.

python tests/bench/repository.py [POSTS [COMMITS]]
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from measuring import RSS_BYTES, machine

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import superfeed

PER_COMMIT = 10
START = datetime(2026, 1, 1, tzinfo=UTC)


def write_post(section: Path, number: int) -> str:
    """Write a post as superfeed does; return its path below the section."""
    date = START + timedelta(minutes=6 * number)
    link = f"https://feed{number % 500}.example/{number}/"
    excerpt = f"Entry {number} says something of its own, in about as many words as most do. " * 3
    entry = superfeed.Entry(
        link, link, f"Entry {number} of a feed", date, None, excerpt=excerpt, body=excerpt
    )
    feed = superfeed.feed_id(f"https://feed{number % 500}.example/")
    keys = superfeed.entry_keys(feed, entry)
    path = f"{date:%Y/%m}/entry-{number}-{number:012x}.md"
    post = superfeed.Post(path, feed, keys, link, entry.title, date, None, undated=False)
    source = superfeed.Source("A feed", "https://feed.example/", f"https://feed{number}.example/")
    metadata = superfeed.front_matter(entry, source, post)
    superfeed.write_whole(
        section / path, superfeed.dump_post(metadata, superfeed.post_body(entry, source))
    )
    return path


def size_mb(folder: Path) -> float:
    """Add up the files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main(posts: int, commits: int) -> None:
    """Print the size of .git before and after, and what a commit costs."""
    with tempfile.TemporaryDirectory() as made:
        site = Path(made)
        env = superfeed.git_environment("", "", "Bench <bench@localhost>")
        checkout = superfeed.Checkout(site, "main", env)
        checkout.git("init", "-q", "-b", "main")
        section = site / "content" / "feeds"
        paths = [f"content/feeds/{write_post(section, number)}" for number in range(posts)]
        checkout.commit(paths, "all of them")
        checkout.git("gc", "-q")
        before, start = size_mb(site / ".git"), time.monotonic()
        for number in range(posts, posts + commits * PER_COMMIT, PER_COMMIT):
            new = [write_post(section, n) for n in range(number, number + PER_COMMIT)]
            checkout.commit([f"content/feeds/{path}" for path in new], f"{PER_COMMIT} new entries")
        seconds, after = time.monotonic() - start, size_mb(site / ".git")
        checkout.git("gc", "-q")
        packed = size_mb(site / ".git")
    own, largest = (
        resource.getrusage(whose).ru_maxrss * RSS_BYTES / 1e6
        for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(machine())
    print(f".git with {posts:,} posts: {before:.1f} MB")
    print(f"after {commits:,} commits of {PER_COMMIT}: {after:.1f} MB, {packed:.1f} packed")
    print(
        f"a commit: {seconds / commits * 1000:.0f} ms, {(packed - before) / commits * 1000:.1f} kB"
    )
    print(f"peak memory: {own:.0f} MB itself, {largest:.0f} MB the largest git (gc)")


if __name__ == "__main__":
    main(*(int(text) for text in [*sys.argv[1:], "20000", "500"][:2]))
