"""Experiment files and variations of recipes: what they say, what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from slmbench.errors import SpecError
from slmbench.spec.load import load_experiment, load_models

HEAD = """
name: toy
title: A toy
question: Is it?
models: demo
section: co_adaptation
suites: [{suite: accuracy}]
budget: {minutes: 1, memory_mb: 1}
"""
RECIPE = """
name: tuned
title: Tuned, then rounded
parent: smollm2-f32
budget: {minutes: 1, memory_mb: 1}
steps:
  - recipe: {technique: train, tokens: 4096}
  - recipe: {technique: torchao}
"""


def _file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_an_arm_is_judged_against_the_one_it_names_or_the_control(tmp_path: Path) -> None:
    arms = """
arms:
  - {name: a, variants: [x]}
  - {name: b, variants: [y], against: d}
  - {name: c, role: control, variants: [z]}
  - {name: d, role: control, variants: [w]}
"""
    found = load_experiment(_file(tmp_path, "e.yaml", HEAD + arms))
    judged = {arm.name: found.control_of(arm) for arm in found.arms}
    named = {name: other and other.name for name, other in judged.items()}
    assert named == {"a": "c", "b": "d", "c": None, "d": None}
    assert found.arm_variants() == ("x", "y", "z", "w")


@pytest.mark.parametrize(
    ("arms", "words"),
    [
        (
            "[{name: a, variants: [x]}, {name: a, variants: [y]}]",
            "arms.1.name: two arms are named 'a'",
        ),
        ("[{name: a, variants: [x], against: b}]", "arms.0.against: there is no arm 'b'"),
        ("[{name: a, variants: [x], against: a}]", "'a' is this arm itself"),
        ("[{name: a, variants: []}]", "at least 1"),
        ("[{name: a, variants: [x], role: side}]", "control"),
    ],
)
def test_arms_that_do_not_fit_are_refused(tmp_path: Path, arms: str, words: str) -> None:
    with pytest.raises(SpecError) as refused:
        load_experiment(_file(tmp_path, "e.yaml", f"{HEAD}arms: {arms}\n"))
    assert words in str(refused.value)


def test_variations_of_a_recipe_are_variants_of_their_own(tmp_path: Path) -> None:
    _file(tmp_path, "tuned.yaml", RECIPE)
    models = load_models(
        _file(
            tmp_path,
            "models.yaml",
            "recipes:\n"
            "  - tuned.yaml\n"
            "  - {recipe: tuned.yaml, name: s2, set: [steps.0.recipe.seed=2]}\n"
            "  - recipe: tuned.yaml\n"
            "    name: w3\n"
            "    set: ['steps.1.recipe={technique: rtn, bits: 3}']\n"
            "targets: [{name: cpu, backend: transformers}]\n",
        )
    )
    by_name = {v.name: v for v in models.variants}
    assert {"tuned.1", "tuned", "s2.1", "s2", "w3.1", "w3"} <= set(by_name)
    assert by_name["s2.1"].recipe != by_name["tuned.1"].recipe
    assert by_name["w3.1"].recipe == by_name["tuned.1"].recipe, "made once: the same digest"
    assert by_name["w3"].technique == "rtn_w3"
    assert by_name["w3"].parent == "w3.1"


def test_a_variation_of_what_is_not_there_says_where(tmp_path: Path) -> None:
    _file(tmp_path, "tuned.yaml", RECIPE)
    text = (
        "recipes: [{recipe: tuned.yaml, name: s2, set: [steps.0.recipe.sed=2]}]\n"
        "targets: [{name: cpu, backend: transformers}]\n"
    )
    with pytest.raises(SpecError) as refused:
        load_models(_file(tmp_path, "models.yaml", text))
    assert "did you mean seed" in str(refused.value)
    assert f"{tmp_path / 'models.yaml'}: recipes: s2: --set steps.0.recipe.sed=2" in str(
        refused.value
    )
