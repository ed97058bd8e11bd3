"""Which processors a timed process gets, on simulated machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from slmbench.cores import last_level_cache, timed_cpus, usable_cpus


def _machine(root: Path, cores: dict[int, tuple[int, int]], *, llc: dict[str, str]) -> Path:
    """``cores``: package and core of each processor; ``llc``: who shares a cache, and its size."""
    for cpu, (package, core) in cores.items():
        folder = root / f"sys/devices/system/cpu/cpu{cpu}"
        (folder / "topology").mkdir(parents=True)
        (folder / "topology/physical_package_id").write_text(f"{package}\n")
        (folder / "topology/core_id").write_text(f"{core}\n")
        for index, (level, kind, size, shared) in enumerate(
            [("1", "Instruction", "64K", str(cpu)), ("1", "Data", "48K", str(cpu))]
            + [
                ("3", "Unified", size, shared)
                for shared, size in llc.items()
                if str(cpu) in shared.split(",")
            ]
        ):
            cache = folder / f"cache/index{index}"
            cache.mkdir(parents=True)
            (cache / "level").write_text(level)
            (cache / "type").write_text(kind)
            (cache / "size").write_text(f"{size}\n")
            (cache / "shared_cpu_list").write_text(shared)
    return root


@pytest.fixture
def smt(tmp_path: Path) -> Path:
    """Two sockets of two cores of two threads; siblings lie four numbers apart."""
    cores = {cpu: (cpu % 4 // 2, cpu % 2) for cpu in range(8)}
    return _machine(tmp_path, cores, llc={"0,1,4,5": "32768K", "2,3,6,7": "32M"})


@pytest.mark.parametrize(
    ("threads", "expected"),
    [(1, (0,)), (4, (0, 1, 2, 3)), (5, (0, 1, 2, 3, 4)), (99, tuple(range(8)))],
)
def test_every_core_before_any_second_thread_of_one(
    smt: Path, threads: int, expected: tuple[int, ...]
) -> None:
    assert timed_cpus(threads, usable=range(8), root=smt) == expected


def test_only_what_may_be_used(smt: Path) -> None:
    assert timed_cpus(2, usable=(1, 5, 6), root=smt) == (1, 6)  # 5 is the sibling of 1
    assert timed_cpus(2, usable=(5,), root=smt) == (5,)


def test_without_a_topology_every_processor_is_a_core(tmp_path: Path) -> None:
    assert timed_cpus(2, usable=(3, 1, 2), root=tmp_path) == (1, 2)
    assert last_level_cache((1, 2), root=tmp_path) is None


def test_the_last_level_counts_once_for_those_who_share_it(smt: Path) -> None:
    assert last_level_cache((0, 1), root=smt) == 32 << 20
    assert last_level_cache((0, 1, 2), root=smt) == 64 << 20


def test_here_some_processor_is_usable() -> None:
    assert timed_cpus(1)[0] in usable_cpus()
