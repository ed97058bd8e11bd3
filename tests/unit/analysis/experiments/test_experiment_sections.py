"""Ladders, recovery, plasticity: numbers that are known beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from experiment_world import Laboratory, coin, sentences, training
from slmbench.analysis.experiments.closure import closure_of_curves, mean_loss, tokens_to
from slmbench.analysis.results import load_results

WINDOWS = 8


@pytest.fixture
def lab(tmp_path: Path) -> Laboratory:
    made = Laboratory(tmp_path)
    made.variant("root")
    return made


def _windows(level: float) -> list[list[float]]:
    return [[level * (1 + 0.01 * i), level] for i in range(WINDOWS)]


def _ladder(lab: Laboratory, steps: Sequence[tuple[str, float, float, int]]) -> list[str]:
    """Name, bits, divergence and right answers out of 100 of each step; the parent has 90."""
    lab.answers("root", coin(90, 100))
    for name, bits, level, right in steps:
        lab.variant(name, "root", bits=bits)
        lab.answers(name, coin(right, 100))
        lab.diverges(name, "root", _windows(level))
    return [name for name, *_ in steps]


def _ladder_arms(names: list[str]) -> list[dict[str, object]]:
    return [
        {"name": "float", "role": "parent", "variants": ["root"]},
        {"name": "types", "role": "ladder", "differ": "step", "variants": names},
    ]


def test_a_ladder_in_order_is_monotone_and_collapses_at_its_low_end(lab: Laboratory) -> None:
    names = _ladder(lab, [("q2", 2.0, 1.0, 25), ("q8", 8.0, 0.001, 90), ("q4", 4.0, 0.1, 88)])
    told = sentences(lab.tell("quantization", _ladder_arms(names)))
    order = next(s for v, s in told if "KL divergence" in s)
    assert ("in order", order) in told
    assert "q8" in order
    assert "(q2)" in order
    collapse = next(s for v, s in told if "collapses first" in s)
    assert "at q2, 2.00 bits per weight" in collapse
    loss = next(s for v, s in told if "first step down" in s)
    assert "is q2, by 65.0 pp" in loss


def test_an_inversion_outside_the_intervals_is_named(lab: Laboratory) -> None:
    names = _ladder(lab, [("q8", 8.0, 0.5, 90), ("q4", 4.0, 0.1, 90), ("q2", 2.0, 1.0, 90)])
    told = sentences(lab.tell("quantization", _ladder_arms(names)))
    verdict, sentence = next((v, s) for v, s in told if "KL divergence" in s)
    assert verdict == "not in order"
    assert "q8 (8.00 bits)" in sentence
    assert "q4 with fewer bits (4.00 bits)" in sentence


def test_an_inversion_within_the_intervals_is_no_finding(lab: Laboratory) -> None:
    names = _ladder(lab, [("q8", 8.0, 0.1, 90), ("q6", 6.0, 0.0999, 90), ("q2", 2.0, 1.0, 90)])
    told = sentences(lab.tell("quantization", _ladder_arms(names)))
    verdict, sentence = next((v, s) for v, s in told if "KL divergence" in s)
    assert verdict == "in order"
    assert "within their intervals: q8 and q6" in sentence


def test_steps_of_nearly_the_same_bits_are_one_rung(lab: Laboratory) -> None:
    """Neither is below the other, so their distances have no order; others below both have."""
    rungs = [("q4a", 4.05, 0.5, 90), ("q4b", 4.0, 0.1, 90), ("q2", 2.0, 0.3, 90)]
    told = sentences(lab.tell("quantization", _ladder_arms(_ladder(lab, rungs))))
    verdict, sentence = next((v, s) for v, s in told if "KL divergence" in s)
    assert verdict == "not in order"
    assert "q4a (4.05 bits)" in sentence
    assert "q2 with fewer bits" in sentence
    assert "q4b" not in sentence


def test_nothing_is_said_of_a_collapse_where_nothing_was_asked(lab: Laboratory) -> None:
    for name, bits, level in (("q8", 8.0, 0.1), ("q4", 4.0, 0.5)):
        lab.variant(name, "root", bits=bits)
        lab.diverges(name, "root", _windows(level))
    told = sentences(lab.tell("quantization", _ladder_arms(["q8", "q4"])))
    assert [verdict for verdict, _ in told] == ["in order"]


def test_losses_on_text_move_but_do_not_flip(lab: Laboratory) -> None:
    lab.variant("q8", "root", bits=8.0)
    for name, loss in (("root", 1.0), ("q8", 1.1)):
        lab.reads(name, [loss + 0.01 * i for i in range(8)])
        lab.answers(name, coin(60, 100))
    flips = load_results(lab.root).fidelity().query("measure == 'flips'")
    assert list(flips.task) == ["arc_easy"]
    assert flips.value.tolist() == [0.0]


def test_steps_are_no_seeds_of_one_thing(lab: Laboratory) -> None:
    names = _ladder(lab, [("q8", 8.0, 0.1, 90), ("q4", 4.0, 0.2, 80)])
    arms = _ladder_arms(names)
    arms[1]["against"] = "float"
    told = lab.tell("quantization", arms)
    contrasts = next(c for c in told.findings.chapters if c.name == "contrasts")
    assert contrasts.grids == ()
    assert not any("number of seeds" in s for _, s in sentences(told))


def test_no_step_of_a_good_ladder_collapses(lab: Laboratory) -> None:
    names = _ladder(lab, [("q8", 8.0, 0.001, 90), ("q4", 4.0, 0.1, 90)])
    told = sentences(lab.tell("quantization", _ladder_arms(names)))
    assert any(v == "no collapse" and "no step shows the signature" in s for v, s in told)


def test_steps_stand_by_falling_bits_and_simulated_ones_have_no_costs(lab: Laboratory) -> None:
    lab.variant("w4", "root", bits=4.0, kernel="simulated")
    lab.variant("w8", "root", bits=8.0)
    told = lab.tell("quantization", _ladder_arms(["w4", "w8"]))
    grid = told.findings.chapters[0].grids[0]
    assert [line.name for line in grid.lines] == ["w8", "w4"]
    assert grid.lines[1].below == ("simulated kernel: no credit for costs",)


def test_families_are_set_side_by_side_by_technique(lab: Laboratory) -> None:
    arms = []
    for family, level in (("llama", 0.1), ("mamba", 0.9)):
        lab.variant(family, "root")
        lab.answers(family, coin(90, 100))
        lab.variant(f"{family}-w4", family, bits=4.0, technique="rtn_w4")
        lab.answers(f"{family}-w4", coin(90, 100))
        lab.diverges(f"{family}-w4", family, _windows(level))
        arms.append(
            {"name": family, "role": "ladder", "differ": "step",
             "variants": [family, f"{family}-w4"]}
        )  # fmt: skip
    told = lab.tell("families", arms)
    assert any(
        v == "differ" and s.startswith("rtn_w4: KL divergence is largest for “mamba”")
        for v, s in sentences(told)
    )
    grid = told.findings.chapters[0].grids[0]
    assert [line.name for line in grid.lines] == ["rtn_w4"]


RECOVERY = (
    {"name": "parent", "role": "parent", "variants": ["root"]},
    {"name": "parent, tuned", "role": "parent_tuned", "variants": ["root-lora"]},
    {"name": "4 bits", "role": "before", "variants": ["w4"]},
    {"name": "repaired", "role": "after", "variants": ["w4-lora"]},
    {"name": "shipped", "role": "shipped", "variants": ["w4-again"]},
)


def _recovery(lab: Laboratory, after: float, shipped: float) -> None:
    """Parent at 1.0, tuned 0.9; damaged at 1.4; every text a little different."""
    lab.variant("root-lora", "root", losses=(1.0, 0.9))
    lab.variant("w4", "root")
    lab.variant("w4-lora", "w4", losses=(1.4, 1.1))
    lab.variant("w4-again", "w4-lora")
    for name, level in (
        ("root", 1.0), ("root-lora", 0.9), ("w4", 1.4), ("w4-lora", after), ("w4-again", shipped),
    ):  # fmt: skip
        lab.reads(name, [level + 0.02 * (i % 5) * level for i in range(40)])


def test_gap_closure_is_taken_against_the_tuned_parent(lab: Laboratory) -> None:
    """G = 1 - (1.1 - 0.9) / (1.4 - 1.0) = 0.5; the untuned parent would give 0.75."""
    _recovery(lab, 1.1, 1.2)
    told = lab.tell("recovery", RECOVERY)
    closure = next(c for c in told.findings.chapters if c.name == "closure").grids[0]
    values = {(line.name, line.cells[0]): line.cells[1] for line in closure.lines}
    bpb = next(v for (stage, loss), v in values.items() if stage == "repaired" and "Bits" in loss)
    assert bpb.value == pytest.approx(0.5)
    assert bpb.low == pytest.approx(0.5)
    shipped = next(v for (stage, _), v in values.items() if stage == "shipped")
    assert shipped.value == pytest.approx(1 - 0.3 / 0.4)
    curves = values["repaired", "validation loss while training"]
    assert curves.value == pytest.approx(1 - (1.1 - 0.9) / (1.4 - 1.0))
    assert curves.low is None
    told_ = sentences(told)
    assert any(
        v == "gap smaller" and s.startswith("“repaired”") and "50.0 %" in s for v, s in told_
    )
    assert any(v == "worse" and "quantizing again costs" in s for v, s in told_)


def test_a_gap_that_grew_is_said(lab: Laboratory) -> None:
    _recovery(lab, 1.5, 1.5)
    told = sentences(lab.tell("recovery", RECOVERY))
    assert any(v == "gap wider" and "grew" in s for v, s in told)


def test_without_damage_there_is_no_gap_to_close(lab: Laboratory) -> None:
    _recovery(lab, 1.0, 1.0)
    lab.cells.clear()
    for name, level in (("root", 1.0), ("root-lora", 0.9), ("w4", 1.0), ("w4-lora", 0.95)):
        lab.reads(name, [level] * 40)
    told = sentences(lab.tell("recovery", RECOVERY))
    assert any(v == "cannot be said" and "no gap to close" in s for v, s in told)


def test_recovery_without_its_arms_says_which(lab: Laboratory) -> None:
    told = sentences(lab.tell("recovery", RECOVERY[:2]))
    assert told == [("cannot be said", "The experiment names no arm of role before, after.")]


def test_closure_of_curves_compares_ends_with_ends() -> None:
    g = closure_of_curves(training((1.0, 0.9)), training((1.5, 1.2, 1.0)))
    assert g.value == pytest.approx(1 - 0.1 / 0.5)
    assert closure_of_curves(training((1.0, 0.9)), training((0.9, 0.8))).value is None
    assert closure_of_curves(None, training((1.5, 1.0))).value is None


def test_area_and_tokens_to_target() -> None:
    run = training((2.0, 1.0, 1.0), tokens=1000)
    assert mean_loss(run) == pytest.approx((1.5 * 500 + 1.0 * 500) / 1000)
    assert tokens_to(run, 1.5) == pytest.approx(250)
    assert tokens_to(run, 2.0) == 0
    assert tokens_to(run, 0.5) is None


def _plastic(lab: Laboratory) -> list[dict[str, object]]:
    lab.variant("base-1", "root", losses=(1.0, 0.95), rate=1e-4)
    lab.variant("base-2", "root", losses=(1.0, 0.90), rate=3e-4)
    lab.variant("base-3", "root", losses=(1.0, 0.97), rate=1e-3)
    lab.variant("p20", "root")
    lab.variant("p20-1", "p20", losses=(1.5, 1.2), rate=1e-4)
    lab.variant("p20-2", "p20", losses=(1.5, 1.0), rate=3e-4)
    lab.variant("p20-3", "p20", losses=(1.5, 1.1), rate=1e-3)
    lab.variant("p40", "root")
    lab.variant("p40-1", "p40", losses=(2.9, 2.5), rate=1e-4)
    lab.variant("p40-2", "p40", losses=(2.9, 2.4), rate=3e-4)
    lab.variant("p40-3", "p40", losses=(2.9, 2.3), rate=1e-3)
    return [
        {"name": name, "role": role, "differ": "learning_rate", "at": at,
         "variants": [f"{prefix}-{i}" for i in (1, 2, 3)]}
        for name, role, at, prefix in (
            ("base", "parent_tuned", 0.0, "base"),
            ("a fifth pruned", "treatment", 0.2, "p20"),
            ("two fifths pruned", "treatment", 0.4, "p40"),
        )
    ]  # fmt: skip


def test_plasticity_takes_each_at_its_best_rate(lab: Laboratory) -> None:
    """G(20 %) = 1 - (1.0 - 0.9) / 0.5 = 0.8; G(40 %) = 1 - (2.3 - 0.9) / 1.9 = 0.263."""
    told = lab.tell("plasticity", _plastic(lab))
    grid = told.findings.chapters[0].grids[0]
    rows = {line.name: line.cells for line in grid.lines}
    assert rows["a fifth pruned"][1] == "0.0003"
    assert rows["a fifth pruned"][5].value == pytest.approx(0.8)
    assert rows["two fifths pruned"][5].value == pytest.approx(1 - 1.4 / 1.9)
    assert rows["base"][5] is None
    said = sentences(told)
    assert any(v == "not stiff" and s.startswith("“a fifth pruned” is not stiff") for v, s in said)
    assert any(v == "stiff" and s.startswith("“two fifths pruned” is stiff") for v, s in said)
    assert any("Gap closure falls with every further share" in s for _, s in said)
    assert any("“two fifths pruned”: the best learning rate lies at the edge" in s for _, s in said)
    assert not any("“a fifth pruned”: the best learning rate" in s for _, s in said)


def test_forgetting_is_the_change_on_other_text(lab: Laboratory) -> None:
    arms = _plastic(lab)
    for name, level in (("p20", 1.0), ("p20-2", 1.2)):
        lab.reads(name, [level + 0.01 * (i % 3) for i in range(40)])
    said = sentences(lab.tell("plasticity", arms))
    assert any(
        v == "worse" and s.startswith("“a fifth pruned”: training raised") and "+0.200" in s
        for v, s in said
    )


def test_which_to_ship_ranks_and_says_what_is_against_the_others(lab: Laboratory) -> None:
    """Two variants of one size: one answers as the parent does, the other loses 20 points."""
    lab.answers("root", coin(1500, 2000))
    for name, right in (("good", 1500), ("bad", 1100)):
        lab.variant(name, "root")
        lab.answers(name, coin(right, 2000))
    arms = [{"name": "parent", "role": "parent", "variants": ["root"]}]
    limits = {"cheapest_by": "artefact_size", "margin": 0.02}
    told = lab.tell("which_to_ship", arms, limits=limits)
    said = sentences(told)
    assert said[0][0] == "ship"
    assert ("ruled out", True) in [(v, "bad on fake-cpu" in s) for v, s in said]
    assert not any("good on fake-cpu" in s for v, s in said if v != "ship")
    ranking = told.findings.chapters[0].grids[0]
    assert ranking.lines[-1].name == "bad"
    assert ranking.lines[-1].cells[1] == "ruled out"


def test_without_the_reference_nothing_is_recommended(lab: Laboratory) -> None:
    lab.variant("good", "root")
    lab.answers("good", coin(50, 100))
    arms = [{"name": "parent", "role": "parent", "variants": ["root"]}]
    told = sentences(lab.tell("which_to_ship", arms))
    assert told == [("cannot be said", "There are no results of root: nothing can be chosen.")]
