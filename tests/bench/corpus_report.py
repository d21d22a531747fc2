"""Count what superfeed reads in a folder of feed documents, beside its peers.

    python tests/bench/corpus_report.py FOLDER

Prints the entries found, the entries without a date and the documents refused with reasons;
then every document in which superfeed finds another number of entries than feedparser does.
fastfeedparser is a third column where it is installed.
"""

import logging
import sys
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import feedparser

import superfeed

try:
    import fastfeedparser
except ImportError:
    fastfeedparser = None

TIMEOUT_S = 30


def count_feedparser(body: bytes, content_type: str) -> int:
    try:
        return len(feedparser.parse(body, response_headers={"content-type": content_type}).entries)
    except Exception:  # noqa: BLE001  (a peer's crash is a result)
        return -1


def count_fastfeedparser(body: bytes) -> int:
    try:
        return len(fastfeedparser.parse(body).entries)
    except Exception:  # noqa: BLE001  (likewise)
        return -1


def read(path: Path, content_type: str) -> tuple[superfeed.Document | None, str]:
    url = "https://feeds.example/" + path.name
    try:
        return superfeed.read_document(path, content_type, url, "full", TIMEOUT_S), ""
    except superfeed.FeedError as error:
        return None, str(error)


def main(folder: Path) -> None:
    totals, refused, differing = Counter(), Counter(), []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        body, kind = path.read_bytes(), "application/json" if path.suffix == ".json" else "text/xml"
        peer = count_feedparser(body, kind)
        fast = count_fastfeedparser(body) if fastfeedparser else 0
        document, reason = read(path, kind)
        entries = document.entries if document else ()
        totals.update(
            {
                "documents": 1,
                "documents refused": not document,
                "documents with a warning": bool(document and document.warning),
                "entries found by superfeed": len(entries),
                "entries found by feedparser": max(peer, 0),
                "entries found by fastfeedparser": max(fast, 0),
                "documents feedparser crashes on": peer < 0,
                "documents fastfeedparser refuses": fast < 0,
                "entries without any date": sum(not (e.published or e.updated) for e in entries),
                "entries without a link": sum(not e.link for e in entries),
                "entries without a guid": sum(not e.guid for e in entries),
            }
        )
        if reason:
            refused[reason] += 1
        if len(entries) != peer:
            note = reason or (document and document.warning) or ""
            differing.append((len(entries), peer, fast, path.relative_to(folder), note))
    for label, number in totals.items():
        print(f"{number:>8}  {label}")
    print("\nrefused:")
    for reason, number in refused.most_common():
        print(f"{number:>8}  {reason}")
    print("\nsuperfeed, feedparser, fastfeedparser where the first two differ (-1: it fails):")
    for ours, peer, fast, path, note in sorted(differing, key=lambda row: row[0] - row[1]):
        print(f"{ours:>6} {peer:>6} {fast:>6}  {path}  {note}")


if __name__ == "__main__":
    logging.disable()
    warnings.simplefilter("ignore")
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
