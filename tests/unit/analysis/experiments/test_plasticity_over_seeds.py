"""Plasticity with seeds: rates by their mean, closures paired, and what noise costs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from experiment_world import Laboratory, sentences
from slmbench.analysis.experiments import Told
from slmbench.analysis.experiments.findings import Grid, Number
from slmbench.analysis.experiments.sensitivity import levels
from slmbench.analysis.special import t_quantile

T2 = t_quantile(0.975, 2)
"""Of three seeds."""
RATES = (1e-4, 5e-4, 2e-3)
BASE = ((0.95, 0.96, 0.94), (0.90, 0.91, 0.89), (0.97, 0.97, 0.97))
"""Losses at the budget of the base, which begins at 1.0: rates down, seeds across."""

Ends = Sequence[Sequence[float]]


@pytest.fixture
def lab(tmp_path: Path) -> Laboratory:
    made = Laboratory(tmp_path)
    made.variant("root")
    return made


def sweep(lab: Laboratory, prefix: str, start: float, ends: Ends) -> list[str]:
    """Trainings of three rates; the n-th loss of a rate is of seed n."""
    parent = "root" if prefix == "base" else prefix
    names = []
    if prefix != "base":
        lab.variant(prefix, "root")
    for rate, losses in zip(RATES, ends, strict=True):
        for seed, end in enumerate(losses, 1):
            name = f"{prefix}-{rate:g}-s{seed}"
            lab.variant(name, parent, losses=(start, end), rate=rate, seed=seed)
            names.append(name)
    return names


def told_of(lab: Laboratory, pruned: Mapping[float, tuple[float, Ends]], base: Ends = BASE) -> Told:
    """The experiment with one arm for each share pruned."""
    arms: list[dict[str, Any]] = [
        {"name": "base", "role": "parent_tuned", "differ": "learning_rate", "at": 0.0,
         "variants": sweep(lab, "base", 1.0, base)}
    ]  # fmt: skip
    for at, (start, ends) in pruned.items():
        names = sweep(lab, f"p{round(100 * at)}", start, ends)
        arms.append({"name": f"{at:.0%} pruned", "role": "treatment", "differ": "learning_rate",
                     "at": at, "variants": names})  # fmt: skip
    return lab.tell("plasticity", arms)


def grid(told: Told, name: str) -> dict[str, tuple[Any, ...]]:
    """Cells by line."""
    grids: list[Grid] = [g for c in told.findings.chapters for g in c.grids if g.name == name]
    return {line.name: line.cells for line in grids[0].lines}


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and ends by the formula."""
    mean, half = statistics.fmean(values), T2 * statistics.stdev(values) / math.sqrt(3)
    return mean, mean - half, mean + half


def same(number: Any, values: Sequence[float]) -> bool:
    assert isinstance(number, Number)
    return (number.value, number.low, number.high) == pytest.approx(interval(values))


def test_the_rate_is_that_of_the_least_mean_over_seeds(lab: Laboratory) -> None:
    """One lucky seed of the highest rate does not choose it."""
    ends = ((1.30, 1.31, 1.29), (1.20, 1.21, 1.19), (1.00, 1.60, 1.50))
    told = told_of(lab, {0.2: (1.5, ends)})
    cells = grid(told, "plasticity")["20% pruned"]
    assert cells[1] == "0.0005"
    assert same(cells[3], ends[1])
    rates = grid(told, "rates")["20% pruned"]
    assert same(rates[2], ends[2])
    assert ["best" in rate.said for rate in rates] == [False, True, False]


def test_gap_closure_pairs_the_seeds(lab: Laboratory) -> None:
    """Variant and base move together, so G hardly varies though both losses do."""
    ends = ((1.3, 1.3, 1.3), (1.00, 1.01, 0.99), (1.4, 1.4, 1.4))
    told = told_of(lab, {0.2: (1.5, ends)})
    cells = grid(told, "plasticity")["20% pruned"]
    closures = [1 - (v - b) / 0.5 for v, b in zip(ends[1], BASE[1], strict=True)]
    assert same(cells[5], closures)
    assert cells[5].high - cells[5].low < 1e-9
    assert cells[3].high - cells[3].low > 0.04
    assert same(cells[4], [(1.5 + end) / 2 for end in ends[1]])
    above = grid(told, "above-base")["20% pruned"]
    assert same(above[0], [0.1, 0.1, 0.1])
    assert same(above[1], [0.3, 0.3, 0.3])
    assert any(
        v == "not stiff" and "80.0 % (95 %: 80.0" in s and "t over 3 seeds" in s
        for v, s in sentences(told)
    )


def test_tokens_to_half_the_gap_have_a_target_of_their_own_seed(lab: Laboratory) -> None:
    ends = ((1.3, 1.3, 1.3), (0.90, 1.01, 0.99), (1.4, 1.4, 1.4))
    cells = grid(told_of(lab, {0.2: (1.5, ends)}), "plasticity")["20% pruned"]
    tokens = [1000 * (1.5 - b - 0.25) / (1.5 - v) for v, b in zip(ends[1], BASE[1], strict=True)]
    assert same(cells[6], tokens)


def test_a_target_that_a_seed_missed_is_counted(lab: Laboratory) -> None:
    ends = ((1.4, 1.4, 1.4), (1.10, 1.20, 1.00), (1.4, 1.4, 1.4))
    cells = grid(told_of(lab, {0.2: (1.5, ends)}), "plasticity")["20% pruned"]
    assert cells[6].value is None
    assert cells[6].reason == "not reached within the budget by 1 of 3 seeds"


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [
        ((1.30, 1.31, 1.29), "stiff"),
        ((1.00, 1.01, 0.99), "not stiff"),
        ((1.05, 1.30, 1.15), "not resolved"),
    ],
)
def test_stiff_only_where_the_whole_interval_lies_below_the_limit(
    lab: Laboratory, ends: Sequence[float], verdict: str
) -> None:
    told = told_of(lab, {0.2: (1.5, ((1.4,) * 3, ends, (1.4,) * 3))})
    mine = [v for v, s in sentences(told) if "20% pruned” is" in s and "edge" not in s]
    assert mine == [verdict]


@pytest.mark.parametrize(
    ("worse", "verdict"),
    [
        ((2.00, 2.01, 1.99), "falls"),
        ((0.92, 0.93, 0.91), "does not fall"),
        ((1.30, 1.80, 1.00), "not resolved"),
    ],
)
def test_the_order_of_closures_is_tested_over_seeds(
    lab: Laboratory, worse: Sequence[float], verdict: str
) -> None:
    better = ((1.4,) * 3, (1.00, 1.01, 0.99), (1.4,) * 3)
    told = told_of(lab, {0.2: (1.5, better), 0.4: (2.9, ((2.5,) * 3, worse, (2.5,) * 3))})
    said = [v for v, s in sentences(told) if "ap closure" in s and "every further share" in s]
    assert said == [verdict]


def test_a_rate_that_lacks_a_seed_cannot_be_chosen(lab: Laboratory) -> None:
    ends = ((1.3, 1.3, 1.3), (1.2, 1.2, 1.2), (0.9, 0.9))
    told = told_of(lab, {0.2: (1.5, ends)})
    assert grid(told, "plasticity")["20% pruned"][1] == "0.0005"
    assert any("not every seed ended with learning rate 0.002" in s for _, s in sentences(told))


def test_seeds_that_do_not_pair_give_no_closure(lab: Laboratory) -> None:
    arms = []
    for role, prefix, seed in (("parent_tuned", "root", 1), ("treatment", "pruned", 2)):
        if prefix == "pruned":
            lab.variant("pruned", "root")
        name = f"{prefix}-tuned"
        lab.variant(name, prefix, losses=(1.0 + seed, 1.0), seed=seed)
        arms.append({"name": prefix, "role": role, "differ": "learning_rate", "variants": [name]})
    said = sentences(lab.tell("plasticity", arms))
    assert any(v == "cannot be said" and "no seed that both" in s for v, s in said)
    assert any("has 1 of at least 3 seeds" in s for _, s in said)


TEXTS = 30


def noisy(lab: Laboratory, rises: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    """For each variant its rise by draw; texts differ a little, alike in all."""
    arms = []
    for place, (name, draws) in enumerate(rises.items()):
        if name != "root":
            lab.variant(name, "root")
        plain = [1.0 + place / 10 + 0.02 * (i % 5) for i in range(TEXTS)]
        lab.reads(name, plain)
        variants = []
        for draw, rise in enumerate(draws, 1):
            variants.append(f"{name}-noise-{draw}")
            lab.variant(variants[-1], name, noise=0.1, seed=draw)
            lab.reads(
                variants[-1], [v + rise + 0.01 * (i % 3 - 1) for i, v in enumerate(plain)]
            )  # fmt: skip
        arms.append({"name": name, "role": "perturbed", "at": place / 10, "variants": variants})
    return arms


def test_the_rise_is_paired_over_texts_and_widened_by_the_draws(lab: Laboratory) -> None:
    """SE² = variance over texts / texts + variance over draws / draws, Satterthwaite's freedom."""
    draws = (0.10, 0.12, 0.14)
    arms = noisy(lab, {"root": draws})
    (level,) = levels(lab.material("plasticity", arms))
    rise = level.rises[0]
    steps = [0.01 * (i % 3 - 1) for i in range(TEXTS)]
    texts, drawn = statistics.variance(steps) / TEXTS, statistics.variance(draws) / 3
    freedom = int((texts + drawn) ** 2 / (texts**2 / (TEXTS - 1) + drawn**2 / 2))
    half = t_quantile(0.975, freedom) * math.sqrt(texts + drawn)
    assert freedom == 2
    assert (rise.value, rise.low, rise.high) == pytest.approx((0.12, 0.12 - half, 0.12 + half))
    assert rise.said == ("draws: 0.1, 0.12, 0.14",)
    assert "3 draws" in rise.method


def test_one_draw_has_an_interval_over_texts_only_and_says_so(lab: Laboratory) -> None:
    (level,) = levels(lab.material("plasticity", noisy(lab, {"root": (0.1,)})))
    rise = level.rises[0]
    assert rise.low is not None
    assert rise.low == pytest.approx(0.1, abs=0.005)
    assert rise.method.endswith("one draw")


def test_sensitivity_that_grows_with_every_share(lab: Laboratory) -> None:
    draws = {"root": (0.10, 0.11, 0.12), "p1": (0.20, 0.21, 0.22), "p2": (0.40, 0.41, 0.42)}
    told = lab.tell("plasticity", noisy(lab, draws))
    said = sentences(told)
    assert any(v == "grows" and s.startswith("Sensitivity grows with every") for v, s in said)
    assert any(
        v == "worse" and "“p1” is more sensitive than “root”" in s and "0.100" in s for v, s in said
    )
    cells = grid(told, "sensitivity-1")
    assert cells["p2"][3].value == pytest.approx(0.3)
    assert cells["root"][3] is None
    assert cells["p1"][1].value == pytest.approx(1.14)


def test_sensitivity_that_falls_or_is_open_is_not_called_growing(lab: Laboratory) -> None:
    draws = {"root": (0.10, 0.11, 0.12), "p1": (0.30, 0.31, 0.32), "p2": (0.20, 0.21, 0.22)}
    said = sentences(lab.tell("plasticity", noisy(lab, draws)))
    assert any(v == "does not grow" and "“p2” minus that of “p1” is −0.100" in s for v, s in said)


def test_draws_that_differ_more_than_the_models_resolve_nothing(lab: Laboratory) -> None:
    """Over texts alone the difference of 0.02 would be far from 0."""
    draws = {"root": (0.10, 0.16, 0.13), "p1": (0.16, 0.12, 0.17)}
    said = sentences(lab.tell("plasticity", noisy(lab, draws)))
    assert any(v == "not resolved" and "Whether sensitivity grows" in s for v, s in said)
    assert any(v == "not resolved" and "Whether “p1” is more sensitive" in s for v, s in said)


def test_a_noisy_variant_without_results_is_named(lab: Laboratory) -> None:
    arms = noisy(lab, {"root": (0.1, 0.1)})
    lab.variant("p1", "root")
    lab.variant("p1-noise", "p1", noise=0.1)
    arms.append({"name": "p1", "role": "perturbed", "at": 0.1, "variants": ["p1-noise"]})
    said = sentences(lab.tell("plasticity", arms))
    assert any(v == "cannot be said" and "p1 has no Bits per byte" in s for v, s in said)
