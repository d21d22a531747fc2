"""feeds.txt and OPML: what each line means, and what is said of a line without sense."""

import logging

import pytest

import superfeed
from superfeed import ConfigError, Feed, feed_id, read_feeds

A, B = "https://a.example/feed", "https://b.example/feed"

LINES = {  # text -> the feeds it holds: (url, name, group, line, private, auth)
    A: [(A, "", "", 1, False, "")],
    f"  {A}  ": [(A, "", "", 1, False, "")],
    f"# all\n\n{A} # it\n\t# end\n": [(A, "", "", 3, False, "")],
    f"\ufeff{A}\r\n{B}\r\n": [(A, "", "", 1, False, ""), (B, "", "", 2, False, "")],
    f"{A}#part": [(f"{A}#part", "", "", 1, False, "")],
    f"{A}?q=#1 # one": [(f"{A}?q=#1", "", "", 1, False, "")],
    f"AWS News  {A}": [(A, "AWS News", "", 1, False, "")],
    f"AWS News\t{A}": [(A, "AWS News", "", 1, False, "")],
    f"AWS News \t  {A}   # x": [(A, "AWS News", "", 1, False, "")],
    f"AWS News\t\t{A}": [(A, "AWS News", "", 1, False, "")],
    f"AWS News \t \t! {A}": [(A, "AWS News", "", 1, True, "")],
    f"C# weekly  {A}": [(A, "C# weekly", "", 1, False, "")],
    f"日本語\t{A}": [(A, "日本語", "", 1, False, "")],
    f"[cloud]\n{A}": [(A, "", "cloud", 2, False, "")],
    f"[ Cloud & More! ]  # ours\n{A}": [(A, "", "cloud-more", 2, False, "")],
    f"{A}\n[x]\n{B}": [(A, "", "", 1, False, ""), (B, "", "x", 3, False, "")],
    f"[Top 10]\n{A}": [(A, "", "top-10", 2, False, "")],
    f"[Économie]\n{A}": [(A, "", "economie", 2, False, "")],
    f"!{A}?key=abc": [(f"{A}?key=abc", "", "", 1, True, "")],
    f"! {A}": [(A, "", "", 1, True, "")],
    f"Secret\t!{A}": [(A, "Secret", "", 1, True, "")],
    f"!Secret\t{A}": [(A, "Secret", "", 1, True, "")],
    "https://me:pa%20ss@a.example/f": [("https://a.example/f", "", "", 1, False, "me:pa ss")],
    "https://token@a.example/f": [("https://a.example/f", "", "", 1, False, "token")],
    "http://[::1]:8000/f": [("http://[::1]:8000/f", "", "", 1, False, "")],
    "HTTPS://A.example/f": [("https://A.example/f", "", "", 1, False, "")],
    "https://例え.example/フィード": [("https://例え.example/フィード", "", "", 1, False, "")],
    "local.xml": [("local.xml", "", "", 1, False, "")],
    "sub dir/two.xml": [("sub dir/two.xml", "", "", 1, False, "")],
    "Own\t./local.xml": [("./local.xml", "Own", "", 1, False, "")],
}


@pytest.fixture
def listed(tmp_path):
    (tmp_path / "sub dir").mkdir()
    for name in ("local.xml", "sub dir/two.xml"):
        (tmp_path / name).write_text("<rss/>")

    def read(text, name="feeds.txt"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_feeds(path)

    return read


def facts(feed: Feed):
    return (feed.url, feed.name, feed.group, feed.line, feed.private, feed.auth)


@pytest.mark.parametrize("text", LINES)
def test_a_line_means_what_the_page_says(listed, text):
    assert [facts(feed) for feed in listed(text)] == LINES[text]


NONSENSE = {  # text -> line of the fault, words of the message
    f"AWS {A}": (1, "a tab or two spaces"),
    f"{A} AWS": (1, "a tab or two spaces"),
    f"{A}  AWS": (1, "the name stands before the address"),
    f"x  y  {A}": (1, "more than a name and an address"),
    f"{A}\n{B}  {A}": (2, "one feed a line"),
    "a.example/feed": (1, "no such file: a.example/feed", "https://"),
    f"{A}\nhello": (2, "no such file: hello"),
    "sub dir": (1, "no such file: sub dir"),
    "gone.xml": (1, "no such file: gone.xml"),
    "ftp://a.example/f": (1, "ftp:", "https://"),
    "feed://a.example/f": (1, "feed:"),
    "file:///etc/passwd": (1, "not an address"),
    "https://": (1, "not an address"),
    "https:///feed": (1, "not an address"),
    "https://a.example:x/": (1, "not an address"),
    "https://a.example:99999/": (1, "not an address"),
    "https://[::1/feed": (1, "not an address"),
    "https://a.example/<b>": (1, "not an address"),
    f"[2024]\n{A}": (1, "'2024'", "letters a-z"),
    f"[]\n{A}": (1, "letters a-z"),
    f"[日本]\n{A}": (1, "letters a-z"),
    f"{A}\n[cloud\n{B}": (2, "[name]"),
    "!": (1, "no such file"),
}


@pytest.mark.parametrize("text", NONSENSE)
def test_a_line_without_sense_is_an_error_with_its_place_and_cure(listed, text):
    line, *words = NONSENSE[text]
    with pytest.raises(ConfigError) as caught:
        listed(text)
    assert f"feeds.txt:{line}:" in str(caught.value)
    told = f"{caught.value} ({caught.value.hint})"
    assert all(word in told for word in words), told
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_a_secret_in_a_wrong_line_is_not_repeated(listed):
    lines = ["https://me:hunter2@a.example:x/?key=hunter2", "A https://a.example/hunter2"]
    lines += ["!a.example/?key=hunter2", "Own\t!a.example/?key=hunter2", "!ftp://a.example/hunter2"]
    for line in lines:
        with pytest.raises(ConfigError) as caught:
            listed(line)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "[cloud]\n"])
def test_a_list_without_a_feed_is_refused(listed, text):
    with pytest.raises(ConfigError, match="no feed in it"):
        listed(text)


def test_a_list_that_is_no_text_is_refused(listed, tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read.*utf-8"):
        listed(b"https://a.example/\xff\n")
    with pytest.raises(ConfigError, match="no feed list at"):
        read_feeds(tmp_path / "none.txt")
    with pytest.raises(ConfigError, match="cannot read"):
        read_feeds(tmp_path / "sub dir")


def test_a_feed_listed_twice_belongs_to_its_first_group(listed, caplog, monkeypatch):
    monkeypatch.setattr(superfeed.log, "propagate", True)
    with caplog.at_level(logging.WARNING):
        feeds = listed(f"[one]\n{A}\n[two]\n{B}\n{A}\n")
    assert [(feed.url, feed.group) for feed in feeds] == [(A, "one"), (B, "two")]
    assert ":5: listed in line 2 already" in caplog.text


@pytest.mark.parametrize(
    "same", ["http://a.example/feed", "https://www.a.example/feed/", "https://A.example:443/feed#x"]
)
def test_addresses_of_one_feed_are_known_to_be_one(listed, same):
    assert [feed.url for feed in listed(f"{A}\n{same}\n")] == [A]


@pytest.mark.parametrize(
    "other", [f"{A}?page=2", "https://a.example/FEED", "http://a.example:81/feed"]
)
def test_addresses_of_two_feeds_stay_two(listed, other):
    assert len(listed(f"{A}\n{other}\n")) == 2


def opml(body, head='<?xml version="1.0" encoding="utf-8"?>\n<opml version="2.0">'):
    return f"{head}<head><title>t</title></head><body>\n{body}\n</body></opml>"


FOLDERS = f"""\
<outline type="rss" text="Alpha" title="Alpha" xmlUrl="{A}" htmlUrl="https://a.example/"/>
<outline text="Cloud &amp; more">
<outline type="rss" text="Beta &amp; co" xmlUrl="{B}?a=1&amp;b=2"/>
<outline text="Inner"><outline type="rss" text="" xmlUrl="https://me:pw@c.example/"/></outline>
</outline>"""


@pytest.mark.parametrize("name", ["list.opml", "list.xml", "LIST.OPML", "feeds.txt"])
def test_folders_of_an_opml_list_are_groups(listed, name):
    found = [(*facts(feed), feed.group_name) for feed in listed(opml(FOLDERS), name)]
    assert found == [
        (A, "Alpha", "", 3, False, "", ""),
        (f"{B}?a=1&b=2", "Beta & co", "cloud-more", 5, False, "", "Cloud & more"),
        ("https://c.example/", "", "cloud-more-inner", 6, False, "me:pw", "Cloud & more / Inner"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (opml(""), "no feed in it"),
        (opml('<outline text="x"><outline text="y"/></outline>'), "no feed in it"),
        ("<?xml version='1.0'?><rss><channel/></rss>", "list.opml"),
        ("<opml><body><outline", "list.opml"),
        ("", "no feed in it"),
        (opml(FOLDERS.replace("Inner", "x").replace("Cloud &amp; more", "2024")), "'2024"),
        (opml('<outline type="rss" text="x" xmlUrl="ftp://a.example/"/>'), "list.opml:3: ftp:"),
    ],
)  # fmt: skip
def test_an_opml_list_without_sense_is_refused(listed, text, words):
    with pytest.raises(ConfigError) as caught:
        listed(text, "list.opml")
    assert words in str(caught.value)


def test_an_opml_list_that_breaks_off_is_refused(listed):
    """Else the posts of every feed after the break would go: the list is the truth."""
    with pytest.raises(ConfigError, match=r"list\.opml: broken OPML"):
        listed(opml(FOLDERS).partition("</outline>")[0], "list.opml")


@pytest.mark.parametrize("name", ["list.opml", "list.xml", "feeds.txt"])
@pytest.mark.parametrize("start", ["<!DOCTYPE opml>", "<!-- mine -->", "\n\n ", "\ufeff"])
def test_an_opml_list_is_known_by_how_it_starts(listed, name, start):
    assert len(listed(opml(FOLDERS, start + '<opml version="1.1">'), name)) == 3


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "utf-16"])
def test_an_opml_list_may_have_another_encoding(listed, encoding):
    text = opml(FOLDERS.replace("Alpha", "Zoé").replace("Cloud", "Wölkchen"))
    found = listed(text.replace("utf-8", encoding).encode(encoding), "list.opml")
    assert [feed.name for feed in found] == ["Zoé", "Beta & co", ""]
    assert found[1].group_name == "Wölkchen & more"


def test_a_list_called_opml_that_is_none_is_not_taken_for_an_address(listed, web):
    url = web.feed("/list", opml(FOLDERS)).url
    with pytest.raises(ConfigError, match="no OPML"):
        listed(f"{url}\n", "list.opml")
    assert not web.requests


def test_what_else_an_opml_list_says_does_not_matter(listed):
    head = '<opml version="2.0"><!-- ISO, not RFC 822 -->'
    dated = opml(FOLDERS, head).replace("<title>", "<dateCreated>2026-11-22</dateCreated><title>")
    assert len(listed(dated, "list.opml")) == 3
    told = FOLDERS.replace("xmlUrl", "category='/a/b,c' xmlUrl").replace('text="Inner"', "")
    found = listed(opml(told.replace("&amp;", "&")), "list.opml")
    assert [feed.group for feed in found] == ["", "cloud-more", "cloud-more"]


def test_lines_of_an_opml_list_are_those_of_its_addresses(listed):
    lines = [f'<outline text="x" xmlUrl="{A}/{n}"/>' for n in (12, 1)]
    lines.append(f"<outline text='x' xmlUrl='{A}?a=1&#38;b=2'/>")
    assert [feed.line for feed in listed(opml("\n".join(lines)), "list.opml")] == [3, 4, 5]


def test_a_feeds_id_is_of_its_canonical_address():
    assert feed_id(Feed(A)) == feed_id(Feed("http://www.a.example/feed/"))
    assert len(feed_id(Feed(A))) == 12
