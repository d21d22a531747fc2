"""A deploy against real S3 servers, a folder, and the caches in front, with requests counted."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import replace
from functools import partial

import pytest
from support.s3 import kms_etag, multipart_etag

import superfeed as sf

POST = "feeds/2026/11/a-post-0123456789ab/index.html"
OLD_POST = "feeds/2026/10/gone-ba9876543210/index.html"
FILES = {
    "css/style.css": "body {}",
    "about/index.html": "about",
    POST: "a post",
    "index.xml": "<rss/>",
    "index.html": "home",
}
ODD_KEYS = ("a b/c d.html", "ü/日本.html", "a+b.html", "100%.html", "a%20b.html", "q?x=1&y#z.html",
            "it's (1) ~_-.!*.html", ".well-known/security.txt", "deep/.nojekyll")  # fmt: skip
OPTIONS = sf.SyncOptions(section="feeds")
NOTHING = {"list": 1, "head": 1, "put": 0, "delete": 0}


@pytest.fixture
def public(tmp_path):
    folder = tmp_path / "public"
    for key, text in FILES.items():
        write(folder, key, text)
    return folder


@pytest.fixture
def credentials(bucket, monkeypatch):
    for name, value in bucket.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")


@pytest.fixture
def proxy(bucket, s3_proxy, credentials):
    return s3_proxy(bucket)


@pytest.fixture
def deploy(bucket, proxy, public):
    """deploy(**options) -> DeployResult, through the proxy; requests are counted anew."""

    def run(target=None, *, prefix="", acl="", **options):
        proxy.forget()
        spec = bucket.url + (f"/{prefix}" if prefix else "")
        made = target or sf.open_target(spec, public, endpoint_url=proxy.endpoint)
        wanted = replace(OPTIONS, acl=acl, **options)
        return sf.apply_plan(made, public, sf.plan_deploy(made, public, wanted))

    return run


def write(folder, key, text):
    path = folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def contents(bucket, prefix=""):
    return {key.removeprefix(prefix): bucket.text(key) for key in bucket.keys(prefix)}


def files_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


# -------------------------------------------------------------------- what is uploaded


def test_a_first_deploy_uploads_all(deploy, bucket, proxy):
    result = deploy()
    assert contents(bucket) == FILES
    assert (result.uploaded, result.deleted, result.unchanged) == (len(FILES), 0, 0)
    assert result.bytes == sum(map(len, FILES.values()))
    assert result.requests == {"list": 1, "head": 0, "put": len(FILES), "delete": 0}
    assert proxy.counts == {"LIST": 1, "PUT": len(FILES)}


def test_a_rebuild_that_changes_no_byte_uploads_nothing(deploy, public, proxy):
    deploy()
    for path in public.rglob("*"):
        os.utime(path, (1, 1))
    result = deploy()
    assert proxy.counts == {"LIST": 1, "HEAD": 1}
    assert result == sf.DeployResult(0, 0, len(FILES), 0, NOTHING)


def test_twenty_changed_files_are_twenty_uploads(deploy, public, proxy, bucket):
    for number in range(30):
        write(public, f"posts/{number}/index.html", f"post {number:02}")
    deploy()
    for number in range(10):
        write(public, f"posts/{number}/index.html", f"gone {number:02}")  # the same size
        write(public, f"posts/{number + 10}/index.html", f"a longer post {number}")
    assert deploy().uploaded == 20
    assert proxy.counts == {"LIST": 1, "HEAD": 1, "PUT": 20}
    assert contents(bucket) == files_of(public)


def test_more_than_a_thousand_objects_are_listed_page_by_page(deploy, public, proxy):
    for number in range(1100):
        write(public, f"a/{number}.txt", "x")
    deploy()
    assert deploy().requests == NOTHING | {"list": 2}
    assert proxy.counts == {"LIST": 2, "HEAD": 1}


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_keys_arrive_and_stay(deploy, public, bucket, key):
    write(public, key, key)
    deploy()
    assert bucket.text(key) == key
    assert deploy().uploaded == 0


def test_odd_keys_go_by_the_short_way(deploy, public, bucket, proxy):
    for key in ODD_KEYS:
        write(public, key, key)
    deploy()
    puts = [o for o in proxy.operations if o.kind == "PUT"]
    assert not [o.key for o in puts if "Boto3" in o.headers.get("user-agent", "")]
    assert contents(bucket).keys() == FILES.keys() | set(ODD_KEYS)


def test_a_name_that_is_no_utf8_is_refused_before_anything_is_uploaded(deploy, public, proxy):
    write(public, os.fsdecode(b"img/\xff.png"), "")
    with pytest.raises(sf.SuperfeedError, match=r"img/\\udcff\.png.* is no UTF-8"):
        deploy()
    assert not proxy.puts


def test_empty_files_arrive_and_stay(deploy, public, bucket):
    write(public, "empty.txt", "")
    deploy()
    assert bucket.text("empty.txt") == ""
    assert deploy().uploaded == 0


def test_large_files_are_streamed(deploy, public, bucket, monkeypatch):
    monkeypatch.setattr(sf, "SHORT_BODY_MAX_BYTES", 10)
    write(public, "video.mp4", "x" * 100_000)
    deploy()
    body, headers = bucket.get("video.mp4")
    assert body == b"x" * 100_000
    assert headers["content-type"] == "video/mp4"
    assert headers["x-amz-meta-superfeed-md5"] == hashlib.md5(body).hexdigest()
    assert deploy().uploaded == 0


def test_without_a_home_page_nothing_is_asked_or_done(deploy, public, proxy, bucket):
    bucket.put("index.html", "kept")
    (public / "index.html").unlink()
    with pytest.raises(sf.SuperfeedError, match=r"no index\.html"):
        deploy()
    assert not proxy.operations


def test_a_missing_build_is_refused(deploy, public, tmp_path):
    public.rename(tmp_path / "elsewhere")
    with pytest.raises(sf.SuperfeedError, match=r"no index\.html"):
        deploy(delete=True)


def test_a_folder_of_the_build_that_cannot_be_read_fails_the_deploy(public, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied", "public/x")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError):
        sf.local_files(public)


# -------------------------------------------------------------------- headers


def sent(proxy, key):
    return next(o.headers for o in proxy.operations if o.kind == "PUT" and o.key == key)


def test_every_object_has_its_type_and_its_cache_rule(deploy, bucket, public, proxy):
    write(public, "js/app-3f2a1b9c.js", "1")
    deploy()
    wanted = {
        POST: ("text/html; charset=utf-8", "public, max-age=0, must-revalidate"),
        "index.xml": ("application/xml; charset=utf-8", "public, max-age=0, must-revalidate"),
        "css/style.css": ("text/css; charset=utf-8", "public, max-age=86400"),
        "js/app-3f2a1b9c.js": (
            "text/javascript; charset=utf-8",
            "public, max-age=31536000, immutable",
        ),
    }
    got = {key: sent(proxy, key) for key in wanted}
    assert {k: (h["content-type"], h["cache-control"]) for k, h in got.items()} == wanted


def test_both_ways_of_uploading_send_the_same_headers(deploy, proxy, monkeypatch):
    names = ("content-type", "cache-control", "content-md5", "x-amz-acl",
             "x-amz-meta-superfeed-md5", "x-amz-meta-superfeed-rules")  # fmt: skip
    deploy(acl="private")
    short = {key: [sent(proxy, key).get(name) for name in names] for key in FILES}
    monkeypatch.setattr(sf, "SHORT_BODY_MAX_BYTES", -1)
    deploy(acl="private", prefix="long")
    assert "Boto3" in sent(proxy, "long/index.html")["user-agent"]
    long = {key: [sent(proxy, f"long/{key}").get(name) for name in names] for key in FILES}
    assert short == long
    assert all(long["index.html"])


def test_no_acl_is_sent_unless_asked_for(deploy, proxy):
    deploy()
    assert not [o for o in proxy.operations if "x-amz-acl" in o.headers]
    deploy(acl="public-read")
    puts = [o for o in proxy.operations if o.kind == "PUT"]
    assert len(puts) == len(FILES)
    assert {o.headers["x-amz-acl"] for o in puts} == {"public-read"}


def test_no_checksum_trailer_is_sent_to_another_server(deploy, proxy):
    deploy()
    names = {name for o in proxy.operations for name in o.headers}
    assert not {name for name in names if "checksum" in name or name == "x-amz-trailer"}


def test_changed_header_rules_upload_everything_once(deploy, proxy):
    deploy()
    assert deploy(purged=True).uploaded == len(FILES)
    assert sent(proxy, POST)["cache-control"].endswith("s-maxage=86400")
    assert deploy(purged=True).requests == NOTHING


def test_a_home_page_of_another_tool_makes_everything_new(deploy, bucket):
    for key, text in FILES.items():
        bucket.put(key, text)
    assert deploy().uploaded == len(FILES)
    assert deploy().uploaded == 0


# -------------------------------------------------------------------- etags that are no MD5


@pytest.mark.parametrize("etag", [kms_etag, multipart_etag])
def test_where_etags_are_no_md5_superfeeds_own_hash_decides(deploy, proxy, public, etag):
    proxy.rewrite_etag = etag
    deploy()
    assert deploy().uploaded == 0
    assert proxy.counts["HEAD"] == len(FILES) + 1
    write(public, POST, "b post")
    result = deploy()
    assert proxy.puts == [POST]
    assert (result.uploaded, result.unchanged) == (1, len(FILES) - 1)


def test_one_object_without_an_md5_costs_one_head(deploy, proxy, bucket, public):
    deploy()
    bucket.put("css/style.css", "body {}", Metadata={"superfeed-md5": "0" * 32})
    proxy.rewrite_etag = lambda tag: tag.replace(hashlib.md5(b"body {}").hexdigest(), "x-2")
    deploy()
    assert proxy.counts["HEAD"] == 2
    assert proxy.puts == ["css/style.css"]


# -------------------------------------------------------------------- prefix and deletions


def test_a_prefix_holds_the_whole_site_and_its_neighbours_are_left_alone(deploy, bucket):
    for key in ("blog.html", "blogs/index.html", OLD_POST, "other/" + OLD_POST):
        bucket.put(key, "a neighbour")
    bucket.put("blog/old.html", "old")
    bucket.put("blog/" + OLD_POST, "old")
    result = deploy(prefix="blog", delete=True)
    assert contents(bucket, "blog/") == FILES
    assert result.deleted == 2
    assert len(bucket.keys()) == len(FILES) + 4
    assert deploy(prefix="blog/").requests == NOTHING


def test_own_pages_that_are_gone_leave_the_target(deploy, bucket, public):
    deploy()
    bucket.put("strange.html", "not superfeed's")
    (public / POST).unlink()
    result = deploy()
    assert (result.deleted, result.uploaded) == (1, 0)
    assert bucket.keys() == sorted({*FILES, "strange.html"} - {POST})


def test_delete_has_its_guard(deploy, bucket, proxy, public):
    deploy()
    for number in range(3):
        bucket.put(f"strange {number}.html")
    write(public, "new.html", "new")
    with pytest.raises(sf.SuperfeedError, match="no more than 2") as failure:
        deploy(delete=True, max_delete=2)
    assert "--max-delete 3" in failure.value.hint
    assert proxy.counts == {"LIST": 1, "HEAD": 1}
    assert deploy(delete=True, max_delete=3).deleted == 3
    assert contents(bucket) == files_of(public)


def test_another_server_is_asked_to_delete_one_by_one(deploy, bucket, proxy):
    deploy()
    for number in range(5):
        bucket.put(f"strange {number}+ü.html")
    assert deploy(delete=True).requests["delete"] == 5
    assert (proxy.counts["DELETE"], proxy.counts["DELETES"]) == (5, 0)


def test_folder_markers_are_left_alone(deploy, moto, monkeypatch, public):
    bucket = moto.bucket()
    for name in ("p/", "p/old/"):
        bucket.put(name)
    target = sf.Bucket(bucket.name, "p", endpoint_url=bucket.endpoint)
    assert target.list() == {}


# -------------------------------------------------------------------- order and failures


@pytest.fixture
def wide(public):
    """A build with 20 files in each group."""
    for number in range(20):
        write(public, f"img/{number:02}.png", "image")
        write(public, f"posts/{number:02}/index.html", "page")
        write(public, f"posts/{number:02}/index.xml", "feed")
        write(public, f"lists/{number:02}/index.html", "list")
        write(public, f"lists/{number:02}/below/index.html", "page")
    return public


def rank(key):
    if key == "index.html":
        return 3
    if key.endswith((".png", ".css")):
        return 0
    is_list = key.endswith(".xml") or (key.startswith("lists") and "below" not in key)
    return 2 if is_list or key.startswith("posts") else 1


def test_a_group_starts_when_the_one_before_is_complete(deploy, wide, proxy, bucket):
    bucket.put(OLD_POST)
    deploy()
    order = [
        (o.kind == "DELETE", rank(o.key)) for o in proxy.operations if o.kind in ("PUT", "DELETE")
    ]
    assert order == sorted(order)
    assert proxy.operations[-1].kind == "DELETE"
    assert proxy.puts[-1] == "index.html"


@pytest.mark.parametrize("error", ["InternalError", "SlowDown", "reset", "ExpiredToken"])
def test_after_a_failed_upload_no_later_group_starts(deploy, wide, proxy, bucket, error):
    bucket.put(OLD_POST)
    proxy.fail("PUT", nth=6, error=error)
    with pytest.raises(sf.SuperfeedError) as failure:
        deploy()
    assert not {key for key in proxy.puts if rank(key) > 0}
    assert not proxy.deletes
    assert str(failure.value).startswith(f"s3://{bucket.name}/")
    proxy.heal()
    deploy()
    assert contents(bucket) == files_of(wide)
    assert deploy().requests == NOTHING


def test_the_first_failure_stops_its_own_group_too(deploy, public, proxy):
    for number in range(300):
        write(public, f"img/{number}.png", "image")
    proxy.fail("PUT", nth=6, error="AccessDenied")
    with pytest.raises(sf.SuperfeedError, match="AccessDenied"):
        deploy()
    assert len(proxy.puts) < 150


@pytest.mark.parametrize("error", ["InternalError", "SlowDown", "reset"])
def test_a_passing_fault_is_tried_again(deploy, proxy, bucket, error):
    proxy.fail("PUT", nth=3, error=error, times=2)
    deploy()
    assert contents(bucket) == FILES


def test_a_failure_among_the_pages_keeps_lists_and_home_back(deploy, wide, proxy, bucket):
    proxy.fail("PUT", match="about", error="AccessDenied")
    with pytest.raises(sf.SuperfeedError, match="AccessDenied") as failure:
        deploy()
    assert {rank(key) for key in proxy.puts} <= {0, 1}
    assert "s3:PutObject" in failure.value.hint


def test_a_failed_delete_fails_the_deploy_and_is_made_up_for(deploy, proxy, bucket):
    bucket.put(OLD_POST)
    proxy.fail("DELETE", error="AccessDenied")
    with pytest.raises(sf.SuperfeedError, match="AccessDenied"):
        deploy()
    proxy.heal()
    assert deploy().deleted == 1
    assert contents(bucket) == FILES


def test_a_change_of_rules_that_was_broken_off_goes_on(deploy, wide, proxy, bucket):
    deploy()
    proxy.fail("PUT", match="about")
    with pytest.raises(sf.SuperfeedError):
        deploy(purged=True)
    proxy.heal()
    deploy(purged=True)
    assert set(proxy.puts) == set(files_of(wide))


def test_a_refused_acl_is_named_with_its_cure(deploy, proxy):
    proxy.refuse_acl = True
    with pytest.raises(sf.SuperfeedError, match="AccessControlListNotSupported") as failure:
        deploy(acl="public-read")
    assert "--acl" in failure.value.hint


@pytest.mark.parametrize(
    ("change", "message", "cure"),
    [
        (
            {"AWS_ACCESS_KEY_ID": "wrong"},
            "InvalidAccessKeyId|AccessDenied",
            "AWS_ACCESS_KEY_ID|s3:",
        ),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_wrong_credentials_are_said_to_be_wrong(deploy, monkeypatch, change, message, cure):
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(sf.SuperfeedError, match=message) as failure:
        deploy()
    assert any(part in failure.value.hint for part in cure.split("|"))


def test_missing_credentials_are_said_to_be_missing(deploy, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(sf.SuperfeedError, match="credentials") as failure:
        deploy()
    assert "AWS_PROFILE" in failure.value.hint


def test_a_missing_bucket_is_named(proxy, public):
    target = sf.open_target("s3://no-such-bucket", public, endpoint_url=proxy.endpoint)
    with pytest.raises(sf.SuperfeedError, match="s3://no-such-bucket: NoSuchBucket") as failure:
        sf.plan_deploy(target, public, OPTIONS)
    assert "create the bucket" in failure.value.hint


def test_a_server_that_does_not_answer_is_named(credentials, public):
    target = sf.open_target("s3://a-bucket", public, endpoint_url="http://127.0.0.1:9")
    with pytest.raises(sf.SuperfeedError, match=r"127\.0\.0\.1:9") as failure:
        sf.plan_deploy(target, public, OPTIONS)
    assert "--endpoint-url" in failure.value.hint


def test_an_endpoint_that_is_no_address_is_refused(public, credentials):
    with pytest.raises(sf.ConfigError, match="endpoint"):
        sf.open_target("s3://bucket", public, endpoint_url="localhost")


@pytest.mark.parametrize("server", ["moto", "seaweed"])
def test_other_servers_hold_the_same_promises(request, server, deploy, public):
    bucket = request.getfixturevalue(server).bucket()
    for key in ODD_KEYS:
        write(public, key, key)
    target = sf.open_target(bucket.url, public, endpoint_url=bucket.endpoint)
    deploy(target)
    assert contents(bucket) == files_of(public)
    (public / POST).unlink()
    write(public, "a+b.html", "B+B.HTML")
    again = sf.open_target(bucket.url, public, endpoint_url=bucket.endpoint)
    result = deploy(again)
    assert (result.uploaded, result.deleted) == (1, 1)
    assert result.requests == {"list": 1, "head": 1, "put": 1, "delete": 1}
    assert contents(bucket) == files_of(public)


# -------------------------------------------------------------------- a folder


@pytest.fixture
def www(tmp_path):
    return tmp_path / "www"


@pytest.fixture
def copy(public, www):
    """copy(**options) -> DeployResult of a deploy into a folder."""

    def run(**options):
        target = sf.open_target(str(www), public)
        plan = sf.plan_deploy(target, public, replace(OPTIONS, **options))
        return sf.apply_plan(target, public, plan)

    return run


def test_a_folder_gets_the_site(copy, www, public):
    write(public, ".well-known/x", "")
    assert copy().uploaded == len(FILES) + 1
    assert files_of(www) == files_of(public)


def test_unchanged_files_of_a_folder_are_not_touched(copy, www, public):
    copy()
    os.utime(www / POST, ns=(1, 1))
    before = (www / POST).stat()
    write(public, "about/index.html", "ABOUT")
    result = copy(purged=True)
    assert (result.uploaded, result.unchanged) == (1, len(FILES) - 1)
    after = (www / POST).stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    assert (www / "about/index.html").read_text() == "ABOUT"


def test_unchanged_files_stay_untouched_when_the_home_page_is_missing(copy, www):
    copy()
    (www / "index.html").unlink()
    assert copy().uploaded == 1


def test_a_file_is_replaced_and_never_rewritten(copy, www, public):
    copy()
    with (www / "index.html").open() as reader:
        write(public, "index.html", "a new home page")
        copy()
        assert reader.read() == FILES["index.html"]
    assert (www / "index.html").read_text() == "a new home page"


def test_a_folder_keeps_strange_files_and_loses_own_pages(copy, www, public):
    copy()
    write(www, "strange/file.txt", "mine")
    write(www, OLD_POST, "old")
    assert copy().deleted == 1
    assert files_of(www) == FILES | {"strange/file.txt": "mine"}
    assert not (www / "feeds/2026/10").exists()
    assert (www / "feeds/2026/11").exists()


def test_delete_and_its_guard_hold_for_folders(copy, www):
    copy()
    for number in range(3):
        write(www, f"strange/{number}.txt", "mine")
    with pytest.raises(sf.SuperfeedError, match="3 objects"):
        copy(delete=True, max_delete=2)
    assert copy(delete=True).deleted == 3
    assert files_of(www) == FILES
    assert not (www / "strange").exists()


def test_a_half_written_file_of_a_killed_deploy_goes(copy, www):
    copy()
    write(www, "posts/.index.html.superfeed-tmp", "ha")
    assert copy().deleted == 1
    assert files_of(www) == FILES


def test_a_folder_that_cannot_be_written_fails_and_later_groups_do_not_start(copy, www):
    write(www, "css", "a file where a folder must be")
    with pytest.raises(FileExistsError, match="css"):
        copy()
    assert files_of(www).keys() == {"css"}


@pytest.mark.parametrize("spec", ["public", "public/www", "."])
def test_a_target_inside_the_build_or_around_it_is_refused(spec, public, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(sf.ConfigError, match="one another"):
        sf.open_target(spec, public)


# -------------------------------------------------------------------- dry run


def test_a_dry_deploy_says_everything_and_does_nothing(deploy, bucket, proxy, public, caplog):
    deploy()
    bucket.put(OLD_POST, "old")
    write(public, POST, "A POST")
    write(public, "new.html", "new")
    before = contents(bucket)
    caplog.clear()
    real = sf.open_target(bucket.url, public, endpoint_url=proxy.endpoint)
    with caplog.at_level("INFO", "superfeed.effect"):
        result = deploy(sf.DryTarget(real))
    said = [record.getMessage() for record in caplog.records if record.name == "superfeed.effect"]
    assert said == [f"upload {POST} (content)", "upload new.html (new)", f"delete {OLD_POST}"]
    assert contents(bucket) == before
    assert proxy.counts == {"LIST": 1, "HEAD": 1}
    assert (result.uploaded, result.deleted) == (2, 1)


# -------------------------------------------------------------------- purges


@pytest.fixture
def amazon(moto, monkeypatch):
    for name, value in moto.env.items():
        monkeypatch.setenv(name, value)
    return moto


def test_cloudfront_gets_the_changed_paths(amazon):
    distribution = amazon.distribution()
    paths = sf.purge_paths(["index.html", "ä b.css"])
    sf.purge_cloudfront(distribution, paths)
    sf.purge_cloudfront(distribution, paths)  # each is a request of its own
    wanted = ["/", "/index.html", "/%C3%A4%20b.css"]
    assert amazon.invalidations(distribution) == [wanted, wanted]


def test_cloudfront_gets_one_wildcard_above_15_paths(amazon):
    distribution = amazon.distribution()
    sf.purge_cloudfront(distribution, [f"/{number}" for number in range(15)])
    sf.purge_cloudfront(distribution, [f"/{number}" for number in range(16)])
    first, second = amazon.invalidations(distribution)
    assert (len(first), second) == (15, ["/*"])


def test_a_distribution_that_is_none_is_named(amazon):
    with pytest.raises(sf.SuperfeedError, match="CloudFront ENONE: NoSuchDistribution") as failure:
        sf.purge_cloudfront("ENONE", ["/"])
    assert "--cloudfront" in failure.value.hint


@pytest.fixture
def zone(cloudflare, monkeypatch):
    for name, value in cloudflare.env.items():
        monkeypatch.setenv(name, value)
    return partial(
        sf.purge_cloudflare, cloudflare.zone, cloudflare.token, "https://example.org/blog/"
    )


def test_cloudflare_gets_addresses_30_at_a_time(zone, cloudflare):
    zone([f"/blog/{number}" for number in range(61)])
    assert [len(batch) for batch in cloudflare.purges] == [30, 30, 1]
    assert cloudflare.purges[0][0] == "https://example.org/blog/0"


def test_cloudflare_purges_everything_above_300(zone, cloudflare):
    zone([f"/{number}" for number in range(300)])
    zone([f"/{number}" for number in range(301)])
    assert len(cloudflare.purges) == 11
    assert cloudflare.purges[10:] == ["everything"]


def test_cloudflares_pause_is_obeyed(zone, cloudflare):
    cloudflare.busy(times=2, retry_after=1)
    start = time.monotonic()
    zone(["/a"])
    assert time.monotonic() - start >= 2
    assert cloudflare.purges == [["https://example.org/a"]]


def test_a_pause_that_is_too_long_is_an_error(zone, cloudflare):
    cloudflare.busy(retry_after=3600)
    with pytest.raises(sf.SuperfeedError, match="a pause of 3600 s"):
        zone(["/a"])


def test_a_failed_purge_says_so_without_the_token(cloudflare, zone):
    with pytest.raises(sf.SuperfeedError, match="HTTP 403") as failure:
        sf.purge_cloudflare(cloudflare.zone, "a-wrong-token", "https://example.org/", ["/a"])
    assert "a-wrong-token" not in str(failure.value) + failure.value.hint
    cloudflare.broken(500)
    with pytest.raises(sf.SuperfeedError, match="HTTP 500"):
        zone(["/a"])


def test_a_purge_url_is_fetched(web):
    url = web.answer("/purge?key=secret", body=b"done")
    sf.call_hook("--purge-url", url)
    assert [asked.method for asked in web.asked("/purge?key=secret")] == ["GET"]


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_a_purge_url_that_fails_is_named_by_its_host_alone(web, status):
    url = web.answer("/purge?key=secret", status, {"Retry-After": "3600"})
    with pytest.raises(sf.SuperfeedError, match=rf"127\.0\.1\.1: HTTP {status}") as failure:
        sf.call_hook("--purge-url", url)
    assert "secret" not in str(failure.value) + failure.value.hint


def test_a_purge_url_nobody_answers_is_named_by_its_host_alone(web):
    with pytest.raises(sf.SuperfeedError, match="no answer") as failure:
        sf.call_hook("--purge-url", web.refused("/purge?key=secret"))
    assert "secret" not in str(failure.value) + failure.value.hint
    assert failure.value.__cause__ is None
