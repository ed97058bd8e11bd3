"""``slmbench show suite``: what a suite asks and what it does not measure."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

import builders as b
from slmbench.cli.main import main
from slmbench.spec.load import load_suite, suite_names

Capture = pytest.CaptureFixture[str]


def _lines(text: str) -> str:
    return " ".join(text.split())


def test_a_suite_says_what_it_does_not_measure(capsys: Capture) -> None:
    assert main(["show", "suite", "bias"]) == 0
    told = capsys.readouterr().out
    suite = load_suite("bias")
    assert told.startswith(f"bias: {suite.title}\n")
    assert _lines(suite.description) in _lines(told)
    assert "What it does and does not measure" in told
    assert max(len(line) for line in told.splitlines()) <= 100
    for task in suite.tasks:
        assert f"\n{task.task}\n" in told


def test_an_own_task_has_its_facts(capsys: Capture) -> None:
    assert main(["show", "suite", "bias", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    task = next(t for t in told["tasks"] if t["task"] == "slm_occupation_pronoun")
    assert task["primary"] == "stereotype_preference"
    assert task["scorer"] == "stereotype_pairs"
    assert task["items"] == {"demo": "48 of 240", "standard": "all 240", "full": "all 240"}
    assert task["licence"] == "Apache-2.0"
    assert task["data"] == "our own slm_occupation_pronoun.jsonl"
    assert "log-likelihood" in task["prompt"]
    assert set(told["sizes"]) == {"demo", "standard", "full"}


def test_a_task_that_a_size_leaves_out_says_none(capsys: Capture) -> None:
    assert main(["show", "suite", "bias", "--format", "json"]) == 0
    tasks = {t["task"]: t for t in json.loads(capsys.readouterr().out)["tasks"]}
    assert tasks["slm_crows_pairs"]["items"]["demo"] == "none"


@pytest.mark.parametrize("name", suite_names())
def test_every_suite_can_be_shown(name: str, capsys: Capture) -> None:
    assert main(["show", "suite", name]) == 0
    assert name in capsys.readouterr().out
    assert main(["show", "suite", name, "--format", "csv"]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 1 + len(load_suite(name).tasks)


def test_named_items_and_workloads_are_counted(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        json.dumps(
            {
                "name": "mine",
                "title": "My own",
                "description": "Measures little.",
                "sizes": {"demo": {"prompt_tokens": [8, 16], "timeout_s": 60}},
                "tasks": [
                    {"task": "slm_nonexistent", "primary": "no_metric", "items": ["a", "b"],
                     "num_fewshot": 2, "chat_template": True},
                    {"task": "slm_nowhere", "primary": "acc"},
                ],
                "workloads": [{"workload": "latency"}],
            }
        ),
        "utf-8",
    )  # fmt: skip
    assert main(["show", "suite", str(path)]) == 0
    told = capsys.readouterr().out
    assert "2 named" in told
    assert "not in this version's table" in told
    assert "model's own chat template; 2 examples" in told
    assert "Workloads: latency" in told
    assert "prompt_tokens 8/16" in told
    assert "slm_nowhere" in told
    assert "  note " in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "suite", "biass"], "did you mean bias"),
        (["show", "suite"], "bias"),
        (["show", "suite", "bias", "privacy"], "one name"),
        (["show", "suite", "bias", "--ids"], "--ids"),
        (["show", "one", "two"], "show suite NAME"),
    ],
)
def test_wrong_words_name_the_fix(arguments: list[str], words: str, capsys: Capture) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert words in told.err
    assert told.out == ""


def test_show_run_still_shows_a_run(tmp_path: Path, capsys: Capture) -> None:
    shelf = b.Shelf(tmp_path)
    for name in ("one", "other"):
        shelf.task(b.cell(b.variant(name), b.task()), b.choice_items("q", 8), {"acc": [1, 0] * 4})
    assert main(["show", "one", "--results", str(tmp_path), "--format", "json"]) == 0
    assert {row["variant"] for row in json.loads(capsys.readouterr().out)} == {"one"}
    assert main(["show", "--results", str(tmp_path), "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 2
    assert main(["show", "onne", "--results", str(tmp_path)]) == 2
    assert "did you mean one" in capsys.readouterr().err


def test_showing_a_suite_imports_nothing_heavy() -> None:
    code = (
        "import sys; from slmbench.cli.main import main; main(['show', 'suite', 'bias']);"
        "heavy = ('pandas', 'lm_eval', 'datasets', 'torch', 'plotly');"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )  # the interpreter that runs the tests
    assert done.stdout.splitlines()[-1] == "[]"
