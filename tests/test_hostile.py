"""Every folder in tests/hostile is a feed, and what must be true of the site that lists it.

feed.xml or feed.json is the feed; expect.toml says which rows of the hazards it stands for, how
many posts it makes, and what the built pages show: `titles` and `words` are there as text, `links`
are led to, `never` is in no file. One run of the script per site takes them all.
"""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from hugo_sites import KINDS, Page, build, hugo_binary, make_site, words
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
