"""The starter site in a real browser, served below a path, as its readers meet it."""

import re
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright
from support.feedmaker import items, rss
from support.script import Script

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update"]  # fmt: skip
GROUPS = {"Cloud": ["alpha", "beta", "gamma"], "Code": ["delta", "epsilon"]}
COUNT = 12


class Quiet(SimpleHTTPRequestHandler):
    """A file server that says nothing."""

    def log_message(self, *_words):
        """Say nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of the starter with 60 entries of five sources, below a path."""
    place = tmp_path_factory.mktemp("browser")
    script = Script(place / "machine")
    script.starter()
    lines = []
    for group, names in GROUPS.items():
        lines.append(f"[{group}]")
        for name in names:
            script.write(f"{name}.xml", rss(items(COUNT, name), title=f"Notes of {name}"))
            lines.append(f"{name}.xml")
    script.write("feeds.txt", "\n".join(lines))
    root = place / "root"
    root.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=root))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/blog/"
    process = script.start("--base-url", address, "--keep", "0")
    script.finish(process).ok()
    (root / "blog").symlink_to(script.app / "site/public")
    yield address
    server.shutdown()


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def addresses(site, chromium):
    """One page of each kind, found as a reader finds it: by following links from home."""
    page = chromium.new_page()
    page.goto(site)
    kinds = {"home": site}
    for kind, words in (("headlines", "Headlines"), ("group", "Cloud"), ("sources", "Sources"),
                        ("archive", "Archive")):  # fmt: skip
        kinds[kind] = page.get_by_role("link", name=words, exact=True).first.evaluate("a => a.href")
    times = page.locator("main a[href*='/feeds/']").filter(has=page.locator("time"))
    kinds["post"] = times.first.evaluate("a => a.href")
    page.goto(kinds["sources"])
    kinds["source"] = page.locator("main a[href*='/sources/']").first.evaluate("a => a.href")
    page.goto(kinds["archive"])
    kinds["month"] = page.locator("main a[href*='/archive/']").first.evaluate("a => a.href")
    page.close()
    return kinds


@pytest.fixture
def open_page(chromium):
    """open_page(address, **context) -> a page; what it asked for and complained of is on it."""
    contexts = []

    def open_(address, **options):
        contexts.append(chromium.new_context(**options))
        page = contexts[-1].new_page()
        page.asked, page.complaints = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda said: page.complaints.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto(address)
        return page

    yield open_
    for context in contexts:
        context.close()


KINDS = ["home", "headlines", "group", "sources", "source", "archive", "month", "post"]


def test_the_river_shows_the_newest_entries_and_leads_to_the_originals(site, open_page):
    page = open_page(site)
    titles = page.locator("main article h3, main article h2, main li h3").all_inner_texts()
    numbers = [int(re.search(r"Entry (\d+) of", title)[1]) for title in titles]
    assert len(numbers) == 30
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[0] == COUNT
    hrefs = page.locator("main a", has_text=re.compile(r"^Entry \d+ of \w+$")).evaluate_all(
        "links => links.map(a => [a.innerText, a.href])"
    )
    for title, href in hrefs:
        number, name = re.fullmatch(r"Entry (\d+) of (\w+)", title).groups()
        assert href == f"https://{name}.example/posts/{number}"
    assert "The text of entry 12" in page.locator("main").inner_text()
    assert "Notes of alpha" in page.locator("main").inner_text()


def test_a_group_holds_its_own_sources_and_no_others(addresses, open_page):
    text = open_page(addresses["group"]).locator("main").inner_text()
    assert all(f"Notes of {name}" in text for name in GROUPS["Cloud"])
    assert not any(f"Notes of {name}" in text for name in GROUPS["Code"])


def test_the_sources_page_names_every_source(addresses, open_page):
    text = open_page(addresses["sources"]).locator("main").inner_text()
    assert all(f"Notes of {name}" in text for names in GROUPS.values() for name in names)


def test_a_post_says_where_the_original_is(addresses, open_page):
    page = open_page(addresses["post"])
    original = page.locator("link[rel=canonical]").get_attribute("href")
    assert re.fullmatch(r"https://\w+\.example/posts/\d+", original)
    assert page.locator(f"main a[href='{original}']").count() >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_no_request_leaves_the_site_and_nothing_complains(addresses, open_page, kind):
    page = open_page(addresses[kind])
    assert {urlsplit(url).netloc for url in page.asked} == {urlsplit(addresses["home"]).netloc}
    assert page.complaints == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_phone_scrolls_in_one_direction_only(addresses, open_page, kind):
    page = open_page(addresses[kind], viewport={"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_readers_light(site, open_page, scheme):
    page = open_page(site, color_scheme=scheme)
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    if color == "rgba(0, 0, 0, 0)":
        color = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", color)[:3])) / 3
    assert brightness > 200 if scheme == "light" else brightness < 60


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_no_serious_fault(addresses, open_page, kind, scheme):
    page = open_page(addresses[kind], color_scheme=scheme)
    faults = Axe().run(page).response["violations"]
    assert [f["id"] for f in faults if f["impact"] in ("serious", "critical")] == []


def test_the_keyboard_reaches_the_content_first(site, open_page):
    page = open_page(site)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')").startswith("#")
