"""Effective lengths, rises with position, and the symptom made of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

import builders as b
from slmbench.analysis import Results, load_results
from slmbench.analysis.constructs.position import largest_rise
from slmbench.analysis.constructs.retrieval import effective_index
from slmbench.analysis.long_context import GRID_COLUMNS, SYMPTOM_COLUMNS
from slmbench.analysis.rows import Judged
from slmbench.requests import ItemSet
from slmbench.spec import TaskSpec

WORDS = (100, 200, 400)
DEPTHS = (0, 50)
SEEDS = 20


def task() -> TaskSpec:
    return b.task("slm_passkey", primary="retrieval_correct")


def grid_items() -> ItemSet:
    plain = b.choice_items("slm_passkey", len(WORDS) * len(DEPTHS) * SEEDS)
    places = [(w, d) for w in WORDS for d in DEPTHS for _ in range(SEEDS)]
    items = tuple(
        item.model_copy(
            update={
                "target": json.dumps({"words": w, "depth": d, "key": "1", "others": []}),
                "group": f"{w} words, {d} % deep",
                "choices": (),
            }
        )
        for item, (w, d) in zip(plain.items, places, strict=True)
    )
    return plain.model_copy(update={"scorer": "retrieval", "items": items})


def stored(root: Path, shares: Mapping[int, float | None]) -> Results:
    """Each length with this share of keys found, spread evenly; None: nothing could be scored."""
    items = grid_items()
    found: list[float | None] = []
    tokens: list[float | None] = []
    for words in WORDS:
        share = shares[words]
        count = len(DEPTHS) * SEEDS
        right = 0 if share is None else round(share * count)
        found += [None if share is None else float((k * 7) % count < right) for k in range(count)]
        tokens += [None if share is None else 1.2 * words] * count
    b.Shelf(root).task(
        b.cell(b.variant("a"), task(), suite="long_context"),
        items,
        {"retrieval_correct": found, "context_tokens": tokens},
    )
    return load_results(root)


def effective(results: Results) -> Mapping[str, object]:
    (row,) = [r for r in results.construct_rows if r.metric == "effective_length"]
    return {"value": row.estimate.value, "flags": row.flags, "reason": row.reason,
            "high": row.estimate.high}  # fmt: skip


@pytest.mark.parametrize(
    ("shares", "chance", "index"),
    [
        ([1.0, 0.9, 0.85], 0.0, 2),
        ([1.0, 0.84, 1.0], 0.0, 0),
        ([1.0, 0.9, 0.5, 0.9], 0.0, 1),
        ([0.25, 0.9], 0.25, None),
        ([0.55, 0.51, 0.5], 0.25, 1),
        ([], 0.0, None),
    ],
)
def test_the_rule_by_hand(shares: Sequence[float], chance: float, index: int | None) -> None:
    assert effective_index(shares, chance) == index


def test_a_model_that_keeps_its_share_has_the_longest_length(tmp_path: Path) -> None:
    results = stored(tmp_path, {100: 1.0, 200: 1.0, 400: 0.95})
    found = effective(results)
    assert found["value"] == pytest.approx(480)
    assert found["flags"] == ()
    table = results.long_sequences()
    assert list(table["symptom"]) == ["no"]
    assert list(table.columns) == [c.name for c in SYMPTOM_COLUMNS]


def test_a_model_that_loses_it_is_flagged(tmp_path: Path) -> None:
    results = stored(tmp_path, {100: 1.0, 200: 0.95, 400: 0.3})
    found = effective(results)
    assert found["value"] == pytest.approx(240)
    assert found["flags"] == ("fails when long",)
    assert "0.85 of the share at 100 words (1.00)" in str(found["reason"])
    assert list(results.long_sequences()["symptom"]) == ["yes"]


def test_a_loss_within_chance_is_not_flagged(tmp_path: Path) -> None:
    """0.80 against 0.95 with 40 questions a length: the threshold is just missed."""
    found = effective(stored(tmp_path, {100: 0.95, 200: 0.95, 400: 0.80}))
    assert found["value"] == pytest.approx(240)
    assert found["high"] == pytest.approx(480)
    assert found["flags"] == ()


def test_lengths_that_could_not_be_asked_are_named(tmp_path: Path) -> None:
    results = stored(tmp_path, {100: 1.0, 200: 1.0, 400: None})
    found = effective(results)
    assert found["value"] == pytest.approx(240)
    assert "400 words: 40 of 40 answers could not be scored" in str(found["reason"])
    grid = results.retrieval().set_index(["words", "depth"])
    assert grid.loc[(400, 0), "failed"] == SEEDS
    assert grid.loc[(100, 50), "n"] == SEEDS
    assert grid.loc[(100, 50), "ci_low"] == pytest.approx(0.839, abs=1e-3)
    assert list(results.retrieval().columns) == [c.name for c in GRID_COLUMNS]
    assert len(results.retrieval()) == len(WORDS) * len(DEPTHS) + len(WORDS)


def test_a_model_that_finds_nothing_has_no_effective_length(tmp_path: Path) -> None:
    results = stored(tmp_path, {100: 0.0, 200: 0.0, 400: 0.0})
    assert effective(results)["value"] is None
    assert "too rarely (0.00, chance 0)" in str(effective(results)["reason"])
    assert list(results.long_sequences()["symptom"]) == ["unknown"]


# --- by position --------------------------------------------------------------------------------

NAMES = ("0 to 63", "64 to 127", "128 to 255", "256 to 511")


def column(means: Sequence[float], *, windows: int = 32, seed: int = 0, sd: float = 0.1) -> Judged:
    """Windows share a level of their own (sd 0.3) beside their noise."""
    numbers = np.random.default_rng(seed)
    rows: list[tuple[str, str, float]] = []
    for window in range(windows):
        level = 0.3 * numbers.standard_normal()
        for name, mean in zip(NAMES, means, strict=False):
            rows.append((f"w{window}", name, mean + level + sd * numbers.standard_normal()))
    n = len(rows)
    return Judged(
        tuple(r[0] for r in rows), tuple(r[0] for r in rows), tuple(r[1] for r in rows),
        tuple(r[2] for r in rows), (None,) * n, (64.0,) * n,
    )  # fmt: skip


def test_a_rise_is_found_against_the_best_earlier_range() -> None:
    found = largest_rise(column([4.0, 3.0, 2.5, 3.0]))
    assert found is not None
    assert (found.later, found.earlier) == ("256 to 511", "128 to 255")
    assert found.estimate.value == pytest.approx(0.5, abs=0.1)
    assert found.unstable


def test_level_and_falling_courses_are_stable() -> None:
    for seed in range(40):
        found = largest_rise(column([4.0, 3.0, 2.5, 2.5], seed=seed))
        assert found is not None
        assert not found.unstable


def test_a_small_rise_is_none_however_sure() -> None:
    found = largest_rise(column([4.0, 3.0, 2.5, 2.53], sd=0.001))
    assert found is not None
    assert found.estimate.low is not None
    assert found.estimate.low > 0
    assert not found.unstable


def test_level_courses_are_rarely_called_rising() -> None:
    """All ranges alike: at most 5 % of the data sets may have a pair that the test resolves."""
    tries = 300
    hits = 0
    for seed in range(tries):
        found = largest_rise(column([2.5, 2.5, 2.5, 2.5], seed=seed, sd=0.2))
        assert found is not None
        hits += found.estimate.low is not None and found.estimate.low > 0
    assert hits / tries <= 0.06


def test_too_few_windows_say_nothing(tmp_path: Path) -> None:
    assert largest_rise(column([4.0, 3.0], windows=7)) is None
    assert largest_rise(column([4.0], windows=30)) is None
