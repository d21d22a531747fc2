"""Buckets on real servers (rclone, moto), and a proxy that counts and breaks what passes."""

from __future__ import annotations

import functools
import http.client
import json
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from support.web import Web

KEY, SECRET, REGION = "rigkey", "rigsecretrigsecret", "us-east-1"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": REGION,
}


def aws(service, endpoint, **options):
    """A boto3 client of a test server."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,
        endpoint_url=endpoint,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name=REGION,
        config=Config(
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"},
        ),
        **options,
    )


@functools.cache
def _s3(endpoint):
    return aws("s3", endpoint)


class Bucket:
    """A bucket of its own. `url` is for --deploy, `endpoint` for --endpoint-url, `env` to sign.

    Its own calls go straight to the server: they are never counted by a proxy.
    """

    def __init__(self, server: str, name=""):
        self.name = name or f"site-{uuid.uuid4().hex[:12]}"
        self.url = f"s3://{self.name}"
        self.server = self.endpoint = server
        self.env = dict(CREDENTIALS)
        self.client = _s3(server)
        self.client.create_bucket(Bucket=self.name)

    def listing(self, prefix="") -> dict[str, str]:
        """Key -> etag without its quotes, of all objects."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=prefix
        )
        return {
            found["Key"]: found["ETag"].strip('"')
            for page in pages
            for found in page.get("Contents", ())
        }

    def keys(self, prefix="") -> list[str]:
        """All keys, sorted."""
        return sorted(self.listing(prefix))

    def get(self, key) -> tuple[bytes, dict[str, str]]:
        """Body and headers, the names of the headers in small letters."""
        found = self.client.get_object(Bucket=self.name, Key=key)
        headers = found["ResponseMetadata"]["HTTPHeaders"]
        return found["Body"].read(), {name.lower(): value for name, value in headers.items()}

    def text(self, key) -> str:
        return self.get(key)[0].decode()

    def put(self, key, body: bytes | str = b"", **fields):
        """Put an object; `fields` as boto3 has them (ContentType=...)."""
        data = body.encode() if isinstance(body, str) else body
        self.client.put_object(Bucket=self.name, Key=key, Body=data, **fields)

    def delete(self, *keys):
        for key in keys:
            self.client.delete_object(Bucket=self.name, Key=key)


def tool(name):
    """A program that came with a wheel, or the machine's; None when there is none."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


class Server:
    """A server process: `endpoint` once it is ready. One per session, a bucket per test."""

    def __init__(self, command, folder: Path, ready: str):
        self._log = folder / "server.log"
        with self._log.open("wb") as out:
            self.process = subprocess.Popen(
                command,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
            )
        self.endpoint = self._address(ready)

    def _address(self, ready, seconds=30) -> str:
        """What its log says by the pattern `ready`; the whole log when it does not start."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            if found := re.search(ready, self._log.read_text()):
                return found[1]
            time.sleep(0.02)
        raise RuntimeError(f"{self.process.args} did not start: {self._log.read_text()[-2000:]}")

    def bucket(self, name="") -> Bucket:
        return Bucket(self.endpoint, name)

    def close(self):
        self.process.kill()  # SeaweedFS takes half a minute to end politely
        self.process.wait(20)


def rclone_server(folder: Path) -> Server:
    """`rclone serve s3`: checks signatures, pages at 1,000; etags unquoted in lists."""
    (folder / "data").mkdir()
    command = [tool("rclone"), "serve", "s3", "--addr", "127.0.0.1:0"]
    command += ["--auth-key", f"{KEY},{SECRET}", "--vfs-cache-mode", "writes"]
    command += ["--vfs-write-back", "0", "--cache-dir", folder / "cache", folder / "data"]
    return Server(command, folder, r"Starting s3 server on \[(http://[^/\]]+)")


def seaweed_server(folder: Path) -> Server:
    """SeaweedFS: lists keys in the order of a directory tree, quotes its etags."""
    keys = {"accessKey": KEY, "secretKey": SECRET}
    rig = {"name": "rig", "credentials": [keys], "actions": ["Admin", "Read", "Write", "List"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [rig]}))
    (folder / "data").mkdir()
    ports = dict(zip(["master", "volume", "filer", "s3"], free_ports(4), strict=True))
    command = [tool("weed"), "-logtostderr=true", "server", f"-dir={folder / 'data'}"]
    command += [f"-{name}.port={port}" for name, port in ports.items()]
    command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-volume.max=500"]
    command += [f"-s3.config={folder / 's3.json'}", "-master.volumeSizeLimitMB=64"]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false"]
    command += ["-master.telemetry=false"]
    server = Server(command, folder, r"Start Seaweed S3 API Server .* at http port (\d+)")
    server.endpoint = f"http://127.0.0.1:{server.endpoint}"
    return server


def free_ports(count) -> list[int]:
    """Ports that are free, and 10,000 above them too (where SeaweedFS puts its gRPC)."""
    found, held = [], []
    while len(found) < count:
        low, high = socket.socket(), socket.socket()
        held += [low, high]
        try:
            port = random.randrange(11_000, 22_000)
            low.bind(("127.0.0.1", port))
            high.bind(("127.0.0.1", port + 10_000))
        except OSError:
            continue
        found.append(port)
    for sock in held:
        sock.close()
    return found


class Moto:
    """The rest of AWS, and S3 as AWS means it: moto's server, in this process.

    `env` holds credentials and the endpoints of CloudFront, Secrets Manager, SSM and STS;
    for S3 take `bucket()` and its endpoint.
    """

    services = ("CLOUDFRONT", "SECRETS_MANAGER", "SSM", "STS")

    def __init__(self):
        from moto.server import ThreadedMotoServer

        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        self.endpoint = "http://{}:{}".format(*self._server.get_host_and_port())
        endpoints = {f"AWS_ENDPOINT_URL_{name}": self.endpoint for name in self.services}
        self.env = CREDENTIALS | endpoints

    def client(self, service):
        return aws(service, self.endpoint)

    def bucket(self, name="") -> Bucket:
        return Bucket(self.endpoint, name)

    def distribution(self) -> str:
        """Make a CloudFront distribution: its id."""
        origin = {"Id": "o", "DomainName": "o.s3.amazonaws.com", "S3OriginConfig": {}}
        origin["S3OriginConfig"]["OriginAccessIdentity"] = ""
        config = {
            "CallerReference": uuid.uuid4().hex,
            "Origins": {"Quantity": 1, "Items": [origin]},
            "DefaultCacheBehavior": {"TargetOriginId": "o", "ViewerProtocolPolicy": "allow-all"},
            "Comment": "",
            "Enabled": True,
        }
        made = self.client("cloudfront").create_distribution(DistributionConfig=config)
        return made["Distribution"]["Id"]

    def invalidations(self, distribution) -> list[list[str]]:
        """The paths of every invalidation that was made, oldest first."""
        cloudfront = self.client("cloudfront")
        listed = cloudfront.list_invalidations(DistributionId=distribution)["InvalidationList"]
        found = [
            cloudfront.get_invalidation(DistributionId=distribution, Id=item["Id"])["Invalidation"]
            for item in listed.get("Items", ())
        ]
        found.sort(key=lambda one: one["CreateTime"])
        return [one["InvalidationBatch"]["Paths"]["Items"] for one in found]

    def secret(self, name, value) -> str:
        """A secret in Secrets Manager: its ARN."""
        return self.client("secretsmanager").create_secret(Name=name, SecretString=value)["ARN"]

    def parameter(self, name, value) -> str:
        """A SecureString in SSM's parameter store: its ARN."""
        ssm = self.client("ssm")
        ssm.put_parameter(Name=name, Value=value, Type="SecureString")
        return ssm.get_parameter(Name=name)["Parameter"]["ARN"]

    def forget(self):
        """Back to an empty account."""
        with closing(_connect(self.endpoint)) as connection:
            connection.request("POST", "/moto-api/reset")
            connection.getresponse().read()

    def close(self):
        self._server.stop()


# ---------------------------------------------------------------- the proxy

ERRORS = {  # what S3 answers, with its status
    "InternalError": 500,
    "SlowDown": 503,
    "ExpiredToken": 400,
    "AccessDenied": 403,
    "AccessControlListNotSupported": 400,
}


@dataclass(frozen=True)
class Operation:
    """One request that passed (or was made to fail: then `status` is the fault's, 0 a reset)."""

    kind: str  # LIST HEAD GET PUT DELETE, DELETES (many in one), BUCKET (all else)
    key: str
    headers: dict[str, str]  # as sent, names in small letters
    status: int
    body: bytes = b""


@dataclass
class Fault:
    kind: str
    nth: int
    error: str
    match: str
    times: float
    key: str | None = None
    seen: int = 0

    def strikes(self, kind, key) -> bool:
        """Whether this request fails: the nth of its kind, and every retry of that key."""
        if kind != self.kind or not re.search(self.match, key):
            return False
        if self.key is None:
            self.seen += 1
            if self.seen < self.nth:
                return False
            self.key = key
        if key != self.key or self.times <= 0:
            return False
        self.times -= 1
        return True


class S3Proxy:
    """In front of rclone or moto: `endpoint` in the place of theirs (Host is kept: SigV4 holds).

    proxy.counts["PUT"], proxy.puts, proxy.operations; proxy.fail("PUT", nth=6, error="SlowDown");
    proxy.refuse_acl = True; proxy.rewrite_etag = kms_etag; proxy.forget() to count anew.
    """

    def __init__(self, upstream: str):
        self.upstream = upstream
        self.operations: list[Operation] = []
        self.refuse_acl = False
        self.rewrite_etag: Callable[[str], str] | None = None
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._local = threading.local()
        self.web = Web(fallback=self._pass)
        self.endpoint = f"http://{self.web.host()}"

    @property
    def counts(self) -> Counter[str]:
        """How many of each kind were sent, retries and failures too."""
        return Counter(operation.kind for operation in self.operations)

    @property
    def puts(self) -> list[str]:
        """The keys that were uploaded with success, in the order of completion."""
        return [o.key for o in self.operations if o.kind == "PUT" and o.status == 200]

    @property
    def deletes(self) -> list[str]:
        """The keys that were deleted (one by one, or in a batch)."""
        found = []
        for operation in self.operations:
            found += [operation.key] if operation.kind == "DELETE" else []
            if operation.kind == "DELETES":
                found += re.findall(r"<Key>([^<]*)</Key>", operation.body.decode())
        return found

    def fail(self, kind, nth=1, error="InternalError", match="", times=float("inf")):
        """Let the nth request of a kind fail, its retries too (at most `times` in all).

        `error` is one of ERRORS, or "reset"; `match` a pattern the key must have to be counted.
        """
        self._faults.append(Fault(kind, nth, error, match, times))

    def heal(self):
        """No faults any more."""
        self._faults.clear()
        self.refuse_acl, self.rewrite_etag = False, None

    def forget(self):
        """Start counting and recording anew; faults stay."""
        self.operations.clear()

    def _pass(self, exchange):
        kind, key = classify(exchange.asked)
        headers = {name.lower(): value for name, value in exchange.headers.items()}
        error = self._fault(kind, key, headers)
        if error:
            status, sent, body = ERRORS.get(error, 0), {"Content-Type": "application/xml"}, b""
            if status:
                body = f"<Error><Code>{error}</Code><Message>{error}</Message></Error>".encode()
        else:
            status, sent, body = self._forward(exchange)
        small = b"" if kind == "PUT" else exchange.asked.body
        self.operations.append(Operation(kind, key, headers, status, small))
        if status:
            exchange.send(status, sent, body)
        else:
            exchange.hang_up(rudely=True)

    def _fault(self, kind, key, headers) -> str:
        if self.refuse_acl and "x-amz-acl" in headers:
            return "AccessControlListNotSupported"
        with self._lock:
            return next((fault.error for fault in self._faults if fault.strikes(kind, key)), "")

    def _forward(self, exchange):
        asked = exchange.asked
        upstream = getattr(self._local, "connection", None)  # a thread is a client's connection
        if upstream is None:
            upstream = self._local.connection = _connect(self.upstream)
        upstream.putrequest(asked.method, asked.path, skip_host=True, skip_accept_encoding=True)
        for name, value in asked.headers.items():
            if name.lower() not in ("connection", "expect", "transfer-encoding"):
                upstream.putheader(name, value)
        upstream.endheaders(asked.body)
        answer = upstream.getresponse()
        body = answer.read()
        hop = ("connection", "keep-alive", "transfer-encoding", "date", "server")
        headers = [(k, v) for k, v in answer.getheaders() if k.lower() not in hop]
        if asked.method != "HEAD":
            headers = [(k, v) for k, v in headers if k.lower() != "content-length"]
        return (answer.status, *self._rewritten(headers, body))

    def _rewritten(self, headers, body):
        change = self.rewrite_etag
        if not change:
            return headers, body
        headers = [(k, change(v) if k.lower() == "etag" else v) for k, v in headers]
        in_list = re.compile(rb"(?<=<ETag>)[^<]+(?=</ETag>)")
        return headers, in_list.sub(lambda tag: change(tag[0].decode()).encode(), body)

    def close(self):
        self.web.close()


def kms_etag(etag: str) -> str:
    """An etag as KMS encryption gives it: 32 hex, but no MD5 of the content."""
    return re.sub(r"[0-9a-f]{32}", lambda found: found[0][::-1], etag)


def multipart_etag(etag: str) -> str:
    """An etag as a multipart upload gives it."""
    return re.sub(r"([0-9a-f]{32})", r"\1-2", etag)


def classify(asked) -> tuple[str, str]:
    """The kind of an S3 request in path style, and its key."""
    parts = urlsplit(asked.path)
    query = parse_qs(parts.query, keep_blank_values=True)
    _, _, key = unquote(parts.path).lstrip("/").partition("/")
    if key:
        return asked.method, key
    if asked.method == "POST" and "delete" in query:
        return "DELETES", ""
    if asked.method == "GET" and query.keys() <= LIST_QUERY:
        return "LIST", query.get("prefix", [""])[0]
    return "BUCKET", ""


LIST_QUERY = {
    "list-type", "prefix", "encoding-type", "max-keys", "continuation-token", "delimiter",
    "start-after", "fetch-owner", "marker",
}  # fmt: skip


def _connect(endpoint):
    return http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=30)
