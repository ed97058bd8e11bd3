"""Recipe files: what they make, where they find what they need, and every way to be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from slmbench.errors import SpecError, UnknownNameError
from slmbench.spec import ModelsFile
from slmbench.spec.load import load_models, load_recipe, load_recipe_variants, recipe_names

MODELS = """\
variants:
  - {name: base, format: hf, stage: base, technique: none, licence: MIT, source: {file: m}}
  - {name: teacher, format: hf, stage: base, technique: none, licence: MIT, source: {file: t}}
  - {name: packed, format: gguf, stage: base, technique: q8_0, licence: MIT, source: {file: q.gguf}}
targets:
  - {name: cpu, backend: transformers}
"""
RECIPE = """\
name: small
title: pruned, then taught
parent: base
models: models.yaml
budget: {minutes: 5, memory_mb: 2000}
steps:
  - recipe: {technique: depth_prune, drop_layers: 2}
  - recipe:
      technique: train
      update: {kind: full}
      teacher: {variant: teacher}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A models file and a recipe of two steps."""
    (tmp_path / "models.yaml").write_text(MODELS)
    (tmp_path / "small.yaml").write_text(RECIPE)
    return tmp_path


def problems(folder: Path, old: str, new: str) -> str:
    """What is said of the recipe with something replaced."""
    assert old in RECIPE
    (folder / "small.yaml").write_text(RECIPE.replace(old, new))
    with pytest.raises(SpecError) as caught:
        load_recipe_variants(folder / "small.yaml")
    return str(caught.value)


def names(models: ModelsFile) -> list[str]:
    return [variant.name for variant in models.variants]


def test_every_step_is_a_variant_after_what_it_needs(folder: Path) -> None:
    found = load_recipe_variants(folder / "small.yaml")
    assert names(found) == ["base", "teacher", "small.1", "small"]
    pruned, taught = found.variants[2:]
    assert (pruned.parent, pruned.stage, pruned.technique) == ("base", "pruned", "depth_prune")
    assert (taught.parent, taught.stage, taught.technique) == ("small.1", "distilled", "kd_full")
    assert found.variants[0].source is not None
    assert found.variants[0].source.file == str(folder / "m")
    assert [target.name for target in found.targets] == ["cpu"]


def test_a_models_file_lists_recipes_beside_its_own_variants(folder: Path) -> None:
    file = folder / "mine.yaml"
    file.write_text(MODELS.replace("targets:", "recipes: [./small.yaml]\ntargets:"))
    assert names(load_models(file)) == ["base", "teacher", "packed", "small.1", "small"]
    assert names(load_models(folder / "models.yaml", (), [str(folder / "small.yaml")])) == [
        "base", "teacher", "packed", "small.1", "small",
    ]  # fmt: skip


def test_a_models_file_may_list_a_recipe_that_reads_that_very_file(folder: Path) -> None:
    file = folder / "models.yaml"
    file.write_text(MODELS.replace("targets:", "recipes: [./small.yaml]\ntargets:"))
    assert names(load_recipe_variants(folder / "small.yaml"))[-1] == "small"
    assert names(load_models(file))[-1] == "small"


def test_a_recipe_finds_the_product_of_one_beside_it(folder: Path) -> None:
    (folder / "packed.yaml").write_text(
        "name: shipped\ntitle: t\nparent: small\nmodels: models.yaml\n"
        "budget: {minutes: 1, memory_mb: 500}\n"
        "steps:\n  - {name: shipped-f32, recipe: {technique: gguf_export}}\n"
        "  - recipe: {technique: gguf_quantize, type: Q8_0}\n"
    )
    found = load_recipe_variants(folder / "packed.yaml")
    assert names(found) == ["base", "teacher", "small.1", "small", "shipped-f32", "shipped"]
    assert found.variant("shipped").format == "gguf"


def test_recipes_that_need_each_other_are_a_cycle(folder: Path) -> None:
    text = RECIPE.replace("parent: base", "parent: other")
    (folder / "small.yaml").write_text(text)
    (folder / "other.yaml").write_text(
        RECIPE.replace("name: small", "name: other").replace("parent: base", "parent: small")
    )
    with pytest.raises(SpecError) as caught:
        load_recipe_variants(folder / "small.yaml")
    assert "a cycle of recipes: small needs other needs small" in str(caught.value)
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_a_recipe_is_not_its_own_parent(folder: Path) -> None:
    told = problems(folder, "parent: base", "parent: small")
    assert "small.yaml:3:9: parent: 'small' is made by this recipe itself: a cycle" in told


def test_a_parent_that_nothing_lists_is_named_with_its_neighbour(folder: Path) -> None:
    told = problems(folder, "parent: base", "parent: bse")
    assert "small.yaml: it needs a variant 'bse'" in told
    assert "did you mean base?" in told


def test_a_parent_of_another_format_is_refused(folder: Path) -> None:
    told = problems(folder, "parent: base", "parent: packed")
    assert (
        "small.yaml: variant 'small.1': depth_prune takes hf, its parent 'packed' is gguf" in told
    )


def test_steps_must_fit_onto_each_other(folder: Path) -> None:
    told = problems(folder, "{technique: depth_prune, drop_layers: 2}", "{technique: gguf_export}")
    assert "small.yaml:9:7: steps.1.recipe: train takes hf" in told
    assert "(gguf_export) makes gguf" in told


def test_a_budget_below_one_step_is_refused(folder: Path) -> None:
    told = problems(folder, "update: {kind: full}", "tokens: 1000")
    assert "steps.1.recipe" in told
    assert "1000 is less than one step (8 rows of 256 = 2048)" in told


def test_two_steps_of_one_name_are_refused(folder: Path) -> None:
    told = problems(
        folder, "  - recipe: {technique: depth", "  - name: small\n    recipe: {technique: depth"
    )
    assert "'small' is made by a step before it" in told


def test_a_step_cannot_be_taught_by_itself(folder: Path) -> None:
    told = problems(folder, "variant: teacher", "variant: small")
    assert "train needs 'small', which is not made before it" in told


def test_a_chain_begins_with_a_parent_or_with_nothing(folder: Path) -> None:
    told = problems(folder, "parent: base\n", "")
    assert "depth_prune needs a parent: name one" in told
    (folder / "small.yaml").write_text(
        RECIPE.replace("parent: base\n", "").replace(
            "{technique: depth_prune, drop_layers: 2}",
            "{technique: random_init, architecture: llama, hidden_size: 64, layers: 2}",
        )
    )
    assert names(load_recipe_variants(folder / "small.yaml")) == ["teacher", "small.1", "small"]


def test_a_name_that_another_variant_has_is_refused(folder: Path) -> None:
    file = folder / "mine.yaml"
    file.write_text(
        MODELS.replace("name: packed", "name: small").replace(
            "targets:", "recipes: [./small.yaml]\ntargets:"
        )
    )
    with pytest.raises(SpecError, match="another variant is named 'small'"):
        load_models(file)


def test_unknown_recipes_are_told() -> None:
    with pytest.raises(UnknownNameError, match="unknown recipe 'no-such'"):
        load_recipe("no-such")
    with pytest.raises(SpecError, match="there is no such file"):
        load_recipe("no/such.yaml")


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_can_be_expanded(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert load_recipe_variants(name).variants[-1].name == recipe.variants()[-1].name
