"""Deploy and purge as stages of a whole run: what is owed, what fails a run, what is only told."""

import json

import pytest
from support.feedmaker import items, rss

HOME = "https://owner.example"


@pytest.fixture
def place(workplace, cloudflare):
    """Workplace: one feed of three entries, a bucket with Cloudflare before it, a state file."""
    workplace.feed = workplace.web.feed("/a.xml", rss(items(3)))
    workplace.feeds_txt([workplace.feed.url])
    workplace.state = workplace.script.app / "state.json"
    workplace.cloudflare = cloudflare
    workplace.flags |= {"--cloudflare": cloudflare.zone, "--state": str(workplace.state)}
    workplace.env |= cloudflare.env
    return workplace


def owed(place):
    return json.loads(place.state.read_text())["owed"]


def purged(place):
    """Every address Cloudflare was asked to purge."""
    return [address for batch in place.cloudflare.purges for address in batch]


def keys(place):
    return place.bucket.keys()


def page_of(place, number):
    """The key of an entry's page."""
    return next(key for key in keys(place) if f"entry-{number}-of-alpha" in key)


def test_a_purge_is_owed_from_before_the_first_upload_and_paid_first_by_the_next_run(place):
    place.s3.fail("PUT", nth=6, error="AccessDenied")
    failed = place.run().fails(1, "AccessDenied", "s3:PutObject").report
    assert (failed["deploy"], failed["purge"]) == (None, None)
    assert not place.cloudflare.purges
    assert set(place.s3.puts) < set(owed(place))

    unpaid = len(owed(place))
    place.s3.heal()
    place.s3.forget()
    asked_first = []
    place.web.serve(
        "/a.xml", lambda exchange: asked_first.append(purged(place)) or exchange.send(304)
    )
    done = place.run().ok().report
    assert f"{HOME}/about/" in asked_first[0]  # before the first feed was asked
    assert done["purge"]["owed"] == 0
    assert done["purge"]["paths"] > 2 * unpaid  # the debt is counted too
    assert owed(place) == []
    assert "index.html" in place.s3.puts
    assert f"{HOME}/" in purged(place)
    place.cloudflare.purges.clear()
    assert place.run().ok().report["deploy"]["uploaded"] == 0
    assert not place.cloudflare.purges


def test_a_failed_purge_fails_the_run_after_all_else_is_done_and_is_paid_next_time(place):
    place.cloudflare.broken(500)
    result = place.run().fails(1, "Cloudflare: HTTP 500", "the next run tries it first")
    assert result.report["deploy"]["uploaded"] == len(place.bucket.keys()) > 3
    assert result.report["purge"] == {"paths": 0, "owed": len(place.bucket.keys())}
    assert len(place.posts()) == 3
    again = place.run().fails(1, "Cloudflare: HTTP 500")
    assert again.report["deploy"]["uploaded"] == 0
    assert sorted(owed(place)) == place.bucket.keys()

    place.cloudflare.broken(0)
    assert place.run("--skip", "purge").ok().report["purge"] is None
    assert not place.cloudflare.purges
    place.run().ok()
    assert f"{HOME}/{page_of(place, 1)}" in purged(place)
    assert owed(place) == []


def test_the_starters_placeholder_address_is_not_deployed(place):
    place.run("--base-url", "https://example.org/").fails(2, "placeholder", "--base-url")
    assert place.bucket.keys() == []
    assert not place.cloudflare.purges


def test_a_folder_beside_a_web_server_gets_only_what_changed(place, tmp_path):
    www = tmp_path / "www"
    place.flags["--deploy"] = str(www)
    place.run().ok()
    (www / "uploads").mkdir()
    (www / "uploads" / "mine.txt").write_text("mine")
    before = {path: path.stat().st_mtime_ns for path in www.rglob("*") if path.is_file()}
    place.feed.body = rss(items(4))
    done = place.run().ok().report["deploy"]
    changed = {path for path in before if path.stat().st_mtime_ns != before[path]}
    new = {path for path in www.rglob("*") if path.is_file()} - before.keys()
    assert len(changed | new) == done["uploaded"] < len(before)
    assert www / "feeds" / "index.html" in changed
    assert not {www / "about" / "index.html", www / "uploads" / "mine.txt"} & changed
    assert any("entry-4-of-alpha" in str(path) for path in new)


def test_a_draft_and_a_dropped_entry_leave_the_target(place):
    place.run().ok()
    page, other = page_of(place, 1), page_of(place, 2)
    post = next(path for path in place.posts() if "entry-1-of" in path)
    text = place.origin.read(post)
    place.origin.commit({post: text.replace("---\n", "---\ndraft: true\n", 1)})
    place.cloudflare.purges.clear()
    assert place.run().ok().report["deploy"]["deleted"] == 1
    assert page not in keys(place)
    assert f"{HOME}/{page.removesuffix('index.html')}" in purged(place)
    assert "draft: true" in place.origin.read(post)

    place.bucket.put("strange.html")
    place.feed.body = rss([item for item in items(3) if "posts/2" not in item.link])
    place.feeds_txt([place.web.feed("/b.xml", rss(items(1, "beta")), on=2).url])
    place.run().ok()
    assert other not in keys(place)
    assert "strange.html" in keys(place)


def test_a_draft_leaves_the_target_wherever_the_site_puts_its_page(place):
    config = place.origin.read("hugo.toml")
    place.origin.commit(
        {"hugo.toml": config + '\n[permalinks.page]\nfeeds = "/:year/:contentbasename/"\n'}
    )
    place.run().ok()
    page = page_of(place, 1)
    assert "feeds" not in page
    place.bucket.put("2026/mine-0123456789ab/index.html")
    post = next(path for path in place.posts() if "entry-1-of" in path)
    text = place.origin.read(post)
    place.origin.commit({post: text.replace("---\n", "---\ndraft: true\n", 1)})
    assert place.run().ok().report["deploy"]["deleted"] == 1
    assert page not in keys(place)


def test_delete_removes_nothing_at_all_when_it_would_be_too_much(place):
    for number in range(3):
        place.bucket.put(f"strange-{number}.html")
    place.run("--delete", "--max-delete", "2").fails(1, "3 objects", "--max-delete 3")
    assert len(place.bucket.keys()) == 3
    assert place.run("--delete", "--max-delete", "3").ok().report["deploy"]["deleted"] == 3


@pytest.mark.parametrize("target", ["a bucket", "a folder"])
def test_delete_spares_the_runs_own_state(place, tmp_path, target):
    """Else each run would fetch everything anew, and forget what it owes."""
    if target == "a bucket":
        place.flags["--state"] = f"{place.bucket.url}/state.json"
        place.bucket.put("strange.html")
    else:
        place.flags |= {"--deploy": str(tmp_path / "www"), "--state": str(tmp_path / "www/st.json")}
    place.run("--delete").ok()
    assert place.run("--delete").ok().report["feeds"][0]["status"] == "unchanged"
    assert "strange.html" not in keys(place)


def test_a_dry_run_tells_uploads_deletions_and_purges_in_their_order(place):
    place.run().ok()
    place.bucket.put("strange.html")
    place.feed.body = rss(items(40, first=4))
    place.origin.commit({"content/posts/today.md": "---\ntitle: Today\n---\nNews of the shed.\n"})
    before, state = place.bucket.listing(), place.state.read_bytes()
    place.s3.forget()
    place.cloudflare.purges.clear()
    result = place.run("--dry-run", "--delete").ok()
    lines = [line.removeprefix("would: ") for line in result.out.splitlines()]
    uploads = [line.removeprefix("upload ") for line in lines if line.startswith("upload ")]
    assert any("entry-4-of" in line and line.endswith("(new)") for line in uploads)
    assert uploads[-1].startswith("index.html (")
    assert uploads.index("feeds/index.html (size)") > uploads.index(
        next(line for line in uploads if "entry-43-of" in line)
    )
    assert (place.bucket.listing(), place.state.read_bytes()) == (before, state)
    assert not place.cloudflare.purges
    kinds = [line.split()[0] for line in lines if line.startswith(("upload ", "delete ", "purge "))]
    assert kinds == sorted(kinds, key=["upload", "delete", "purge"].index)
    assert "delete strange.html" in lines
    assert "purge /feeds/" in lines

    place.s3.forget()
    place.run("--delete").ok()
    said = [line.rpartition(" (")[0] for line in uploads]
    assert sorted(said) == sorted(place.s3.puts)
    assert len(said) == result.report["deploy"]["uploaded"] > 40
    ends = {key: index for index, key in enumerate(place.s3.puts)}
    first_list = ends["feeds/index.html"]
    assert all(ends[key] < first_list for key in said if "entry-" in key and key.endswith(".html"))


def test_a_ping_that_is_refused_is_a_warning_without_its_address(place):
    url = place.web.answer("/a-secret-id", 404)
    result = place.run("--ping", url).ok()
    assert "--ping 127.0.1.1: HTTP 404" in result.err
    assert "a-secret-id" not in result.err
    asked = place.web.asked("/a-secret-id")
    assert [one.method for one in asked] == ["POST"]
    assert b"new" in asked[0].body
