"""--check: the health of every feed in a table, and nothing written."""

import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta

from support.feedmaker import items, rss
from support.web import answer, gone, page, redirect

OLD = datetime.now(UTC) - timedelta(days=800)


def test_the_sick_come_first_each_with_the_line_to_change(web, superfeed):
    good = web.feed("/good.xml", rss(items(3), title="Good"))
    quiet = web.feed("/quiet.xml", rss(items(2, "quiet", date=OLD), title="Quiet"))
    empty = web.feed("/empty.xml", rss([], title="Empty"))
    new = web.feed("/new.xml", rss(items(1, "new"), title="New"))
    moved = web.serve("/moved.xml", redirect(301, new.url))
    html = web.serve("/page", page("/good.xml"))
    dead = web.serve("/dead.xml", gone())
    bad = web.serve("/bad.xml", answer(404))
    superfeed.write(
        "feeds.txt",
        f"{good.url}\nQuiet one\t{quiet.url}\n{empty.url}\n{moved}\nPage\t{html}\nDead\t{dead}\n"
        f"Bad\t{bad}\nDown\t{web.refused()}\n",
    )
    before = sorted(superfeed.app.rglob("*")), sorted(superfeed.tmp.rglob("*"))
    result = superfeed("--check", "--ping", web.answer("/ping"))
    assert result.code == 1, str(result)
    head, *rows = result.out.splitlines()
    assert head.split() == [
        "feed",
        "status",
        "HTTP",
        "entries",
        "newest",
        "time",
        "what",
        "to",
        "do",
    ]
    start = head.index("status")
    assert [row[start:].split()[0] for row in rows] == ["gone", *["failed"] * 2, *["ok"] * 5]
    names = [row[:start].strip() for row in rows]
    assert names == ["Dead", "Bad", "Down", "New", "Page", "Quiet one", "Empty", "Good"]
    told = dict(zip(names, rows, strict=True))
    assert "line 6: gone for good (410): remove its line" in told["Dead"]
    assert "404" in told["Bad"]
    assert "line 8: " in told["Down"]
    assert f"line 4: change the line to {new.url}" in told["New"]
    assert f"line 5: change the line to {good.url}" in told["Page"]
    assert f"line 2: silent since {OLD:%B %Y}" in told["Quiet one"]
    assert " days " in told["Quiet one"]
    assert "line 3: no entry in it" in told["Empty"]
    assert "line" not in told["Good"]
    assert " 200   3 " in told["Good"]
    assert (sorted(superfeed.app.rglob("*")), sorted(superfeed.tmp.rglob("*"))) == before
    assert not web.asked("/ping")
    assert not web.asked("/ping/fail")
    assert [feed["status"] for feed in result.report["feeds"]] == ["ok"] * 5 + ["gone"] + [
        "failed"
    ] * 2
    assert (result.report["exit"], result.report["posts"]) == (1, None)


def test_feeds_in_good_health_are_exit_0_and_asked_without_validators(workplace):
    feed = workplace.web.feed("/a.xml", rss(items(3)))
    workplace.feeds_txt([feed.url])
    workplace.run().ok()
    before = {path: path.stat().st_mtime_ns for path in workplace.script.app.rglob("*")}
    workplace.web.forget()
    result = workplace.run("--check").ok()
    assert "ok" in result.out
    (asked,) = workplace.web.asked()
    assert "If-None-Match" not in asked.headers
    assert {path: path.stat().st_mtime_ns for path in workplace.script.app.rglob("*")} == before
    assert workplace.run("--check", "-q").ok().out == ""


def test_it_needs_neither_git_nor_hugo_nor_the_lock(web, superfeed):
    superfeed.write("feeds.txt", web.feed("/a.xml", rss(items(1))).url)
    superfeed.tool("git", None)
    superfeed.tool("hugo", None)
    superfeed("--check", env={"PATH": str(superfeed.bin)}).ok()
    assert not (superfeed.app / "site.lock").exists()


def test_a_private_address_is_not_printed(web, superfeed):
    web.feed("/a.xml", rss(items(1), title="Own"))
    secret = web.url("/a.xml?key=hunter2")
    superfeed.write("feeds.txt", f"!{secret}\n!{web.url('/none?key=hunter2')}\n")
    result = superfeed("--check", "-vv")
    assert result.code == 1
    assert "hunter2" not in result.out + result.err


def test_on_a_terminal_the_table_has_lines_and_fetching_is_shown(web, superfeed):
    superfeed.write("feeds.txt", web.feed("/a.xml", rss(items(1), title="Own")).url)
    seen = {}
    for stream in ("stdout", "stderr"):
        master, slave = pty.openpty()
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: slave}
        env = superfeed.env | {"TERM": "xterm", "COLUMNS": "120"}
        command = [sys.executable, superfeed.path, "--check"]
        done = subprocess.run(command, env=env, cwd=superfeed.cwd, check=False, **streams)
        os.close(slave)
        assert done.returncode == 0
        seen[stream] = os.read(master, 100_000).decode()
    assert "┃" in seen["stdout"]
    assert "Own" in seen["stdout"]
    assert "fetching" in seen["stderr"]


def test_a_name_is_shown_as_it_is_written(web, superfeed):
    """It may look like rich's markup, or like one of its emoji."""
    name = "[/b] News :fire: daily"
    superfeed.write("feeds.txt", f"{name}\t{web.feed('/a.xml', rss(items(1))).url}")
    assert name in superfeed("--check").ok().out
