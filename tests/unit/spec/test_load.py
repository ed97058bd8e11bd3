"""Suites and models files: what loads, and every way in which a file can be wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from known_techniques import TECHNIQUES
from slmbench.errors import SpecError, UnknownNameError
from slmbench.spec import load
from slmbench.spec.load import load_models, load_suite, models_names, suite_names

SUITE = """\
name: mini
title: Mini
description: a small one
sizes:
  demo: {items: 4, prompt_tokens: [16, 32]}
tasks:
  - {task: hellaswag, primary: acc_norm}
"""
MODELS = """\
variants:
  - {name: base, format: gguf, stage: base, technique: q4, licence: MIT, source: {file: m/a.gguf}}
  - name: small
    format: gguf
    stage: quantized
    technique: q2_k
    parent: base
    licence: MIT
    recipe: {technique: gguf_quantize, type: Q2_K}
targets:
  - {name: cpu, backend: llama_cpp, threads: 2}
"""


def write(folder: Path, text: str, name: str = "file.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str, overrides: tuple[str, ...] = ()) -> list[str]:
    """Problems of a suite text, with the folder left out of the places."""
    with pytest.raises(SpecError) as caught:
        load_suite(write(folder, text), overrides)
    assert caught.value.exit_code == 2
    return [p.replace(f"{folder}/", "") for p in caught.value.problems]


def model_problems(folder: Path, text: str, overrides: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_models(write(folder, text), overrides)
    return [p.replace(f"{folder}/", "") for p in caught.value.problems]


def test_suite_loads_with_every_value(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path, SUITE))
    assert suite.name == "mini"
    assert suite.sizes["demo"].items == 4
    assert suite.sizes["demo"].prompt_tokens == (16, 32)
    assert suite.tasks[0].task == "hellaswag"
    assert suite.seed == 1234


def test_models_load_and_files_become_absolute(tmp_path: Path) -> None:
    models = load_models(str(write(tmp_path, MODELS)))
    source = models.variant("base").source
    assert source is not None
    assert source.file == str(tmp_path / "m/a.gguf")
    assert models.variant("small").source is None


def test_anchors_and_byte_order_mark_are_fine(tmp_path: Path) -> None:
    text = SUITE.replace("{items: 4,", "&small {items: 4,") + "  - {task: piqa, primary: acc}\n"
    text = text.replace("tasks:", "  full: *small\ntasks:")
    suite = load_suite(write(tmp_path, "\ufeff" + text))
    assert suite.sizes["full"] == suite.sizes["demo"]


def test_all_problems_are_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
titel: Mini
name: mini
description: 5
seed: yes
sizes:
  demo: {items: many, itms: 4}
  hueg: {}
  demo: {}
tasks:
  - {task: hellaswag, primary: acc, num_fewshot: -1}
  - primary: acc
  - 7
"""
    keys = "name, title, description, seed, sizes, scoring, until, tasks, workloads"
    knobs = (
        "items, repeats, warmup, budget_s, window_s, idle_s, prompt_tokens, output_tokens, "
        "points, depths, batches, threads, processes, max_processes, precision, loads, slo, "
        "memory_limits_mb, "
        "timeout_s"
    )  # fmt: skip
    a_name = "a name (letters, digits and . _ + -, at most 80)"
    assert problems(tmp_path, text) == [
        "file.yaml:1:1: 'title' is missing; allowed: text",
        f"file.yaml:1:1: titel: unknown key 'titel'; allowed: {keys}; did you mean title?",
        "file.yaml:3:14: description: found 5; allowed: text",
        'file.yaml:4:7: seed: found text "yes"; allowed: a whole number',
        'file.yaml:6:17: sizes.demo.items: found text "many"; '
        'allowed: a whole number of at least 1 or "all" or null',
        f"file.yaml:6:23: sizes.demo.itms: unknown key 'itms'; allowed: {knobs}; "
        "did you mean items?",
        "file.yaml:7:3: sizes.hueg: unknown key 'hueg'; allowed: demo, standard, full",
        "file.yaml:8:3: sizes.demo: duplicate key (first on line 6); keep one",
        "file.yaml:10:50: tasks.0.num_fewshot: found -1; allowed: a whole number of at least 0",
        f"file.yaml:11:5: tasks.1: 'task' is missing; allowed: {a_name}",
        "file.yaml:12:5: tasks.2: found 7; "
        "allowed: a mapping with task, primary, num_fewshot, chat_template, items, "
        "margin, until, choices_only, perturb",
    ]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("[1, 2]", "a list of 2"),
        ("{}", "an empty mapping"),
        ("{a: 1}", "a mapping with a"),
        ("~", "null"),
        ("true", "true"),
        ("1.5", "1.5"),
        (".nan", "nan"),
        ("-.inf", "-inf"),
        ("1e3", "1000.0"),
        ("2024-01-01", 'text "2024-01-01"'),
        ("no", 'text "no"'),
        ("x" * 100, 'text "' + "x" * 56 + "…"),
    ],
)
def test_what_was_found_is_named(tmp_path: Path, value: str, found: str) -> None:
    assert problems(tmp_path, SUITE + f"seed: {value}\n") == [
        f"file.yaml:8:7: seed: found {found}; allowed: a whole number"
    ]


def test_numbers_beyond_any_machine_word(tmp_path: Path) -> None:
    text = SUITE.replace("items: 4", f"repeats: {'-' + '9' * 30}")
    assert problems(tmp_path, text) == [
        "file.yaml:5:19: sizes.demo.repeats: found a huge number; "
        "allowed: a whole number of at least 1 or null"
    ]
    cause = f"{('9' * 40)!r} cannot be used as int"
    assert problems(tmp_path, SUITE + f"seed: {'9' * 5000}\n")[0].endswith(cause)


def test_floats_above_zero_are_said_so(tmp_path: Path) -> None:
    assert problems(tmp_path, SUITE.replace("items: 4", "window_s: 0")) == [
        "file.yaml:5:20: sizes.demo.window_s: found 0; allowed: a finite number above 0 or null"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "file.yaml:1:1: found null; allowed: a mapping with name, title, "),
        ("# only a comment\n", "file.yaml:1:1: found null; allowed: a mapping with name, "),
        ("- a\n", "file.yaml:1:1: found a list of 1; allowed: a mapping with name, title, "),
        ("a: [1, 2\nb: 3\n", "file.yaml:2:2: expected ',' or ']', but got ':' while parsing"),
        ("a:\n\tb: 1\n", "file.yaml:2:1: a tab cannot indent YAML; use spaces"),
        ("a: 'x\n", "file.yaml:2:1: found unexpected end of stream while scanning"),
        ("a: 1\n---\nb: 2\n", "file.yaml:2:1: a second document begins here (---)"),
        ("a: *nowhere\n", "file.yaml:1:4: found undefined alias 'nowhere'"),
        ("a: b\x00\n", "file.yaml:1:5: the character U+0000 is not allowed in YAML"),
        ("[" * 2000, "file.yaml:1:1: is nested too deeply; at most 40 levels are read"),
        ("[" * 50 + "]" * 50, "file.yaml:1:42: is nested too deeply; at most 40 levels"),
        ("&a [*a]", "file.yaml:1:1: is nested too deeply; at most 40 levels are read"),
    ],
)
def test_what_is_not_a_suite_at_all(tmp_path: Path, text: str, expected: str) -> None:
    found = problems(tmp_path, text)
    assert len(found) == 1
    assert found[0].startswith(expected)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a: !!python/object:os.system {}", "8:4: a: the tag tag:yaml.org,2002:python/object:os."),
        ("a: !mine 1", "8:4: a: the tag !mine is not allowed; specs are plain data"),
        ("a: !!set {x}", "8:4: a: the tag tag:yaml.org,2002:set is not allowed"),
        ("a: !!int x", "8:4: a: 'x' cannot be used as int"),
        ('a: "\\ud800"', "8:4: a: '\\ud800' cannot be used as str"),
        ("1: a", "8:1: a key must be text (1); quote it"),
        ("[a]: a", "8:1: a key must be text; quote it"),
        ("<<: {a: 1}", "8:1: merge keys (<<) are not supported; repeat the keys"),
    ],
)
def test_yaml_that_specs_do_not_use(tmp_path: Path, line: str, expected: str) -> None:
    found = problems(tmp_path, SUITE + line + "\n")
    assert any(p.startswith(f"file.yaml:{expected}") for p in found), found


def test_alias_bomb_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 7)]
    assert problems(tmp_path, "\n".join(lines)) == [
        "file.yaml:1:37: more than 10,000 values once aliases (*name) are expanded"
    ]


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file.yaml").write_bytes(b"name: x\ntitle: \xff\n")
    with pytest.raises(SpecError, match=r"file\.yaml:2:8: is not UTF-8 text"):
        load_suite(tmp_path / "file.yaml")
    with pytest.raises(SpecError, match="is a folder, not a YAML file"):
        load_suite(tmp_path)
    big = write(tmp_path, "#" * 1_000_001, "big.yaml")
    with pytest.raises(SpecError, match="has 1,000,001 bytes; at most 1,000,000 are read"):
        load_suite(big)
    with pytest.raises(SpecError, match="there is no such file") as caught:
        load_suite(str(tmp_path / "fil.yaml"))
    assert caught.value.hint == f"did you mean {tmp_path}/file.yaml?"
    with pytest.raises(SpecError, match="there is no such file") as caught:
        load_suite("no/such/folder/zzz.yaml")
    assert caught.value.hint is None

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(SpecError, match=r"cannot be read \(Permission denied\)"):
        load_suite(tmp_path / "file.yaml")


def test_names_are_looked_up_among_what_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    write(tmp_path, SUITE, "mini.yaml")
    write(tmp_path, MODELS, "models/demo.yaml")
    monkeypatch.setattr(load, "suites_dir", lambda: tmp_path)
    assert suite_names() == ("mini",)
    assert models_names() == ("demo",)
    assert load_suite("mini").title == "Mini"
    assert load_models("demo").targets[0].name == "cpu"
    with pytest.raises(UnknownNameError, match="unknown suite 'mni'") as caught:
        load_suite("mni")
    assert caught.value.hint == "did you mean mini?"
    with pytest.raises(UnknownNameError, match="unknown models file 'x'"):
        load_models("x")


def test_a_suite_without_work_is_refused_at_its_top(tmp_path: Path) -> None:
    text = re.sub(r"tasks:(.|\n)*", "", SUITE)
    assert problems(tmp_path, text) == ["file.yaml:1:1: a suite needs tasks or workloads"]


def test_lineage_problems_point_at_their_variant(tmp_path: Path) -> None:
    text = MODELS.replace("parent: base", "parent: other").replace("name: small", "name: base")
    text += "  - {name: cpu, backend: fake}\n"
    assert model_problems(tmp_path, text) == [
        "file.yaml:3:11: variants.1.name: 'base' is listed twice",
        "file.yaml:7:13: variants.1.parent: variant 'base': its parent 'other' is not in the file",
        "file.yaml:12:12: targets.1.name: 'cpu' is listed twice",
    ]
    later = MODELS.replace("licence: MIT, source", "licence: MIT, parent: small, source")
    assert "'small' is made of it: a cycle" in model_problems(tmp_path, later)[0]
    late = "  - {name: late, format: gguf, stage: base, technique: x, licence: MIT, "
    late += "source: {file: x.gguf}}\ntargets:"
    order = MODELS.replace("parent: base", "parent: late").replace("targets:", late)
    assert "'late' is not listed before it" in model_problems(tmp_path, order)[0]


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (
            "{technique: gguf_quantise, type: Q2_K}",
            '9:25: variants.1.recipe.technique: found text "gguf_quantise"; allowed: one of '
            f"{TECHNIQUES}; did you mean gguf_quantize?",
        ),
        (
            "{type: Q2_K}",
            f"9:13: variants.1.recipe: 'technique' is missing; allowed: one of {TECHNIQUES}",
        ),
        (
            "{technique: depth_prune, drop_layers: 65}",
            "9:51: variants.1.recipe.drop_layers: found 65; allowed: a whole number from 1 to 64",
        ),
        (
            "{technique: dequantize, dtpye: float32}",
            "9:37: variants.1.recipe.dtpye: unknown key 'dtpye'; "
            "allowed: technique, version, dtype; did you mean dtype?",
        ),
        (
            "{technique: gguf_quantize, type: Q3_KM}",
            '9:46: variants.1.recipe.type: found text "Q3_KM"; allowed: one of "F32", "F16", '
            '"Q8_0", "Q6_K", "Q5_K_M", "Q5_0", "Q4_K_M", "Q4_1", "Q4_0", "IQ4_NL", "IQ4_XS", '
            '"Q3_K_M", "IQ3_XXS", "Q2_K", "IQ2_XXS", "Q2_0"; did you mean Q3_K_M?',
        ),
    ],
)
def test_recipes_are_explained_by_their_own_technique(
    tmp_path: Path, recipe: str, expected: str
) -> None:
    text = MODELS.replace("{technique: gguf_quantize, type: Q2_K}", recipe)
    assert model_problems(tmp_path, text) == [f"file.yaml:{expected}"]


def test_recipe_that_is_no_mapping(tmp_path: Path) -> None:
    text = MODELS.replace("{technique: gguf_quantize, type: Q2_K}", "q2_k")
    (found,) = model_problems(tmp_path, text)
    assert found.startswith('file.yaml:9:13: variants.1.recipe: found text "q2_k"; allowed: ')


def test_source_digest_and_pairs(tmp_path: Path) -> None:
    text = MODELS.replace("{file: m/a.gguf}", "{file: a, sha256: ABC}")
    (found,) = model_problems(tmp_path, text)
    assert found.endswith('found text "ABC"; allowed: 64 lower-case hexadecimal digits or null')
    text = MODELS.replace("{file: m/a.gguf}", "{}")
    (found,) = model_problems(tmp_path, text)
    assert found.endswith("source: give exactly one of wheel, file or hub (found none)")


def test_empty_lists_and_union_options(tmp_path: Path) -> None:
    text = MODELS.replace("threads: 2", "options: {a: [1]}")
    assert model_problems(tmp_path, text) == [
        "file.yaml:11:50: targets.0.options.a: found a list of 1; "
        "allowed: text or a whole number or a finite number or true or false"
    ]
    text = re.sub(r"targets:(.|\n)*", "targets: []\n", MODELS)
    assert model_problems(tmp_path, text) == [
        "file.yaml:10:10: targets: found a list of 0; allowed: a list of at least 1"
    ]
