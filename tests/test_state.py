"""The state is a cache (DESIGN §4): it may be lost, damaged or another's, and no entry with it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from datetime import UTC, datetime

import pytest
from support.feedmaker import items, rss
from support.git import git

import superfeed as sf

FLAGS = ("--skip", "build")


class Place:
    """A feed of three entries, a site, and runs without a build."""

    def __init__(self, web, origin, script):
        self.web, self.origin, self.script = web, origin, script
        self.feed = web.feed("/feed.xml", rss(items(3)), last_modified="then")
        script.write("feeds.txt", f"{self.feed.url}\n")
        self.site = script.app / "site"
        self.state = self.site / ".git" / "superfeed" / "state.json"
        self.flags = ["--repo", origin.url, *FLAGS]

    def run(self, *argv, **options):
        self.web.forget()
        return self.script(*self.flags, *argv, **options)

    def asked_in_full(self):
        (asked,) = self.web.asked("/feed.xml")
        return "If-None-Match" not in asked.headers and "If-Modified-Since" not in asked.headers

    def published(self):
        """The titles of the posts on the origin, in order."""
        paths = [p for p in self.origin.files("content/feeds/") if not p.endswith("_index.md")]
        return sorted(self.origin.read(path).split('"')[1] for path in paths)


THREE = [f"Entry {number} of alpha" for number in (1, 2, 3)]
FOUR = [*THREE, "Entry 4 of alpha"]


@pytest.fixture
def place(web, origin, superfeed):
    return Place(web, origin, superfeed)


def die_at(place, *words):
    """Let git kill the run, as a power cut would, when it is called with these words."""
    real = (place.script.bin / "git").resolve()
    place.script.tool("git", None)
    shim = place.script.bin / "git"
    shim.write_text(f'#!/bin/sh\n[ "$1" = {words[0]} ] && kill -9 $PPID\nexec {real} "$@"\n')
    shim.chmod(0o755)
    result = place.run()
    place.script.tool("git", real)
    assert result.code == -signal.SIGKILL
    return result


def test_a_run_with_no_news_is_a_304(place):
    place.run().ok()
    again = place.run().ok()
    assert not place.asked_in_full()
    assert again.report["feeds"][0]["status"] == "unchanged"
    assert again.report["posts"] == {
        "new": 0, "updated": 0, "removed": 0, "set_aside": 0, "total": 3
    }  # fmt: skip


@pytest.mark.parametrize("stage", ["update-index", "push"])
def test_a_run_killed_before_its_posts_are_safe_loses_nothing(place, stage):
    place.run().ok()
    place.feed.body = rss(items(4))
    die_at(place, stage)
    place.run().ok()
    assert place.published() == FOUR


def test_posts_that_never_got_committed_come_again(place):
    """The validators of what was fetched are saved with the commit, not before."""
    place.run().ok()
    place.feed.body = rss(items(4))
    die_at(place, "update-index")
    subprocess.run(["git", "clean", "-qfd", "content"], cwd=place.site, check=True)
    place.run().ok()
    assert place.published() == FOUR


def test_a_state_elsewhere_is_saved_after_the_push(place):
    state = place.script.app / "elsewhere" / "state.json"
    place.flags += ["--state", str(state)]
    place.run().ok()
    assert not place.state.exists()
    place.feed.body = rss(items(4))
    die_at(place, "push")
    while place.site.exists():  # the git it left behind may still write there
        shutil.rmtree(place.site, ignore_errors=True)
    place.run().ok()
    assert place.published() == FOUR
    assert state.exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text + "x",
        lambda text: "\0" * len(text),
        lambda _text: "null",
        lambda _text: "[]",
        lambda _text: "{}",
        lambda text: sf.sealed(text.replace(":1,", ":2,", 1).rpartition(',"sha256"')[0]),
        lambda text: text.replace('"hosts"', '"moons"'),
        lambda text: text.replace('"failures":0', '"failures":"many"'),
        lambda text: text.replace("}", "} ", 1),
    ],
)
def test_a_state_that_cannot_be_used_is_set_aside(damage, caplog, monkeypatch, tmp_path):
    text = sf.state_text(sf.State(feeds={"a": sf.FeedState(etag='"1"')}, hosts={"a": ""}))
    assert sf.parse_state(text).feeds["a"].etag == '"1"'
    store = sf.FileStore(tmp_path / "state.json")
    store.write(damage(text))
    monkeypatch.setattr(sf.log, "propagate", True)
    assert sf.load_state(store) == sf.State()
    (warning,) = caplog.records
    assert str(store.path) in warning.message
    assert not store.path.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["state.json.damaged"]


@pytest.mark.parametrize("damage", ["deleted", "truncated", "newer"])
def test_a_lost_state_costs_one_full_fetch(place, damage):
    place.run().ok()
    text = place.state.read_text()
    place.state.unlink()
    if damage == "truncated":
        place.state.write_text(text[:-50])
    elif damage == "newer":
        place.state.write_text(json.dumps(json.loads(text) | {"version": 99}))
    place.feed.body = rss(items(4))
    result = place.run().ok()
    assert place.asked_in_full()
    assert result.err.count("the state in") == (damage != "deleted")
    assert place.published() == FOUR
    result = place.run().ok()
    assert not place.asked_in_full()
    assert result.err == ""


def test_a_lost_state_makes_no_commit(place):
    place.run().ok()
    before = place.origin.head()
    place.state.unlink()
    place.run().ok()
    assert place.origin.head() == before


def test_a_state_of_another_checkout_is_void(place, tmp_path):
    state = tmp_path / "shared.json"
    place.run("--state", state).ok()
    other = place.script.app / "other"
    copy = copy_without_posts(place, tmp_path)
    place.run("--state", state, "--repo", copy, "--site", other).ok()
    assert place.asked_in_full()
    assert len(list(other.glob("content/feeds/20*/*/*.md"))) == 3


def copy_without_posts(place, tmp_path):
    """The owner's site as it was before superfeed, at another address."""
    first = place.origin.log(form="%H")[-1]
    copy = tmp_path / "copy.git"
    subprocess.run(["git", "clone", "-q", "--bare", place.origin.url, copy], check=True)
    subprocess.run(["git", "update-ref", "HEAD", first], cwd=copy, check=True)
    return copy.as_uri()


def test_a_history_that_was_undone_upstream_brings_a_full_fetch(place, tmp_path):
    state = tmp_path / "state.json"
    place.run("--state", state).ok()
    first = place.origin.log(form="%H")[-1]
    subprocess.run(["git", "update-ref", "HEAD", first], cwd=place.origin.path, check=True)
    subprocess.run(["rm", "-rf", place.site], check=True)
    place.run("--state", state).ok()
    assert place.asked_in_full()
    assert place.published() == THREE


@pytest.mark.parametrize("flag", [("--keep", "30"), ("--content", "full"), ("--section", "news")])
def test_other_settings_bring_a_full_fetch(place, flag):
    place.run().ok()
    place.run(*flag).ok()
    assert place.asked_in_full()
    place.run(*flag).ok()
    assert not place.asked_in_full()


def test_the_state_may_be_an_s3_object(place, bucket):
    place.flags += ["--state", f"{bucket.url}/deep/state.json", "--endpoint-url", bucket.endpoint]
    place.run(env=bucket.env).ok()
    assert place.asked_in_full()
    subprocess.run(["rm", "-rf", place.site], check=True)
    result = place.run(env=bucket.env).ok()
    assert result.report["feeds"][0]["http"] == 304
    assert result.report["posts"]["total"] == 3
    bucket.client.put_object(Bucket=bucket.name, Key="deep/state.json", Body=b'{"version": 99}')
    result = place.run(env=bucket.env).ok()
    assert result.err.count("the state in s3://") == 1
    assert place.asked_in_full()
    assert not place.run(env=bucket.env).ok().err


def test_a_state_that_cannot_be_written_says_so(place):
    blocked = place.script.write("a-file", "x") / "state.json"
    place.run("--state", blocked).fails(1, "a-file/state.json", "see --state")


def test_a_failed_write_leaves_the_old_state(tmp_path, monkeypatch):
    store = sf.FileStore(tmp_path / "state.json")
    store.write("old")

    def full_disk(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sf.Path, "replace", full_disk)
    with pytest.raises(sf.SuperfeedError, match="No space left"):
        store.write("new")
    assert store.read() == "old"


# ---------------------------------------------------------------- the head of a post

TEXTS = [
    "Plain",
    'He said "no" \\ yes',
    "Ünïcödé ☂ 🎈",
    "yes",
    "012",
    "a: b # c",
    "- x",
    "tab\there",
    "no-break\u00a0space, \u2028 line, \ufeff mark, \x85 next",
    "x" * 300,
    "---",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("bare", [False, True])
def test_the_quick_look_at_a_head_sees_what_yaml_sees(tmp_path, text, bare):
    when = datetime(2026, 11, 22, 10, tzinfo=UTC)
    entry = sf.Entry(
        "" if bare else f"guid {text}", "" if bare else "https://a.example/x", text, when, None
    )
    if not bare:
        entry = sf.replace(
            entry,
            author=text,
            tags=(text, "b"),
            excerpt=text,
            image="https://i/",
            enclosure="https://e/",
        )
    source = sf.Source(text, "https://a.example/", "https://a.example/feed")
    updated = None if bare else when
    keys = () if bare else ("k1", "k2")
    post = sf.Post("p.md", sf.feed_id(source.feed), keys, entry.guid, text, when, updated, bare)
    path = tmp_path / "p.md"
    path.write_text(sf.dump_post(sf.front_matter(entry, source, post), sf.post_body(entry, source)))
    slow = sf.known_post(sf.load_post(path.read_text(), "p.md")[0], "p.md")
    assert sf.read_post(str(path), "p.md") == slow == post


def test_heads_that_superfeed_wrote_need_no_yaml(tmp_path, monkeypatch):
    when = datetime(2026, 11, 22, 10, tzinfo=UTC)
    source = sf.Source("A feed", "https://a.example/", "https://a.example/feed")
    entry = sf.Entry(
        "g", "https://a.example/x", 'A "title", ünd', when, when, "Ann", ("t",), "E", "E"
    )
    post = sf.Post(
        "p.md", sf.feed_id(source.feed), ("k",), "g", entry.title, when, None, undated=False
    )
    path = tmp_path / "p.md"
    path.write_text(sf.dump_post(sf.front_matter(entry, source, post), "body\n"))
    monkeypatch.setattr(sf, "load_post", None)
    assert sf.read_post(str(path), "p.md") == post


@pytest.mark.parametrize(
    "change",
    [
        ("source:\n", "draft: true\nsource:\n"),
        ("---\n\n", "tags: [mine]\n---\n\n"),
        ('title: "T"', "title: T"),
        ('title: "T"', "title: 'T' # mine"),
        ('title: "T"', 'title: "\\x54"'),
        ("\n", "\r\n"),
    ],
)
def test_heads_that_the_owner_touched_are_read_by_yaml(tmp_path, change):
    when = datetime(2026, 11, 22, 10, tzinfo=UTC)
    source = sf.Source("A feed", "https://a.example/", "https://a.example/feed")
    entry = sf.Entry("g", "https://a.example/x", "T", when, None)
    post = sf.Post("p.md", sf.feed_id(source.feed), ("k",), "g", "T", when, None, undated=False)
    text = sf.dump_post(sf.front_matter(entry, source, post), "body\n").replace(*change)
    path = tmp_path / "p.md"
    path.write_bytes(text.encode())
    assert sf.read_post(str(path), "p.md") == post


@pytest.mark.parametrize("kept", ["in the checkout", "elsewhere"])
def test_posts_that_were_never_committed_may_be_lost_and_come_back(place, tmp_path, kept):
    """The validators of a run that skipped commit are not kept: a 304 would bring nothing back."""
    flags = ["--state", tmp_path / "state.json"] if kept == "elsewhere" else []
    place.run(*flags).ok()
    place.feed.body = rss(items(4))
    assert place.run(*flags, "--skip", "commit").ok().report["posts"]["new"] == 1
    if kept == "elsewhere":
        shutil.rmtree(place.site)
    else:
        git("clean", "-fdq", cwd=place.site)
    place.run(*flags).ok()
    assert place.published() == FOUR
