"""The checkout: what others push, what its owner leaves lying about, remotes of every kind."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.feedmaker import items, rss
from support.git import Origin, git
from support.script import Script, Workplace

import superfeed

RIVAL = """#!/bin/sh
# git, but before each push somebody else is faster, {times} times.
case " $* " in *" push "*)
  n=$(ls {folder} | wc -l)
  if [ "$n" -lt {times} ]; then
    touch {folder}/$n
    cd {desk} && {git} pull -q && echo $n > content/posts/rival-$n.md \\
      && {git} add -A && {git} commit -q -m "Rival $n" && {git} push -q || exit 99
    cd - > /dev/null
  fi
esac
exec {git} "$@"
"""


@pytest.fixture
def place(workplace) -> Workplace:
    """A workplace with one feed and no deploy."""
    workplace.flags |= {"--deploy": None, "--endpoint-url": None}
    workplace.feed = workplace.web.feed("/a.xml", rss(items(2)))
    workplace.feeds_txt([workplace.feed.url])
    return workplace


def news(place, count=3):
    """From now on the feed has so many entries."""
    place.feed.body = rss(items(count))


def in_site(place, *argv) -> str:
    return git(*argv, cwd=place.site)


def write(place, name, text="mine\n") -> Path:
    path = place.site / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def program(place, name, text):
    """Put a shell script on PATH."""
    place.script.tool(name, None)
    path = place.script.bin / name
    path.write_text(text)
    path.chmod(0o755)


def before_build(place, commands):
    """Let the shell do something before hugo builds."""
    real = (place.script.bin / "hugo").resolve()
    text = f'#!/bin/sh\ncase "$1" in --gc) {commands};; esac\nexec {real} "$@"\n'
    program(place, "hugo", text)


def rivals(place, tmp_path, times):
    """Let somebody push before each of superfeed's pushes."""
    desk = place.origin.clone(tmp_path / "rival")
    for key, value in (("name", "Rival"), ("email", "rival@rival.example")):
        git("config", f"user.{key}", value, cwd=desk)
    (folder := tmp_path / "turns").mkdir()
    real = shutil.which("git")
    program(place, "git", RIVAL.format(times=times, folder=folder, desk=desk, git=real))


def rewrite(place, to):
    """The owner makes the remote's branch end elsewhere."""
    git("update-ref", "refs/heads/main", to, cwd=place.origin.path)


# ---------------------------------------------------------------- others push


def test_a_rival_who_pushes_first_twenty_times_in_a_row_loses_nothing(place, tmp_path):
    place.run().ok()
    rivals(place, tmp_path, 20)
    news(place)
    report = place.run().ok().report
    assert report["commit"]["pushed"]
    assert report["commit"]["sha"] == place.origin.head()
    assert len(place.posts()) == 3
    assert len([p for p in place.origin.files("content/posts/") if "rival-" in p]) == 20
    assert place.origin.log()[0].startswith("superfeed: 1 new entry from 1 feed")


def test_a_rival_who_wins_at_the_last_moment_loses_nothing(place, tmp_path):
    place.run().ok()
    hook = place.origin.path / "hooks" / "update"
    hook.write_text(
        f"#!/bin/sh\ntest -e {tmp_path}/done && exit 0\ntouch {tmp_path}/done\n"
        "unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES\n"
        "export GIT_AUTHOR_NAME=R GIT_AUTHOR_EMAIL=r@r\n"
        "export GIT_COMMITTER_NAME=R GIT_COMMITTER_EMAIL=r@r\n"
        'new=$(git commit-tree -p "$2" -m Rival "$2^{tree}") && git update-ref "$1" "$new"\n'
    )
    hook.chmod(0o755)
    news(place)
    assert place.run().ok().report["commit"]["pushed"]
    assert place.origin.log()[1] == "Rival"
    assert len(place.posts()) == 3


def test_a_push_that_a_hook_refuses_fails_at_once_with_its_words(place):
    place.run().ok()
    hook = place.origin.path / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'frozen until Monday' >&2; exit 1\n")
    hook.chmod(0o755)
    news(place)
    result = place.run().fails(1, "git push failed", "frozen until Monday")
    assert result.seconds < 10
    hook.unlink()
    assert place.run().ok().report["commit"]["pushed"]
    assert len(place.posts()) == 3


def test_four_superfeeds_with_sections_of_their_own_push_at_once(place, tmp_path):
    def one(number):
        script = Script(tmp_path / f"machine-{number}")
        feed = place.web.feed(f"/{number}.xml", rss(items(5, f"beta{number}")), on=number + 2)
        script.write("feeds.txt", feed.url + "\n")
        flags = ("--repo", place.origin.url, "--section", f"feeds{number}")
        return [script(*flags, timeout=240) for _ in range(2)]

    with ThreadPoolExecutor(4) as pool:
        for results in pool.map(one, range(4)):
            for result in results:
                result.ok()
    for number in range(4):
        assert len(place.posts(f"feeds{number}")) == 5
    assert len([s for s in place.origin.log() if s.startswith("superfeed: 5 new")]) == 4


def test_a_commit_that_another_machine_made_too_is_not_reported(place, tmp_path):
    """It was faster; of ours the rebase leaves nothing."""
    place.run().ok()
    news(place)
    other = f"{sys.executable} {place.script.path} --repo {place.origin.url} --site {tmp_path}/b"
    program(
        place, "git",
        f'#!/bin/sh\ncase " $* " in *" push "*) [ -e {tmp_path}/x ] || {{ touch {tmp_path}/x; '
        f'{other} --author "B <b@b>"; }};; esac\nexec {shutil.which("git")} "$@"\n',
    )  # fmt: skip
    result = place.run().ok().report
    assert place.origin.log(form="%an")[0] == "B"
    assert result["commit"] == {"sha": None, "pushed": False}
    assert in_site(place, "rev-parse", "HEAD").strip() == place.origin.head()


def test_two_superfeeds_with_one_section_end_well_or_say_why(place, tmp_path):
    """Not a set-up to recommend: each removes what its own list does not name."""

    def one(number):
        script = Script(tmp_path / f"machine-{number}")
        script.write("feeds.txt", place.feed.url + "\n")
        return script("--repo", place.origin.url, timeout=240)

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(one, range(2)))
    for result in results:
        assert result.code == 0 or "changed here and on the remote" in result.err, str(result)
    assert 0 in [result.code for result in results]
    assert len(place.posts()) == 2


def test_a_conflict_inside_the_section_is_aborted_cleanly_and_loses_nothing(place):
    place.run().ok()
    [path, _] = place.posts()
    mine = place.site / path
    mine.write_text(mine.read_text().replace("title:", "draft: true\ntitle:", 1))
    in_site(place, "commit", "-qam", "A draft of mine")
    head = in_site(place, "rev-parse", "HEAD")
    place.origin.commit({path: "---\ntitle: theirs\n---\n"}, "Theirs")
    write(place, "content/posts/untracked.md")
    for _ in range(2):
        result = place.run().fails(1, "changed here and on the remote", path, "nothing is lost")
        assert "rebase by hand" in result.err
    assert in_site(place, "rev-parse", "HEAD") == head
    assert in_site(place, "symbolic-ref", "--short", "HEAD") == "main\n"
    assert "draft: true" in mine.read_text()
    assert in_site(place, "status", "--porcelain") == "?? content/posts/untracked.md\n"
    assert place.origin.log()[0] == "Theirs"


@pytest.mark.parametrize("unpushed", [False, True])
def test_what_an_owner_took_out_of_the_history_does_not_come_back(place, unpushed):
    before = place.origin.head()
    place.origin.commit({"content/posts/password.md": "---\ntitle: sesame\n---\n"}, "Oops")
    place.run("--skip", "push").ok() if unpushed else place.run("--skip", "collect").ok()
    rewrite(place, before)
    place.origin.commit({"static/a.txt": "a"}, "After the rewriting")
    write(place, "content/about.md", "mine")
    assert place.run().ok().report["commit"]["pushed"]
    assert place.origin.log()[1:] == ["After the rewriting", "The site as its owner made it"]
    assert not (place.site / "content/posts/password.md").exists()
    assert (place.site / "content/about.md").read_text() == "mine"
    assert len(place.posts()) == 2


def test_a_history_that_only_lost_its_end_is_followed(place):
    before = place.origin.head()
    place.origin.commit({"content/posts/password.md": "---\ntitle: sesame\n---\n"}, "Oops")
    place.run().ok()
    rewrite(place, before)
    place.run().ok()
    assert len(place.origin.log()) == 2
    assert "content/posts/password.md" not in place.origin.files()
    assert len(place.posts()) == 2


@pytest.mark.parametrize("undated", [False, True])
def test_what_a_killed_run_wrote_gives_way_to_what_another_machine_published(place, undated):
    """It died between collect and commit; else every run after it would fail."""
    place.run().ok()
    entries = items(3)
    entries[0].date = None if undated else entries[0].date
    place.feed.body = rss(entries)
    place.run("--skip", "commit", "--skip", "push", "--skip", "build").ok()
    write(place, "content/posts/mine.md")
    if undated:  # its date is the time it was first seen
        time.sleep(1.1)
    place.run("--site", "elsewhere").ok()
    result = place.run().ok().report
    assert (result["posts"]["new"], result["commit"]) == (0, {"sha": None, "pushed": False})
    assert in_site(place, "status", "--porcelain", "content", "data") == (
        "?? content/posts/mine.md\n"
    )
    assert len(place.posts()) == 3


def test_commits_an_earlier_run_could_not_push_go_along(place):
    place.run().ok()
    news(place, 3)
    place.run("--skip", "push").ok()
    news(place, 4)
    place.origin.commit({"content/posts/between.md": "---\ntitle: x\n---\n"}, "Between")
    assert place.run().ok().report["commit"]["pushed"]
    subjects = place.origin.log()
    assert subjects[0].startswith("superfeed: 1 new")
    assert subjects[1].startswith("superfeed: 1 new")
    assert subjects[2] == "Between"


def test_a_push_is_made_good_by_a_run_without_news(place):
    place.run().ok()
    news(place)
    place.run("--skip", "push").ok()
    assert place.run().ok().report["commit"]["pushed"]
    assert len(place.posts()) == 3


def test_each_stage_works_when_those_before_it_are_left_out(place):
    place.run("--skip", "commit", "--skip", "push", "--skip", "build").ok()
    assert place.run("--skip", "pull", "--skip", "collect").ok().report["commit"]["pushed"]
    assert len(place.posts()) == 2


# ---------------------------------------------------------------- what the owner leaves about


@pytest.fixture
def lived_in(place):
    """A checkout in which its owner has staged, dirty, untracked and deleted files."""
    place.run().ok()
    write(place, "content/posts/staged.md")
    in_site(place, "add", "content/posts/staged.md")
    write(place, "content/about.md", "---\ntitle: About, staged\n---\n")
    in_site(place, "add", "content/about.md")
    write(place, "content/posts/the-shed.md", "---\ntitle: The shed, dirty\n---\n")
    write(place, "content/posts/[un]tracked file.md")
    (place.site / "content/posts/notes-on-compost.md").unlink()
    place.before = state_of(place)
    return place


def state_of(place):
    """What git says of the owner's files, and what is in them."""
    lines = in_site(place, "status", "--porcelain", "-uall", "content/posts", "content/about.md")
    files = {
        path.relative_to(place.site): path.read_bytes()
        for path in (place.site / "content").rglob("*.md")
        if "feeds" not in path.parts
    }
    return sorted(lines.splitlines()), files


def test_the_owners_files_survive_a_run_with_news(lived_in):
    news(lived_in)
    lived_in.run().ok()
    assert state_of(lived_in) == lived_in.before
    assert all(p.startswith(("content/feeds/", "data/")) for p in lived_in.origin.changed("HEAD~1"))


def test_the_owners_files_survive_a_fast_forward(lived_in):
    lived_in.origin.commit({"content/posts/far.md": "---\ntitle: far\n---\n"})
    lived_in.run().ok()
    (lived_in.site / "content/posts/far.md").unlink()
    in_site(lived_in, "checkout", "content/posts/far.md")
    status, files = state_of(lived_in)
    files.pop(Path("content/posts/far.md"))
    assert (status, files) == lived_in.before


def test_the_owners_files_survive_a_rebase(lived_in):
    news(lived_in)
    lived_in.run("--skip", "push").ok()
    lived_in.origin.commit({"static/far.txt": "far"})
    assert lived_in.run().ok().report["commit"]["pushed"]
    status, files = state_of(lived_in)
    assert files == lived_in.before[1]
    assert {line[3:] for line in status} == {line[3:] for line in lived_in.before[0]}
    assert in_site(lived_in, "stash", "list") == ""


def test_the_owners_files_survive_a_dry_run(lived_in):
    news(lived_in)
    lived_in.origin.commit({"static/far.txt": "far"})
    head = in_site(lived_in, "rev-parse", "HEAD")
    lived_in.run("--dry-run").ok()
    assert state_of(lived_in) == lived_in.before
    assert in_site(lived_in, "rev-parse", "HEAD") == head


def test_a_file_of_the_owners_that_is_named_like_a_post_gives_way_to_nothing(place):
    place.run().ok()
    name = "content/feeds/2026/11/mine-0123456789ab.md"
    mine = place.site / name
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text("---\ntitle: Mine\n---\n")
    place.origin.commit({name: "---\ntitle: Theirs\n---\n"})
    place.run().fails(1, f"changed here and upstream: {name}")
    assert mine.read_text() == "---\ntitle: Mine\n---\n"


def test_what_is_the_same_here_and_upstream_is_in_nobodys_way(place):
    place.run().ok()
    write(place, "content/posts/same.md", "---\ntitle: Same\n---\n")
    place.origin.commit({"content/posts/same.md": "---\ntitle: Same\n---\n"})
    place.run().ok()


@pytest.mark.parametrize("begun", ["CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-apply"])
def test_what_the_owner_is_in_the_middle_of_is_left_alone(place, begun):
    place.run().ok()
    (place.site / ".git" / begun).write_text(place.origin.head() + "\n")
    place.run().fails(1, "under way")


def test_a_file_changed_by_the_owner_and_upstream_fails_the_run_by_name(lived_in):
    lived_in.origin.commit({"content/posts/the-shed.md": "---\ntitle: Theirs\n---\n"})
    lived_in.run().fails(1, "changed here and upstream: content/posts/the-shed.md")
    assert state_of(lived_in) == lived_in.before
    lived_in.origin.commit({"content/posts/[un]tracked file.md": "theirs"})
    lived_in.run().fails(1, "content/posts/[un]tracked file.md", "content/posts/the-shed.md")
    assert state_of(lived_in) == lived_in.before


def test_a_failed_run_is_not_taken_for_a_killed_one(place):
    """Else the next would abort the rebase that its owner is in the middle of."""
    place.run().ok()
    place.origin.commit({"content/about.md": "---\ntitle: theirs\n---\n"})
    write(place, "content/about.md", "---\ntitle: mine\n---\n")
    in_site(place, "commit", "-qam", "Mine")
    in_site(place, "fetch", "-q")
    with pytest.raises(RuntimeError):
        in_site(place, "rebase", "origin/main")
    for _ in range(2):
        place.run().fails(1, "a merge or rebase is under way", "finish or abort it")
    assert (place.site / ".git/rebase-merge").exists()


def test_a_git_that_was_killed_is_not_in_the_way_of_the_next_run(place):
    """By the system, for its memory: superfeed itself lives on and ends the run."""
    place.run().ok()
    real = shutil.which("git")
    program(
        place, "git",
        f'#!/bin/sh\n[ "$1" != update-index ] || {{ touch .git/index.lock; kill -9 $$; }}\n'
        f'exec {real} "$@"\n',
    )  # fmt: skip
    news(place)
    place.run().fails(1, "git update-index failed", "it was killed")
    place.script.tool("git", real)
    assert place.run().ok().report["commit"]["pushed"]


def killed(place):
    """Leave what shows that the last run was killed."""
    (place.script.app / f"site{superfeed.TWIN}abcdefgh").mkdir()


def test_a_clone_that_goes_on_after_its_run_was_killed_is_in_nobodys_way(place):
    killed(place)
    (folder,) = place.script.app.glob("site?*")
    stop = time.monotonic() + 1.5

    def go_on():
        for number in itertools.takewhile(lambda _: time.monotonic() < stop, itertools.count()):
            with contextlib.suppress(OSError):
                (folder / f"{number % 50}").mkdir(parents=True)
                (folder / f"{number % 50}/file").touch()

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(go_on) for _ in range(2)]
        place.run("--skip", "build").ok()
    assert all(writer.result() is None for writer in writers)
    place.run().ok()
    assert not folder.exists()


@pytest.mark.parametrize("name", ["ORIG_HEAD.lock", "config.lock", "packed-refs.lock"])
def test_no_lock_of_gits_outlives_a_machine_that_went_down(place, name):
    place.run().ok()
    (place.site / ".git" / name).touch()
    killed(place)
    place.origin.commit({"static/a.txt": "a"})
    place.run().ok()
    assert not (place.site / ".git" / name).exists()


@pytest.mark.parametrize("kept", [True, False])
def test_a_rebase_killed_before_it_began_gives_the_owners_changes_back(place, kept):
    place.run().ok()
    write(place, "content/about.md", "mine")
    remains = place.site / ".git/rebase-merge"
    remains.mkdir()
    if kept:
        (remains / "autostash").write_text(in_site(place, "stash", "create"))
        in_site(place, "reset", "-q", "--hard")
    killed(place)
    place.run().ok()
    assert (place.site / "content/about.md").read_text() == "mine"
    assert not remains.exists()


def test_a_merge_of_the_owners_is_left_alone(place):
    place.run().ok()
    place.origin.commit({"static/a.txt": "a"})
    in_site(place, "fetch", "-q")
    write(place, "static/b.txt")
    in_site(place, "add", "static/b.txt")
    in_site(place, "commit", "-qm", "b")
    in_site(place, "merge", "-q", "--no-commit", "origin/main")
    place.run().fails(1, "a merge or rebase is under way")
    assert (place.site / ".git/MERGE_HEAD").exists()


def test_a_detached_head_is_refused(place):
    place.run().ok()
    in_site(place, "checkout", "-q", "--detach")
    place.run().fails(1, "is on no branch", "git switch")


def test_the_statistics_hugo_writes_into_a_tracked_file_are_restored(place):
    config = place.origin.read("hugo.toml") + "\n[build.buildStats]\nenable = true\n"
    place.origin.commit({"hugo.toml": config, "hugo_stats.json": '{"mine": 1}\n'})
    place.run().ok()
    assert (place.site / "hugo_stats.json").read_text() == '{"mine": 1}\n'
    assert in_site(place, "status", "--porcelain", "-uno") == ""
    write(place, "hugo_stats.json", '{"dirty": 1}\n')
    place.run().ok()  # the owner's change to it is his own affair
    news(place)
    place.run().ok()
    assert "hugo_stats.json" not in place.origin.changed("HEAD~1")


def test_the_statistics_are_restored_when_the_build_fails(place):
    config = place.origin.read("hugo.toml") + "\n[build.buildStats]\nenable = true\n"
    place.origin.commit({"hugo.toml": config, "hugo_stats.json": '{"mine": 1}\n'})
    place.run().ok()
    news(place)
    before_build(place, "echo x > hugo_stats.json; exit 1")
    place.run().fails(1)
    assert (place.site / "hugo_stats.json").read_text() == '{"mine": 1}\n'


# ---------------------------------------------------------------- remotes and checkouts


def test_what_a_build_wrote_gives_way_to_the_owners_own(place):
    """Of a build that was killed, and where the owner's repository keeps public/."""
    place.origin.commit({".gitignore": "", "hugo_stats.json": "{}\n", "public/a.html": "old"})
    place.run().ok()
    write(place, "hugo_stats.json", "of a build that was killed\n")
    place.origin.commit({"hugo_stats.json": "{ }\n", "public/a.html": "", "public/index.html": ""})
    news(place)
    assert place.run().ok().report["commit"]["pushed"]
    assert (place.site / "hugo_stats.json").read_text() == "{ }\n"
    assert not (place.site / "public/a.html").exists()
    assert "tomatoes" in (place.site / "public/index.html").read_text()


def test_submodule_themes_are_checked_out_and_follow(place, tmp_path):
    theme = Origin(tmp_path / "theme.git")
    theme.commit({"layouts/partials/mark.html": "one"}, "Theme")
    (place.script.home / ".gitconfig").write_text('[protocol "file"]\nallow = always\n')
    desk = place.origin.clone(tmp_path / "desk")
    allow = ("-c", "protocol.file.allow=always")
    git(*allow, "submodule", "add", "-q", theme.url, "themes/mine", cwd=desk)
    git("commit", "-qam", "A theme", cwd=desk)
    git("push", "-q", cwd=desk)
    place.run().ok()
    mark = place.site / "themes/mine/layouts/partials/mark.html"
    assert mark.read_text() == "one"
    theme.commit({"layouts/partials/mark.html": "two"})
    git("pull", "-q", cwd=desk)
    git(*allow, "submodule", "update", "-q", "--remote", cwd=desk)
    git("commit", "-qam", "The new theme", cwd=desk)
    git("push", "-q", cwd=desk)
    place.run().ok()
    assert mark.read_text() == "two"
    assert in_site(place, "status", "--porcelain") == ""
    shutil.rmtree(place.site / "themes/mine")
    (place.site / "themes/mine").mkdir()
    in_site(place, "submodule", "deinit", "-q", "-f", "themes/mine")
    place.run().ok()
    assert mark.read_text() == "two"


def test_another_commit_of_a_submodule_checked_out_by_the_owner_stays(place, tmp_path):
    theme = Origin(tmp_path / "theme.git")
    first = theme.commit({"a.txt": "one"}, "Theme")
    theme.commit({"a.txt": "two"})
    (place.script.home / ".gitconfig").write_text('[protocol "file"]\nallow = always\n')
    desk = place.origin.clone(tmp_path / "desk")
    git("-c", "protocol.file.allow=always", "submodule", "add", "-q", theme.url, "themes/mine",
        cwd=desk)  # fmt: skip
    git("commit", "-qam", "A theme", cwd=desk)
    git("push", "-q", cwd=desk)
    place.run().ok()
    git("fetch", "-q", "--unshallow", cwd=place.site / "themes/mine")
    git("checkout", "-q", first, cwd=place.site / "themes/mine")
    news(place)
    place.run().ok()
    assert (place.site / "themes/mine/a.txt").read_text() == "one"


@pytest.mark.parametrize("branch", ["trunk", "release/2026"])
def test_the_default_branch_may_be_called_anything(place, tmp_path, branch):
    origin = Origin(tmp_path / "other.git", Path(__file__).parent / "support/site", branch=branch)
    place.flags["--repo"] = origin.url
    place.run().ok()
    news(place)
    assert place.run().ok().report["commit"]["sha"] == origin.head()


def test_a_branch_that_went_from_the_remote_is_not_made_anew(place):
    """Else the site of an owner who renamed it goes on living there, without his news."""
    place.run().ok()
    git("branch", "-m", "main", "trunk", cwd=place.origin.path)
    news(place)
    place.run().fails(1, "couldn't find remote ref refs/heads/main", "check --branch")
    assert git("branch", cwd=place.origin.path) == "* trunk\n"
    cure = place.run("--branch", "trunk").fails(1, "is on branch main, not trunk").err
    for command in cure.split("or: git ")[1].rstrip(")\n").split("; git "):
        git(*command.split())
    place.run("--branch", "trunk").ok()
    assert len(place.origin.files("content/feeds/2", "trunk")) == 3


def test_a_named_branch_is_worked_on_and_no_other(place):
    git("branch", "live", "main", cwd=place.origin.path)
    before = place.origin.head()
    place.run("--branch", "live").ok()
    assert place.origin.head() == before
    assert place.origin.log("live")[0].startswith("superfeed: 2 new entries")
    place.run("--branch", "main").fails(1, "is on branch live, not main", "switch main")
    place.run("--branch", "nowhere", "--site", "elsewhere").fails(1, "nowhere", "check --branch")
    assert not (place.script.cwd / "elsewhere").exists()


def test_the_remote_is_origin_whatever_the_owner_calls_his_own(place):
    (place.script.home / ".gitconfig").write_text("[clone]\n defaultRemoteName = upstream\n")
    place.run().ok()
    news(place)
    assert place.run().ok().report["commit"]["pushed"]


def test_a_repository_with_a_checked_out_branch_says_what_to_do(place, tmp_path):
    desk = place.origin.clone(tmp_path / "desk")
    place.flags["--repo"] = str(desk)
    place.run().fails(
        1, "refusing to update checked out", "receive.denyCurrentBranch updateInstead"
    )
    git("config", "receive.denyCurrentBranch", "updateInstead", cwd=desk)
    place.run().ok()
    assert len(list(desk.glob("content/feeds/2*/*/*.md"))) == 2


def test_a_checkout_of_somebody_else_says_what_to_do(place):
    place.run().ok()
    result = place.run(env={"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"})
    result.fails(1, "dubious ownership", "run as its owner", "safe.directory")


def test_an_empty_remote_gets_the_starter(place, empty_origin):
    place.script.starter()
    place.flags["--repo"] = empty_origin.url
    assert place.run().ok().report["commit"]["pushed"]
    assert empty_origin.log()[-1] == "Start the site"
    assert "hugo.toml" in empty_origin.files()
    assert [path for path in empty_origin.files("content/feeds/") if "_index" not in path]
    assert not place.run().ok().report["commit"]["pushed"]


def test_without_a_remote_a_new_site_is_made_and_committed(place):
    place.script.starter()
    place.flags["--repo"] = None
    place.run().ok()
    assert in_site(place, "log", "--format=%s").splitlines()[-1] == "Start the site"
    assert (place.site / "public/index.html").exists()
    assert in_site(place, "status", "--porcelain") == ""


def test_lfs_pointers_are_refused_where_git_lfs_is_missing(place):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    place.origin.commit({".gitattributes": "*.png filter=lfs\n", "static/a.png": pointer})
    place.run().fails(2, "static/a.png is a Git LFS pointer", "install git-lfs")
    assert not place.site.exists()


def test_a_remote_that_hangs_is_given_up_in_time(place, git_http):
    server = git_http(place.origin)
    place.flags["--repo"] = server.url
    env = {"SUPERFEED_GIT_TOKEN": server.token, "GIT_HTTP_LOW_SPEED_TIME": "2"}
    place.run(env=env).ok()
    server.hang()
    result = place.run(env=env).fails(1, "git fetch failed", "try again later")
    assert result.seconds < 15
    server.heal()
    place.run(env=env).ok()


def test_a_git_that_never_ends_is_given_up_and_all_it_started_with_it(tmp_path, monkeypatch):
    script = tmp_path / "bin" / "git"
    script.parent.mkdir()
    script.write_text(
        f'#!/bin/sh\n[ $1 = fetch ] || exec {shutil.which("git")} "$@"\n'
        f"sleep 600 & echo $! > {tmp_path}/pid; sleep 600\n"
    )
    script.chmod(0o755)
    env = {"PATH": f"{script.parent}:{os.environ['PATH']}"}
    checkout = superfeed.Checkout(tmp_path, "", env)
    monkeypatch.setattr(superfeed, "GIT_TIMEOUT_S", 0.5)
    os.environ["PATH"], path = env["PATH"], os.environ["PATH"]
    try:
        with pytest.raises(superfeed.SuperfeedError, match="gave up after"):
            checkout.git("fetch")
    finally:
        os.environ["PATH"] = path
    pid = int((tmp_path / "pid").read_text())
    assert ended(pid)


def ended(pid, seconds=5) -> bool:
    """Whether a process has ended (one that nobody waited for has, too)."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        state = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False, text=True
        ).stdout.strip()
        if not state or state.startswith("Z"):
            return True
        time.sleep(0.05)
    return False


def test_a_folder_that_is_no_checkout_is_refused_and_left_alone(place):
    write(place, "letter.txt")
    place.run().fails(2, "is there and no git checkout", "--site")
    assert [path.name for path in place.site.iterdir()] == ["letter.txt"]


def test_a_folder_of_the_owners_beside_the_site_is_left_alone(place):
    """Whatever it is called: only what superfeed itself leaves behind may go."""
    for name in ("site.new-design", "site.new-abcdefgh", "site-old"):
        (place.script.app / name).mkdir()
    for _ in range(2):
        place.run().ok()
    assert {"site.new-design", "site.new-abcdefgh", "site-old"} <= {
        path.name for path in place.script.app.iterdir()
    }


def test_an_empty_folder_is_taken(place):
    place.site.mkdir()
    place.run().ok()


@pytest.mark.parametrize("remains", ["nothing", "an empty .git", "a broken .git"])
def test_a_half_made_clone_never_resolves_to_the_repository_around_it(place, remains):
    around = place.script.app
    git("init", "-q", cwd=around)
    git("add", "superfeed.py", cwd=around)
    git("commit", "-q", "-m", "Around", cwd=around)
    place.site.mkdir()
    if remains != "nothing":
        (place.site / ".git").mkdir()
    if remains == "a broken .git":
        (place.site / ".git/HEAD").write_text("ref: refs/heads/main\n")
    result = place.run()
    assert git("log", "--format=%s", cwd=around) == "Around\n"
    if remains == "nothing":
        result.ok()
    else:
        result.fails(1, "not a git repository", "site")


def test_a_clone_that_fails_leaves_nothing(place):
    place.run("--repo", str(place.origin.path) + "-not").fails(
        1, "git clone failed", "check --repo"
    )
    assert sorted(path.name for path in place.script.app.iterdir()) == [
        "feeds.txt", "site.lock", "superfeed.py",
    ]  # fmt: skip


def test_the_checkout_of_another_repository_is_refused(place, empty_origin):
    place.run().ok()
    place.run("--repo", empty_origin.url).fails(2, "is a clone of", "use another --site")


def test_a_password_the_owner_keeps_in_his_checkout_is_not_shown(place):
    place.run().ok()
    address = place.web.refused("/site.git")
    with_password = address.replace("//", "//me:sesame@")
    in_site(place, "remote", "set-url", "origin", with_password)
    for result in (place.run(), place.run("--repo", address), place.script()):
        assert result.code in (1, 2)
        assert "sesame" not in str(result) + str(result.report)
    place.run("--repo", address).fails(1, "git fetch failed")  # it is the same repository


def test_the_variables_of_a_git_hook_do_not_lead_astray(place, tmp_path):
    elsewhere = place.origin.clone(tmp_path / "elsewhere")
    head = git("rev-parse", "HEAD", cwd=elsewhere)
    env = {"GIT_DIR": elsewhere / ".git", "GIT_WORK_TREE": elsewhere}
    place.run(env=env).ok()
    assert git("rev-parse", "HEAD", cwd=elsewhere) == head
    assert len(place.posts()) == 2


def test_the_commit_has_the_author_that_was_asked_for(place):
    place.run("--author", "Ann Other <ann@other.example>").ok()
    form = "%an <%ae> %cn <%ce>"
    assert place.origin.log(form=form)[0] == (
        "Ann Other <ann@other.example> Ann Other <ann@other.example>"
    )


def test_without_an_author_git_decides_else_superfeed(place):
    place.run().ok()
    assert place.origin.log(form="%an")[0] == "superfeed"
    (place.script.home / ".gitconfig").write_text("[user]\nname = Me\nemail = me@me.example\n")
    news(place)
    place.run().ok()
    assert place.origin.log(form="%an <%ae>")[0] == "Me <me@me.example>"


def test_hooks_and_signing_are_off_for_the_commit(place):
    place.run().ok()
    hook = place.site / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    in_site(place, "config", "commit.gpgSign", "true")
    news(place)
    place.run().ok()
    assert len(place.posts()) == 3


def test_the_commit_says_skip_ci_only_when_this_run_deploys(workplace):
    feed = workplace.web.feed("/a.xml", rss(items(1)))
    workplace.feeds_txt([feed.url])
    workplace.run("--skip", "deploy").ok()
    assert workplace.origin.log()[0] == "superfeed: 1 new entry from 1 feed"
    feed.body = rss(items(3))
    workplace.run().ok()
    assert workplace.origin.log()[0] == "superfeed: 2 new entries from 1 feed [skip ci]"


def test_a_run_without_news_commits_nothing(place):
    place.run().ok()
    before = place.origin.head()
    report = place.run().ok().report
    assert report["commit"] == {"sha": None, "pushed": False}
    assert place.origin.head() == before


def test_a_section_that_is_ignored_by_git_fails_with_the_cure(place):
    place.origin.commit({".gitignore": "public\ncontent/feeds\n"})
    place.run().fails(1, "feeds", ".gitignore")


# ---------------------------------------------------------------- the lock


def test_a_second_run_is_refused_with_75_and_pings_nobody(place):
    place.run().ok()
    hold = place.site.parent / "hold"
    os.mkfifo(hold)
    before_build(place, f"cat {hold}")
    flags = ("--repo", place.origin.url)
    first = place.script.start(*flags)
    wait_for(lambda: any("hugo" in name and "--gc" in name for name in children(first.pid)))
    ping = place.web.answer("/ping")
    place.run("--ping", ping).fails(75, "another run works in")
    assert not place.web.asked("/ping")
    assert not place.web.asked("/ping/fail")
    with hold.open("w"):
        pass
    place.script.finish(first).ok()


def test_the_lock_is_free_when_its_holder_was_killed(place):
    place.run().ok()
    hold = place.site.parent / "hold"
    os.mkfifo(hold)
    real = (place.script.bin / "hugo").resolve()
    before_build(place, f"cat {hold}")
    first = place.script.start("--repo", place.origin.url)
    wait_for(lambda: any("hugo" in name and "--gc" in name for name in children(first.pid)))
    first.kill()
    first.communicate()
    with hold.open("w"):
        pass
    place.script.tool("hugo", real)
    place.run().ok()


def children(pid) -> list[str]:
    """The command lines of a process's children."""
    listed = subprocess.run(
        ["ps", "-ww", "-o", "args=", "--ppid", str(pid)],
        capture_output=True,
        check=False,
        text=True,
    )
    return listed.stdout.splitlines()


def wait_for(condition, seconds=20):
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it did not happen"
        time.sleep(0.05)
