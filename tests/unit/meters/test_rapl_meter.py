"""RAPL on a simulated powercap tree: nesting, wrap, permission."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slmbench.meters import rapl
from slmbench.meters.rapl import RaplMeter, probe
from slmbench.meters.totals import total_energy
from slmbench.records import Measurement, Provenance

RANGE_UJ = 262_143_328_850


def _zone(root: Path, name: str, label: str, energy_uj: int = 0) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "name").write_text(label + "\n")
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    (folder / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two packages with nested domains, psys, and a memory-mapped duplicate."""
    (tmp_path / "intel-rapl").mkdir()
    _zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    _zone(tmp_path, "intel-rapl:0:0", "core", 500_000)
    _zone(tmp_path, "intel-rapl:0:1", "dram", 200_000)
    _zone(tmp_path, "intel-rapl:1", "package-1", 2_000_000)
    _zone(tmp_path, "intel-rapl:2", "psys", 3_000_000)
    _zone(tmp_path, "intel-rapl-mmio:0", "package-0", 1_000_000)
    return tmp_path


def _advance(root: Path, name: str, microjoules: int) -> None:
    file = root / name / "energy_uj"
    file.write_text(f"{int(file.read_text()) + microjoules}\n")


def _by_scope(meter: RaplMeter) -> dict[str, Measurement]:
    return {one.scope: one for one in meter.stop().measurements}


def test_each_outer_domain_is_reported_by_itself_in_joules(tree: Path) -> None:
    meter = RaplMeter(tree)
    meter.start()
    for name in ("intel-rapl:0", "intel-rapl-mmio:0"):
        _advance(tree, name, 7_500_000)
    _advance(tree, "intel-rapl:0:0", 5_000_000)
    _advance(tree, "intel-rapl:0:1", 1_250_000)
    _advance(tree, "intel-rapl:1", 2_000_000)
    _advance(tree, "intel-rapl:2", 12_000_000)
    samples = {scope: one.samples for scope, one in _by_scope(meter).items()}
    assert samples == {
        "cpu package 0": (7.5,),
        "dram of cpu package 0": (1.25,),
        "cpu package 1": (2.0,),
        "platform (psys, includes the cpu packages)": (12.0,),
    }


def test_one_wrap_is_undone(tree: Path) -> None:
    (tree / "intel-rapl:0/energy_uj").write_text(str(RANGE_UJ - 1_000_000))
    meter = RaplMeter(tree)
    meter.start()
    (tree / "intel-rapl:0/energy_uj").write_text("2_000_000".replace("_", ""))
    assert _by_scope(meter)["cpu package 0"].samples == pytest.approx((3.0,))


def test_a_window_that_may_hold_two_wraps_is_not_reported(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = RaplMeter(tree)
    now = iter((0, int(RANGE_UJ / 1e6 / rapl.MOST_WATTS * 1e9) + 10**9))
    monkeypatch.setattr(rapl, "perf_counter_ns", lambda: next(now))
    meter.start()
    one = _by_scope(meter)["cpu package 0"]
    assert one.provenance is Provenance.UNAVAILABLE
    assert "wrapped more than once" in one.reason


def test_a_counter_that_goes_back_without_a_range_is_not_reported(tree: Path) -> None:
    (tree / "intel-rapl:0/max_energy_range_uj").unlink()
    meter = RaplMeter(tree)
    meter.start()
    _advance(tree, "intel-rapl:0", -500)
    one = _by_scope(meter)["cpu package 0"]
    assert (one.provenance, one.samples) == (Provenance.UNAVAILABLE, ())


def test_two_windows_are_counted_apart(tree: Path) -> None:
    meter = RaplMeter(tree)
    for joules in (1, 4):
        meter.start()
        _advance(tree, "intel-rapl:1", joules * 1_000_000)
        assert _by_scope(meter)["cpu package 1"].samples == (float(joules),)


def test_permission_denied_names_the_fix(tree: Path) -> None:
    for file in tree.glob("*/energy_uj"):
        file.unlink()
        file.mkdir()  # unreadable even for root, as a mode of 0400 is not
    state = probe(tree)
    assert not state.ok
    assert "cannot be read" in state.reason
    assert "chmod" in state.fix
    meter = RaplMeter(tree)
    meter.start()
    (one,) = meter.stop().measurements
    assert (one.metric, one.provenance) == ("energy_gross", Provenance.UNAVAILABLE)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_mode_0400_counts_as_denied(tree: Path) -> None:
    for file in tree.glob("*/energy_uj"):
        file.chmod(0)
    assert not probe(tree).ok


@pytest.mark.parametrize("there", [True, False])
def test_an_empty_or_masked_folder_is_unavailable(tmp_path: Path, there: bool) -> None:
    root = tmp_path if there else tmp_path / "powercap"
    state = probe(root)
    assert not state.ok
    assert "no RAPL counters" in state.reason
    assert state.fix


def test_one_counter_shown_twice_is_counted_once(tree: Path) -> None:
    """Processors of several dies: package-1 repeats package-0 (an update apart)."""
    (tree / "intel-rapl:1/energy_uj").write_text("1000400")
    meter = RaplMeter(tree)
    meter.start()
    _advance(tree, "intel-rapl:0", 68_000_000)
    _advance(tree, "intel-rapl:1", 68_000_200)
    seen = _by_scope(meter)
    assert seen["cpu package 0"].samples == (68.0,)
    assert seen["cpu package 1"].provenance is Provenance.UNAVAILABLE
    assert "the same counter as cpu package 0" in seen["cpu package 1"].reason
    total = total_energy(tuple(m for m in seen.values() if "psys" not in m.scope))
    assert total is not None
    assert (total.joules, total.scope) == (68.0, "cpu package 0 + dram of cpu package 0")


def test_two_packages_that_use_the_same_are_two(tree: Path) -> None:
    (tree / "intel-rapl:1/energy_uj").write_text("40000000")
    meter = RaplMeter(tree)
    meter.start()
    for name in ("intel-rapl:0", "intel-rapl:1"):
        _advance(tree, name, 68_000_000)
    seen = _by_scope(meter)
    assert seen["cpu package 1"].samples == seen["cpu package 0"].samples == (68.0,)


def test_more_than_the_packages_limit_is_not_believed(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("intel-rapl:0", "intel-rapl:1"):
        (tree / name / "constraint_0_max_power_uw").write_text("65000000\n")
    meter = RaplMeter(tree)
    now = iter((0, 10 * 10**9))
    monkeypatch.setattr(rapl, "perf_counter_ns", lambda: next(now))
    meter.start()
    _advance(tree, "intel-rapl:0", 640_000_000)  # 64 W
    _advance(tree, "intel-rapl:1", 900_000_000)  # 90 W
    (seen,) = meter.stop().observations
    assert (seen.kind, seen.value, seen.unit) == ("power_over_limit", 90.0, "W")
    assert "cpu package 1" in seen.message
