"""Interference on a simulated /proc: each threshold from both sides."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from slmbench.meters import interference
from slmbench.meters.interference import InterferenceMeter
from slmbench.records import Observation

SECOND_NS = 10**9
PAGE = os.sysconf("SC_PAGE_SIZE")


RIVALS = """
import os, subprocess, sys, time
from slmbench.meters.interference import InterferenceMeter

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
rival = subprocess.Popen([sys.executable, "-c", "while True: pass"])
try:
    time.sleep(0.2)
    meter = InterferenceMeter.create("cpu")
    meter.start()
    begin = time.perf_counter()
    while time.perf_counter() - begin < 1.0:
        pass
    for one in meter.stop().observations:
        if one.kind in ("involuntary_switches", "cpu_wait"):
            print(one.value, one.unit)
finally:
    rival.kill()
    rival.wait()
"""


class Machine:
    """A small /proc and cgroup tree that tests change between start and stop."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("proc/self/cgroup", "0::/\n")
        self.write("sys/fs/cgroup/cgroup.controllers", "cpu memory\n")
        self.write("sys/fs/cgroup/cpu.max", "max 100000\n")
        self.quota(0, 0)
        self.load(0.1)
        self.ticks(steal=0, busy=1000)
        self.swap(0, 0)
        self.thread("10")

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def load(self, one: float) -> None:
        self.write("proc/loadavg", f"{one} 0.0 0.0 1/99 1234\n")

    def ticks(self, *, steal: int, busy: int) -> None:
        self.write("proc/stat", f"cpu  {busy} 0 0 0 0 0 0 {steal} 7 0\ncpu0 1 1 1 1\n")

    def swap(self, came: int, went: int) -> None:
        self.write("proc/vmstat", f"nr_free_pages 5\npswpin {came}\npswpout {went}\n")

    def quota(self, periods: int, microseconds: int) -> None:
        text = f"nr_periods 9\nnr_throttled {periods}\nthrottled_usec {microseconds}\n"
        self.write("sys/fs/cgroup/cpu.stat", text)

    def thread(self, name: str, *, switches: int = 0, ran: float = 0, waited: float = 0) -> None:
        status = f"Name:\tx\nvoluntary_ctxt_switches:\t9\nnonvoluntary_ctxt_switches:\t{switches}\n"
        self.write(f"proc/self/task/{name}/status", status)
        times = f"{int(ran * SECOND_NS)} {int(waited * SECOND_NS)} 7\n"
        self.write(f"proc/self/task/{name}/schedstat", times)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Two usable cores and windows of exactly 10 s."""
    clock = iter(range(0, 1000 * SECOND_NS, 10 * SECOND_NS))
    monkeypatch.setattr(interference, "perf_counter_ns", lambda: next(clock))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    return Machine(tmp_path)


def _begin(machine: Machine) -> InterferenceMeter:
    meter = InterferenceMeter(machine.root)
    meter.start()
    return meter


def _end(meter: InterferenceMeter) -> dict[str, Observation]:
    reading = meter.stop()
    assert reading.measurements == ()
    return {one.kind: one for one in reading.observations}


def test_a_quiet_machine_says_nothing(machine: Machine) -> None:
    assert _end(_begin(machine)) == {}


@pytest.mark.parametrize(("load", "seen"), [(2.4, False), (2.6, True)])
def test_load_beyond_the_usable_cores(machine: Machine, load: float, seen: bool) -> None:
    meter = _begin(machine)
    machine.load(load)
    found = _end(meter)
    assert ("load_average" in found) is seen
    if seen:
        assert found["load_average"].value == load
        assert "2 usable cores" in found["load_average"].message


def test_load_before_the_phase_counts_too(machine: Machine) -> None:
    machine.load(5.0)
    meter = _begin(machine)
    machine.load(1.0)
    assert _end(meter)["load_average"].value == 5.0


def test_our_own_busy_threads_are_not_interference(machine: Machine) -> None:
    meter = _begin(machine)
    machine.load(4.2)
    for name in ("10", "11", "12", "13"):
        machine.thread(name, ran=5.0)
    machine.thread("14")
    assert _end(meter) == {}


@pytest.mark.parametrize(("switches", "seen"), [(990, False), (1010, True)])
def test_involuntary_switches_of_any_thread(machine: Machine, switches: int, seen: bool) -> None:
    machine.thread("11", switches=50_000)
    meter = _begin(machine)
    machine.thread("11", switches=50_000 + switches)
    found = _end(meter)
    assert ("involuntary_switches" in found) is seen
    if seen:
        assert found["involuntary_switches"].value == 101.0


def test_a_thread_born_in_the_window_counts_from_zero(machine: Machine) -> None:
    meter = _begin(machine)
    machine.thread("99", switches=5000)
    assert _end(meter)["involuntary_switches"].value == 500.0


@pytest.mark.parametrize(("waited", "seen"), [(0.4, False), (0.6, True)])
def test_waiting_for_a_core(machine: Machine, waited: float, seen: bool) -> None:
    machine.thread("11", waited=100.0)
    meter = _begin(machine)
    machine.thread("11", waited=100.0 + waited)
    found = _end(meter)
    assert ("cpu_wait" in found) is seen
    if seen:
        assert found["cpu_wait"].value == pytest.approx(0.06)
        assert found["cpu_wait"].unit == "fraction"


def test_a_rival_on_our_core_is_seen() -> None:
    """On the real kernel: two processes pinned to one core, one of them ours."""
    if not hasattr(os, "sched_setaffinity") or not Path("/proc/self/schedstat").exists():
        pytest.skip("needs Linux with schedstat")
    done = subprocess.run([sys.executable, "-c", RIVALS], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    share, unit = done.stdout.decode().split()
    assert unit == "fraction"
    assert 0.3 < float(share) < 1.0


@pytest.mark.parametrize(("steal", "seen"), [(19, False), (30, True)])
def test_steal_as_a_share_of_all_ticks(machine: Machine, steal: int, seen: bool) -> None:
    meter = _begin(machine)
    machine.ticks(steal=steal, busy=3000 - steal)
    found = _end(meter)
    assert ("steal" in found) is seen
    if seen:
        assert found["steal"].value == pytest.approx(30 / 2000)


def test_a_single_stolen_tick_is_noise(machine: Machine) -> None:
    meter = _begin(machine)
    machine.ticks(steal=1, busy=1010)
    assert _end(meter) == {}


def test_any_throttled_period(machine: Machine) -> None:
    machine.quota(4, 1_000_000)
    meter = _begin(machine)
    machine.quota(5, 3_500_000)
    found = _end(meter)["cgroup_throttled"]
    assert (found.value, found.unit) == (2.5, "s")
    assert "1 periods" in found.message


def test_swapping_in_or_out(machine: Machine) -> None:
    machine.swap(10, 20)
    meter = _begin(machine)
    machine.swap(12, 25)
    found = _end(meter)["swap"]
    assert (found.value, found.unit) == (7 * PAGE, "bytes")


def test_nothing_to_read_is_nothing_to_report(tmp_path: Path) -> None:
    meter = InterferenceMeter(tmp_path / "nowhere")
    meter.start()
    assert meter.stop().observations == ()
