"""Memory truth (gate G8): what a child is known to hold, each counter must show."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from slmbench.meters.memory import MemoryMeter
from slmbench.records import Provenance

MIB = 1 << 20
SIZE = 256 * MIB
CHILD = """
import json, mmap, sys
from slmbench.meters.memory import MemoryMeter

meter = MemoryMeter.create("cpu")

def look():
    return {m.metric: m.samples[0] for m in meter.stop().measurements}

meter.start()
base = look()
meter.start()
anon = mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for offset in range(0, SIZE, 4096):
    anon[offset] = 1
with open(sys.argv[1], "rb") as weights:
    file = mmap.mmap(weights.fileno(), SIZE, access=mmap.ACCESS_READ)
total = sum(file[offset] for offset in range(0, SIZE, 4096))
held = look()
meter.start()
anon.close()
file.close()
kept = look()
meter.start()
freed = look()
print(json.dumps([base, held, kept, freed]))
"""


def _on_tmpfs(folder: Path) -> bool:
    """Whether the deepest mount above this folder is tmpfs, whose pages are shared memory."""
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    own = folder.resolve()
    inside = [(len(point), kind) for point, kind in mounts if own.is_relative_to(point)]
    return max(inside)[1] in ("tmpfs", "ramfs")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, float]]:
    """Readings of the child: before, holding 2 x 256 MiB, while freeing them, and after."""
    folder = tmp_path_factory.mktemp("memory")
    if _on_tmpfs(folder):
        pytest.skip(f"{folder} is on tmpfs: its mapped files count as shared memory")
    weights = folder / "weights.bin"
    weights.write_bytes(b"\1" * SIZE)
    code = CHILD.replace("SIZE", str(SIZE))
    command = [sys.executable, "-c", code, str(weights)]
    done = subprocess.run(command, capture_output=True, timeout=60)
    weights.unlink()
    assert done.returncode == 0, done.stderr.decode()
    readings: list[dict[str, float]] = json.loads(done.stdout)
    return readings


def test_anonymous_memory_is_counted_as_anonymous(seen: list[dict[str, float]]) -> None:
    base, held, *_ = seen
    assert held["pss_anon"] - base["pss_anon"] == pytest.approx(SIZE, rel=0.05)


def test_a_mapped_file_is_counted_as_file(seen: list[dict[str, float]]) -> None:
    base, held, *_ = seen
    assert held["pss_file"] - base["pss_file"] == pytest.approx(SIZE, rel=0.05)


def test_peak_covers_both(seen: list[dict[str, float]]) -> None:
    base, held, *_ = seen
    assert held["peak_rss"] >= 2 * SIZE
    assert held["peak_rss"] - base["peak_rss"] == pytest.approx(2 * SIZE, rel=0.05)


def test_peak_remembers_what_the_phase_freed(seen: list[dict[str, float]]) -> None:
    *_, kept, _ = seen
    assert kept["peak_rss"] >= 2 * SIZE
    assert kept["pss_anon"] < SIZE / 2


def test_a_new_window_forgets_the_peak_of_the_last(seen: list[dict[str, float]]) -> None:
    base, *_, freed = seen
    assert freed["peak_rss"] < base["peak_rss"] + SIZE / 4


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
