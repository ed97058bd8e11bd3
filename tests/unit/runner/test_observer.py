"""What watching costs: counted, and added up over processes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from slmbench.records import ObserverCost
from slmbench.runner.observer import Observer, added, resident_bytes
from slmbench.runner.phases import Watch, meters_seconds


def test_processor_time_and_wall_time_are_apart() -> None:
    sleeping = Observer()
    time.sleep(0.05)
    idle = sleeping.cost(0.0)
    assert idle.wall_s >= 0.05
    assert idle.supervisor_cpu_s < idle.wall_s
    working = Observer()
    begin = time.process_time()
    while time.process_time() - begin < 0.05:
        pass
    assert working.cost(0.0).supervisor_cpu_s >= 0.05


def test_resident_memory_is_read_from_the_kernel(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/status").write_text("Name:\tx\nVmRSS:\t    2048 kB\n")
    assert resident_bytes(tmp_path) == 2048 * 1024
    assert resident_bytes(tmp_path / "nothing") == 0
    assert Observer().cost(0.0).supervisor_rss_bytes > 1 << 20


def test_times_add_up_and_memory_is_the_largest() -> None:
    def cost(cpu: float, rss: int) -> ObserverCost:
        return ObserverCost(
            supervisor_cpu_s=cpu, supervisor_rss_bytes=rss, wall_s=10 * cpu, meters_s=cpu / 2
        )

    total = added([cost(1.0, 30), cost(2.0, 20)])
    assert total == ObserverCost(
        supervisor_cpu_s=3.0, supervisor_rss_bytes=30, wall_s=30.0, meters_s=1.5
    )
    assert added([]) is None


class _SlowMeter:
    """Takes 20 ms to start and 30 ms to stop."""

    def start(self) -> None:
        time.sleep(0.02)

    def stop(self) -> object:
        time.sleep(0.03)
        raise RuntimeError("no reading")


def test_what_meters_take_is_counted_and_stands_outside_the_phase() -> None:
    before = meters_seconds()
    with pytest.raises(RuntimeError), Watch((_SlowMeter(),)).phase("timed"):  # type: ignore[arg-type]
        time.sleep(0.1)
    assert 0.05 <= meters_seconds() - before < 0.1
