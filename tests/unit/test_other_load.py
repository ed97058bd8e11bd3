"""Work of others on our cores, on a simulated /proc and on the real one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from slmbench.meters.interference import InterferenceMeter
from slmbench.other_load import cores_elsewhere, look, other_share
from slmbench.records import Observation

ME = 100
CHILD = """
import os, subprocess, sys, time
from pathlib import Path
from slmbench.other_load import look

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
try:
    before = look(Path("/"))
    time.sleep(1.0)
    after = look(Path("/"))
    print(after.own - before.own, after.total - before.total)
finally:
    child.kill()
    child.wait()
"""


class Proc:
    """Ticks of cores 0 to 3 and of processes, changed between start and stop."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cores: dict[int, list[int]] = {cpu: [0] * 10 for cpu in range(4)}
        self.pids: dict[int, tuple[int, list[int]]] = {}
        self.process(ME, parent=1)
        self.process(1, parent=0)

    def process(
        self, pid: int, *, parent: int, times: tuple[int, int, int, int] = (0, 0, 0, 0)
    ) -> None:
        """utime, stime, cutime, cstime since its start."""
        self.pids[pid] = parent, list(times)

    def core(self, cpu: int, **ticks: int) -> None:
        names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
        for name, count in ticks.items():
            self.cores[cpu][names.index(name)] += count

    def write(self) -> Path:
        lines = [f"cpu{cpu} {' '.join(map(str, ticks))}" for cpu, ticks in self.cores.items()]
        (self.root / "proc").mkdir(exist_ok=True)
        (self.root / "proc/stat").write_text(
            "cpu  9 9 9 9 9 9 9 9 0 0\n" + "\n".join(lines) + "\nintr 1\n"
        )
        for pid, (parent, times) in self.pids.items():
            for name in (str(pid), *(["self"] if pid == ME else [])):
                folder = self.root / "proc" / name
                folder.mkdir(exist_ok=True)
                head = f"{pid} (a (b) c) S {parent} 1 1 0 -1 0 5 6 7 8 "
                (folder / "stat").write_text(head + " ".join(map(str, times)) + " 20 0 1 0\n")
        return self.root


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


def _share(proc: Proc, before: object, cpus: tuple[int, ...] = (0, 1)) -> float | None:
    return other_share(before, look(proc.write(), cpus))  # type: ignore[arg-type]


@pytest.mark.parametrize(("foreign", "expected"), [(60, None), (62, 0.031), (1000, 0.5)])
def test_what_others_did_on_our_cores(proc: Proc, foreign: int, expected: float | None) -> None:
    before = look(proc.write(), (0, 1))
    proc.core(0, user=1000)
    proc.core(1, user=foreign, idle=1000 - foreign)
    proc.process(ME, parent=1, times=(900, 100, 0, 0))
    assert _share(proc, before) == (None if expected is None else pytest.approx(expected))


def test_interrupts_count_and_steal_and_waiting_do_not(proc: Proc) -> None:
    before = look(proc.write(), (0,))
    proc.core(0, irq=10, softirq=20, nice=20, steal=500, iowait=150, idle=300)
    assert _share(proc, before, (0,)) == pytest.approx(0.05)


def test_other_cores_are_not_ours(proc: Proc) -> None:
    before = look(proc.write(), (0, 1))
    proc.core(0, idle=1000)
    proc.core(1, idle=1000)
    proc.core(2, user=1000)
    assert _share(proc, before) is None


@pytest.mark.parametrize(("busy", "expected"), [(500, None), (520, 0.52), (2000, 2.0)])
def test_cores_beside_ours(proc: Proc, busy: int, expected: float | None) -> None:
    before = look(proc.write(), (0, 1))
    for cpu in (0, 1):
        proc.core(cpu, user=100, idle=900)
    first = min(busy, 1000)
    proc.core(2, user=first, idle=1000 - first)
    proc.core(3, user=busy - first, idle=1000 - (busy - first))
    proc.process(ME, parent=1, times=(200, 0, 0, 0))
    after = look(proc.write(), (0, 1))
    found = cores_elsewhere(before, after)
    assert found == (None if expected is None else pytest.approx(expected))
    assert other_share(before, after) is None


def test_children_alive_or_waited_for_are_ours(proc: Proc) -> None:
    proc.process(200, parent=ME)
    proc.process(300, parent=200, times=(50, 0, 0, 0))
    before = look(proc.write(), (0, 1))
    proc.core(0, user=600)
    proc.core(1, user=400, idle=200)
    proc.process(ME, parent=1, times=(100, 0, 400, 0))  # 400: a child that ended in between
    proc.process(200, parent=ME, times=(200, 100, 0, 0))
    proc.process(300, parent=200, times=(250, 0, 0, 0))
    assert _share(proc, before) is None
    proc.process(400, parent=1, times=(9999, 0, 0, 0))  # a stranger's time changes nothing
    assert _share(proc, before) is None
    proc.core(1, user=200)
    assert _share(proc, before) == pytest.approx(200 / 1400)


def test_four_ticks_are_within_the_counters_steps(proc: Proc) -> None:
    before = look(proc.write(), (0,))
    proc.core(0, user=4, idle=6)
    assert _share(proc, before, (0,)) is None
    proc.core(0, user=1)
    assert _share(proc, before, (0,)) == pytest.approx(5 / 11)


def test_other_cores_in_between_say_nothing(proc: Proc) -> None:
    before = look(proc.write(), (0, 1))
    proc.core(0, user=500)
    assert _share(proc, before, (0,)) is None


def test_without_proc_nothing_is_known(tmp_path: Path) -> None:
    assert look(tmp_path, (0,)) is None
    assert other_share(None, None) is None


def test_the_meter_tells(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    meter = InterferenceMeter(proc.write())
    meter.start()
    for cpu in (0, 1):
        proc.core(cpu, user=100)
    proc.process(ME, parent=1, times=(100, 0, 0, 0))
    proc.write()
    (seen,) = [o for o in meter.stop().observations if o.kind == "other_load"]
    assert isinstance(seen, Observation)
    assert (seen.value, seen.unit) == (0.5, "fraction")
    assert "50% of the time of our 2 cores" in seen.message


def test_the_meter_tells_of_cores_beside_and_no_longer_of_the_past(
    proc: Proc, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The load average of the last minutes says nothing where the phase itself is known."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    (proc.write() / "proc/loadavg").write_text("9.0 9.0 9.0 1/9 9\n")
    meter = InterferenceMeter(proc.root)
    meter.start()
    for cpu in range(4):
        proc.core(cpu, idle=100)
    proc.write()
    assert meter.stop().observations == ()
    meter.start()
    for cpu in range(4):
        proc.core(cpu, **({"user": 100} if cpu == 3 else {"idle": 100}))
    proc.write()
    (seen,) = meter.stop().observations
    assert (seen.kind, seen.value, seen.unit) == ("other_load", 1.0, "cores")


def test_own_time_on_the_real_kernel_holds_children() -> None:
    """This process sleeps; what its child did is counted as ours."""
    if not hasattr(os, "sched_setaffinity") or not Path("/proc/self/stat").exists():
        pytest.skip("needs Linux")
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    own, total = map(int, done.stdout.split())
    assert 5 <= own <= total + 2
