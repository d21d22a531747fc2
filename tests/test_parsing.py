"""What feeds of every format, encoding and degree of damage give."""

import json
import multiprocessing
import pickle
import signal
import time
from datetime import UTC, datetime

import pytest

import superfeed
from superfeed import FeedError, find_feed, parse_document, read_document

URL = "https://feeds.example/news/feed.xml"
PROLOGUE = '<?xml version="1.0" encoding="{}"?>\n'


def rss(items, channel="<title>Title</title><link>https://site.example/</link>"):
    return f'<rss version="2.0"><channel>{channel}{items}</channel></rss>'


def atom(entries, attributes=""):
    return (
        f'<feed xmlns="http://www.w3.org/2005/Atom" {attributes}><title>T</title>{entries}</feed>'
    )


def read(body, content="summary", content_type="application/xml"):
    body = body.encode() if isinstance(body, str) else body
    return parse_document(body, content_type, URL, content)


def entry(body, content="summary"):
    (found,) = read(body, content).entries
    return found


def words(text):
    """The words without the zero-width spaces that keep them from being more than words."""
    return text.replace("\u200b", "")


# --- formats


RDF = (
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
    ' xmlns="http://purl.org/rss/1.0/"><channel><title>Title</title>'
    "<link>https://site.example/</link></channel>"
    "<item><title>One</title><link>https://site.example/1</link></item></rdf:RDF>"
)
ATOM_03 = (
    '<feed version="0.3" xmlns="http://purl.org/atom/ns#"><title>Title</title>'
    '<link rel="alternate" type="text/html" href="https://site.example/"/><entry>'
    "<title>One</title>"
    '<link rel="alternate" type="text/html" href="https://site.example/1"/></entry></feed>'
)
ATOM = (
    '<feed xmlns="http://www.w3.org/2005/Atom"><title>Title</title>'
    '<link href="https://site.example/"/><entry><title>One</title>'
    '<link href="https://site.example/1"/></entry></feed>'
)
JSON = {
    "version": "https://jsonfeed.org/version/1.1",
    "title": "Title",
    "home_page_url": "https://site.example/",
    "items": [{"id": "1", "title": "One", "url": "https://site.example/1"}],
}
RSS = rss("<item><title>One</title><link>https://site.example/1</link></item>")


@pytest.mark.parametrize(
    "body",
    [RSS, RSS.replace("2.0", "0.91"), RDF, ATOM, ATOM_03, json.dumps(JSON)],
    ids=["rss-2.0", "rss-0.91", "rdf", "atom-1.0", "atom-0.3", "json"],
)
def test_every_format_gives_the_same_document(body):
    document = read(body)
    assert (document.title, document.site) == ("Title", "https://site.example/")
    assert [(e.title, e.link) for e in document.entries] == [("One", "https://site.example/1")]
    assert document.warning == ""


def test_an_rss_entry_gives_all_its_fields():
    found = entry(
        rss(
            '<item xmlns:media="http://search.yahoo.com/mrss/"><title>R&amp;D</title><guid>urn:1</guid>'
            "<link>/a?x=1&amp;y=2</link><pubDate>Sun, 22 Nov 2026 10:00:00 GMT</pubDate>"
            "<author>ann@site.example (Ann)</author><category>News</category>"
            "<category>News</category>"
            "<description>&lt;p&gt;The words&lt;/p&gt;</description>"
            '<enclosure url="e.mp3" type="audio/mpeg"/><media:thumbnail url="/t.png"/></item>'
        )
    )
    assert (found.guid, found.title, found.excerpt) == ("urn:1", "R&D", "The words")
    assert found.link == "https://feeds.example/a?x=1&y=2"
    assert found.published == datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert (found.author, found.tags) == ("Ann", ("News",))
    assert found.enclosure == "https://feeds.example/news/e.mp3"
    assert found.image == "https://feeds.example/t.png"


def test_published_is_not_taken_for_updated():
    found = entry(rss("<item><title>x</title><pubDate>2026-11-22</pubDate></item>"))
    assert found.published
    assert found.updated is None


def test_dublin_core_dates_are_read():
    found = entry(
        rss(
            '<item xmlns:d="http://purl.org/dc/elements/1.1/"><d:date>2026-11-22</d:date><title>x</title></item>'
        )
    )
    assert (found.published, found.updated) == (None, datetime(2026, 11, 22, tzinfo=UTC))


def test_xml_base_moves_relative_addresses():
    body = atom(
        '<entry xml:base="b/"><title>x</title><link href="c"/></entry>',
        'xml:base="http://x.example/a/"',
    )
    assert entry(body).link == "http://x.example/a/b/c"


def test_an_atom_title_of_type_html_is_read_as_html_and_one_of_text_as_text():
    body = atom(
        '<entry><title type="html">a &lt;b&gt;c&lt;/b&gt; &amp;amp; d</title><id>1</id></entry>'
        "<entry><title>x &amp;amp; y</title><id>2</id></entry>"
    )
    assert [words(e.title) for e in read(body).entries] == ["a c & d", "x &amp; y"]


def test_a_guid_that_is_no_address_makes_no_link():
    assert entry(rss("<item><title>x</title><guid>12345</guid></item>")).link == ""
    found = entry(rss("<item><title>x</title><guid>/p/1</guid></item>"))
    assert found.link == "https://feeds.example/p/1"
    found = entry(rss("<item><title>x</title><guid>https://site.example/p</guid></item>"))
    assert found.link == "https://site.example/p"


def test_an_entry_without_title_is_named_by_its_words_or_its_address():
    words = "word " * 40
    titles = [
        e.title
        for e in read(
            rss(
                f"<item><description>{words}</description></item><item><description>Short.</description></item>"
                "<item><link>https://site.example/p/1</link></item><item><guid>7</guid></item>"
            )
        ).entries
    ]
    assert titles[0].startswith("word word")
    assert titles[0].endswith("…")
    assert len(titles[0]) <= 80
    assert titles[1] == "Short."
    assert titles[3] == "Untitled"
    assert all(titles)


def test_the_excerpt_is_the_summary_and_the_full_text_the_longest():
    item = (
        '<item xmlns:c="http://purl.org/rss/1.0/modules/content/"><title>x</title><description>Short</description>'
        "<c:encoded>&lt;p&gt;Much longer words&lt;/p&gt;</c:encoded></item>"
    )
    assert entry(rss(item)).excerpt == "Short"
    assert "Much longer words" in entry(rss(item), "full").body
    assert entry(rss(item), "link").body == ""
    empty = item.replace("Short", "&lt;img src='x'&gt;")
    assert entry(rss(empty)).excerpt == "Much longer words"


def test_the_feeds_author_stands_in_for_the_entrys():
    body = atom("<author><name>Ann</name></author><entry><title>x</title></entry>")
    assert entry(body).author == "Ann"


def test_tags_are_few_short_and_distinct():
    tags = "".join(
        f"<category>{'t' * 60}{n}</category><category>k{n}</category>" for n in range(20)
    )
    found = entry(rss(f"<item><title>x</title>{tags}</item>")).tags
    assert len(found) <= 10
    assert all(len(tag) <= 40 for tag in found)


# --- JSON Feed


def json_feed(*items, **feed):
    return json.dumps(
        {"version": "https://jsonfeed.org/version/1", "title": "T", "items": items, **feed}
    )


def test_a_json_id_may_be_a_number_and_a_title_missing():
    found = entry(json_feed({"id": 7, "content_text": "Hello there", "author": {"name": "Ann"}}))
    assert (found.guid, found.title, found.excerpt, found.author) == (
        "7",
        "Hello there",
        "Hello there",
        "Ann",
    )


def test_a_json_entry_gives_all_its_fields():
    found = entry(
        json_feed(
            {
                "id": "1",
                "url": "/p",
                "title": "x < y",
                "content_html": "<p>Words</p>",
                "date_published": "2026-11-22T10:00:00+01:00",
                "date_modified": "2026-11-23T10:00:00Z",
                "tags": ["a", 1, None],
                "image": "i.png",
                "attachments": [{"url": "e.mp3", "mime_type": "audio/mpeg"}],
            },
            authors=[{"name": "Ann"}, {"name": "Bob"}],
        )
    )
    assert (found.link, found.excerpt, found.tags) == ("https://feeds.example/p", "Words", ("a",))
    assert found.published == datetime(2026, 11, 22, 9, tzinfo=UTC)
    assert found.updated == datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert (found.author, found.image) == ("Ann, Bob", "https://feeds.example/news/i.png")
    assert found.enclosure == "https://feeds.example/news/e.mp3"


def test_a_json_entry_of_wrong_types_loses_only_itself():
    bad = {
        "id": [],
        "url": {},
        "title": 5,
        "tags": "x",
        "attachments": {},
        "authors": "y",
        "author": 3,
    }
    document = read(json_feed(None, 3, "x", bad, {"id": "ok"}, title=[], home_page_url=5))
    assert [e.guid for e in document.entries] == ["", "ok"]


# --- encodings


@pytest.mark.parametrize(
    ("declared", "sent", "content_type"),
    [
        ("utf-8", "utf-8", "text/xml"),
        ("utf-8", "utf-8", "text/xml; charset=iso-8859-1"),
        ("utf-8", "utf-8-sig", "text/xml"),
        ("utf-8", "windows-1252", "text/xml"),
        ("iso-8859-1", "windows-1252", "text/xml; charset=utf-8"),
        ("iso-8859-1", "utf-8", "text/xml"),
        ("utf-16", "utf-8", "text/xml"),
        ("utf-16", "utf-16", "text/xml; charset=utf-8"),
        ("utf-8", "utf-16-le", "text/xml"),
        ("utf-8", "utf-16-be", ""),
        ("utf-8", "utf-32", ""),
        ("no-such-encoding", "utf-8", "text/xml; charset=hex"),
        ("us-ascii", "windows-1252", "text/html"),
    ],
)
def test_a_document_is_read_whatever_is_declared(declared, sent, content_type):
    body = PROLOGUE.format(declared) + rss("<item><title>Café \u2013 naïve</title></item>")
    document = read(body.encode(sent), content_type=content_type)
    assert [e.title for e in document.entries] == ["Café \u2013 naïve"]


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("windows-1251", "Привет"),
        ("shift_jis", "日本語"),
        ("gb2312", "中文"),
        ("iso-2022-jp", "日本語"),
    ],
)
def test_an_encoding_that_is_declared_is_used(encoding, words):
    body = rss(f"<item><title>{words}</title></item>")
    declared = (PROLOGUE.format(encoding) + body).encode(encoding)
    assert read(declared, content_type="text/xml; charset=iso-8859-1").entries[0].title == words
    by_server = read(body.encode(encoding), content_type=f"text/xml; charset={encoding}")
    assert by_server.entries[0].title == words


def test_a_bad_byte_costs_itself_only():
    body = rss("<item><title>Café it#s Привет</title></item>").encode().replace(b"#", b"\x92")
    assert entry(body).title == "Café it\u2019s Привет"


# --- damage


@pytest.mark.parametrize(
    "body",
    [
        "\n\n  " + PROLOGUE.format("utf-8") + rss("<item><title>a é b</title></item>"),
        "<br />\n<b>Warning</b>: x\n"
        + PROLOGUE.format("utf-8")
        + rss("<item><title>a é b</title></item>"),
        rss("<item><title>a &eacute; b</title></item>"),
        rss("<item><title>a\x08 &#xE9;&#xD800;&#0;&#99999999; b</title></item>"),
        '<!DOCTYPE rss [<!ENTITY % x SYSTEM "x">]>'
        + rss("<item><title>a &eacute; b</title></item>"),
        rss("<item><title><![CDATA[a &eacute; b]]></title></item>"),
    ],
    ids=["blank-lines", "server-noise", "entity", "bad-characters", "doctype", "cdata"],
)
def test_an_authors_usual_slip_is_mended(body):
    document = read(body)
    assert [e.title for e in document.entries] == ["a é b"]
    assert document.warning == ""


def test_a_bare_ampersand_is_kept():
    body = rss("<item><title>R&D &nosuch; x</title><link>https://s.example/?a=1&b=2</link></item>")
    assert (words(entry(body).title), entry(body).link) == (
        "R&D &nosuch; x",
        "https://s.example/?a=1&b=2",
    )


def test_an_unknown_prefix_is_read_with_a_warning():
    document = read(rss("<item><title>x</title><guid>a&amp;b</guid><no:thing>y</no:thing></item>"))
    assert [e.guid for e in document.entries] == ["a&b"]
    assert "unbound prefix" in document.warning


ITEM = "<item><title>Title {0}</title><guid>{0}</guid><description>Words {0}</description></item>"


@pytest.mark.parametrize("cut", range(-150, 0, 3))
def test_a_document_that_breaks_off_gives_its_whole_entries_alone(cut):
    whole = rss("".join(ITEM.format(n) for n in range(3)))
    document = read(whole[:cut])
    assert document.warning
    assert len(document.entries) == whole[:cut].count("</item>")
    assert all(e.excerpt == f"Words {e.guid}" for e in document.entries)


def test_an_entry_that_feedparser_stumbles_over_loses_only_itself():
    bad = ITEM.format(1).replace("</item>", "</media:player></item>")
    document = read(rss(ITEM.format(0) + bad + ITEM.format(2)))
    assert [e.guid for e in document.entries] == ["0", "2"]
    assert "media_player" in document.warning
    assert document.title == "Title"


def test_a_billion_laughs_are_not_laughed():
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    body = f'<!DOCTYPE rss [<!ENTITY l0 "ha">{laughs}]>' + rss(
        "<item><title>x &l9;</title><guid>1</guid></item>"
    )
    start = time.monotonic()
    assert [e.guid for e in read(body).entries] == ["1"]
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "an empty document"),
        (" \n\ufeff", "an empty document"),
        ("<!DOCTYPE html><html><head><title>x</title></head></html>", "an HTML page, not a feed"),
        (
            '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>',
            "an HTML page, not a feed",
        ),
        ("Not found", "is not a feed; it begins with: Not found"),
        ("<opml><body/></opml>", "is not a feed; it begins with"),
        ("\x00\x01\x02\x89PNG", "is not a feed"),
        ('{"error": "no"}', "JSON that is not a JSON Feed"),
        ("[1]", "JSON that is not a JSON Feed"),
        ('{"items": [', "broken JSON"),
        ('{"items":' + "[" * 100_000, "broken JSON"),
    ],
)
def test_what_is_no_feed_is_refused_and_named(body, message):
    with pytest.raises(FeedError, match=message):
        read(body)


def test_a_feed_without_entries_is_a_feed():
    assert read(rss("")).entries == ()


# --- time


@pytest.mark.parametrize("name", ["a" * 150_000, "a." * 75_000])
def test_a_document_that_never_ends_is_given_up_in_time(tmp_path, name):
    body = tmp_path / "slow"
    body.write_text(rss(f"<item><title>x</title><author>{name}</author></item>"))
    before = signal.getsignal(signal.SIGALRM)
    start = time.monotonic()
    with pytest.raises(FeedError, match=r"takes too long to parse; given up after 0\.5 s"):
        read_document(body, "text/xml", URL, "summary", 0.5)
    assert time.monotonic() - start < 2
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_worker_process_reads_documents_and_passes_failures_on(tmp_path):
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text(rss("<item><title>One</title></item>"))
    bad.write_text("<html>")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        document = pool.apply(read_document, (good, "text/xml", URL, "summary", 5.0))
        assert [e.title for e in document.entries] == ["One"]
        with pytest.raises(FeedError, match="an HTML page"):
            pool.apply(read_document, (bad, "text/html", URL, "summary", 5.0))
    assert pickle.loads(pickle.dumps(document)) == document


# --- autodiscovery


RSS_LINK = "<link rel=alternate type=application/rss+xml href={}>"
TWO_LINKS = RSS_LINK.format('"/f?a=1&amp;b=2" title=News') + RSS_LINK.format("/c title=Comments")


@pytest.mark.parametrize(
    ("page", "feed"),
    [
        (RSS_LINK.format("/f"), "https://feeds.example/f"),
        ("<LINK HREF='f' TYPE=application/atom+xml REL='x alternate'>", f"{URL[:-8]}f"),
        ('<link rel=alternate type="application/feed+json" href="f"/>', f"{URL[:-8]}f"),
        (TWO_LINKS, "https://feeds.example/f?a=1&b=2"),
        ("<link rel=stylesheet type=application/rss+xml href=/c>", ""),
        ("<link rel=alternate type=application/json href=/wp-json/>", ""),
        (RSS_LINK.format("'javascript:alert(1)'"), ""),
        ("<!-- " + RSS_LINK.format("/old") + " -->", ""),
        ("<![foo <link rel=alternate>", ""),
        ("", ""),
    ],
)
def test_the_feed_of_a_page_is_found(page, feed):
    assert find_feed(f"<html><head>{page}</head></html>".encode(), URL) == feed


def test_a_json_feed_that_breaks_off_gives_the_entries_before_the_break():
    whole = json.dumps({
        "version": "https://jsonfeed.org/version/1.1",
        "title": "Notes",
        "items": [{"id": str(n), "title": f"Entry {n}", "content_text": "x"} for n in range(5)],
    })  # fmt: skip
    cut = whole[: whole.index("Entry 3") + 3].encode()
    document = parse_document(cut, "application/feed+json", "https://a.example/", "full")
    assert document.title == "Notes"
    assert [entry.title for entry in document.entries] == ["Entry 0", "Entry 1", "Entry 2"]
    assert "not well-formed" in document.warning


@pytest.mark.parametrize("everywhere", [True, False])
def test_a_document_that_never_ends_does_not_hold_up_the_others(tmp_path, everywhere):
    """A regular expression at work lets no other thread run: the run's requests would time out."""
    body = tmp_path / "slow"
    body.write_text(rss(f"<item><title>x</title><author>{'a' * 150_000}</author></item>"))
    good = tmp_path / "good"
    good.write_text(rss("<item><title>One</title></item>"))
    with superfeed.parsing(everywhere=everywhere) as parse:
        start = time.monotonic()
        slow, more = (parse(path, "", "", "summary", 4.0) for path in (body, good))
        assert time.monotonic() - start < 2.0
        assert [entry.title for entry in more().entries] == ["One"]
        with pytest.raises(FeedError, match="takes too long to parse; given up after 4 s"):
            slow()


@pytest.mark.parametrize("bad", ['{"id":' + "1" * 5000 + "}", '{"a":' * 200_000])
def test_a_json_feed_with_an_item_python_refuses_keeps_the_others(bad):
    good = '{"id":"a","url":"https://site.example/a","title":"A"}'
    document = read(f'{{"version":"https://jsonfeed.org/version/1","items":[{good},{bad}]}}')
    assert [each.guid for each in document.entries] == ["a"]
    assert document.warning


def test_a_document_cut_off_makes_no_entry_of_what_an_entry_quotes():
    quoted = "<![CDATA[write <item> <title>evil</title> like so]]>"
    items = "".join(
        f"<item><guid>{guid}</guid><title>{guid}</title><description>{quoted}</description></item>"
        for guid in "ab"
    )
    document = read(rss(items + "<item><guid>c</guid><title>half").split("</channel>")[0])
    assert [each.guid for each in document.entries] == ["a", "b"]


def test_a_long_document_cut_off_is_read_in_a_moment():
    seq = "".join(f'<rdf:li rdf:resource="https://s.example/{n}"/>' for n in range(1000))
    items = "".join(f"<item><title>{n}</title></item>" for n in range(1000))
    head = (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
        ' xmlns="http://purl.org/rss/1.0/"><channel><title>T</title>'
        f"<items><rdf:Seq>{seq}</rdf:Seq></items></channel>"
    )
    start = time.process_time()
    assert len(read(head + items + "<item><title>half").entries) == 1000
    assert time.process_time() - start < 3


def test_a_title_of_an_unknown_type_is_kept():
    assert entry(atom('<entry><title type="text/markdown">Hi</title></entry>')).title == "Hi"


def test_a_page_below_a_servers_noise_is_a_page_and_no_feed_is_one():
    page = "<br />\n<b>Notice</b>: x\n<!DOCTYPE html><html><head></head></html>"
    with pytest.raises(FeedError, match="an HTML page"):
        read(page)
    assert read("<!-- <html> -->" + rss("<item><title>x</title></item>")).entries
    start = time.process_time()
    with pytest.raises(FeedError, match="is not a feed"):
        read("<div>x</div>" * 300_000)
    assert time.process_time() - start < 2
