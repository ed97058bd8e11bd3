"""Text, workbenches and recipes of what learns in tests."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from slmbench.lifecycle.workbench import Workbench
from slmbench.spec.recipes.training import Train

KINDS = {
    "cook": ("butter", "flour", "sugar", "oven", "bread", "baker"),
    "sail": ("harbour", "anchor", "sailor", "wind", "island", "storm"),
    "code": ("function", "compiler", "memory", "thread", "kernel", "buffer"),
}


def passages(count: int = 60, seed: int = 3) -> list[str]:
    """Texts of three kinds that share no words but small ones."""
    drawn = random.Random(seed)
    kinds = list(KINDS.values())
    return [
        " ".join(f"the {drawn.choice(kinds[n % 3])} and" for _ in range(8)) + f" {n}"
        for n in range(count)
    ]


def bench_at(place: Path, parent: Path, **more: Any) -> Workbench:
    """A workbench with an empty folder to write into."""
    place.mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any] = {"threads": 2, "report": lambda _: None} | more
    return Workbench(made_from=parent, out=place, **settings)


def recipe(**settings: Any) -> Train:
    """A few short steps."""
    small = {"tokens": 1024, "sequence": 32, "batch": 4, "learning_rate": 3e-3, "validations": 2}
    return Train.model_validate({"technique": "train", **small, **settings})


def tensors_of(folder: Path) -> tuple[dict[str, Any], bytes]:
    """Header and data of the weights; safetensors writes its metadata in any order."""
    file = next(folder.glob("*.safetensors")).read_bytes()
    end = 8 + int.from_bytes(file[:8], "little")
    return json.loads(file[8:end]), file[end:]
