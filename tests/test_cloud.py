"""The cloud examples: made for real against moto, run for real with what a machine would have."""

import ast
import base64
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from support.feedmaker import items, rss
from support.git import git
from support.s3 import tool
from support.script import Script
from support.web import Web, answer

EXAMPLES = Path(__file__).parents[1] / "examples"
TEMPLATE = (EXAMPLES / "ec2.yaml").read_text()
ACCOUNT = "123456789012"  # moto's
STARTER = EXAMPLES / "site"


def check(*command, needs=""):
    """Run a checker; a machine without it skips with a message."""
    if not tool(needs or command[0]):
        pytest.skip(f"{needs or command[0]} is not installed")
    command = [tool(command[0]), *map(str, command[1:])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


# ---------------------------------------------------------------- the stack


class Stack:
    """ec2.yaml made in moto's account, with what it asks for."""

    def __init__(self, moto, token="ssm", repo="https://git.example/you/site.git"):
        self.moto = moto
        self.site, self.tools = moto.bucket("you.example"), moto.bucket("tools-of-you")
        make = {"ssm": moto.parameter, "secretsmanager": moto.secret}[token]
        self.parameters = {
            "RepoUrl": repo,
            "BaseUrl": "https://you.example/",
            "SiteBucket": self.site.name,
            "ToolsUri": f"{self.tools.name}/superfeed",
            "TokenArn": make("/superfeed/git-token", "a-token-for-tests"),
            "DistributionId": moto.distribution(),
            "AlertEmail": "you@you.example",
        }
        pairs = [{"ParameterKey": k, "ParameterValue": v} for k, v in self.parameters.items()]
        cloudformation = moto.client("cloudformation")
        cloudformation.create_stack(
            StackName="superfeed",
            # The account has no https git host on loopback; all else is the template as it is.
            TemplateBody=TEMPLATE.replace("^https://[A-Za-z0-9.-]+/", "^https?://[^@]+/"),
            Parameters=pairs,
            Capabilities=["CAPABILITY_IAM"],
        )
        self.described = cloudformation.describe_stacks(StackName="superfeed")["Stacks"][0]
        listed = cloudformation.list_stack_resources(StackName="superfeed")
        self.resources = {
            one["LogicalResourceId"]: one["PhysicalResourceId"]
            for one in listed["StackResourceSummaries"]
            if "LogicalResourceId" in one
        }

    def policy(self, role, name) -> list[dict]:
        """The statements of a role; moto gives them as Python writes them."""
        found = self.moto.client("iam").get_role_policy(
            RoleName=self.resources[role], PolicyName=name
        )
        return ast.literal_eval(found["PolicyDocument"])["Statement"]

    def launch(self) -> dict:
        """The launch template's data, its user data decoded."""
        versions = self.moto.client("ec2").describe_launch_template_versions(
            LaunchTemplateId=self.resources["Template"]
        )
        data = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        return data | {"UserData": base64.b64decode(data["UserData"]).decode()}

    def script(self) -> str:
        """What the machine runs."""
        return yaml.safe_load(self.launch()["UserData"])["write_files"][0]["content"]


@pytest.fixture
def stack(moto):
    return Stack(moto)


@pytest.mark.parametrize("name", ["ec2.yaml", "batch.yaml"])
def test_a_template_passes_cfn_lint(name):
    check("cfn-lint", EXAMPLES / name)


def test_the_stack_is_made(stack):
    assert stack.described["StackStatus"] == "CREATE_COMPLETE"
    launch = stack.launch()
    assert launch["InstanceType"] == "t4g.nano"
    assert launch["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert launch["MetadataOptions"]["HttpTokens"] == "required"
    assert "al2023-ami-minimal-kernel-default-arm64" in launch["ImageId"]
    groups = stack.moto.client("ec2").describe_security_groups(
        GroupIds=[stack.resources["Firewall"]]
    )["SecurityGroups"]
    assert groups[0]["IpPermissions"] == []


class CloudFormationLoader(yaml.SafeLoader):
    """Reads !Sub and its like as their bare value."""


CloudFormationLoader.add_multi_constructor(
    "!",
    lambda loader, _, node: (
        loader.construct_scalar(node)
        if isinstance(node, yaml.ScalarNode)
        else loader.construct_sequence(node, deep=True)
        if isinstance(node, yaml.SequenceNode)
        else loader.construct_mapping(node, deep=True)
    ),
)


def test_the_schedule_starts_one_instance_a_tick(stack):
    # moto makes no schedule in a stack: the template's own goes through the scheduler's API.
    clock = yaml.load(TEMPLATE, CloudFormationLoader)["Resources"]["Clock"]["Properties"]
    known = stack.resources | {"AWS::StackName": "superfeed", "Template.LatestVersionNumber": "1"}
    text = re.sub(r"\$\{([^}]+)\}", lambda found: known[found[1]], clock["Target"]["Input"])
    scheduler = stack.moto.client("scheduler")
    scheduler.create_schedule(
        Name="clock",
        ScheduleExpression="rate(1 hour)",
        FlexibleTimeWindow=clock["FlexibleTimeWindow"],
        Target={
            "Arn": clock["Target"]["Arn"].replace("${AWS::Partition}", "aws"),
            "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/{stack.resources['SchedulerRole']}",
            "Input": text,
            "RetryPolicy": clock["Target"]["RetryPolicy"],
        },
    )
    tick = "2026-11-22T10:23:00Z"
    given = scheduler.get_schedule(Name="clock")["Target"]["Input"]
    request = json.loads(given.replace("<aws.scheduler.scheduled-time>", tick))
    assert request["ClientToken"] == f"superfeed-{tick}"
    assert len(request["ClientToken"]) <= 64
    ec2 = stack.moto.client("ec2")
    started = ec2.run_instances(**request)["Instances"]
    assert [one["InstanceType"] for one in started] == ["t4g.nano"]
    assert started[0]["SubnetId"] == stack.resources["SubnetA"]


# ---------------------------------------------------------------- the machine


def test_the_user_data_is_valid_and_fits(stack, tmp_path):
    text = stack.launch()["UserData"]
    assert len(text.encode()) < 16_384
    steps = yaml.safe_load(text)
    assert steps["bootcmd"][0][0] == "systemd-run", "the deadline comes first"
    assert steps["power_state"]["mode"] == "poweroff"
    assert "halt" not in text, "a halted machine goes on costing"
    path = tmp_path / "user-data"
    path.write_text(text)
    check("cloud-init", "schema", "--config-file", path)


def test_the_machines_script_passes_shellcheck(stack, tmp_path):
    path = tmp_path / "superfeed-run"
    path.write_text(stack.script())
    check("shellcheck", path)


PYTHON = """#!/bin/sh
test "$1" = -m && exit 0
exec '{python}' "$@"
"""


class Machine:
    """Runs the stack's script as the instance would: only dnf, pip and the paths are not real."""

    def __init__(self, stack, proxy, folder: Path):
        self.folder, self.stack = folder, stack
        self.metadata = Web()
        self.metadata.serve("/latest/api/token", answer(body=b"t"))
        self.metadata.serve("/latest/meta-data/instance-id", answer(body=b"i-0123456789abcdef0"))
        (folder / "bin").mkdir(parents=True)
        (folder / "root").mkdir()
        self._program("dnf", "#!/bin/sh\n")
        self._program("python3.12", PYTHON.format(python=sys.executable))
        self.env = stack.site.env | {
            "AWS_ENDPOINT_URL": proxy.endpoint,
            "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:/usr/bin:/bin",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _program(self, name, text):
        path = self.folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def run(self) -> str:
        """One hour's run on a new machine; what it logged."""
        shutil.rmtree(self.folder / "opt", ignore_errors=True)
        text = self.stack.script()
        for old, new in {
            "/opt/superfeed": self.folder / "opt",
            "/run/superfeed.log": self.folder / "log",
            "/dev/console": self.folder / "console",
            "HOME=/root": f"HOME={self.folder / 'root'}",
            "http://169.254.169.254": f"http://{self.metadata.host()}",
        }.items():
            assert old in text, f"{old} is not in the script"
            text = text.replace(old, str(new))
        self._program("superfeed-run", text)
        (self.folder / "log").unlink(missing_ok=True)
        done = subprocess.run(
            [self.folder / "bin" / "superfeed-run"],
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return (self.folder / "log").read_text()


def aws_call(request) -> tuple[str, str]:
    """The IAM action of a request, and the ARN of what it is about."""
    target = request.headers.get("X-Amz-Target", "")
    body = request.body.decode("utf-8", "replace")
    region = f"us-east-1:{ACCOUNT}"
    path = urlsplit(request.path).path
    if target.startswith("Logs_"):
        group = f"log-group:{json.loads(body)['logGroupName']}:log-stream:x"
        return f"logs:{target.split('.')[1]}", f"arn:aws:logs:{region}:{group}"
    if target.startswith("AmazonSSM."):
        return (
            f"ssm:{target.split('.')[1]}",
            f"arn:aws:ssm:{region}:parameter{json.loads(body)['Name']}",
        )
    if target:
        return target.replace(".", ":"), json.loads(body)["SecretId"]
    if "/distribution/" in path:
        assert (request.method, path.rsplit("/", 1)[1]) == ("POST", "invalidation")
        distribution = path.split("/")[3]
        return (
            "cloudfront:CreateInvalidation",
            f"arn:aws:cloudfront::{ACCOUNT}:distribution/{distribution}",
        )
    name, _, key = path.lstrip("/").partition("/")
    if not key:
        assert request.method == "GET"
        return "s3:ListBucket", f"arn:aws:s3:::{name}"
    actions = {"HEAD": "Get", "GET": "Get", "PUT": "Put", "DELETE": "Delete"}
    return f"s3:{actions[request.method]}Object", f"arn:aws:s3:::{name}/{key}"


def pairs_of(statements):
    """Every action with its resource, of a policy."""
    for statement in filter(None, statements):
        assert statement["Effect"] == "Allow"
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            yield action, statement["Resource"]


@pytest.mark.parametrize("token", ["ssm", "secretsmanager"])
def test_the_role_allows_every_call_of_the_machine_and_no_other(
    moto, origin, git_http, web, s3_proxy, tmp_path, token
):
    host = git_http(origin)
    stack = Stack(moto, token, host.url)
    feeds = [web.feed(f"/{name}.xml", rss(items(3, name)), on=2) for name in ("one", "two")]
    lines = [f"{feed.url}\n" for feed in feeds]
    tools = {
        "superfeed.py": (EXAMPLES.parent / "superfeed.py").read_bytes(),
        "requirements.txt": (EXAMPLES.parent / "requirements.txt").read_bytes(),
        "superfeed.conf": (EXAMPLES / "superfeed.conf").read_bytes(),
        "feeds.txt": "".join(lines),
    }
    for name, body in tools.items():
        stack.tools.put(f"superfeed/{name}", body)
    proxy = s3_proxy(stack.site)
    machine = Machine(stack, proxy, tmp_path / "machine")
    first = machine.run()
    assert "index.html" in stack.site.listing()
    stack.tools.put("superfeed/feeds.txt", lines[0])  # the other feed's pages go
    second = machine.run()
    third = machine.run()
    machine.metadata.close()

    calls = {aws_call(request) for request in proxy.web.requests}
    allowed = set(pairs_of(stack.policy("InstanceRole", "run")))
    # One of the two is of no effect: the token's ARN belongs to one service.
    other = {"ssm": "secretsmanager:GetSecretValue", "secretsmanager": "ssm:GetParameter"}[token]
    allowed = {(action, resource) for action, resource in allowed if action != other}
    used = {
        (action, resource)
        for action, resource in allowed
        if any(action == a and fnmatch.fnmatchcase(r, resource) for a, r in calls)
    }
    refused = [
        call
        for call in calls
        if not any(call[0] == a and fnmatch.fnmatchcase(call[1], r) for a, r in allowed)
    ]
    assert refused == []
    assert allowed - used == set(), "allowed, but never needed"
    # A new machine knows nothing but the state: it asks with what the last one was given.
    assert "no state from" not in second + third, second + third
    assert web.asked("/one.xml")[-1].headers["If-None-Match"]
    groups = moto.client("logs").describe_log_streams(logGroupName="/superfeed/superfeed")
    assert len(groups["logStreams"]) >= 1, "the log was sent"
    assert "a-token-for-tests" not in first + second + third


# ---------------------------------------------------------------- GitHub Actions


@pytest.mark.parametrize("name", ["github-actions.yml", "github-actions-many.yml"])
def test_a_workflow_passes_zizmor(name):
    check("zizmor", "--offline", "--no-progress", EXAMPLES / name)


@pytest.mark.parametrize("name", ["github-actions.yml", "github-actions-many.yml"])
def test_a_workflow_starts_no_other_and_only_one_of_it_runs(name):
    workflow = yaml.safe_load((EXAMPLES / name).read_text())
    assert workflow[True].keys() == {"schedule", "workflow_dispatch"}, "on: no push, so no loop"
    minute = workflow[True]["schedule"][0]["cron"].split()[0]
    assert 0 < int(minute) < 60, "not at the full hour"
    assert workflow["permissions"] == {}
    assert workflow["concurrency"]["cancel-in-progress"] is False
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    assert all(re.search(r"@[0-9a-f]{40}$", s["uses"]) for s in steps if "uses" in s)


def settings_of(name, job) -> dict[str, str]:
    """The environment of a job's superfeed run: names only matter, the values are GitHub's."""
    job = yaml.safe_load((EXAMPLES / name).read_text())["jobs"][job]
    runs = [step for step in job["steps"] if "superfeed.py" in step.get("run", "")]
    return job.get("env", {}) | runs[0].get("env", {}) | {"run": runs[0]["run"]}


def test_the_workflow_publishes_and_keeps_its_state(
    origin, git_http, web, bucket, superfeed, tmp_path
):
    host = git_http(origin)
    settings = settings_of("github-actions.yml", "run")
    given = {
        "SUPERFEED_REPO": host.url,
        "SUPERFEED_SITE": str(tmp_path / "temp" / "site"),
        "SUPERFEED_GIT_TOKEN": host.token,
        "SUPERFEED_DEPLOY": bucket.url,
    }
    assert given.keys() == settings.keys() - {"run"}
    argv = settings["run"].split()[2:]
    assert argv == ["--state", "state.json"]
    superfeed.write("feeds.txt", web.feed("/a.xml", rss(items(3))).url + "\n")
    env = bucket.env | given | {"SUPERFEED_ENDPOINT_URL": bucket.endpoint}
    first = superfeed(*argv, env=env).ok()
    assert first.report["posts"]["new"] == 3
    assert first.report["commit"]["pushed"]
    shutil.rmtree(tmp_path / "temp")
    again = superfeed(*argv, env=env).ok()
    assert [feed["status"] for feed in again.report["feeds"]] == ["unchanged"]
    assert again.report["deploy"]["uploaded"] == 0


# ---------------------------------------------------------------- bigger


class Fleet:
    """Several superfeeds with lists and sections of their own on one origin."""

    def __init__(self, origin, feeds, folder: Path):
        self.origin, self.scripts = origin, []
        for number, urls in enumerate(feeds):
            script = Script(folder / str(number))
            script.write("feeds.txt", "[a]\n" + "".join(f"{url}\n" for url in urls))
            self.scripts.append(script)

    def argv(self, number):
        stages = ["--skip", "build", "--skip", "deploy", "--skip", "purge"]
        return ["--repo", self.origin.url, "--section", f"news-{number}", *stages]

    def at_once(self):
        started = [s.start(*self.argv(number)) for number, s in enumerate(self.scripts)]
        for script, process in zip(self.scripts, started, strict=True):
            script.finish(process, timeout=240).ok()

    def one_after_the_other(self):
        for number, script in enumerate(self.scripts):
            script(*self.argv(number)).ok()

    def tree(self) -> dict[str, str]:
        """Every file of the origin with the hash of its content."""
        listed = git("ls-tree", "-r", self.origin.branch, cwd=self.origin.path)
        rows = [line.split(None, 3) for line in listed.splitlines()]
        return {path: digest for _, _, digest, path in rows}


def test_eight_superfeeds_at_once_leave_what_eight_runs_would(
    web, owners_origin, superfeed, tmp_path
):
    feeds = [
        [web.feed(f"/{n}-{m}.xml", rss(items(5, f"f{n}x{m}")), on=n + 1).url for m in range(3)]
        for n in range(8)
    ]
    fleets = [
        Fleet(owners_origin.copy(tmp_path / way / "site.git"), feeds, tmp_path / way / "machines")
        for way in ("together", "in turn")
    ]
    fleets[0].at_once()
    fleets[1].one_after_the_other()
    together, in_turn = (fleet.tree() for fleet in fleets)
    posts = [path for path in together if re.search(r"-[0-9a-f]{12}\.md$", path)]
    assert len(posts) == 8 * 3 * 5
    assert together == in_turn
    assert len([path for path in together if path.startswith("data/superfeed/")]) == 24

    # A second round has no news: nothing is committed, nobody's files are taken away.
    head = fleets[0].origin.head()
    fleets[0].at_once()
    assert fleets[0].origin.head() == head

    # One run publishes all of it, and reads no feed.
    before = len(web.requests)
    published = superfeed(
        *("--repo", fleets[0].origin.url, "--skip", "collect", "--delete"),
        *("--deploy", tmp_path / "www", "--base-url", "https://you.example/"),
        env={"HUGO_PARAMS_MAINSECTIONS": "posts"},
    ).ok()
    assert len(web.requests) == before
    assert published.report["feeds"] is None
    for number in range(8):
        page = (tmp_path / "www" / f"news-{number}" / "index.xml").read_text()
        assert page.count("<item>") == 15
    assert "Entry" not in (tmp_path / "www" / "index.html").read_text()


def test_the_batch_job_says_what_the_tested_superfeeds_say(tmp_path):
    jobs = yaml.load((EXAMPLES / "batch.yaml").read_text(), CloudFormationLoader)["Resources"]
    spy = tmp_path / "python3"
    spy.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    spy.chmod(0o755)
    (tmp_path / "opt").mkdir()
    said = {}
    for name, job in jobs.items():
        command = job["Properties"]["ContainerProperties"]["Command"]
        command[-1] = command[-1].replace("/opt/superfeed", str(tmp_path / "opt"))
        env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "AWS_BATCH_JOB_ARRAY_INDEX": "3"}
        env |= {"STATES": "s3://states"}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        said[name] = done.stdout.split()
    stages = ["--skip", "build", "--skip", "deploy", "--skip", "purge"]
    assert said["Collect"] == [
        *("superfeed.py", "--feeds", "feeds-3.txt", "--section", "news-3"),
        *("--state", "s3://states/news-3.json", *stages),
    ]
    assert said["Publish"] == [
        *("superfeed.py", "--skip", "collect", "--delete", "--state", "s3://states/publish.json")
    ]
