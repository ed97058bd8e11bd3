"""Change points in simulated series of rates: found where they are, not where they are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import builders as b
from slmbench.analysis import load_results
from slmbench.analysis.sustained import CHANGED_P, binned, change_point
from slmbench.records import Observation, PhaseRecord, Provenance
from slmbench.spec import WorkloadSpec

POINT = "pp128+tg32"


def course(rates: list[float], tokens: float = 100.0) -> tuple[list[float], list[float]]:
    """Rates and ends of back-to-back requests of so many tokens."""
    ends = np.cumsum([tokens / r for r in rates])
    return rates, [float(e) for e in ends]


def noisy(level: float, n: int, seed: int, spread: float = 0.02) -> list[float]:
    """Independent scatter around a level."""
    return [float(x) for x in level * (1 + spread * np.random.default_rng(seed).normal(size=n))]


def test_a_drop_is_found_where_it_is() -> None:
    """100 tok/s for 150 requests (150 s), then 80."""
    rates, ends = course(noisy(100, 150, 1) + noisy(80, 150, 2))
    found = change_point(rates, ends)
    assert found is not None
    assert found.p == 0.001
    assert found.at_s == pytest.approx(150, abs=8)
    assert found.ratio == pytest.approx(0.8, abs=0.01)
    assert found == change_point(rates, ends)


@pytest.mark.parametrize("wander", [0.0, 0.5])
def test_scatter_and_wander_are_rarely_a_change(wander: float) -> None:
    """Independent and autocorrelated noise: few false alarms at p < 0.01."""
    alarms = 0
    for seed in range(60):
        numbers, level, rates = np.random.default_rng(seed), 0.0, []
        for _ in range(120):
            level = wander * level + float(numbers.normal())
            rates.append(100 + level)
        found = change_point(*course(rates))
        assert found is not None
        alarms += found.p < CHANGED_P
    assert alarms <= 4


def test_too_few_requests_are_not_judged() -> None:
    assert change_point([10.0] * 9, [float(i) for i in range(1, 10)]) is None
    assert binned([1.0] * 9, [1.0] * 9) is None


def test_bins_hold_all_requests_and_begin_where_the_last_ended() -> None:
    found = binned([float(i) for i in range(20)], [float(i + 1) for i in range(20)])
    assert found is not None
    levels, begins = found
    assert list(levels) == [float(i) for i in range(20)]
    assert list(begins) == [float(i) for i in range(20)]


def _slices(rates: list[float], *, seen: list[list[Observation]], process: int = 0,
            ) -> list[PhaseRecord]:  # fmt: skip
    _, ends = course(rates)
    parts = np.array_split(np.arange(len(rates)), len(seen))
    found = [
        b.phase(
            "sustained",
            b.measurement("request_rate_series", *[rates[i] for i in part], point=POINT),
            b.measurement("request_end_series", *[ends[i] for i in part], point=POINT),
            seen=observed,
        )
        for part, observed in zip(parts, seen, strict=True)
    ]
    derived = {"provenance": Provenance.DERIVED, "point": POINT, "method": "derived"}
    found.append(
        b.phase(
            "summary",
            b.measurement("burst_rate", rates[0], **derived),
            b.measurement("sustained_rate", rates[-1], **derived),
            b.measurement("sustained_share", rates[-1] / rates[0], **derived),
        )
    )
    return [p.model_copy(update={"process": process}) for p in found]


def test_the_table_names_change_and_throttling(tmp_path: Path) -> None:
    work = WorkloadSpec(
        workload="sustained", points=b.workload("latency", (128, 32)).points, repeats=1, warmup=0,
        window_s=600, idle_s=0, seed=1,
    )  # fmt: skip
    held = Observation(kind="gpu_throttled", value=1, unit="reasons", message="hot")
    phases = [
        *_slices(noisy(100, 100, 1) + noisy(70, 100, 2), seen=[[], [held]]),
        *_slices(noisy(100, 200, 3), seen=[[], []], process=1),
    ]
    b.Shelf(tmp_path).load(b.cell(b.variant("a"), work, suite="sustained"), *phases)
    results = load_results(tmp_path)
    hot, cool = results.sustained().itertuples()
    assert (hot.process, hot.requests, hot.throttled) == (0, 200, True)
    assert hot.change_at_s == pytest.approx(100, abs=8)
    assert hot.verdict.startswith("slower by ")
    assert hot.verdict.endswith("throttling was seen")
    assert (hot.flags, cool.flags) == ("gpu throttled", "")
    assert cool.verdict.startswith("steady")
    rows = [r for r in results.metric_rows if r.primary]
    assert [(r.metric, r.estimate.n) for r in rows] == [("sustained_rate", 2)]
