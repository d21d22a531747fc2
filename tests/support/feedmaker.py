"""Valid feed documents out of a simple Item; all texts are our own.

rss(items(3, "alpha")), atom([Item("urn:1", "https://a.example/1", "One")]), json_feed(...)
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from xml.sax.saxutils import escape, quoteattr

START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
RSS_NAMES = (
    'version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    ' xmlns:atom="http://www.w3.org/2005/Atom"'
)
When = datetime | str | None  # a str goes into the document as it is


@dataclass
class Item:
    """One entry; whatever is empty is left out of the document."""

    guid: str = ""
    link: str = ""
    title: str = ""
    date: When = None
    updated: When = None
    body: str = ""  # HTML
    author: str = ""
    tags: list[str] = field(default_factory=list)
    enclosure: str = ""  # the address of an mp3


def items(count, name="alpha", first=1, date=START):
    """`count` entries of a feed called `name`, a minute apart, the newest first as feeds have it.

    Entry number i is the same for every `first`: items(3), then items(3, first=2), is a window
    that slides by one. All are of the last seven days, as long as there are at most 10,000.
    """
    numbers = range(first + count - 1, first - 1, -1)
    return [
        Item(
            guid=f"tag:{name}.example,2020:{number}",
            link=f"https://{name}.example/posts/{number}",
            title=f"Entry {number} of {name}",
            date=date + timedelta(minutes=number - 10_000),
            body=f"<p>The text of entry {number} of <em>{name}</em>.</p>",
            author=f"Writer of {name}",
            tags=["test"],
        )
        for number in numbers
    ]


def rss(entries=(), title="A feed", link="https://a.example/", language="en") -> bytes:
    """RSS 2.0."""
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f"<rss {RSS_NAMES}><channel>",
        _tag("title", title),
        _tag("link", link),
        _tag("description", f"All of {title}"),
        _tag("language", language),
        *(_rss_item(item) for item in entries),
        "</channel></rss>",
    ]
    return "\n".join(line for line in lines if line).encode()


def _rss_item(item):
    sound = f'<enclosure url={quoteattr(item.enclosure)} length="1" type="audio/mpeg"/>'
    parts = [
        _tag("title", item.title),
        _tag("link", item.link),
        _tag("guid", item.guid, ' isPermaLink="false"'),
        _tag("pubDate", _rfc822(item.date)),
        _tag("atom:updated", _iso(item.updated)),
        _tag("description", item.body),
        _tag("dc:creator", item.author),
        *(_tag("category", tag) for tag in item.tags),
        sound if item.enclosure else "",
    ]
    return "<item>" + "".join(parts) + "</item>"


def atom(entries=(), title="A feed", link="https://a.example/", language="en") -> bytes:
    """Atom 1.0."""
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="{language}">',
        _tag("title", title),
        _tag("id", link),
        f'<link rel="alternate" href={quoteattr(link)}/>',
        _tag("updated", _iso(START)),
        *(_atom_entry(item) for item in entries),
        "</feed>",
    ]
    return "\n".join(lines).encode()


def _atom_entry(item):
    parts = [
        _tag("title", item.title),
        f'<link rel="alternate" href={quoteattr(item.link)}/>' if item.link else "",
        _tag("id", item.guid),
        _tag("published", _iso(item.date)),
        _tag("updated", _iso(item.updated or item.date)),
        _tag("content", item.body, ' type="html"'),
        f"<author>{_tag('name', item.author)}</author>" if item.author else "",
        *(f"<category term={quoteattr(tag)}/>" for tag in item.tags),
        f'<link rel="enclosure" type="audio/mpeg" href={quoteattr(item.enclosure)}/>'
        if item.enclosure
        else "",
    ]
    return "<entry>" + "".join(parts) + "</entry>"


def json_feed(entries=(), title="A feed", link="https://a.example/", language="en") -> bytes:
    """JSON Feed 1.1."""
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": title,
        "home_page_url": link,
        "language": language,
        "items": [_json_item(item) for item in entries],
    }
    return json.dumps(feed, ensure_ascii=False, indent=1).encode()


def _json_item(item):
    sound = [{"url": item.enclosure, "mime_type": "audio/mpeg"}] if item.enclosure else None
    fields = {
        "id": item.guid,
        "url": item.link,
        "title": item.title,
        "date_published": _iso(item.date),
        "date_modified": _iso(item.updated),
        "content_html": item.body,
        "authors": [{"name": item.author}] if item.author else None,
        "tags": item.tags,
        "attachments": sound,
    }
    return {name: value for name, value in fields.items() if value}


def _tag(name, text, attributes=""):
    return f"<{name}{attributes}>{escape(text)}</{name}>" if text else ""


def _rfc822(when: When) -> str:
    return format_datetime(when) if isinstance(when, datetime) else when or ""


def _iso(when: When) -> str:
    return when.isoformat() if isinstance(when, datetime) else when or ""
