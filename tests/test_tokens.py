"""The git token: where it may come from, and that it is nowhere it should not be."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from support.feedmaker import items, rss

import superfeed

TOKEN = "ghp/S3cret+Token=for?tests"  # every character that an encoding would change
FORMS = (
    TOKEN,
    quote(TOKEN, safe=""),
    base64.b64encode(TOKEN.encode()).decode().rstrip("="),
    base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode().rstrip("="),
)


@pytest.fixture
def place(workplace, git_http):
    """A workplace whose origin asks for the token."""
    workplace.flags |= {"--deploy": None, "--endpoint-url": None}
    workplace.feed = workplace.web.feed("/a.xml", rss(items(2)))
    workplace.feeds_txt([workplace.feed.url])
    workplace.server = git_http(workplace.origin, TOKEN)
    workplace.flags["--repo"] = workplace.server.url
    return workplace


def assert_nowhere(place, *results):
    """The token, in no form, is in any output, or any file the run could have written."""
    for result in results:
        for form in FORMS:
            assert form not in result.out + result.err + str(result.report)
    folders = (place.site, place.script.home, place.script.app, place.script.tmp)
    for path in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        assert not [form for form in FORMS if form.encode() in content], path


def from_environment(place, moto):
    return (), {"SUPERFEED_GIT_TOKEN": TOKEN}


def from_a_plain_secret(place, moto):
    moto.secret("site/token", TOKEN + "\n")
    return ("--token-from", "site/token"), moto.env


def from_the_arn_of_a_json_secret(place, moto):
    arn = moto.secret("site", f'{{"user": "me", "git_token": "{TOKEN}"}}')
    return ("--token-from", arn), moto.env


def from_a_json_secret_with_one_value(place, moto):
    return ("--token-from", moto.secret("site", f'{{"github": "{TOKEN}"}}')), moto.env


def from_a_parameter(place, moto):
    return ("--token-from", moto.parameter("/site/token", TOKEN)), moto.env


SOURCES = [
    from_environment, from_a_plain_secret, from_the_arn_of_a_json_secret,
    from_a_json_secret_with_one_value, from_a_parameter,
]  # fmt: skip


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
def test_the_token_opens_the_remote_and_is_written_nowhere(place, moto, source):
    argv, env = source(place, moto)
    gits, hugos = place.script.spy("git"), place.script.spy("hugo")
    first = place.run("-vv", *argv, env=env).ok()
    place.feed.body = rss(items(3))
    second = place.run("-vv", *argv, env=env).ok()
    assert place.server.passwords() == {f"x-access-token:{TOKEN}"}
    assert len(place.posts()) == 3
    assert_nowhere(place, first, second)
    for argument in (word for call in (*gits.argvs(), *hugos.argvs()) for word in call):
        assert not [form for form in FORMS if form in argument]
    for _, environment in hugos.calls():
        assert not [form for form in FORMS if form in "\0".join(environment.values())]
        secrets = {"SUPERFEED_GIT_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"}
        assert not secrets & environment.keys()
    assert gits.calls()
    assert hugos.calls()


def test_no_process_git_itself_starts_has_the_token_in_its_arguments(place):
    """GIT_TRACE tells every program that git starts, the credential helper among them."""
    trace = place.script.home.parent / "trace"
    env = {"SUPERFEED_GIT_TOKEN": TOKEN}
    env |= dict.fromkeys(("GIT_TRACE", "GIT_TRACE_CURL", "GIT_TRACE2_EVENT"), trace)
    env["GIT_TRACE2_CONFIG_PARAMS"] = "http.*,credential.*"
    place.run(env=env).ok()
    text = trace.read_text(errors="replace")
    assert "run_command" in text
    assert not [form for form in FORMS if form in text]


def test_a_helper_of_the_owners_that_stores_is_not_given_the_token(place):
    (place.script.home / ".gitconfig").write_text("[credential]\nhelper = store\n")
    place.run(env={"SUPERFEED_GIT_TOKEN": TOKEN}).ok()
    assert not (place.script.home / ".git-credentials").exists()


def test_without_a_token_git_has_its_own_means(place):
    host = place.server.url.split("/")[2]
    (place.script.home / ".gitconfig").write_text("[credential]\nhelper = store\n")
    stored = f"http://me:{quote(TOKEN, safe='')}@{host}\n"
    (place.script.home / ".git-credentials").write_text(stored)
    place.run().ok()
    assert place.server.passwords() == {f"me:{TOKEN}"}


def test_a_site_that_is_there_already_gets_the_token_without_repo(place):
    env = {"SUPERFEED_GIT_TOKEN": TOKEN}
    place.run(env=env).ok()
    place.flags["--repo"] = None
    place.feed.body = rss(items(3))
    assert place.run(env=env).ok().report["commit"]["pushed"]


def test_nothing_is_sent_to_another_host_on_a_redirect(place, git_http, tmp_path):
    other = git_http(place.origin, TOKEN)
    place.server.redirect(other.url)
    result = place.run(env={"SUPERFEED_GIT_TOKEN": TOKEN}).fails(1, "git clone failed")
    assert other.requests
    assert other.passwords() == set()
    assert_nowhere(place, result)


def test_a_wrong_token_is_one_line_that_says_so(place):
    wrong = TOKEN + "-old"
    result = place.run(env={"SUPERFEED_GIT_TOKEN": wrong})
    result.fails(1, "Authentication failed", "check the token: SUPERFEED_GIT_TOKEN")
    assert result.err.count("\n") == 1
    assert_nowhere(place, result)
    assert not place.site.exists()


def test_a_token_that_may_read_but_not_write_says_so(place):
    env = {"SUPERFEED_GIT_TOKEN": TOKEN}
    place.run(env=env).ok()
    place.feed.body = rss(items(3))
    place.run("--skip", "push", env=env).ok()
    place.server.refuse(403)
    place.run("--skip", "pull", env=env).fails(1, "git push failed", "reading and writing")


def test_a_secret_that_is_not_there_says_where_it_was_looked_for(place, moto):
    result = place.run("--token-from", "no/such", env=moto.env)
    result.fails(1, "cannot read the git token from no/such", "check --token-from")
    assert not place.site.exists()


def test_a_secret_of_several_values_says_which_name_is_looked_for(place, moto):
    moto.secret("two", f'{{"a": "{TOKEN}", "b": "x"}}')
    result = place.run("--token-from", "two", env=moto.env).fails(1, 'call the right one "token"')
    assert_nowhere(place, result)


@pytest.mark.parametrize("user", ["me:{}", "{}:x-oauth-basic"])
def test_a_repo_with_a_password_in_it_is_refused(place, user):
    host = place.server.url.removeprefix("http://")
    address = f"http://{user.format(quote(TOKEN, safe=''))}@{host}"
    result = place.run("--repo", address).fails(2, "SUPERFEED_GIT_TOKEN")
    assert not place.server.requests
    assert_nowhere(place, result)


def test_every_form_of_a_secret_is_masked():
    superfeed.mask(TOKEN)
    for form in FORMS:
        assert form not in superfeed.masked(f"before {form} after")


def test_hugo_gets_no_secret_but_what_is_named_for_it(place):
    spy = place.script.spy("hugo")
    env = {"SUPERFEED_GIT_TOKEN": TOKEN, "MY_COPY": TOKEN, "CLOUDFLARE_API_TOKEN": "cf"}
    env |= {"GITHUB_TOKEN": "gh", "DB_PASSWORD": "db", "HUGO_PARAMS_MAP_TOKEN": "public"}
    place.run(env=env).ok()
    for _, environment in spy.calls():
        assert (env.keys() & environment.keys()) == {"HUGO_PARAMS_MAP_TOKEN"}
        assert environment["HUGO_PARAMS_MAP_TOKEN"] == "public"
