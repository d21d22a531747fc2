"""feeds.txt, and what examples/ holds for a machine of one's own: each loaded by its reader."""

import configparser
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from support.feedmaker import items, rss
from support.s3 import free_ports

REPO = Path(__file__).parents[1]
EXAMPLES = REPO / "examples"
CRON_FIELD = re.compile(r"\*|\d+")


def load_superfeed():
    sys.path.insert(0, str(REPO))
    import superfeed

    return superfeed


# ---------------------------------------------------------------- feeds.txt


def test_the_list_a_newcomer_starts_with_is_read_as_three_groups():
    feeds = load_superfeed().read_feeds(REPO / "feeds.txt")
    assert 20 <= len(feeds) <= 30
    groups = {feed.group: feed.group_name for feed in feeds}
    assert list(groups.values()) == ["AWS", "Cloud and security", "Software engineering"]
    assert all(feed.url.startswith("https://") for feed in feeds)
    assert len({feed.url for feed in feeds}) == len(feeds)
    assert all(feed.name for feed in feeds)


# ---------------------------------------------------------------- superfeed.conf


def settings(conf: str) -> dict[str, str]:
    """The settings that stand behind a # in the example."""
    found = re.findall(r"^# ([a-z-]+) = (.*?)(?:[ \t]+#.*)?$", conf, re.MULTILINE)
    return {name: value.strip() for name, value in found}


def test_the_conf_names_every_setting():
    flags = {
        option.removeprefix("--")
        for action in load_superfeed().make_parser()._actions  # noqa: SLF001 - no public list
        for option in action.option_strings
        if option.startswith("--")
    }
    found = settings((EXAMPLES / "superfeed.conf").read_text())
    assert found.keys() == flags - {"config", "help", "version"}


def test_the_conf_loads_as_it_stands(superfeed, web):
    superfeed.starter()
    superfeed.write("superfeed.conf", (EXAMPLES / "superfeed.conf").read_text())
    superfeed.write("feeds.txt", web.feed("/a.xml", rss(items(3))).url + "\n")
    assert superfeed().ok().report["posts"]["new"] == 3


def test_the_conf_loads_with_every_setting_uncommented(superfeed, monkeypatch, tmp_path):
    text = (EXAMPLES / "superfeed.conf").read_text()
    wanted = settings(text)
    conf = tmp_path / "superfeed.conf"
    conf.write_text(re.sub(r"^# ([a-z-]+ = )", r"\1", text, flags=re.MULTILINE))
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "t")
    config = load_superfeed().parse_config(["--config", str(conf)])
    assert config.feeds == tmp_path / "feeds.txt", "a path in the conf is seen from the conf"
    assert config.keep_days == int(wanted["keep"])
    assert config.deploy == wanted["deploy"]
    assert config.user_agent == wanted["user-agent"]
    assert config.skip == {"deploy", "purge"}
    assert config.delete is False


def test_what_the_conf_shows_as_default_is_the_default(monkeypatch, tmp_path):
    module = load_superfeed()
    plain = tmp_path / "plain.conf"
    plain.write_text("")
    shown = tmp_path / "shown.conf"
    lines = (EXAMPLES / "superfeed.conf").read_text().splitlines()
    kept = [line for line in lines if "# e.g." not in line]
    shown.write_text(re.sub(r"^# ([a-z-]+ = )", r"\1", "\n".join(kept), flags=re.MULTILINE))
    configs = [module.parse_config(["--config", str(path)]) for path in (plain, shown)]
    for name in ("keep_days", "jobs", "timeout_s", "max_bytes", "content", "section", "max_delete"):
        assert getattr(configs[0], name) == getattr(configs[1], name), name


# ---------------------------------------------------------------- cron and systemd


def test_the_crontab_runs_off_the_hour_and_within_a_limit():
    lines = (EXAMPLES / "crontab").read_text().splitlines()
    (line,) = [one for one in lines if one and not one.startswith("#") and " " in one]
    *times, command = line.split(None, 5)
    assert all(CRON_FIELD.fullmatch(field) for field in times)
    assert 0 < int(times[0]) < 60
    assert command.startswith("timeout 45m ")
    assert "%" not in command, "cron would end the line there"
    assert Path(command.split()[2]).is_absolute()


def units() -> dict[str, configparser.RawConfigParser]:
    found = {}
    for name in ("superfeed.service", "superfeed.timer"):
        parser = configparser.RawConfigParser(strict=False)
        parser.optionxform = str
        parser.read(EXAMPLES / name)
        found[name] = parser
    return found


def test_the_units_say_what_the_run_needs():
    service, timer = units()["superfeed.service"]["Service"], units()["superfeed.timer"]["Timer"]
    assert service["Type"] == "oneshot"
    assert service["TimeoutStartSec"] == "45min"
    assert service["SuccessExitStatus"] == "75"
    assert "MemoryDenyWriteExecute" not in service, "hugo compiles WebAssembly as it runs"
    assert timer["Persistent"] == "true"


def test_systemd_takes_the_units(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    program = "/srv/superfeed/.venv/bin/python /srv/superfeed/superfeed.py"
    for name in ("superfeed.service", "superfeed.timer"):
        text = (EXAMPLES / name).read_text()
        # The program must exist to be verified: here is another one.
        (tmp_path / name).write_text(text.replace(program, "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", *sorted(tmp_path.iterdir())],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "superfeed" in line]
    assert ours == []
    done = subprocess.run(
        ["systemd-analyze", "calendar", units()["superfeed.timer"]["Timer"]["OnCalendar"]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# ---------------------------------------------------------------- nginx

NGINX = """
{user} daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
    include /etc/nginx/mime.types;
    access_log off;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    include {conf};
}}
"""


@pytest.fixture
def nginx(tmp_path):
    """nginx on the example's own configuration, over a folder; gives (address, folder)."""
    if not shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin"):
        pytest.skip("nginx is not installed")
    binary = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    www = tmp_path / "www"
    www.mkdir()
    address = f"127.0.0.1:{free_ports(1)[0]}"
    text = (EXAMPLES / "nginx.conf").read_text()
    assert "listen 80;" in text
    text = text.replace("listen 80;", f"listen {address};").replace(
        "/var/www/you.example", str(www)
    )
    (tmp_path / "you.conf").write_text(text)
    main = tmp_path / "nginx.conf"
    # Started by root, its workers are somebody's who cannot look into pytest's folders.
    user = "user root;" if os.geteuid() == 0 else ""
    main.write_text(NGINX.format(user=user, folder=tmp_path, conf=tmp_path / "you.conf"))
    tested = subprocess.run(
        [binary, "-t", "-c", main, "-p", tmp_path], capture_output=True, text=True, check=False
    )
    assert tested.returncode == 0, tested.stderr
    assert "warn" not in tested.stderr
    with subprocess.Popen(
        [binary, "-c", main, "-p", tmp_path], stderr=subprocess.DEVNULL
    ) as server:
        yield f"http://{address}", www
        server.terminate()


def get(url):
    """Status, headers and body; patient until the server is up."""
    deadline = time.monotonic() + 10
    while True:
        try:
            with urllib.request.urlopen(url) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_nginx_serves_what_a_deploy_to_its_folder_wrote(nginx, superfeed, web):
    address, www = nginx
    superfeed.starter()
    superfeed.write("feeds.txt", web.feed("/a.xml", rss(items(3))).url + "\n")
    superfeed("--deploy", www, "--base-url", address).ok()
    status, headers, body = get(f"{address}/")
    assert status == 200
    assert b"Entry 3 of alpha" in body
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert "must-revalidate" in headers["Cache-Control"]
    status, headers, body = get(f"{address}/feeds/index.xml")
    assert status == 200
    assert body.count(b"<item>") == 3
    assert headers["Content-Type"].endswith("charset=utf-8")
    sheet = next(path for path in www.rglob("*.css"))
    status, headers, _ = get(f"{address}/{sheet.relative_to(www)}")
    assert "immutable" in headers["Cache-Control"], "a fingerprinted stylesheet"
    status, _, body = get(f"{address}/nowhere/")
    assert status == 404
    assert body == (www / "404.html").read_bytes()
    (www / ".hidden").write_text("x")
    assert get(f"{address}/.hidden")[0] == 404
