"""A folder's float tensors in another float type; what the type cannot hold is counted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from slmbench.errors import ArtefactError
from slmbench.lifecycle.float_folder import require_float
from slmbench.lifecycle.hf_folder import copy_companions
from slmbench.lifecycle.tensor_files import INDEX, opened, rewrite
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import CastFacts
from slmbench.spec.recipe import Cast


@dataclass(slots=True)
class _Tally:
    tensors: int = 0
    rounded: int = 0


def make(recipe: Cast, bench: Workbench) -> Product:
    """Write ``hf/``; every tensor that was read back is the nearest in the type.

    Raises ArtefactError for a weight beyond the type's range (float16 ends at 65,504), and
    UnsupportedModelError for quantized weights.
    """
    torch.set_num_threads(bench.threads)
    require_float(bench.parent, "cast")
    out, dtype, tally = bench.out / "hf", getattr(torch, recipe.dtype), _Tally()

    def change(name: str, tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.is_floating_point():
            return tensor
        found = cast(name, tensor, dtype)
        tally.tensors += 1
        tally.rounded += rounded(tensor, found)
        return found

    rewrite(bench.parent, out, change)
    _write_config(bench.parent, out, recipe.dtype)
    copy_companions(bench.parent, out)
    _verify(bench.parent, out, dtype)
    bench.report(f"{tally.tensors} tensors as {recipe.dtype}, {tally.rounded} weights rounded")
    facts = CastFacts(tensors=tally.tensors, rounded_weights=tally.rounded)
    return Product(out, facts, ("torch", "safetensors"))


def cast(name: str, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The nearest values in the type; ArtefactError where a finite one becomes infinite."""
    found = tensor.to(dtype)
    lost = int((tensor.isfinite() & ~found.isfinite()).sum())
    if lost:
        kind = str(dtype).removeprefix("torch.")
        raise ArtefactError(
            f"{name}: {lost} weights are beyond {kind} (up to {torch.finfo(dtype).max:g}), "
            f"the largest is {float(tensor.abs().max()):g}",
            hint="cast to bfloat16, whose range is that of float32",
        )
    return found


def rounded(before: torch.Tensor, after: torch.Tensor) -> int:
    """How many values the new type does not hold exactly (float64 holds all of both)."""
    return int((before.double() != after.double()).sum())


def _write_config(parent: Path, out: Path, dtype: str) -> None:
    config = json.loads((parent / "config.json").read_text("utf-8"))
    config.pop("torch_dtype", None)  # the name before transformers 5
    text = json.dumps(config | {"dtype": dtype}, indent=2, sort_keys=True)
    (out / "config.json").write_text(text + "\n", "utf-8")
    if (out / INDEX).is_file():
        with opened(out) as files:
            size = sum(files.tensor(name).nbytes for name in files.names)
        index = json.loads((out / INDEX).read_text("utf-8"))
        index["metadata"] = {**index.get("metadata", {}), "total_size": size}
        (out / INDEX).write_text(json.dumps(index, indent=2) + "\n", "utf-8")


def _verify(parent: Path, out: Path, dtype: torch.dtype) -> None:
    """What lies on the disk must be the parent's, cast."""
    with opened(parent) as before, opened(out) as after:
        for name in before.names:
            wanted = before.tensor(name)
            wanted = wanted.to(dtype) if wanted.is_floating_point() else wanted
            if not torch.equal(wanted, after.tensor(name)):
                raise ArtefactError(
                    f"{name} differs from the parent's after reading back", hint="make it again"
                )
