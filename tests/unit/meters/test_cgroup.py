"""Control groups, version 1 and 2, on simulated trees."""

from __future__ import annotations

from pathlib import Path

import pytest

from slmbench.meters.cgroup import CgroupLimits, Throttling, limits, throttling, usable_cores

V1 = "4:memory:/a/b\n2:cpuacct:/\n1:cpu,cpuacct:/a\n0::/\n"


def _write(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def _v2(root: Path, path: str = "/outer/inner") -> None:
    _write(root, "proc/self/cgroup", f"0::{path}\n")
    _write(root, "sys/fs/cgroup/cgroup.controllers", "cpu memory\n")


def test_version_2_takes_the_tightest_level(tmp_path: Path) -> None:
    _v2(tmp_path)
    _write(tmp_path, "sys/fs/cgroup/outer/memory.max", "4000\n")
    _write(tmp_path, "sys/fs/cgroup/outer/cpu.max", "150000 100000\n")
    _write(tmp_path, "sys/fs/cgroup/outer/inner/memory.max", "6000\n")
    _write(tmp_path, "sys/fs/cgroup/outer/inner/cpu.max", "400000 100000\n")
    _write(tmp_path, "sys/fs/cgroup/memory.max", "max\n")
    _write(tmp_path, "sys/fs/cgroup/cpu.max", "max 100000\n")
    assert limits(tmp_path) == CgroupLimits(2, 4000, 1.5)


def test_version_2_sums_throttling_over_levels(tmp_path: Path) -> None:
    _v2(tmp_path)
    for level, periods in (("outer", 3), ("outer/inner", 4)):
        text = f"usage_usec 1\nnr_throttled {periods}\nthrottled_usec 500000\n"
        _write(tmp_path, f"sys/fs/cgroup/{level}/cpu.stat", text)
    assert throttling(tmp_path) == Throttling(7, 1.0)


def test_version_1_reads_its_own_names_and_units(tmp_path: Path) -> None:
    _write(tmp_path, "proc/self/cgroup", V1)
    _write(tmp_path, "sys/fs/cgroup/memory/a/memory.limit_in_bytes", "2048\n")
    _write(tmp_path, "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n")
    _write(tmp_path, "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "250000\n")
    _write(tmp_path, "sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n")
    _write(tmp_path, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    _write(tmp_path, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    _write(tmp_path, "sys/fs/cgroup/cpu/a/cpu.stat", "nr_throttled 2\nthrottled_time 3000000000\n")
    assert limits(tmp_path) == CgroupLimits(1, 2048, 2.5)
    assert throttling(tmp_path) == Throttling(2, 3.0)


def test_version_1_without_limits(tmp_path: Path) -> None:
    _write(tmp_path, "proc/self/cgroup", V1)
    _write(tmp_path, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    _write(tmp_path, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    assert limits(tmp_path) == CgroupLimits(1, None, None)
    assert throttling(tmp_path) is None


def test_a_path_of_the_host_falls_back_to_the_mount(tmp_path: Path) -> None:
    _v2(tmp_path, "/system.slice/docker-abc.scope")
    _write(tmp_path, "sys/fs/cgroup/memory.max", "1000\n")
    assert limits(tmp_path).memory_bytes == 1000


def test_a_path_outside_the_namespace_does_not_leave_the_mount(tmp_path: Path) -> None:
    _v2(tmp_path, "/../other")
    _write(tmp_path, "sys/fs/other/memory.max", "1\n")
    _write(tmp_path, "sys/fs/cgroup/memory.max", "1000\n")
    assert limits(tmp_path).memory_bytes == 1000


def test_no_control_group(tmp_path: Path) -> None:
    assert limits(tmp_path) == CgroupLimits(0, None, None)
    assert throttling(tmp_path) is None


@pytest.mark.parametrize(
    ("quota", "affinity", "cores"),
    [("max", 8, 8), ("250000", 8, 2), ("50000", 8, 1), ("900000", 4, 4)],
)
def test_usable_cores(tmp_path: Path, quota: str, affinity: int, cores: int) -> None:
    _v2(tmp_path)
    _write(tmp_path, "sys/fs/cgroup/cpu.max", f"{quota} 100000\n")
    assert usable_cores(tmp_path, affinity) == cores
