"""Peaks of the machine: what is kept, what is left when a kernel dies, and the parts by hand."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from slmbench.backends import peaks, peaks_child
from slmbench.backends.peaks import kept_peaks, machine_peaks
from slmbench.backends.peaks_child import PeakPart, PeakRequest, array_bytes
from slmbench.process import Ending
from slmbench.records import MachinePeaks

MIB = 1 << 20
CLEAN = Ending(exit_code=0, signal=None, timed_out=False, oom_killed=False, stderr_tail=())
DIED = Ending(None, "SIGILL", timed_out=False, oom_killed=False, stderr_tail=("illegal",))
REQUEST = PeakRequest(threads=2, cpus=(0, 1), device="cpu", llc_bytes=32 * MIB)
READ = PeakPart(name="read", value=6e10, how="a sum over 256 MiB")
FLOAT = PeakPart(name="float32", value=2e11, how="numpy 512x512x512")
NO_INT8 = PeakPart(name="int8", value=None, how="not in this build")


def _peaks(read: float = 6e10) -> MachinePeaks:
    return MachinePeaks(
        threads=2,
        read_bandwidth=read,
        gemm_flops={"float32": 2e11},
        llc_bytes=32 * MIB,
        measured_utc="2026-01-01T00:00:00+00:00",
        method="by hand",
    )


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLMBENCH_CACHE", str(tmp_path))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Thread counts that were measured; each measurement finds another bandwidth."""
    asked: list[int] = []

    def measure(threads: int, device: str, python: str | None) -> MachinePeaks | None:
        asked.append(threads)
        return None if device != "cpu" else _peaks(1e10 * len(asked))

    monkeypatch.setattr(peaks, "_measure", measure)
    return asked


def test_measured_once_and_again_on_request(measured: list[int]) -> None:
    first = machine_peaks(2)
    assert first is not None
    assert machine_peaks(2) == first == kept_peaks(2)
    assert measured == [2]
    second = machine_peaks(2, again=True)
    assert second is not None
    assert second.read_bandwidth == 2e10
    assert kept_peaks(2) == second


def test_peaks_beside_other_work_are_measured_again_and_the_larger_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = iter(
        [
            _peaks(5e10).model_copy(update={"disturbed": 0.4}),
            _peaks(4e10).model_copy(update={"disturbed": 0.2, "gemm_flops": {"float32": 3e11}}),
            _peaks(6e10),
        ]
    )
    monkeypatch.setattr(peaks, "_measure", lambda *_: next(found))
    rates = [machine_peaks(2) for _ in range(5)]
    assert [p.read_bandwidth for p in rates if p] == [5e10, 5e10, 6e10, 6e10, 6e10]
    assert [p.gemm_flops["float32"] for p in rates if p] == [2e11, 3e11, 3e11, 3e11, 3e11]
    assert rates[-1] is not None
    assert rates[-1].disturbed is None


def test_other_threads_and_devices_are_other_peaks(measured: list[int]) -> None:
    machine_peaks(2)
    assert kept_peaks(1) is None
    machine_peaks(1)
    assert measured == [2, 1]
    assert machine_peaks(1, "cuda:0") is None
    assert kept_peaks(1, "cuda:0") is None


def test_a_broken_file_is_measured_again(measured: list[int], tmp_path: Path) -> None:
    machine_peaks(2)
    (file,) = (tmp_path / "peaks").iterdir()
    file.write_text("{")
    assert kept_peaks(2) is None
    assert machine_peaks(2) is not None
    assert measured == [2, 2]


def test_parts_become_peaks() -> None:
    found = peaks._put_together(REQUEST, [READ, FLOAT, NO_INT8], CLEAN, 0.5)
    assert found is not None
    assert (found.read_bandwidth, found.gemm_flops) == (6e10, {"float32": 2e11})
    assert (found.llc_bytes, found.cpus, found.disturbed) == (32 * MIB, (0, 1), 0.5)
    assert "a sum over 256 MiB" in found.method
    assert "no int8: not in this build" in found.method


def test_what_was_measured_before_a_kernel_died_is_kept() -> None:
    found = peaks._put_together(REQUEST, [READ, FLOAT], DIED, None)
    assert found is not None
    assert found.gemm_flops == {"float32": 2e11}
    assert "ended early by SIGILL: illegal" in found.method


def test_without_a_bandwidth_there_are_no_peaks_but_a_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert peaks._put_together(REQUEST, [], DIED, None) is None
    assert "SIGILL" in caplog.text


def test_no_interpreter_no_peaks(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert machine_peaks(1, python="/no/such/python") is None
    assert "cannot be measured" in caplog.text


@pytest.mark.parametrize(
    ("llc", "free", "expected"),
    [
        (None, 64 << 30, 256 * MIB),
        (32 * MIB, 64 << 30, 256 * MIB),
        (384 * MIB, 64 << 30, 1536 * MIB),
        (384 * MIB, 2 << 30, 512 * MIB),
    ],
)
def test_arrays_pass_the_caches_and_leave_memory(llc: int | None, free: int, expected: int) -> None:
    assert array_bytes(llc, free) == expected


def test_a_pass_lasts_until_its_last_thread_ends() -> None:
    first, second = [(0, 10), (100, 108)], [(2, 14), (101, 109)]
    assert peaks_child._best_span([first, second]) == 9


def test_the_best_run_counts_and_the_first_one_never(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.001, 1.0, 1.5, 2.0, 2.25, 3.0, 3.75])
    monkeypatch.setattr(peaks_child.time, "perf_counter", lambda: next(clock))
    assert peaks_child._best(lambda: None) == 0.25


def test_threads_read_together_what_they_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real reader on small arrays: every kernel has as many passes from each thread."""
    monkeypatch.setattr(peaks_child, "READS", 3)
    monkeypatch.setattr(peaks_child, "_kernels", lambda: {"maximum": lambda chunk: chunk.max()})
    before = threading.active_count()
    part = peaks_child._read(REQUEST.model_copy(update={"cpus": ()}), 2 * MIB)
    assert part.value is not None
    assert part.value > 0
    assert part.how == "maximum over 2 MiB (less than 4 last-level caches: memory is short)"
    assert threading.active_count() == before
