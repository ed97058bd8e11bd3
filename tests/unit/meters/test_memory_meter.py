"""The memory meter on simulated files of /proc; what it reads of a real process: memory truth."""

from __future__ import annotations

from pathlib import Path

from slmbench.meters.memory import MemoryMeter
from slmbench.records import Provenance


def _simulated(folder: Path, *, rollup: bool = True) -> Path:
    (folder / "status").write_text("VmPeak:\t 9999 kB\nVmHWM:\t    1708 kB\nVmRSS:\t 12 kB\n")
    if rollup:
        (folder / "smaps_rollup").write_text(
            "00-ff ---p 00:00 0 [rollup]\nPss: 320 kB\nPss_Anon: 112 kB\nPss_File: 208 kB\n"
        )
    return folder


def test_kernel_kilobytes_become_bytes(tmp_path: Path) -> None:
    meter = MemoryMeter(_simulated(tmp_path))
    meter.start()
    values = {one.metric: one.samples for one in meter.stop().measurements}
    assert values == {
        "peak_rss": (1708 * 1024.0,),
        "pss_anon": (112 * 1024.0,),
        "pss_file": (208 * 1024.0,),
    }
    assert (tmp_path / "clear_refs").read_text() == "5"


def test_a_refused_reset_is_said(tmp_path: Path) -> None:
    (tmp_path / "clear_refs").mkdir()  # cannot be written to, even by root
    meter = MemoryMeter(_simulated(tmp_path))
    meter.start()
    peak = meter.stop().measurements[0]
    assert peak.provenance is Provenance.MEASURED
    assert peak.scope == "process, since exec"
    assert "refused" in peak.reason


def test_a_kernel_without_rollup_leaves_pss_unavailable(tmp_path: Path) -> None:
    meter = MemoryMeter(_simulated(tmp_path, rollup=False))
    meter.start()
    peak, anon, file = meter.stop().measurements
    assert peak.samples
    assert {anon.provenance, file.provenance} == {Provenance.UNAVAILABLE}
    assert "smaps_rollup" in anon.reason
