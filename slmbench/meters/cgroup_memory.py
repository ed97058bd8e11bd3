"""What the kernel charged to the memory control group of this process in the phase.

Only a group that holds no other process says something about this one; any other is left
alone, and the reading says whose it is. Page cache is charged to the group that touched it
first: a file that another process had read before is free here.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Self

from slmbench.meters.absence import no_window, unavailable
from slmbench.meters.cgroup import Version, group_levels, peak_of, split_of
from slmbench.meters.procfs import read_text
from slmbench.meters.protocol import Availability, Reading
from slmbench.records import Measurement, Method, Provenance

_SCOPE = "control group v{} of this process alone; anonymous, page cache and kernel"


class CgroupMemoryMeter:
    """Peak of the group over the phase; anonymous memory and page cache at its end."""

    method: ClassVar[Method] = "counter"
    resolution: ClassVar[str] = (
        "1 page, charged in batches of 64 a processor; start and stop < 0.1 ms"
    )
    metrics: ClassVar[tuple[str, ...]] = ("cgroup_peak", "cgroup_anon", "cgroup_file")

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._open = False
        self._since = ""

    @classmethod
    def availability(cls) -> Availability:
        """Whether this process is in a group that can be read; never raises."""
        _, folder, why = _own(Path("/"))
        if folder is None:
            return Availability(False, why, "start the worker in a control group of its own")
        return Availability(True)

    @classmethod
    def create(cls, device: str) -> Self:
        """The device does not matter: this is host memory."""
        del device
        return cls()

    def start(self) -> None:
        """Forget the group's peak where that is possible and the group is this process's own."""
        self._open, self._since = True, "since the group was made"
        version, folder, _ = _own(self._root)
        if version == 1 and folder is not None:
            with suppress(OSError):
                (folder / "memory.max_usage_in_bytes").write_text("0", encoding="ascii")
                self._since = "since the phase began"

    def stop(self) -> Reading:
        """The peak first, then what is charged now."""
        if not self._open:
            raise no_window("cgroup")
        self._open = False
        version, folder, why = _own(self._root)
        if folder is None:
            return Reading(unavailable(self.metrics, self.method, why))
        peak, split = peak_of(folder, version), split_of(folder, version)
        anon, file = split or (None, None)
        scope = _SCOPE.format(version)
        now = f"{scope}, at the end of the phase"
        return Reading(
            (
                *self._measured("cgroup_peak", peak, f"{scope}, {self._since}"),
                *self._measured("cgroup_anon", anon, now),
                *self._measured("cgroup_file", file, now),
            )
        )

    def _measured(self, name: str, value: int | None, scope: str) -> tuple[Measurement, ...]:
        if value is None:
            return unavailable([name], self.method, "this kernel keeps no such counter", scope)
        return (
            Measurement(
                metric=name,
                samples=(float(value),),
                provenance=Provenance.MEASURED,
                method=self.method,
                scope=scope,
            ),
        )


def _own(root: Path) -> tuple[Version, Path | None, str]:
    """The group if it is this process's alone, else whose it is."""
    version, levels = group_levels(root)
    if not levels:
        return version, None, "this process is in no memory control group"
    listed = read_text(levels[0] / "cgroup.procs")
    if listed is None:
        return version, None, "the control group's processes cannot be listed"
    others = {line for line in listed.split() if line not in (str(os.getpid()), "0")}
    if others or not listed.split():
        count = len(others) if others else "unseen"
        return version, None, f"the control group is shared with {count} other processes"
    return version, levels[0], ""
