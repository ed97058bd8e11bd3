"""Memory of this process: its peak in the phase, and what is anonymous or file-backed after.

``ru_maxrss`` is never used: it survives fork and exec and reports the parent's size.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from slmbench.meters.absence import no_window, unavailable
from slmbench.meters.procfs import kib_field, read_text
from slmbench.meters.protocol import Availability, Reading
from slmbench.records import Measurement, Method, Provenance

_RESET_PEAK = "5"
"""Written to ``clear_refs``, it sets VmHWM back to the present size (proc(5))."""


class MemoryMeter:
    """VmHWM over the phase; Pss_Anon and Pss_File at its end, of the current process.

    Pss_File holds mapped files only: pages of a file on tmpfs count as Pss_Shmem, and
    memory of child processes is not included. A small process needs about 0.1 ms for
    start and 0.3 ms for stop; the walk behind Pss grows with the number of mapped pages.
    """

    method: ClassVar[Method] = "counter"
    resolution: ClassVar[str] = (
        "1 page; the kernel's counters lag by up to 64 pages per thread or core; "
        "start < 1 ms, stop a few ms per GiB mapped"
    )
    metrics: ClassVar[tuple[str, ...]] = ("peak_rss", "pss_anon", "pss_file")

    def __init__(self, proc: Path = Path("/proc/self")) -> None:
        self._proc = proc
        self._started = False
        self._refused = ""

    @classmethod
    def availability(cls) -> Availability:
        """Needs Linux's /proc; never raises."""
        if kib_field(read_text(Path("/proc/self/status")), "VmHWM") is None:
            return Availability(
                False,
                "/proc/self/status has no VmHWM",
                "run on Linux with /proc mounted",
            )
        return Availability(True)

    @classmethod
    def create(cls, device: str) -> Self:
        """The device does not matter: this is the host memory of the process."""
        del device
        return cls()

    def start(self) -> None:
        """Set the peak back to the present size, where the kernel permits it."""
        try:
            (self._proc / "clear_refs").write_text(_RESET_PEAK, encoding="ascii")
            self._refused = ""
        except OSError as error:
            self._refused = f"clear_refs refused ({error.strerror}): the peak is since exec"
        self._started = True

    def stop(self) -> Reading:
        """Peak first, then the slower walk over the mappings."""
        if not self._started:
            raise no_window("memory")
        self._started = False
        peak = kib_field(read_text(self._proc / "status"), "VmHWM")
        rollup = read_text(self._proc / "smaps_rollup")
        anon, file = kib_field(rollup, "Pss_Anon"), kib_field(rollup, "Pss_File")
        since = "since exec" if self._refused else "since the phase began"
        no_peak, no_pss = "no VmHWM in /proc/self/status", "no Pss_* in /proc/self/smaps_rollup"
        at_end = "process, at the end of the phase"
        return Reading(
            (
                *self._measured("peak_rss", peak, f"process, {since}", self._refused or no_peak),
                *self._measured("pss_anon", anon, at_end, no_pss),
                *self._measured("pss_file", file, at_end, no_pss),
            )
        )

    def _measured(
        self, name: str, value: int | None, scope: str, reason: str
    ) -> tuple[Measurement, ...]:
        if value is None:
            return unavailable([name], self.method, reason, scope)
        note = self._refused if name == "peak_rss" else ""
        return (
            Measurement(
                metric=name,
                samples=(float(value),),
                provenance=Provenance.MEASURED,
                method=self.method,
                scope=scope,
                reason=note,
            ),
        )
