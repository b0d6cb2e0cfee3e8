"""An impossible study is one line with field, rule and value, and leaves no trace."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from searches import changed, cheap

from search.errors import StudyError
from search.study.studies import override
from search.study.study import Sampled, Study, first_difference, study_from_json
from stacnet.protocol import Protocol

MACS = {"metric": "macs", "direction": "minimize"}


def sampled(**change: Any) -> Study:
    """The cheap study by TPE."""
    return replace(cheap(), strategy=Sampled(**change))


def plain(study: Study, path: str, value: Any) -> dict[str, Any]:
    """The study's JSON with one value replaced."""
    whole = json.loads(study.to_json())
    *parents, last = path.split(".")
    place = whole
    for name in parents:
        place = place[name]
    place[last] = value
    return whole


def refusal(make: Callable[[], object]) -> str:
    """What the error says."""
    with pytest.raises(ValueError, match="must") as error:
        make()
    return str(error.value)


def tuples(value: Any) -> Any:
    """Lists as tuples, as they are in Python."""
    return tuple(map(tuples, value)) if isinstance(value, list) else value


NAN, INFINITE = float("nan"), float("inf")
IMPOSSIBLE = [
    ("name", "", "name must be 1 to 100 printable characters"),
    ("name", "../other", "name must be 1 to 100 printable characters"),
    ("name", "a\nb", r"got name='a\\nb'"),
    ("seeds", [], "seeds must be one or more distinct whole numbers from 0 to 2"),
    ("seeds", [1, 1], r"seeds must be .*distinct.*, got seeds=\(1, 1\)"),
    ("seeds", [2**63], r"seeds must be .* to 2\*\*63 - 1, got seeds=\(9223372036854775808,\)"),
    ("seeds", [-1], r"seeds must be .*, got seeds=\(-1,\)"),
    ("seeds", ["a"], r"seeds must be .* whole numbers .*, got seeds=\('a',\)"),
    ("seeds", [True], r"seeds must be .*, got seeds=\(True,\)"),
    ("seeds", [100], "finalists.seeds must be fresh ones, none of the seeds, got 100 in both"),
    ("finalists.seeds", [7, 7], "seeds must be one or more distinct"),
    ("finalists.top", -1, "top must be a whole number of at least 0, got top=-1"),
    ("strategy.trials", 0, "trials must be a whole number of at least 1, got trials=0"),
    ("strategy.trials", 2.5, r"trials must be a whole number of at least 1, got trials=2\.5"),
    ("strategy.concurrency", 0, "concurrency must be a whole number of at least 1 or None"),
    ("strategy.sampler", "tpee", "sampler must be one of random, qmc, tpe.*got sampler='tpee'"),
    ("strategy.sampler_seed", 2**31, "sampler_seed must be a whole number from 0 to 2"),
    ("strategy.scheduler", "hope", "scheduler must be one of none, asha, median"),
    ("max_attempts", 0, "max_attempts must be a whole number of at least 1, got max_attempts=0"),
    ("margin", -1, "margin must be a number above 0 and below 1, got margin=-1"),
    ("margin", NAN, "margin must be a number above 0 and below 1, got margin=nan"),
    ("margin", 0, "margin must be a number above 0 and below 1, got margin=0"),
    ("primary_rule", "R9", "primary_rule must be one of R1, .*R7, got primary_rule='R9'"),
    ("objectives", [], "objectives must be one or more objectives of distinct metrics"),
    ("resources.cpus", 0, "cpus must be a whole number of at least 1, got cpus=0"),
    ("resources.gpus", -1, "gpus must be 0, a share of one .*, or a whole number, got gpus=-1"),
    ("resources.gpus", 1.5, r"gpus must be 0, a share of one .*, got gpus=1\.5"),
    ("resources.gpus", INFINITE, "gpus must be 0, a share of one .*, got gpus=inf"),
    ("protocol.epochs", 0, "epochs must be a whole number of at least 1, got epochs=0"),
    ("protocol.epochs", True, "epochs must be a whole number of at least 1, got epochs=True"),
    ("protocol.epochs", "many", "epochs must be a whole number of at least 1, got epochs='many'"),
    ("protocol.batch_size", 1, "batch_size must be a whole number of at least 2"),
    ("protocol.lr", 0, "lr must be a number above 0, got lr=0"),
    ("protocol.lr", INFINITE, "lr must be a number above 0, got lr=inf"),
    ("protocol.momentum", 1, "momentum must be a number from 0 to below 1, got momentum=1"),
    ("protocol.weight_decay", NAN, "weight_decay must be a number of at least 0"),
    ("protocol.label_smoothing", 1, "label_smoothing must be a number from 0 to below 1"),
    ("protocol.mixup", -0.1, "mixup must be a number of at least 0"),
    ("protocol.cutmix", NAN, "cutmix must be a number of at least 0"),
    ("protocol.ema", 1.0, "ema must be a number from 0 to below 1"),
    ("protocol.warmup_epochs", -1, "warmup_epochs must be a number of at least 0"),
    ("protocol.clip_norm", NAN, "clip_norm must be a number of at least 0"),
    ("protocol.erasing", 1.1, "erasing must be a number from 0 to 1"),
    ("protocol.flip", 1, "flip must be true or false, got flip=1"),
    ("protocol.precision", "fp8", "precision must be one of fp32, bf16"),
    ("protocol.data.seed", -1, "seed must be a whole number from 0 to"),
    ("protocol.data.noise", NAN, "noise must be a number of at least 0, got noise=nan"),
    ("space.kernels", [2], "kernel must be odd, got kernel=2"),
    ("space.kernels", [3, 4], "kernel must be odd, got kernel=4"),
    ("space.placements", ["all", [5]], r"placement must name blocks 0 to 0, got placement=\(5,\)"),
    ("space.reductions", [0], r"reductions must be .* at least 1, got reductions=\(0,\)"),
    ("space.scales", [["off", 99], [1], [1]], "scale must not exceed the map of its stage"),
    ("space.max_macs_ratio", 0.9, "max_macs_ratio must be a number of at least 1"),
    ("space.max_params_ratio", NAN, "max_params_ratio must be a number of at least 1"),
    ("space.base.widths", [4.5, 8, 16], "widths must be whole numbers of at least 1"),
    ("space.base.classes", True, "classes must be a whole number of at least 1, got classes=True"),
]


@pytest.mark.parametrize(("path", "value", "message"), IMPOSSIBLE)
def test_python_a_file_and_an_override_refuse_with_the_same_line(
    path: str, value: Any, message: str
) -> None:
    study = sampled()
    said = refusal(lambda: changed(study, path, tuples(value)))
    text = json.dumps(plain(study, path, value))
    in_file = refusal(lambda: study_from_json(text, source="study.json"))
    overridden = refusal(lambda: override(study, {path: json.dumps(value)}))
    with pytest.raises(ValueError, match=message):
        changed(study, path, tuples(value))
    assert "\n" not in said
    assert in_file.startswith("study.json: ")
    assert in_file.endswith(said)
    assert overridden.endswith(said)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strategy.scheduler": '"asha"', "objectives": [MACS]}, "asha needs val_acc as its only"),
        ({"strategy.sampler": '"cmaes"', "space.pools": ["avg", "max"]}, r"ordered.*\['pool'\]"),
        ({"strategy.sampler": "cmaes", "objectives": [{}, MACS]}, "cmaes needs a single objective"),
        ({"objectives": [MACS, MACS]}, "objectives must be one or more objectives of distinct"),
        ({"objectives": [{"metric": "macs"}]}, "direction of macs must be minimize, got"),
        ({"strategy": {"kind": "clever"}}, "kind must be one of exhaustive, sampled, got"),
        ({"strategy": {"kind": "sampled", "trails": 3}}, "no such field; did you mean trials?"),
        ({"protocol.data": {"kind": "digits", "val_fraction": 1}}, "above 0 and below 1, got val_"),
        ({"protocol.data": {"kind": "prepared", "name": "../up"}}, "name must be 1 to 100"),
        ({"protocol.data": {"kind": "prepared"}}, r"protocol\.data\.name: must be given"),
        ({"protocol.data": {"kind": "prepared", "name": "a", "checksum": "0"}}, "64 hex digits"),
    ],
)
def test_fields_that_do_not_go_together_are_refused(change: dict[str, Any], message: str) -> None:
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in change.items()}
    with pytest.raises(ValueError, match=message):
        override(sampled(), texts)


def test_an_exhaustive_study_of_more_points_than_can_be_listed_is_refused() -> None:
    wide = replace(
        cheap().space,
        kernels=tuple(range(1, 100, 2)),
        reductions=tuple(range(1, 41)),
        pools=("avg", "max", "both"),
        upsamples=("nearest", "bilinear"),
        fuses=("mul", "mul_res", "affine"),
        paddings=("zeros", "reflect", "circular"),
        norms=("none", "batch"),
        positions=("post", "mid"),
    )
    with pytest.raises(StudyError, match="at most 10,000,000 points, got 11,664,000"):
        replace(cheap(), space=wide)
    assert replace(sampled(), space=wide).space.size() == 11_664_000


def test_equal_values_are_kept_in_one_form_whatever_they_were_typed_as() -> None:
    import numpy as np

    typed = Protocol(data=cheap().protocol.data, lr=1, epochs=np.int64(3), weight_decay=-0.0)  # type: ignore[arg-type]
    same = Protocol(data=cheap().protocol.data, lr=1.0, epochs=3, weight_decay=0.0)
    assert typed.protocol_id == same.protocol_id
    assert replace(cheap(), seeds=[np.int64(0), 1]) == cheap()  # type: ignore[arg-type]


def test_what_a_study_leaves_open_is_no_other_study() -> None:
    left, typed = sampled(), sampled(concurrency=2)
    assert first_difference(typed, left) is None
    assert first_difference(left, typed) == "strategy.concurrency: None -> 2"
    assert left.study_id != typed.study_id
