"""DESIGN §6 row by row, each over several runs; `fresh` runs know nothing but the posts."""

from dataclasses import replace
from datetime import timedelta

import pytest
from simulator import HOUR, START, Site, entry, news

import superfeed
from superfeed import Feed, Known

A, B, C = "https://a.example/feed", "https://b.example/feed", "https://c.example/feed"
DAY = timedelta(days=1)


# --- addresses and keys ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("http://a.example/x", "a.example/x"),
        ("https://WWW.A.Example:443/x/", "a.example/x"),
        ("http://a.example:80/x", "a.example/x"),
        ("http://a.example:8080/x", "a.example:8080/x"),
        ("https://a.example./x", "a.example/x"),
        ("https://user:pw@a.example/x", "a.example/x"),
        ("https://www.com/x", "www.com/x"),
        ("https://a.example/x#part", "a.example/x"),
        ("https://a.example/X/y", "a.example/X/y"),
        ("https://a.example/x?b=2&a=1", "a.example/x?b=2&a=1"),
        ("https://a.example/x?utm_source=rss&id=7&fbclid=abc", "a.example/x?id=7"),
        ("https://a.example/x?UTM_Medium=feed&gclid=1&mc_cid=2&mc_eid=3", "a.example/x"),
        ("https://a.example/x?ref=home", "a.example/x?ref=home"),
        ("https://a.example/?p=12", "a.example?p=12"),
        (" https://a.example/x ", "a.example/x"),
        ("https://[2001:db8::1]/x", "2001:db8::1/x"),
        ("https://a.example", ""),
        ("https://a.example//", ""),
        ("https://www.a.example/?utm_source=rss", ""),
        ("https://a.example/#top", ""),
        ("mailto:me@a.example", ""),
        ("feeds/local.xml", ""),
        ("", ""),
        ("http://[broken", "http://[broken"),
        ("http://a.example:port/x", "http://a.example:port/x"),
    ],
)
def test_a_canonical_link_keeps_what_tells_pages_apart(url, canonical):
    assert superfeed.canonical_link(url) == canonical


def test_a_guid_that_is_an_address_keeps_its_fragment_but_no_tracking():
    canonical = superfeed.canonical_link
    assert canonical("http://a.example/x/#n1", keep_fragment=True) == "a.example/x#n1"
    assert canonical("https://a.example/#n1", keep_fragment=True) == "a.example#n1"
    assert canonical("https://a.example/x#xtor=RSS-1", keep_fragment=True) == "a.example/x"


def test_a_feed_is_the_same_by_http_and_https_and_with_www():
    assert superfeed.feed_id("http://www.a.example/feed/") == superfeed.feed_id(A)
    assert superfeed.feed_id("https://a.example/") == superfeed.feed_id("http://a.example")
    assert superfeed.feed_id("feeds/a.xml") != superfeed.feed_id("feeds/b.xml")


@pytest.mark.parametrize(
    "url", ["https://b.example:8443/x?key=secret", "https://b.example", "local/secret.xml", A]
)
@pytest.mark.parametrize("private", [True, False])
def test_a_published_address_names_the_same_feed(url, private):
    feed = Feed(url, private=private)
    published = superfeed.published_address(feed)
    assert superfeed.feed_id(published) == superfeed.feed_id(feed)
    assert ("secret" in published) == ("secret" in url and not private)


def test_keys_hide_what_they_are_made_of_and_stay_short():
    keys = superfeed.entry_keys("0" * 12, entry("secret-guid", "https://a.example/secret"))
    assert [key[:2] for key in keys] == ["g:", "l:"]
    assert all(len(key) == 18 and "secret" not in key for key in keys)


def test_an_entry_that_says_nothing_has_no_key_and_is_left_out():
    assert superfeed.entry_keys("0" * 12, entry(title="")) == ()
    assert superfeed.assign("0" * 12, [entry(title="")], Known([], [])) == []


@pytest.mark.parametrize("guid", ["", "https://a.example/", "http://www.a.example"])
def test_a_home_page_is_no_key(guid):
    keys = superfeed.entry_keys("0" * 12, entry(guid, "https://a.example", "Hello"))
    assert [key[:2] for key in keys] == ["t:"]


# --- the table ------------------------------------------------------------------------------------

SHARED = "https://a.example/page"
NO_IDS = {"guid": "", "link": ""}

# name: feeds, then runs of one document a feed; an entry is written as (what it truly is, entry).
HISTORIES = {
    "another title, link, date, text": (
        [A],
        [("x", news(1)), ("y", news(2))],
        [("x", news(1, title="Edited")), ("y", news(2))],
        [("x", news(1, link="https://a.example/moved")), ("y", news(2))],
        [("x", news(1, published=START)), ("y", news(2, excerpt="Edited"))],
        [("x", news(1, title="T", link="https://a.example/z", published=None, excerpt="Edited"))],
    ),
    "the guid changes, the title agrees": (
        [A],
        [("x", news(1)), ("y", news(2))],
        [("x", news(1, guid="new", published=None)), ("y", news(2, guid="newer"))],
    ),
    "the guid changes, the date agrees, then the link changes, then the guid again": (
        [A],
        [("x", news(1)), ("y", news(2))],
        [("x", news(1, guid="new", title="Edited")), ("y", news(2))],
        [("x", news(1, guid="new", title="Edited", link="https://a.example/moved"))],
        [("x", news(1, guid="newest", title="Edited", link="https://a.example/moved"))],
        [("x", news(1))],
    ),
    "http becomes https, www and tracking come and go": (
        [A],
        [("x", news(1, guid="http://www.a.example/x", link="http://www.a.example/x/"))],
        [("x", news(1, guid="https://a.example/x", link="https://a.example/x?utm_source=rss"))],
        [("x", news(1, guid="another", title="Edited", link="https://a.example:443/x#top"))],
    ),
    "two feeds carry one article by its guid": (
        [A, B],
        [("x", news(1))],
        [("x", news(1, link="https://b.example/1", title="Copied")), ("z", news(3))],
    ),
    "two feeds carry one article by its link, then each copy changes": (
        [A, B],
        [("x", news(1))],
        [("x", news(1, guid="b-1", title="Copied", published=None))],
        [("x", news(1, link="https://a.example/moved"))],
        [("x", news(1, guid="b-1", title="Copied", link="https://b.example/copy"))],
        [("x", news(1, guid="new", link="https://a.example/moved"))],
        [("x", news(1, guid="b-2", title="Copied", link="https://b.example/copy"))],
        [("x", news(1, guid="new", link="https://a.example/again"))],
        [("x", news(1, guid="b-2", title="Copied again", link="https://b.example/copy"))],
    ),
    "many entries share one link": (
        [A],
        [("x", news(1, link=SHARED)), ("y", news(2, link=SHARED)), ("z", news(3, link=SHARED))],
        [("w", news(4, link=SHARED)), ("x", news(1, link=SHARED)), ("y", news(2, link=SHARED))],
        [("v", news(5, link=SHARED))],
        [("x", news(1, link=SHARED, title="Edited")), ("v", news(5, link=SHARED))],
    ),
    "many entries share one link and the title, none has a date": (
        [A],
        [(n, entry(f"g{n}", SHARED)) for n in (1, 2, 3)],
        [(n, entry(f"g{n}", SHARED)) for n in (5, 4, 3)],
        [(n, entry(f"g{n}", SHARED)) for n in (6, 1)],
    ),
    "many entries share one link and all guids change": (
        [A],
        [(n, news(n, link=SHARED)) for n in (1, 2, 3)],
        [(n, news(n, link=SHARED, guid=f"new{n}")) for n in (4, 3, 2)],
        [(n, news(n, link=f"https://a.example/own/{n}", guid=f"new{n}")) for n in (4, 3, 2)],
    ),
    "one guid is used again for other links": (
        [A],
        [("x", news(1, guid="same")), ("y", news(2, guid="same")), ("z", news(3))],
        [("w", news(4, guid="same")), ("y", news(2, guid="same")), ("z", news(3))],
        [("v", news(5, guid="same")), ("x", news(1, guid="same", title="Edited"))],
        [("x", news(1, guid="same")), ("v", news(5, guid="same")), ("y", news(2, guid="same"))],
    ),
    "one guid is used again and a link changes": (
        [A],
        [("x", news(1, guid="same")), ("y", news(2, guid="same"))],
        [("x", news(1, guid="same", link="https://a.example/moved")), ("w", news(3, guid="same"))],
        [("y", news(2, guid="own")), ("x", news(1, guid="same"))],
    ),
    "one guid is used again and title and date change": (
        [A],
        [("x", news(1, guid="same")), ("y", news(2, guid="same"))],
        [("z", news(3, guid="same")), ("x", news(1, guid="same", title="New", published=START))],
    ),
    "one link, one entry at a time": (
        [A],
        [("x", news(1, link=SHARED))],
        [("y", news(2, link=SHARED))],
        [("z", news(3, link=SHARED)), ("x", news(1, link=SHARED))],
    ),
    "plain guids of several feeds": (
        [A, B, C],
        [("a1", news(1, guid="1")), ("a2", news(2, guid="2"))],
        [("b1", news(3, guid="1")), ("b2", news(4, guid="2"))],
        [("c1", entry("1", "", "Hello")), ("c2", entry("2", "", "Hello"))],
        [("a1", news(1, guid="1", link="https://a.example/moved")), ("a3", news(5, guid="3"))],
        [("b1", news(3, guid="1", title="Edited"))],
        [("c1", entry("1", "", "Hello")), ("c3", entry("3", "", "Hello"))],
    ),
    "links differ only in query, path case or fragment, guids too": (
        [A],
        [
            (end, entry(f"https://a.example/{end}", f"https://a.example/{end}", "T", START))
            for end in ("x?id=1", "x?id=2", "X?id=1", "x?id=1#a", "x?id=1#b", "x")
        ],
        [
            (end, entry(f"https://a.example/{end}", f"https://a.example/{end}", "T", START))
            for end in ("x?id=3", "x?id=1#c", "x?id=1#b", "x?id=1", "X?id=2")
        ],
    ),
    "links differ only in query, path case or fragment, there are no guids": (
        [A],
        [
            (end, entry("", f"https://a.example/{end}", f"T {end}"))
            for end in ("x?id=1", "x?id=2", "X?id=1", "x?id=1#a", "x?id=1#b", "x")
        ],
        [
            (end, entry("", f"https://a.example/{end}", f"T {end}"))
            for end in ("x?id=3", "x?id=1#c", "x?id=1#b", "x?id=1", "X?id=2")
        ],
    ),
    "no guid, no link, a date": (
        [A, B],
        [("x", news(1, **NO_IDS)), ("y", news(2, **NO_IDS, title="News 1"))],
        [("b", news(1, **NO_IDS))],
        [("z", news(3, **NO_IDS)), ("x", news(1, **NO_IDS, excerpt="Edited"))],
        [("b", news(1, **NO_IDS))],
    ),
    "no guid, no link, no date": (
        [A],
        [("x", entry(excerpt="One")), ("y", entry(excerpt="Two")), ("z", entry(title="Z"))],
        [("y", entry(excerpt="Two")), ("w", entry(excerpt="Three")), ("z", entry(title="Z"))],
        [("x", entry(excerpt="One")), ("v", entry(title="", excerpt="Words alone"))],
        [("v", entry(title="", excerpt="Words alone")), ("u", entry(title="", excerpt="Others"))],
    ),
    "no guid, the link changes": (
        [A],
        [("x", news(1, guid="")), ("y", news(2, guid=""))],
        [("x", news(1, guid="", link="https://a.example/moved")), ("z", news(3, guid=""))],
        [("x", news(1, guid="", link="https://a.example/moved", title="Edited"))],
    ),
    "no guid, one link for all": (
        [A],
        [("x", news(1, guid="", link=SHARED)), ("y", news(2, guid="", link=SHARED))],
        [("z", news(3, guid="", link=SHARED)), ("y", news(2, guid="", link=SHARED))],
        [("z", news(3, guid="", link=SHARED))],
        [("w", news(4, guid="", link=SHARED, title="News 1"))],
    ),
    "guids come where there were none": (
        [A],
        [("x", news(1, guid="")), ("y", news(2, guid=""))],
        [("x", news(1)), ("z", news(3))],
        [("y", news(2)), ("x", news(1, link="https://a.example/moved"))],
    ),
    "no date, seen over many runs": (
        [A],
        *[[("x", news(1, published=None)), ("y", news(2, published=None))]] * 3,
        [("x", news(1, published=None, guid="new")), ("y", news(2, published=None))],
    ),
    "a date ahead comes true": (
        [A],
        *[[("x", news(1, published=START + 3 * HOUR)), ("y", news(2))]] * 5,
    ),
    "entries of a shared link meet a copy in another feed": (
        [A, B],
        [("x", news(1, link=SHARED)), ("y", news(2, link=SHARED))],
        [("x", news(1, link=SHARED, guid="b-1")), ("y", news(2, link=SHARED, guid="b-2"))],
        [("x", news(1, link=SHARED, title="Edited")), ("z", news(3, link=SHARED))],
        [("y", news(2, link=SHARED, guid="b-2")), ("z", news(3, link=SHARED, guid="b-3"))],
    ),
    "a guid used again in two feeds that copy each other": (
        [A, B],
        [("x", news(1, guid="same")), ("y", news(2, guid="same"))],
        [("x", news(1, guid="1", title="Copy")), ("y", news(2, guid="1", title="Copy 2"))],
        [("y", news(2, guid="same")), ("z", news(3, guid="same"))],
        [("z", news(3, guid="1")), ("y", news(2, guid="1", title="Copy 3"))],
    ),
}


def runs_of(history):
    feeds, *documents = history
    return feeds, [documents[i : i + len(feeds)] for i in range(0, len(documents), len(feeds))]


def check(site, truth, documents, known=None):
    """Run, and hold every entry's post against what the entry truly is."""
    found = site.run(*[d and [e for _, e in d] for d in documents], known=known)
    for document, paths in zip(documents, found, strict=True):
        for (true, _), path in zip(document or [], paths or [], strict=True):
            assert truth.setdefault(true, path) == path
    assert len(set(truth.values())) == len(truth)
    assert len(site.posts) == len(truth)


@pytest.mark.parametrize("name", HISTORIES)
@pytest.mark.parametrize("order", ["listed", "documents reversed", "feeds turned every run"])
def test_every_entry_has_one_post_for_ever(name, order):
    feeds, runs = runs_of(HISTORIES[name])
    site, truth = Site(list(feeds)), {}
    for number, documents in enumerate([*runs, *runs[-1:]]):
        if order == "documents reversed":
            documents = [document[::-1] for document in documents]  # noqa: PLW2901
        turned = number % 2 if order == "feeds turned every run" else 0
        site.feeds = feeds[::-1] if turned else feeds
        check(site, truth, documents[::-1] if turned else documents)


@pytest.mark.parametrize("one", HISTORIES)
@pytest.mark.parametrize("other", HISTORIES)
def test_two_rows_may_meet_in_one_feed(one, other):
    (feeds, runs), (_, more) = runs_of(HISTORIES[one]), runs_of(HISTORIES[other])
    site, truth = Site(list(feeds)), {}
    for number in range(max(len(runs), len(more))):
        documents = [list(d) for d in runs[min(number, len(runs) - 1)]]
        for document, extra in zip(documents, more[min(number, len(more) - 1)], strict=False):
            document += [((true, "other"), elsewhere(each)) for true, each in extra]
        check(site, truth, documents)


def elsewhere(each):
    """The same entry with every address, plain guid, title and date of another world."""
    return replace(
        each,
        guid=each.guid and each.guid.replace("a.example", "o.example") + "0",
        link=each.link and each.link.replace(".example", ".test"),
        title=each.title and f"Other {each.title}",
        excerpt=each.excerpt and f"Other {each.excerpt}",
        published=each.published and each.published - timedelta(minutes=7),
    )


@pytest.mark.parametrize("name", HISTORIES)
def test_a_run_without_news_changes_no_post(name):
    feeds, runs = runs_of(HISTORIES[name])
    site = Site(list(feeds))
    for documents in runs:
        plain = [[e for _, e in document] for document in documents]
        site.run(*plain)
        before = dict(site.posts)
        site.run(*plain)
        assert site.posts == before


# --- what else may happen -------------------------------------------------------------------------


def test_an_entry_listed_twice_is_one():
    (found,) = Site([A]).run([news(1), news(1, title="Edited"), news(2)])
    assert len(found) == 2
    (found,) = Site([A]).run([news(1, guid=""), news(1, guid="")])
    assert len(found) == 1


def test_entries_that_share_all_keys_get_paths_of_their_own():
    site = Site([A])
    same = {"guid": "", "link": SHARED, "title": "Status"}
    for number in range(4):
        site.run([news(number, **same), news(number + 1, **same)])
    assert len(site.posts) == 5


def test_a_guid_made_up_at_every_fetch_does_not_grow_the_post_for_ever():
    site = Site([A])
    for number in range(40):
        site.run([news(1, guid=f"random-{number}"), news(2)])
    assert len(site.posts) == 2
    assert max(len(post.keys) for post in site.posts.values()) == superfeed.MAX_KEYS


def test_the_post_of_two_copies_is_the_first_feeds_and_only_it_may_rewrite_it():
    site = Site([A, B])
    later = news(1, guid="b", updated=START + HOUR / 2)
    site.run([news(1)], [later])
    assert [post.feed for post in site.posts.values()] == [superfeed.feed_id(A)]
    known = Known(site.posts.values(), site.ids())
    (each,) = superfeed.assign(superfeed.feed_id(B), [later], known)
    assert each.feed == superfeed.feed_id(A)


def test_a_copy_in_a_listed_feed_adopts_the_post_of_one_that_went():
    site = Site([A, B])
    site.run([news(1), news(2)], [news(1, guid="b")])
    site.feeds = [B]
    ((path,),) = site.run([news(1, guid="b")])
    assert {p.path: p.feed for p in site.posts.values()} == {path: superfeed.feed_id(B)}


@pytest.mark.parametrize(
    "each",
    [
        news(1, guid="1", link="https://a.example/moved"),
        news(1, guid="1", link="https://a.example/moved", title="Edited"),
        news(1, guid="", title="Edited"),
        news(1, **NO_IDS),
        entry(title="Undated"),
    ],
)
def test_a_moved_feed_keeps_its_posts(each):
    before = replace(each, title=each.title.replace("Edited", "News 1"))
    before = replace(before, link=each.link.replace("moved", "1"))
    site = Site([A])
    (old,) = site.run([before, news(2)])
    site.feeds = [C]
    assert site.run([each, news(2)]) == [old]
    assert site.run([each, news(2)]) == [old]


def test_a_post_of_another_feed_that_went_is_not_taken_for_its_guid_alone():
    site = Site([A, B])
    site.run([news(1, guid="1")], [news(5)])
    site.feeds = [B]
    site.run([news(5), news(3, guid="1")])
    assert len(site.posts) == 2


def test_a_guid_used_again_names_no_post_of_a_feed_that_moved():
    site = Site([A])
    (old,) = site.run([news(n, guid="same", title="Weekly") for n in (1, 2, 3)])
    site.feeds = [C]
    (found,) = site.run([news(n, guid="same", title="Weekly") for n in (1, 2, 4)])
    assert found[:2] == old[:2]
    assert found[2] not in old


def test_a_plain_guid_and_a_common_title_adopt_nothing_of_another_feed():
    site = Site([A, B])
    site.run([news(1, guid="8", title="Weekly links")], [news(2)])
    site.feeds = [B]
    site.run([news(2), news(3, guid="8", title="Weekly links")])
    assert {post.date for post in site.posts.values()} == {START - 2 * HOUR, START - 3 * HOUR}


def test_a_path_is_made_of_group_date_and_title():
    keys = ("g:0", "l:0")
    known = Known([], [])
    path = superfeed.post_path("cloud", entry(title="Ünï & Cödé — 日本 " * 9), keys, START, known)
    assert path.startswith("cloud/2026/11/uni-code-uni-code-")
    slug, hexes = path.removesuffix(".md").rpartition("/")[2].rsplit("-", 1)
    assert len(slug) <= 60
    assert len(hexes) == 12
    assert superfeed.post_path("", entry(title="日本"), keys, START, known) == (
        f"2026/11/post-{hexes}.md"
    )


@pytest.mark.parametrize(
    ("published", "updated", "date", "undated"),
    [
        (START, START + HOUR, START, False),
        (None, START - HOUR, START - HOUR, False),
        (None, None, START + 2 * HOUR, True),
        (START + 3 * HOUR, None, START + 2 * HOUR, True),
        (START.replace(microsecond=5), None, START, False),
    ],
)
def test_a_post_is_dated_by_its_feed_or_by_when_it_was_first_seen(
    published, updated, date, undated
):
    dated = entry(published=published, updated=updated)
    assert superfeed.entry_date(dated, START + 2 * HOUR) == (date, undated)


@pytest.mark.parametrize(
    ("updated", "lastmod", "expected"),
    [
        (None, None, False),
        (START, None, False),
        (START + HOUR, None, True),
        (START + HOUR, START + HOUR, False),
        (START + HOUR + HOUR / 4000, START + HOUR, False),
        (START + 2 * HOUR, START + HOUR, True),
        (START + 4 * HOUR, START + HOUR, False),
    ],
)
def test_an_update_is_later_than_the_post_and_not_ahead_of_now(updated, lastmod, expected):
    found = superfeed.update_of(entry(updated=updated), lastmod or START, START + 3 * HOUR)
    assert (found is not None) is expected


# --- --keep ---------------------------------------------------------------------------------------


def old(number, **changes):
    return news(number, published=START - number * DAY, **changes)


def test_keep_lets_in_what_is_young_and_the_newest_five():
    (found,) = Site([A], keep=10).run([old(n) for n in range(30)])
    assert [bool(path) for path in found] == [True] * 10 + [False] * 20
    (found,) = Site([A], keep=10).run([old(n) for n in range(20, 40)])
    assert sum(map(bool, found)) == 5
    (found,) = Site([A], keep=0).run([old(n) for n in range(500, 540)])
    assert all(found)


@pytest.mark.parametrize("apart", [DAY, timedelta(0)])
def test_what_keep_removed_does_not_come_back(apart):
    site = Site([A], keep=10)
    document = [news(n, published=START - n * apart) for n in range(12)]
    site.run(document)
    for days in (5, 3, 3, 3, 3):
        site.now += days * DAY
        site.run(document)
        before = dict(site.posts)
        site.run(document[::-1])
        assert site.posts == before
        site.run(None)
        assert site.posts == before
    assert len(site.posts) == 5


def test_a_feed_that_fails_keeps_its_newest_five():
    site = Site([A], keep=10)
    site.run([old(n) for n in range(9)])
    site.now += 100 * DAY
    site.run(None)
    assert len(site.posts) == 5


def test_a_made_up_date_goes_only_when_the_feed_was_read_and_lists_it_no_more():
    site = Site([A], keep=10)
    undated = [news(n, published=None) for n in range(7)]
    site.run(undated)
    site.now += 50 * DAY
    site.run(None)
    assert len(site.posts) == 7
    site.run([*undated, news(20, published=site.now)])
    assert len(site.posts) == 8
    site.run([news(n, published=site.now) for n in range(30, 35)])
    assert len(site.posts) == 6


def test_a_post_whose_feed_moved_its_date_on_is_not_removed_and_added_again():
    site = Site([A], keep=10)
    (before,) = site.run([old(n) for n in range(8)])
    site.now += 9 * DAY
    ((*_, path),) = site.run([*[old(n) for n in range(7)], news(7, published=site.now)])
    assert path == before[7]
    assert path in site.posts


def test_a_copy_among_another_feeds_newest_stays():
    site = Site([A, B], keep=10)
    many = [old(n) for n in range(1, 9)]
    site.run(many, [old(8, guid="copy")])
    site.now += 30 * DAY
    _, (path,) = site.run(many, [old(8, guid="copy")])
    assert path in site.posts
    assert len(site.posts) == 6


# --- cost -----------------------------------------------------------------------------------------


def test_the_work_for_a_document_does_not_grow_with_the_posts(monkeypatch):
    looked_at = []
    find = Known.find
    monkeypatch.setattr(Known, "find", lambda *a: looked_at.extend(f := find(*a)) or f)
    site = Site([A])
    site.run([news(n) for n in range(3000)])
    site.run([news(n, guid=f"new-{n}") for n in range(20)])
    assert len(looked_at) <= 20 * 8


def test_two_posts_with_both_keys_of_an_entry_stay_two():
    """Two machines made one each, and a rebase joined them."""
    site = Site([A])
    site.run([news(1)])
    (post,) = site.posts.values()
    site.posts["other.md"] = replace(post, path="other.md", title="As the other saw it")
    for title in ("One", "Two", "Three"):
        site.run([news(1, title=title)])
    assert len(site.posts) == 2


def test_guids_that_are_nearly_addresses_tell_entries_apart():
    site = Site([A])
    guids = ("https://a.example:abc/1", "https://a.example:abc/2")
    site.run([news(1, guid=guid) for guid in guids])
    assert len(site.posts) == 2


def test_a_look_shared_within_the_document_does_not_hide_the_copy_of_another_feed():
    site = Site([A, B])
    link = "https://a.example/shared"
    first = [news(7, link=link, title="Photo"), news(8, link=link, title="Other")]
    copies = [
        news(7, guid="x1", link=link, title="Photo"),
        news(7, guid="x2", link="https://b.example/2", title="Photo"),
    ]
    site.run(first, copies)
    assert len(site.posts) == 3
