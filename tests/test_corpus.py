"""The script over the archive of real feeds that may lie beside the checkout."""

import io
import re
import tarfile
import xml.etree.ElementTree as ET
from pathlib import Path

import feedparser
import pytest
from support.git import git
from support.web import answer

ARCHIVE = Path(__file__).resolve().parents[2] / "shared/corpus/open.tar.gz"

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not ARCHIVE.exists(), reason="no archive beside the checkout"),
]


@pytest.fixture
def documents(web):
    """address -> body of every document of the archive, each served on a host of its own."""
    served = {}
    with tarfile.open(fileobj=io.BytesIO(ARCHIVE.read_bytes())) as archive:
        files = [member for member in archive if member.isfile()]
        for number, member in enumerate(sorted(files, key=lambda file: file.name), 1):
            if not member.name.startswith("docs/"):
                continue
            body = archive.extractfile(member).read()
            headers = {"Content-Type": "application/xml", "ETag": f'"{number}"'}
            served[serve(web, number, headers, body)] = (member.name, body)
    return served


def serve(web, number, headers, body):
    whole, unchanged = answer(200, headers, body), answer(304, headers)

    def act(exchange):
        current = exchange.headers.get("If-None-Match") == headers["ETag"]
        (unchanged if current else whole)(exchange)

    return web.serve(f"/{number}.xml", act, on=number)


def entries_of(body):
    """How many entries plain feedparser sees, a JSON Feed's too."""
    if body.lstrip()[:1] == b"{":
        return len(re.findall(rb'"id"\s*:', body))
    return len(feedparser.parse(io.BytesIO(body), sanitize_html=False).entries)


def test_every_real_document_becomes_posts_or_is_refused_with_a_reason(documents, superfeed):
    assert len(documents) == 598
    superfeed.starter()
    superfeed.write("feeds.txt", "\n".join(documents) + "\n")
    flags = ("--keep", "0", "--base-url", "https://me.example/")
    result = superfeed(*flags, timeout=800).ok()
    site = superfeed.app / "site"

    empty = [feed for feed in result.report["feeds"] if not feed["entries"]]
    silent, lost = [], []
    for feed in empty:
        name, body = documents[feed["url"]]
        silent.append(f"{name}: {feed['error'] or 'no entries'}")
        if entries_of(body):
            lost.append(silent[-1])
    print("\n".join(["documents without posts:", *silent]))
    assert lost == []
    assert all(feed["error"] for feed in empty if feed["status"] == "failed")

    text = (site / "public/feeds/index.xml").read_bytes()
    assert len(ET.fromstring(text).findall("channel/item")) == 100
    assert not feedparser.parse(text).bozo
    posts = list((site / "content/feeds").rglob("*-*.md"))
    assert len(posts) == result.report["posts"]["total"] > 5000
    assert result.report["posts"]["set_aside"] == 0

    head = git("rev-parse", "HEAD", cwd=site)
    again = superfeed(*flags, timeout=300).ok().report
    assert again["posts"] == result.report["posts"] | {"new": 0}
    assert again["commit"]["sha"] is None
    assert git("rev-parse", "HEAD", cwd=site) == head
    assert git("status", "--porcelain", cwd=site) == ""
