"""Makes the README's picture: python tests/support/picture.py examples/screenshot.png

The starter site as superfeed.py itself makes it, of feeds and entries invented here.
"""

from __future__ import annotations

import functools
import http.server
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from feedmaker import Item, rss
from playwright.sync_api import sync_playwright

REPO = Path(__file__).resolve().parents[2]
# group, source, hours before, title, text
ENTRIES = (
    ("Cloud", "Harbour Lab", 0.2, "Cold starts are a queueing problem",
     ("We measured eleven million invocations, and most of the waiting was not where the dashboards"
     " said it was. A small change to the order of work halved the tail.")),
    ("Software", "Ten Thousand Tests", 1.4, "Deleting a thousand tests made us faster",
     ("They had all been green for three years, and none had ever been red for a reason. What we"
     " kept, and how we chose.")),
    ("Cloud", "Stratus Weekly", 3, "Object storage, priced by the request",
     ("Listing is cheap until it is not. A table of what an hourly sync costs with three thousand"
     " files, and the one comparison that makes it almost nothing.")),
    ("Security", "Quiet Keys", 4.9, "Passkeys for the people who run the servers",
     ("Break-glass access without a shared password: what we printed, what we put into the safe,"
     " and what we practise every quarter.")),
    ("Software", "Plain Text", 26, "Feeds are having a quiet decade",
     ("No algorithm, no login, no expiry date. Notes on a format that never stopped working, with"
     " five small tools that treat it well.")),
    ("Security", "The Patch Log", 29, "What a calm disclosure looks like",
     ("Ninety days, four mails, one phone call. The timeline of a fault that nobody had to read"
     " about in a hurry.")),
    ("Cloud", "Harbour Lab", 51, "A year of backups that nobody restored",
     ("So we restored them all, on a Tuesday. Three of forty did not come back, and not for the"
     " reason we would have bet on.")),
)  # fmt: skip


def write_feeds(folder: Path, now: datetime) -> None:
    """Write feeds.txt and a feed file for each source beside it."""
    groups: dict[str, dict[str, list[Item]]] = {}
    for number, (group, source, hours, title, text) in enumerate(ENTRIES):
        link, date = f"https://original.example/{number}", now - timedelta(hours=hours)
        item = Item(f"urn:{number}", link, title, date, body=f"<p>{text}</p>")
        groups.setdefault(group, {}).setdefault(source, []).append(item)
    lines = []
    for group, sources in groups.items():
        lines.append(f"[{group}]")
        for source, items in sources.items():
            name = re.sub(r"\W+", "-", source.lower()) + ".xml"
            (folder / name).write_bytes(rss(items, title=source, link="https://blog.example/"))
            lines.append(name)
    (folder / "feeds.txt").write_text("\n".join(lines) + "\n")


def main(picture: Path) -> None:
    """Run superfeed in a folder of its own, serve what it built, and take the picture."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        shutil.copy(REPO / "superfeed.py", folder)
        shutil.copytree(REPO / "examples/site", folder / "examples/site")
        yesterday = datetime.now(UTC) - timedelta(days=1)
        write_feeds(folder, yesterday.replace(hour=9, minute=30))
        subprocess.run([sys.executable, "superfeed.py", "-q"], cwd=folder, check=True)
        public = str(folder / "site/public")
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=public)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            take(f"http://127.0.0.1:{server.server_port}/", picture)
            server.shutdown()


def take(address: str, picture: Path) -> None:
    """Take a picture of a page, as wide as a README is."""
    with sync_playwright() as player:
        options = ["--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        browser = player.chromium.launch(executable_path=shutil.which("chromium"), args=options)
        page = browser.new_page(viewport={"width": 1040, "height": 1010}, device_scale_factor=1.25)
        page.goto(address)
        page.screenshot(path=str(picture))
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
