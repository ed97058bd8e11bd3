"""Numbers of the stereotype probes that are no plain means, by hand and at their edges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import builders as b
from slmbench.analysis import load_results
from slmbench.analysis.constructs.open_ended import gap_by_chance, grouped, largest_gap
from slmbench.analysis.constructs.stereoset import icat, mean_over_terms
from slmbench.analysis.constructs.text_classifiers import CLASSIFIERS
from slmbench.analysis.rows import Judged, MetricRow
from slmbench.records import Provenance
from slmbench.requests import GenerateRequest, ItemSet

BASE = b.variant("base")
Scores = dict[str, Sequence[float | None]]


def items(scorer: str, places: Sequence[tuple[str, str]]) -> ItemSet:
    """Items in (cluster, group)."""
    plain = b.choice_items("probe", len(places), choices=2)
    placed = tuple(
        item.model_copy(update={"cluster": cluster, "group": group})
        for item, (cluster, group) in zip(plain.items, places, strict=True)
    )
    return plain.model_copy(update={"scorer": scorer, "items": placed})


def rows(root: Path, scorer: str, places: Sequence[tuple[str, str]], scores: Scores) -> Any:
    """Derived rows of one run by (metric, group)."""
    shelf, primary = b.Shelf(root), next(iter(scores))
    shelf.task(b.cell(BASE, b.task("probe", primary), suite="bias"), items(scorer, places), scores)
    return {(r.metric, r.scope): r for r in load_results(root).construct_rows}


def value(found: dict[tuple[str, str], MetricRow], metric: str, group: str = "") -> float | None:
    return found[metric, group].estimate.value


# --- StereoSet ----------------------------------------------------------------------------------


def test_stereoset_is_averaged_per_term_and_then_over_terms(tmp_path: Path) -> None:
    # term t1: SS 3/4, LMS 7/8; term t2: SS 0, LMS 1 -> SS 0.375 (not 3/5), LMS 0.9375
    places = [("t1", "race")] * 4 + [("t2", "gender")]
    found = rows(
        tmp_path,
        "stereoset",
        places,
        {
            "stereoset_ss_item": [1.0, 1.0, 1.0, 0.0, 0.0],
            "stereoset_lms_item": [1.0, 1.0, 1.0, 0.5, 1.0],
        },
    )
    assert value(found, "stereoset_ss") == pytest.approx(0.375)
    assert value(found, "stereoset_lms") == pytest.approx(0.9375)
    assert value(found, "stereoset_icat") == pytest.approx(0.9375 * 0.375 / 0.5)
    assert value(found, "stereoset_ss", "race") == pytest.approx(0.75)
    assert value(found, "stereoset_icat", "race") == pytest.approx(0.875 * 0.25 / 0.5)
    one = found["stereoset_icat", "gender"].estimate
    assert (one.value, one.low, one.method) == (0.0, None, "one cluster: no interval")
    assert found["stereoset_ss", ""].provenance is Provenance.DERIVED


@pytest.mark.parametrize(
    ("lms", "ss", "expected"),
    [(1.0, 0.5, 1.0), (1.0, 0.0, 0.0), (1.0, 1.0, 0.0), (0.5, 0.5, 0.5), (0.8, 0.6, 0.64)],
)
def test_icat_of_the_ideal_the_stereotyped_and_the_random_model(
    lms: float, ss: float, expected: float
) -> None:
    assert icat(lms, ss) == pytest.approx(expected)


def test_a_model_that_ties_on_everything_is_the_random_model(tmp_path: Path) -> None:
    places = [(f"t{i}", "race") for i in range(6)]
    ties = [0.5] * 6
    found = rows(
        tmp_path, "stereoset", places, {"stereoset_ss_item": ties, "stereoset_lms_item": ties}
    )
    parts = [value(found, f"stereoset_{name}") for name in ("ss", "lms", "icat")]
    assert parts == [0.5, 0.5, 0.5]


def test_a_term_that_is_drawn_twice_counts_twice() -> None:
    values, terms = np.asarray([1.0, 0.0, 0.0]), np.asarray([0, 1, 1])
    assert mean_over_terms(values, terms, np.asarray([0, 1, 2])) == 0.5
    assert mean_over_terms(values, terms, np.asarray([0, 0, 1, 2])) == pytest.approx(2 / 3)
    assert mean_over_terms(values, terms, np.asarray([1, 2, 1, 2])) == 0.0


def test_stereoset_without_a_judged_item_says_so(tmp_path: Path) -> None:
    nothing = [None, None]
    found = rows(
        tmp_path,
        "stereoset",
        [("t", "race")] * 2,
        {"stereoset_ss_item": nothing, "stereoset_lms_item": nothing},
    )
    row = found["stereoset_icat", ""]
    assert (row.estimate.value, row.provenance) == (None, Provenance.UNAVAILABLE)
    assert row.reason


# --- CrowS-Pairs --------------------------------------------------------------------------------


def test_crows_pairs_by_group_and_at_equal_length(tmp_path: Path) -> None:
    places = [(str(i), "race" if i < 4 else "age") for i in range(6)]
    found = rows(
        tmp_path,
        "crows_pairs",
        places,
        {
            "stereotype_preference": [1.0, 1.0, 1.0, 0.0, 0.0, 0.0],
            "unequal_tokens": [0.0, 1.0, 1.0, 0.0, 1.0, 1.0],
        },
    )
    assert value(found, "stereotype_preference", "race") == 0.75
    assert value(found, "stereotype_distance", "race") == 0.25
    assert value(found, "stereotype_distance", "age") == 0.5  # as far, on the other side
    assert value(found, "crows_preference_equal_tokens") == 0.5
    assert found["crows_preference_equal_tokens", ""].estimate.n == 2
    none = found["crows_preference_equal_tokens", "age"]
    assert (none.estimate.value, none.reason) == (
        None,
        "no pair has sentences of equally many tokens",
    )
    assert value(found, "unequal_tokens", "age") == 1.0


# --- coreference --------------------------------------------------------------------------------

SIDES: Scores = {
    "acc": [1.0, 0.0, 1.0, 1.0, 1.0, 0.0],
    "coreference_acc_pro": [1.0, None, 1.0, None, 1.0, None],
    "coreference_acc_anti": [None, 0.0, None, 1.0, None, 0.0],
}


def test_winobias_gap_by_hand(tmp_path: Path) -> None:
    places = [(f"scene {i // 2}", "type 1" if i < 4 else "type 2") for i in range(6)]
    found = rows(tmp_path, "coreference", places, SIDES)
    assert value(found, "coreference_gap") == pytest.approx(1 - 1 / 3)
    assert value(found, "coreference_gap", "type 1") == pytest.approx(0.5)
    assert value(found, "coreference_gap", "type 2") == 1.0
    gap = found["coreference_gap", ""].estimate
    assert gap.low is not None
    assert gap.high is not None
    assert gap.low < 2 / 3 < gap.high <= 1
    assert found["coreference_gap", "type 2"].estimate.method == "one cluster: no interval"
    assert ("gender_acc_gap", "") not in found


def test_winogender_gotcha_and_gender_gaps_by_hand(tmp_path: Path) -> None:
    # a female and a male sentence of three templates, and one neutral
    places = [(f"t{i // 2}", ("female", "male")[i % 2]) for i in range(6)]
    found = rows(
        tmp_path,
        "coreference",
        [*places, ("t0", "neutral")],
        {name: [*values, 1.0 if name == "acc" else None] for name, values in SIDES.items()},
    )
    assert value(found, "gender_acc_gap") == pytest.approx(1 - 1 / 3)
    assert value(found, "acc", "neutral") == 1.0
    assert value(found, "coreference_gap") == pytest.approx(2 / 3)
    assert ("coreference_gap", "neutral") not in found
    assert value(found, "coreference_gap", "female") is None  # pro only: there is no gap


def test_a_copy_without_the_gotcha_flag_has_accuracies_only(tmp_path: Path) -> None:
    places = [("t0", "female"), ("t0", "male")]
    found = rows(tmp_path, "coreference", places, {"acc": [1.0, 0.0]})
    assert value(found, "gender_acc_gap") == 1.0
    gap = found["coreference_gap", ""]
    assert (gap.estimate.value, gap.provenance) == (None, Provenance.UNAVAILABLE)
    assert "no pro- and anti-" in gap.reason


# --- swaps and continuations --------------------------------------------------------------------


def test_swaps_by_kind(tmp_path: Path) -> None:
    places = [("a", "gender"), ("b", "gender"), ("a", "origin"), ("b", "origin")]
    found = rows(
        tmp_path,
        "swap_answers",
        places,
        {"swap_answer_change": [1.0, 0.0, 0.0, 0.0], "swap_acc_gap": [1.0, 0.0, -1.0, 0.0]},
    )
    assert value(found, "swap_answer_change", "gender") == 0.5
    assert value(found, "swap_acc_gap", "origin") == -0.5
    assert found["swap_acc_gap", "origin"].estimate.low is not None
    assert ("swap_answer_change", "") not in found  # a plain mean: in metrics()


def test_largest_gap_between_groups_beside_what_chance_makes(tmp_path: Path) -> None:
    places = [(f"t{i // 2}", ("a", "b")[i % 2]) for i in range(40)]
    found = rows(
        tmp_path, "open_ended", places, {"lexicon_negative_rate": [1.0, 0.0] * 10 + [0.0] * 20}
    )
    assert value(found, "lexicon_negative_gap") == 0.5
    null = value(found, "lexicon_negative_gap_null")
    assert null is not None
    assert 0 < null < 0.5
    assert value(found, "lexicon_negative_rate", "a") == 0.5


def test_one_group_has_no_gap(tmp_path: Path) -> None:
    found = rows(tmp_path, "open_ended", [("t", "a")] * 3, {"lexicon_negative_rate": [1, 0, 0]})
    assert found["lexicon_negative_gap", ""].reason == "fewer than two groups"


def test_gap_by_chance_is_where_groups_that_do_not_differ_lie() -> None:
    rng = np.random.default_rng(3)
    below = 0
    for _ in range(40):
        data = grouped(
            Judged(
                tuple(map(str, range(60))),
                tuple(str(i // 6) for i in range(60)),
                tuple("abcdef"[i % 6] for i in range(60)),
                tuple(rng.random(60)),
                (None,) * 60,
            )
        )
        gap, null = largest_gap(data), gap_by_chance(data).value
        assert gap is not None
        assert null is not None
        below += gap <= null
    assert below >= 34  # 95 % of them are expected


class Harsh:
    """Finds every text with an x negative."""

    digest = "0123456789abcdef0123"

    def negative(self, texts: Sequence[str]) -> Sequence[float]:
        return [0.9 if "x" in text else 0.1 for text in texts]


def _opinions(root: Path) -> list[MetricRow]:
    plain = items("open_ended", [("t", "a"), ("t", "b"), ("u", "a")])
    ask = GenerateRequest(prompt="p", max_tokens=4)
    written = plain.model_copy(
        update={"items": tuple(i.model_copy(update={"requests": (ask,)}) for i in plain.items)}
    )
    b.Shelf(root).task(
        b.cell(BASE, b.task("probe", "lexicon_negative_rate"), suite="bias"),
        written,
        {"lexicon_negative_rate": [0.0, 0.0, 0.0]},
        outputs=b.written(written, ["x", "y", "z"]),
    )
    found = load_results(root).construct_rows
    return [row for row in found if row.metric == "classifier_negative_rate"]


def test_no_classifier_is_built_in(tmp_path: Path) -> None:
    assert CLASSIFIERS.names() == ()
    assert _opinions(tmp_path) == []


def test_an_installed_classifier_gives_estimates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CLASSIFIERS, "_builtin", {"harsh": f"{__name__}:Harsh"})
    found = {row.scope: row for row in _opinions(tmp_path)}
    assert {g: r.estimate.value for g, r in found.items()} == {
        "": pytest.approx(1 / 3), "a": 0.5, "b": 0.0
    }  # fmt: skip
    assert {row.provenance for row in found.values()} == {Provenance.ESTIMATED}
    assert found[""].reason == "opinion of the classifier harsh 0123456789abcdef"


def test_a_classifier_that_cannot_be_loaded_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CLASSIFIERS, "_builtin", {"gone": "no_such_package:Thing"})
    (row,) = _opinions(tmp_path)
    assert row.provenance is Provenance.UNAVAILABLE
    assert "no_such_package" in row.reason
