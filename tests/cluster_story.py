"""A cluster's life on hosts out of namespaces: up, search, losses, a new head, resume, down.

Every command is taken from docs/cluster.md, and so is the study.
"""

import json
import re
import time
from collections.abc import Callable

from cluster_facts import Story
from cluster_scripts import guide_commands
from hosts import Host, Hosts

ADDRESSES = {  # those of cluster.local.yaml, which is used as it is
    "launcher": "192.168.77.10",
    "head": "192.168.77.11",
    "one": "192.168.77.12",
    "two": "192.168.77.13",
    "late": "192.168.77.14",
}
S3_CLIENT = (
    "export AWS_ENDPOINT_URL_S3=http://192.168.77.10:5000 AWS_REGION=us-east-1 "
    "AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing"
)
GRPC = "--http2-prior-knowledge -H 'content-type: application/grpc' -H 'te: trailers' "
REQUESTS = [  # one of each kind of server that Ray has: to ask for, and the agent's own
    ("", "get_or_create_runtime_env"),
    *(
        (f"{GRPC} --data-binary @/mnt/shared/empty", f"ray.rpc.{method}")
        for method in (
            "NodeInfoGcsService/GetAllNodeInfo",
            "NodeManagerService/GetNodeStats",
            "ObjectManagerService/Pull",
            "CoreWorkerService/GetCoreWorkerStats",
        )
    ),
]
PARTITION_S = 30
PATIENCE_S = 400


def tell(world: Hosts, story: Story) -> Story:
    """The chapters, one after the other."""
    teller = Teller(world, story)
    for chapter in (
        teller.go_up,
        teller.look_for_faults,
        teller.search,
        teller.knock,
        teller.lose_machines,
        teller.lose_the_head,
        teller.log_out,
        teller.count_the_cost,
        teller.store_on_s3,
        teller.go_down,
    ):
        chapter()
        teller.note(chapter.__name__)
    return story


class Teller:
    """Boots the launcher, the head and two workers; `late` is off."""

    def __init__(self, world: Hosts, story: Story) -> None:
        self.began = time.monotonic()
        self.world, self.story = world, story
        names = ("launcher", "head", "one", "two")
        self.launcher, self.head, self.one, self.two = (self.boot(name) for name in names)
        commit = "git add -A && git -c user.name=t -c user.email=t@t commit -qm snapshot"
        checkout = "cp -a /mnt/shared/checkout/. ~/stacnet && cd ~/stacnet && git init -q"
        self.launcher.run(f"{checkout} && {commit}")

    def boot(self, name: str) -> Host:
        """The head runs no trials, as on AWS; the others lend a core each."""
        return self.world.start(name, ADDRESSES[name], cpus=0 if name == "head" else 1)

    def run(self, command: str, *, check: bool = True) -> str:
        """A command at the launcher, as the guide has it."""
        self.story.ran.append(command)
        script = f"cd ~/stacnet && . .venv/bin/activate && {command}"
        said = self.launcher.run(script, timeout=PATIENCE_S, check=check)
        self.note(command)
        return said

    def note(self, what: str) -> None:
        """When it was over, s after the launcher was there."""
        self.story.seconds[what] = round(time.monotonic() - self.began, 1)
        (self.world.folder / "story.log").write_text(json.dumps(self.story.seconds, indent=1))

    def submit(self, command: str) -> str:
        return self.run(f'stac cluster run cluster.local.yaml "{command}"')

    def go_up(self) -> None:
        """The head's environment has 128 MB that the others', of the same bytes, have not."""
        self.head.run("head -c 128M /dev/urandom > ~/stacnet/.venv/only-here")
        self.run("make setup")
        self.run("ray up --yes cluster.local.yaml")
        self.story.joined = self.run("stac cluster wait cluster.local.yaml --cpus 2")
        card = json.loads(self.head.run("ip -s -j link show eth0"))
        self.story.head_sent_bytes = card[0]["stats64"]["tx"]["bytes"]

    def look_for_faults(self) -> None:
        """A client without the token; a cluster with faults of each kind; the same without."""
        story, two = self.story, self.two
        without_token = "mkdir -p /tmp/no && unset RAY_AUTH_MODE && export HOME=/tmp/no &&"
        intruder = f"{without_token} timeout 15 python /mnt/shared/intruder.py"
        story.intruder = two.run(intruder, check=False)
        two.run("cp ~/stacnet/COMMIT /tmp && echo another > ~/stacnet/COMMIT")
        story.faults = preflight(self.head, "/tmp/study faulty")
        two.run("cp /tmp/COMMIT ~/stacnet/COMMIT")
        story.faults_without_token = preflight(two, "/mnt/shared/study", before=without_token)
        asked = "doctor --study /mnt/shared/study.py:placements --out /mnt/shared/study"
        story.doctor = self.submit(asked)

    def search(self) -> None:
        """Until both machines have finished trainings."""
        self.submit("search /mnt/shared/study.py:placements --out /mnt/shared/study")
        wait_until(lambda: {"one", "two"} <= self.story.hosts_with_rows(), self.head)

    def knock(self) -> None:
        """At every port of the head and of a worker, from another machine, without a token."""
        for name, host in {"head": self.head, "one": self.one}.items():
            found = re.findall(r':(\d+) .*\(\("([^"]+)"', host.run("ss -ltnpH"))
            self.story.listening[name] = {program for _, program in found}
            for port, program in found:
                asked = [
                    f"curl -s -m 5 {how} -o /dev/null -D - -X POST http://{ADDRESSES[name]}:{port}/{method}"
                    for how, method in REQUESTS
                ]
                said = self.two.run("; ".join(asked), check=False)
                self.story.knocked[f"{program} on {name}:{port}"] = said

    def log_out(self) -> None:
        """A search that goes on in tmux, when the command that began it is over."""
        search = "stac search /mnt/shared/study.py:few --out /mnt/shared/in_tmux"
        self.run(f"ray exec --tmux cluster.local.yaml '{search}'")
        status = "stac status /mnt/shared/in_tmux --json"
        over = '"running": 0, "missing": 0'
        wait_until(lambda: over in self.run(status, check=False), self.head)
        self.story.in_tmux = self.run(status)

    def lose_machines(self) -> None:
        """One is killed, one is cut off for a while, one comes late; what one sees meanwhile."""
        story = self.story
        self.one.kill()
        self.two.plug(into=False)
        together_again = time.monotonic() + PARTITION_S
        self.boot("late")
        self.run("stac cluster log cluster.local.yaml")
        self.run("stac status /mnt/shared/study")
        story.status = json.loads(self.run("stac status /mnt/shared/study --json"))
        story.second_up = self.run("ray up --yes cluster.local.yaml; echo code $?")
        guard = "cd ~/stacnet && .venv/bin/python -m search.cluster.on_head refuse-if-busy"
        story.second_guard = self.head.run(f"{guard}; echo code $?")
        self.submit_another()
        self.log_in()
        too_many = "stac cluster wait cluster.local.yaml --gpus 9 --timeout-s 1"
        story.too_many = self.run(f"{too_many}; echo code $?")
        time.sleep(max(together_again - time.monotonic(), 0))
        self.two.plug(into=True)
        wait_until(lambda: "late" in story.hosts_with_rows(), self.head)

    def submit_another(self) -> None:
        """A second search at once, and its end."""
        another = "search /mnt/shared/study.py:few --out /mnt/shared/another"
        self.story.second_search = self.submit(another)
        name = re.findall(r"^([0-9-]+): stac search", self.story.second_search, re.M)[-1]
        self.story.stopped = self.run(f"stac cluster stop cluster.local.yaml {name}")
        self.story.runs = json.loads(self.run("stac cluster list cluster.local.yaml --json"))

    def log_in(self) -> None:
        """Ray's own ways to the head: a shell, and a script."""
        shell = "script -qec 'ray attach cluster.local.yaml' /dev/null"
        said = "echo 'stac status /mnt/shared/study --json; exit' | "
        self.story.attached = self.run(f"{said}{shell}", check=False)
        self.story.submitted = self.run("ray submit cluster.local.yaml /mnt/shared/count.py")

    def lose_the_head(self) -> None:
        """A new machine under the old address, with nothing on it."""
        self.head.kill()
        self.story.done_at_head_loss = len(self.story.trainings(["seed"]))
        self.head = self.boot("head")
        self.run("ray up --yes cluster.local.yaml")
        self.story.resumed = self.run("ray exec cluster.local.yaml 'stac resume /mnt/shared/study'")

    def count_the_cost(self) -> None:
        for command in guide_commands():
            if "prices" in command:
                self.story.costs += self.run(command)

    def store_on_s3(self) -> None:
        """A study whose store is an S3 server in the network; what the launcher reads there."""
        serve = "python -m moto.server -H 192.168.77.10 -p 5000 > /tmp/s3.log 2>&1"
        server = self.launcher.popen(f"cd ~/stacnet && . .venv/bin/activate && {serve}")
        try:
            for host in (self.launcher, self.head):
                host.run(f"sed -i '1i {S3_CLIENT}' ~/.bashrc")
            python = "~/stacnet/.venv/bin/python"
            self.launcher.run(f"{python} /mnt/shared/bucket.py", timeout=PATIENCE_S)
            self.submit("search /mnt/shared/study.py:few --out s3://lab/few")
            ended = wait_for_end(self.head)
            self.story.on_s3 = ended + self.launcher.run(f"{python} /mnt/shared/read_s3.py")
        finally:
            server.kill()
            server.wait()

    def go_down(self) -> None:
        """What `one` would say is not asked: it is dead."""
        self.story.down = self.run("ray down --yes cluster.local.yaml", check=False)
        alive = {name: host for name, host in self.world.alive.items() if name != "one"}
        self.story.ray_left = {name: host.ray_processes() for name, host in alive.items()}


def preflight(host: Host, words: str, *, before: str = "") -> list[str]:
    """The lines that `search.drive.preflight` has on this host."""
    script = f"cd ~/stacnet && {before} python /mnt/shared/preflight.py {words}"
    said = host.run(script, timeout=PATIENCE_S)
    return json.loads(said.partition("FAULTS ")[2].splitlines()[0])


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
