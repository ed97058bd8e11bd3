"""What an artefact is, read off its files: size, bits per weight, zeros, and real or simulated.

A compression is simulated when dense arithmetic stands for it (decision 017):

- integer levels that take more room than their bits, and are made floats before every product;
- float matrices of which more than a fifth is zero;
- float matrices whose weights this technique put on a grid of few levels.

Any other technique puts nothing on a grid: where one is left (an export, a cast, dropped layers,
an update of a few matrices), what it makes is what its parent was. A GGUF's blocks turned into
floats are a float model, as large and as slow as it looks: nothing of it is presented as a
compression.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from slmbench.content import RECORD
from slmbench.errors import ArtefactError
from slmbench.lifecycle.job import MakeJob
from slmbench.lifecycle.levels import Levels, levels_of
from slmbench.lifecycle.stored_tensors import Stored, of_folder, of_gguf, of_onnx
from slmbench.made import MadeRecord, Measured
from slmbench.spec import Recipe
from slmbench.spec.recipes.technique import Format

MANY_ZEROS = 0.2
"""Share of zeros of a matrix that no dense model has by accident."""
_SPARSE_PART = 0.05
"""Share of the weights that such matrices must hold to count."""
_GRID_PART = 0.25
"""Share of the weights that must be on a grid to count."""
_FLOATS = frozenset({"F64", "F32", "F16", "BF16", "FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE"})
_UNPACKED = "IntxUnpackedToInt8Tensor"


@dataclass(frozen=True, slots=True)
class Look:
    """What the tensors of an artefact show."""

    weights: int
    bytes: int
    zeros: int
    main: str
    """Type that holds most weights besides the embedding."""
    sparse: float
    """Share of zeros in matrices of which more than a fifth is zero; 0 where these are few."""
    levels: Levels | None
    """The grid that float matrices are on."""


def measured(job: MakeJob, path: Path) -> Measured:
    """What the job's artefact is; its verdict knows the technique and the parent's verdict."""
    look = look_at(path, job.format)
    kernel, reason = verdict(look, job.recipe, _of_parent(job))
    return Measured(
        parameters=look.weights,
        weight_bytes=look.bytes,
        bits_per_weight=8 * look.bytes / max(1, look.weights),
        zero_share=look.zeros / max(1, look.weights),
        kernel="simulated" if kernel else "real",
        kernel_reason=reason,
    )


def look_at(path: Path, format_: Format) -> Look:
    """Read an artefact's tensors.

    Raises ArtefactError for a damaged GGUF, and where there are no tensors at all.
    """
    read = {"gguf": of_gguf, "hf": of_folder, "onnx": of_onnx}
    tensors = tuple(read[format_](path))
    if not tensors:
        raise ArtefactError(f"{path}: no tensors in it")
    zeros = {t.name: t.values.zeros() for t in tensors if t.values is not None}
    return Look(
        weights=sum(t.weights for t in tensors),
        bytes=sum(t.bytes for t in tensors),
        zeros=sum(zeros.values()),
        main=_main_kind(tensors),
        sparse=_sparse_share(tensors, zeros),
        levels=_common_grid(tensors),
    )


def verdict(look: Look, recipe: Recipe, parent: Measured | None) -> tuple[bool, str]:
    """Whether it is simulated, and what was seen."""
    name, _, held = look.main.partition(" ")
    if name == _UNPACKED and held != "int8":
        return True, f"{held} levels kept in a byte each, made floats before every product"
    if look.main not in _FLOATS:
        return False, f"computed with as stored: {look.main}"
    seen = _seen(look.levels)
    if recipe.simulated and seen:
        return True, f"{seen}, stored as {look.main}"
    if look.sparse:
        return True, f"{look.sparse:.0%} zeros in dense matrices"
    if recipe.simulated:
        return True, f"by its technique; stored as {look.main}"
    if not seen:
        return False, f"computed with as stored: {look.main}"
    if parent is not None and parent.kernel == "simulated":
        return True, f"{seen}, as its parent, which is simulated"
    if recipe.technique == "dequantize" or _unpacks(recipe):
        return False, f"{look.main} at full size; {seen} are left of the parent's blocks"
    return False, f"{look.main} at full size; {seen}, as its parent"


def _unpacks(recipe: Recipe) -> bool:
    return recipe.technique == "gguf_quantize" and recipe.only_converts


def _seen(levels: Levels | None) -> str:
    if levels is None:
        return ""
    where = "rows" if levels.group is None else f"groups of {levels.group}"
    return f"at most {levels.count} levels in {where}"


def _of_parent(job: MakeJob) -> Measured | None:
    """What the parent's own record says; None for a source and for older records."""
    if job.parent_path is None:
        return None
    try:
        text = (Path(job.parent_path).parent / RECORD).read_bytes()
        return MadeRecord.model_validate_json(text).measured
    except (OSError, ValidationError):
        return None


def _main_kind(tensors: Iterable[Stored]) -> str:
    held: dict[str, int] = {}
    for tensor in _inner(tuple(tensors)):
        held[tensor.kind] = held.get(tensor.kind, 0) + tensor.weights
    return max(held, key=lambda kind: held[kind])


def _inner(tensors: Sequence[Stored]) -> Sequence[Stored]:
    """All but embeddings, which formats often keep in more bits."""
    inner = [t for t in tensors if "embed" not in t.name and "embd" not in t.name]
    return inner or tensors


def _sparse_share(tensors: Sequence[Stored], zeros: dict[str, int]) -> float:
    sparse = [t for t in tensors if zeros.get(t.name, 0) > MANY_ZEROS * t.weights]
    held = sum(t.weights for t in sparse)
    if held < _SPARSE_PART * sum(t.weights for t in tensors):
        return 0.0
    return sum(zeros[t.name] for t in sparse) / held


def _common_grid(tensors: Sequence[Stored]) -> Levels | None:
    """What holds for all matrices on a grid, embeddings aside, if these are not few."""
    found: list[Levels] = []
    held = 0
    for tensor in _inner(tensors):
        matrix = None if tensor.values is None else tensor.values.matrix()
        levels = None if matrix is None else levels_of(matrix)
        if levels is not None:
            found.append(levels)
            held += tensor.weights
    if held < _GRID_PART * sum(t.weights for t in tensors):
        return None
    groups = [levels.group for levels in found if levels.group is not None]
    return Levels(max(levels.count for levels in found), min(groups, default=None))
