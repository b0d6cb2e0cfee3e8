"""The committed files for Slurm, Kubernetes and SkyPilot; test_jobs runs two of them."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stac.cli.commands import parse
from stac.cli.study_commands import Resume, Search

ROOT = Path(__file__).parents[2]
FILES = sorted(path.name for path in (ROOT / "cluster").iterdir())
# Every field of the two YAMLs that others read. A new one is looked up before it is a line here:
# those of RayJob stand in KubeRay's CRD (1.5.1, 1.6.2, 1.7.0), pods' also in Kubernetes' schema of
# 1.31; those of sky.yaml in SkyPilot's schema (0.14.1).
CONTAINER = """
containers[] containers[].image containers[].name containers[].resources
containers[].resources.limits containers[].resources.limits.cpu
containers[].resources.limits.memory
"""
FIELDS = {
    "rayjob.yaml": """
        apiVersion kind metadata metadata.name spec spec.backoffLimit spec.entrypoint
        spec.rayClusterSpec spec.rayClusterSpec.authOptions spec.rayClusterSpec.authOptions.mode
        spec.rayClusterSpec.headGroupSpec spec.rayClusterSpec.rayVersion
        spec.rayClusterSpec.workerGroupSpecs[] spec.shutdownAfterJobFinishes
        head.rayStartParams head.rayStartParams.num-cpus head.template head.template.spec
        head.containers[].envFrom[] head.containers[].envFrom[].secretRef
        head.containers[].envFrom[].secretRef.name head.containers[].volumeMounts[]
        head.containers[].volumeMounts[].mountPath head.containers[].volumeMounts[].name
        head.volumes[] head.volumes[].configMap head.volumes[].configMap.name head.volumes[].name
        workers.containers[].resources.limits.nvidia.com/gpu workers.groupName workers.maxReplicas
        workers.minReplicas workers.rayStartParams workers.replicas workers.template
        workers.template.spec
        """
    + "".join(f"{group}.{field} " for group in ("head", "workers") for field in CONTAINER.split()),
    "sky.yaml": """
        envs envs.OUT envs.STUDY name num_nodes resources resources.accelerators resources.infra
        resources.use_spot run secrets secrets.RAY_AUTH_TOKEN setup workdir
        """,
}
SHORT = {  # the two groups of pods, and what a pod is
    "spec.rayClusterSpec.headGroupSpec.": "head.",
    "spec.rayClusterSpec.workerGroupSpecs[].": "workers.",
    ".template.spec.": ".",
}


def read(name: str) -> str:
    """The text of one of the files."""
    return (ROOT / "cluster" / name).read_text()


def fields(value: Any, at: str = "") -> Iterator[str]:
    """Where each field of a YAML stands, such as spec.containers[].image."""
    if isinstance(value, list):
        for item in value:
            yield from fields(item, f"{at}[]")
        return
    if at:
        for long, short in SHORT.items():
            at = at.replace(long, short)
        yield at
    if isinstance(value, dict):
        for name, below in value.items():
            yield from fields(below, f"{at}.{name}" if at else name)


def commands(name: str) -> list[list[str]]:
    """What the file has stac do."""
    written = {
        "slurm.sbatch": r"command=\((.*)\)$",
        "rayjob.yaml": r"^  entrypoint: stac (.*)$",
        "sky.yaml": r"^  stac (.*?)(?:  #.*)?$",
    }
    found = re.findall(written[name], read(name), flags=re.M)
    return [shlex.split(words) for words in found]


@pytest.mark.parametrize("name", ["slurm.sbatch", "rayjob.yaml", "sky.yaml"])
def test_what_a_file_has_stac_do_is_a_command_of_stac(name: str) -> None:
    kinds = [type(parse(words)) for words in commands(name)]
    assert kinds == [Search] + [Resume] * (name == "slurm.sbatch")


@pytest.mark.parametrize("name", FIELDS)
def test_a_yaml_that_others_read_has_the_fields_that_were_looked_up_and_no_others(
    name: str,
) -> None:
    assert set(fields(yaml.safe_load(read(name)))) == set(FIELDS[name].split())


def test_a_rayjob_asks_for_the_token_and_goes_on_on_a_new_cluster() -> None:
    spec = yaml.safe_load(read("rayjob.yaml"))["spec"]
    cluster = spec["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert spec["backoffLimit"] > 0
    (search,) = [parse(words) for words in commands("rayjob.yaml")]
    assert search.out.startswith("s3://")


def test_a_rayjob_has_one_image_and_its_ray_is_that_of_the_lock() -> None:
    cluster = yaml.safe_load(read("rayjob.yaml"))["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    pods = [group["template"]["spec"]["containers"] for group in groups]
    assert len({container["image"] for (container,) in pods}) == 1
    assert f"\nray=={cluster['rayVersion']} " in (ROOT / "requirements.lock").read_text()


def test_sky_takes_the_token_as_a_secret_and_never_stops_skys_own_ray() -> None:
    task = yaml.safe_load(read("sky.yaml"))
    assert task["secrets"] == {"RAY_AUTH_TOKEN": None}  # it must be given at launch
    assert "RAY_AUTH_MODE=token" in task["run"]
    assert not re.search(r"ray (stop|symmetric-run)", task["run"])


def test_the_dockerfile_has_no_fault_that_hadolint_knows() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    file = ROOT / "cluster" / "Dockerfile"
    found = subprocess.run([hadolint, file], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("name", FILES)
def test_the_guide_tells_of_the_file_and_the_file_of_no_machine(name: str) -> None:
    assert f"cluster/{name}" in (ROOT / "docs" / "other-clusters.md").read_text()
    assert "://" not in read(name).replace("s3://CHANGE-my-bucket", "")
