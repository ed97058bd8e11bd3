"""``slmbench derive``: what it makes, says, refuses, and leaves behind however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "lifecycle"))

from gguf_bytes import small_gguf

from slmbench.cli.main import main
from slmbench.lifecycle import derive
from slmbench.lifecycle.costs import CostEstimate

LIFECYCLE = Path(__file__).parents[1] / "lifecycle"
ROOT = Path(__file__).parents[3]
Capture = pytest.CaptureFixture[str]

MODELS = """\
variants:
  - {name: base, format: gguf, stage: base, technique: none, licence: MIT,
     source: {file: base.gguf}}
  - {name: folder, format: hf, stage: base, technique: none, licence: MIT, source: {file: no/hf}}
targets:
  - {name: cpu, backend: llama_cpp}
"""
RECIPE = """\
name: small
title: twice as small
parent: base
models: models.yaml
budget: {minutes: 0.01, memory_mb: 1}
steps:
  - recipe: {technique: gguf_quantize, type: Q8_0}
  - recipe: {technique: gguf_quantize, type: Q4_0}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of one recipe, a cache, and a maker that follows a script."""
    (tmp_path / "base.gguf").write_bytes(small_gguf())
    (tmp_path / "models.yaml").write_text(MODELS)
    (tmp_path / "small.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLMBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(LIFECYCLE), str(ROOT))))
    monkeypatch.setenv("MAKER", "good")
    monkeypatch.setenv("MAKER_LOG", str(tmp_path / "log"))
    monkeypatch.setattr(derive, "_MAKER", "scripted_maker")
    return tmp_path


def started(here: Path) -> int:
    log = here / "log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_every_step_is_made_once_and_the_paths_are_printed(here: Path, capsys: Capture) -> None:
    assert main(["derive", "./small.yaml", "--format", "json"]) == 0
    told = capsys.readouterr()
    rows = json.loads(told.out)
    assert [(r["variant"], r["state"]) for r in rows] == [
        ("base", "found"), ("small.1", "made"), ("small", "made"),
    ]  # fmt: skip
    assert all(Path(r["path"]).is_file() for r in rows)
    assert rows[1]["seconds"] == 1.5
    assert rows[1]["bits_per_weight"] > 0
    assert rows[1]["energy"] == "unavailable"
    assert started(here) == 2
    assert main(["derive", "./small.yaml"]) == 0
    told = capsys.readouterr()
    assert started(here) == 2
    assert told.out.count("cached") == 2
    assert f"small: {here}/cache/models/" in told.out


def test_more_than_the_budget_is_said_and_no_failure(here: Path, capsys: Capture) -> None:
    assert main(["derive", "./small.yaml"]) == 0
    told = capsys.readouterr().err
    assert "over budget: small took 0.05 min; its recipe states 0.01 min" in told
    assert "MB of memory; its recipe states 1 MB" in told


def test_budgets_of_all_recipes_of_a_models_file_are_held(here: Path, capsys: Capture) -> None:
    file = here / "mine.yaml"
    roomy = "{recipe: ./small.yaml, name: roomy, set: [budget.minutes=1, budget.memory_mb=900]}"
    file.write_text(
        f"recipes: [./small.yaml, {roomy}]\ntargets: [{{name: cpu, backend: llama_cpp}}]\n"
    )
    assert main(["derive", "--models", str(file)]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "over budget" in line]
    assert len(told) == 2
    assert all("over budget: small took" in line for line in told)


def test_a_dry_run_estimates_and_makes_nothing(here: Path, capsys: Capture) -> None:
    assert main(["derive", "./small.yaml", "--dry-run", "--format", "json"]) == 0
    told = capsys.readouterr()
    rows = json.loads(told.out)
    assert [r["state"] for r in rows] == ["to fetch", "to make", "to make"]
    assert all(r["basis"].startswith("estimated") for r in rows if r["seconds"] is not None)
    assert "(estimated)" in told.err
    assert "is estimated to take" in told.err
    assert started(here) == 0
    assert not (here / "cache/models").exists()


def test_a_variant_of_a_models_file_is_derived_too(here: Path, capsys: Capture) -> None:
    file = here / "mine.yaml"
    file.write_text(MODELS.replace("targets:", "recipes: [./small.yaml]\ntargets:"))
    assert main(["derive", "small.1", "--models", str(file)]) == 0
    assert "small.1" in capsys.readouterr().out
    assert started(here) == 1


def test_without_a_name_all_of_a_models_file_is_derived(here: Path, capsys: Capture) -> None:
    file = here / "mine.yaml"
    sources = [line for line in MODELS.splitlines() if "folder" not in line]
    other = "{recipe: ./small.yaml, name: other, set: [steps.1.recipe.type=Q4_1]}"
    recipes = f"recipes: [./small.yaml, {other}]"
    file.write_text("\n".join([*sources, recipes]))
    assert main(["derive", "--models", str(file), "--format", "json"]) == 0
    states = {r["variant"]: r["state"] for r in json.loads(capsys.readouterr().out)}
    assert states.pop("base") == "found"
    assert set(states) == {"small.1", "small", "other.1", "other"}
    assert set(states.values()) <= {"made", "cached"}
    assert started(here) == 3


def test_a_failure_takes_its_children_and_gives_its_exit_code(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKER", "UnsupportedModelError")
    assert main(["derive", "./small.yaml", "--format", "json"]) == 5
    told = capsys.readouterr()
    assert [r["state"] for r in json.loads(told.out)] == ["found", "failed", "failed"]
    assert "slmbench: small.1: it cannot be\n  hint: do this" in told.err
    assert "its parent small.1 could not be made" in told.err
    assert started(here) == 1


def test_too_little_memory_is_refused_before_it_starts_unless_forced(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = CostEstimate(1.0, 10**15, "guess", None)
    monkeypatch.setattr("slmbench.lifecycle.collection.estimate", lambda *_, **__: large)
    monkeypatch.setattr("slmbench.derivations.estimate", lambda *_, **__: large)
    assert main(["derive", "./small.yaml", "--dry-run"]) == 5
    assert "refused" in capsys.readouterr().out
    assert main(["derive", "./small.yaml"]) == 5
    told = capsys.readouterr().err
    assert "needs about 1000000.0 GB of memory (estimated)" in told
    assert "--force" in told
    assert started(here) == 0
    assert main(["derive", "./small.yaml", "--force"]) == 0
    assert started(here) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name a recipe, a variant, a recipe file, or --models FILE"),
        (["no-such-recipe"], "unknown recipe or variant"),
        (["no/such.yaml"], "there is no such file"),
        (["smollm2-q8"], "did you mean smollm2-q8_0"),
        (["./small.yaml", "--models", "dmo"], "did you mean demo"),
        (["./cycle.yaml"], "a cycle"),
        (["./orphan.yaml"], "it needs a variant 'bse'"),
        (["./tight.yaml"], "is less than one step"),
        (["./unfit.yaml"], "depth_prune takes hf, its parent 'base' is gguf"),
        (["./text.yaml"], "small: unknown data set 'bolq'"),
        (["./text.yaml", "--dry-run"], "did you mean boolq?"),
    ],
)
def test_bad_input_names_place_cause_and_fix(
    here: Path, arguments: list[str], words: str, capsys: Capture
) -> None:
    (here / "cycle.yaml").write_text(RECIPE.replace("parent: base", "parent: small"))
    (here / "orphan.yaml").write_text(RECIPE.replace("parent: base", "parent: bse"))
    training = "{technique: train, tokens: 100}"
    (here / "tight.yaml").write_text(
        RECIPE.replace("parent: base", "parent: folder").replace(
            "{technique: gguf_quantize, type: Q8_0}", training
        )
    )
    pruning = "{technique: depth_prune, drop_layers: 1, calibration: bolq}"
    (here / "text.yaml").write_text(
        (here / "tight.yaml")
        .read_text()
        .replace(training, pruning)
        .replace("  - recipe: {technique: gguf_quantize, type: Q4_0}\n", "")
    )
    (here / "unfit.yaml").write_text(
        RECIPE.replace(
            "{technique: gguf_quantize, type: Q8_0}", "{technique: depth_prune, drop_layers: 1}"
        ).replace("  - recipe: {technique: gguf_quantize, type: Q4_0}\n", "")
    )
    assert main(["derive", *arguments]) == 2
    told = capsys.readouterr()
    assert words in told.err
    assert "Traceback" not in told.err
    assert told.out == ""


def test_a_missing_or_other_parent_is_said(here: Path, capsys: Capture) -> None:
    (here / "base.gguf").unlink()
    assert main(["derive", "./small.yaml"]) == 5
    assert "base.gguf" in capsys.readouterr().err
    (here / "base.gguf").write_bytes(small_gguf())
    digest = "0" * 64
    (here / "models.yaml").write_text(
        MODELS.replace("{file: base.gguf}", f"{{file: base.gguf, sha256: '{digest}'}}")
    )
    assert main(["derive", "./small.yaml"]) == 5
    told = capsys.readouterr().err
    assert "000000" in told
    assert "sha256" in told.lower() or "digest" in told.lower()
    assert started(here) == 0


def start(here: Path, script: str) -> subprocess.Popen[str]:
    """The command in a process of its own, up to the point where the maker works."""
    code = (
        "import sys; from slmbench.lifecycle import derive; derive._MAKER = 'scripted_maker';"
        "from slmbench.cli.main import main; sys.exit(main(['derive', './small.yaml']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "MAKER": script},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    words = "training" if script == "train" else "half done"
    assert any(words in line for line in iter(process.stderr.readline, ""))
    return process


def gone(pid: int) -> bool:
    """Whether it ends within ten seconds."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            if " Z " in Path(f"/proc/{pid}/stat").read_text():
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_a_checkpoint_and_the_next_run_goes_on(
    here: Path, number: signal.Signals, capsys: Capture
) -> None:
    process = start(here, "train")
    process.send_signal(number)
    _, rest = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "its checkpoint is kept" in rest
    assert "to go on: slmbench" in rest
    models = here / "cache/models"
    assert list(models.glob(".partial-*")) == []
    assert len(list(models.glob(".checkpoints/*/step-1"))) == 1
    assert list(models.glob("[!.]*/variant.json")) == []
    assert gone(int((here / "log").read_text().split()[-1]))
    assert main(["derive", "./small.yaml"]) == 0
    capsys.readouterr()
    assert list(models.glob(".checkpoints/*")) == []
    assert len(list(models.glob("[!.]*/variant.json"))) == 2


def test_a_killed_command_leaves_no_maker_and_nothing_half(here: Path, capsys: Capture) -> None:
    process = start(here, "hang")
    process.kill()
    process.communicate(timeout=30)
    assert gone(int((here / "log").read_text().split()[-1]))
    assert list((here / "cache/models").glob("[!.]*/variant.json")) == []
    assert main(["derive", "./small.yaml", "--dry-run", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [r["state"] for r in rows] == ["found", "to make", "to make"]
    assert main(["derive", "./small.yaml"]) == 0
    assert list((here / "cache/models").glob(".partial-*")) == []


def test_recipes_and_experiments_are_listed(capsys: Capture) -> None:
    for arguments in (["list", "recipes"], ["list", "experiments"], ["derive", "--list"]):
        assert main([*arguments, "--format", "json"]) == 0
        json.loads(capsys.readouterr().out)
