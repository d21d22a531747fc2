"""Cloudflare's purge API, as far as superfeed needs it, and as strict."""

from __future__ import annotations

import json

from support.web import Web


class Cloudflare:
    """POST <url>/zones/<zone>/purge_cache with a bearer token and {"files": [...]} of at most 30
    addresses, or {"purge_everything": true}; anything else is refused as Cloudflare would.

    `env` has the token and CLOUDFLARE_API_URL; `purges` what was purged: lists of addresses, or
    "everything". `busy(times)` answers 429 with Retry-After first.
    """

    max_files = 30

    def __init__(self, zone="0123456789abcdef0123456789abcdef", token="cf-token-for-tests"):
        self.zone, self.token = zone, token
        self.web = Web(fallback=self._answer)
        self.url = self.web.url("/client/v4")
        self.env = {"CLOUDFLARE_API_TOKEN": token, "CLOUDFLARE_API_URL": self.url}
        self.purges: list[list[str] | str] = []
        self.refused: list[str] = []  # why, one for each request of a wrong form
        self._busy: list[int] = []
        self._broken = 0

    @property
    def requests(self):
        return self.web.requests

    def busy(self, times=1, retry_after=1):
        """The next requests get 429 and Retry-After."""
        self._busy += [retry_after] * times

    def broken(self, status=500):
        """Every request gets this status, until broken(0)."""
        self._broken = status

    def _answer(self, exchange):
        if self._busy:
            seconds = self._busy.pop(0)
            return self._say(exchange, 429, "Rate limited", {"Retry-After": seconds})
        if self._broken:
            return self._say(exchange, self._broken, "Internal error")
        if exchange.headers.get("Authorization") != f"Bearer {self.token}":
            return self._say(exchange, 403, "Authentication error")
        fault, purge = self._read(exchange)
        if fault:
            self.refused.append(fault)
            return self._say(exchange, 400, fault)
        self.purges.append(purge)
        return self._say(exchange, 200, "")

    def _read(self, exchange):
        """What is wrong with the request, or "" and what it purges."""
        path = f"/client/v4/zones/{self.zone}/purge_cache"
        if (exchange.command, exchange.path) != ("POST", path):
            return f"no such route: {exchange.command} {exchange.path}", None
        if exchange.headers.get("Content-Type", "").split(";")[0] != "application/json":
            return "Content-Type must be application/json", None
        try:
            asked = json.loads(exchange.asked.body)
        except ValueError:
            return "the body is no JSON", None
        if asked == {"purge_everything": True}:
            return "", "everything"
        files = asked.get("files") if isinstance(asked, dict) and len(asked) == 1 else None
        return self._fault_of(files), files

    def _fault_of(self, files):
        if not isinstance(files, list) or not 0 < len(files) <= self.max_files:
            return f"files must be a list of 1 to {self.max_files}"
        bad = [one for one in files if not str(one).startswith(("http://", "https://"))]
        return f"no address: {bad[0]}" if bad else ""

    def _say(self, exchange, status, fault, headers=()):
        errors = [{"code": 1000 + status, "message": fault}] if fault else []
        body = {"success": not fault, "errors": errors, "messages": [], "result": None}
        body["result"] = None if fault else {"id": self.zone}
        sent = {"Content-Type": "application/json"} | dict(headers)
        exchange.send(status, sent, json.dumps(body).encode())

    def close(self):
        self.web.close()
