"""Two listings become a plan: what to write in which order, what to remove, what to purge."""

from __future__ import annotations

from dataclasses import replace

import pytest

import superfeed as sf

POST = "feeds/cloud/2026/11/a-post-0123456789ab/index.html"
OPTIONS = sf.SyncOptions(section="feeds")
SITE = (
    "index.html",
    "index.xml",
    "sitemap.xml",
    "404.html",
    "css/style.css",
    "js/app.3f2a1b9c.js",
    "about/index.html",
    "posts/index.html",
    "posts/page/2/index.html",
    "posts/one/index.html",
    "posts/one/photo.png",
    "tags/go/index.html",
    "tags/go/index.xml",
    "search.json",
    POST,
)


def build(*keys, size=10):
    return dict.fromkeys(keys or SITE, size)


def objects(*keys, size=10):
    return {key: sf.Remote(size, "0" * 32) for key in keys or SITE}


def plan(local, remote, *, same=None, options=OPTIONS, current=True):
    equal = {key for key in local if key in remote and local[key] == remote[key].size}
    equal = (equal if current else set()) if same is None else same
    return sf.plan_sync(local, remote, equal, options, current=current)


def uploads(made):
    return {upload.key: upload for group in made.groups for upload in group}


def test_an_empty_target_gets_everything():
    made = plan(build(), {})
    assert {upload.reason for upload in uploads(made).values()} == {"new"}
    assert uploads(made).keys() == set(SITE)
    assert (made.delete, made.unchanged) == ((), 0)


def test_an_equal_target_gets_nothing():
    assert plan(build(), objects()) == sf.SyncPlan((), (), len(SITE))


@pytest.mark.parametrize(
    ("remote", "current", "reason"),
    [
        ({}, True, "new"),
        (objects("index.html", size=9), True, "size"),
        (objects("index.html"), True, "content"),
        (objects("index.html"), False, "headers"),
        (objects("index.html", size=9), False, "size"),
    ],
)
def test_an_upload_has_its_reason(remote, current, reason):
    made = plan(build("index.html"), remote, same=set(), current=current)
    assert uploads(made)["index.html"].reason == reason


def test_other_header_rules_are_a_reason_to_upload_everything():
    made = plan(build(), objects(), current=False)
    assert {upload.reason for upload in uploads(made).values()} == {"headers"}
    assert made.unchanged == 0


def test_assets_come_first_then_pages_then_lists_and_feeds_and_the_home_page_last():
    groups = [[upload.key for upload in group] for group in plan(build(), {}).groups]
    assert groups == [
        ["css/style.css", "js/app.3f2a1b9c.js", "posts/one/photo.png"],
        ["404.html", "about/index.html", POST, "posts/one/index.html"],
        [
            "index.xml",
            "posts/index.html",
            "posts/page/2/index.html",
            "search.json",
            "sitemap.xml",
            "tags/go/index.html",
            "tags/go/index.xml",
        ],
        ["index.html"],
    ]


def test_the_order_of_the_listings_does_not_matter():
    backwards = tuple(reversed(SITE))
    remote = objects("posts/one/index.html", "css/style.css", size=9)
    assert plan(build(*backwards), remote) == plan(build(), dict(reversed(remote.items())))


def test_only_the_home_page_carries_the_rules():
    made = uploads(plan(build(), {}))
    assert made.pop("index.html").metadata == {sf.RULES_KEY: sf.header_rules(OPTIONS)}
    assert not any(upload.metadata for upload in made.values())


@pytest.mark.parametrize("change", [{"purged": True}, {"acl": "public-read"}])
def test_what_changes_headers_changes_the_rules(change):
    assert sf.header_rules(replace(OPTIONS, **change)) != sf.header_rules(OPTIONS)


@pytest.mark.parametrize("change", [{"section": "x"}, {"delete": True}, {"max_delete": 1}])
def test_what_changes_no_header_changes_no_rules(change):
    assert sf.header_rules(replace(OPTIONS, **change)) == sf.header_rules(OPTIONS)


@pytest.mark.parametrize(
    ("key", "own"),
    [
        ("feeds/2026/11/a-post-0123456789ab/index.html", True),
        ("feeds/cloud/2026/11/a-post-0123456789ab/index.html", True),
        ("feeds/cloud/2026/11/a-post-0123456789ab/index.json", True),
        ("feeds/2026/11/a-post-0123456789ab.html", True),
        ("de/feeds/2026/11/post-0123456789ab/index.html", True),
        ("Feeds/2026/11/post-0123456789ab/index.html", True),
        ("feeds/2026/11/.a-post-0123456789ab.html.superfeed-tmp", True),
        (".index.html.superfeed-tmp", True),
        ("feeds/index.html", False),
        ("feeds/cloud/index.xml", False),
        ("feeds/2026/11/an-essay/index.html", False),
        ("feeds/2026/11/a-post-0123456789abc/index.html", False),
        ("feeds/2026/11/a-post-0123456789AB/index.html", False),
        ("feeds/2026/11/0123456789ab/index.html", False),
        ("feeds/style-0123456789ab.css", False),
        ("myfeeds/2026/11/a-post-0123456789ab/index.html", False),
        ("posts/2026/11/a-post-0123456789ab/index.html", False),
    ],
)
def test_own_pages_are_known_by_name(key, own):
    assert sf.is_own(key, OPTIONS) == own


def test_own_pages_that_are_gone_are_always_deleted_and_nothing_else():
    remote = objects(*SITE, "old/index.html", "feeds/old-0123456789ab/index.html")
    assert plan(build(), remote).delete == ("feeds/old-0123456789ab/index.html",)


def test_delete_covers_all_else():
    remote = objects(*SITE, "old/index.html", "feeds/old-0123456789ab/index.html")
    made = plan(build(), remote, options=replace(OPTIONS, delete=True))
    assert made.delete == ("feeds/old-0123456789ab/index.html", "old/index.html")


def test_more_deletions_than_allowed_delete_nothing_and_fail():
    remote = objects(*SITE, "a.html", "b.html", "c.html")
    plan(build(), remote, options=replace(OPTIONS, delete=True, max_delete=3))
    with pytest.raises(sf.SuperfeedError, match="3 objects") as failure:
        plan(build(), remote, options=replace(OPTIONS, delete=True, max_delete=2))
    assert "--max-delete 3" in failure.value.hint


def test_own_pages_do_not_count_for_the_guard():
    gone = [f"feeds/x-{number:012x}/index.html" for number in range(300)]
    made = plan(build(), objects(*SITE, *gone), options=replace(OPTIONS, delete=True))
    assert len(made.delete) == 300


@pytest.mark.parametrize(
    ("key", "mime"),
    [
        ("index.html", "text/html; charset=utf-8"),
        ("feed/INDEX.HTML", "text/html; charset=utf-8"),
        ("index.xml", "application/xml; charset=utf-8"),
        ("feed.rss", "application/rss+xml; charset=utf-8"),
        ("feed.json", "application/json; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("app.js", "text/javascript; charset=utf-8"),
        ("robots.txt", "text/plain; charset=utf-8"),
        ("site.webmanifest", "application/manifest+json; charset=utf-8"),
        ("logo.svg", "image/svg+xml; charset=utf-8"),
        ("font.woff2", "font/woff2"),
        ("photo.avif", "image/avif"),
        ("photo.JPG", "image/jpeg"),
        ("favicon.ico", "image/x-icon"),
        ("CNAME", "application/octet-stream"),
        ("data.bin", "application/octet-stream"),
    ],
)
def test_content_types_come_from_a_fixed_table(key, mime):
    assert sf.content_type(key) == mime


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        ("index.html", "document"),
        ("posts/one.0123456789abcdef.html", "document"),
        ("index.xml", "document"),
        ("search.json", "document"),
        ("robots.txt", "document"),
        (".well-known/matrix/server", "document"),
        ("css/style.css", "asset"),
        ("img/2026-11-22.png", "asset"),
        ("img/report-20261122.pdf", "asset"),
        ("img/facade.png", "asset"),
        ("feeds/a-post-0123456789ab/photo.png", "asset"),
        (f"css/style.min.{'0a' * 32}.css", "fingerprinted"),
        ("img/photo_hu_8b1e0f3c9a7d6e54.png", "fingerprinted"),
        ("img/photo_hu8b1e0f3c9a7d6e548b1e0f3c9a7d6e54_123_300x0_resize.jpg", "fingerprinted"),
        ("js/app-3f2a1b9c.js", "fingerprinted"),
    ],
)
def test_cache_control_follows_the_kind_of_file(key, rule):
    assert sf.cache_control(key, purged=False) == sf.CACHE_CONTROL[rule]


def test_pages_live_a_day_in_a_cache_that_is_purged_and_assets_do_not_change():
    assert sf.cache_control("a/index.html", purged=True) == (
        "public, max-age=0, must-revalidate, s-maxage=86400"
    )
    assert sf.cache_control("a.css", purged=True) == sf.cache_control("a.css", purged=False)


def test_changed_keys_are_all_uploads_and_deletions():
    made = plan(build("index.html", "a.css"), objects("a.css", "feeds/x-0123456789ab/index.html"))
    assert set(made.changed_keys) == {"index.html", "feeds/x-0123456789ab/index.html"}


@pytest.mark.parametrize(
    ("keys", "base", "paths"),
    [
        ([], "/", []),
        (["index.html"], "/", ["/", "/index.html"]),
        (["b.css", "a/index.html", "b.css"], "/", ["/a/", "/a/index.html", "/b.css"]),
        (["a/index.html"], "/blog/", ["/blog/a/", "/blog/a/index.html"]),
        (["index.html"], "blog", ["/blog/", "/blog/index.html"]),
        (["ä b/+%~.png"], "/", ["/%C3%A4%20b/%2B%25~.png"]),
        (["my-index.html"], "/", ["/my-index.html"]),
    ],
)
def test_a_changed_key_is_purged_as_the_reader_asks_for_it(keys, base, paths):
    assert sf.purge_paths(keys, base) == paths
