"""What must agree in the repository, and how superfeed.py is laid out."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import superfeed

REPO = Path(superfeed.__file__).parent
SOURCE = (REPO / "superfeed.py").read_text()
LINES = SOURCE.splitlines()
BANNER = re.compile(r"^#{79}\n# (.+)\n#{79}$", re.MULTILINE)


def names(text):
    """The requirements in a text, one a line."""
    lines = (line.split(" #")[0].strip() for line in text.splitlines())
    return sorted(line for line in lines if line and not line.startswith(("#", "-r")))


def functions():
    """Every function with its name and length; docstrings count."""
    for node in ast.walk(ast.parse(SOURCE)):
        if isinstance(node, ast.FunctionDef):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def test_the_script_names_the_packages_of_requirements_txt():
    block = re.search(r"^# /// script\n((?:#.*\n)+?)# ///$", SOURCE, re.MULTILINE)[1]
    meta = tomllib.loads("".join(line[2:] + "\n" for line in block.splitlines()))
    assert names("\n".join(meta["dependencies"])) == names((REPO / "requirements.txt").read_text())
    assert meta["requires-python"] == ">=3.11"


def test_the_embedded_super_feed_is_the_starters():
    starter = REPO / "examples/site/layouts/feeds/section.rss.xml"
    assert starter.read_text() == superfeed.RSS_LAYOUT


def test_no_line_is_longer_than_100_characters():
    assert [number for number, line in enumerate(LINES, 1) if len(line) > 100] == []


def test_the_file_grows_no_more():
    """It should have 2,500 lines: what is added is to be deleted elsewhere."""
    assert len(LINES) <= 5_250


def test_no_function_is_longer_than_40_lines():
    assert [(name, line, size) for name, line, size in functions() if size > 40] == []


def test_every_section_is_under_250_lines():
    found = list(BANNER.finditer(SOURCE))
    starts = [SOURCE.count("\n", 0, match.start()) for match in found] + [len(LINES)]
    sizes = {m[1]: b - a for m, a, b in zip(found, starts, starts[1:], strict=False)}
    assert {name: size for name, size in sizes.items() if size >= 250} == {}


def test_the_docstring_names_every_section_in_order():
    told = re.findall(r"^    (\S.*?)  +\S", superfeed.__doc__, re.MULTILINE)
    assert told == [match[1] for match in BANNER.finditer(SOURCE)]


def test_no_section_uses_what_a_later_one_defines():
    starts = [SOURCE.count("\n", 0, match.start()) for match in BANNER.finditer(SOURCE)]

    def section(line):
        return sum(start < line for start in starts)

    kinds = ast.FunctionDef | ast.ClassDef
    nodes = [node for node in ast.parse(SOURCE).body if isinstance(node, kinds)]
    homes = {node.name: section(node.lineno) for node in nodes}
    early = []
    for node in nodes:
        names = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
        own = {name.id for name in names if not isinstance(name.ctx, ast.Load)}
        own |= {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
        used = {name.id for name in names} - own
        early += [(node.name, n) for n in used if homes.get(n, 0) > section(node.lineno)]
    assert early == []


def test_the_changelog_knows_the_version():
    text = (REPO / "CHANGELOG.md").read_text()
    assert re.search(rf"^## \[?{re.escape(superfeed.__version__)}\b", text, re.MULTILINE)


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy", "--strict", "superfeed.py"],
    ],
    ids=" ".join,
)
def test_the_tools_that_watch_over_the_code_are_content(command):
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=REPO, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_repository_names_no_machine_and_holds_no_secret():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPO, capture_output=True, text=True, check=True
    ).stdout
    local = re.compile(rb"/" + rb"work/|/" + rb"root/|AKIA" + rb"[0-9A-Z]{16}")
    found = []
    for name in filter(None, listed.split("\0")):
        path = REPO / name
        if path.is_file() and local.search(path.read_bytes()):
            found.append(name)
    assert found == []
