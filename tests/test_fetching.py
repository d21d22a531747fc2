"""DESIGN §4 over a real server: what is asked, what is believed, and that nothing holds a run."""

from __future__ import annotations

import socket
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from support.feedmaker import START, Item, atom, items, json_feed, rss
from support.web import (
    RSS,
    answer,
    basic_auth,
    busy,
    cut_short,
    drip,
    encoded,
    endless,
    false_gzip,
    gone,
    gzip_bomb,
    hang_up,
    in_turn,
    late,
    page,
    redirect,
    reset,
    silent,
    stall,
)

from superfeed import (
    Answer,
    Feed,
    FeedState,
    Web,
    forbidden_address,
    hold_back,
    iso,
    next_hop,
    next_state,
    parse_config,
    request_headers,
    retry_after,
)

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
ONE = rss(items(1))
FETCH_ONLY = ("--skip", "build", "--skip", "push", "--timeout", "20")


class Runs:
    """Runs of the script that fetch and commit, and do not build."""

    def __init__(self, web, origin, script):
        self.web, self.script = web, script
        self.flags = ["--repo", origin.url, *FETCH_ONLY]
        self.site = script.app / "site"

    def list(self, **feeds):
        """Write feeds.txt: a line `name  address` for each."""
        lines = [f"{name}\t{address}\n" for name, address in feeds.items()]
        self.script.write("feeds.txt", "".join(lines))

    def __call__(self, *argv, env=None, timeout=60):
        """Run; the result has `.rows`, the feeds of the report by name."""
        self.web.forget()
        result = self.script(*self.flags, *argv, env=env, timeout=timeout)
        assert result.report, str(result)
        rows = {row["name"]: row for row in result.report["feeds"]}
        object.__setattr__(result, "rows", rows)
        return result

    def posts(self):
        return sorted(self.site.glob("content/feeds/20*/*/*.md"))

    def everything_written(self):
        """All bytes of the site, of git's folder too, but for packed objects."""
        files = [path for path in self.site.rglob("*") if path.is_file()]
        return b"\n".join(path.read_bytes() + str(path).encode() for path in files)


@pytest.fixture
def runs(web, origin, superfeed):
    return Runs(web, origin, superfeed)


def statuses(result):
    return {name: row["status"] for name, row in result.rows.items()}


# ---------------------------------------------------------------- validators

VALIDATORS = {
    "strong": ('"abc"', None),
    "weak": ('W/"abc"', None),
    "small-w": ('w/"abc"', None),
    "bare": ("abc-gzip", None),
    "odd-quotes": ("\"a''b", None),
    "two-quotes": ('""a""', None),
    "with-space": ('"a, b" ;c', None),
    "empty-weak": ('W/""', None),
    "date": (None, "Sat, 01 Jan 2000 00:00:00 GMT"),
    "odd-date": (None, "2020-01-01T00:00:00+02:00"),
    "no-date": (None, "Mon, 99 Foo 2020 25:61:00 CEST"),
    "both": ('"a"', "Sat, 01 Jan 2000 00:00:00 GMT"),
}


def test_validators_go_back_byte_for_byte(web, runs):
    feeds = {}
    for number, (name, (etag, modified)) in enumerate(VALIDATORS.items()):
        body = rss(items(1, name))
        feed = web.feed(f"/{name}", body, on=number % 4, etag=etag, last_modified=modified)
        feeds[name] = feed.url
    runs.list(**feeds)
    first = runs()
    assert set(statuses(first).values()) == {"ok"}
    assert not [r for r in web.asked() if "If-None-Match" in r.headers]
    second = runs().ok()
    assert {(row["status"], row["http"]) for row in second.rows.values()} == {("unchanged", 304)}
    for name, (etag, modified) in VALIDATORS.items():
        (asked,) = web.asked(f"/{name}")
        assert asked.headers["If-None-Match"] == etag
        assert asked.headers["If-Modified-Since"] == modified


def test_validators_of_a_304_replace_the_old_and_none_keep_them(web, runs):
    first = answer(200, {"Content-Type": RSS, "ETag": '"1"', "Last-Modified": "then"}, ONE)
    renewed = answer(304, {"ETag": '"2"'})
    url = web.serve("/feed", in_turn(first, renewed, answer(304)))
    runs.list(feed=url)
    sent = []
    for _ in range(4):
        runs().ok()
        headers = web.asked("/feed")[0].headers
        sent.append((headers["If-None-Match"], headers["If-Modified-Since"]))
    assert sent == [(None, None), ('"1"', "then"), ('"2"', "then"), ('"2"', "then")]


def test_a_200_without_validators_ends_the_old_ones(web, runs):
    feed = web.feed("/feed", ONE, etag='"1"')
    runs.list(feed=feed.url)
    runs().ok()
    feed.etag, feed.body = None, rss(items(2))
    assert runs().ok().rows["feed"]["new"] == 1
    runs().ok()
    assert "If-None-Match" not in web.asked("/feed")[0].headers


def test_validators_are_sent_to_the_address_they_came_from_alone(web, runs):
    """A page that is older than the feed it names would answer 304 for the feed's date."""
    feed = web.feed("/feed", ONE, last_modified="Sat, 01 Jan 2000 00:00:00 GMT")
    runs.list(page=web.serve("/page", page(feed.url)))
    runs().ok()
    assert runs().ok().rows["page"]["http"] == 304
    assert "If-Modified-Since" not in web.asked("/page")[0].headers
    assert "If-Modified-Since" in web.asked("/feed")[0].headers


def test_a_304_nobody_asked_for_is_a_failure(web, runs):
    runs.list(feed=web.serve("/feed", answer(304)), other=web.feed("/other", ONE).url)
    row = runs().ok().rows["feed"]
    assert (row["status"], row["http"]) == ("failed", 304)


def test_the_same_bytes_are_not_parsed_again(web, runs):
    broken = ONE.replace(b"</item>", b"</item><item><title>x & y</oops>")
    feed = web.feed("/feed", broken, etag=None)
    runs.list(feed=feed.url)
    assert "not well-formed" in runs().ok().err
    again = runs().ok()
    assert (again.rows["feed"]["status"], again.rows["feed"]["http"]) == ("unchanged", 200)
    assert "not well-formed" not in again.err


def test_a_local_file_is_read_when_its_bytes_change(web, runs):
    runs.script.write("local.xml", ONE)
    runs.list(local="local.xml")
    assert runs().ok().rows["local"]["new"] == 1
    assert runs().ok().rows["local"]["status"] == "unchanged"
    runs.script.write("local.xml", rss(items(2)))
    assert runs().ok().rows["local"]["new"] == 1


# ---------------------------------------------------------------- pauses, retries, back-off


def test_who_asks_to_be_left_alone_is_across_runs(web, runs):
    soon = datetime.now(UTC) + timedelta(hours=3)
    behaviours = {
        "429-seconds": busy(429, 7200),
        "429-date": busy(429, soon),
        "429-bare": answer(429),
        "503-seconds": busy(503, 7200),
        "503-date": busy(503, soon),
    }
    feeds = {name: web.serve("/f", act, on=n) for n, (name, act) in enumerate(behaviours.items())}
    feeds["good"] = web.feed("/good", ONE, on=9).url
    runs.list(**feeds)
    first = runs().ok()
    assert {n: s for n, s in statuses(first).items() if n != "good"} == dict.fromkeys(
        behaviours, "waiting"
    )
    assert iso(soon) in first.rows["429-date"]["error"]
    assert {row["failures"] for row in first.rows.values()} == {0}
    assert len(web.asked()) == 6
    second = runs().ok()
    assert [request.path for request in web.asked()] == ["/good"]
    assert second.rows["503-date"]["status"] == "waiting"


def test_a_pause_ends(web, runs):
    runs.list(feed=web.serve("/feed", in_turn(busy(429, 2), answer(200, {}, ONE))))
    assert runs().rows["feed"]["status"] == "waiting"
    time.sleep(2.2)
    assert runs().ok().rows["feed"]["status"] == "ok"


def test_a_429_pauses_its_whole_host(web, runs):
    feeds = {f"f{n}": web.serve(f"/{n}", busy(429, 600)) for n in range(12)}
    runs.list(**feeds, other=web.feed("/other", ONE, on=2).url)
    assert list(statuses(runs().ok()).values()).count("waiting") == 12
    assert len(web.asked(on=1)) <= 2
    runs.list(**feeds, newcomer=web.feed("/newcomer", ONE).url)
    assert runs().rows["newcomer"]["status"] == "waiting"
    assert web.asked(on=1) == []


def test_a_429_pauses_the_host_that_many_others_lead_to(web, runs):
    busy_one = web.serve("/busy", busy(429, 600))
    away = redirect(302, busy_one)
    feeds = {f"f{n}": web.serve(f"/{n}", away, on=n) for n in range(2, 22)}
    runs.list(**feeds)
    assert set(statuses(runs()).values()) == {"waiting"}
    assert len(web.asked(on=1)) <= 2


def test_connection_errors_and_5xx_are_tried_twice_and_nothing_else(web, runs):
    twice = {
        "reset": reset,
        "hang-up": hang_up,
        "cut-short": cut_short(ONE),
        "500": answer(500),
        "502": answer(502),
        "503": answer(503),
    }
    once = {
        "403": answer(403),
        "404": answer(404),
        "html": answer(200, {"Content-Type": "text/html"}, b"<!doctype html><p>Hi</p>"),
        "garbage": answer(200, {}, b"garbage"),
        "empty": answer(200, {}, b""),
        "large": answer(200, {}, b"<rss>" + b"x" * 1_100_000),
        "nowhere": redirect(302, "ftp://127.0.1.1/feed"),
    }
    acts = {**twice, **once, "recovers": in_turn(reset, answer(200, {}, ONE))}
    runs.list(
        **{name: web.serve(f"/{name}", act, on=n) for n, (name, act) in enumerate(acts.items())}
    )
    result = runs("--max-size", 1).ok()
    counts = {name: len(web.asked(f"/{name}")) for name in acts}
    assert counts == dict.fromkeys(twice, 2) | dict.fromkeys(once, 1) | {"recovers": 2}
    assert statuses(result) == dict.fromkeys([*twice, *once], "failed") | {"recovers": "ok"}
    assert {row["failures"] for name, row in result.rows.items() if name != "recovers"} == {1}


def test_from_the_fourth_failure_in_a_row_a_feed_rests(web, runs):
    runs.list(bad=web.serve("/bad", answer(404)), good=web.feed("/good", ONE).url)
    failures = []
    for _ in range(4):
        result = runs("-q").ok()
        failures.append(result.rows["bad"]["failures"])
        assert len(web.asked("/bad")) == 1
        assert ("bad" in result.out) == (failures[-1] == 4)
    assert failures == [1, 2, 3, 4]
    row = runs("-q").ok().rows["bad"]
    assert (row["status"], row["failures"], web.asked("/bad")) == ("waiting", 4, [])


def test_rests_grow_to_a_day_and_end_with_the_first_success():
    feed, state, rests = Feed("https://a.example/"), FeedState(etag='"1"', digest="x"), []
    for _ in range(12):
        state = next_state(feed, state, Answer("failed", error="x"), NOW)
        until = state.retry_at and datetime.fromisoformat(state.retry_at) - NOW
        rests.append(round(until / timedelta(hours=1)) if until else 0)
    assert rests == [0, 0, 0, 2, 4, 8, 16, 24, 24, 24, 24, 24]
    assert (state.etag, state.digest, state.failures) == ('"1"', "x", 12)
    assert state.failing_since == iso(NOW)
    state = next_state(feed, state, Answer("ok", 200, etag='"2"'), NOW)
    assert (state.failures, state.retry_at, state.failing_since, state.etag) == (0, "", "", '"2"')


def test_a_changed_line_is_asked_at_once():
    feed = Feed("https://a.example/", auth="me:wrong")
    state = FeedState()
    for _ in range(5):
        state = next_state(feed, state, Answer("failed", 401), NOW)
    assert hold_back(feed, state, NOW).status == "waiting"
    assert hold_back(Feed("https://a.example/", auth="me:right"), state, NOW) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 5 ", 5),
        ("0", 0),
        ("Sun, 22 Nov 2026 10:01:00 GMT", 60),
        ("Sunday, 22-Nov-26 10:01:00 GMT", 60),
        ("Sun, 22 Nov 2026 12:01:00 +0200", 60),
        ("Sun, 22 Nov 2026 10:01:00 -0000", 60),
        ("9" * 30, 30 * 86400),
        ("Sun, 22 Nov 2099 10:01:00 GMT", 30 * 86400),
        ("Sun, 22 Nov 2020 10:01:00 GMT", None),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("²", None),
        ("Sun, 99 Nov 2026", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    expected = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert retry_after(value, NOW) == expected


# ---------------------------------------------------------------- redirects, 410, HTML pages


def test_a_permanent_redirect_that_leads_to_a_feed_is_reported(web, runs):
    new = web.feed("/new", ONE, on=2).url
    page_url = web.serve("/page", page("/new"), on=2)
    runs.list(
        moved=web.serve("/301", redirect(301, new)),
        kept=web.serve("/308", redirect(308, web.serve("/hop", redirect(301, new)))),
        half=web.serve("/half", redirect(301, web.serve("/302", redirect(302, new)))),
        silent=web.serve("/302-301", redirect(302, web.serve("/back", redirect(301, new)))),
        other=web.serve("/307", redirect(307, new)),
        page=page_url,
        parked=web.serve("/parked", redirect(301, web.answer("/lost", 404))),
        garbage=web.serve("/garbage", redirect(301, web.answer("/words", 200, body=b"words"))),
    )
    result = runs().ok()
    moved_to = {name: row["moved_to"] for name, row in result.rows.items()}
    assert moved_to == {
        "moved": new,
        "kept": new,
        "half": web.url("/302"),
        "silent": None,
        "other": None,
        "page": new,
        "parked": None,
        "garbage": None,
    }
    assert f"line 1: moved moved to {new}" in result.out
    assert f"line 6: page moved to {new}" in result.out


def test_posts_stay_when_the_line_is_changed_to_where_the_feed_moved(web, runs):
    old = web.feed("/old", rss(items(3)))
    runs.list(feed=old.url)
    runs().ok()
    before = runs.posts()
    new = web.feed("/new", rss(items(3)), on=2)
    web.serve("/old", redirect(301, new.url))
    assert runs().ok().rows["feed"]["moved_to"] == new.url
    runs.list(feed=new.url)
    result = runs().ok()
    assert (result.report["posts"]["new"], result.report["posts"]["removed"]) == (0, 0)
    assert runs.posts() == before
    assert len(before) == 3
    assert all(new.url in path.read_text() for path in before)


def test_posts_stay_though_the_new_address_gives_other_entries_now(web, runs):
    """What the old feed published stays, also when the new one lists it no more."""
    new = web.feed("/new", rss(items(3, first=4)), on=2)
    runs.list(feed=web.feed("/old", rss(items(3))).url)
    runs().ok()
    web.serve("/old", redirect(301, new.url))
    runs().ok()
    runs.list(feed=new.url)
    assert runs().ok().report["posts"]["total"] == 6


def test_a_feed_that_is_gone_is_not_asked_until_its_line_changes(web, runs):
    runs.list(old=web.serve("/old", gone()), good=web.feed("/good", ONE).url)
    for asked in (1, 0, 0):
        result = runs("-q").ok()
        assert (result.rows["old"]["status"], result.rows["old"]["http"]) == ("gone", 410)
        assert len(web.asked("/old")) == asked
        assert ("remove its line" in result.out) == bool(asked)
    runs.list(old=web.feed("/old", ONE).url + "?again", good=web.url("/good"))
    assert runs().ok().rows["old"]["status"] == "ok"


def test_redirects_end(web, runs):
    feeds = {"good": web.feed("/good", ONE, on=2).url}
    for length in (5, 6):
        target = feeds["good"]
        for hop in range(length):
            target = web.serve(f"/{length}/{hop}", redirect(302, target))
        feeds[f"hops-{length}"] = target
    feeds["loop"] = web.serve("/loop", redirect(301, "/loop"))
    for name, to in {
        "ftp": "ftp://127.0.1.2/feed",
        "file": "file:///etc/passwd",
        "javascript": "javascript:alert(1)",
        "data": "data:text/xml,<rss/>",
        "broken": "http://[::1/feed",
        "portless": "http://127.0.1.2:99999/feed",
    }.items():
        feeds[name] = web.serve(f"/{name}", redirect(302, to))
    feeds["nowhere"] = web.serve("/nowhere", answer(302))
    runs.list(**feeds)
    result = runs().ok()
    assert [n for n, status in statuses(result).items() if status == "ok"] == ["good", "hops-5"]
    assert "more than 5 times" in result.rows["hops-6"]["error"]
    assert "more than 5 times" in result.rows["loop"]["error"]
    assert len(web.asked("/loop")) == 6
    for name in ("ftp", "file", "javascript", "data", "broken", "portless"):
        assert result.rows[name]["error"] == "its address, or one it leads to, is no web address"
        assert len(web.asked(f"/{name}")) == 1
    assert result.rows["nowhere"]["error"] == "302 Found"


def test_a_page_gives_its_feed_for_the_run_and_the_line_to_change(web, runs):
    feed = web.feed("/blog/feed", ONE, on=2)
    plain = answer(200, {"Content-Type": "text/html"}, b"<html><body>No feed here</body></html>")
    runs.list(
        blog=web.serve("/blog/", page("feed"), on=2),
        plain=web.serve("/plain", plain),
        itself=web.serve("/itself", page("/itself")),
        circle=web.serve("/circle", page("/circle2")),
        circle2=web.serve("/circle2", page("/circle")),
        local=web.serve("/local", page("file:///etc/passwd")),
    )
    result = runs().ok()
    assert result.rows["blog"]["new"] == 1
    assert f"line 1: blog moved to {feed.url}" in result.out
    for name in ("plain", "itself", "local"):
        assert result.rows[name]["error"] == "the address answered with an HTML page, not a feed"
    assert result.rows["circle"]["status"] == "failed"
    runs.list(blog=feed.url)
    again = runs().ok()
    assert (again.report["posts"]["new"], again.report["posts"]["total"]) == (0, 1)


def test_a_feed_that_quotes_a_page_is_no_page(web, runs):
    page_text = "<!doctype html><html><body><p>Hi</p></body></html>"
    item = Item(guid="urn:1", title="One", body=page_text)
    atom_text = atom([item]).decode().replace("&lt;", "<![CDATA[<]]>")
    for name in ("feed", "title", "entry", "id", "content"):
        atom_text = atom_text.replace(f"<{name}", f"<a:{name}").replace(f"</{name}", f"</a:{name}")
    bodies = {
        "json": json_feed([item]),
        "prefixed": atom_text.replace("xmlns=", "xmlns:a="),
        "comment": f"<?xml version='1.0'?><!-- {page_text} -->".encode() + rss([item])[38:],
    }
    runs.list(**{n: web.feed(f"/{n}", body).url for n, body in bodies.items()})
    assert statuses(runs().ok()) == dict.fromkeys(bodies, "ok")


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/b?c=1#d", "https://a.example/b?c=1"),
        ("//b.example/x", "https://b.example/x"),
        ("http://b.example:8080", "http://b.example:8080"),
        ("  ../y ", "https://a.example/y"),
        ("https://b.example/ä b", "https://b.example/%C3%A4%20b"),
        ("/\xc3\xbcber", "https://a.example/%C3%BCber"),  # UTF-8, as http.client gives it
    ],
)
def test_a_redirect_leads_to_an_address_without_fragment(location, target):
    assert next_hop("https://a.example/x/y", location) == target


# ---------------------------------------------------------------- addresses that are not asked


@pytest.mark.parametrize(
    ("address", "listed", "redirected"),
    [
        ("93.184.216.34", True, True),
        ("2606:2800:220:1::1", True, True),
        ("127.0.0.1", True, False),
        ("::1", True, False),
        ("10.0.0.1", True, False),
        ("172.16.0.1", True, False),
        ("192.168.1.1", True, False),
        ("100.64.0.1", True, False),
        ("fd12::1", True, False),
        ("0.0.0.0", True, False),
        ("::ffff:10.0.0.1", True, False),
        ("169.254.169.254", False, False),
        ("169.254.0.1", False, False),
        ("fe80::1%eth0", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("fd00:ec2::254", False, False),
    ],
)
def test_private_addresses_are_for_the_owner_and_link_local_ones_for_nobody(
    address, listed, redirected
):
    assert (forbidden_address(address, came_from_public=False) == "") == listed
    assert (forbidden_address(address, came_from_public=True) == "") == redirected


def test_link_local_addresses_are_never_asked(web, runs):
    metadata = "http://169.254.169.254/latest/meta-data/"
    runs.list(
        redirected=web.serve("/a", redirect(302, metadata)),
        page=web.serve("/page", page(metadata)),
        listed=metadata,
        mapped="http://[::ffff:169.254.169.254]/",
        hexadecimal="http://0xa9fea9fe/",
        good=web.feed("/good", ONE).url,
    )
    result = runs().ok()
    for name in ("redirected", "page", "listed", "mapped", "hexadecimal"):
        assert "169.254.169.254 is a link-local address" in result.rows[name]["error"]
    assert result.report["seconds"]["collect"] < 5


def test_the_host_is_named_as_it_is_listed(web, runs):
    """Many sites share an address: Host and TLS must say which is meant."""
    on = -255  # 127.0.0.1
    port = web.host(on).rpartition(":")[2]
    web.feed("/a%20b/%C3%BC", ONE, on=on)
    web.feed("/feed", rss(items(1, "tls")), on=on, tls="good")
    tls_port = web.host(on, "good").rpartition(":")[2]
    plain = f"http://LocalHost:{port}/a%20b/ü?q=ü&x=%C3%BC|"
    runs.list(plain=plain, tls=f"https://localhost:{tls_port}/feed")
    result = runs(env={"SSL_CERT_FILE": web.ca}).ok()
    assert statuses(result) == {"plain": "ok", "tls": "ok"}
    (asked,) = web.asked("/a%20b/%C3%BC")
    assert asked.headers["Host"].lower() == f"localhost:{port}"
    assert asked.path == "/a%20b/%C3%BC?q=%C3%BC&x=%C3%BC%7C"
    assert web.asked("/feed")[0].headers["Host"] == f"localhost:{tls_port}"


# ---------------------------------------------------------------- secrets

PASSWORD = "p:ss w@rd/ü"
PASSWORD_LISTED = "p%3Ass%20w%40rd%2F%C3%BC"


def test_a_password_goes_to_its_host_alone_and_is_written_nowhere(web, runs):
    there = web.serve("/there", basic_auth("me", PASSWORD, answer(200, {}, ONE)), on=2)
    elsewhere = web.feed("/elsewhere", rss(items(1, "other")), on=3).url
    away = web.serve("/away", redirect(301, elsewhere), on=2)
    back = web.serve("/back", redirect(302, "/there"), on=2)
    wrong = web.serve("/wrong", basic_auth("me", "another", answer(200, {}, ONE)), on=2)
    listed = {
        name: url.replace("http://", f"http://me:{PASSWORD_LISTED}@")
        for name, url in {"there": there, "away": away, "back": back, "wrong": wrong}.items()
    }
    runs.list(**listed)
    result = runs("-vv").ok()
    assert statuses(result) == {"there": "ok", "away": "ok", "back": "ok", "wrong": "failed"}
    assert "401" in result.rows["wrong"]["error"]
    assert all("Authorization" in request.headers for request in web.asked(on=2))
    assert all("Authorization" not in request.headers for request in web.asked(on=3))
    assert result.rows["there"]["url"] == there
    told = f"{result.out}{result.err}{result.report}".encode() + runs.everything_written()
    for secret in (
        PASSWORD,
        PASSWORD_LISTED,
        "me:p",
        web.asked("/there")[0].headers["Authorization"][6:],
    ):
        assert secret.encode() not in told


@pytest.mark.parametrize(
    ("listed", "asked", "sent"),
    [
        ("http://a.example/x", "http://a.example/y", True),
        ("http://A.example/x", "https://a.example/x", True),  # sites move to https
        ("https://a.example/x", "http://a.example/x", False),
        ("http://a.example/x", "https://a.example:8443/x", False),
        ("http://a.example/x", "https://b.example/x", False),
        ("http://a.example/x", "https://a.example.b.example/x", False),
    ],
)
def test_a_password_follows_its_host_to_https_and_nowhere_else(listed, asked, sent):
    headers = request_headers(Feed(listed, auth="me:x"), FeedState(), asked, "test")
    assert ("Authorization" in headers) == sent


def test_a_name_that_is_not_found_is_looked_up_twice(web, runs, monkeypatch, tmp_path):
    """Right after a boot, or on a poor line, the second time finds it."""
    feed = web.feed("/feed", ONE)
    real, asked = socket.getaddrinfo, []

    def poor(host, *rest, **options):
        asked.append(host)
        if len(asked) == 1:
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return real(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", poor)
    config = parse_config(["--feeds", str(runs.script.write("feeds.txt", feed.url))])
    with closing(Web(config, {}, NOW, tmp_path)) as client:
        assert client.fetch(Feed(feed.url), FeedState()).status == "ok"
    assert len(asked) > 1


def test_the_address_of_a_private_feed_is_nowhere(web, runs):
    key = "s3cr3tkey"
    behaviours = {
        "ok": answer(200, {"Content-Type": RSS, "ETag": '"1"'}, ONE),
        "moved": redirect(301, web.feed(f"/moved-{key}", rss(items(1, "m")), on=2).url),
        "page": page(web.feed(f"/found-{key}", rss(items(1, "f")), on=2).url),
        "lost": answer(404),
        "reset": reset,
        "cut": cut_short(ONE),
        "gone": gone(),
        "busy": busy(429, 60),
        "loop": redirect(302, f"/loop-{key}"),
        "garbage": answer(200, {}, b"garbage"),
        "broken": answer(200, {}, ONE.replace(b"</item>", b"</item><item><x & y></oops>")),
        "odd-header": lambda exchange: (
            exchange.raw(b"HTTP/1.1 200 OK\r\nbad header\r\nContent-Length: 0\r\n\r\n")
            or exchange.hang_up()
        ),
    }
    lines = [
        f"{name}\t!{web.serve(f'/{name}-{key}', act, on=n + 3)}?key={key}\n"
        for n, (name, act) in enumerate(behaviours.items())
    ]
    lines += [f"refused\t!{web.refused(f'/{key}')}\n"]
    runs.script.write("feeds.txt", "".join(lines))
    for _ in range(2):
        result = runs("-vv").ok()
        assert result.rows["ok"]["status"] in ("ok", "unchanged")
        assert result.rows["moved"]["moved_to"] == "https://127.0.1.2/"
        told = f"{result.out}{result.err}{result.report}".encode() + runs.everything_written()
        assert key.encode() not in told
        assert result.rows["lost"]["url"].startswith("https://127.0.1.")
    assert len(runs.posts()) >= 3


@pytest.mark.parametrize("make", [rss, atom, json_feed])
def test_a_private_feed_that_tells_its_own_address_is_not_quoted(web, runs, make):
    """Links without a host are seen from its address, and many documents name it outright."""
    secret = web.url("/key/s3cr3t.xml?a=1&key=s3cr3t")
    body = '<p><a href="#fn">1</a> <a href="?p=1">2</a> <a href="">3</a> <img src="i.png"></p>'
    body += f'<p><a href="{secret.replace("&", "&amp;")}">4</a> <a href="{secret}">5</a></p>'
    links = ["#one", "?p=2", "", "three", f"{secret}#4", secret, "https://x.example/six"]
    entries = [
        Item(f"{secret}#guid-{n}", link, f"Entry {n}", START, body=body, enclosure=f"#{n}")
        for n, link in enumerate(links)
    ]
    web.feed("/key/s3cr3t.xml", make(entries, link=secret))
    runs.script.write("feeds.txt", f"!{secret}\n")
    for flags in (["--content", "full"], ["--content", "full"], []):
        result = runs(*flags, "-vv").ok()
        told = f"{result.out}{result.err}{result.report}".encode() + runs.everything_written()
        assert b"s3cr3t" not in told
    posts = [path.read_text(encoding="utf-8") for path in runs.posts()]
    assert len(posts) == len(links)
    assert sum("https://x.example/six" in text for text in posts) == 1


# ---------------------------------------------------------------- bodies and vices

ENCODINGS = ("gzip", "deflate", "raw-deflate", "br", "zstd")


def test_every_encoding_that_is_offered_is_read(web, runs):
    bodies = {name: rss(items(20, name)) for name in ENCODINGS}
    runs.list(**{name: web.serve(f"/{name}", encoded(body, name)) for name, body in bodies.items()})
    result = runs().ok()
    assert {row["new"] for row in result.rows.values()} == {20}
    offered = web.asked()[0].headers["Accept-Encoding"]
    assert all(name.removeprefix("raw-") in offered for name in ENCODINGS)


def lengthless_drip(exchange):
    exchange.send(200, {"Content-Type": RSS}, ONE[:-20], length=-1)
    while True:
        exchange.raw(b" ")
        exchange.wait(0.5)


SLOW = "took over 3 s in all (--timeout)"
LARGE = "larger than 2 MB: raise --max-size if it is meant to be"
VICES = {
    "drip": (drip(every_s=0.3), SLOW),
    "drip-headers": (drip(every_s=0.3, headers=True), SLOW),
    "drip-lengthless": (lengthless_drip, SLOW),
    "silent": (silent, SLOW),
    "stall": (stall(ONE, 40), SLOW),
    "late": (late(9, answer(200, {}, ONE)), SLOW),
    "redirect-drip": (redirect(302, "/drip"), SLOW),
    "endless": (endless(), LARGE),
    "gzip-bomb": (gzip_bomb(60), LARGE),
    "large": (answer(200, {}, b"<rss>" + b"x" * 2_100_000), LARGE),
    "cut-short": (cut_short(ONE), "the answer was cut short"),
    "false-gzip": (false_gzip(ONE), "its compressed answer cannot be unpacked"),
    "reset": (reset, "connection failed: Connection reset by peer"),
    "hang-up": (hang_up, "the connection was closed without an answer"),
    "no-http": (lambda exchange: exchange.raw(b"SSH-2.0-x\r\n") or exchange.hang_up(), "not HTTP"),
    "500": (answer(500), "500 Internal Server Error"),
    "599": (answer(599), "599"),
    "404": (answer(404), "404 Not Found"),
    "401": (answer(401), "401: it wants a password"),
    "wall": (answer(403, {"cf-mitigated": "challenge"}, b"<html>"), "403: a bot wall"),
    "empty": (answer(200), "empty document"),
    "words": (answer(200, {}, b"hello"), "not a feed"),
}


def test_every_vice_ends_in_time_with_its_own_message(web, runs):
    feeds, wanted = {}, {"good": None}
    feeds["good"] = web.feed("/good", ONE, on=99).url
    for number, (name, (act, error)) in enumerate(VICES.items()):
        feeds[name] = web.serve(f"/{name}", act, on=100 + number)
        wanted[name] = error
    web.serve("/drip", drip(every_s=0.3), on=100 + list(VICES).index("redirect-drip"))
    feeds |= {"refused": web.refused(), "deaf": web.deaf(), "no-host": "http://no-host.invalid/x"}
    wanted |= {"refused": "Connection refused", "deaf": "", "no-host": "no-host.invalid"}
    for number in range(40):
        feeds[f"stalling-{number}"] = web.serve("/s", stall(ONE, number), on=300 + number)
        wanted[f"stalling-{number}"] = SLOW
    runs.list(**feeds)
    result = runs("--timeout", 3, "--max-size", 2, "--jobs", 80).ok()
    assert result.report["seconds"]["collect"] < 3 + 2.5
    errors = {name: row["error"] for name, row in result.rows.items()}
    wrong = {n: errors[n] for n, text in wanted.items() if text and text not in (errors[n] or "")}
    assert wrong == {}
    assert errors["good"] is None
    assert [n for n, row in result.rows.items() if row["status"] != "failed"] == ["good"]


def test_a_host_that_hangs_costs_two_timeouts_however_many_feeds_it_has(web, runs):
    feeds = {f"f{n}": web.serve(f"/{n}", silent) for n in range(12)}
    runs.list(**feeds, good=web.feed("/good", ONE, on=2).url)
    result = runs("--timeout", 2).ok()
    assert result.report["seconds"]["collect"] < 2 * 2 + 1.5
    assert len(web.asked(on=1)) <= 4
    errors = {row["error"] for row in result.rows.values()}
    assert "its host let our other requests hang" in errors


def test_a_certificate_that_does_not_fit_is_refused(web, runs):
    feeds = {
        kind: web.feed("/feed", rss(items(1, kind)), tls=kind).url
        for kind in ("good", "wrong-host", "expired", "self-signed")
    }
    port = web.host(1).rpartition(":")[2]
    runs.list(**feeds, plain=f"https://127.0.1.1:{port}/feed")
    result = runs(env={"SSL_CERT_FILE": web.ca}).ok()
    errors = {name: row["error"] for name, row in result.rows.items()}
    assert errors.pop("good") is None
    assert errors.pop("plain").startswith("TLS failed")
    for kind, word in {
        "wrong-host": "mismatch",
        "expired": "expired",
        "self-signed": "self",
    }.items():
        assert errors[kind].startswith("its certificate does not fit: ")
        assert word in errors[kind]
        assert web.asked("/feed", on=1) is not None


# ---------------------------------------------------------------- manners


def test_a_host_gets_two_requests_at_a_time_over_kept_connections(web, runs):
    ports = []

    def note(then):
        def act(exchange):
            ports.append(exchange.client_address)
            exchange.wait(0.05)
            then(exchange)

        return act

    feeds = {
        f"f{n}": web.serve(f"/{n}", note(answer(200, {}, rss(items(1, f"n{n}")))))
        for n in range(12)
    }
    feeds |= {f"r{n}": web.serve("/r", redirect(302, web.url(f"/{n}")), on=n + 2) for n in range(8)}
    runs.list(**feeds)
    assert set(statuses(runs().ok()).values()) == {"ok"}
    assert web.peak() == 2
    assert len(ports) == 20
    assert len(set(ports)) <= 3


def test_a_kept_connection_that_was_closed_meanwhile_is_no_failure(web, runs):
    def close_after(exchange):
        exchange.send(200, {"Content-Type": RSS}, rss(items(1, exchange.path[1:])))
        exchange.hang_up()

    runs.list(**{f"f{n}": web.serve(f"/f{n}", close_after) for n in range(10)})
    assert set(statuses(runs().ok()).values()) == {"ok"}


def test_a_password_of_one_feed_is_not_kept_with_the_connection(web, runs):
    secret = web.serve("/a", basic_auth("me", "x", answer(200, {}, ONE)))
    runs.list(
        secret=secret.replace("http://", "http://me:x@"),
        open=web.feed("/b", rss(items(1, "b"))).url,
    )
    runs().ok()
    assert "Authorization" not in web.asked("/b")[0].headers


def test_the_user_agent_is_the_owners_to_choose(web, runs):
    runs.list(feed=web.feed("/feed", ONE).url)
    runs().ok()
    assert web.asked()[0].headers["User-Agent"].startswith("superfeed/")
    runs("--user-agent", "me/1 (me@site.example)").ok()
    assert web.asked()[0].headers["User-Agent"] == "me/1 (me@site.example)"


def test_a_feed_that_fails_changes_nothing(web, runs):
    feed = web.feed("/feed", rss(items(3)))
    good = web.feed("/good", rss(items(1, "good")), on=2)
    runs.list(feed=feed.url, good=good.url)
    runs().ok()
    before = runs.posts()
    web.serve("/feed", answer(500))
    result = runs().ok()
    assert result.rows["feed"]["entries"] == 3
    assert runs.posts() == before
    assert result.report["commit"]["sha"] is None
    web.serve("/feed", feed)
    assert runs().ok().rows["feed"]["http"] == 304
