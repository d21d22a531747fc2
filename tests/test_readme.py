"""README.md: every command, policy, function, flag and message on it is run or checked here."""

import ast
import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
import test_cloud
import yaml
from support.feedmaker import items, rss
from support.s3 import free_ports

REPO = Path(__file__).parents[1]
README = (REPO / "README.md").read_text("utf-8")


def blocks(kind: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("bash") for line in block.splitlines()]
SUPERFEED = ".venv/bin/python superfeed.py"
RUNS = [line for line in COMMANDS if line.startswith(SUPERFEED)]
SET_UPS = [line for line in COMMANDS if line.startswith("python3 -m venv")]


def rows(title: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    section = README.split(f"## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


# ---------------------------------------------------------------- commands


@pytest.fixture
def desk(superfeed, web, origin, git_http, bucket, moto, cloudflare, tmp_path):
    """A machine where the page's commands can be typed; returns type(line) -> Result."""
    superfeed.starter()
    for name in ("feeds.txt", "feeds-aws.txt"):
        superfeed.write(name, web.feed(f"/{name}.xml", rss(items(3, name[:-4]))).url + "\n")
    host = git_http(origin)
    real = {
        "https://github.com/you/site.git": host.url,
        "github_pat_of_yours": host.token,
        "s3://you.example": bucket.url,
        "/var/www/you.example": str(tmp_path / "www"),
        "E2EXAMPLE12345": moto.distribution(),
        "a_token_of_yours": cloudflare.token,
        "0123456789abcdef0123456789abcdef": cloudflare.zone,
    }
    env = moto.env | cloudflare.env | bucket.env | {"SUPERFEED_ENDPOINT_URL": bucket.endpoint}

    def type_(line, before=()):
        for old, new in real.items():
            line, before = line.replace(old, new), [each.replace(old, new) for each in before]
        exports = dict(each.removeprefix("export ").split("=", 1) for each in before)
        argv = shlex.split(line.removeprefix(SUPERFEED))
        return superfeed(*argv, cwd=superfeed.app, env=env | exports)

    return type_


def exports_before(line) -> list[str]:
    """The export lines of the block that a command stands in."""
    block = next(block for block in blocks("bash") if f"{line}\n" in block)
    return [each for each in block.splitlines() if each.startswith("export ")]


@pytest.mark.parametrize("line", RUNS)
def test_a_run_on_the_page_works_as_it_stands(desk, line):
    if "--deploy s3" in line and "--repo" in line:  # the last of two: it publishes the other's work
        token = ["export SUPERFEED_GIT_TOKEN=github_pat_of_yours"]
        desk(RUNS[RUNS.index(line) - 1], token).ok()
        desk(line, token).ok()
        return
    before = exports_before(line)
    if "--repo" in line and not before:
        before = ["export SUPERFEED_GIT_TOKEN=github_pat_of_yours"]
    result = desk(line, before).ok()
    assert result.report["error"] is None


def test_the_first_command_ends_with_a_run_without_options(desk):
    assert SET_UPS[0].endswith(f"&& {SUPERFEED}")
    result = desk(SUPERFEED).ok()
    assert result.report["posts"]["new"] == 3
    assert result.report["build"]["pages"] > 3


def test_the_set_up_commands_name_files_that_are_there_and_ci_runs_the_second():
    assert len(SET_UPS) == 2
    named = re.findall(r"-r (\S+)|python (\S+\.py)", " ".join(SET_UPS))
    for name in filter(None, (name for pair in named for name in pair)):
        assert (REPO / name).is_file(), name
    ci = (REPO / ".ci" / "run").read_text()
    for part in SET_UPS[1].split(" && "):  # CI finds its Python, and spares its cores
        assert part.replace("python3", '"$python"').removesuffix(" -n auto") in ci, part


def test_the_site_can_be_looked_at(tmp_path):
    line = next(line for line in COMMANDS if "http.server" in line)
    (tmp_path / "site" / "public").mkdir(parents=True)
    (tmp_path / "site" / "public" / "index.html").write_text("The site")
    port = str(free_ports(1)[0])
    argv = shlex.split(line.replace(".venv/bin/python", sys.executable).replace("8000", port))
    with subprocess.Popen([*argv, "--bind", "127.0.0.1"], cwd=tmp_path, stderr=-3) as server:
        text, deadline = b"", time.monotonic() + 20
        while not text and time.monotonic() < deadline:
            with suppress(OSError):
                text = urllib.request.urlopen(f"http://127.0.0.1:{port}/").read()
            time.sleep(0.05)
        server.terminate()
    assert text == b"The site"
    assert "<http://localhost:8000>" in README


def test_the_one_test_that_is_named_is_there():
    line = next(line for line in COMMANDS if line.startswith(".venv/bin/pytest -q tests/"))
    argv = shlex.split(line)[1:]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *argv, "--collect-only", "-p", "no:cacheprovider"],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_every_other_command_is_known_to_a_test():
    checked = {*RUNS, *SET_UPS, *(line for line in COMMANDS if line.startswith("export "))}
    rest = [line for line in COMMANDS if line not in checked]
    known = ("http.server", ".venv/bin/pytest -q tests/", "sudo cp ", "sudo systemctl ")
    assert [line for line in rest if not any(word in line for word in known)] == []
    units = " ".join(line for line in rest if line.startswith("sudo"))
    for name in re.findall(r"examples/\S+", units):
        assert (REPO / name).is_file()
    assert "superfeed.timer" in units.rsplit("enable --now", 1)[1]


def test_the_crontab_line_is_that_of_the_example():
    (line,) = blocks("crontab")
    assert line in (REPO / "examples" / "crontab").read_text()


# ---------------------------------------------------------------- what is pasted


def test_the_flags_are_those_of_help():
    done = subprocess.run(
        [sys.executable, REPO / "superfeed.py", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], "COLUMNS": "80"},
    )
    assert done.stdout in blocks("text"), "paste `COLUMNS=80 python superfeed.py --help` anew"


def test_the_list_on_the_page_is_a_list(superfeed):
    """Read by --check, which fails for another reason: nobody answers at .example."""
    superfeed.starter()
    superfeed.write("feeds.txt", blocks("text")[0])
    superfeed.write("notes/mine.xml", rss(items(2)))
    result = superfeed("--check", "--timeout", "5", timeout=60)
    assert result.code == 1
    feeds = {feed["line"]: feed for feed in result.report["feeds"]}
    assert len(feeds) == 6
    assert feeds[3]["name"] == "A name of your own"
    assert [feed["group"] for feed in feeds.values()].count("cloud") == 4
    assert "secret" not in json.dumps(result.report) + result.out + result.err
    assert "password" not in json.dumps(result.report) + result.out + result.err


def test_the_policy_is_what_the_machine_of_the_example_needs_on_site_and_distribution():
    # That those are needed and enough is recorded from runs: see test_cloud.py.
    policy = json.loads(blocks("json")[0])
    template = yaml.load(test_cloud.TEMPLATE, test_cloud.CloudFormationLoader)
    role = template["Resources"]["InstanceRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    flat = [each[1] if isinstance(each, list) else each for each in role["Statement"]]
    needed = {each["Sid"]: each["Action"] for each in flat}
    actions = [statement["Action"] for statement in policy["Statement"]]
    assert actions == [needed["ListSite"], needed["WriteSite"], needed["Purge"]]
    assert policy["Version"] == role["Version"]
    resources = [statement["Resource"] for statement in policy["Statement"]]
    assert resources[:2] == ["arn:aws:s3:::you.example", "arn:aws:s3:::you.example/*"]


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("/", "/index.html"),
        ("/feeds/", "/feeds/index.html"),
        ("/feeds/aws", "/feeds/aws/index.html"),
        ("/feeds/index.xml", "/feeds/index.xml"),
        ("/css/main.0123.css", "/css/main.0123.css"),
    ],
)
def test_the_cloudfront_function_finds_the_page(asked, given):
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    event = json.dumps({"request": {"uri": asked}})
    code = f"{blocks('js')[0]}\nconsole.log(handler({event}).uri)"
    done = subprocess.run(["node", "-e", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == given


@functools.cache
def said_by_superfeed() -> str:
    """All texts in superfeed.py, those of f-strings in their parts."""
    tree = ast.parse((REPO / "superfeed.py").read_text("utf-8"))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return "\0".join(text for text in texts if isinstance(text, str))


@pytest.mark.parametrize("row", rows("What can go wrong, and what it then says"))
def test_a_message_on_the_page_is_one_that_superfeed_has(row):
    message = row[0].strip("`")
    for part in filter(None, (part.strip() for part in message.split("…"))):
        assert part in said_by_superfeed(), part


def test_what_a_run_prints_is_what_this_run_would_print():
    from datetime import UTC, datetime

    sys.path.insert(0, str(REPO))
    from superfeed import Report

    def feed(status, line, name="A", **facts):
        facts = {"error": None, "moved_to": None} | facts
        return {"url": "https://a.example/", "name": name, "status": status, "line": line} | facts

    moved = {"moved_to": "https://harbour-lab.example/feed.xml"}
    report = Report(datetime.now(UTC), seconds={"collect": 4.0, "build": 5.4})
    report.feeds = [feed("unchanged", line) for line in range(21)]
    report.feeds += [feed("failed", 31, "Plain Text", error="404 Not Found")]
    report.feeds += [feed("ok", 12, "Harbour Lab", **moved), *[feed("ok", 40)] * 4]
    report.posts = {"new": 9, "updated": 1, "removed": 0, "set_aside": 0, "total": 812}
    report.commit = {"sha": "34670c3d05", "pushed": True}
    report.build, report.purge = {"pages": 1630}, {"paths": 12, "owed": 0}
    report.deploy = {"uploaded": 14, "deleted": 0, "unchanged": 1700, "bytes": 1, "requests": {}}
    assert report.summary() + "\n" in blocks("text")


def test_the_exit_codes_on_the_page_are_those_of_the_design():
    assert [row[0] for row in rows("What a run prints")] == ["0", "1", "2", "75"]


def test_the_costs_on_the_page_are_what_its_prices_make():
    hourly = dict(re.findall(r"(t\dg?\.\w+) (0\.\d+)", README.split("732 runs")[1]))
    busy, earns = {1: 45, 4: 120}, {"t4g.nano": 0.10, "t4g.micro": 0.20}
    table = [row for row in rows("What it costs") if row[0] in hourly]
    assert len(table) == 6
    for name, run, *cells in table:
        minutes = int(run.split()[0])
        hours = 732 * minutes / 60
        burst = max(0, busy[minutes] - earns.get(name, 1) * minutes * 60) * 732 / 3600 * 0.04
        parts = [float(hourly[name]) * hours, burst, 0.005 * hours, 0.08 * 8 * hours / 730]
        parts.append((3 + 40) * 732 * 0.005 / 1000)
        wanted = [f"{part:.2f}" for part in parts] + [f"**{sum(parts):.2f}**"]
        assert cells == wanted, name
    assert round(3000 * 732 * 0.005 / 1000) == 11


def test_every_link_on_the_page_leads_to_a_file():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (REPO / target).is_file(), target
    assert (REPO / "examples" / "screenshot.png").stat().st_size < 200_000
