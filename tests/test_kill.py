"""Whenever a run dies, the next one finishes the work."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from support.feedmaker import START, items, rss
from support.script import Workplace
from support.web import silent

import superfeed

KILLER = Path(__file__).parent / "support" / "killer.py"
POINTS, GROUPS = 60, 4
MAIN_SECTIONS = '\n[params]\nmainSections = ["posts"]\n'


@pytest.fixture
def place(workplace, moto) -> Workplace:
    """A site with two feeds, a bucket and a cache in front of it, once published."""
    settle(workplace)
    workplace.moto, workplace.distribution = moto, moto.distribution()
    workplace.flags["--cloudfront"] = workplace.distribution
    workplace.env |= moto.env
    workplace.feeds = [workplace.web.feed(f"/{name}.xml") for name in "ab"]
    turn(workplace, 0)
    workplace.run().ok()
    return workplace


def settle(workplace):
    """Give the site a main section, so that nothing is left to be warned of."""
    config = workplace.origin.read("hugo.toml")
    workplace.origin.commit({"hugo.toml": config + MAIN_SECTIONS}, "Main section")


def turn(place, number):
    """The news of one turn: an entry comes, another changes, the second feed comes or goes."""
    entries = items(3 + number, "alpha")
    entries[-1].updated = START - timedelta(hours=1) + timedelta(seconds=number)
    entries[-1].body = f"<p>Version {number}</p>"
    place.feeds[0].body = rss(entries)
    place.feeds[1].body = rss(items(2, "beta"))
    place.feeds_txt([feed.url for feed in place.feeds[: 1 + number % 2]])


def run_killed(place, tmp_path, nth=0, seconds=0.0) -> int:
    """A run that is killed before its nth act, or after some seconds; how many acts it was."""
    count = tmp_path / "count"
    count.write_text("0")
    flags = [part for pair in place.flags.items() if pair[1] for part in pair]
    started = subprocess.Popen(
        [sys.executable, KILLER, str(nth), count, place.script.path, *flags],
        env=place.script.env | place.env | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    if seconds:
        time.sleep(seconds)
        started.kill()
    _, err = started.communicate(timeout=60)
    assert started.returncode in (0, -signal.SIGKILL), err.decode()
    return int(count.read_text())


def assert_finished(place, before, purges):
    """Origin, bucket and checkout agree; whatever changed in the bucket was purged."""
    site = place.site
    public = {
        path.relative_to(site / "public").as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in (site / "public").rglob("*")
        if path.is_file()
    }
    bucket = place.bucket.listing()
    assert bucket == public
    changed = {key for key in bucket.keys() | before.keys() if bucket.get(key) != before.get(key)}
    paid = place.moto.invalidations(place.distribution)[purges:]
    purged = {path for paths in paid for path in paths}
    assert "/*" in purged or {address_of(key) for key in changed} <= purged
    assert set(place.origin.files("content/feeds")) == {
        path.relative_to(site).as_posix() for path in (site / "content/feeds").rglob("*.md")
    }
    assert not list(site.parent.glob("site.superfeed-*"))
    assert {path.name for path in place.script.tmp.iterdir()} <= {"hugo_cache"}  # hugo's own


def address_of(key) -> str:
    return "/" + key.removesuffix("index.html")


def content(place) -> dict[str, str]:
    """All that superfeed wrote, as the origin has it."""
    found = place.origin.files("content/feeds") + place.origin.files("data/superfeed")
    return {path: place.origin.read(path) for path in found}


@pytest.mark.parametrize("group", range(GROUPS))
def test_a_run_killed_at_any_point_is_finished_by_the_next(place, tmp_path, group):
    """60 points in all, spread over the acts of a run; each group starts with a whole one."""
    turn(place, 1)
    acts = run_killed(place, tmp_path)
    assert acts > POINTS
    for number, point in enumerate(range(group, POINTS, GROUPS), 2):
        before = place.bucket.listing()
        purges = len(place.moto.invalidations(place.distribution))
        turn(place, number)
        run_killed(place, tmp_path, nth=1 + point * acts // POINTS)
        place.run().ok()
        assert_finished(place, before, purges)
    assert content(place) == content_of_an_uninterrupted_run(place, tmp_path)


def test_a_run_killed_at_any_moment_is_finished_by_the_next(place, tmp_path):
    for number in range(1, 7):
        before = place.bucket.listing()
        purges = len(place.moto.invalidations(place.distribution))
        turn(place, number)
        run_killed(place, tmp_path, seconds=random.uniform(0.2, 1.5))
        place.run().ok()
        assert_finished(place, before, purges)
    assert content(place) == content_of_an_uninterrupted_run(place, tmp_path)


def content_of_an_uninterrupted_run(place, tmp_path):
    """What a superfeed on another machine makes of the same feeds, on an origin without posts."""
    first = place.origin.log(form="%H")[-2]  # the site, and its main section
    twin = place.origin.copy(tmp_path / "twin" / "site.git")
    subprocess.run(["git", "update-ref", "refs/heads/main", first], cwd=twin.path, check=True)
    flags = ("--repo", twin.url, "--site", tmp_path / "twin" / "site")
    place.script(*flags).ok()
    origin, place.origin = place.origin, twin
    try:
        return content(place)
    finally:
        place.origin = origin


# ---------------------------------------------------------------- SIGTERM and Ctrl-C

SIGNALS = [(signal.SIGTERM, 143, "SIGTERM"), (signal.SIGINT, 130, "SIGINT")]


def hold(place, name, when):
    """Let a program wait where its arguments hold a word; the file that tells it is there."""
    real = (place.script.bin / name).resolve()
    mark = place.script.home / f"{name}-waits"
    place.script.tool(name, None)
    path = place.script.bin / name
    path.write_text(
        f'#!/bin/sh\ncase " $* " in *" {when} "*) [ -e {mark} ] || {{ echo $$ > {mark}; '
        f'sleep 300 & echo $! >> {mark}; wait; }};; esac\nexec {real} "$@"\n'
    )
    path.chmod(0o755)
    return mark


def holds(place, where):
    """Make a run stand still in a stage; returns what tells that it does, and the children."""
    if where == "fetching":
        place.web.serve("/a.xml", silent)
        return lambda: place.web.asked("/a.xml"), list
    if where == "uploading":
        place.s3.web.fallback = silent
        return lambda: place.s3.web.requests, list
    program, word = where.split(" ", 1)
    mark = hold(place, program, word)
    return (
        lambda: mark.exists() and mark.read_text().count("\n") == 2,
        lambda: mark.read_text().split(),
    )


@pytest.mark.parametrize(("number", "code", "name"), SIGNALS)
@pytest.mark.parametrize(
    "where", ["git fetch", "fetching", "git commit-tree", "git push", "hugo --gc", "uploading"]
)
def test_a_run_that_is_stopped_says_so_in_one_line_and_leaves_nothing(
    workplace, where, number, code, name
):
    place = workplace
    settle(place)
    feed = place.web.feed("/a.xml", rss(items(2)))
    place.feeds_txt([feed.url])
    place.run().ok()
    feed.body = rss(items(3))
    place.s3.forget()
    place.s3.web.requests.clear()
    asked = len(place.web.asked("/a.xml"))
    fallback = place.s3.web.fallback
    there, children = holds(place, where)
    flags = [part for pair in place.flags.items() for part in pair]
    started = place.script.start(*flags, env=place.env)
    give_up = time.monotonic() + 60
    while not there() or (len(place.web.asked("/a.xml")) == asked and where == "fetching"):
        assert time.monotonic() < give_up
        time.sleep(0.02)
    started.send_signal(number)
    result = place.script.finish(started, timeout=30)
    assert result.code == code, str(result)
    assert result.err == f"superfeed: stopped by {name} (the next run goes on)\n"
    assert not [pid for pid in children() if alive(pid)]
    names = {path.name for path in place.site.parent.iterdir()}
    assert names == {"feeds.txt", "site", "site.lock", "superfeed.py"} | names & {"__pycache__"}
    assert {path.name for path in place.script.tmp.iterdir()} <= {"hugo_cache"}  # hugo's own
    assert not list((place.site / ".git").rglob("*.lock"))
    assert not list(place.site.rglob("*.superfeed-new"))
    place.web.serve("/a.xml", feed)
    place.s3.web.fallback = fallback
    place.run().ok()
    assert len(place.posts()) == 3


@pytest.mark.parametrize("number", [number for number, _, _ in SIGNALS])
def test_a_run_that_is_stopped_in_its_ping_ends_without_a_word(workplace, tmp_path, number):
    """The work is done: what it did is told, on stdout and in the report."""
    place = workplace
    settle(place)
    place.feeds_txt([place.web.feed("/a.xml", rss(items(2))).url])
    flags = [part for pair in place.flags.items() for part in pair]
    flags += ["--ping", place.web.serve("/ping", silent), "--report", str(tmp_path / "r.json")]
    started = place.script.start(*flags, env=place.env)
    give_up = time.monotonic() + 60
    while not place.web.asked("/ping"):
        assert time.monotonic() < give_up
        time.sleep(0.02)
    started.send_signal(number)
    result = place.script.finish(started, timeout=5, report=tmp_path / "r.json")
    assert (result.code, result.err) == (-number, "")
    assert result.report["posts"]["new"] == 2
    assert "2 new" in result.out


STAGES = ("pull", "collect", "commit", "push", "build", "deploy", "purge")


@pytest.mark.parametrize("between", ["--dry-run", [f"--skip={name}" for name in STAGES]], ids=str)
def test_a_run_that_does_nothing_between_leaves_a_killed_one_to_be_finished(workplace, between):
    """The mark of the killed run stays until what that run left is cleared away."""
    settle(workplace)
    feed = workplace.web.feed("/a.xml", rss(items(2)))
    workplace.feeds_txt([feed.url])
    workplace.run().ok()
    feed.body = rss(items(3))
    (workplace.site / ".git/index.lock").touch()
    (workplace.script.app / f"site{superfeed.TWIN}killed").mkdir()
    workplace.run(*([between] if isinstance(between, str) else between)).ok()
    workplace.run().ok()
    assert len(workplace.posts()) == 3
    assert not (workplace.script.app / f"site{superfeed.TWIN}killed").exists()


def alive(pid) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False
