"""Text, Blocks and Markdown: hostile text comes out as text, on two real Hugo sites."""

import html
import re
from urllib.parse import unquote

import pytest
from hugo_sites import KINDS, build, hugo_binary, make_site, read_page, words, write_post

from superfeed import ZWSP, excerpt, markdown, markdown_text, one_line, plain, safe_url

HOSTILE = [
    # hazards §1: shortcodes and what Hugo looks for in its own output
    "{{< nosuch >}}",
    "{{% nosuch %}}",
    "{{<",
    "{{< /x >}}",
    "{{</* b",
    "{{</* youtube x */>}}",
    "{{{< x >}}}",
    "\\{{< x >}}",
    "{\\{< x >}}",
    "{{ .Title }}",
    '{{< param "secret" >}}',
    '{{< a.inline >}}{{ readFile "hugo.toml" }}{{< /a.inline >}}',
    '{{< ref "nope" >}}',
    "__hdeferred/",
    "___hdeferred/ a__hdeferred/",
    "_\\_hdeferred/",
    "&#95;_hdeferred/",
    "_&lowbar;hdeferred/",
    "&amp;#95;_hdeferred/",
    "HAHAHUGOSHORTCODE0s0HBHB",
    "&#72;AHAHUGOSHORTCODE0s0HBHB",
    "HUGOMORE42 after",
    "{{__hugo_ctx pid=1}} x {{__hugo_ctx/}}",
    "__h_pp_l1_x__e=",
    # hazards §2: HTML, math, links, markdown
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!-- unclosed",
    "<!--more-->",
    "$x<script>y</script>$",
    "\\[<img onerror=1>\\] \\(a\\) $$b$$",
    "$$<b>$$",
    "\\[not a link\\](u)",
    "[a](javascript:x)",
    "<javascript:alert(1)>",
    '[a]: http://evil.test/ "t"',
    "[^1]: foot",
    "x[^1]",
    '# h {#about .c style="position:fixed"}',
    '{.c style="position:fixed"}',
    "- [ ] task",
    "1. one",
    "1) one",
    "> quote",
    "[!NOTE] alert",
    "***",
    "---",
    "+++",
    "===",
    "~~~go {style=nosuch}",
    '```go {style=nosuch hl_lines="x"}',
    "`code`",
    "| a | b |",
    "*a* **b** _c_",
    "![i](http://x.test/y.png)",
    "www.a.com http://b.com me@c.com",
    "C:\\_x \\",
    "##__hdeferred/ #HAHAHUGOSHORTCODE0s0HBHB",
    '"q" -- ... \'s',
    "AT&T a < b > c &lt; &amp;lt;",
    # hazards §3: characters, and what YAML might take for something else
    "0o17",
    "yes",
    "~",
    '{"a": 1}',
    "a: b # c",
    "日本 é 👩‍👩‍👧 𐍈",
]
# These a theme with markdownify is free to render: harmless, and the words are there.
RENDERED = [":smile: :x:", "++i++ ==m== ~s~ ^t^ ~~d~~"]
SHAPES = {
    "text": "{0}",
    "prose": "<p>{0}</p><ul><li>{0}</li></ul><blockquote>{0}</blockquote><h2>{0}</h2>",
    "code": "<p>a<code>{0}</code>b</p><pre>{0}</pre><ul><li><pre><code>{0}</code></pre></li></ul>",
    "marks": "<p>x<b>{0}</b>y<i>{0}</i><i>{0}</i><s>{0}</s><b>{0}<i>{0}</i></b></p>",
    "table": "<table><tr><td>{0}</td><td><code>{0}</code></td></tr>"
    "<tr><td>1</td><td>{0}</td></tr></table>",
    "links": '<p><a href="https://x.test/{0}">{0}</a></p>',
    "images": '<p>a<img src="https://x.test/{0}" alt="{0}">b</p>',
}
ADDRESSES = [
    "https://x.test/?a=1&b=2&amp=3&copy=4",
    "https://x.test/?a&copy;b&#95;c&amp;d",
    "https://x.test/Feed_(web)_(2)?a=(b)",
    "https://x.test/a_b_*c*_$d$_~e~'f'!,g;h#i_j",
    "https://x.test/ü/日本?é",
    "https://x.test/a#b#c",
]
TAGS = {
    *("p", "ul", "li", "blockquote", "h2", "pre", "code", "strong", "em", "del", "a", "img"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
CHROMA = {"div", "span"}  # guessSyntax colours code; its classes and styles are Hugo's own


@pytest.fixture(scope="module", params=KINDS)
def site(request, tmp_path_factory):
    """A built site with every hostile text in every shape."""
    folder = make_site(tmp_path_factory.mktemp("site"), request.param)
    for number, text in enumerate([*HOSTILE, *RENDERED]):
        line = one_line(text, 300)
        source = {"author": line, "tags": [line], "link": safe_url("https://x.test/" + text)}
        fields = {"title": line, "description": line, "source": source}
        for name, shape in SHAPES.items():
            body = markdown(shape.format(html.escape(text)), "https://base.test/")
            write_post(folder, f"{name}-{number}", fields, body)
        write_post(folder, f"line-{number}", fields, markdown_text(text))
    for number, url in enumerate(ADDRESSES):
        source = '<p><a href="{0}">a</a> <img src="{0}"></p>'.format(html.escape(url))
        write_post(folder, f"address-{number}", {"title": "a"}, markdown(source, ""))
    result = build(folder, hugo_binary())
    assert result.returncode == 0, result.stderr
    assert "WARN" not in result.stdout + result.stderr
    return folder, request.param != "plain"


@pytest.mark.parametrize("name", SHAPES)
def test_a_body_shows_the_text_its_author_wrote(site, name):
    for number, text in enumerate([*HOSTILE, *RENDERED]):
        shown = words(read_page(site[0], f"{name}-{number}").text["body"])
        wanted = words(re.sub("<[^>]+>", " ", SHAPES[name]).format(text))
        assert shown.replace(" ", "") == wanted.replace(" ", ""), (name, text)


def test_markdown_text_shows_the_text(site):
    for number, text in enumerate([*HOSTILE, *RENDERED]):
        assert words(read_page(site[0], f"line-{number}").text["body"]) == words(text)


def test_a_line_shows_the_text_in_every_field(site):
    folder, dangerous = site
    for number, text in enumerate(HOSTILE):
        page = read_page(folder, f"line-{number}")
        for name in ("title", "description", "author", "tags"):
            if dangerous:  # typographer and emphasis may touch punctuation, never words
                assert re.sub(r"[\W_]", "", page.text[name]) == re.sub(r"[\W_]", "", text), text
            else:
                assert words(page.text[name]) == words(text)


def test_nothing_of_the_text_becomes_a_tag_or_an_attribute(site):
    for number, text in enumerate(HOSTILE):
        for name in SHAPES:
            for tag, has in read_page(site[0], f"{name}-{number}").tags["body"]:
                assert tag in TAGS | CHROMA, (name, text, tag)
                extra = {*has} - {"href", "src", "alt", "id" if tag == "h2" else ""}
                assert not extra or tag in CHROMA or name == "code", (name, text, tag, has)
        for name in ("title", "description", "author", "tags"):
            tags = {tag for tag, _ in read_page(site[0], f"line-{number}").tags[name]}
            assert tags <= {"em", "strong", "code", "a", "del", "p"}, (text, tags)


def test_links_and_images_lead_where_they_led(site):
    folder, _ = site
    for number, url in enumerate(ADDRESSES):
        for tag, has in read_page(folder, f"address-{number}").tags["body"]:
            if tag in ("a", "img"):
                assert unquote(has.get("href") or has.get("src")) == unquote(url)


def test_links_and_images_lead_to_http(site):
    for path in (site[0] / "public" / "feeds").rglob("index.html"):
        for address in re.findall(r'(?:href|src)="([^"]*)"', path.read_text()):
            assert re.match("https?://|mailto:me@c.com$|/", address), (path, address)


def test_nothing_leaks(site):
    for path in (site[0] / "public").rglob("*.*ml"):
        assert "kept-by-the-owner" not in path.read_text()


@pytest.mark.parametrize(
    "text", [*HOSTILE, *RENDERED, "\u202eabc\u2066", "a\x00\x01b\x0b\ufffe\ud800c"]
)
def test_a_line_is_neutral_once_and_for_all(text):
    line = one_line(text, 300)
    assert one_line(line, 300) == line
    assert "\n" not in line
    for limit in range(1, len(line) + 1):
        cut = one_line(text, limit)
        assert len(cut) <= limit
        assert one_line(cut, limit) == cut


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\x00\x01b\x0b\ufffe\ud800c\U0001fffe", "ab c"),
        ("\u202ea\u2066\u200fb\ufeff", "ab"),
        (" a\r\n\tb\u2028c\u00a0d ", "a b c d"),
        ("e\u0301", "é"),
        ("plain words, 10:30 & more_words", "plain words, 10:30 & more_words"),
        ("", ""),
        ("127.0.0.1", "127.0.0.1"),
        ("3.14 is out", "3.14 is out"),
        ("1. is no list", f"{ZWSP}1. is no list"),
    ],
)
def test_a_line_has_no_control_characters_and_folded_white_space(text, line):
    assert one_line(text, 300) == line


def test_a_long_line_ends_at_a_word_with_an_ellipsis():
    assert one_line("word " * 100, 20) == "word word word word…"
    assert one_line("x" * 1_000_000, 300) == "x" * 299 + "…"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("a < b", "a < b"),
        ("AT&T", "AT&T"),
        ("AT&amp;T", "AT&T"),
        ("&lt;b&gt; is bold", "<b> is bold"),
        ("Vec<String> and Map<K, V>", "Vec<String> and Map<K, V>"),
        ("if x<y and y>z", "if x<y and y>z"),
        ("<?php echo", "<?php echo"),
        ("<Button> in React", "<Button> in React"),
        ("<p>one</p><p>two<br>three</p>", "one two three"),
        ("<ul><li>a<li>b</ul>c", "a b c"),
        ("in<b>to</b>", "into"),
        ("a<script>alert(1)</script><style>b{}</style>c", "ac"),
        ("a<!-- no -->b<![CDATA[ ]]>", "ab"),
        ("<amp-img src='x'></amp-img>a", "a"),
        ("a <a href='x", "a"),
        ("&nbsp;a&#1;&#x202e;b&hellip;", "ab…"),
        ("\ud800a<b>b</b>", "ab"),
        ("", ""),
    ],
)
def test_plain_gives_what_a_reader_would_see(source, text):
    assert plain(source).replace(ZWSP, "") == text


def test_an_excerpt_looks_further_when_the_start_has_few_words():
    assert excerpt("<p>" + "<img src=x>" * 2000 + "the words") == "the words"
    assert excerpt("<p>" + "word " * 9000) == "word " * 59 + "word…"
    assert excerpt("<script>" + "x" * 5000 + "</script>the words") == "the words"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://x.test/a?b=c&d=(e)#f", "https://x.test/a?b=c&d=%28e%29#f"),
        ("https://x.test/?a&copy;b&#95;c&d;e=&f", "https://x.test/?a&copy%3Bb&#95%3Bc&d%3Be=&f"),
        ("HTTP://x.test", "http://x.test"),
        (" https://x.test/a b\n", "https://x.test/a%20b"),
        ("https://x.test/%41%zz", "https://x.test/%41%25zz"),
        ("https://x.test/ü?é[]", "https://x.test/%C3%BC?%C3%A9%5B%5D"),
        ('https://x.test/"<>`{|}^\\', "https://x.test/%22%3C%3E%60%7B%7C%7D%5E%5C"),
        ("https://x.test/__hdeferred/", "https://x.test/%5F_hdeferred/"),
        ("https://x.test/HAHAHUGOSHORTCODE", "https://x.test/%48AHAHUGOSHORTCODE"),
        ("https://bücher.test:8080/", "https://xn--bcher-kva.test:8080/"),
        ("https://straße.test", "https://xn--strae-oqa.test"),
        ("https://日本。jp/", "https://xn--wgv71a.jp/"),
        ("https://[::1]:80/a", "https://[::1]:80/a"),
        ("//x.test/a", "https://x.test/a"),
        ("/a", "https://base.test/a"),
        ("a?b", "https://base.test/dir/a?b"),
        ("#f", "https://base.test/dir/page#f"),
        *((bad, "") for bad in ("", "http://", "https:///a", "https://..", "https://-/")),
        *(
            (bad, "")
            for bad in ("javascript:alert(1)", "java\tscript:alert(1)", "\x01javascript:x")
        ),
        *(
            (bad, "")
            for bad in ("data:text/html,x", "vbscript:x", "mailto:a@b.test", "ftp://x.test")
        ),
        *(
            (bad, "")
            for bad in ("https://u:p@x.test/", "https://x.test\\@evil.test", "https://@x.test")
        ),
        *((bad, "") for bad in ("https://[zz]/", "https://x.test:port/", "https://x%2Etest/")),
        *(
            (bad, "")
            for bad in ("https://__hdeferred/", "https://a℀b.test/", "https://x.test/" + "é" * 900)
        ),
    ],
)
def test_an_address_is_http_and_cannot_break_anything(url, address):
    assert safe_url(url, "https://base.test/dir/page") == address
    assert safe_url(address) == address


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("<h1>a</h1><h6>b</h6>", "## a\n\n###### b"),
        ("<h3>a</h3><h4>b</h4>", "## a\n\n### b"),
        ("<p>a</p><p>&nbsp;</p><p>b<br>c<br><br>d</p>", "a\n\nb  \nc\n\nd"),
        ("<ul><li>a<ul><li>b</ul><li><p>c<p>d</ul>", "- a\n  - b\n- c\n\n  d"),
        ("<ol start=9><li>a<li>b</ol>", "9. a\n10. b"),
        ("<blockquote><p>a<p>b<ul><li>c</ul></blockquote>", "> a\n>\n> b\n>\n> - c"),
        ("<pre>a\n\n  b</pre>", "```\na\n\n  b\n```"),
        ("<pre><code>```` x</code></pre>", "`````\n```` x\n`````"),
        ("<code>a<br>b</code>", "`a`  \n`b`"),
        ("<p>a <code>b</code> <kbd>c`</kbd></p>", "a `b` `` c` ``"),
        ("<b> a </b>b<i>c</i><b>d</b><b>e</b>", f"**a** b*c*{ZWSP}**de**"),
        ("<strong>a</strong> <em>b</em> <del>c</del>", "**a** *b* ~~c~~"),
        ("<b>a<b>b</b></b><s>c</s>", "**ab**~~c~~"),
        ("a<hr>b", "a\n\n___\n\nb"),
        ("<a href=/x>a</a>", "[a](https://base.test/x)"),
        (
            "<a href=/x><h2>a</h2><p>b</p></a>",
            "## [a](https://base.test/x)\n\n[b](https://base.test/x)",
        ),
        ("<a href=javascript:x>a</a><a>b</a>", "ab"),
        ("<img src=a.png alt='a b'>", "![a b](https://base.test/dir/a.png)"),
        ("<img src=data:x data-src=/a.png>", "![](https://base.test/a.png)"),
        ("<img src=data:x alt=a>", "a"),
        ("<img src=/emoji/1.png alt=🙂>", "🙂"),
        *(
            (f"a<img {pixel}>", "a")
            for pixel in (
                "src=/x.gif width=1 height=1",
                "src=/x.gif width=0",
                "src=/x.gif style='border:0; height: 1px'",
                "src=/x.gif style='display:none'",
                "src=https://feeds.feedburner.com/~r/x",
                "src=https://pixel.wp.com/b.gif?x",
                "src=https://x.test/tracking/1x1.gif",
            )
        ),
        ("<img src=/pixel-art.png style='max-width:100%'>", "![](https://base.test/pixel-art.png)"),
        (
            "<table><tr><th>a<th>b<tr><td>c<td>d|<br>e<tr><td>f</table>",
            "| a | b |\n| --- | --- |\n| c | d&#124; e |\n| f |",
        ),
        ("<table><tr><td>a</td><td><p>b<p>c</td></tr></table>", "a\n\nb\n\nc"),
        ("<table><tr><td><pre>a</pre><td>b<tr><td>c<td>d</table>", "```\na\n```\n\nb\n\nc\n\nd"),
        (
            "<figure><img src=/a><figcaption>b</figcaption></figure>",
            "![](https://base.test/a)\n\nb",
        ),
        ("<iframe src=//v.test title=A></iframe>b", "[A](https://v.test)\n\nb"),
        (
            "<video><source src=/v><p>old <b>browser</b></p></video>a",
            "[https&#58;//base&#46;test/v](https://base.test/v)\n\na",
        ),
        ("<iframe src=about:blank></iframe>", ""),
        ("<details><summary>a</summary>b</details>", "a\n\nb"),
        ("<dl><dt>a<dd>b</dl>", "a\n\nb"),
        ("10<sup>-6</sup> H<sub>2</sub>O 1<sup>st</sup>", "10⁻⁶ H₂O 1st"),
        ("<p>It's</p><svg><text>x</text></svg><script>y</script>", "It&#39;s"),
        ("", ""),
    ],
)
def test_html_becomes_markdown(source, result):
    assert markdown(source, "https://base.test/dir/page") == result


@pytest.mark.parametrize(
    "source",
    [
        "<p>word " * 700_000,
        "word " * 1_000_000,
        "日本" * 1_000_000,
        "<ul><li>x" * 1_500,
        "<blockquote>x" * 100_000,
        "<h1><div>" * 5_000,
        "<b><i>" * 5_000 + "x",
        "".join(f"<p><b id={number}>x" for number in range(5_000)),
        "<table><tr>" + "<td>x" * 5_000 + "<tr><td>x" * 5_000,
        "<pre>" + "`x\n" * 500_000,
        "<code>" + "<script> " * 100_000,
        '<a href="/' + "x" * 1_000_000 + '">x',
        "__hdeferred/" * 100_000,
    ],
    ids=lambda source: source[:15],
)
def test_huge_and_deep_bodies_are_cut_cleanly(source):
    text = markdown(source, "https://base.test/")
    assert len(text.encode()) < 260_000
    assert max((len(line) - len(line.lstrip("> -")) for line in text.splitlines()), default=0) <= 90
    if len(source) > 500_000:
        assert "…" in text[-20:]


def test_a_code_span_that_is_cut_is_closed():
    text = markdown("<p>" + "x" * 100_000 + "<code>" + "&lt;script&gt;" * 15_000, "")
    assert re.fullmatch(r"x+`[^`]*…`", text)


def test_an_excerpt_goes_on_after_an_ellipsis_of_the_authors():
    words = excerpt(f"Read more … <!-- {'x' * 4000} --> and then some")
    assert words == "Read more … and then some"


def test_what_a_player_says_to_old_browsers_is_not_shown():
    assert markdown('<video src="blob:x">Your browser is old</video>', "") == ""
    html = '<video>Your browser is old<source src="https://v.example/1.mp4"></video>'
    assert markdown(html, "").endswith("(https://v.example/1.mp4)")
    assert "browser" not in markdown(html, "")
