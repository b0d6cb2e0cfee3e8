"""The cloud's notice that this machine is about to be taken away, read from its metadata server."""

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path

from search.drive.watcher import Watcher

ASK_EVERY_S = 5.0  # as AWS advises; a server that fails is asked half as often each time
ANSWER_S = 1.0
MOST_BYTES = 4096  # of an answer
GOES_IN_S = 30  # at least: GCP; on AWS it is 120 s
DMI = Path("/sys/class/dmi/id")
Headers = dict[str, str]


class MachineLeaves(Exception):  # noqa: N818 - an event, not a fault
    """The cloud takes the machine of a worker away; its text is the notice."""


class Departure(Watcher):
    """Ends the run in order when the driver's own machine is about to go.

    Args:
        stop: told the notice.
    """

    def __init__(self, stop: Callable[[str], None]) -> None:
        self._stop = stop

    def tick(self, running: int) -> None:
        """Read the notice."""
        text = notice().read()
        if text is not None:
            self._stop(text)


class Notice:
    """Asks the metadata server now and then, at most for a second.

    Args:
        ask: text of the notice, None while there is none; raises OSError, HTTPException or
            ValueError if the server says nothing that can be understood.
    """

    def __init__(self, ask: Callable[[], str | None]) -> None:
        self._ask = ask
        self._text: str | None = None
        self._pause_s, self._next = ASK_EVERY_S, 0.0

    def read(self) -> str | None:
        """The notice in words; None while there is none. It is never taken back."""
        if self._text is None and time.monotonic() >= self._next:
            try:
                self._text, self._pause_s = self._ask(), ASK_EVERY_S
            except (OSError, HTTPException, ValueError):
                self._pause_s *= 2
            self._next = time.monotonic() + self._pause_s
        return self._text


@lru_cache(maxsize=1)
def notice() -> Notice:
    """That of this machine: of AWS, of GCP, or of a machine of one's own, which never has one.

    Which it is says its firmware, or one of the variables by which the clouds' own programs are
    sent elsewhere (`AWS_EC2_METADATA_SERVICE_ENDPOINT`, `GCE_METADATA_HOST`) or told to keep away
    (`AWS_EC2_METADATA_DISABLED`, `NO_GCE_CHECK`).
    """
    if _asked_for("AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_EC2_METADATA_DISABLED", "Amazon EC2"):
        return Notice(_of_aws)
    if _asked_for("GCE_METADATA_HOST", "NO_GCE_CHECK", "Google Compute Engine"):
        return Notice(_of_gcp)
    return Notice(lambda: None)


def _asked_for(elsewhere: str, away: str, firmware: str) -> bool:
    if os.environ.get(away, "").lower() == "true":
        return False
    return elsewhere in os.environ or firmware in _firmware()


def _firmware() -> set[str]:
    names = (DMI / "sys_vendor", DMI / "product_name")
    return {name.read_text().strip() for name in names if os.access(name, os.R_OK)}


def _of_aws() -> str | None:
    """Spot instance action, as in EC2's user guide ("Spot Instance interruption notices"); IMDSv2.

    A notice of a stop or a hibernation ends trainings as well.
    """
    server = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254")
    server = server.rstrip("/")
    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    token = _fetch(f"{server}/latest/api/token", ttl, method="PUT")
    place = f"{server}/latest/meta-data/spot/instance-action"
    try:
        told = json.loads(_fetch(place, {"X-aws-ec2-metadata-token": token}))
        if not isinstance(told, dict):
            raise ValueError(f"an instance action must be a JSON object, got {told!r}")
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise
    return f"AWS will {told.get('action')} this machine at {told.get('time')}"


def _of_gcp() -> str | None:
    """Whether the instance was preempted, as in Compute Engine's guide to Spot VMs."""
    server = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
    place = f"http://{server}/computeMetadata/v1/instance/preempted"
    if _fetch(place, {"Metadata-Flavor": "Google"}).strip().upper() != "TRUE":
        return None
    seen = datetime.now(UTC).isoformat(timespec="seconds")
    return f"GCP preempts this machine within 30 s, seen at {seen}"


def _fetch(address: str, headers: Headers, *, method: str = "GET") -> str:
    asked = urllib.request.Request(address, headers=headers, method=method)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this machine
    with direct.open(asked, timeout=ANSWER_S) as answer:
        return answer.read(MOST_BYTES).decode()
