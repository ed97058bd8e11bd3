"""Fuse two models of one shape, tensor by tensor.

``linear``: (1 - t) a + t b, a model soup of two (Wortsman et al. 2022, arXiv 2203.05482). ``slerp``
(Shoemake 1985, "Animating rotation with quaternion curves"), each tensor as one long vector with
the angle W between them::

    sin((1 - t) W) / sin W * a + sin(t W) / sin W * b

Where |cos W| > 0.9995 the quotients say nothing, and the line is taken: so the facts count such
tensors. Sums are in float32, the result has the parent's number types.
"""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from slmbench.errors import ArtefactError
from slmbench.lifecycle.float_folder import require_float
from slmbench.lifecycle.hf_folder import copy_companions
from slmbench.lifecycle.mergekit import run_mergekit
from slmbench.lifecycle.tensor_files import TensorFiles, opened, rewrite
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import MergeFacts
from slmbench.spec.recipe import Merge

PARALLEL = 0.9995
"""|cosine| beyond which slerp is linear."""
_SAME = ("model_type", "tie_word_embeddings", "num_attention_heads", "num_key_value_heads")
"""Settings without which equal shapes would mean different things."""


@dataclass(slots=True)
class _Tally:
    tensors: int = 0
    parallel: int = 0
    moved: float = 0.0
    size: float = 0.0


def make(recipe: Merge, bench: Workbench) -> Product:
    """Write ``hf/`` with the parent's config and tokenizer.

    Raises ArtefactError naming the first thing in which the two differ (kind, vocabulary,
    tensors, shapes) or that nothing differs, UnsupportedModelError for quantized weights,
    PrerequisiteError where mergekit is asked for and not installed.
    """
    torch.set_num_threads(bench.threads)
    other = Path(bench.other(recipe.other).path)
    for folder in (bench.parent, other):
        require_float(folder, "merge")
    out, tally = bench.out / "hf", _Tally()
    with opened(bench.parent) as mine, opened(other) as theirs:
        check_alike(mine, theirs)
        for name in mine.names:
            _count(tally, recipe, mine.tensor(name), theirs.tensor(name))
        if not tally.moved:
            raise ArtefactError(
                f"merge: {recipe.other!r} has the parent's own weights, so the result would too",
                hint="name a variant whose weights differ, such as another training of the parent",
            )
        if recipe.tool == "slmbench":
            rewrite(bench.parent, out, lambda name, a: fuse(recipe, name, a, theirs.tensor(name)))
            shutil.copyfile(bench.parent / "config.json", out / "config.json")
    tool = "slmbench"
    if recipe.tool == "mergekit":
        tool = run_mergekit(recipe, bench.parent, other, out)
    copy_companions(bench.parent, out)
    bench.report(f"{tally.tensors} tensors, {tally.parallel} of them nearly parallel")
    facts = MergeFacts(
        tensors=tally.tensors,
        nearly_parallel=tally.parallel,
        distance=math.sqrt(tally.moved / tally.size) if tally.size else 0.0,
        tool=tool,
    )
    return Product(out, facts, ("torch", "safetensors", "transformers"))


def check_alike(mine: TensorFiles, theirs: TensorFiles) -> None:
    """Raise ArtefactError naming the first difference of the two folders."""
    here, there = _config(mine.folder), _config(theirs.folder)
    for key in _SAME:
        if here.get(key) != there.get(key):
            raise ArtefactError(
                f"a merge needs two models of one shape: {key} is {here.get(key)} in the parent "
                f"and {there.get(key)} in the other",
                hint="merge variants of the same model",
            )
    for name in sorted({*mine.names, *theirs.names}):
        _check_tensor(name, mine, theirs)
    _check_vocabulary(mine.folder, theirs.folder)


def fuse(recipe: Merge, name: str, mine: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """A tensor in the type of ``mine``; ArtefactError for whole numbers that differ."""
    if not mine.is_floating_point():
        if not torch.equal(mine, theirs):
            raise ArtefactError(f"{name} holds whole numbers, which cannot be merged")
        return mine
    a, b = mine.float(), theirs.float()
    if recipe.method == "slerp" and not nearly_parallel(a, b):
        angle = math.acos(cosine(a, b))
        low, high = (math.sin(s * angle) / math.sin(angle) for s in (1 - recipe.t, recipe.t))
    else:
        low, high = 1 - recipe.t, recipe.t
    return (low * a + high * b).to(mine.dtype)


def nearly_parallel(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether the angle is too close to 0 or a half turn for quotients of sines; so is no angle."""
    return abs(cosine(a, b)) > PARALLEL


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    """Of two tensors as long vectors, in [-1, 1]; 1 where one is zero."""
    lengths = float(a.double().norm()) * float(b.double().norm())
    if lengths == 0:
        return 1.0
    return max(-1.0, min(1.0, float((a.double() * b.double()).sum()) / lengths))


def _count(tally: _Tally, recipe: Merge, mine: torch.Tensor, theirs: torch.Tensor) -> None:
    tally.tensors += 1
    if mine.is_floating_point():
        tally.parallel += nearly_parallel(mine, theirs)
        tally.moved += float((mine.double() - theirs.double()).square().sum())
        tally.size += float(mine.double().square().sum())


def _check_tensor(name: str, mine: TensorFiles, theirs: TensorFiles) -> None:
    missing = name not in theirs.names
    if missing or name not in mine.names:
        where = "the other" if missing else "the parent"
        raise ArtefactError(
            f"a merge needs the same tensors: {name} is missing in {where}",
            hint="merge variants of the same model",
        )
    if mine.shape(name) != theirs.shape(name):
        raise ArtefactError(
            f"a merge needs equal shapes: {name} is {_shape(mine.shape(name))} in the parent and "
            f"{_shape(theirs.shape(name))} in the other",
            hint="merge variants of the same model that were not pruned differently",
        )


def _check_vocabulary(mine: Path, theirs: Path) -> None:
    here, there = (
        AutoTokenizer.from_pretrained(folder, local_files_only=True).get_vocab()
        for folder in (mine, theirs)
    )
    if here == there:
        return
    tokens = sorted({*here, *there})
    first = next(token for token in tokens if here.get(token) != there.get(token))
    raise ArtefactError(
        f"a merge needs one vocabulary: token {first!r} has id {here.get(first)} in the parent "
        f"and {there.get(first)} in the other",
        hint="merge variants of the same model",
    )


def _config(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    return found


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
