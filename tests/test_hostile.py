"""Every folder in tests/hostile is a feed, and what must be true of the site that lists it.

feed.xml or feed.json is the feed; expect.toml says which rows of the hazards it stands for, how
many posts it makes, and what the built pages show: `titles` and `words` are there as text, `links`
are led to, `never` is in no file. One run of the script per site takes them all.
"""

import re
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from hugo_sites import KINDS, Page, build, hugo_binary, make_site, words
from support.feedmaker import Item, items, rss
from support.git import Origin
from support.script import Script
from support.web import Web

CASES = sorted(path.parent for path in Path(__file__).parent.glob("hostile/*/expect.toml"))
CONTENT = {"plain": "full", "dangerous": "full", "hooks": "summary"}
OWNERS = {
    "content/about.md": "---\ntitle: About\ndate: 2026-01-01\n---\nAbout the owner.\n",
    "content/posts/hello.md": "---\ntitle: Hello\ndate: 2026-01-01\ntags: [garden]\n---\nHello.\n",
    "content/posts/moss.md": "---\ntitle: Moss\ndate: 2026-01-02\ntags: [garden]\n---\nMoss.\n",
    "static/robots.txt": "User-agent: *\n",
}
# The fields of a post's page, with what a theme may make of them.
LINE_TAGS = {"em", "strong", "code", "del", "a", "p", "ins", "mark", "sup", "sub"}
BODY_TAGS = {
    *("p", "ul", "ol", "li", "blockquote", "pre", "code", "strong", "em", "del", "a", "img", "br"),
    *("h2", "h3", "h4", "h5", "h6", "hr", "table", "thead", "tbody", "tr", "th", "td"),
}
CHROMA = {"div", "span", "pre", "code"}  # the colours of code are Hugo's own


@dataclass
class Built:
    """A site after a run: the owner's files before and after, and the posts' pages by feed."""

    kind: str
    report: dict
    files: dict[str, bytes]
    before: dict[str, bytes]
    changed: list[str]
    pages: dict[str, list[Page]] = field(default_factory=dict)


def published(folder: Path) -> dict[str, bytes]:
    """Path -> bytes of all files."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def owners_site(folder: Path, kind: str) -> Path:
    """The site as its owner has it."""
    make_site(folder, kind)
    for name, text in OWNERS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module", params=KINDS)
def built(request, tmp_path_factory, certificates):
    """One run over all cases."""
    place = tmp_path_factory.mktemp("hostile")
    template = owners_site(place / "template", request.param)
    origin = Origin(place / "site.git", template)
    assert build(template, hugo_binary()).returncode == 0
    web, script = Web(certificates), Script(place / "machine")
    lines = [f"{case.name}  {serve(web, case)}" for case in CASES]
    script.write("feeds.txt", "\n".join(lines))
    head = origin.head()
    result = script("--repo", origin.url, "--keep", "0", "--content", CONTENT[request.param])
    web.close()
    result.ok()
    site = script.app / "site"
    made = Built(
        request.param,
        result.report,
        published(site / "public"),
        published(template / "public"),
        origin.changed(head),
    )
    for name, content in made.files.items():
        if re.fullmatch(r"feeds/\d{4}/.*/index\.html", name):
            page = Page(content)
            made.pages.setdefault(page.text["feed"], []).append(page)
    return made


def serve(web: Web, case: Path) -> str:
    """Serve a case's feed; its address."""
    document = next(case.glob("feed.*"))
    kind = "application/feed+json" if document.suffix == ".json" else "application/rss+xml"
    return web.feed(f"/{case.name}", document.read_bytes(), content_type=kind).url


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request):
    """A folder's name and what it expects."""
    return request.param.name, tomllib.loads((request.param / "expect.toml").read_text())


def shown(text: str) -> str:
    """Text without what is no word: a theme may curl quotes and set marks."""
    return re.sub(r"[\W_]", "", words(text))


def test_every_feed_is_read_and_no_post_set_aside(built):
    assert {feed["status"] for feed in built.report["feeds"]} == {"ok"}
    assert built.report["posts"]["set_aside"] == 0


def test_every_entry_has_its_page(built, case):
    name, expected = case
    assert len(built.pages[name]) == expected["posts"]


def test_readers_see_the_titles(built, case):
    name, expected = case
    fold = words if built.kind == "plain" else shown
    titles = [fold(page.text["title"]) for page in built.pages[name]]
    for title in expected.get("titles", ()):
        assert fold(title) in titles


def test_readers_see_the_words(built, case):
    name, expected = case
    seen = "\n".join(
        words(" ".join(page.text[part] for part in ("author", "tags", "body")))
        for page in built.pages[name]
    )
    for text in expected.get("words", ()):
        if built.kind == "plain":
            assert words(text) in seen
        else:
            assert shown(text) in shown(seen)


def test_links_lead_to_the_original(built, case):
    name, expected = case
    if CONTENT[built.kind] == "full":
        tags = [has for page in built.pages[name] for _, has in page.tags["body"]]
        targets = {has.get("href") or has.get("src") for has in tags}
        assert {*expected.get("links", ())} <= targets


def test_nothing_forbidden_is_on_its_pages_or_the_owners(built, case):
    name, expected = case
    own = {path: content for path, content in built.files.items() if "feeds/" not in path}
    for source in [*(page.source for page in built.pages[name]), *own.values()]:
        for never in expected.get("never", ()):
            assert never.encode() not in source


def test_nothing_of_the_owners_configuration_leaks(built):
    for path, content in built.files.items():
        assert b"kept-by-the-owner" not in content, path
        assert b"enableInlineShortcodes" not in content, path


def test_no_tag_or_attribute_is_the_feeds_own(built, case):
    for page in built.pages[case[0]]:
        for part, tags in page.tags.items():
            for tag, has in tags:
                assert tag in (BODY_TAGS | CHROMA if part == "body" else LINE_TAGS), (part, tag)
                assert tag in CHROMA or {*has} <= {"href", "src", "alt", "id", "start"}, (part, has)
                for address in (has.get("href"), has.get("src")):
                    assert re.match("(https?://|mailto:|$)", unquote(address or "")), address


def test_the_owners_pages_are_as_they_were(built):
    for path, content in built.before.items():
        if path.startswith(("about/", "posts/", "tags/", "categories/", "robots")):
            assert built.files[path] == content, path
    assert {path for path in built.files if path.startswith("tags/")} == {
        path for path in built.before if path.startswith("tags/")
    }
    assert b"About the owner." in built.files["about/index.html"]


def test_nothing_is_published_outside_the_section(built):
    new = {path.split("/")[0] for path in built.files.keys() - built.before.keys()}
    assert new <= {"feeds"}


def test_nothing_is_committed_outside_the_section(built):
    for path in built.changed:
        assert re.match(r"content/feeds/|data/superfeed/[0-9a-f]{12}\.json$|layouts/feeds/", path)
        if path.startswith("content/feeds/"):
            assert re.search(r"/(_index|[a-z0-9-]{1,60}-[0-9a-f]{12})\.md$", path), path


def test_every_feed_of_the_site_is_xml_and_has_the_words(built):
    for path, content in built.files.items():
        if path.endswith(".xml"):
            ElementTree.fromstring(content)
    channel = ElementTree.fromstring(built.files["feeds/index.xml"])
    titles = {words(item.findtext("title")) for item in channel.iter("item")}
    pages = [page for pages in built.pages.values() for page in pages]
    assert len(titles) >= 50
    if built.kind == "plain":
        assert titles <= {words(page.text["title"]) for page in pages}


def test_no_case_expects_nothing():
    assert len(CASES) >= 15
    for case in CASES:
        expected = tomllib.loads((case / "expect.toml").read_text())
        assert expected["rows"]
        assert expected["posts"] > 0
        assert expected.get("titles") or expected.get("words")


HUGE = [
    Item("title", "https://huge.test/title", "word " * 200_000, body="<p>a huge title</p>"),
    Item("body", "https://huge.test/body", "A huge body", body="<p>" + "word " * 1_000_000),
    Item("lists", "https://huge.test/lists", "Nested lists", body="<ul><li>deep" * 1_500),
    Item("quotes", "https://huge.test/quotes", "Quotes", body="<blockquote>deep" * 20_000),
    Item(
        "marks", "https://huge.test/marks", "Marks", body="<p><b id=%d>x" * 2_000 % (*range(2_000),)
    ),
    Item(
        "words", "https://huge.test/" + "x" * 100_000, "Addresses", body="<a href=/" + "y" * 100_000
    ),
    Item("author", "https://huge.test/author", "Author", author="y" * 20_000, tags=["z" * 9_000]),
]


# A process begins with the peak of the one that started it: a small one stands between.
GAUGE = """\
import pathlib, resource, subprocess, sys
code = subprocess.call([sys.executable, *sys.argv[2:]])
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
pathlib.Path(sys.argv[1]).write_text(str(peak / 1024))
sys.exit(code)
"""


def measured(place: Path, web: Web, entries: list[Item], *flags: str):
    """A run over one feed of these entries: its result, the site, seconds and megabytes."""
    origin = Origin(place / "site.git", owners_site(place / "template", "dangerous"))
    script = Script(place / "machine")
    script.write("feeds.txt", web.feed("/huge", rss(entries)).url)
    report, peak, path = place / "report", place / "peak", script.path
    script.path = script.write("gauge.py", GAUGE)
    started = time.monotonic()
    flags = ("--repo", origin.url, "--keep", "0", "--report", report, *flags)
    process = script.start(peak, path, *flags)
    result = script.finish(process, report=report).ok()
    return result, script.app / "site", time.monotonic() - started, float(peak.read_text())


@pytest.fixture(scope="module")
def huge(tmp_path_factory, certificates):
    """A run over huge and deep entries."""
    web = Web(certificates)
    yield measured(tmp_path_factory.mktemp("huge"), web, HUGE, "--content", "full")
    web.close()


def test_huge_entries_end_in_seconds_and_megabytes(huge):
    result, site, seconds, megabytes = huge
    assert result.report["posts"]["new"] == len(HUGE)
    assert result.report["posts"]["set_aside"] == 0
    assert len(list((site / "public/feeds").rglob("index.html"))) > len(HUGE)
    assert seconds < 60
    assert megabytes < 500  # hugo's own among them


def test_ten_thousand_entries_of_one_feed_end_in_seconds_and_megabytes(tmp_path, certificates):
    web = Web(certificates)
    without = ["--skip", "commit", "--skip", "push", "--skip", "build"]
    result, _, seconds, megabytes = measured(tmp_path, web, items(10_000), *without)
    web.close()
    assert result.report["posts"]["new"] == 10_000
    assert seconds < 60
    assert megabytes < 400


def test_huge_texts_are_cut_with_an_ellipsis(huge):
    paths = (huge[1] / "content/feeds").rglob("*-*.md")
    posts = {path.stem[:-13]: path.read_text() for path in paths}
    assert max(map(len, posts.values())) < 260_000
    titles = [re.search('title: "(.*)"', text)[1] for text in posts.values()]
    assert max(map(len, titles)) <= 300
    assert any(title.endswith("…") for title in titles)
    assert "…" in posts["a-huge-body"]
    for name in ("nested-lists", "quotes"):
        assert max(map(indentation, posts[name].splitlines())) <= 120


def indentation(line: str) -> int:
    """How deep a line of markdown stands."""
    return len(line) - len(line.lstrip("> -"))


@pytest.mark.parametrize("poison", ["{{< nosuch >}}", "{{% nosuch", "HAHAHUGOSHORTCODE0s0HBHB"])
def test_a_post_that_breaks_the_build_anyway_is_set_aside(web, tmp_path, poison):
    origin = Origin(tmp_path / "site.git", owners_site(tmp_path / "template", "plain"))
    script = Script(tmp_path / "machine")
    script.write("feeds.txt", web.feed("/a.xml", rss(items(3))).url)
    script("--repo", origin.url).ok()
    path = next(path for path in origin.files("content/feeds/") if "entry-2" in path)
    origin.commit({path: origin.read(path) + poison})
    result = script("--repo", origin.url).ok()
    assert result.report["posts"]["set_aside"] == 1
    assert path in result.err
    public = script.app / "site" / "public"
    page = Page(next(public.rglob("entry-2*/index.html")).read_bytes())
    assert "https://alpha.example/posts/2" in page.source.decode()
    assert poison not in page.source.decode()
    assert len(list(public.rglob("entry-*/index.html"))) == 3
    assert poison not in origin.read(path)
    assert script("--repo", origin.url).ok().report["posts"]["set_aside"] == 0
