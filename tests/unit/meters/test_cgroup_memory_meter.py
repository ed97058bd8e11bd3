"""The control-group meter on simulated trees: only a group of one's own says something."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slmbench.meters.cgroup_memory import CgroupMemoryMeter
from slmbench.records import Measurement, Provenance

V1 = {"memory.max_usage_in_bytes": "900\n", "memory.stat": "total_rss 500\ntotal_cache 300\n"}
V2 = {"memory.peak": "900\n", "memory.stat": "anon 500\nfile 300\nkernel 9\n"}


def group(root: Path, version: int, processes: str, files: dict[str, str]) -> Path:
    (root / "proc/self").mkdir(parents=True)
    line = "0::/own\n" if version == 2 else "4:memory:/own\n"
    (root / "proc/self/cgroup").write_text(line)
    top = root / "sys/fs/cgroup" / ("" if version == 2 else "memory")
    folder = top / "own"
    folder.mkdir(parents=True)
    (top / "cgroup.controllers").write_text("memory\n")
    for name, text in ({"cgroup.procs": processes} | files).items():
        (folder / name).write_text(text)
    return folder


def read(root: Path) -> dict[str, Measurement]:
    meter = CgroupMemoryMeter(root)
    meter.start()
    return {m.metric: m for m in meter.stop().measurements}


@pytest.mark.parametrize(("version", "files"), [(1, V1), (2, V2)])
def test_an_own_group_is_read(tmp_path: Path, version: int, files: dict[str, str]) -> None:
    folder = group(tmp_path, version, f"{os.getpid()}\n", files)
    found = read(tmp_path)
    peak = 0.0 if version == 1 else 900.0  # the window reset version 1's counter
    values = {name: m.samples for name, m in found.items()}
    assert values == {"cgroup_peak": (peak,), "cgroup_anon": (500.0,), "cgroup_file": (300.0,)}
    since = "since the phase began" if version == 1 else "since the group was made"
    assert since in found["cgroup_peak"].scope
    assert f"v{version}" in found["cgroup_peak"].scope
    if version == 1:
        assert (folder / "memory.max_usage_in_bytes").read_text() == "0"


@pytest.mark.parametrize(("version", "files"), [(1, V1), (2, V2)])
def test_a_shared_group_is_left_alone(tmp_path: Path, version: int, files: dict[str, str]) -> None:
    folder = group(tmp_path, version, f"{os.getpid()}\n1\n7\n", files)
    found = read(tmp_path)
    assert {m.provenance for m in found.values()} == {Provenance.UNAVAILABLE}
    assert "shared with 2 other processes" in found["cgroup_peak"].reason
    assert {name: (folder / name).read_text() for name in files} == files


def test_an_old_kernel_has_no_peak(tmp_path: Path) -> None:
    group(tmp_path, 2, f"{os.getpid()}\n", {"memory.stat": V2["memory.stat"]})
    found = read(tmp_path)
    assert found["cgroup_peak"].provenance is Provenance.UNAVAILABLE
    assert found["cgroup_anon"].samples == (500.0,)


def test_no_group_at_all(tmp_path: Path) -> None:
    assert "no memory control group" in read(tmp_path)["cgroup_peak"].reason
