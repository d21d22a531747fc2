"""Runs over documents, as the stages do them, with posts kept in a dictionary."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import superfeed
from superfeed import Entry, Known, Post

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def entry(guid="", link="", title="A title", published=None, *, updated=None, excerpt=""):
    return Entry(guid, link, title, published, updated, excerpt=excerpt)


def news(number, **changes):
    """An ordinary entry: everything about it is its own."""
    usual = {
        "guid": f"https://a.example/?p={number}",
        "link": f"https://a.example/{number}",
        "title": f"News {number}",
        "published": START - number * HOUR,
    }
    return entry(**(usual | changes))


@dataclass
class Site:
    """A site and its feed list; `posts` is all that lasts from run to run."""

    feeds: list[str]
    posts: dict[str, Post] = field(default_factory=dict)
    keep: int = 0
    now: datetime = START

    def ids(self):
        return [superfeed.feed_id(feed) for feed in self.feeds]

    def run(self, *documents, known=None):
        """Read one document (or None: not modified) per listed feed; say which paths each got."""
        self.now += HOUR
        known = known or Known(self.posts.values(), self.ids())
        read, found = {}, []
        cutoff = self.now - timedelta(days=self.keep) if self.keep else None
        for feed, document in zip(self.ids(), documents, strict=True):
            if document is None:
                found.append(None)
                continue
            found.append(self._collect(feed, document, known, cutoff))
            read[feed] = {
                path: superfeed.entry_date(each, self.now)[0] for each, path in found[-1] if path
            }
        for post in [p for p in known.posts.values() if p.feed not in known.listed]:
            known.drop(post.path)
        for post in superfeed.removals(known, cutoff, read) if cutoff else []:
            known.drop(post.path)
        self.posts = {path: known.posts[path] for path in sorted(known.posts)}
        return [document and [path for _, path in document] for document in found]

    def _collect(self, feed, document, known, cutoff):
        assigned = superfeed.assign(feed, document, known)
        own = [post for post in known.posts.values() if post.feed == feed]
        new = superfeed.additions(assigned, own, cutoff, self.now) if cutoff else assigned
        found = []
        for each in assigned:
            post = each.post
            if post:
                known.put(self._kept_up(each, feed))
            elif each in new:
                post = self._new(each, known)
                known.put(post)
            found.append((each.entry, post and post.path))
        return found

    def _kept_up(self, each, feed):
        post = replace(each.post, keys=each.keys, feed=each.feed)
        if post.feed != each.post.feed:
            post = replace(post, guid=each.entry.guid, title=each.entry.title)
        if post.keys != each.post.keys and post.feed == feed:
            post = replace(post, guid=each.entry.guid)
        if post.feed == feed and superfeed.update_of(
            each.entry, post.updated or post.date, self.now
        ):
            post = replace(post, title=each.entry.title, updated=each.entry.updated)
        return post

    def _new(self, each, known):
        date, undated = superfeed.entry_date(each.entry, self.now)
        path = superfeed.post_path("", each.entry, each.keys, date, known)
        updated = each.entry.updated if each.entry.published else None
        item = each.entry
        return Post(path, each.feed, each.keys, item.guid, item.title, date, updated, undated)
