"""What the machine can do with the threads of a target, beside every timing."""

from __future__ import annotations

from slmbench.backends.peaks import machine_peaks
from slmbench.records import MachinePeaks
from slmbench.spec import Target

_NO_MACHINE = frozenset({"fake", "openai"})
"""Backends whose speed says nothing about the processors of this process."""


def peaks_of(target: Target) -> MachinePeaks | None:
    """Measured once per machine, device and thread count in a process of its own, then kept.

    None for backends whose speed this machine does not bound, and where nothing can measure.
    """
    if target.backend in _NO_MACHINE:
        return None
    return machine_peaks(target.threads or 1, target.device, python=target.python)
