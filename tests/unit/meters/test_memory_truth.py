"""Memory truth (gate G8): what a child is known to hold, each counter must show.

The child touches 1 GiB of anonymous memory and 1 GiB mapped from a file, in a control group of
its own where one can be made.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from slmbench.memory_group import MemoryGroup, memory_group
from slmbench.meters.procfs import kib_field, read_text

MIB = 1 << 20
SIZE = int(os.environ.get("SLMBENCH_TRUTH_MIB", "1024")) * MIB
FREE = 4 << 30
Look = dict[str, float]
CHILD = """
import json, mmap, sys
from slmbench.meters.cgroup_memory import CgroupMemoryMeter
from slmbench.meters.memory import MemoryMeter

meters = MemoryMeter.create("cpu"), CgroupMemoryMeter.create("cpu")

def start():
    for meter in meters:
        meter.start()

def look():
    read = [m for meter in meters for m in meter.stop().measurements]
    return {m.metric: m.samples[0] for m in read if m.samples}

start()
base = look()
start()
anon = mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for offset in range(0, SIZE, 4096):
    anon[offset] = 1
with open(sys.argv[1], "rb") as weights:
    file = mmap.mmap(weights.fileno(), SIZE, access=mmap.ACCESS_READ)
total = sum(file[offset] for offset in range(0, SIZE, 4096))
held = look()
start()
anon.close()
file.close()
kept = look()
start()
freed = look()
print(json.dumps([base, held, kept, freed]))
"""


def _on_tmpfs(folder: Path) -> bool:
    """Whether the deepest mount above this folder is tmpfs, whose pages are shared memory."""
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    own = folder.resolve()
    inside = [(len(point), kind) for point, kind in mounts if own.is_relative_to(point)]
    return max(inside)[1] in ("tmpfs", "ramfs")


def _weights(folder: Path) -> Path:
    """A file of SIZE bytes, not in the page cache: whoever reads it is charged for it."""
    path = folder / "weights.bin"
    with path.open("wb") as file:
        for _ in range(SIZE // MIB):
            file.write(b"\1" * MIB)
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return path


def _run(weights: Path, group: MemoryGroup | None) -> list[Look]:
    entering = [] if group is None else [
        "/bin/sh", "-c", 'echo 0 > "$0" && exec "$@"', str(group.folder / "cgroup.procs")
    ]  # fmt: skip
    command = [*entering, sys.executable, "-c", CHILD.replace("SIZE", str(SIZE)), str(weights)]
    done = subprocess.run(command, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    readings: list[Look] = json.loads(done.stdout)
    return readings


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Look]]:
    """Readings of the child: before, holding both, while freeing them, and after."""
    free = kib_field(read_text(Path("/proc/meminfo")), "MemAvailable") or 0
    if free < FREE:
        pytest.skip(f"{free / 2**30:.1f} GiB of memory are free: fewer than 4")
    folder = tmp_path_factory.mktemp("memory")
    if _on_tmpfs(folder):
        pytest.skip(f"{folder} is on tmpfs: its mapped files count as shared memory")
    weights = _weights(folder)
    with memory_group(None) as group:
        yield _run(weights, group if isinstance(group, MemoryGroup) else None)
    weights.unlink()


def _in_group(seen: list[Look]) -> None:
    if "cgroup_peak" not in seen[0]:
        pytest.skip("no memory control group can be made here")


def test_anonymous_memory_is_counted_as_anonymous(seen: list[Look]) -> None:
    base, held, *_ = seen
    assert held["pss_anon"] - base["pss_anon"] == pytest.approx(SIZE, rel=0.01)


def test_a_mapped_file_is_counted_as_file(seen: list[Look]) -> None:
    base, held, *_ = seen
    assert held["pss_file"] - base["pss_file"] == pytest.approx(SIZE, rel=0.01)


def test_peak_covers_both(seen: list[Look]) -> None:
    base, held, *_ = seen
    assert held["peak_rss"] - base["peak_rss"] == pytest.approx(2 * SIZE, rel=0.01)


def test_peak_remembers_what_the_phase_freed(seen: list[Look]) -> None:
    *_, kept, _ = seen
    assert kept["peak_rss"] >= 2 * SIZE
    assert kept["pss_anon"] < SIZE / 2


def test_a_new_window_forgets_the_peak_of_the_last(seen: list[Look]) -> None:
    base, *_, freed = seen
    assert freed["peak_rss"] < base["peak_rss"] + SIZE / 4


def test_the_group_is_charged_for_anonymous_memory_and_page_cache(seen: list[Look]) -> None:
    _in_group(seen)
    base, held, *_ = seen
    assert held["cgroup_anon"] - base["cgroup_anon"] == pytest.approx(SIZE, rel=0.01)
    assert held["cgroup_file"] - base["cgroup_file"] == pytest.approx(SIZE, rel=0.02)
    assert held["cgroup_peak"] - base["cgroup_peak"] == pytest.approx(2 * SIZE, rel=0.02)


def test_the_groups_page_cache_outlives_the_mapping(seen: list[Look]) -> None:
    _in_group(seen)
    base, *_, freed = seen
    assert freed["cgroup_anon"] < base["cgroup_anon"] + SIZE / 4
    assert freed["cgroup_file"] - base["cgroup_file"] == pytest.approx(SIZE, rel=0.02)
