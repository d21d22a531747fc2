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
import logging
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

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
