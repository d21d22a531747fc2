"""The starter site as people see it: built by a real run, looked at in a real chromium."""

import functools
import re
import shutil
import subprocess
import sys
import threading
from datetime import timedelta
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright
from support.feedmaker import START, Item, atom, json_feed, rss
from support.script import REPO, Script
from support.web import Web

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="chromium is missing: apt-get install chromium"),
    pytest.mark.timeout(180),
]
# A browser that asks nobody anything by itself: what is asked, the pages asked for.
QUIET = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
GROUPS = {"Cloud & servers": ("alpha", "beta", "gamma"), "Science": ("delta", "epsilon", "zeta")}
SOURCES = [name for names in GROUPS.values() for name in names]
KINDS = [
    *("home", "headlines", "group", "sources", "source"),
    *("archive", "month", "day", "post", "missing"),
]
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
# All that can be wider than a telephone, or may make a page ask elsewhere.
RICH = f"""<p>Water runs downhill, and so does the log. See <a href="https://a.example/x">more</a>.</p>
<h2>A heading of the author's</h2><h4>And a deeper one</h4>
<pre><code>{"a_line_without_any_break_" * 12}</code></pre>
<table><tr>{"<th>column</th>" * 14}</tr><tr>{"<td>1,234,567</td>" * 14}</tr></table>
<p>{LONG * 2} https://a.example/{"path" * 40}</p><ul><li>one</li><li>two</li></ul>
<blockquote>Said <em>softly</em>, with <code>code</code>.</blockquote>
<img src="https://pictures.example/a.png" alt="A ship" width="2000"><script>alert(1)</script>
<iframe src="https://frames.example/"></iframe><p style="width:3000px">The end.</p>"""
TITLES = {
    0: "Rivers & streams: <what> a log knows",
    1: f"About the {LONG}",
    2: "שלום עולם, a title from right to left",
    3: "日本語の題名はどこででも折り返せます" * 3,
}


def invented(number):
    """Entry `number` of 60, of source number % 6; a greater number is 2.5 hours older."""
    name = SOURCES[number % 6]
    return Item(
        guid=f"tag:{name}.example,2020:{number}",
        link=f"https://{name}.example/posts/{number}?a=1&b=2",
        title=TITLES.get(number, f"Entry {number} of {name}"),
        date=START - timedelta(hours=2.5) * number,
        body=RICH if number == 0 else f"<p>What entry {number} says, <b>briefly</b>.</p>",
        author="A writer of rivers" if number % 2 else "",
        tags=["water", "C&D"],
        enclosure="https://media.example/a.mp3" if number == 0 else "",
    )


ENTRIES = [invented(number) for number in range(60)]


def feeds_txt(web):
    """The list of the six sources, each served in one of the three formats."""
    lines = []
    for group, names in GROUPS.items():
        lines.append(f"[{group}]")
        for name in names:
            on = SOURCES.index(name) + 1
            make = (rss, atom, json_feed)[on % 3]
            body = make(ENTRIES[on - 1 :: 6], title=name.title(), link=f"https://{name}.example/")
            lines.append(web.feed(f"/{name}", body, on=on).url)
    return "\n".join(lines) + "\n"


class BelowBlog(SimpleHTTPRequestHandler):
    """Serve the folder below /blog/, and the site's own page for what is not there."""

    protocol_version = "HTTP/1.1"

    def translate_path(self, path):
        inside = path.removeprefix("/blog") if path.startswith("/blog/") else "/outside"
        return super().translate_path(inside)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory, certificates):
    """The address below a path of a site that superfeed.py itself made from the six sources."""
    script = Script(tmp_path_factory.mktemp("browser") / "machine")
    handler = functools.partial(BelowBlog, directory=script.app / "site" / "public")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    base = f"http://127.0.0.1:{server.server_port}/blog/"
    web = Web(certificates)
    script.starter()
    script.write("feeds.txt", feeds_txt(web))
    try:
        report = script("--content", "full", "--base-url", base).ok().report
    finally:
        web.close()
    assert not web.errors, web.errors[0]
    assert report["posts"]["new"] == len(ENTRIES)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield base
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def look(chromium, site):
    """look(width=, scheme=) -> a page; no test may see an error in it or a request elsewhere."""
    contexts, asked, faults = [], [], []

    def failed(request):
        if request.failure != "net::ERR_ABORTED":  # the icon, when the page is left before it came
            faults.append(f"{request.failure}: {request.url}")

    def open_page(width=1100, scheme="light"):
        size = {"width": width, "height": 800}
        context = chromium.new_context(viewport=size, color_scheme=scheme)
        contexts.append(context)
        context.on("request", lambda request: asked.append(request.url))
        context.on("requestfailed", failed)
        context.on("console", lambda said: faults.append(said.text))
        context.on("weberror", lambda error: faults.append(str(error.error)))
        return context.new_page()

    yield SimpleNamespace(at=open_page, asked=asked, faults=faults)
    for context in contexts:
        context.close()
    assert not [url for url in asked if not url.startswith(site)]
    assert not faults


def texts(found):
    """What is read; superfeed puts a space of no width into what looks like a tag."""
    return [text.replace("\u200b", "") for text in found.all_inner_texts()]


def hrefs(page, selector="a"):
    return page.locator(selector).evaluate_all("found => found.map(a => a.href)")


@pytest.fixture(scope="module")
def kinds(chromium, site):
    """kind -> the address of one page of it, found by following links as a reader would."""
    page = chromium.new_page()
    page.goto(site)
    links = hrefs(page)
    page.close()
    patterns = {
        "headlines": "feeds/$",
        "group": r"feeds/cloud-servers/$",
        "sources": "sources/$",
        "source": r"sources/alpha-[^/]+/$",
        "archive": "archive/$",
        "month": r"archive/\d{4}-\d\d/$",
        "day": r"archive/\d{4}-\d\d-\d\d/$",
        "post": r"feeds/cloud-servers/\d{4}/.+/$",
    }
    found = {
        kind: next(link for link in links if re.match(re.escape(site) + pattern, link))
        for kind, pattern in patterns.items()
    }
    return found | {"home": site, "missing": f"{site}404.html"}


def titles(entries):
    return [entry.title for entry in entries]


def links_of(entries):
    return [entry.link for entry in entries]


def day_of(entry):
    return f"{entry.date:%A} {entry.date.day} {entry.date:%B %Y}"


def test_every_kind_of_page_loads_below_the_path_without_an_error(look, kinds):
    page = look.at()
    assert sorted(kinds) == sorted(KINDS)
    for kind in KINDS:
        assert page.goto(kinds[kind]).status == 200, kind
        assert page.locator("h1").count() == 1, kind
    sheets = [urlsplit(url).path for url in look.asked if url.endswith(".css")]
    assert sheets
    assert all(path.startswith("/blog/css/main") for path in sheets)


def test_the_river_shows_the_newest_of_what_the_feeds_hold(look, site):
    page = look.at()
    page.goto(site)
    river = page.locator("main article")
    assert texts(river.locator("h3")) == titles(ENTRIES[:30])
    assert hrefs(page, "main h3 a") == links_of(ENTRIES[:30])
    second = river.nth(1).inner_text()
    assert all(word in second for word in ("What entry 1 says, briefly.", "Beta", "A writer of"))
    assert f"{ENTRIES[1].date:%H:%M}" in second


def test_the_river_is_grouped_by_day(look, site):
    page = look.at()
    page.goto(site)
    seen = {}
    for section in page.locator("main section.day").all():
        day = " ".join(section.locator("h2").inner_text().split())
        seen[day] = texts(section.locator("h3"))
    wanted = {}
    for entry in ENTRIES[:30]:
        wanted.setdefault(day_of(entry), []).append(entry.title)
    assert list(seen.items()) == list(wanted.items())


def test_a_group_shows_its_own_sources_alone(look, kinds):
    page = look.at()
    page.goto(kinds["home"])
    page.get_by_role("link", name="Cloud & servers").click()
    assert page.url == kinds["group"]
    assert page.locator("h1").inner_text() == "Cloud & servers"
    own = [entry for number, entry in enumerate(ENTRIES) if number % 6 < 3]
    assert hrefs(page, "main h3 a") == links_of(own)
    assert page.locator("nav [aria-current=page]").inner_text() == "Cloud & servers"


def test_the_headlines_are_all_titles_and_lead_to_the_originals(look, kinds):
    page = look.at()
    page.goto(kinds["headlines"])
    assert hrefs(page, "main .headlines a") == links_of(ENTRIES)


def test_the_sources_page_lists_each_source_in_its_group_with_its_site_and_feed(look, kinds):
    page = look.at()
    page.goto(kinds["sources"])
    for group, names in GROUPS.items():
        section = page.locator("main section", has=page.get_by_role("heading", name=group))
        assert section.locator(".title").all_inner_texts() == [name.title() for name in names]
        assert hrefs(section, "a[aria-label^=Site]") == [f"https://{n}.example/" for n in names]
        feeds = [urlsplit(url).path for url in hrefs(section, "a[aria-label^=Feed]")]
        assert feeds == [f"/{name}" for name in names]


def test_the_page_of_a_source_lists_its_entries(look, kinds):
    page = look.at()
    page.goto(kinds["sources"])
    page.get_by_role("link", name="Alpha", exact=True).click()
    assert page.url == kinds["source"]
    assert texts(page.locator("main li a")) == titles(ENTRIES[::6])
    assert hrefs(page, "main li a") == links_of(ENTRIES[::6])


def test_the_archive_leads_to_months_that_hold_every_entry(look, kinds):
    page = look.at()
    page.goto(kinds["archive"])
    months, found = hrefs(page, "main .months a"), []
    for month in months:
        page.goto(month)
        found += hrefs(page, "main .headlines a")
    assert found == links_of(ENTRIES)
    assert kinds["month"] in months


def test_a_day_in_the_river_leads_to_all_entries_of_that_day(look, kinds):
    page = look.at()
    page.goto(kinds["home"])
    page.locator("main h2 a").nth(1).click()
    day = urlsplit(page.url).path.split("/")[-2]
    of_day = [entry for entry in ENTRIES if f"{entry.date:%Y-%m-%d}" == day]
    assert of_day
    assert hrefs(page, "main h3 a") == links_of(of_day)


def test_the_page_of_a_post_names_its_original_as_canonical(look, kinds):
    page = look.at()
    page.goto(kinds["home"])
    page.locator("main article .meta a").filter(has=page.locator("time")).first.click()
    assert page.url == kinds["post"]
    assert page.locator("link[rel=canonical]").get_attribute("href") == ENTRIES[0].link
    assert hrefs(page, "h1 a") == [ENTRIES[0].link]
    assert "Water runs downhill" in page.locator("main .text").inner_text()
    assert page.locator("main").locator("script, iframe, img").count() == 0


@pytest.mark.parametrize("width", [320, 360, 768])
def test_no_page_scrolls_sideways(look, kinds, width):
    page = look.at(width)
    wide = {}
    for kind in KINDS:
        page.goto(kinds[kind])
        page.evaluate("scrollTo(500, 0)")
        size = page.evaluate("[document.documentElement.scrollWidth, scrollX]")
        if size != [width, 0]:
            wide[kind] = size
    assert not wide


def brightness(color):
    """The relative luminance of WCAG 2 of a computed colour, rgb(r, g, b)."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_the_paper_is_dark_for_who_wants_it_dark_and_the_text_stands_out(look, kinds, scheme, dark):
    page = look.at(scheme=scheme)
    for kind in KINDS:
        page.goto(kinds[kind])
        style = "(({backgroundColor, color}) => [backgroundColor, color])"
        colors = page.evaluate(f"{style}(getComputedStyle(document.body))")
        paper, ink = map(brightness, colors)
        assert paper < 0.02 if dark else paper > 0.9, (kind, colors)
        low, high = sorted((paper, ink))
        assert (high + 0.05) / (low + 0.05) > 7, (kind, colors)


def test_the_keyboard_skips_the_navigation_with_its_first_stop(look, kinds):
    page = look.at()
    for kind in ("home", "post"):
        page.goto(kinds[kind])
        skip = page.locator("a.skip")
        assert skip.bounding_box()["x"] < 0
        page.keyboard.press("Tab")
        assert skip.evaluate("link => link === document.activeElement")
        assert skip.bounding_box()["x"] >= 0
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('main') !== null"), kind
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate(outline) == "solid"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault_on_any_kind_of_page(look, kinds, scheme):
    page, found = look.at(scheme=scheme), []
    for kind in KINDS:
        page.goto(kinds[kind])
        faults = Axe().run(page).response["violations"]
        found += [
            (kind, fault["id"], fault["nodes"][0]["html"])
            for fault in faults
            if fault["impact"] in {"serious", "critical"}
        ]
    assert not found


def test_the_readmes_picture_can_be_made_again(tmp_path):
    picture = tmp_path / "screenshot.png"
    make = [sys.executable, REPO / "tests/support/picture.py", picture]
    subprocess.run(make, check=True, capture_output=True, timeout=120)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 200_000
