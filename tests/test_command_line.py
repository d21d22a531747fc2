"""Flags, environment, superfeed.conf; what is printed; the report; pings; the dry run."""

import hashlib
import json
import shlex
import shutil
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
from support.feedmaker import items, rss
from support.git import git
from support.script import REPO
from support.web import answer, busy, gone, redirect, seen

import superfeed
from superfeed import ConfigError, parse_config

HERE = Path(superfeed.__file__).parent


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """settings(*argv, env=, conf=) -> Config, in a clean environment and working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(superfeed, "HERE", tmp_path / "app")
    (tmp_path / "app").mkdir()

    def read(*argv, env=(), conf=None, place="app/superfeed.conf"):
        monkeypatch.setattr("os.environ", dict(env))
        if conf is not None:
            path = tmp_path / place
            path.parent.mkdir(exist_ok=True)
            path.write_text(conf)
        return parse_config(argv)

    return read


def test_a_flag_wins_over_the_environment_and_that_over_the_conf(settings):
    conf, env = (
        "keep = 1\nsection = conf\njobs = 3\n",
        {"SUPERFEED_KEEP": "2", "SUPERFEED_SECTION": "env"},
    )
    config = settings("--keep", "7", env=env, conf=conf)
    assert (config.keep_days, config.section, config.jobs) == (7, "env", 3)


def test_an_empty_variable_is_an_unset_one(settings):
    config = settings(
        env={"SUPERFEED_KEEP": "", "SUPERFEED_REPO": "", "SUPERFEED_SKIP": ""}, conf="keep = 8"
    )
    assert (config.keep_days, config.repo, config.skip) == (8, "", frozenset())


def test_every_flag_has_its_variable(settings):
    env = {
        "SUPERFEED_MAX_SIZE": "2.5", "SUPERFEED_USER_AGENT": "me", "SUPERFEED_DELETE": "true",
        "SUPERFEED_SKIP": "[push, build]", "SUPERFEED_CONTENT": "full", "SUPERFEED_TIMEOUT": "5",
        "SUPERFEED_DRY_RUN": "yes", "SUPERFEED_QUIET": "1", "SUPERFEED_MAX_DELETE": "0",
        "SUPERFEED_TOKEN_FROM": "arn:x", "SUPERFEED_GIT_TOKEN": "no flag, and no fault",
    }  # fmt: skip
    config = settings(env=env)
    assert (config.max_bytes, config.user_agent, config.delete) == (2_500_000, "me", True)
    assert (config.skip, config.content, config.timeout_s) == ({"push", "build"}, "full", 5.0)
    assert (config.dry_run, config.quiet, config.max_delete) == (True, True, 0)
    assert settings(env={"SUPERFEED_SKIP": "push", "SUPERFEED_DELETE": "false"}).skip == {"push"}


def test_the_conf_is_named_by_a_flag_or_a_variable(settings, tmp_path):
    settings(conf="keep = 1")
    (tmp_path / "my.conf").write_text("keep = 5")
    assert settings("--config", "my.conf").keep_days == 5
    assert settings("--config=my.conf").keep_days == 5
    assert settings(env={"SUPERFEED_CONFIG": "my.conf"}).keep_days == 5
    with pytest.raises(ConfigError, match=r"none\.conf"):
        settings("--config", "none.conf")


def test_paths_start_where_they_are_written(settings, tmp_path):
    config = settings()
    assert (config.feeds, config.site) == (tmp_path / "app/feeds.txt", tmp_path / "app/site")
    assert (config.report, config.state, config.deploy) == (None, "", "")
    conf = "feeds = f.txt\nsite = ../s\ndeploy = out\nstate = state.json\n"
    conf += "report = r/r.json\nhugo = bin/hugo\n"
    config = settings("--config", "etc/my.conf", conf=conf, place="etc/my.conf")
    etc = tmp_path / "etc"
    assert (config.feeds, config.site, config.report) == (
        etc / "f.txt",
        tmp_path / "s",
        etc / "r/r.json",
    )
    found = (config.deploy, config.state, config.hugo)
    assert found == tuple(str(etc / name) for name in ("out", "state.json", "bin/hugo"))
    config = settings("--feeds", "x.txt", "--config", "etc/my.conf", "--deploy", "~/www")
    assert (config.feeds, config.deploy) == (tmp_path / "x.txt", str(Path("~/www").expanduser()))
    assert config.site == tmp_path / "s"


@pytest.mark.parametrize(
    "value", ["git@host.example:me/site.git", "https://host.example/me.git", "ssh://h.example/x"]
)
def test_addresses_are_no_paths(settings, value):
    assert settings(conf=f"repo = {value}").repo == value
    assert settings("--repo", value).repo == value


def test_a_list_in_the_checkout_is_one_by_whatever_name(settings, tmp_path):
    (tmp_path / "disk/site").mkdir(parents=True)
    (tmp_path / "app/site").symlink_to(tmp_path / "disk/site")
    for argv in ([], ["--site", "app/site"], ["--site", "disk/site"]):
        for feeds in ("app/site/feeds.txt", "disk/site/feeds.txt"):
            config = settings(*argv, "--feeds", feeds)
            assert config.feeds.is_relative_to(config.site)
    (tmp_path / "app/feeds.txt").symlink_to(tmp_path / "disk/feeds.txt")
    assert settings().feeds == tmp_path / "app/feeds.txt"  # what it lists is seen from here


def test_what_stands_in_s3_is_no_path(settings):
    config = settings(conf="deploy = s3://my-bucket/a/b\nstate = s3://my-bucket/state.json")
    assert (config.deploy, config.state) == ("s3://my-bucket/a/b", "s3://my-bucket/state.json")


def test_a_repository_beside_the_conf_is_found(settings, tmp_path):
    (tmp_path / "app/repo.git").mkdir()
    assert settings(conf="repo = repo.git").repo == str(tmp_path / "app/repo.git")


def test_skip_is_repeatable_and_a_list_in_the_conf(settings):
    assert settings("--skip", "pull", "--skip", "push").skip == {"pull", "push"}
    assert settings(conf="skip = [push, deploy]").skip == {"push", "deploy"}
    assert settings(conf="skip = push").skip == {"push"}
    both = {"push", "deploy"}
    for value in ("push, deploy", "[push, deploy]", "['push', 'deploy']", "push deploy"):
        assert settings(conf=f"skip = {value}").skip == both
        assert settings(env={"SUPERFEED_SKIP": value}, conf="").skip == both
    assert settings(conf="skip = push\nkeep = 3\nskip = deploy").skip == both
    assert settings(conf="skip =").skip == frozenset()


def test_a_conf_holds_switches_comments_and_hashes(settings):
    lines = ["\ufeff# mine", "; too", "", "quiet = true", "delete = false", "dry-run # now"]
    lines += ["max_size = 3 # MB", "author = A B <a@b.example>", "verbose = 2", "--jobs = 5"]
    conf = "\n".join(lines)
    config = settings(conf=conf)
    assert (config.quiet, config.delete, config.dry_run, config.max_bytes) == (
        True,
        False,
        True,
        3_000_000,
    )
    assert (config.author, config.verbose, config.jobs) == ("A B <a@b.example>", 2, 5)
    assert settings(conf="ping = https://hc.example/a-b#c").ping == "https://hc.example/a-b#c"


WRONG_FLAGS = [
    ["--kep", "3"], ["--keep", "x"], ["--keep", "-1"], ["--keep", "1.5"], ["--jobs", "0"],
    ["--timeout", "0"], ["--timeout", "inf"], ["--max-size", "nan"], ["--content", "all"],
    ["--section", "a/b"], ["--section", "../x"], ["--section", "Feeds"], ["--section", ""],
    ["--acl", "public"], ["--skip", "fetch"], ["--author", "me"], ["--ping", "hc.example"],
    ["--base-url", "example.org"], ["--endpoint-url", "localhost:9000"], ["--purge-url", "x"],
    ["--repo", "https://me:secret@host.example/x.git"], ["--sec", "x"], ["extra"],
    ["--deploy", "s3://"], ["--deploy", "s3://My_Bucket"], ["--deploy", "gs://bucket"],
    ["--state", "s3://bucket"], ["--site", "/"], ["--repo", "ssh://me:secret@host.example/x.git"],
    ["--repo", "HTTPS://me:secret@host.example/x.git"], ["--report"],
    ["--user-agent", "me\nX-Bad: 1"], ["--user-agent", "日本"],
]  # fmt: skip


@pytest.mark.parametrize("argv", WRONG_FLAGS, ids=" ".join)
def test_a_wrong_flag_is_told_in_one_line(settings, argv):
    with pytest.raises(ConfigError) as caught:
        settings(*argv)
    told = f"{caught.value} ({caught.value.hint})"
    assert caught.value.exit_code == 2
    assert argv[0].partition("=")[0] in told
    assert "\n" not in told
    assert "secret" not in told


def test_a_wrong_variable_is_told_with_its_name(settings):
    with pytest.raises(ConfigError, match="keep") as caught:
        settings(env={"SUPERFEED_KEEP": "x"})
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("conf", "line", "words"),
    [
        ("keep = 3\nkep = 3", 2, "kep"),
        ("keep = x", 1, "keep"),
        ("\n\nkeep = -1", 3, "keep"),
        ("content = all", 1, "'summary', 'full', 'link'"),
        ("skip = [push, fetch]", 1, "fetch"),
        ("delete = maybe", 1, "delete"),
        ("section = A", 1, "section"),
        ("acl = public", 1, "public-read"),
        ("config = x", 1, "config"),
        ("version = 1", 1, "version"),
        ("jobs =", 1, "jobs"),
        ("verbose = much", 1, "verbose"),
        ("this is no setting", 1, "this"),
        ("author = me", 1, "author"),
        ("\ndeploy = s3://My_Bucket", 2, "s3://My_Bucket"),
        ("state = s3://bucket", 1, "s3://BUCKET/KEY"),
        ("repo = ssh://me:pw@host.example/x.git", 1, "SUPERFEED_GIT_TOKEN"),
        ("keep = [3, 4]", 1, "keep takes one value"),
        ("user-agent = [me, you]", 1, "user-agent takes one value"),
        ("deploy", 1, "deploy takes one value"),
        ("repo # mine", 1, "repo takes one value"),
        ("skip = push\nskip = fetch", 2, "fetch"),
    ],
)
def test_a_mistake_in_the_conf_names_file_and_line(settings, conf, line, words):
    with pytest.raises(ConfigError) as caught:
        settings(conf=conf)
    told = f"{caught.value} ({caught.value.hint})"
    assert f"superfeed.conf:{line}:" in told
    assert words in told
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("argv", "words"),
    [(["--cloudflare", "zone"], "CLOUDFLARE_API_TOKEN"), (["--report", "."], "a folder")],
)
def test_settings_that_cannot_work_are_refused_before_anything(settings, argv, words):
    with pytest.raises(ConfigError) as caught:
        settings(*argv)
    assert words in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("flag", ["--check", "--dry-run", "--skip=purge"])
def test_a_run_that_purges_nothing_needs_no_token(settings, flag):
    """The conf says where to purge, cron's environment holds the token: a shell has none."""
    assert settings(flag, conf="cloudflare = zone").cloudflare == "zone"


# ---------------------------------------------------------------- help and version


HEAVY = "boto3 botocore git dateparser feedparser rich frontmatter yaml nh3 listparser urllib3"


def test_help_and_version_import_nothing_heavy(superfeed):
    shown = {}
    for flag in ("--help", "--version"):
        command = [sys.executable, "-X", "importtime", superfeed.path, flag]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        imported = {line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
        assert not imported & set(HEAVY.split())
        shown[flag] = done.stdout
    assert "--token-from" in shown["--help"]
    assert max(map(len, shown["--help"].splitlines())) <= 100
    assert shown["--version"] == "superfeed 1.0.0\n"


# ---------------------------------------------------------------- the report and the summary

FORM = {
    "version": int, "superfeed": str, "started": str, "seconds": dict, "exit": int,
    "error": (str, type(None)), "feeds": list, "posts": dict, "commit": dict, "build": dict,
    "deploy": dict, "purge": dict,
}  # fmt: skip
ROW = {
    "url": str, "name": str, "group": str, "line": int, "status": str, "http": int,
    "entries": int, "new": int, "updated": int, "error": type(None), "moved_to": type(None),
    "newest": str, "failures": int,
}  # fmt: skip
PARTS = {
    "posts": {"new", "updated", "removed", "set_aside", "total"},
    "commit": {"sha", "pushed"},
    "build": {"pages"},
    "deploy": {"uploaded", "deleted", "unchanged", "bytes", "requests"},
    "purge": {"paths", "owed"},
}
VERBOSE = [], ["-v"], ["-vv"]
STAGES = ["pull", "collect", "commit", "push", "build", "deploy", "purge"]


@pytest.fixture
def one_feed(workplace):
    workplace.feed = workplace.web.feed("/a.xml", rss(items(3)))
    workplace.purged = workplace.web.answer("/purge")
    workplace.flags["--purge-url"] = workplace.purged
    workplace.feeds_txt([f"[g]\nA\t{workplace.feed.url}"])
    return workplace


def test_the_report_has_the_form_that_is_promised(one_feed):
    report = one_feed.run().ok().report
    assert list(report) == list(FORM)
    assert all(isinstance(report[key], kind) for key, kind in FORM.items())
    assert list(report["feeds"][0]) == list(ROW)
    assert all(isinstance(report["feeds"][0][key], kind) for key, kind in ROW.items())
    assert {name: set(report[name]) for name in PARTS} == PARTS
    assert set(report["deploy"]["requests"]) == {"list", "head", "put", "delete"}
    assert list(report["seconds"]) == STAGES
    assert (report["version"], report["superfeed"], report["error"]) == (1, "1.0.0", None)
    datetime.strptime(report["started"], "%Y-%m-%dT%H:%M:%SZ")
    datetime.strptime(report["feeds"][0]["newest"], "%Y-%m-%dT%H:%M:%SZ")


def test_a_stage_left_out_is_null_in_the_report(one_feed):
    one_feed.run().ok()
    flags = [word for stage in STAGES[1:] for word in ("--skip", stage)]
    report = one_feed.run(*flags).ok().report
    assert {name: report[name] for name in ("feeds", *PARTS)} == dict.fromkeys(("feeds", *PARTS))
    assert list(report["seconds"]) == ["pull"]


def test_a_failed_run_still_writes_its_report(one_feed):
    one_feed.s3.fail("PUT", error="AccessDenied")
    result = one_feed.run()
    result.fails(1, "AccessDenied")
    assert "AccessDenied" in result.report["error"]
    assert (result.report["exit"], result.report["deploy"]) == (1, None)
    assert result.report["posts"]["new"] == 3


def test_a_password_in_the_list_is_never_told(one_feed):
    url = one_feed.feed.url.replace("://", "://me:hunter2@")
    one_feed.feeds_txt([url, one_feed.web.refused().replace("://", "://me:hunter2@")])
    result = one_feed.run("-vv", "--ping", one_feed.web.answer("/ping"))
    told = result.out + result.err + json.dumps(result.report)
    told += "".join(one_feed.origin.read(path) for path in one_feed.origin.files())
    told += one_feed.web.asked("/ping")[0].body.decode()
    told += (one_feed.site / ".git/superfeed/state.json").read_text()
    assert "hunter2" not in told
    assert result.report["feeds"][0]["url"] == one_feed.feed.url
    assert one_feed.web.asked("/a.xml")[0].headers["Authorization"]


def test_all_feeds_failed_is_a_failed_run_and_some_failed_is_not(one_feed):
    bad = one_feed.web.answer("/bad.xml", 404)
    one_feed.feeds_txt([one_feed.feed.url, bad])
    result = one_feed.run().ok()
    assert "(line 2)" in result.out
    one_feed.feeds_txt([bad])
    assert one_feed.run().fails(1).report["exit"] == 1


def test_the_same_failures_are_one_line(one_feed):
    bad = [one_feed.web.answer(f"/{n}.xml", 404, on=n) for n in range(1, 13)]
    one_feed.feeds_txt([one_feed.feed.url, *bad])
    lines = [line for line in one_feed.run().ok().out.splitlines() if "404" in line]
    assert len(lines) == 1
    assert "and 7 more" in lines[0]


def test_many_broken_documents_are_one_warning(one_feed):
    broken = rss(items(2)).removesuffix(b"</channel></rss>")
    one_feed.feeds_txt([one_feed.web.feed(f"/{n}.xml", broken, on=n).url for n in range(1, 6)])
    (warning,) = (line for line in one_feed.run().ok().err.splitlines() if "well-formed" in line)
    assert "5 documents" in warning
    assert "(lines 1, 2, 3, 4, 5)" in warning


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_or_cron_without_utf8_gets_what_it_can_show(one_feed, encoding):
    bad = one_feed.web.answer("/bad.xml", 404)
    one_feed.feeds_txt([f"Wölkchen 日本\t{bad}", one_feed.feed.url])
    result = one_feed.run("-v", env={"PYTHONIOENCODING": encoding}).ok()
    assert "lkchen ?? (line 1)" in result.out
    assert result.report["feeds"][0]["name"] == "Wölkchen 日本"
    assert one_feed.run("--check", env={"PYTHONIOENCODING": encoding}).code == 1


@pytest.mark.parametrize("argv", [["--help"], ["--check"], ["--dry-run"], []], ids=str)
@pytest.mark.parametrize("reader", ["head -n 1", "true", ""])
def test_a_reader_that_has_seen_enough_is_no_fault(one_feed, argv, reader):
    one_feed.feed.body = rss(items(200))
    one_feed.feeds_txt([f"{'A' * 90}\t{one_feed.feed.url}?{n}" for n in range(99)])
    flags = ["--repo", one_feed.origin.url, "--skip", "build", *argv]
    line = shlex.join([sys.executable, str(one_feed.script.path), *flags])
    shell = f"{line} | {reader}; exit ${{PIPESTATUS[0]}}" if reader else f"{line} >&-"
    command = ["bash", "-c", shell]
    done = subprocess.run(command, env=one_feed.script.env, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


# ---------------------------------------------------------------- -q, ping, lock


def test_quiet_names_a_feed_only_in_its_fourth_failure_in_a_row(one_feed):
    one_feed.run("-q").ok()
    good, said = one_feed.feed, []
    one_feed.web.serve("/a.xml", answer(500))
    one_feed.web.feed("/b.xml", rss(items(1, "beta")))
    one_feed.feeds_txt([f"A\t{good.url}", one_feed.web.url("/b.xml")])
    for _ in range(6):
        path = one_feed.site / ".git/superfeed/state.json"
        state = superfeed.parse_state(path.read_text())
        for known in state.feeds.values():
            known.retry_at = ""  # it is time
        path.write_text(superfeed.state_text(state))
        result = one_feed.run("-q").ok()
        said.append(result.out.count("\n"))
        assert result.err == ""
    assert said == [0, 0, 0, 1, 0, 0]


def test_quiet_names_a_move_and_a_410_once(one_feed):
    one_feed.web.feed("/b.xml", rss(items(1, "beta")))
    one_feed.feeds_txt([f"A\t{one_feed.feed.url}", one_feed.web.url("/b.xml")])
    assert one_feed.run("-q").ok().out == ""
    one_feed.web.feed("/new.xml", rss(items(3)))
    one_feed.web.serve("/a.xml", redirect(301, one_feed.web.url("/new.xml")))
    told = one_feed.run("-q").ok().out
    assert told.count("\n") == 1
    assert told.startswith("line 1: A moved to " + one_feed.web.url("/new.xml"))
    assert one_feed.run("-q").ok().out == ""
    one_feed.web.serve("/b.xml", gone())
    told = one_feed.run("-q").ok().out
    assert told.count("\n") == 1
    assert "410" in told
    assert one_feed.run("-q").ok().out == ""
    assert "line 2" in one_feed.run().ok().out


def test_quiet_shows_a_failed_run_whole(one_feed):
    one_feed.s3.fail("PUT", error="AccessDenied")
    result = one_feed.run("-q")
    assert result.code == 1
    assert "AccessDenied" in result.err
    assert "1 feed" in result.out


def test_a_ping_tells_how_the_run_went(one_feed):
    ping = one_feed.web.answer("/ping")
    one_feed.web.answer("/ping/fail")
    result = one_feed.run("--ping", ping).ok()
    (sent,) = one_feed.web.asked("/ping")
    assert sent.body.decode().strip() == result.out.strip()
    one_feed.s3.fail("LIST", error="AccessDenied")
    result = one_feed.run("--ping", ping)
    assert result.code == 1
    (sent,) = one_feed.web.asked("/ping/fail")
    assert "AccessDenied" in sent.body.decode()
    assert "1 feed" in sent.body.decode()
    assert len(one_feed.web.asked("/ping")) == 1


@pytest.mark.parametrize(("ping", "fail"), [("/p/", "/p/fail"), ("/p?a=1", "/p/fail?a=1")])
def test_a_bad_run_pings_the_path_below(one_feed, ping, fail):
    ping = one_feed.web.answer(ping)
    one_feed.web.answer("/p/fail")
    one_feed.feeds_txt([one_feed.web.refused()])
    one_feed.run("--ping", ping, "--skip", "build").fails(1)
    assert one_feed.web.asked(fail)


def test_a_ping_that_fails_is_a_warning(one_feed):
    result = one_feed.run("--ping", one_feed.web.refused()).ok()
    assert "--ping" in result.err
    result = one_feed.run("--ping", one_feed.web.answer("/p", 500)).ok()
    assert "--ping" in result.err


def test_a_second_run_is_refused_and_pings_nobody(one_feed):
    one_feed.run().ok()
    before = one_feed.origin.head()
    started = one_feed.web.url("/slow.xml")
    one_feed.web.serve("/slow.xml", lambda exchange: exchange.wait(600))
    one_feed.feeds_txt([started, one_feed.feed.url])
    flags = ["--repo", one_feed.origin.url, "--timeout", "600"]
    first = one_feed.script.start(*flags)
    try:
        deadline = time.monotonic() + 30
        while not one_feed.web.asked("/slow.xml") and time.monotonic() < deadline:
            time.sleep(0.05)
        ping = one_feed.web.answer("/ping")
        second = one_feed.run("--ping", ping)
        second.fails(75, "another run")
        assert (second.out, second.report) == ("", None)
        assert not one_feed.web.asked("/ping")
        assert not one_feed.web.asked("/ping/fail")
        assert one_feed.origin.head() == before
    finally:
        first.kill()
        one_feed.script.finish(first)


def test_the_log_is_on_stderr_and_says_more_with_every_v(one_feed):
    one_feed.feeds_txt([one_feed.feed.url, f"!{one_feed.web.answer('/secret', 404, on=2)}"])
    logs = [one_feed.run(*flags, "--keep", str(90 + n)).ok() for n, flags in enumerate(VERBOSE)]
    assert [len(log.out.splitlines()) for log in logs] == [2, 2, 2]
    kinds = [{line[:2] for line in log.err.splitlines()} for log in logs]
    assert kinds == [{"W "}, {"W ", "I "}, {"W ", "I ", "D "}]
    assert "line 2, 127.0.1.2: failed, HTTP 404, " in logs[2].err
    assert "secret" not in logs[2].err


# ---------------------------------------------------------------- the dry run


def everything(folder: Path):
    """Every file below a folder with its content and times."""
    return {
        path.relative_to(folder).as_posix(): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            path.lstat().st_mtime_ns,
            path.lstat().st_mode,
        )
        for path in sorted(folder.rglob("*"))
        if path.name != "site.lock"  # beside the checkout, and as empty as before
    }


def test_a_dry_run_tells_all_and_changes_nothing(one_feed, tmp_path):
    one_feed.run().ok()
    one_feed.bucket.put("feeds/g/old/index.html", "stale")
    one_feed.feed.body = rss(items(4))
    one_feed.origin.commit({"static/robots.txt": "User-agent: *\n"})
    (one_feed.site / "content/posts/draft-of-mine.md").write_text("mine")
    folders = [one_feed.script.app, one_feed.origin.path, one_feed.script.tmp]
    before = [everything(folder) for folder in folders], one_feed.bucket.listing()
    one_feed.web.forget()
    one_feed.s3.forget()
    ping = one_feed.web.answer("/ping")
    result = one_feed.run("--dry-run", "--delete", "--ping", ping).ok()
    after = [everything(folder) for folder in folders], one_feed.bucket.listing()
    for old, new in zip(before[0], after[0], strict=True):
        assert {
            k: (old.get(k), new.get(k)) for k in old.keys() | new.keys() if old.get(k) != new.get(k)
        } == {}
    assert after[1] == before[1]
    assert set(one_feed.s3.counts) <= {"LIST", "HEAD"}
    assert set(seen(one_feed.web.asked())) == {("GET", "/a.xml")}
    told = result.out.splitlines()
    assert any("new post" in line and "entry-4-of-alpha" in line for line in told)
    assert any("superfeed: 1 new entry from 1 feed" in line for line in told)
    assert any("push" in line for line in told)
    assert any("feeds/index.xml (" in line for line in told)
    assert any("robots.txt (new" in line for line in told), result.out
    assert any("delete feeds/g/old/index.html" in line for line in told)
    assert any("purge /feeds/index.xml" in line for line in told)
    assert not any(line.startswith("would: would") for line in told)
    assert result.report["posts"]["new"] == 1

    real = one_feed.run("--delete").ok().report
    assert real["posts"]["new"] == 1
    for key in ("uploaded", "deleted"):
        assert real["deploy"][key] == result.report["deploy"][key]


def test_a_dry_run_works_where_nothing_is_yet(one_feed):
    result = one_feed.run("--dry-run").ok()
    assert result.report["posts"]["new"] == 3
    assert not one_feed.site.exists()
    assert one_feed.posts() == []
    assert one_feed.bucket.keys() == []
    one_feed.script.starter()
    result = one_feed.run("--dry-run", "--repo", "", "--deploy", "", "--purge-url", "").ok()
    assert not one_feed.site.exists()


def test_a_dry_run_of_a_large_checkout_takes_no_space(one_feed):
    one_feed.run().ok()
    big = one_feed.site / "static/big.bin"
    with big.open("wb") as file:
        file.truncate(3 << 30)  # sparse: real only if somebody copied it
    (one_feed.site / ".git/info/exclude").write_text("static/big.bin\n")
    (one_feed.site / "static/big.bin").rename(one_feed.site / "content/big.bin.draft")
    used = shutil.disk_usage(one_feed.site).used
    result = one_feed.run("--dry-run", "--skip", "build", "--skip", "deploy").ok()
    assert result.seconds < 20
    assert shutil.disk_usage(one_feed.site).used - used < 1 << 30


def test_a_busy_host_is_waited_for_across_runs(one_feed):
    one_feed.web.serve("/busy.xml", busy(429, 3600), on=2)
    one_feed.feeds_txt([one_feed.feed.url, one_feed.web.url("/busy.xml", on=2)])
    one_feed.run().ok()
    one_feed.web.forget()
    report = one_feed.run().ok().report
    assert [feed["status"] for feed in report["feeds"]] == ["unchanged", "waiting"]
    assert not one_feed.web.asked("/busy.xml", on=2)


def test_the_readme_of_this_folder_is_the_repositorys():
    assert HERE == REPO


def test_a_stage_that_needs_a_checkout_says_so(one_feed):
    one_feed.run("--skip", "pull").fails(1, "no checkout", "pull")
    assert not one_feed.site.exists()


def test_gits_own_identity_is_used_where_there_is_one(one_feed):
    git_config = one_feed.script.home / ".gitconfig"
    git_config.write_text("[user]\nname = Me\nemail = me@me.example\n")
    one_feed.run().ok()
    assert one_feed.origin.log(form="%an <%ae>")[0] == "Me <me@me.example>"
    one_feed.feed.body = rss(items(4))
    one_feed.run("--author", "Bot <bot@me.example>").ok()
    assert one_feed.origin.log(form="%an <%ae> %cn")[0] == "Bot <bot@me.example> Bot"
    assert git("status", "--porcelain", cwd=one_feed.site) == ""
