"""What happened in a cluster's life, for the tests to look at."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search.store.store import Store


@dataclass
class Story:
    """What happened, for the tests to look at."""

    shared: Path
    ran: list[str] = field(default_factory=list)
    joined: str = ""
    head_sent_bytes: int = 0
    faults: list[str] = field(default_factory=list)
    faults_without_token: list[str] = field(default_factory=list)
    intruder: str = ""
    listening: dict[str, set[str]] = field(default_factory=dict)
    knocked: dict[str, str] = field(default_factory=dict)
    in_tmux: str = ""
    doctor: str = ""
    status: dict[str, Any] = field(default_factory=dict)
    second_up: str = ""
    second_guard: str = ""
    attached: str = ""
    submitted: str = ""
    second_search: str = ""
    stopped: str = ""
    too_many: str = ""
    runs: list[dict[str, Any]] = field(default_factory=list)
    done_at_head_loss: int = 0
    resumed: str = ""
    costs: str = ""
    on_s3: str = ""
    down: str = ""
    ray_left: dict[str, list[str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def trainings(self, columns: list[str], *, all_attempts: bool = False) -> list[dict[str, Any]]:
        table = Store(self.shared / "study").trainings(columns, all_attempts=all_attempts)
        return table.to_pylist()

    def hosts_with_rows(self) -> set[str]:
        rows = self.trainings(["hostname", "status"], all_attempts=True)
        return {row["hostname"] for row in rows if row["hostname"]}
