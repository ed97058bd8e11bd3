"""Recipes, passages and benches for trainings of a second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from slmbench.lifecycle.workbench import Workbench
from slmbench.spec.recipes.training import Train

_THINGS = ("harbour", "orchard", "violin", "glacier", "library", "kettle", "meadow", "engine")
_DEEDS = ("was built in", "is older than", "belongs to", "was painted after", "lies north of")
PASSAGES = tuple(
    f"The {a} {deed} the {b}, and passage {10 * i + j} says so in {i + 2 * j + 3} words."
    for i, a in enumerate(_THINGS)
    for j, (deed, b) in enumerate(zip(_DEEDS, reversed(_THINGS), strict=False))
)
"""Forty short texts, all different."""


def recipe(**changes: Any) -> Train:
    """Sixteen steps of four rows of 32 tokens, all weights."""
    settings: dict[str, Any] = {
        "update": {"kind": "full"},
        "text": {"passages": ["boolq"], "held_out": 0.2, "validation_bytes": 400},
        "tokens": 16 * 4 * 32,
        "sequence": 32,
        "batch": 4,
        "learning_rate": 0.01,
        "validations": 3,
    }
    return Train.model_validate({"technique": "train", **settings, **changes})


def bench(
    parent: Path,
    out: Path,
    told: list[str] | None = None,
    checkpoints: Path | None = None,
    threads: int = 1,
) -> Workbench:
    """One thread, so that the order of sums never changes."""
    out.mkdir(parents=True, exist_ok=True)
    report = (told if told is not None else []).append
    return Workbench(parent, out, threads, report, checkpoints=checkpoints)


def write_passages(folder: Path, texts: Any) -> None:
    """A split ``validation`` as ``datasets.save_to_disk`` writes it."""
    split = folder / "validation"
    split.mkdir(parents=True)
    table = pa.table({"question": ["?"] * len(texts), "passage": list(texts)})
    with (
        pa.OSFile(str(split / "data-00000-of-00001.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema) as stream,
    ):
        stream.write_table(table)
    (split / "state.json").write_text(json.dumps({"_split": "validation"}))
