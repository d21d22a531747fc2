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
import html as html_entities
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

ZWSP = "\u200b"  # breaks a token, takes no room
_MAX_HTML = 500_000  # characters of one text that are read
_MAX_TAGS = 10_000  # and tags: html5ever, inside nh3, takes quadratic time on deep nesting
_MAX_BODY_BYTES = 200_000
_MAX_DEPTH = 20

# Neither wanted in a page nor legal in XML: C0 and C1 (but white space), bidi controls, BOM,
# noncharacters, surrogates.
_UNSAFE = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff"
    "\ufdd0-\ufdef\ud800-\udfff"
    + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17))
    + "]"
)
# White space to fold in HTML and markdown; a no-break space is no such thing.
_SPACE = re.compile("[ \t-\r\x1c-\x1e\x85\u2028\u2029]+")
# Hugo looks for these in what it has written, so no escape helps: they must not be in one piece.
_TOKEN = r"{0}(?={0}h(?:deferred|ugo{0}ctx|{0}pp{0}l1))|H(?=AHAHUGOSHORTCODE|UGOMORE42)"
_URL_TOKEN = re.compile(_TOKEN.format("_"))
# What comes alive when a theme runs a line through markdownify: shortcodes, tags, links and
# definitions, entities and escapes (which could spell a token), and at the start a block.
_LIVE = re.compile(
    r"^(?=[#>~`|:=*_+{-]|\d{1,9}[.)])|"
    + _TOKEN.format("_")
    + r"|\{\{(?=[<%])|<(?=[A-Za-z/!?])|\](?=[(:])|&(?=#?\w{1,31};)|\\(?=[!-/:-@\[-`{-~])"
)
# The same in markdown of our own making, where text is entities and only code has braces.
_LIVE_MARKDOWN = re.compile(_TOKEN.format("(?:_|&#95;)") + r"|\{\{(?=[<%])|&#91;(?=&#33;)")
_ENTITIES = {ord(char): f"&#{ord(char)};" for char in "!\"#$&'()*+-.:<=>@[\\]^_`{|}~"}
# goldmark resolves numeric references first and names after: `&#38;lowbar;` would end up as `_`.
_IN_DESTINATION = {ord("&"): "&amp;"} | {ord(char): f"&#{ord(char)};" for char in "()$*_"}


def one_line(text: str, limit: int) -> str:
    """Make plain text one neutral line of at most `limit` characters. Idempotent.

    For front matter: closes hazards §3 (control characters, surrogates, 1 MB titles, themes that
    run `.Title | markdownify`) and §1's tokens. The words stay; what could come alive is broken by
    U+200B, since entities would be read as they stand.
    """
    text = text[:100_000]
    if not text.isprintable():
        text = " ".join(_UNSAFE.sub("", text).split())
    text = unicodedata.normalize("NFC", " ".join(text[: 8 * limit].split()))
    text = _LIVE.sub(rf"\g<0>{ZWSP}", text)
    if len(text) <= limit:
        return text
    head = text[: limit - 1]
    space = head.rfind(" ")
    return head[: space if space > limit * 0.8 else None].rstrip() + "…"


_NAMES = (
    "a abbr acronym address applet area article aside audio b base basefont bdi bdo big blink "
    "blockquote body br button canvas caption center cite code col colgroup data datalist dd del "
    "details dfn dialog dir div dl dt em embed fieldset figcaption figure font footer form frame "
    "frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html i iframe img input ins kbd label legend "
    "li link main map mark marquee math menu meta meter nav nobr noembed noframes noscript object "
    "ol optgroup option output p param picture plaintext pre progress q rp rt ruby s samp script "
    "section select small source span strike strong style sub summary sup svg table tbody td "
    "template textarea tfoot th thead time title tr track tt u ul var video wbr xmp"
)
# `Vec<String>`, `Map<K, V>`: written by someone who meant text. HTML would swallow the word.
_NO_TAG = re.compile(
    rf"<(?=/?(?!(?:{_NAMES.replace(' ', '|')}|{_NAMES.upper().replace(' ', '|')})\b)"
    r"[A-Za-z]\w*[>,<\[*&])|<(?=\?)"
)
# Copied by html5ever into every paragraph that follows, when they differ and are not closed:
# 14 kB become 130 MB. Without attributes they do not differ.
_COPIED = re.compile(
    r"<(b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u|body|html)[\s/][^>]*>?", re.IGNORECASE
)
_INLINE_DATA = re.compile(r"""(["'])data:[^"'<>]{1000,}\1""")  # pictures: no address, only weight
_DROPPED = {
    *("script", "style", "noscript", "noembed", "noframes", "template", "svg", "textarea"),
    *("iframe", "head", "title"),
}


def _clean(html: str, allowed: Mapping[str, set[str]], dropped: set[str]) -> str:
    """Let through the allowed tags and attributes, well-formed, in time linear in the text."""
    import nh3

    html = _INLINE_DATA.sub('""', html) if len(html) > _MAX_HTML else html
    html = "<".join(html[:_MAX_HTML].split("<", _MAX_TAGS)[:_MAX_TAGS])
    html = _COPIED.sub(r"<\1>", _NO_TAG.sub("&lt;", html))
    return nh3.clean(
        _UNSAFE.sub("", html),
        tags=set(allowed),
        attributes=dict(allowed),
        clean_content_tags=dropped,
        url_schemes={"http", "https"},
        link_rel=None,
    )


_BLOCKS = frozenset(
    "address article aside blockquote br caption center dd details dialog dir div dl dt fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr legend li main menu nav ol "
    "option p pre section summary table tbody td tfoot th thead tr ul".split()
)
_BLOCK_TAG = re.compile(rf"<(?=/?(?:{'|'.join(sorted(_BLOCKS))})\b)", re.IGNORECASE)


def plain(html: str) -> str:
    """Give the words a reader of this HTML would see, as one neutral line.

    Plain text with or without entities is HTML as well: `a < b` and `AT&T` stay what they are.
    Closes hazards §2 (raw HTML, script and style) for all that is not a body.
    """
    if "<" in html:
        html = _clean(_BLOCK_TAG.sub(" <", html), {}, _DROPPED)
    return one_line(html_entities.unescape(html), 100_000)


def excerpt(html: str, limit: int = 300) -> str:
    """Give the first `limit` characters of the words in this HTML, one neutral line.

    The start of a long text nearly always has enough of them. Closes hazards §3 (`summary`).
    """
    start = plain(html[: 16 * limit])
    return one_line(start if len(start) > limit else plain(html), limit)


def safe_url(url: str, base: str = "") -> str:
    """Give the absolute http or https address, percent-encoded; empty for anything else. Idempotent.

    Closes hazards §2 (js, data and relative links) and §1 in addresses: what is left cannot end a
    YAML string, a markdown destination or an attribute, spells no token of Hugo's, and is one that
    Go's url.Parse takes. Legal bytes stay as they are; an IDN host becomes punycode.
    """
    url = re.sub(r"[\t\r\n]", "", _UNSAFE.sub("", url)).strip()
    if not url:
        return ""
    try:
        if not re.match(r"https?://", url, re.IGNORECASE):
            url = urljoin(base, url)
        netloc = urlsplit(url).netloc
    except ValueError:  # brackets that are no IPv6 address
        return ""
    match = re.match(r"(https?)://([^/?#\\]+)(?![\\])(.*)", url, re.IGNORECASE | re.DOTALL)
    if not match or match[2] != netloc or len(url) > 4000:
        return ""
    host = _ascii_host(netloc)
    rest = quote(re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", match[3]), safe="%/?#:@!$&'()*+,;=-._~")
    rest = _URL_TOKEN.sub(lambda token: f"%{ord(token[0]):02X}", rest)
    return f"{match[1].lower()}://{host}{rest}" if host else ""


def _ascii_host(netloc: str) -> str:
    """Give host and port in ASCII, as browsers do (nearly UTS 46); empty when it is no host."""
    labels = unicodedata.normalize("NFKC", netloc).replace("\u3002", ".").split(".")
    labels = [
        label if label.isascii() else "xn--" + label.lower().encode("punycode").decode()
        for label in labels
    ]
    host = ".".join(labels)
    legal = re.fullmatch(r"([A-Za-z0-9_.-]*[A-Za-z0-9_-]\.?|\[[0-9A-Fa-f:.]+\])(:\d{0,5})?", host)
    return host if legal and len(host) < 260 else ""


def markdown_text(text: str) -> str:
    """Write plain text as markdown prose that shows just that text.

    Every ASCII punctuation with a meaning is a numeric entity: closes hazards §1 (shortcodes,
    tokens) and §2 (markdown, math, typographer, emoji, attributes, linkify) for text.
    """
    text = _SPACE.sub(" ", _UNSAFE.sub("", text)).strip().translate(_ENTITIES)
    return _LIVE_MARKDOWN.sub(rf"\g<0>{ZWSP}", text)


@dataclass(slots=True)
class _Box:
    """A block element that holds others; a string among its kids is a finished block."""

    tag: str
    start: str = ""  # an ordered list's first number
    kids: list[_Box | str] = field(default_factory=list)


@dataclass(slots=True)
class _Run:
    """An open inline element, with the finished markdown in it so far."""

    mark: str  # "*", "**", "~~"; "[": a link; empty: nothing to show
    url: str = ""
    parts: list[str] = field(default_factory=list)

    def add(self, part: str) -> None:
        """Append, keeping two marks apart that would read as one: `**a****b**`."""
        last = self.parts[-1][-1:] if self.parts else ""
        self.parts.append(ZWSP + part if last and last == part[:1] and last in "*~`" else part)

    def close(self) -> str:
        """Empty the run and give its markdown; white space at its ends stays outside."""
        whole = "".join(self.parts)
        self.parts.clear()
        text = whole.strip(" \n")
        if not text or not self.mark:
            return whole
        if self.mark == "[":
            text = f"[{text}]({self.url.translate(_IN_DESTINATION)})"
        else:  # a mark beside punctuation is none, says CommonMark, unless this stands between
            before = "" if text[0].isalnum() else ZWSP
            text = self.mark + before + text + ("" if text[-1].isalnum() else ZWSP) + self.mark
        head, tail = whole[: -len(whole.lstrip(" \n"))], whole[len(whole.rstrip(" \n")) :]
        return head + text + tail


_MARKS = {"em": "*", "i": "*", "strong": "**", "b": "**", "del": "~~", "s": "~~", "strike": "~~"}
_CODE = frozenset(("code", "kbd", "samp", "tt"))
_HEADINGS = {f"h{level}": "#" * min(level + 1, 6) for level in range(1, 7)}
_NESTING = frozenset(("ul", "ol", "blockquote", "table"))
_HOLDER = {"li": ("ul", "ol"), "tr": ("table",), "td": ("tr",), "th": ("tr",)}
_SCRIPTS = {"sup": "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ", "sub": "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₙᵢ"}
_SOURCES = ("data-src", "data-lazy-src", "data-original", "src")  # a lazy image's src is a stub
_ALLOWED = {
    **{tag: set[str]() for tag in (*_BLOCKS, *_MARKS, *_CODE, *_SCRIPTS)},
    **{"a": {"href"}, "ol": {"start"}, "video": {"src"}, "audio": {"src"}, "source": {"src"}},
    **{"img": {"alt", "width", "height", "style", *_SOURCES}, "thead": set(), "td": {"colspan"}},
    "embed": {"title", "width", "height", "style", *_SOURCES},
}
_TINY = re.compile(
    r"(?:^|[\s;])(?:(?:width|height)\s*:\s*[01](?:px)?\s*(?:;|!|$)|display\s*:\s*none)",
    re.IGNORECASE,
)
_TRACKER = re.compile(
    r"//(?:[\w-]+\.)*(?:feedburner\.com/~|feedsportal\.com/|pixel\.wp\.com/|stats\.wordpress\.com/"
    r"|medium\.com/_/stat|doubleclick\.net/|google-analytics\.com/|googletagmanager\.com/"
    r"|scorecardresearch\.com/|quantserve\.com/)"
    r"|[/._-](?:1x1|pixel|beacon|spacer|blank|transparent)\.(?:gif|png)",
    re.IGNORECASE,
)


class _Walker(HTMLParser):
    """Walks sanitised, well-formed HTML and builds a tree of boxes with markdown in them."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base
        self.left_bytes = _MAX_BODY_BYTES
        self.boxes = [_Box("body")]
        self.boxed: list[bool] = []  # for each open element that could be a box: is it one?
        self.runs = [_Run("")]
        self.code_tags: list[str] = []  # open code and pre, and the text in them
        self.code: list[str] = []
        self.block_code = False
        self.media: str | None = None  # the address of an open video or audio
        self.script: dict[int, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if self.media is not None:
            self.media = self.media or (has.get("src", "") if tag == "source" else "")
        elif tag == "pre" or tag in _CODE:
            self.code_tags.append(tag)
        elif self.code_tags:
            self.code.append("\n" if tag == "br" else "")
        elif tag in _MARKS or tag == "a":
            self._open_run(_MARKS.get(tag, "["), safe_url(has.get("href", ""), self.base))
        elif tag in _SCRIPTS:
            self.script = str.maketrans("0123456789+-=()ni", _SCRIPTS[tag])
        elif tag in ("img", "embed"):
            self._picture(tag, has)
        elif tag in ("video", "audio"):
            self.media = has.get("src", "")
        elif tag == "br":
            self._break()
        elif tag in _BLOCKS:
            self._open_block(tag, has.get("start", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("video", "audio"):
            self._link(self.media or "", "")
            self.media = None
        elif self.code_tags:
            self._close_code(tag)
        elif self.media is not None or tag in ("br", "hr"):
            return
        elif tag in _MARKS or tag == "a":
            self._add(self.runs.pop().close())
        elif tag in _SCRIPTS:
            self.script = {}
        elif tag in _BLOCKS:
            self.flush()
            if self.boxed.pop():
                self.boxes.pop()

    def handle_data(self, data: str) -> None:
        if self.media is not None:
            return
        if self.code_tags:
            data = data if "pre" in self.code_tags else _SPACE.sub(" ", data)
            self.code.append(self._afford(data))
            return
        if self.script and all(ord(char) in self.script for char in data):
            data = data.translate(self.script)
        self._add(_SPACE.sub(" ", data).translate(_ENTITIES))

    def finish(self, *, cut: bool) -> _Box:
        """Close what is open, with an ellipsis when text was left out."""
        if self.code_tags:
            self.code_tags = self.code_tags[:1]
            self._close_code(self.code_tags[0])
        if cut or self.left_bytes <= 0:
            self.runs[-1].add("…")
        self.flush()
        return self.boxes[0]

    def flush(self) -> None:
        """End the paragraph. Inline elements still open go on in the next one."""
        for outer, inner in zip(self.runs[-2::-1], self.runs[:0:-1], strict=True):
            outer.add(inner.close())
        lines = re.sub(" {2,}", " ", self.runs[0].close()).split("\n")
        self._block("  \n".join(line.strip(" ") for line in lines if line.strip()))

    def _block(self, block: str) -> None:
        if block:
            self.left_bytes -= block.count("\n") * 3 * len(self.boxes)  # its indentation
            self.boxes[-1].kids.append(block)

    def _afford(self, text: str) -> str:
        """Cut the text to what is left of the body's size."""
        encoded = text.encode()
        self.left_bytes, left = self.left_bytes - len(encoded), max(self.left_bytes, 0)
        return text if len(encoded) <= left else encoded[:left].decode(errors="ignore")

    def _add(self, part: str) -> None:
        part = self._afford(part)
        self.runs[-1].add(re.sub(r"&#?\d*$", "", part) if self.left_bytes < 0 else part)

    def _open_run(self, mark: str, url: str) -> None:
        nested = any(run.mark == mark for run in self.runs)
        self.runs.append(_Run("" if nested or (mark == "[" and not url) else mark, url))

    def _break(self) -> None:
        if "".join(self.runs[-1].parts[-2:]).rstrip(" ").endswith("\n"):
            self.flush()  # two breaks are how some write paragraphs
        else:
            self._add("\n")

    def _open_block(self, tag: str, start: str) -> None:
        self.flush()
        if tag == "hr":
            self._block("___")
            return
        top = self.boxes[-1].tag
        depth = sum(box.tag in _NESTING for box in self.boxes)
        boxed = top in _HOLDER.get(tag, ()) or tag in _HEADINGS
        boxed = boxed or (tag in _NESTING and depth < _MAX_DEPTH)
        self.boxed.append(boxed)
        if boxed:
            box = _Box(tag, start)
            self.boxes[-1].kids.append(box)
            self.boxes.append(box)

    def _close_code(self, tag: str) -> None:
        if tag != self.code_tags[-1]:
            if tag in _BLOCKS and not "".join(self.code[-1:]).endswith("\n"):
                self.code.append("\n")  # a line of code that is an element of its own
            return
        self.block_code = self.block_code or tag == "pre"
        self.code_tags.pop()
        if self.code_tags:
            return
        text = "\n".join("".join(self.code).rstrip().splitlines()).strip("\n")
        block = self.block_code or "\n" in text
        self.code, self.block_code = [], False
        ticks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
        if block:
            self.flush()
            fence = ticks if len(ticks) > 2 else "```"
            self._block(f"{fence}\n{text}\n{fence}" if text else "")
        elif "|" in text and any(box.tag == "table" for box in self.boxes):
            self._add(text.translate(_ENTITIES))  # in a cell it would end the cell
        elif text.strip():
            pad = " " if "`" in (text.strip()[0], text.strip()[-1]) else ""
            self._add(f"{ticks}{pad}{text.strip()}{pad}{ticks}")

    def _picture(self, tag: str, has: dict[str, str]) -> None:
        tiny = {has.get("width", "9").strip(" px"), has.get("height", "9").strip(" px")} & {
            "0",
            "1",
        }
        urls = [safe_url(has[name], self.base) for name in _SOURCES if has.get(name)]
        url = next(filter(None, urls), "")
        if tiny or _TINY.search(has.get("style", "")) or _TRACKER.search(url):
            return
        if tag == "embed":
            self._link(url, has.get("title", ""))
            return
        alt = markdown_text(has.get("alt", ""))
        emoji = not url or (alt and "/emoji/" in url)
        self._add(alt if emoji else f"![{alt}]({url.translate(_IN_DESTINATION)})")

    def _link(self, url: str, label: str) -> None:
        """Stand in for a player with a plain link to what it plays."""
        url = safe_url(url, self.base)
        self.flush()
        label = markdown_text(label or url)
        self._block(f"[{label}]({url.translate(_IN_DESTINATION)})" if url else "")


def _blocks(box: _Box) -> list[str]:
    """Give the markdown blocks of an element."""
    if box.tag in ("ul", "ol"):
        return _list(box)
    if box.tag == "table":
        return _table(box)
    inner = [block for kid in box.kids for block in _kid_blocks(kid)]
    if box.tag in _HEADINGS and inner and _is_line(box):
        return [f"{_HEADINGS[box.tag]} " + " ".join(inner).replace("  \n", " ")]
    if box.tag == "blockquote" and inner:
        return [_indent("\n\n".join(inner), "> ", "> ")]
    return inner


def _kid_blocks(kid: _Box | str) -> list[str]:
    return [kid] if isinstance(kid, str) else _blocks(kid)


def _is_line(box: _Box) -> bool:
    """Whether there is nothing but paragraphs in it, which a heading or a cell can hold."""
    return all(isinstance(kid, str) and "\n" not in kid.replace("  \n", "") for kid in box.kids)


def _indent(block: str, first: str, others: str) -> str:
    lines = (others + line if line else others.rstrip() for line in block.split("\n"))
    return first + "\n".join(lines)[len(others) :]


def _list(box: _Box) -> list[str]:
    items = [blocks for kid in box.kids if (blocks := _kid_blocks(kid))]
    number = int(box.start) if re.fullmatch("[0-9]{1,5}", box.start) else 1
    lines = []
    for index, blocks in enumerate(items):
        marker = "- " if box.tag == "ul" else f"{number + index}. "
        item = blocks[0]
        for block in blocks[1:]:  # a list within needs no empty line, which would spread it out
            item += ("\n" if block.startswith(("- ", "1. ")) else "\n\n") + block
        lines.append(_indent(item, marker, " " * len(marker)))
    return ["\n".join(lines)] if lines else []


def _table(box: _Box) -> list[str]:
    """Give a table, or its blocks one after the other where it only lays out a page."""
    rows = [kid.kids for kid in box.kids if isinstance(kid, _Box) and kid.kids]
    cells = [cell for row in rows for cell in row if isinstance(cell, _Box)]
    width = max((len(row) for row in rows), default=0)
    if len(rows) < 2 or width < 2 or not all(map(_is_line, cells)):
        return [block for kid in box.kids for block in _kid_blocks(kid)]
    lines = [
        [" ".join(_kid_blocks(cell)).replace("  \n", " ") for cell in row]
        + [""] * (width - len(row))
        for row in rows
    ]
    lines.insert(1, ["---"] * width)
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return [*(kid for kid in box.kids if isinstance(kid, str)), table]


def markdown(html: str, base: str) -> str:
    """Write the HTML of an entry as markdown; relative addresses are resolved against `base`.

    nh3 sanitises; the tree it leaves is walked. No HTML is ever written. Closes hazards §1 and §2:
    text is entities, code stands in fences longer than any in it and without options, links and
    images are http or https, nesting ends at 20, the whole at 200 kB with an ellipsis; tracking
    pixels are dropped, players become links, headings leave h1 to the page.
    """
    clean = _clean(
        re.sub(r"<iframe\b", "<embed", html, flags=re.IGNORECASE), _ALLOWED, _DROPPED - {"iframe"}
    )
    walker = _Walker(base)
    start = 0
    while start < len(clean) and walker.left_bytes > 0:
        walker.feed(clean[start : start + 10_000])
        start += 10_000
    if start >= len(clean):
        walker.close()
    blocks = _blocks(walker.finish(cut=len(html) > _MAX_HTML))
    return _LIVE_MARKDOWN.sub(rf"\g<0>{ZWSP}", "\n\n".join(blocks))


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
