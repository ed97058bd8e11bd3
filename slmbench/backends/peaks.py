"""What the machine can do at best: read bandwidth and matrix products, measured, and kept.

Rooflines compare a model's speed with these. They are measured in a process of their own, bound
to the processors that a timed worker with as many threads gets, in a few seconds:

* **read bandwidth**: reductions that only read, over arrays of four last-level caches or more,
  first touched by the threads that read them; decoding reads weights and writes next to nothing,
  which is why no copy kernel is used (STREAM's also leave out what a store first reads);
* **matrix products**: the largest rate over a sweep of shapes, by type of the factors.

The best of many runs counts. Other work on the machine makes peaks too small, hence shares of
them too large: peaks that were measured beside some are measured again the next time that they are
asked for, and the larger rates are kept. ``slmbench doctor --peaks`` begins anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import ValidationError

from slmbench.backends.peaks_child import PeakPart, PeakRequest
from slmbench.cores import last_level_cache, timed_cpus
from slmbench.locations import cache_dir
from slmbench.other_load import look, other_share
from slmbench.process import Child, Ending
from slmbench.records import MachinePeaks

VERSION = 1
"""Raised when the kernels change: older peaks are measured again."""
TIMEOUT_S = 60.0
_MODULE = "slmbench.backends.peaks_child"
_LOG = logging.getLogger(__name__)


def machine_peaks(
    threads: int, device: str = "cpu", *, again: bool = False, python: str | None = None
) -> MachinePeaks | None:
    """The peaks of this machine with so many threads, measured now or kept from before.

    ``device``: ``cpu`` or ``cuda:0``. ``again`` measures whatever is kept; ``python``: another
    interpreter, whose libraries are used. Takes up to 10 s the first time. None, with the
    reason in the log, where nothing can be measured; never raises for it.
    """
    kept = None if again else kept_peaks(threads, device)
    if kept is not None and kept.disturbed is None:
        return kept
    peaks = _measure(threads, device, python)
    if peaks is None:
        return kept
    best = peaks if kept is None else larger(peaks, kept)
    _keep(best, _file(threads, device))
    return best


def larger(new: MachinePeaks, old: MachinePeaks) -> MachinePeaks:
    """The new peaks with those rates of the old ones that were larger: other work only slows."""
    names = sorted({*new.gemm_flops, *old.gemm_flops})
    return new.model_copy(
        update={
            "read_bandwidth": max(new.read_bandwidth, old.read_bandwidth),
            "gemm_flops": {
                name: max(new.gemm_flops.get(name, 0.0), old.gemm_flops.get(name, 0.0))
                for name in names
            },
        }
    )


def kept_peaks(threads: int, device: str = "cpu") -> MachinePeaks | None:
    """What was measured before on this machine with these libraries, or None; runs nothing."""
    try:
        return MachinePeaks.model_validate_json(_file(threads, device).read_text("utf-8"))
    except (OSError, ValidationError):
        return None


def _file(threads: int, device: str) -> Path:
    """Where peaks are kept, by everything that they depend on and that may change."""
    parts = {
        "version": VERSION,
        "host": platform.node(),
        "cpu": _first("/proc/cpuinfo", "model name") or platform.machine(),
        "memory": _first("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "cpus": timed_cpus(threads),
        "threads": threads,
        "device": device,
        "driver": _first("/proc/driver/nvidia/version", "") if device != "cpu" else "",
        "libraries": [_version(name) for name in ("numpy", "torch")],
    }
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return cache_dir("peaks") / f"{digest[:16]}.json"


def _measure(threads: int, device: str, python: str | None) -> MachinePeaks | None:
    cpus = timed_cpus(threads)
    request = PeakRequest(
        threads=threads, cpus=cpus, device=device, llc_bytes=last_level_cache(cpus)
    )
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    before = look(Path("/"), cpus)
    limit = time.monotonic() + TIMEOUT_S
    try:
        child = Child(_MODULE, python=python, env=dict.fromkeys(names, str(threads)))
    except OSError as error:
        _LOG.warning("the machine's peaks cannot be measured: %s", error)
        return None
    with child:
        child.send(request.model_dump_json())
        parts = [PeakPart.model_validate_json(line) for line in child.lines(lambda: limit)]
        ending = child.finish()
    disturbed = other_share(before, look(Path("/"), cpus))
    return _put_together(request, parts, ending, disturbed)


def _put_together(
    request: PeakRequest, parts: list[PeakPart], ending: Ending, disturbed: float | None
) -> MachinePeaks | None:
    known = {part.name: part.value for part in parts if part.value is not None}
    notes = [f"{'no ' if part.value is None else ''}{part.name}: {part.how}" for part in parts]
    if not ending.clean:
        last = f": {ending.stderr_tail[-1]}" if ending.stderr_tail else ""
        notes.append(f"ended early by {ending.signal or f'exit code {ending.exit_code}'}{last}")
    read, cache = known.pop("read", None), known.pop("llc", None)
    if read is None:
        _LOG.warning("the machine's peaks cannot be measured: %s", "; ".join(notes) or "no answer")
        return None
    return MachinePeaks(
        threads=request.threads,
        read_bandwidth=read,
        gemm_flops=known,
        llc_bytes=request.llc_bytes if request.device == "cpu" else cache and int(cache),
        measured_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        method="; ".join(notes),
        device=request.device,
        cpus=request.cpus,
        disturbed=disturbed,
    )


def _keep(peaks: MachinePeaks, file: Path) -> None:
    """Atomically; a cache that cannot be written is not an error."""
    own = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        own.write_text(peaks.model_dump_json(), "utf-8")
        own.replace(file)
    except OSError as error:
        _LOG.warning("the machine's peaks cannot be kept: %s", error)


def _first(path: str, name: str) -> str:
    """The first line of a file that begins with ``name``; empty where there is none."""
    try:
        lines = Path(path).read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith(name)), "")


def _version(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"no {name}"
