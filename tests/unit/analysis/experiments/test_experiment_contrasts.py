"""Arms against their controls: over items with one seed, over seeds with several."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiment_world import Laboratory, coin, sentences
from slmbench.analysis.experiments.contrasts import contrasts

PAIR = (
    {"name": "new", "role": "treatment", "variants": ["a1"]},
    {"name": "old", "role": "control", "variants": ["b1"]},
)


@pytest.fixture
def lab(tmp_path: Path) -> Laboratory:
    made = Laboratory(tmp_path)
    made.variant("root")
    return made


def test_one_seed_each_is_paired_over_items(lab: Laboratory) -> None:
    for name, right in (("a1", 30), ("b1", 90)):
        lab.variant(name, "root")
        lab.answers(name, coin(right, 100))
    (found,) = contrasts(lab.material("co_adaptation", PAIR))
    d = found.difference
    assert d.value == pytest.approx(-0.6)
    assert d.n == 100
    assert d.verdict == "worse"
    assert d.method == "exact McNemar"
    told = sentences(lab.tell("co_adaptation", PAIR))
    assert told[0][0] == "worse"
    assert "“new” is worse than “old” by 60.0 pp" in told[0][1]


def test_a_small_difference_is_not_resolved_and_says_why(lab: Laboratory) -> None:
    for name, right in (("a1", 50), ("b1", 52)):
        lab.variant(name, "root")
        lab.answers(name, coin(right, 100))
    verdict, sentence = sentences(lab.tell("co_adaptation", PAIR))[0]
    assert verdict == "not resolved"
    assert "the interval holds 0" in sentence


def test_the_same_answers_on_many_items_are_non_inferior(lab: Laboratory) -> None:
    for name in ("a1", "b1"):
        lab.variant(name, "root")
        lab.answers(name, coin(1500, 3000))
    verdict, sentence = sentences(lab.tell("co_adaptation", PAIR))[0]
    assert verdict == "non-inferior"
    assert "within 2.0 pp" in sentence


def test_three_seeds_are_paired_over_seeds(lab: Laboratory) -> None:
    """Differences 0.10, 0.12, 0.14: mean 0.12, s = 0.02, t(2) = 4.303."""
    for seed, (new, old) in enumerate(((60, 50), (63, 51), (62, 48)), 1):
        for name, right in ((f"a{seed}", new), (f"b{seed}", old)):
            lab.variant(name, "root")
            lab.answers(name, coin(right, 100))
    arms = (
        {"name": "new", "role": "treatment", "variants": ["a1", "a2", "a3"]},
        {"name": "old", "role": "control", "variants": ["b1", "b2", "b3"]},
    )
    (found,) = contrasts(lab.material("co_adaptation", arms))
    d = found.difference
    assert d.value == pytest.approx(0.12)
    assert d.low == pytest.approx(0.12 - 4.3027 * 0.02 / 3**0.5, abs=1e-4)
    assert d.method == "paired t over 3 seeds"
    assert d.verdict == "better"


def test_seeds_of_training_end_at_losses(lab: Laboratory) -> None:
    for seed in (1, 2, 3):
        lab.variant(f"a{seed}", "root", losses=(2.0, 1.0 + 0.001 * seed))
        lab.variant(f"b{seed}", "root", losses=(2.0, 1.5 - 0.001 * seed))
    arms = (
        {"name": "new", "role": "treatment", "variants": ["a1", "a2", "a3"]},
        {"name": "old", "role": "control", "variants": ["b1", "b2", "b3"]},
    )
    (found,) = contrasts(lab.material("co_adaptation", arms))
    assert found.unit == "nats/byte"
    assert found.difference.verdict == "better"
    assert found.value.value == pytest.approx(1.002)


def test_unequal_numbers_of_seeds_are_not_compared(lab: Laboratory) -> None:
    for name in ("a1", "a2", "b1"):
        lab.variant(name, "root")
        lab.answers(name, coin(50, 100))
    arms = (
        {"name": "new", "role": "treatment", "variants": ["a1", "a2"]},
        {"name": "old", "role": "control", "variants": ["b1"]},
    )
    told = sentences(lab.tell("co_adaptation", arms))
    assert told[0] == (
        "cannot be said",
        "Accuracy, arc_easy: “new” cannot be compared with “old”: the arms have different numbers "
        "of seeds.",
    )
    assert any("2 of at least 3 seeds" in sentence for _, sentence in told)


def test_p_is_adjusted_over_all_comparisons(lab: Laboratory) -> None:
    """One p of 0.03 among five is no finding."""
    for name in ("a1", "b1"):
        lab.variant(name, "root")
    for place, task in enumerate(("arc_easy", "piqa", "sciq", "copa", "boolq")):
        lab.answers("b1", coin(50, 100), task)
        lab.answers("a1", coin(44 if place == 0 else 50, 100), task)  # p = 0.031
    found = {c.title: c.difference for c in contrasts(lab.material("co_adaptation", PAIR))}
    assert found["Accuracy, arc_easy"].p == pytest.approx(2 / 64)
    assert found["Accuracy, arc_easy"].verdict == "not resolved"


def test_the_mean_of_tasks_combines_paired_differences(lab: Laboratory) -> None:
    for name in ("a1", "b1"):
        lab.variant(name, "root")
    for task, (new, old) in (("arc_easy", (70, 50)), ("piqa", (60, 50))):
        lab.answers("a1", coin(new, 100), task)
        lab.answers("b1", coin(old, 100), task)
    found = contrasts(lab.material("co_adaptation", PAIR))
    mean = next(c for c in found if "mean of tasks" in c.title)
    assert mean.difference.value == pytest.approx(0.15)
    assert mean.difference.verdict == "better"


def test_a_variant_that_could_not_be_made_is_a_reason(lab: Laboratory) -> None:
    lab.variant("a1", "root", failure="no memory for it")
    lab.variant("b1", "root")
    lab.answers("b1", coin(50, 100))
    told = lab.tell("co_adaptation", PAIR)
    assert sentences(told)[0][0] == "cannot be said"
    grids = [g for c in told.findings.chapters for g in c.grids]
    not_made = next(g for g in grids if g.name == "not-made")
    assert not_made.lines[0].name == "a1"
    assert not_made.lines[0].cells == ("no memory for it",)


def test_initialization_says_when_the_arms_are_not_equal(lab: Laboratory) -> None:
    lab.variant("a1", "root", losses=(2.0, 1.0), parameters=1000)
    lab.variant("b1", "root", losses=(2.0, 1.5), parameters=1200)
    told = sentences(lab.tell("initialization", PAIR))
    unequal = [sentence for verdict, sentence in told if verdict == "unequal"]
    assert len(unequal) == 1
    assert "parameters" in unequal[0]
    assert "“old”" in unequal[0]


def test_initialization_is_silent_about_equal_arms(lab: Laboratory) -> None:
    lab.variant("a1", "root", losses=(2.0, 1.0))
    lab.variant("b1", "root", losses=(2.0, 1.5))
    told = lab.tell("initialization", PAIR)
    assert all(verdict != "unequal" for verdict, _ in sentences(told))
    curves = [p for c in told.findings.chapters for p in c.plots]
    assert [t.name for t in curves[0].traces] == ["a1", "b1"]


def test_bits_per_byte_stand_for_perplexities_in_sentences(lab: Laboratory) -> None:
    for name, level in (("a1", 1.0), ("b1", 1.2)):
        lab.variant(name, "root")
        lab.reads(name, [level + 0.01 * (i % 3) for i in range(30)])
    told = sentences(lab.tell("co_adaptation", PAIR))
    assert told[0][0] == "better"
    assert "Bits per byte" in told[0][1]
    assert "by 0.200 bits/byte" in told[0][1]


def test_single_tasks_speak_only_when_they_are_resolved(lab: Laboratory) -> None:
    for name in ("a1", "b1"):
        lab.variant(name, "root")
    for task, new in (("arc_easy", 90), ("piqa", 50)):
        lab.answers("b1", coin(50, 100), task)
        lab.answers("a1", coin(new, 100), task)
    told = sentences(lab.tell("co_adaptation", PAIR))
    assert [s.partition(":")[0] for _, s in told if "one" not in s][:2] == [
        "Accuracy, mean of tasks",
        "Accuracy, arc_easy",
    ]
    assert not any("piqa" in s for _, s in told)
