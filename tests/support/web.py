"""A real web on loopback: every feed may have an address of its own, every server its vices.

    web.feed("/a.xml", rss(items(3)), on=2).url     -> http://127.0.1.2:PORT/a.xml
    web.serve("/b.xml", in_turn(answer(500), answer(200, body=b"...")))
    web.asked("/a.xml")[0].headers["If-None-Match"]

A behaviour is any function that takes an `Exchange` (one request, and the means to answer it).
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import selectors
import socket
import ssl
import struct
import threading
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.message import Message
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler

import brotli

from support.certs import Certificates

try:
    from compression import zstd  # Python 3.14
except ImportError:
    from backports import zstd

AUTO = "auto"
RSS = "application/rss+xml; charset=utf-8"
REFUSED, DEAF = 254, 255  # hosts that are kept for two vices


@dataclass(frozen=True)
class Request:
    """One request as it came. `path` keeps its query, `headers` look up without regard to case."""

    host: str  # the address it arrived at: "127.0.1.2:8000"
    method: str
    path: str
    headers: Message
    body: bytes = b""
    at: float = field(default_factory=time.monotonic)


class StoppedError(ConnectionError):
    """The test is over, or the client has gone: whatever a behaviour was doing ends here."""


class Exchange(BaseHTTPRequestHandler):
    """One connection; `asked` is the request being answered."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    asked: Request

    def __init__(self, sock, peer, web, host):
        self.web, self.host = web, host
        super().__init__(sock, peer, web)

    def do_GET(self):
        self.asked = Request(self.host, self.command, self.path, self.headers, self._read_body())
        self._pending = True
        self.web.begin(self.asked)
        try:
            self.web.behaviour(self.asked)(self)
        finally:
            self.settle()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_GET

    def _read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def send(self, status=200, headers=(), body=b"", length=None):
        """Answer whole. `length` is a Content-Length that lies; -1 leaves it out and closes."""
        pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
        if length == -1:
            pairs.append(("Connection", "close"))
            self.close_connection = True
        elif status not in (204, 304) and not any(k.lower() == "content-length" for k, _ in pairs):
            pairs.append(("Content-Length", len(body) if length is None else length))
        lines = [f"HTTP/1.1 {status} {self.responses.get(status, ['So'])[0]}"]
        lines += [f"{name}: {value}" for name, value in pairs]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        self.settle()  # before the last byte: the client may ask again as soon as it has it
        self.raw(head if self.command == "HEAD" else head + body)

    def raw(self, data):
        """Bytes as they are."""
        if self.web.stopping.is_set():
            raise StoppedError
        self.wfile.write(data)

    def wait(self, seconds):
        """Sleep, but never longer than the test lasts."""
        if self.web.stopping.wait(seconds):
            raise StoppedError

    def hang_up(self, *, rudely=False):
        """Close after this answer; rudely: by a reset, as a crashed server does."""
        self.close_connection = True
        if rudely:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def settle(self):
        """Count this request as answered (once)."""
        if self._pending:
            self.web.end(self.asked)
            self._pending = False

    def log_message(self, *_):
        pass


Behaviour = Callable[[Exchange], None]

# ---------------------------------------------------------------- behaviours: what a server does


def answer(status=200, headers=(), body=b""):
    """Always the same answer."""
    return lambda exchange: exchange.send(status, headers, body)


def redirect(status, to):
    """301, 302, 307 or 308 to an address."""
    return answer(status, {"Location": to})


def gone():
    """410: the feed is no more."""
    return answer(410, {"Content-Type": "text/plain"}, b"Gone")


def busy(status=429, retry_after: int | datetime | str = 60):
    """429 or 503 with Retry-After: seconds, an aware datetime (sent as an HTTP date), or a text."""
    if isinstance(retry_after, datetime):
        retry_after = format_datetime(retry_after, usegmt=True)
    return answer(status, {"Retry-After": retry_after}, b"Slow down")


def page(href, kind="application/rss+xml", title="A page"):
    """An HTML page whose <link rel=alternate> names a feed."""
    link = f'<link rel="alternate" type="{kind}" title="Feed" href="{href}">'
    text = f"<!doctype html><html><head><title>{title}</title>{link}</head><body><p>Hi</p></body>"
    return answer(200, {"Content-Type": "text/html; charset=utf-8"}, text.encode())


def in_turn(*behaviours: Behaviour):
    """The first behaviour for the first request, and so on; the last one stays."""
    left, lock = list(behaviours), threading.Lock()

    def act(exchange):
        with lock:
            behaviour = left.pop(0) if len(left) > 1 else left[0]
        behaviour(exchange)

    return act


def late(seconds, then: Behaviour):
    """Latency before the answer."""

    def act(exchange):
        exchange.wait(seconds)
        then(exchange)

    return act


def basic_auth(user, password, then: Behaviour):
    """401 without the right password."""
    right = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def act(exchange):
        if exchange.headers.get("Authorization") == right:
            return then(exchange)
        return exchange.send(401, {"WWW-Authenticate": 'Basic realm="feeds"'}, b"Who are you?")

    return act


def drip(body=b"<rss>", every_s=1.0, *, headers=False):
    """One byte at a time: of the body, or already of the headers. It never gets to an end."""

    def act(exchange):
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {RSS}\r\n".encode()
        if not headers:
            exchange.raw(head + b"Content-Length: 1000000\r\n\r\n")
        drops = b"HTTP/1.1 200 OK\r\nX-Drip: " if headers else body
        while True:
            for byte in drops:
                exchange.raw(bytes([byte]))
                exchange.wait(every_s)
            drops = b"x"

    return act


def silent(exchange):
    """The request is read, headers never come."""
    exchange.wait(3600)


def stall(body, after):
    """`after` bytes of the body come, the rest never."""

    def act(exchange):
        exchange.raw(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        exchange.raw(body[:after])
        exchange.wait(3600)

    return act


def endless(start=b"<rss version='2.0'><channel><title>"):
    """A body without an end, as fast as it is read."""

    def act(exchange):
        exchange.send(200, {"Content-Type": RSS}, start, length=-1)
        while True:
            exchange.raw(b"and on " * 9000)

    return act


@functools.lru_cache
def _bomb(size_mb):
    packer = zlib.compressobj(1, wbits=31)
    return b"".join([packer.compress(bytes(1 << 20)) for _ in range(size_mb)] + [packer.flush()])


def gzip_bomb(size_mb=200):
    """A small gzip body that grows to `size_mb` MiB."""
    return lambda exchange: exchange.send(
        200, {"Content-Type": RSS, "Content-Encoding": "gzip"}, _bomb(size_mb)
    )


def cut_short(body, missing=100):
    """Content-Length promises `missing` bytes more than come."""

    def act(exchange):
        exchange.send(200, {"Content-Type": RSS}, body, length=len(body) + missing)
        exchange.hang_up()

    return act


def false_gzip(body):
    """Content-Encoding says gzip, the body is plain."""
    return answer(200, {"Content-Type": RSS, "Content-Encoding": "gzip"}, body)


ENCODERS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "raw-deflate": lambda data: zlib.compress(data)[2:-4],  # what some servers call deflate
    "br": brotli.compress,
    "zstd": zstd.compress,
}


def encoded(body, encoding):
    """A body in gzip, deflate (zlib), raw-deflate, br or zstd."""
    name = encoding.removeprefix("raw-")
    headers = {"Content-Type": RSS, "Content-Encoding": name}
    return answer(200, headers, ENCODERS[encoding](body))


def reset(exchange):
    """The connection is reset instead of an answer."""
    exchange.hang_up(rudely=True)


def hang_up(exchange):
    """The connection is closed politely, without an answer."""
    exchange.hang_up()


@dataclass
class ServedFeed:
    """A feed as a good server serves it: 304 for its validators byte for byte.

    Change `body` and the automatic etag changes with it; etag=None sends none.
    """

    url: str
    body: bytes | str
    content_type: str = RSS
    etag: str | None = AUTO
    last_modified: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    encoding: str = ""  # one of ENCODERS

    def __call__(self, exchange):
        body = self.body.encode() if isinstance(self.body, str) else self.body
        etag = self.etag
        if etag == AUTO:
            etag = f'"{hashlib.md5(body).hexdigest()[:12]}"'
        headers = dict(self.headers)
        headers |= {"ETag": etag} if etag else {}
        headers |= {"Last-Modified": self.last_modified} if self.last_modified else {}
        if self._is_current(exchange.headers, etag):
            return exchange.send(304, headers)
        if self.encoding:
            headers["Content-Encoding"] = self.encoding.removeprefix("raw-")
            body = ENCODERS[self.encoding](body)
        return exchange.send(200, {"Content-Type": self.content_type} | headers, body)

    def _is_current(self, asked, etag):
        if "If-None-Match" in asked:  # RFC 9110 13.2.2: then the date does not count
            return asked["If-None-Match"] == etag
        since = asked["If-Modified-Since"]
        return since is not None and since == self.last_modified


# ---------------------------------------------------------------- the web


class Web:
    """All hosts 127.0.1.n on one port. Close it after use.

    `tls` in the methods below: "good" (trusted by `web.ca`), "wrong-host", "expired" or
    "self-signed"; "" is plain http.
    """

    def __init__(self, certificates: Certificates | None = None, fallback=None):
        self.certificates = certificates
        self.fallback = fallback or answer(404, body=b"Nothing here")
        self.requests: list[Request] = []
        self.errors: list[str] = []  # faults of the behaviours themselves
        self.stopping = threading.Event()
        self._routes: dict[tuple[str, str], Behaviour] = {}
        self._hosts: dict[tuple[int, str], str] = {}
        self._listeners: list[socket.socket] = []
        self._idle: list[socket.socket] = []  # bound, but nobody answers
        self._open: set[socket.socket] = set()
        self._now: Counter[str] = Counter()
        self._peak: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._port = 0  # chosen by the system with the first host, then the same for all
        threading.Thread(target=self._accept, daemon=True).start()

    # -- addresses

    def host(self, on=1, tls=""):
        """host(3) -> "127.0.1.3:PORT", and from now on it listens."""
        if (on, tls) not in self._hosts:
            listener = self._bind(on, tls)
            listener.listen(512)
            self._hosts[on, tls] = host = "{}:{}".format(*listener.getsockname())
            context = self.certificates.server_context(tls) if tls else None
            self._listeners.append(listener)
            self._selector.register(listener, selectors.EVENT_READ, (host, context))
        return self._hosts[on, tls]

    def url(self, path="/", on=1, tls=""):
        """The address of a path, whether something is served there or not."""
        return f"{'https' if tls else 'http'}://{self.host(on, tls)}{path}"

    def refused(self, path="/feed.xml"):
        """An address where connections are refused."""
        sock = self._bind(REFUSED)
        self._idle.append(sock)  # bound, so that nobody else gets the port
        return "http://{}:{}{}".format(*sock.getsockname(), path)

    def deaf(self, path="/feed.xml"):
        """An address where connecting never ends (its queue is full; Linux)."""
        sock = self._bind(DEAF)
        sock.listen(0)
        self._idle.append(sock)
        for _ in range(3):
            client = socket.socket()
            client.settimeout(0)
            client.connect_ex(sock.getsockname())
            self._idle.append(client)
        return "http://{}:{}{}".format(*sock.getsockname(), path)

    def _bind(self, on, tls=""):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        shared = not tls and on not in (REFUSED, DEAF)
        try:
            sock.bind((f"127.0.{1 + on // 256}.{on % 256}", self._port if shared else 0))
        except OSError:  # macOS has 127.0.0.1 alone: there each host is a port
            sock.bind(("127.0.0.1", 0))
        if shared and not self._port:
            self._port = sock.getsockname()[1]
        return sock

    # -- what is served

    def serve(self, path, behaviour: Behaviour, on=1, tls="") -> str:
        """Let a behaviour answer at a path; returns the address. Serving again replaces it."""
        self._routes[self.host(on, tls), path] = behaviour
        return self.url(path, on, tls)

    def feed(self, path, body: bytes | str = b"", on=1, tls="", **fields) -> ServedFeed:
        """Serve a feed; the result has `.url`, and its fields may be changed any time."""
        feed = ServedFeed(self.url(path, on, tls), body, **fields)
        self.serve(path, feed, on, tls)
        return feed

    def answer(self, path, status=200, headers=(), body=b"", on=1) -> str:
        """Serve a fixed answer; returns the address. Good enough to record pings and purges."""
        return self.serve(path, answer(status, headers, body), on)

    def behaviour(self, asked: Request) -> Behaviour:
        """Who answers this request: the route with its query, else without, else the fallback."""
        routes = self._routes
        bare = routes.get((asked.host, asked.path.split("?")[0]), self.fallback)
        return routes.get((asked.host, asked.path), bare)

    # -- what was asked

    def asked(self, path=None, on=None) -> list[Request]:
        """The requests for a path (its query may be left out), to a host, or all of them."""
        hosts = {host for (n, _), host in self._hosts.items() if on in (n, None)}
        with self._lock:
            found = [request for request in self.requests if request.host in hosts]
        return [r for r in found if path in (None, r.path, r.path.split("?")[0])]

    def peak(self, on=1) -> int:
        """The most requests this host ever had at the same time."""
        return self._peak[self._hosts[on, ""]]

    def forget(self):
        """Start counting and recording anew; what is served stays."""
        with self._lock:
            self.requests.clear()
            self._peak.clear()

    @property
    def ca(self):
        """The certificate file that makes `tls="good"` good: put it into SSL_CERT_FILE."""
        return self.certificates.ca_file

    # -- the machinery

    def begin(self, asked):
        with self._lock:
            self.requests.append(asked)
            self._now[asked.host] += 1
            self._peak[asked.host] = max(self._peak[asked.host], self._now[asked.host])

    def end(self, asked):
        with self._lock:
            self._now[asked.host] -= 1

    def _accept(self):
        while not self.stopping.is_set():
            for key, _ in self._selector.select(0.05):
                try:
                    sock, peer = key.fileobj.accept()
                except OSError:
                    continue
                threading.Thread(
                    target=self._talk, args=(sock, peer, *key.data), daemon=True
                ).start()

    def _talk(self, sock, peer, host, context: ssl.SSLContext | None):
        with self._lock:
            self._open.add(sock)
        raw = sock
        try:
            if context:
                sock = context.wrap_socket(sock, server_side=True)
            Exchange(sock, peer, self, host)
        except (OSError, ValueError):
            pass  # the client has gone, or the test is over
        except Exception:  # noqa: BLE001 - a fault of a behaviour: shown when the test ends
            self.errors.append(traceback.format_exc())
        finally:
            sock.close()
            with self._lock:
                self._open.discard(raw)

    def close(self):
        """End all that still goes on, and free the ports."""
        self.stopping.set()
        for sock in [*self._listeners, *self._idle]:
            sock.close()
        with self._lock:
            for sock in self._open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue


def seen(requests: Iterable[Request]) -> list[tuple[str, str]]:
    """Method and path of each: short enough for an assert."""
    return [(request.method, request.path) for request in requests]
