"""Energy of processor packages from Intel's and AMD's RAPL counters, where they can be read.

Domains nest: psys holds the packages, a package holds core and uncore; dram stands beside
them. So packages, dram and psys are reported each with its own scope and never added up, and
core and uncore are left out. ``intel-rapl-mmio`` repeats a package and is skipped, and so is a
package whose counter is another one's (processors of several dies show one counter twice).
Source: kernel documentation, power/powercap; the counters are in microjoules.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import ClassVar, Self

from slmbench.meters.absence import no_window, unavailable
from slmbench.meters.power_limit import over_limit
from slmbench.meters.procfs import read_int, read_text
from slmbench.meters.protocol import Availability, Reading
from slmbench.meters.totals import PLATFORM, REPEATED
from slmbench.records import Measurement, Method, Observation, Provenance

ROOT = Path("/sys/class/powercap")
MOST_WATTS = 500.0
"""More than any package draws on average: tells how soon a counter may wrap a second time."""
SAME_COUNTER_UJ = 1_000_000
"""Two counters that stand this close at both ends of a window, since boot, are one."""
SAME_COUNTER_LEAST_UJ = 5_000_000
"""Windows that used less than this cannot tell two counters apart by their movement."""
_ZONE = re.compile(r"intel-rapl:\d+(:\d+)?")
_PERMIT = (
    "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj (until the next boot; "
    "readable counters leak information between users, CVE-2020-8694)"
)


@dataclass(frozen=True, slots=True)
class _Domain:
    """One counter that may be reported by itself."""

    folder: Path
    scope: str
    range_uj: int | None
    limit_w: float | None
    """Long-term power limit that the firmware states [W]."""


@dataclass(frozen=True, slots=True)
class _Window:
    began_ns: int
    counters: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class _Ends:
    """A counter at both ends of a window [µJ]."""

    domain: _Domain
    before: int | None
    after: int | None


class RaplMeter:
    """Counter difference per package, per dram and for psys [J]."""

    method: ClassVar[Method] = "counter"
    resolution: ClassVar[str] = (
        "about 61 µJ, updated every ms or so: windows of 0.1 s and more; "
        "start and stop < 0.1 ms per domain"
    )
    metrics: ClassVar[tuple[str, ...]] = ("energy_gross",)

    def __init__(self, root: Path = ROOT) -> None:
        self._state = probe(root)
        self._domains = _domains(root) if self._state.ok else ()
        self._window: _Window | None = None

    @classmethod
    def availability(cls) -> Availability:
        """Whether this machine shows RAPL counters and lets this user read them."""
        return probe(ROOT)

    @classmethod
    def create(cls, device: str) -> Self:
        """The device does not matter: packages are read whole."""
        del device
        return cls()

    def start(self) -> None:
        """Read every counter once."""
        counters = tuple(read_int(domain.folder / "energy_uj") for domain in self._domains)
        self._window = _Window(perf_counter_ns(), counters)

    def stop(self) -> Reading:
        """Read again and take the differences, with one wrap of the counter undone."""
        window, self._window = self._window, None
        if window is None:
            raise no_window("rapl")
        if not self._state.ok:
            return Reading(unavailable(self.metrics, self.method, self._state.reason))
        seconds = (perf_counter_ns() - window.began_ns) / 1e9
        ends = tuple(
            _Ends(domain, before, read_int(domain.folder / "energy_uj"))
            for domain, before in zip(self._domains, window.counters, strict=True)
        )
        read = [self._difference(one, ends[:i], seconds) for i, one in enumerate(ends)]
        seen = [_judged(m, one.domain, seconds) for m, one in zip(read, ends, strict=True)]
        return Reading(tuple(read), tuple(o for o in seen if o is not None))

    def _difference(self, ends: _Ends, earlier: tuple[_Ends, ...], seconds: float) -> Measurement:
        domain = ends.domain
        used, why = _used_uj(ends, seconds)
        twin = next((other for other in earlier if _one_counter(ends, other)), None)
        if twin is not None:
            used, why = None, f"{REPEATED} as {twin.domain.scope}, shown twice by the kernel"
        if used is None:
            return unavailable(self.metrics, self.method, why, domain.scope)[0]
        return Measurement(
            metric="energy_gross",
            samples=(used / 1e6,),
            provenance=Provenance.MEASURED,
            method=self.method,
            scope=domain.scope,
        )


def _judged(measured: Measurement, domain: _Domain, seconds: float) -> Observation | None:
    if not measured.samples:
        return None
    return over_limit(domain.scope, measured.samples[0], seconds, domain.limit_w)


def _one_counter(one: _Ends, other: _Ends) -> bool:
    """Whether two packages show the same counter: equal since boot, and moving alike."""
    if not (one.domain.scope.startswith("cpu ") and other.domain.scope.startswith("cpu ")):
        return False
    a0, a1, b0, b1 = one.before, one.after, other.before, other.after
    if a0 is None or a1 is None or b0 is None or b1 is None:
        return False
    moved = min(abs(a1 - a0), abs(b1 - b0))
    near = abs(a0 - b0) <= SAME_COUNTER_UJ and abs(a1 - b1) <= SAME_COUNTER_UJ
    return near and moved >= SAME_COUNTER_LEAST_UJ


def probe(root: Path) -> Availability:
    """Whether ``root`` holds a counter that can be read; never raises."""
    domains = _domains(root)
    if not domains:
        return Availability(
            False,
            f"no RAPL counters in {root} (virtual machine, container or other processor)",
            "run on bare metal with the intel_rapl_msr module loaded, "
            "or mount /sys/class/powercap into the container",
        )
    if all(read_int(domain.folder / "energy_uj") is None for domain in domains):
        return Availability(False, f"RAPL counters in {root} cannot be read by this user", _PERMIT)
    return Availability(True)


def _domains(root: Path) -> tuple[_Domain, ...]:
    try:
        names = sorted(entry.name for entry in root.iterdir() if _ZONE.fullmatch(entry.name))
    except OSError:
        return ()
    found: list[_Domain] = []
    for name in names:
        folder = root / name
        label = (read_text(folder / "name") or "").strip()
        scope = _scope(label, nested=name.count(":") == 2, parent=_label_of_parent(root, name))
        if scope:
            limit = read_int(folder / "constraint_0_max_power_uw")
            reach = read_int(folder / "max_energy_range_uj")
            found.append(_Domain(folder, scope, reach, limit / 1e6 if limit else None))
    return tuple(found)


def _label_of_parent(root: Path, name: str) -> str:
    return (read_text(root / name.rpartition(":")[0] / "name") or "").strip()


def _scope(label: str, *, nested: bool, parent: str) -> str:
    """What a domain covers, or nothing for one that lies inside another.

    >>> _scope("package-0", nested=False, parent="")
    'cpu package 0'
    >>> _scope("core", nested=True, parent="package-0")
    ''
    """
    if label.startswith("dram"):
        return f"dram of cpu {parent.replace('-', ' ')}" if nested else "dram"
    if nested:
        return ""
    if label.startswith("psys"):
        return f"{PLATFORM}, includes the cpu packages)"
    return f"cpu {label.replace('-', ' ')}" if label else ""


def _used_uj(ends: _Ends, seconds: float) -> tuple[int | None, str]:
    """Difference of two readings [µJ], or None and why there is none."""
    before, after = ends.before, ends.after
    if before is None or after is None:
        return None, "the counter could not be read"
    limit = ends.domain.range_uj
    if limit is not None and seconds * MOST_WATTS * 1e6 > limit:
        return None, (
            f"the window of {seconds:.0f} s is so long that the counter "
            f"(range {limit / 1e6:.0f} J) may have wrapped more than once"
        )
    if after >= before:
        return after - before, ""
    if limit is None:
        return None, "the counter went back and its range is not known"
    return after - before + limit, ""
