"""Energy of processor packages from Intel's and AMD's RAPL counters, where they can be read.

Domains nest: psys holds the packages, a package holds core and uncore; dram stands beside
them. So packages, dram and psys are reported each with its own scope and never added up, and
core and uncore are left out. ``intel-rapl-mmio`` repeats a package and is skipped.
Source: kernel documentation, power/powercap; the counters are in microjoules.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import ClassVar, Self

from slmbench.meters.absence import no_window, unavailable
from slmbench.meters.procfs import read_int, read_text
from slmbench.meters.protocol import Availability, Reading
from slmbench.records import Measurement, Method, Provenance

ROOT = Path("/sys/class/powercap")
MOST_WATTS = 500.0
"""More than any package draws on average: tells how soon a counter may wrap a second time."""
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


@dataclass(frozen=True, slots=True)
class _Window:
    began_ns: int
    counters: tuple[int | None, ...]


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
        return Reading(
            tuple(
                self._difference(domain, before, seconds)
                for domain, before in zip(self._domains, window.counters, strict=True)
            )
        )

    def _difference(self, domain: _Domain, before: int | None, seconds: float) -> Measurement:
        after = read_int(domain.folder / "energy_uj")
        used, why = _used_uj(domain, before, after, seconds)
        if used is None:
            return unavailable(self.metrics, self.method, why, domain.scope)[0]
        return Measurement(
            metric="energy_gross",
            samples=(used / 1e6,),
            provenance=Provenance.MEASURED,
            method=self.method,
            scope=domain.scope,
        )


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
            found.append(_Domain(folder, scope, read_int(folder / "max_energy_range_uj")))
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
        return "platform (psys, includes the cpu packages)"
    return f"cpu {label.replace('-', ' ')}" if label else ""


def _used_uj(
    domain: _Domain, before: int | None, after: int | None, seconds: float
) -> tuple[int | None, str]:
    """Difference of two readings [µJ], or None and why there is none."""
    if before is None or after is None:
        return None, "the counter could not be read"
    limit = domain.range_uj
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
