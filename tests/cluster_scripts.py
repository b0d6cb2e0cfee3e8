"""What the cluster's story runs on its hosts; the study and the commands are the guide's."""

import re
import textwrap

from hosts import ROOT

GUIDE = (ROOT / "docs" / "cluster.md").read_text()
STUDY = (
    textwrap.dedent(re.findall(r"```python\n(.*?)```", GUIDE, re.S)[0]).strip()
    + """


def placements(of_the_guide=placements):
    study = of_the_guide()
    space = replace(study.space, scales=(("off", 1), ("off", 1, 4), ("off", 1)))
    return replace(study, space=space)


def few():
    study = placements()
    space = replace(study.space, scales=(("off", 1), ("off", 1), ("off",)))
    return replace(study, name="few", space=space, protocol=replace(study.protocol, epochs=2))
"""
)
PREFLIGHT = """
import json, sys
from dataclasses import replace

from search.cluster.doctor import doctor
from search.study.studies import digits
from search.study.study import Resources
from stacnet.data_spec import Prepared

study = digits()
if "faulty" in sys.argv:
    protocol = replace(study.protocol, data=Prepared(name="imagenet64"))
    study = replace(study, protocol=protocol, resources=Resources(gpus=1))
faults = [f"{f.about}: {f.text}" for f in doctor(study, sys.argv[1], "auto") if not f.ok]
print("FAULTS", json.dumps(faults))
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
from search.store.store import Store
print("ROWS", Store("s3://lab/few").trainings(["status", "hostname"]).to_pylist())
"""
COUNT = """
import ray, stac

ray.init(logging_level="ERROR")
rows = stac.open("/mnt/shared/study").frame().num_rows
print("COUNTED", int(ray.cluster_resources()["CPU"]), rows)
"""
ALONE = """
import sys

from dataclasses import replace

from search.drive.run import Options, search
from search.study.studies import load_study

if __name__ == "__main__":
    study = load_study(sys.argv[1] + "/study.py:placements")
    study = replace(study, space=replace(study.space, scales=(("off",), *study.space.scales[1:])))
    search(study, sys.argv[1] + "/alone", options=Options())
"""
SCRIPTS = {
    "alone.py": ALONE,
    "count.py": COUNT,
    "study.py": STUDY,
    "preflight.py": PREFLIGHT,
    "intruder.py": INTRUDER,
    "bucket.py": BUCKET,
    "read_s3.py": READ_S3,
}


def guide_commands() -> list[str]:
    """The lines of the guide's blocks that need no AWS account."""
    blocks = re.findall(r'```sh title="your machines"\n(.*?)```', GUIDE, re.S)
    return [line.strip() for block in blocks for line in block.strip().splitlines()]
