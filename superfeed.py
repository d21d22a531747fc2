#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "feedparser>=6.0.11",
#   "dateparser>=1.2",
#   "GitPython>=3.1.44",
#   "boto3>=1.36",
#   "python-frontmatter>=1.1",
#   "urllib3>=2.2",
#   "ConfigArgParse>=1.7",
#   "listparser>=0.20",
#   "nh3>=0.2.18",
#   "filelock>=3.13",
#   "rich>=13",
#   "hugo>=0.140; (sys_platform == 'darwin' or sys_platform == 'linux') and (platform_machine == 'x86_64' or platform_machine == 'arm64' or platform_machine == 'aarch64')",
# ]
# ///
"""Combine many feeds into super feeds on your Hugo site.

    feeds.txt -> fetch -> entries -> posts -> git -> hugo -> S3 or a folder -> purge

How to read this file: it is laid out bottom-up, nothing is used before it is defined. For the
story start at the end: `main()` runs `STAGES`, each a short function that looks at the world, not
at what the stage before it said; so any stage can be skipped, and the next run finishes one that
was killed.

    Errors        what can be explained to whoever reads the cron mail
    Values        frozen dataclasses, the vocabulary of all that follows
    Feed list     feeds.txt or OPML -> Feed
    Text          hostile feed text -> words, addresses and markdown that cannot hurt a Hugo site
    Dates         raw date strings -> aware UTC datetimes, or none
    Parsing       bytes of a feed -> Document of Entry
    Identity      which entry is which post
    Posts         Entry -> file; file -> Post
    Fetching      what to ask, and what an answer means
    Sync plan     two listings -> what to upload, delete and purge
    Edges         HTTP, git, hugo, S3, folder, purge, state: all that touches the world
    Stages        pull collect commit push build deploy purge
    Command line  flags, logging, wiring, main
"""

from __future__ import annotations

import argparse
import html as entities
import logging
import re
import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

__version__ = "1.0.0"

PROJECT = "https://superfeed.example/"
log = logging.getLogger("superfeed")

###############################################################################
# Errors
###############################################################################


class SuperfeedError(Exception):
    """A stage failed: what, where, and in `hint` the cure. Ends the run with exit code 1."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(SuperfeedError):
    """The options, the feed list or a missing tool: found before any effect. Exit code 2."""

    exit_code = 2


class FeedError(Exception):
    """One feed cannot be read. Caught at the feed's boundary, where it becomes a value."""


###############################################################################
# Values
###############################################################################


@dataclass(frozen=True)
class Feed:
    """One line of the feed list."""

    url: str  # as listed, without userinfo; for a local file its path as listed
    name: str = ""  # from the list; empty: the document's own title is used
    group: str = ""  # a slug; empty: none
    line: int = 0
    private: bool = False  # its address is never published or logged, only its host
    auth: str = field(default="", repr=False)  # "user:password", sent and never written


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a feed. Every text in it is neutral already: see the section Text."""

    guid: str  # as the feed has it, one line; empty: none
    link: str  # absolute http(s) address of the original; empty: none
    title: str  # one line, at most 300 characters
    published: datetime | None  # aware, UTC; None: the feed gave no usable date
    updated: datetime | None  # aware, UTC; None: the feed gave no usable date
    author: str = ""
    tags: tuple[str, ...] = ()
    excerpt: str = ""  # plain, one line, at most 300 characters
    body: str = ""  # markdown: the excerpt as a paragraph, or the full text
    image: str = ""  # absolute http(s) address
    enclosure: str = ""  # absolute http(s) address


@dataclass(frozen=True, slots=True)
class Document:
    """What one feed document says."""

    title: str  # one line, neutral
    site: str  # absolute http(s) address of the site the feed belongs to; empty: none
    entries: tuple[Entry, ...]  # in document order
    warning: str = ""  # the document was broken, and how; its entries up to there are here


@dataclass(frozen=True, slots=True)
class Post:
    """What must be known of a post of superfeed's on disk to tell entries from posts."""

    path: str  # below the section, posix: "cloud/2026/11/slug-0123456789ab.md"
    feed: str  # 12 hex, the id of its feed
    keys: tuple[str, ...]  # every key its entry ever had
    guid: str
    title: str
    date: datetime  # aware, UTC
    updated: datetime | None  # its lastmod
    undated: bool  # the date was made up by superfeed


###############################################################################
# Feed list
###############################################################################

###############################################################################
# Text
###############################################################################

_MAX_HTML = 500_000  # characters that are read of one text
_MAX_TAGS = 10_000  # html5ever, inside nh3, takes time quadratic in the depth of nesting
_MAX_URL = 4_000
ZWSP = "\u200b"  # breaks what would be live, and takes no room

# Not for pages, some not legal in XML: C0 and C1 but white space, bidi controls, BOM,
# noncharacters, surrogates.
_UNSAFE = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff"
    "\ufdd0-\ufdef\ud800-\udfff"
    + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17))
    + "]"
)
# Hugo looks for these in what it has written, so no escape helps: they must not be in one piece.
_IN_BAND = r"{0}(?={0}h(?:deferred|ugo{0}ctx|{0}pp{0}l1))|H(?=AHAHUGOSHORTCODE|UGOMORE42)"
_IN_BAND_TEXT = re.compile(_IN_BAND.format("_"))
# What comes alive when a theme runs a line through markdownify: at its start a block; shortcodes,
# tags, links and definitions; entities and escapes, which could spell what Hugo looks for.
_LIVE = re.compile(
    r"^(?=[#>~`|:=*_+{-]|\d{1,9}[.)])|"
    + _IN_BAND.format("_")
    + r"|\{\{(?=[<%])|<(?=[A-Za-z/!?])|\](?=[(:])|&(?=#?\w{1,31};)|\\(?=[!-/:-@\[-`{-~])"
)


def _strip(text: str) -> str:
    """Drop unsafe characters; quick for text without any."""
    return text if text.replace("\n", "").isprintable() else _UNSAFE.sub("", text)


def one_line(text: str, limit: int) -> str:
    """Make plain text one neutral line of at most `limit` characters. Idempotent.

    For front matter: closes hazards §3 (control characters, surrogates, 1 MB titles, themes that
    run `.Title | markdownify`) and §1's tokens. The words stay; what could come alive is broken by
    U+200B, since entities would be read as they stand.
    """
    text = " ".join(_strip(text[:_MAX_HTML]).split())[: 8 * limit]
    text = unicodedata.normalize("NFC", text)[: limit + 1]
    text = _LIVE.sub(rf"\g<0>{ZWSP}", text)
    if len(text) <= limit:
        return text
    cut = text.rfind(" ", limit * 4 // 5, limit)
    return text[: cut if cut > 0 else limit - 1] + "…"


_BLOCK_NAMES = (
    "address article aside blockquote br caption center dd details dialog dir div dl dt fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr legend li main menu nav ol "
    "option p pre section summary table tbody td tfoot th thead tr ul"
)
_DROPPED_NAMES = "head iframe noembed noframes noscript script style svg template textarea title"
_NAMES = (
    f"{_BLOCK_NAMES} {_DROPPED_NAMES} a abbr acronym applet area audio b base basefont bdi bdo big "
    "blink body button canvas cite code col colgroup data datalist del dfn em embed font frame "
    "frameset html i img input ins kbd label link map mark marquee math meta meter nobr object "
    "optgroup output param picture plaintext progress q rp rt ruby s samp search select slot small "
    "source span strike strong sub sup time track tt u var video wbr xmp"
)
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_DROPPED = frozenset(_DROPPED_NAMES.split())
_BLOCK_TAG = re.compile(rf"<(?=/?(?:{_BLOCK_NAMES.replace(' ', '|')})\b)", re.IGNORECASE)
# `Vec<String>`, `Map<K, V>`, `x<y and y>z`, `<?php`: meant as text; HTML would swallow the words.
_NO_TAG = re.compile(
    rf"<(?=\?|/?(?!(?:{f'{_NAMES} {_NAMES.upper()}'.replace(' ', '|')})\b)"
    r"[A-Za-z]\w*(?:[>,<\[*&]|\s(?!\s*[\w:-]+=)))"
)
# html5ever repeats these in every paragraph after, if they differ and are not closed: 14 kB become
# 130 MB. Without attributes they do not differ.
_REPEATED = re.compile(
    r"<(b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u|body|html)[\s/][^>]*>?", re.IGNORECASE
)
_INLINE_DATA = re.compile(r"""(["'])data:[^"'<>]{1000,}\1""")  # pictures: no address, all weight


def _bounded(html: str) -> str:
    """Cut HTML to what is parsed in about a second, whatever it is."""
    html = _INLINE_DATA.sub('""', html) if len(html) > _MAX_HTML else html
    return "<".join(html[:_MAX_HTML].split("<", _MAX_TAGS)[:_MAX_TAGS])


def _clean(html: str, allowed: Mapping[str, set[str]], dropped: frozenset[str]) -> str:
    """Let through well-formed HTML of the allowed tags and attributes."""
    import nh3

    return nh3.clean(
        # surrogates, which Rust has none of, are ignored
        _REPEATED.sub(r"<\1>", _NO_TAG.sub("&lt;", html)).encode(errors="ignore").decode(),
        tags=set(allowed),
        attributes=dict(allowed),
        clean_content_tags=set(dropped),
        url_schemes={"http", "https"},
        link_rel=None,
    )


def _words(html: str) -> str:
    """Give what a reader of this HTML would see, not neutral yet."""
    if "<" in html:
        html = _clean(_BLOCK_TAG.sub(" <", _bounded(html)), {}, _DROPPED)
    return entities.unescape(html)


def plain(html: str) -> str:
    """Give the words a reader of this HTML would see, as one neutral line.

    Plain text, with or without entities, is HTML as well: `a < b` and `AT&T` stay what they are.
    Closes hazards §2 (raw HTML, script and style) for all that is not a body.
    """
    return one_line(_words(html), _MAX_HTML)


def excerpt(html: str, limit: int = 300) -> str:
    """Give the first `limit` characters of the words in this HTML, one neutral line.

    The start of a long text nearly always has enough of them. Closes hazards §3 (`summary`).
    """
    start = one_line(_words(html[: 10 * limit]), limit + 100)
    return one_line(start if len(start) > limit or len(html) <= 10 * limit else _words(html), limit)


def safe_url(url: str, base: str = "") -> str:
    """Give the absolute http or https address, percent-encoded; empty: it is none. Idempotent.

    Closes hazards §2 (js, data and relative links) and §1 in addresses: what is left cannot end a
    YAML string, a markdown destination or an attribute, spells no token of Hugo's, and is one that
    Go's url.Parse takes. Legal bytes stay as they are; an IDN host becomes punycode.
    """
    url = re.sub(r"[\t\r\n]", "", _strip(url)).strip()
    try:
        url = url if re.match("https?://", url, re.IGNORECASE) or not url else urljoin(base, url)
        netloc = urlsplit(url).netloc
    except ValueError:  # brackets that are no IPv6 address
        return ""
    match = re.fullmatch(r"(https?)://([^/?#\\]+)((?:[/?#].*)?)", url, re.IGNORECASE | re.DOTALL)
    host = _ascii_host(netloc) if match and match[2] == netloc else ""
    if not match or not host:
        return ""
    rest = quote(re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", match[3]), safe="%/?#:@!$&'()*+,;=-._~")
    head, hash_, fragment = rest.partition("#")  # Go decodes a fragment that is not legal all over
    rest = head + hash_ + fragment.replace("#", "%23")
    rest = _IN_BAND_TEXT.sub(lambda first: f"%{ord(first[0]):02X}", rest)
    url = f"{match[1].lower()}://{host}{rest}"
    return url if len(url) <= _MAX_URL else ""


def _ascii_host(netloc: str) -> str:
    """Give host and port in ASCII, nearly as browsers do (UTS 46); empty: it is no host."""
    host = ".".join(
        label if label.isascii() else "xn--" + label.lower().encode("punycode").decode()
        for label in unicodedata.normalize("NFKC", netloc).replace("\u3002", ".").split(".")
    )
    legal = re.fullmatch(r"([A-Za-z0-9_.-]*[A-Za-z0-9]\.?|\[[0-9A-Fa-f:.]+\])(:\d{0,5})?", host)
    return host if legal and not _IN_BAND_TEXT.search(host) else ""


# White space that HTML folds; a no-break space is none.
_SPACE = re.compile("[ \t-\r\x1c-\x1e\x85\u2028\u2029]+")
_PUNCTUATION = re.compile(r"""[!"#$&'()*+\-.:<=>@[\\\]^_`{|}~]""")
# As in a line, but text is entities here and only code has `{{<` and `<!--more-->`, which Hugo
# finds there too; `[!` makes a quote an alert.
_LIVE_MARKDOWN = re.compile(
    _IN_BAND.format("(?:_|&#95;)") + r"|\{\{(?=[<%])|<(?=!--)|&#91;(?=&#33;)"
)


def _escape(text: str) -> str:
    """Write every ASCII punctuation that could have a meaning as a numeric entity."""
    return _PUNCTUATION.sub(lambda char: f"&#{ord(char[0])};", text)


def markdown_text(text: str) -> str:
    """Write plain text as a line of markdown prose that shows just that text.

    Closes hazards §1 (shortcodes, tokens) and §2 (markdown, math, typographer, emoji, attributes,
    linkify) for text: backslashes would open math, entities mean nothing to anyone.
    """
    text = _escape(_SPACE.sub(" ", _strip(text)).strip())
    return _LIVE_MARKDOWN.sub(rf"\g<0>{ZWSP}", text)


def _destination(url: str) -> str:
    """Write an address as the target of a markdown link.

    Percent-encoded, no entities: goldmark would resolve them, a theme's render hook would not. For
    the same reason what reads as one (`&copy;`) loses its semicolon.
    """
    url = url.replace("(", "%28").replace(")", "%29")
    return re.sub(r"&(#?\w+);", r"&\1%3B", url)


###############################################################################
# Blocks
###############################################################################

_HEADINGS = {f"h{level}": "#" * min(level + 1, 6) for level in range(1, 7)}


@dataclass(slots=True)
class _Box:
    """A block element that shapes what it holds; a string among its kids is a finished block."""

    tag: str
    start: str = ""  # an ordered list's first number
    kids: list[_Box | str] = field(default_factory=list)


def _blocks(kid: _Box | str) -> list[str]:
    """Give the markdown blocks of an element."""
    if isinstance(kid, str):
        return [kid]
    if kid.tag in ("ul", "ol"):
        return _list(kid)
    if kid.tag == "table":
        return _table(kid)
    inner = [block for grandchild in kid.kids for block in _blocks(grandchild)]
    if kid.tag in _HEADINGS and inner and _is_line(kid):
        return [f"{_HEADINGS[kid.tag]} {_line(kid)}"]
    return [_indent("\n\n".join(inner), "> ", "> ")] if kid.tag == "blockquote" and inner else inner


def _boxes(box: _Box) -> list[_Box]:
    return [kid for kid in box.kids if isinstance(kid, _Box)]


def _is_line(box: _Box) -> bool:
    """Whether it has nothing but paragraphs, which a heading or a cell can hold."""
    return all(isinstance(kid, str) and "\n" not in kid.replace("  \n", "") for kid in box.kids)


def _line(box: _Box) -> str:
    return " ".join(block for kid in box.kids for block in _blocks(kid)).replace("  \n", " ")


def _indent(block: str, first: str, others: str) -> str:
    head, *tail = block.split("\n")
    return "\n".join([first + head, *(others + line if line else others.rstrip() for line in tail)])


def _list(box: _Box) -> list[str]:
    first = int(box.start) if re.fullmatch("[0-9]{1,5}", box.start) else 1
    items: list[str] = []
    for blocks in filter(None, map(_blocks, box.kids)):
        marker = "- " if box.tag == "ul" else f"{first + len(items)}. "
        item = blocks[0]
        for block in blocks[1:]:  # an empty line before a list in it would spread the items out
            item += ("\n" if block.startswith(("- ", "1. ")) else "\n\n") + block
        items.append(_indent(item, marker, " " * len(marker)))
    return ["\n".join(items)] if items else []


def _table(box: _Box) -> list[str]:
    """Give a table; or, when it only lays out a page, its blocks one after the other."""
    rows = [cells for row in _boxes(box) if (cells := _boxes(row))]
    width = max(map(len, rows), default=0)
    if min(len(rows), width) <= 1 or not all(_is_line(cell) for row in rows for cell in row):
        return [block for kid in box.kids for block in _blocks(kid)]
    head, *body = ["| " + " | ".join(map(_line, row)) + " |" for row in rows]
    head += " |" * (width - len(rows[0]))
    caption = [kid for kid in box.kids if isinstance(kid, str)]
    return [*caption, "\n".join([head, "|" + " --- |" * width, *body])]


###############################################################################
# Markdown
###############################################################################

_MAX_BODY_BYTES = 200_000
_MAX_DEPTH = 20


@dataclass(slots=True)
class _Run:
    """An open inline element, and the finished markdown in it so far."""

    mark: str  # "*", "**", "~~"; "[" for a link; empty: it shows nothing
    url: str = ""
    parts: list[str] = field(default_factory=list)

    def add(self, part: str) -> None:
        """Append; two marks that would read as one are kept apart: `**a****b**`."""
        joins = self.parts and part and self.parts[-1][-1:] == part[0] and part[0] in "*~`"
        self.parts.append(ZWSP + part if joins else part)

    def empty(self) -> str:
        """Take its markdown out; white space at the ends stays outside the mark."""
        whole = "".join(self.parts)
        self.parts.clear()
        text = whole.strip(" \n")
        if not text or not self.mark:
            return whole
        head, tail = whole.split(text, 1)
        if self.mark == "[":
            return f"{head}[{text}]({_destination(self.url)}){tail}"
        # a mark beside punctuation is none, says CommonMark; beside U+200B it is
        left, right = ("" if text[end].isalnum() else ZWSP for end in (0, -1))
        return f"{head}{self.mark}{left}{text}{right}{self.mark}{tail}"


_MARKS = {"em": "*", "i": "*", "strong": "**", "b": "**", "del": "~~", "s": "~~", "strike": "~~"}
_MARKS["a"] = "["
_CODE = frozenset(("pre", "code", "kbd", "samp", "tt"))
_NESTING = frozenset(("ul", "ol", "blockquote", "table"))
_INSIDE = {"li": ("ul", "ol"), "tr": ("table",), "td": ("tr",), "th": ("tr",)}
_SCRIPTS = {"sup": "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ", "sub": "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₙᵢ"}
_SOURCES = ("data-src", "data-lazy-src", "data-original", "src")  # a lazy image's src is a stub
_ALLOWED: dict[str, set[str]] = {
    **{tag: set() for tag in (*_BLOCKS, *_MARKS, *_CODE, *_SCRIPTS)},
    **{tag: {"src"} for tag in ("video", "audio", "source")},
    **{tag: {"alt", "title", "width", "height", "style", *_SOURCES} for tag in ("img", "embed")},
    "a": {"href"},
    "ol": {"start"},
}
_TINY = re.compile(
    r"(?:^|[\s;])(?:(?:width|height)\s*:\s*[01](?:px)?\s*(?:[;!]|$)|display\s*:\s*none)",
    re.IGNORECASE,
)
_TRACKER = re.compile(
    r"//(?:[\w-]+\.)*(?:feedburner\.com/~|feedsportal\.com/|pixel\.wp\.com/|stats\.wordpress\.com/"
    r"|medium\.com/_/stat|(?:doubleclick|quantserve|google-analytics|googletagmanager)\.\w+/)"
    r"|[/._-](?:1x1|pixel|beacon|spacer|blank|transparent)\.(?:gif|png)",
    re.IGNORECASE,
)


class _Walker(HTMLParser):
    """Walks well-formed, sanitised HTML and builds a tree of boxes with markdown in them."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base
        self.left_bytes = _MAX_BODY_BYTES
        self.boxes = [_Box("body")]
        self.boxed: list[bool] = []  # of each open block: did it open a box?
        self.runs = [_Run("")]
        self.code_tags: list[str] = []
        self.code = ""  # the text in them; a line break in it makes it a block
        self.media: str | None = None  # the address of an open video or audio
        self.script: dict[int, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if self.media is not None:
            self.media = self.media or (has.get("src", "") if tag == "source" else "")
        elif tag in _CODE:
            self.code_tags.append(tag)
        elif self.code_tags:
            self.code += "\n" if tag == "br" else ""
        elif tag in _MARKS:
            self._open_run(_MARKS[tag], safe_url(has.get("href", ""), self.base))
        elif tag in _SCRIPTS:
            self.script = str.maketrans("0123456789+-=()ni", _SCRIPTS[tag])
        elif tag in ("img", "embed"):
            self._picture(tag, has)
        elif tag in ("video", "audio"):
            self.media = has.get("src", "")
        elif tag in _BLOCKS:
            self._open_block(tag, has.get("start", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("video", "audio"):
            self._link(safe_url(self.media or "", self.base), "")
            self.media = None
        elif self.code_tags:
            self._close_code(tag)
        elif tag in _MARKS and self.media is None:
            self.runs[-2].add(self.runs[-1].empty())
            self.runs.pop()
        elif tag in _SCRIPTS:
            self.script = {}
        elif tag in _BLOCKS - {"br", "hr"} and self.media is None:
            self.flush()
            if self.boxed.pop():
                self.boxes.pop()

    def handle_data(self, data: str) -> None:
        if self.media is not None:
            return
        if self.code_tags:
            self.code += self._afford(data if "pre" in self.code_tags else _SPACE.sub(" ", data))
            return
        if self.script and all(ord(char) in self.script for char in data):
            data = data.translate(self.script)
        text = self._afford(_escape(_SPACE.sub(" ", data)))
        self.runs[-1].add(re.sub(r"&#?\d*$", "", text))  # an entity that was cut

    def _afford(self, text: str) -> str:
        """Cut text to what is left of the body's size. Nothing but text may be cut."""
        encoded = text.encode()
        left, self.left_bytes = max(self.left_bytes, 0), self.left_bytes - len(encoded)
        self.left_bytes -= text.count("\n") * 3 * len(self.boxes)
        return text if len(encoded) <= left else encoded[:left].decode(errors="ignore")

    def _add(self, markup: str) -> None:
        self.left_bytes -= len(markup) + markup.count("\n") * 3 * len(self.boxes)  # its indentation
        self.runs[-1].add(markup)

    def _add_block(self, block: str) -> None:
        if block:
            self.left_bytes -= 6 * len(self.boxes)
            self.boxes[-1].kids.append(block)

    def flush(self) -> None:
        """End the paragraph; inline elements still open go on in the next one."""
        for inner, outer in zip(self.runs[:0:-1], self.runs[-2::-1], strict=True):
            outer.add(inner.empty())
        lines = re.sub(" {2,}", " ", self.runs[0].empty()).split("\n")
        self._add_block("  \n".join(line.strip(" ") for line in lines if line.strip()))

    def finish(self, *, cut: bool) -> _Box:
        """Close what is open, with an ellipsis when something was left out."""
        while self.code_tags:
            self._close_code(self.code_tags[-1])
        if cut or self.left_bytes <= 0:
            self.runs[-1].add("…")
        self.flush()
        return self.boxes[0]

    def _open_run(self, mark: str, url: str) -> None:
        shows = (url or mark != "[") and all(run.mark != mark for run in self.runs)
        self.runs.append(_Run(mark if shows else "", url))

    def _open_block(self, tag: str, start: str) -> None:
        if tag == "br" and not "".join(self.runs[-1].parts[-2:]).rstrip(" ").endswith("\n"):
            self._add("\n")
            return
        self.flush()  # two breaks as well: some write paragraphs so
        if tag in ("br", "hr"):
            self._add_block("___" if tag == "hr" else "")
            return
        shallow = sum(box.tag in _NESTING for box in self.boxes) < _MAX_DEPTH
        inside = self.boxes[-1].tag
        boxed = (tag in _NESTING and shallow) or (tag in _HEADINGS and inside not in _HEADINGS)
        self.boxed.append(boxed or inside in _INSIDE.get(tag, ()))
        if self.boxed[-1]:
            box = _Box(tag, start)
            self.boxes[-1].kids.append(box)
            self.boxes.append(box)

    def _close_code(self, tag: str) -> None:
        if tag != self.code_tags[-1]:  # a line of code that is an element of its own
            self.code += "\n" if tag in _BLOCKS and not self.code.endswith("\n") else ""
            return
        self.code_tags.pop()
        self.code += "\n" if tag == "pre" else ""
        if self.code_tags:
            return
        text, self.code = self.code, ""
        ticks = "`" * max(len(run) + 1 for run in re.findall("`*", text))
        if "\n" in text:
            self.flush()
            text = "\n".join(text.rstrip().splitlines()).strip("\n")
            fence = ticks.ljust(3, "`")
            self._add_block(f"{fence}\n{text}\n{fence}" if text else "")
        elif "|" in text and any(box.tag == "table" for box in self.boxes):
            self._add(_escape(text))  # it would end the cell
        elif text.strip():
            self._add(f"{ticks} {text.strip()} {ticks}" if "`" in text else f"`{text.strip()}`")

    def _picture(self, tag: str, has: dict[str, str]) -> None:
        """Add an image, or a link to what an iframe shows; trackers go."""
        urls = [safe_url(has.get(name, ""), self.base) for name in _SOURCES]
        url = next(filter(None, urls), "")
        sizes = {has.get(side, "").strip(" px") for side in ("width", "height")}
        if sizes & {"0", "1"} or _TINY.search(has.get("style", "")) or _TRACKER.search(url):
            return
        alt = _escape(one_line(has.get("alt", ""), 1000))
        if tag == "embed":
            self._link(url, has.get("title", ""))
        elif not url or (alt and "/emoji/" in url):
            self._add(alt)
        else:
            self._add(f"![{alt}]({_destination(url)})")

    def _link(self, url: str, label: str) -> None:
        self.flush()
        self._add_block(
            f"[{_escape(one_line(label or url, 300))}]({_destination(url)})" if url else ""
        )


def markdown(html: str, base: str) -> str:
    """Write the HTML of an entry as markdown; relative addresses are resolved against `base`.

    nh3 sanitises, the tree it leaves is walked, no HTML is ever written. Closes hazards §1 and §2
    for bodies: text is entities; code stands in fences longer than any in it, without options;
    links and images are http(s); nesting ends at 20, all at 200 kB with an ellipsis; tracking
    pixels go, players become links, headings leave h1 to the page.
    """
    framed = re.sub(r"<iframe\b", "<embed", html, flags=re.IGNORECASE)  # its content is no HTML
    clean = _strip(_clean(_bounded(framed), _ALLOWED, _DROPPED))
    walker = _Walker(base)
    end = 0
    while end < len(clean) and walker.left_bytes > 0:
        walker.feed(clean[end : end + 10_000])
        end += 10_000
    if walker.left_bytes > 0:
        walker.close()
    root = walker.finish(cut=len(html) > _MAX_HTML or html.count("<") > _MAX_TAGS)
    return _LIVE_MARKDOWN.sub(rf"\g<0>{ZWSP}", "\n\n".join(_blocks(root)))


###############################################################################
# Dates
###############################################################################

###############################################################################
# Parsing
###############################################################################

###############################################################################
# Identity
###############################################################################

###############################################################################
# Posts
###############################################################################

###############################################################################
# Fetching
###############################################################################

###############################################################################
# Sync plan
###############################################################################

###############################################################################
# Edges: HTTP
###############################################################################

###############################################################################
# Edges: git
###############################################################################

###############################################################################
# Edges: hugo
###############################################################################

###############################################################################
# Edges: S3, folders and purges
###############################################################################

###############################################################################
# Stages
###############################################################################

###############################################################################
# Command line
###############################################################################
