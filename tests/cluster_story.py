"""A cluster's life on hosts out of namespaces: up, search, losses, a new head, resume, down.

Every command is taken from docs/cluster.md, and so is the study.
"""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hosts import ROOT, Host, Hosts

from search.store import Store

ADDRESSES = {  # those of cluster.local.yaml, which is used as it is
    "launcher": "192.168.77.10",
    "head": "192.168.77.11",
    "one": "192.168.77.12",
    "two": "192.168.77.13",
    "late": "192.168.77.14",
}
GUIDE = (ROOT / "docs" / "cluster.md").read_text()
STUDY = (
    re.findall(r"```python\n(.*?)```", GUIDE, re.S)[0].replace("\n   ", "\n").strip()
    + """


def few():
    study = cells()
    space = replace(study.space, scales=(("off", 1), ("off", 1), ("off",)))
    return replace(study, name="few", space=space, protocol=replace(study.protocol, epochs=2))
"""
)
PREFLIGHT = """
import json, sys
from dataclasses import replace

import ray
from search.preflight import cluster_faults, token_faults
from search.studies import digits
from search.study import Resources
from stacnet.protocol import Prepared

study = digits()
if "faulty" in sys.argv:
    protocol = replace(study.protocol, data=Prepared(name="imagenet64"))
    study = replace(study, protocol=protocol, resources=Resources(gpus=1))
lines = token_faults("auto")
if not lines:
    ray.init(address="auto", log_to_driver=False)
    lines = cluster_faults(study, sys.argv[1])
print("FAULTS", json.dumps(lines))
"""
INTRUDER = """
import ray
ray.init(address="192.168.77.11:6379")
print("inside")
"""
BUCKET = """
import boto3, time
for attempt in range(60):
    try:
        boto3.client("s3").create_bucket(Bucket="lab")
        break
    except Exception:
        time.sleep(1)
"""
READ_S3 = """
from search.store import Store
print("ROWS", Store("s3://lab/few").cells(["status", "hostname"]).to_pylist())
"""
SCRIPTS = {
    "study.py": STUDY,
    "preflight.py": PREFLIGHT,
    "intruder.py": INTRUDER,
    "bucket.py": BUCKET,
    "read_s3.py": READ_S3,
}
S3_CLIENT = (
    "export AWS_ENDPOINT_URL_S3=http://192.168.77.10:5000 AWS_REGION=us-east-1 "
    "AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing"
)
PARTITION_S = 30
PATIENCE_S = 400


@dataclass
class Story:
    """What happened, for the tests to look at."""

    shared: Path
    ran: list[str] = field(default_factory=list)
    joined: str = ""
    faults: list[str] = field(default_factory=list)
    faults_without: list[str] = field(default_factory=list)
    faults_without_token: list[str] = field(default_factory=list)
    intruder: str = ""
    status: dict[str, Any] = field(default_factory=dict)
    second_up: str = ""
    done_at_head_loss: int = 0
    resumed: str = ""
    costs: str = ""
    on_s3: str = ""
    down: str = ""
    ray_left: dict[str, list[str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def cells(self, columns: list[str], *, all_attempts: bool = False) -> list[dict[str, Any]]:
        table = Store(self.shared / "study").cells(columns, all_attempts=all_attempts)
        return table.to_pylist()

    def hosts_with_rows(self) -> set[str]:
        rows = self.cells(["hostname", "status"], all_attempts=True)
        return {row["hostname"] for row in rows if row["hostname"]}


def guide_commands() -> list[str]:
    """The lines of the guide's blocks that need no AWS account."""
    blocks = re.findall(r"```sh local\n(.*?)```", GUIDE, re.S)
    return [line.strip() for block in blocks for line in block.strip().splitlines()]


def tell(world: Hosts, story: Story) -> Story:
    """Lose a worker, cut one off, have one late; then lose the head, and resume."""
    began = time.monotonic()

    def chapter(name: str) -> None:
        story.seconds[name] = round(time.monotonic() - began, 1)
        (world.folder / "story.log").write_text(json.dumps(story.seconds, indent=1))

    def run(command: str, *, check: bool = True) -> str:
        story.ran.append(command)
        script = f"cd ~/stacnet && . .venv/bin/activate && {command}"
        return launcher.run(script, timeout=PATIENCE_S, check=check)

    launcher, head, one, two = (world.start(name, ADDRESSES[name]) for name in list(ADDRESSES)[:4])
    commit = "git init -q && git add -A && git -c user.name=t -c user.email=t@t commit -qm snapshot"
    launcher.run(f"cp -a /mnt/shared/checkout/. ~/stacnet && cd ~/stacnet && {commit}")
    run("make setup")
    run("stac cluster up cluster.local.yaml")
    story.joined = run("stac cluster wait cluster.local.yaml --cpus 3")
    chapter("joined")
    look_for_faults(story, head, two)
    chapter("looked at")
    search = "search /mnt/shared/study.py:cells --out /mnt/shared/study"
    run(f'stac cluster submit cluster.local.yaml "{search}"')
    wait_until(lambda: {"head", "one", "two"} <= story.hosts_with_rows(), head)
    run("stac cluster log cluster.local.yaml")
    run("stac status /mnt/shared/study")
    story.status = json.loads(run("stac status /mnt/shared/study --json"))
    story.second_up = run("stac cluster up cluster.local.yaml", check=False)
    chapter("trained on three hosts")
    one.kill()
    two.plug(into=False)
    world.start("late", ADDRESSES["late"])
    chapter("one killed, two cut off, late booted")
    time.sleep(PARTITION_S)
    two.plug(into=True)
    wait_until(lambda: "late" in story.hosts_with_rows(), head)
    chapter("late has trained")
    head.kill()
    story.done_at_head_loss = len(story.cells(["seed"]))
    head = world.start("head", ADDRESSES["head"])
    run("stac cluster up cluster.local.yaml")
    run('stac cluster submit cluster.local.yaml "resume /mnt/shared/study"')
    chapter("head replaced")
    story.resumed = wait_for_end(head)
    chapter("resumed")
    for command in guide_commands():
        if "prices" in command:
            story.costs += run(command)
    story.on_s3 = on_s3(launcher, head, run)
    chapter("on S3")
    doctor = "doctor --study /mnt/shared/study.py:cells --out /mnt/shared/study"
    run(f'stac cluster submit cluster.local.yaml "{doctor}"')
    story.down = run("stac cluster down cluster.local.yaml", check=False)
    story.ray_left = {n: host.ray_processes() for n, host in world.alive.items() if n != "one"}
    chapter("down")
    return story


def look_for_faults(story: Story, head: Host, two: Host) -> None:
    """A client without the token; a cluster with faults of each kind; the same without."""
    without_token = "mkdir -p /tmp/no && unset RAY_AUTH_MODE && export HOME=/tmp/no &&"
    intruder = f"{without_token} timeout 15 python /mnt/shared/intruder.py"
    story.intruder = two.run(intruder, check=False)
    two.run("cp ~/stacnet/COMMIT /tmp && echo another > ~/stacnet/COMMIT")
    story.faults = preflight(head, "/root/study faulty")
    two.run("cp /tmp/COMMIT ~/stacnet/COMMIT")
    story.faults_without = preflight(head, "/mnt/shared/study")
    story.faults_without_token = preflight(two, "/mnt/shared/study", before=without_token)


def preflight(host: Host, words: str, *, before: str = "") -> list[str]:
    """The lines that `search.preflight` has on this host."""
    script = f"cd ~/stacnet && {before} python /mnt/shared/preflight.py {words}"
    said = host.run(script, timeout=PATIENCE_S)
    return json.loads(said.partition("FAULTS ")[2].splitlines()[0])


def on_s3(launcher: Host, head: Host, run: Callable[[str], str]) -> str:
    """A study whose store is an S3 server in the network; what the launcher reads there."""
    server = launcher.popen("python -m moto.server -H 192.168.77.10 -p 5000 > /tmp/s3.log 2>&1")
    try:
        for host in (launcher, head):
            host.run(f"sed -i '1i {S3_CLIENT}' ~/.bashrc")
        launcher.run("~/stacnet/.venv/bin/python /mnt/shared/bucket.py", timeout=PATIENCE_S)
        few = "search /mnt/shared/study.py:few --out s3://lab/few"
        run(f'stac cluster submit cluster.local.yaml "{few}"')
        said = wait_for_end(head)
        return said + launcher.run("~/stacnet/.venv/bin/python /mnt/shared/read_s3.py")
    finally:
        server.kill()
        server.wait()


def wait_until(true: Callable[[], bool], head: Host) -> None:
    """Poll until it is true; fail with what the newest run has logged."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, head.run(f"cat {NEWEST}/log; ray status", check=False)
        time.sleep(1)


def wait_for_end(head: Host) -> str:
    """Exit code and last lines of the newest run."""
    wait_until(lambda: head.run(f"cat {NEWEST}/exit", check=False).strip().isdigit(), head)
    return head.run(f"cat {NEWEST}/exit; tail -n 20 {NEWEST}/log")


NEWEST = "~/.stacnet/runs/$(ls ~/.stacnet/runs | tail -n 1)"
