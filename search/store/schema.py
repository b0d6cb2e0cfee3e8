"""The columns of the store: names, types, units and directions; the schema is code."""

import pyarrow as pa

from search.study.ends import ENDS
from search.study.metrics import MEASURES, Metric
from stacnet.attention_spec import OPTIONS

SCHEMA_VERSION = 3  # 2 brought the lease, 3 test_correct
MAX_STAGES = 4
STATUSES = tuple(ENDS)
# A space has one choice of each; the row has one for each stage, or one for all of them.
PER_STAGE = ("kind", "kernel", "reduction")
FOR_ALL_STAGES = tuple(name for name in OPTIONS if name not in PER_STAGE)


def _column(
    name: str, kind: pa.DataType, about: str, *, unit: str = "", like: Metric | None = None
) -> pa.Field:
    """A column, in a unit of its own or measured like a metric."""
    _, unit, direction = MEASURES[like] if like else ("", unit, "")
    metadata = {"description": about, "unit": unit, "direction": direction}
    return pa.field(name, kind, metadata={key: text for key, text in metadata.items() if text})


def _stage_columns() -> list[pa.Field]:
    columns = []
    for stage in range(1, MAX_STAGES + 1):
        where = f"attention of stage {stage}"
        columns += [
            _column(f"s{stage}_kind", pa.string(), f"{where}; null for none"),
            _column(
                f"s{stage}_scale",
                pa.int32(),
                f"pooled map of the {where}",
                unit="cells per side",
            ),
            _column(f"s{stage}_kernel", pa.int32(), f"effective kernel, {where}", unit="cells"),
            _column(f"s{stage}_reduction", pa.int32(), f"channel reduction, {where}"),
        ]
    return columns


_IDENTITY = [
    _column("study_id", pa.string(), "hash of the study's definition"),
    _column("space_id", pa.string(), "hash of the space"),
    _column("network_id", pa.string(), "hash of the canonical network"),
    _column("protocol_id", pa.string(), "hash of the training recipe with its data"),
    _column("seed", pa.int64(), "of initialisation and data order"),
    _column("attempt", pa.int32(), "number of the attempt at this training, from 0"),
    _column("lease", pa.string(), "driver under which the attempt was made; null in version 1"),
    _column("point", pa.int64(), "index of the network in the study's space; null if outside"),
]
_CANONICAL = [
    _column(
        "is_canonical",
        pa.bool_(),
        "whether this row counts for its training (the first complete attempt, else the last that "
        "ended for good, else the last); null until parts are merged",
    )
]
_WHAT = [
    _column("spec_json", pa.string(), "the whole network description"),
    _column("depth", pa.int32(), "layers with weights"),
    _column("block", pa.string(), "basic or bottleneck"),
    _column("stem", pa.string(), "s1, s2 or imagenet"),
    _column("width", pa.int32(), "inner channels of the first stage", unit="channels"),
    _column("input_size", pa.int32(), "side of the input", unit="pixels"),
    *_stage_columns(),
    _column("pool", pa.string(), "how cells are condensed; null if stages differ or have none"),
    _column("upsample", pa.string(), "gate to map; null if stages differ or have none"),
    _column("fuse", pa.string(), "how the gate acts; null if stages differ or have none"),
    _column("padding", pa.string(), "border of the gate; null if stages differ or have none"),
    _column("norm", pa.string(), "norm in the gate; null if stages differ or have none"),
    _column("position", pa.string(), "post or mid; null if stages differ or have none"),
    _column("placement", pa.string(), "blocks that carry it; null if stages differ or have none"),
]
_COST = [
    _column("params", pa.int64(), "parameters held", like="params"),
    _column("params_effective", pa.int64(), "parameters that can get gradient", unit="parameters"),
    _column("macs", pa.int64(), "multiply-accumulates of one image's forward pass", like="macs"),
    _column(
        "activations", pa.int64(), "elements of all convolution and linear outputs", unit="elements"
    ),
]
_RESULT = [
    _column("status", pa.string(), f"how the attempt ended: {', '.join(STATUSES)}"),
    _column("epochs", pa.int32(), "epochs finished", unit="epochs"),
    _column(
        "val_acc_last", pa.float64(), "validation accuracy after the last epoch", like="val_acc"
    ),
    _column(
        "val_loss_last",
        pa.float64(),
        "validation cross-entropy after the last epoch",
        like="val_loss",
    ),
    _column(
        "test_acc_last",
        pa.float64(),
        "test accuracy after the last epoch; reported, never selected on",
        like="val_acc",
    ),
    _column(
        "test_loss_last", pa.float64(), "test cross-entropy after the last epoch", like="val_loss"
    ),
    _column(
        "test_correct",
        pa.binary(),
        "one bit per test image, 1 where the answer after the last epoch is right; eight to a "
        "byte, the first image in the highest bit (numpy.packbits), filled up with 0",
    ),
    _column("best_val_epoch", pa.int32(), "epoch of the best validation accuracy", unit="epoch"),
    _column("test_acc_at_best_val", pa.float64(), "test accuracy at best_val_epoch", unit="share"),
]
_EFFORT = [
    _column("train_s", pa.float64(), "training, since its first attempt began", unit="s"),
    _column("eval_s", pa.float64(), "evaluation, since its first attempt began", unit="s"),
    _column("wait_s", pa.float64(), "this attempt: set-up and data", unit="s"),
    _column("wall_s", pa.float64(), "this attempt, start to end", unit="s"),
    _column("device_s", pa.float64(), "this attempt: wall_s times device_fraction", unit="s"),
    _column(
        "wasted_device_s",
        pa.float64(),
        "part of device_s that left neither result nor checkpoint",
        unit="s",
    ),
    _column("device_fraction", pa.float64(), "share of the device (or CPU cores) held"),
    _column("peak_mem_bytes", pa.int64(), "peak memory of the process or device", unit="bytes"),
    _column("latency_s", pa.float64(), "forward pass per image, median", like="latency_s"),
    _column("device_name", pa.string(), "processor or accelerator"),
    _column("hostname", pa.string(), "machine"),
]
_ORIGIN = [
    _column("suggested_by", pa.string(), "a sampler with its arguments, prior, reuse, ..."),
    _column(
        "order",
        pa.int64(),
        "jobs the study handed out before this one; ended_at gives the order of completion",
    ),
    _column("started_at", pa.timestamp("us", tz="UTC"), "of this attempt"),
    _column("ended_at", pa.timestamp("us", tz="UTC"), "of this attempt"),
    _column("versions", pa.string(), "JSON: python, torch, ray, optuna, stacnet"),
    _column("code_commit", pa.string(), "git commit of the code, '+' if it was changed"),
    _column("error_type", pa.string(), "class of the error, or cause of the loss"),
    _column("error_text", pa.string(), "its last line"),
]

CELLS = pa.schema(
    [*_IDENTITY, *_CANONICAL, *_WHAT, *_COST, *_RESULT, *_EFFORT, *_ORIGIN],
    metadata={"schema_version": str(SCHEMA_VERSION), "table": "cells"},
)

EPOCHS = pa.schema(
    [
        *_IDENTITY[2:7],
        _column("epoch", pa.int32(), "number, from 1", unit="epoch"),
        _column("train_loss", pa.float64(), "mean training loss of the epoch", like="val_loss"),
        _column("train_acc", pa.float64(), "training accuracy, as trained", like="val_acc"),
        _column("val_loss", pa.float64(), "validation cross-entropy", like="val_loss"),
        _column("val_acc", pa.float64(), "validation accuracy", like="val_acc"),
        _column("lr", pa.float64(), "learning rate at the end of the epoch"),
        _column("train_s", pa.float64(), "training in this epoch", unit="s"),
        _column("eval_s", pa.float64(), "evaluation after this epoch", unit="s"),
        _column("epoch_s", pa.float64(), "train_s plus eval_s", unit="s"),
        _column("cum_s", pa.float64(), "since the start of the training", unit="s"),
        _column("resumed", pa.bool_(), "whether a checkpoint was loaded during the epoch"),
    ],
    metadata={"schema_version": str(SCHEMA_VERSION), "table": "epochs"},
)

# Equal for equal (network, protocol, seed) on one kind of processor and thread count.
DETERMINISTIC_CELLS = (
    "network_id",
    "protocol_id",
    "seed",
    "params",
    "macs",
    "epochs",
    "val_acc_last",
    "val_loss_last",
    "test_acc_last",
    "test_loss_last",
    "test_correct",
    "best_val_epoch",
    "test_acc_at_best_val",
)
DETERMINISTIC_EPOCHS = (
    "network_id",
    "protocol_id",
    "seed",
    "epoch",
    "train_loss",
    "train_acc",
    "val_loss",
    "val_acc",
    "lr",
)
