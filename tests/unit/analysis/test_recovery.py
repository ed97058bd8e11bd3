"""Shares of a loss that came back, and of a score above guessing that is left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import builders as b
from slmbench.analysis import Delta, load_results
from slmbench.analysis.recovery import recovered_share, retention
from slmbench.analysis.rows import Judged
from slmbench.analysis.statistics import Estimate
from slmbench.spec import Suite
from slmbench.store import save_suite

N = 400


def scores(right: int, n: int = N, clusters: int | None = None) -> Judged:
    """The first so many items are right."""
    items = tuple(f"i{k}" for k in range(n))
    named = tuple(f"c{k * clusters // n}" for k in range(n)) if clusters else items
    return Judged(items, named, ("",) * n, tuple(float(k < right) for k in range(n)), (None,) * n)


def test_share_by_hand() -> None:
    found = recovered_share(scores(240), scores(160), scores(220), "higher")
    assert found.value == pytest.approx(60 / 80)
    assert found.low is not None
    assert found.high is not None
    assert 0.6 < found.low < 0.75 < found.high < 0.9
    assert (found.n, found.reason) == (N, "")
    assert recovered_share(scores(240), scores(160), scores(220), "higher") == found, "seeded"


def test_a_further_loss_is_negative_and_full_recovery_is_one() -> None:
    assert recovered_share(scores(240), scores(160), scores(140), "higher").value == -0.25
    full = recovered_share(scores(240), scores(160), scores(240), "higher")
    assert (full.value, full.low, full.high) == (1, 1, 1)


def test_the_interval_agrees_with_a_plain_bootstrap() -> None:
    rng = np.random.default_rng(1)
    base = (rng.random(N) < 0.6).astype(float)
    low = np.where(rng.random(N) < 0.4, 0, base)
    back = np.where(rng.random(N) < 0.5, base, low)
    items = tuple(str(k) for k in range(N))

    def judged(values: np.ndarray) -> Judged:
        return Judged(items, items, ("",) * N, tuple(values.tolist()), (None,) * N)

    found = recovered_share(judged(base), judged(low), judged(back), "higher")
    drawn = rng.integers(0, N, (4000, N))
    ratios = (back - low)[drawn].mean(1) / (base - low)[drawn].mean(1)
    assert found.low == pytest.approx(np.quantile(ratios, 0.025), abs=0.02)
    assert found.high == pytest.approx(np.quantile(ratios, 0.975), abs=0.02)


def test_clusters_widen_the_interval() -> None:
    alone = recovered_share(scores(240), scores(160), scores(220), "higher")
    clustered = [scores(right, clusters=40) for right in (240, 160, 220)]
    together = recovered_share(*clustered, "higher")
    assert together.value == alone.value
    assert together.low is not None
    assert alone.low is not None
    assert together.low < alone.low - 0.1, "the items of a cluster come back together"


def test_a_loss_that_is_not_resolved_has_no_share() -> None:
    found = recovered_share(scores(240), scores(237), scores(240), "higher")
    assert (found.value, found.reason) == (None, "the loss itself is not resolved")
    gain = recovered_share(scores(160), scores(240), scores(220), "higher")
    assert gain.value is None
    assert recovered_share(scores(9), scores(1), scores(5), "none").reason.endswith("better side")


def test_only_items_that_all_three_scored_count() -> None:
    base = scores(240)
    gone = Judged(
        base.items, base.clusters, base.groups,
        (None, *scores(160).values[1:]), ("non_finite", *base.failures[1:]),
    )  # fmt: skip
    assert recovered_share(base, gone, scores(220), "higher").n == N - 1
    nothing = Judged(base.items, base.clusters, base.groups, (None,) * N, ("x",) * N)
    assert "all three" in recovered_share(base, nothing, base, "higher").reason


def test_retention_by_hand_and_where_it_is_undefined() -> None:
    base_value = Estimate(0.6, N, 0.55, 0.65)
    found = retention(scores(240), scores(200), 0.25, base_value)
    assert found.value == pytest.approx((0.5 - 0.25) / (0.6 - 0.25))
    assert found.low is not None
    assert found.low < found.value
    assert retention(scores(240), scores(200), None, base_value).reason.endswith("chance level")
    guessing = retention(scores(110), scores(100), 0.25, Estimate(0.275, N, 0.23, 0.32))
    assert (guessing.value, guessing.reason) == (None, "the base itself is not above chance")


# --- through the store ----------------------------------------------------------------------

BASE, DAMAGED = b.variant("base"), b.variant("damaged", parent="base", stage="pruned")
BACK = b.variant("back", parent="damaged", stage="recovered")


@pytest.fixture
def chain(tmp_path: Path) -> b.Shelf:
    """base 240 right, damaged 160, back 220, of 400."""
    shelf = b.Shelf(tmp_path)
    items = b.choice_items("arc_easy", N)
    for ref, right in ((BASE, 240), (DAMAGED, 160), (BACK, 220)):
        shelf.task(b.cell(ref, b.task()), items, {"acc": scores(right).values})
    return shelf


def found(shelf: b.Shelf, against: str, **changes: object) -> dict[str, Delta]:
    """Differences by variant."""
    comparison = load_results(shelf.root).compare(against=against, **changes)  # type: ignore[arg-type]
    return {d.variant: d for d in comparison.deltas}


def test_each_variant_is_paired_with_its_parent_and_with_the_base(chain: b.Shelf) -> None:
    parents, bases = found(chain, "parent"), found(chain, "base")
    assert {v: d.parent for v, d in parents.items()} == {"damaged": "base", "back": "damaged"}
    assert {v: d.parent for v, d in bases.items()} == {"damaged": "base", "back": "base"}
    assert {d.reference for d in bases.values()} == {"base"}
    assert parents["back"].difference.delta == pytest.approx(0.15)
    assert bases["back"].difference.delta == pytest.approx(-0.05)
    recovered = parents["back"].recovered
    assert recovered is not None
    assert recovered.value == pytest.approx(0.75)
    assert parents["damaged"].recovered is None
    kept = bases["back"].retention
    assert kept is not None
    assert kept.value == pytest.approx((0.55 - 0.25) / (0.6 - 0.25))


def test_parents_and_bases_are_families_of_their_own(chain: b.Shelf) -> None:
    items = b.choice_items("arc_easy", N)
    third = b.variant("third", parent="back")
    shelf = chain
    shelf.task(b.cell(third, b.task()), items, {"acc": scores(213).values})
    parents, bases = found(shelf, "parent"), found(shelf, "base")
    p = parents["third"].difference.p
    assert p is not None
    assert parents["third"].p_holm == pytest.approx(p), "the largest p of three keeps its own"
    smallest = min(d.difference.p or 1 for d in bases.values())
    assert min(d.p_holm or 1 for d in bases.values()) == pytest.approx(3 * smallest)


def test_the_margin_comes_from_the_suite_and_can_be_overridden(chain: b.Shelf) -> None:
    def margin(**changes: object) -> float | None:
        e = found(chain, "parent", **changes)["back"].equivalence
        return None if e is None else e.margin

    assert margin() == 0.01
    declared = Suite.model_validate(
        {
            "name": "accuracy",
            "title": "t",
            "description": "d",
            "sizes": {"demo": {"items": 5}},
            "tasks": [{"task": "arc_easy", "primary": "acc", "margin": 0.03}],
        }
    )
    save_suite(chain.root, declared)
    assert load_results(chain.root).suites == (declared,)
    assert margin() == 0.03
    assert margin(margin=0.2) == 0.2
    table = load_results(chain.root).compare(margin=0.2).table()
    assert table.set_index("variant").loc["back", "lossless"] == "lossless within 20 pt: yes"
    assert table.set_index("variant").loc["back", "recovered"] == pytest.approx(0.75)


def test_a_suite_file_of_another_version_is_left_out(chain: b.Shelf) -> None:
    place = chain.root / ".suites"
    place.mkdir()
    (place / "accuracy.json").write_text('{"name": "accuracy", "from": "the future"}')
    results = load_results(chain.root)
    assert results.suites == ()
    assert len(results.compare().deltas) == 2
