"""Kept answers judged again: bit for bit, without a model, each damaged run for itself."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from slmbench.api import Request, plan_suites, rescore, run_suites
from slmbench.cli.main import main
from slmbench.errors import UsageError
from slmbench.records import ScoreRow, Status
from slmbench.requests import ItemSet
from slmbench.runner.prepare import items_path
from slmbench.spec import TaskSpec
from slmbench.store import StoredRun, read_store
from slmbench.tasks.scorers import SCORERS
from toy_sets import SETS

pytestmark = pytest.mark.engine  # lm-eval judges one of the tasks

Capture = pytest.CaptureFixture[str]


@dataclass(frozen=True, slots=True)
class Scored:
    """A finished campaign that has used every scorer."""

    root: Path
    results: Path

    def run(self, task: str) -> StoredRun:
        """The run of that task."""
        return next(r for r in read_store(self.results).runs if r.spec.work_name == task)

    def scores(self, task: str) -> Path:
        """Its one file of scores."""
        (path,) = (self.run(task).folder / "scores").glob("*")
        return path

    def digests(self, pattern: str = "*") -> dict[str, str]:
        """Content of every file below the results whose name fits."""
        files = [p for p in self.results.rglob(pattern) if p.is_file() and p.name != ".lock"]
        return {
            str(p.relative_to(self.results)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in files
        }


def _yaml(path: Path, document: object) -> str:
    path.write_text(json.dumps(document))
    return str(path)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished campaign, for tests to copy."""
    root = tmp_path_factory.mktemp("campaign")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLMBENCH_CACHE", str(root / "cache"))
        _run_campaign(root)
    return root


@pytest.fixture
def scored(campaign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scored:
    """A copy of one's own, to be damaged."""
    shutil.copytree(campaign, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("SLMBENCH_CACHE", str(tmp_path / "cache"))
    return Scored(tmp_path, tmp_path / "results")


def _run_campaign(root: Path) -> None:
    suite = {
        "name": "judged", "title": "t", "description": "d", "seed": 1,
        "sizes": {"demo": {"items": 5, "timeout_s": 60}},
        "tasks": [{"task": name, "primary": what[1]} for name, what in SETS.items()],
    }  # fmt: skip
    models = {
        "variants": [
            {"name": "base", "format": "fake", "stage": "base", "technique": "none",
             "licence": "Apache-2.0"},
        ],
        "targets": [{"name": "cpu", "backend": "fake", "threads": 1, "context": 8192}],
    }  # fmt: skip
    request = Request(
        suites=(_yaml(root / "judged.yaml", suite),),
        models=_yaml(root / "models.yaml", models),
    )
    for cell in plan_suites(request).plan.cells:
        work = cell.spec.work
        assert isinstance(work, TaskSpec)
        scorer, _, item = SETS[work.task]
        items = ItemSet(
            task=work.task,
            source="made for the test",
            data_sha256="0" * 64,
            licence="CC0-1.0",
            scorer=scorer,
            population=5,
            items=tuple(item(f"q{n}") for n in range(5)),
        )
        path = items_path(work)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(items.model_dump_json())
    summary = run_suites(request, root / "results")
    assert [s.cell.spec.label + s.reason for s in summary.failed] == []


def test_every_score_of_a_finished_run_comes_out_bit_for_bit(scored: Scored) -> None:
    assert {scorer for scorer, _, _ in SETS.values()} == set(SCORERS.names())
    before = scored.digests()
    checked = rescore(scored.results, check=True)
    assert [r.outcome for r in checked.runs] == ["same"] * len(SETS)
    for path in scored.results.rglob("scores/*.jsonl"):
        path.unlink()
    again = rescore(scored.results)
    assert [r.outcome for r in again.runs] == ["changed"] * len(SETS)
    assert all("no scores were stored" in r.details[0] for r in again.runs)
    assert scored.digests() == before  # scores are back, sealed files are untouched


def test_check_lists_what_differs_and_writes_nothing(scored: Scored, capsys: Capture) -> None:
    path = scored.scores("piqa")
    lines = path.read_text().splitlines()
    row = ScoreRow.model_validate_json(lines[0])
    assert (row.metric, row.value is not None) == ("acc", True)
    changed = row.model_copy(update={"value": 0.25}).model_dump_json()
    kept = [line for line in lines[1:] if '"brier"' not in line]
    stranger = row.model_copy(update={"metric": "margin2"}).model_dump_json()
    path.write_text("\n".join([changed, *kept, stranger]) + "\n")
    before = scored.digests()
    assert main(["rescore", str(scored.results), "--check", "--format", "json"]) == 4
    told = capsys.readouterr()
    (differs,) = [r for r in json.loads(told.out) if r["outcome"] != "same"]
    assert (differs["run"], differs["scorer"]) == (
        "judged/piqa · base · cpu", "multiple_choice"
    )  # fmt: skip
    assert differs["details"].splitlines() == [
        f"acc: 1 rows differ (q0: 0.25, now {row.value!r})",
        "margin2: 1 rows are gone",
        "brier: 5 rows are new",
    ]
    assert f"{len(SETS) - 1} runs scored as before, 1 differ, 0 could not be scored" in told.err
    assert scored.digests() == before
    assert main(["rescore", str(scored.results)]) == 0
    capsys.readouterr()
    assert main(["rescore", str(scored.results), "--check"]) == 0
    assert path.read_text().splitlines() == lines


def test_a_row_spelt_otherwise_is_seen(scored: Scored) -> None:
    path = scored.scores("piqa")
    path.write_text(path.read_text().replace('"group":""', '"group": ""', 1))
    (seen,) = rescore(scored.results, check=True).of("changed")
    assert seen.details == ("the same rows in another order or spelling",)


def _cut_a_line(scored: Scored) -> str:
    path = scored.run("piqa").folder / "samples.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    return "samples.jsonl: line 5 is damaged"


def _lose_a_line(scored: Scored) -> str:
    path = scored.run("piqa").folder / "samples.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    return "samples.jsonl answers 4 of 5 items"


def _lose_the_samples(scored: Scored) -> str:
    (scored.run("piqa").folder / "samples.jsonl").unlink()
    return "samples.jsonl is missing"


def _lose_the_items(scored: Scored) -> str:
    digest = scored.run("piqa").record.item_set
    (scored.results / ".items" / f"{digest}.json").unlink()
    return "its item set"


def _change_the_items(scored: Scored) -> str:
    digest = scored.run("piqa").record.item_set
    path = scored.results / ".items" / f"{digest}.json"
    path.write_text(path.read_text().replace('"gold":1', '"gold":0'))
    return "was changed after the run"


def _unknown_scorer(scored: Scored) -> str:
    """As a run of a scorer that this version does not have would look."""
    run = scored.run("piqa")
    old = scored.results / ".items" / f"{run.record.item_set}.json"
    items = ItemSet.model_validate_json(old.read_text())
    items = items.model_copy(update={"scorer": "multiple_choise"})
    from slmbench.store import save_items

    digest = save_items(scored.results, items)
    record = run.record.model_copy(update={"item_set": digest})
    (run.folder / "record.json").write_text(record.model_dump_json())
    return "unknown scorer 'multiple_choise'\n  hint: did you mean multiple_choice?"


def _damage_the_record(scored: Scored) -> str:
    (scored.run("piqa").folder / "record.json").write_text("{")
    return ""


@pytest.mark.parametrize(
    "damage",
    [
        _cut_a_line, _lose_a_line, _lose_the_samples, _lose_the_items, _change_the_items,
        _unknown_scorer, _damage_the_record,
    ],
)  # fmt: skip
def test_a_damaged_run_is_named_and_the_others_are_judged(
    scored: Scored, damage: Callable[[Scored], str], capsys: Capture
) -> None:
    other = scored.scores("coqa")
    wanted = other.read_bytes()
    other.write_bytes(b"")
    folder = scored.run("piqa").folder
    words = damage(scored)
    before = scored.digests("*") | {str(other.relative_to(scored.results)): ""}
    assert main(["rescore", str(scored.results), "--format", "json"]) == 3
    told = capsys.readouterr()
    (failed,) = [r for r in json.loads(told.out) if r["outcome"] == "failed"]
    assert failed["run"] in (
        "judged/piqa · base · cpu",
        folder.relative_to(scored.results).as_posix(),
    )
    assert words in failed["details"]
    assert failed["details"]
    assert other.read_bytes() == wanted
    after = scored.digests("*") | {str(other.relative_to(scored.results)): ""}
    assert after == before  # the damaged run keeps what it has


def test_failed_cells_and_workloads_are_left_alone(scored: Scored) -> None:
    run = scored.run("piqa")
    crashed = run.record.model_copy(update={"status": Status.CRASHED, "reason": "for the test"})
    (run.folder / "record.json").write_text(crashed.model_dump_json())
    for path in (run.folder / "scores").iterdir():
        path.unlink()
    (run.folder / "scores").rmdir()
    (skipped,) = rescore(scored.results).of("skipped")
    assert skipped.details == ("it ended crashed: such answers are kept and not judged",)
    assert not (run.folder / "scores").exists()


def test_no_engine_is_loaded(scored: Scored) -> None:
    """Own scorers need neither lm-eval nor an engine; with lm-eval's there is still no backend."""
    code = (
        "import sys; from slmbench.cli.main import main; "
        f"code = main(['rescore', {str(scored.results)!r}, '--check']); "
        "print(code, *sorted(m for m in sys.modules if m.count('.') < 2))"
    )

    def loaded() -> list[str]:
        ran = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
        )
        return ran.stdout.split()

    with_lm_eval = loaded()
    assert with_lm_eval[0] == "0"
    assert "lm_eval" in with_lm_eval
    assert not {"llama_cpp", "slmbench.backends.fake"} & set(with_lm_eval)
    run = scored.run("gsm8k")
    run.folder.rename(scored.root / "aside")
    own = loaded()
    assert own[0] == "0"
    engines = {"torch", "transformers", "llama_cpp", "lm_eval", "datasets", "torchao"}
    assert not engines & set(own)


def test_no_results_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no results folder"):
        rescore(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_the_ids_of_a_run_are_a_list_for_a_suite(scored: Scored, capsys: Capture) -> None:
    assert main(["show", "base", "--ids", "--results", str(scored.results)]) == 0
    lines = capsys.readouterr().out.splitlines()
    place = lines.index("# judged/piqa (demo): 5 items")
    assert lines[place + 1] == 'items: ["q0", "q1", "q2", "q3", "q4"]'
    command = ["show", "--ids", "--format", "csv", "--results", str(scored.results)]
    assert main(command) == 0
    assert "judged,demo,gsm8k,q3" in capsys.readouterr().out.splitlines()
    path = scored.run("piqa").folder / "samples.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    assert main(command) == 1
    assert "judged/piqa · base · cpu: the answers in" in capsys.readouterr().err


def test_a_run_of_texts_shows_perplexity_and_its_name_says_the_protocol(scored: Scored) -> None:
    from slmbench.analysis import load_results

    metrics = load_results(scored.results).metrics()
    by_task = metrics[metrics["task"].str.startswith("slm_text")].set_index(["task", "metric"])
    ppl = by_task.loc[("slm_text_boolq_gptq_2048", "ppl_gptq_2048")]
    nll = by_task.loc[("slm_text_boolq_gptq_2048", "nll_gptq_2048")]
    assert ppl["primary"]
    assert ppl["provenance"] == "derived"
    assert ppl["n"] == 5 * 2  # two windows of 2048 in each of five texts
    assert ppl["value"] == pytest.approx(2.718281828459045 ** nll["value"])
    assert ppl["ci_low"] < ppl["value"] < ppl["ci_high"]
    bits = by_task.loc[("slm_text_boolq_rolling", "bpb_rolling")]
    assert bits["primary"]
    assert bits["unit"] == "bits/byte"
