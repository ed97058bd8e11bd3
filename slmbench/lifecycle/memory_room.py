"""Is there memory for what a recipe needs? Asked before it begins."""

from __future__ import annotations

from pathlib import Path

from slmbench.errors import PrerequisiteError
from slmbench.lifecycle.costs import CostEstimate
from slmbench.meters.cgroup import NO_LIMIT_BYTES, group_levels, split_of
from slmbench.meters.procfs import kib_field, read_int, read_text

_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes")


def available(root: Path = Path("/")) -> int | None:
    """Memory that a new process may take [bytes]; None where nothing tells.

    MemAvailable of the kernel, or what the tightest control group has left, page cache given back.
    """
    known = kib_field(read_text(root / "proc/meminfo"), "MemAvailable")
    version, levels = group_levels(root)
    names = ("memory.max", "memory.current") if version == 2 else _VERSION_1
    left = [] if known is None else [known]
    for level in levels:
        limit, used = (read_int(level / name) for name in names)
        if limit is None or used is None or limit >= NO_LIMIT_BYTES:
            continue
        split = split_of(level, version)
        left.append(max(0, limit - used + (0 if split is None else split[1])))
    return min(left, default=None)


def refuse_too_large(variant: str, expected: CostEstimate, have: int | None) -> None:
    """Raise PrerequisiteError when a step is estimated to need more memory than there is."""
    need = expected.memory_bytes
    if need is None or have is None or need <= have:
        return
    raise PrerequisiteError(
        f"{variant}: making it needs about {need / 1e9:.1f} GB of memory (estimated), "
        f"{have / 1e9:.1f} GB are available",
        hint="take a smaller model, or, of a training, lower `batch` or `sequence`, or train by "
        "lora instead of full; `slmbench derive --force` tries it all the same",
    )
