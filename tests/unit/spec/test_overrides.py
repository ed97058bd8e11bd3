"""``--set path=value``: where it reaches, and what it says when it reaches nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from known_techniques import TECHNIQUES
from slmbench.errors import SpecError
from slmbench.spec.load import load_models, load_suite

SUITE = """\
name: mini
title: Mini
description: a small one
sizes:
  demo: {items: 4}
  full:
tasks:
  - {task: hellaswag, primary: acc_norm}
  - {task: piqa, primary: acc}
workloads: []
"""
MODELS = """\
variants:
  - {name: a, format: fake, stage: base, technique: none, licence: MIT}
targets:
  - {name: cpu, backend: fake}
  - {name: two, backend: fake, threads: 2}
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "suite.yaml"
    path.write_text(SUITE.replace("  full:\n", "  full: {}\n"), encoding="utf-8")
    return path


@pytest.fixture
def models(tmp_path: Path) -> Path:
    path = tmp_path / "models.yaml"
    path.write_text(MODELS, encoding="utf-8")
    return path


def test_positions_names_and_stars(suite: Path, models: Path) -> None:
    changed = load_suite(
        suite, ["tasks.0.num_fewshot=5", "tasks.piqa.items=all", "sizes.*.items=20", "seed = 7"]
    )
    assert [t.num_fewshot for t in changed.tasks] == [5, 0]
    assert [t.items for t in changed.tasks] == [None, "all"]
    assert [s.items for s in changed.sizes.values()] == [20, 20]
    assert changed.seed == 7
    threads = [t.threads for t in load_models(models, ["targets.*.threads=1"]).targets]
    assert threads == [1, 1]


def test_values_are_yaml_and_parents_are_made(suite: Path, models: Path) -> None:
    changed = load_suite(
        suite, ["sizes.standard.prompt_tokens=[16, 32]", "sizes.full={repeats: 3}"]
    )
    assert changed.sizes["standard"].prompt_tokens == (16, 32)
    assert changed.sizes["full"].repeats == 3
    targets = load_models(
        models, ["targets.cpu.options.n_batch=64", "targets.two.python=", "targets.1.name=three"]
    ).targets
    assert targets[0].options == {"n_batch": 64}
    assert targets[1].python is None
    assert targets[1].name == "three"


def test_later_overrides_win_and_change_what_earlier_ones_made(suite: Path) -> None:
    changed = load_suite(suite, ["tasks=[{task: boolq, primary: acc}]", "tasks.0.items=3"])
    assert [(t.task, t.items) for t in changed.tasks] == [("boolq", 3)]


def test_a_star_does_not_share_one_value(models: Path) -> None:
    changed = load_models(models, ["targets.*.options={a: 1}", "targets.0.options.a=2"])
    assert [t.options for t in changed.targets] == [{"a": 2}, {"a": 1}]


def told(path: Path, *overrides: str) -> list[str]:
    loader = load_models if path.name == "models.yaml" else load_suite
    with pytest.raises(SpecError) as caught:
        loader(path, overrides)
    return list(caught.value.problems)


def test_bad_values_are_placed_at_the_override(suite: Path, models: Path) -> None:
    assert told(suite, "sizes.demo.items=many") == [
        '--set sizes.demo.items=many: sizes.demo.items: found text "many"; '
        'allowed: a whole number of at least 1 or "all" or null'
    ]
    assert told(models, "targets.*.threads=-1") == [
        f"--set targets.*.threads=-1: targets.{i}.threads: found -1; "
        "allowed: a whole number from 0 to 1024"
        for i in (0, 1)
    ]
    assert told(suite, "tasks.1={task: a, primry: b}") == [
        "--set tasks.1={task: a, primry: b}: tasks.1: 'primary' is missing; allowed: text",
        "--set tasks.1={task: a, primry: b}: tasks.1.primry: unknown key 'primry'; "
        "allowed: task, primary, num_fewshot, chat_template, items, margin, until, "
        "choices_only, perturb; "
        "did you mean primary?",
    ]


@pytest.mark.parametrize(
    ("override", "cause"),
    [
        ("seed", "write path=value, for example sizes.demo.items=20"),
        ("=5", "write path=value, for example sizes.demo.items=20"),
        ("sizes..items=5", "write path=value, for example sizes.demo.items=20"),
        (
            "szies.demo.items=3",
            "there is no 'szies' here; known: name, title, description, sizes, tasks, workloads, "
            "seed, scoring, until; did you mean sizes?",
        ),
        ("sizes.dmo.items=3", "sizes: there is no 'dmo' here; known: demo, full, standard; "
                              "did you mean demo?"),
        ("tasks.7.items=3", "tasks: no entry '7'; positions are 0 to 1; known: hellaswag, piqa"),
        ("tasks.pika.items=3", "tasks: no entry 'pika'; positions are 0 to 1; "
                               "known: hellaswag, piqa; did you mean piqa?"),
        ("workloads.*.workload=x", "workloads: no entry '*'; the list is empty"),
        ("title.x=3", "title: nothing lies below it; allowed: text"),
        ("sizes.demo.prompt_tokens.0=3",
         "sizes.demo.prompt_tokens: nothing lies below it; allowed: a list or null"),
        ("sizes.standard.items.x=3", "sizes.standard.items: nothing lies below it; "
                                     'allowed: a whole number of at least 1 or "all" or null'),
        ("seed=[1", "expected ',' or ']', but got '<stream end>' while parsing a flow sequence"),
        ("seed={a: 1, a: 2}", "a: duplicate key; keep one"),
        ("seed=!x 1", "the tag !x is not allowed; specs are plain data"),
    ],
)  # fmt: skip
def test_bad_paths_say_what_exists_there(suite: Path, override: str, cause: str) -> None:
    assert f"--set {override}: {cause}" in told(suite, override)


def test_list_entries_without_a_name(suite: Path) -> None:
    suite.write_text(SUITE.replace("{task: piqa, primary: acc}", "{primary: acc}\n  - 3"))
    found = told(suite, "tasks.x.items=3", "tasks.2.items=3", "sizes.full.items=3")
    assert "no entry 'x'; positions are 0 to 2; known: hellaswag" in found[1]
    assert "tasks.2: nothing lies below it" in found[0]
    assert "sizes.full" not in "".join(found)


def test_star_on_a_free_mapping_that_is_empty(models: Path) -> None:
    (found,) = told(models, "targets.0.options.*=1")
    assert found.endswith("targets.0.options: there is no '*' here")


def test_what_an_override_made_is_placed_at_its_nearest_ancestor(models: Path) -> None:
    found = told(models, "variants.0.recipe.type=Q2_K")
    assert found == [
        f"{models}:2:5: variants.0.recipe: 'technique' is missing; allowed: one of {TECHNIQUES}"
    ]


def test_file_and_override_problems_come_together(suite: Path) -> None:
    suite.write_text(SUITE + "colour: red\n", encoding="utf-8")
    found = told(suite, "nme=x")
    assert found[0].startswith("--set nme=x: there is no 'nme' here")
    assert f"{suite}:11:1: colour: unknown key 'colour'" in found[2]
    assert len(found) == 3
