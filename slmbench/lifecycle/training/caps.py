"""A limit on the memory of a process that trains, as a device would set it.

The limit is set from outside: the maker is started in a memory control group, so that everything
counts (interpreter, libraries, page cache that cannot be given back), and the kernel ends it when
it wants more. Where no group can be made its address space is limited instead, which counts what
is reserved and not touched too: the same training then needs a higher limit. The cap on energy is
in :mod:`.spending`. Importing this loads no engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slmbench.errors import ArtefactError
from slmbench.memory_group import MemoryGroup, memory_group
from slmbench.process import Ending
from slmbench.spec import Recipe
from slmbench.spec.recipes.training import Caps, FedAvg, PeftPrune, Train

MEGABYTE = 1_000_000


def caps_of(recipe: Recipe) -> Caps:
    """The caps of a recipe that trains; none for every other."""
    if isinstance(recipe, PeftPrune | FedAvg):
        return recipe.train.caps
    return recipe.caps if isinstance(recipe, Train) else Caps()


@dataclass(frozen=True, slots=True)
class MemoryCap:
    """How the memory of a maker is limited."""

    limit: int | None = None
    """[bytes]; None: not at all."""
    group: MemoryGroup | None = None
    """To start the process in; None with a limit: its address space is limited."""
    why_not: str = ""
    """Why there is no group."""

    @property
    def folder(self) -> Path | None:
        """Of the group, for :class:`slmbench.process.Child`."""
        return None if self.group is None else self.group.folder

    @property
    def address_space(self) -> int | None:
        """Limit that the process has to set itself [bytes]."""
        return None if self.group is not None else self.limit

    def may_explain(self, ending: Ending) -> bool:
        """Whether a maker that ended so may have died of the cap: killed, or, without a group, in
        whatever way an allocation that fails shows."""
        if self.limit is None:
            return False
        return self.group is None or ending.oom_killed or ending.signal == "SIGKILL"

    def exceeded(self, name: str, *, known: bool) -> ArtefactError:
        """The error for a maker that died of the cap (``known``), or may have."""
        assert self.limit is not None, "nothing was limited"
        cap = f"{self.limit / MEGABYTE:.0f} MB"
        died = "wanted more memory" if known else "failed, and may have wanted more memory,"
        if self.group is None:
            how = f"than its cap of {cap}, set on address space because {self.why_not}"
        else:
            peak = self.group.peak()
            seen = "" if peak is None else f", of which it had {peak / MEGABYTE:.0f} MB"
            how = f"than its cap of {cap}{seen}"
        return ArtefactError(
            f"{name}: training {died} {how}; nothing was made",
            hint="raise caps.memory_mb, or lower batch, sequence or update.rank, or compute in "
            "bfloat16",
        )


@contextmanager
def memory_cap(recipe: Recipe) -> Iterator[MemoryCap]:
    """While open, a group with the recipe's limit exists; an empty cap where it sets none."""
    asked = caps_of(recipe).memory_mb
    if asked is None:
        yield MemoryCap()
        return
    limit = asked * MEGABYTE
    with memory_group(limit) as group:
        if isinstance(group, MemoryGroup):
            yield MemoryCap(limit, group)
        else:
            yield MemoryCap(limit, None, group.reason)
