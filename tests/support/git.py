"""A git origin that holds somebody's Hugo site, and a smart-HTTP server with a password."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from pathlib import Path

from support.web import Web, answer, redirect, silent

ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    **{f"GIT_{who}_NAME": "Owner" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "owner@owner.example" for who in ("AUTHOR", "COMMITTER")},
}


def git(*argv, cwd=None, **env) -> str:
    """Run git apart from the machine's settings; its output, or an error with its words."""
    done = subprocess.run(
        ["git", *map(str, argv)], cwd=cwd, env=ENV | env, capture_output=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"git {argv}: {done.stderr.decode()}")
    return done.stdout.decode()


class Origin:
    """A bare repository, as a host would keep it (partial clones allowed).

    One that exists at `path` is taken as it is; else one is made, empty or with a first commit
    of the files in `template`.
    """

    def __init__(self, path: Path, template: Path | None = None, branch="main"):
        self.path, self.branch = path, branch
        if path.exists():
            return
        git("init", "-q", "--bare", "-b", branch, path)
        for key in ("allowFilter", "allowAnySHA1InWant"):
            git("config", f"uploadpack.{key}", "true", cwd=path)
        if template:
            files = (file for file in template.rglob("*") if file.is_file())
            self.commit(
                {file.relative_to(template).as_posix(): file.read_bytes() for file in files},
                "The site as its owner made it",
            )

    @property
    def url(self) -> str:
        return self.path.as_uri()

    @property
    def _desk(self) -> Path:
        return self.path.with_name(self.path.name + "-rival")  # where commits are made

    def head(self, ref="") -> str:
        """The commit a branch points to; "" when there is none."""
        try:
            return git("rev-parse", "--verify", "-q", ref or self.branch, cwd=self.path).strip()
        except RuntimeError:
            return ""

    def log(self, ref="", form="%s") -> list[str]:
        """The subjects of the commits, newest first; `form` as in git log --format."""
        return git("log", f"--format={form}", ref or self.branch, cwd=self.path).splitlines()

    def files(self, below="", ref="") -> list[str]:
        """The paths of all files, or of those below a folder."""
        listed = git("ls-tree", "-rz", "--name-only", ref or self.branch, cwd=self.path)
        return [path for path in listed.split("\0") if path and path.startswith(below)]

    def read(self, path, ref="") -> str:
        return git("show", f"{ref or self.branch}:{path}", cwd=self.path)

    def changed(self, since, ref="") -> list[str]:
        """The paths that differ between a commit and now."""
        span = f"{since}..{ref or self.branch}"
        return git("diff", "--name-only", "--no-renames", span, cwd=self.path).splitlines()

    def commit(self, files: dict[str, str | bytes | None], message="A change by a rival") -> str:
        """Push a commit from a clone of somebody else's; None removes a file. Returns its sha."""
        if not self._desk.exists():
            git("clone", "-q", self.path, self._desk)
            git("symbolic-ref", "HEAD", f"refs/heads/{self.branch}", cwd=self._desk)
        if self.head():
            git("fetch", "-q", cwd=self._desk)
            git("reset", "-q", "--hard", f"origin/{self.branch}", cwd=self._desk)
        for name, content in files.items():
            path = self._desk / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        git("add", "-A", cwd=self._desk)
        git("commit", "-q", "-m", message, cwd=self._desk)
        git("push", "-q", "origin", f"HEAD:{self.branch}", cwd=self._desk)
        return self.head()

    def clone(self, to: Path) -> Path:
        """A plain checkout, to look at or to build."""
        git("clone", "-q", self.path, to)
        return to

    def copy(self, path: Path) -> Origin:
        """The same repository again, at another place (much quicker than making one)."""
        shutil.copytree(self.path, path)
        return Origin(path, branch=self.branch)


class GitHttp:
    """`git http-backend` with basic auth: the password must be `token`, the user may be any.

    `url` is the clone address; `requests` have the headers as sent. `hang()`, `refuse(403)` and
    `redirect(url)` last until `heal()`; `behaviour` takes any other of support.web.
    """

    def __init__(self, origin: Origin, token: str):
        self.origin, self.token = origin, token
        self.behaviour = None
        self.web = Web(fallback=self._serve)
        self.url = self.web.url(f"/{origin.path.name}")

    @property
    def requests(self):
        return self.web.requests

    def passwords(self) -> set[str]:
        """Every user:password that was ever sent here."""
        sent = {request.headers.get("Authorization", "") for request in self.requests} - {""}
        return {base64.b64decode(value.split()[1]).decode() for value in sent}

    def heal(self):
        """In good health again."""
        self.behaviour = None

    def hang(self):
        """From now on nothing is answered."""
        self.behaviour = silent

    def refuse(self, status=403):
        """From now on every request gets this status."""
        self.behaviour = answer(status, body=b"No")

    def redirect(self, to: str):
        """From now on everything is redirected below another repository address."""
        prefix = f"/{self.origin.path.name}"

        def act(exchange):
            redirect(302, to + exchange.path.removeprefix(prefix))(exchange)

        self.behaviour = act

    def _serve(self, exchange):
        if self.behaviour:
            return self.behaviour(exchange)
        sent = exchange.headers.get("Authorization", "")
        user, _, password = base64.b64decode(sent.partition(" ")[2]).decode().partition(":")
        if password != self.token:
            return exchange.send(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"Who are you?")
        return self._backend(exchange, user)

    def _backend(self, exchange, user):
        path, _, query = exchange.path.partition("?")
        env = ENV | {
            "GIT_PROJECT_ROOT": str(self.origin.path.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REMOTE_USER": user or "somebody",
            "REMOTE_ADDR": exchange.client_address[0],
            "REQUEST_METHOD": exchange.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": exchange.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(exchange.asked.body)),
            "HTTP_CONTENT_ENCODING": exchange.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": exchange.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"],
            input=exchange.asked.body,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n") if line]
        status = int(dict(headers).get("Status", "200").split()[0])
        return exchange.send(status, [(k, v) for k, v in headers if k != "Status"], body)

    def close(self):
        self.web.close()
