"""``slmbench doctor --peaks``: measure what this machine can do at best, and show it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from slmbench.backends.peaks import kept_peaks, machine_peaks
from slmbench.cli.output import emit
from slmbench.cores import usable_cpus
from slmbench.records import MachinePeaks

HEADER = ("threads", "device", "peak", "value", "measured", "others", "how")
PREREQUISITE = 5


def execute(arguments: argparse.Namespace) -> int:
    """Measure again for one thread and for all cores; exit 5 when nothing can be measured."""
    rows: list[tuple[str, ...]] = []
    for threads in sorted({1, len(usable_cpus())}):
        print(f"measuring with {threads} threads", file=sys.stderr)
        peaks = machine_peaks(threads, again=True)
        if peaks is not None:
            rows += _rows(peaks)
    emit(HEADER, rows, arguments.format)
    return 0 if rows else PREREQUISITE


def kept_line() -> str | None:
    """What is kept for all cores of this machine, in a line; None before it was measured."""
    peaks = kept_peaks(len(usable_cpus()))
    if peaks is None:
        return None
    products = ", ".join(f"{name} {rate / 1e9:.0f}" for name, rate in peaks.gemm_flops.items())
    beside = "" if peaks.disturbed is None else f", beside other work ({peaks.disturbed:.0%})"
    return (
        f"read {peaks.read_bandwidth / 1e9:.1f} GB/s; products {products or 'none'} GFLOP/s; "
        f"{peaks.threads} threads, {peaks.measured_utc}{beside}"
    )


def _rows(peaks: MachinePeaks) -> Iterator[tuple[str, ...]]:
    """One row a rate."""
    others = "" if peaks.disturbed is None else f"{peaks.disturbed:.0%}"
    rates = {"read": f"{peaks.read_bandwidth / 1e9:.1f} GB/s"} | {
        name: f"{rate / 1e9:.0f} GFLOP/s" for name, rate in peaks.gemm_flops.items()
    }
    if peaks.llc_bytes is not None:
        rates["last-level cache"] = f"{peaks.llc_bytes / 2**20:.0f} MiB"
    notes = dict(note.split(": ", 1) for note in peaks.method.split("; ") if ": " in note)
    for name, text in rates.items():
        yield (
            str(peaks.threads), peaks.device, name, text, peaks.measured_utc, others,
            notes.get(name, ""),
        )  # fmt: skip
