"""From the command to the file, the table and the page; with fakes, in real child processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from asking_here import short_items, subject_of

import builders as b
from slmbench.analysis import load_results
from slmbench.analysis.gates import NoiseFloor, gates_passed, noise_floor
from slmbench.cli.main import main
from slmbench.errors import (
    ArtefactError,
    MissingEngineError,
    SlmbenchError,
    UnsupportedModelError,
)
from slmbench.gates import run as gate_run
from slmbench.gates.asking import Subject
from slmbench.gates.material import Material, TaskItems
from slmbench.gates.stock import Stock
from slmbench.report.page import make_page, render
from slmbench.store import sweep
from slmbench.store.gates import TASKS, GateNumber, GateRecord, gate_file, read_gates, save_gate

Capture = pytest.CaptureFixture[str]


def record(**changes: Any) -> GateRecord:
    """G3 passed."""
    return GateRecord(
        **{
            "gate": "G3",
            "title": "A/A noise floor",
            "subject": b.sha("v"),
            "variant": "v",
            "backend": "fake",
            "verdict": "passed",
            "numbers": (GateNumber(name="max |Δ|", value=0.5, unit="nats"),),
            **changes,
        }
    )


# --- the file ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "most", "least", "holds"),
    [
        (1.0, 1.0, None, True),
        (1.1, 1.0, None, False),
        (1.0, None, 1.0, True),
        (0.9, None, 1.0, False),
        (None, 1.0, None, False),
        (None, None, None, True),
    ],
)
def test_a_number_holds_within_its_tolerance(
    value: float | None, most: float | None, least: float | None, holds: bool
) -> None:
    assert GateNumber(name="x", value=value, at_most=most, at_least=least).holds is holds


def test_records_are_kept_by_variant_gate_and_backend_newest_only(tmp_path: Path) -> None:
    first, second = record(), record(verdict="failed", reason="why")
    path = save_gate(tmp_path, first)
    assert path == tmp_path / ".gates" / b.sha("v")[:16] / "G3-fake.json"
    save_gate(tmp_path, record(backend="other"))
    save_gate(tmp_path, second)
    assert read_gates(tmp_path) == (second, record(backend="other"))
    assert second.number("max |Δ|") == 0.5
    assert second.number("nothing") is None


def test_damaged_records_pass_nothing_and_leftovers_are_swept(tmp_path: Path) -> None:
    path = save_gate(tmp_path, record())
    newer = json.loads(path.read_text()) | {"schema_version": 2}
    (path.parent / "G1-fake.json").write_text(json.dumps(newer))
    (path.parent / "G2-fake.json").write_text("{")
    left = path.parent / ".partial-G4-fake.json-1"
    left.write_text("half")
    assert read_gates(tmp_path) == (record(),)
    assert read_gates(tmp_path / "nowhere") == ()
    sweep(tmp_path)
    assert path.exists()


def test_the_table_has_a_row_per_number_and_one_for_a_gate_without(tmp_path: Path) -> None:
    save_gate(tmp_path, record())
    save_gate(tmp_path, record(gate="G2", verdict="not applicable", reason="why", numbers=()))
    frame = load_results(tmp_path).gates()
    assert list(frame["gate"]) == ["G2", "G3"]
    row = frame[frame["gate"] == "G3"].iloc[0]
    assert (row["number"], row["value"], row["holds"]) == ("max |Δ|", 0.5, True)
    assert frame["number"].isna().tolist() == [True, False]
    assert load_results(tmp_path).gates().columns[0] == "gate"


def test_marks_are_of_this_variant_and_backend_only() -> None:
    found = [
        record(),
        record(gate="G1", verdict="failed"),
        record(gate="G2", verdict="not applicable"),
        record(gate="G4", subject=TASKS),
        record(gate="G1", backend="other"),
    ]
    assert gates_passed(found, b.sha("v"), "fake") == "G1 ✗ G2 – G3 ✓ G4 ✓"
    assert gates_passed(found, b.sha("w"), "fake") == ""


def test_the_floor_is_there_for_comparisons() -> None:
    numbers = tuple(
        GateNumber(name=name, value=value)
        for name, value in (("items", 40), ("max |Δ|", 0.5), ("mean |Δ|", 0.1), ("flip rate", 0.05))
    )
    whole = record(numbers=numbers)
    assert noise_floor([whole], b.sha("v"), "fake") == NoiseFloor(0.5, 0.1, 0.05, 40)
    assert noise_floor([whole], b.sha("v"), "other") is None
    assert noise_floor([whole], b.sha("w"), "fake") is None
    assert noise_floor([record(verdict="failed", numbers=())], b.sha("v"), "fake") is None


def test_the_page_shows_which_gates_a_variant_has_passed(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    for name in ("v", "w"):
        shelf.task(b.cell(b.variant(name), b.task()), b.choice_items("q", 4), {"acc": [1] * 4})
    page = make_page(load_results(tmp_path), "t")
    assert [page.gates(row) for row in page.rows] == ["", ""]
    assert "gates</abbr>" not in render(page)
    save_gate(tmp_path, record())
    page = make_page(load_results(tmp_path), "t")
    assert {row.system.variant: page.gates(row) for row in page.rows} == {"v": "G3 ✓", "w": ""}
    assert render(page).count("gates</abbr> G3 ✓") == 1


# --- the command ------------------------------------------------------------------------------


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A healthy fake and one that answers NaN; their items need no lm-eval."""
    items = Material((TaskItems("acc_norm", short_items()),))
    many = Material((TaskItems("acc_norm", short_items(200)),), ("mmlu: no data",))
    monkeypatch.setattr(gate_run, "choice_items", lambda _: items)
    monkeypatch.setattr(gate_run, "suite_items", lambda _: many)
    path = tmp_path / "models.yaml"
    path.write_text(
        "variants:\n"
        "  - {name: well, format: fake, stage: base, technique: none, licence: MIT}\n"
        "targets:\n"
        "  - {name: fake-cpu, backend: fake, threads: 1}\n"
    )
    return path


def doctor(models: Path, *more: str) -> int:
    results = str(models.parent / "results")
    return main(["doctor", "--gates", "--models", str(models), "--results", results, *more])


def test_whole_models_exit_0_with_a_row_a_number(models: Path, capsys: Capture) -> None:
    assert doctor(models, "--format", "json") == 0
    told = capsys.readouterr()
    rows = json.loads(told.out)
    verdicts = {row["gate"]: row["verdict"] for row in rows if row["verdict"]}
    assert verdicts == {
        "G1": "not applicable", "G2": "not applicable", "G3": "passed", "G4": "passed",
    }  # fmt: skip
    assert "2 passed, 0 failed, 2 not applicable" in told.err
    kept = {r.gate: r for r in read_gates(models.parent / "results")}
    assert kept["G3"].number("items") == 16
    assert kept["G3"].number("max |Δ|") == 0
    assert kept["G3"].machine
    assert kept["G3"].libraries
    assert kept["G4"].details == ("not tried: mmlu: no data",)
    assert gate_file(models.parent / "results", kept["G4"]).is_file()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("{mode: nan}", "unscored items"),
        ("{fault: sigill, fault_at: loglikelihood}", "SIGILL"),
    ],
)
def test_a_model_that_gives_no_numbers_exits_4(
    models: Path, capsys: Capture, options: str, why: str
) -> None:
    models.write_text(models.read_text().replace("threads: 1", f"threads: 1, options: {options}"))
    assert doctor(models) == 4
    told = capsys.readouterr()
    assert "gates failed: G3 well (fake)" in told.err
    (floor,) = [r for r in read_gates(models.parent / "results") if r.gate == "G3"]
    assert floor.verdict == "failed"
    assert why in floor.reason


def test_an_unknown_variant_is_a_usage_error(models: Path, capsys: Capture) -> None:
    assert doctor(models, "--variant", "wel") == 2
    assert "did you mean well?" in capsys.readouterr().err
    assert read_gates(models.parent / "results") == ()


def test_no_items_to_ask_is_no_pass(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = Material((), ("hellaswag: no data",))
    monkeypatch.setattr(gate_run, "choice_items", lambda _: nothing)
    monkeypatch.setattr(gate_run, "suite_items", lambda _: nothing)
    assert doctor(models) == 4
    kept = {r.gate: r.verdict for r in read_gates(models.parent / "results")}
    assert (kept["G3"], kept["G4"]) == ("failed", "failed")


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (UnsupportedModelError("another architecture"), "not applicable"),
        (MissingEngineError("gguf is not installed"), "not applicable"),
        (ArtefactError("a tensor is not what the folder holds"), "failed"),
        (SlmbenchError("its maker left nothing"), "failed"),
    ],
)
def test_a_conversion_that_went_wrong_is_a_failure_and_one_that_cannot_be_is_none(
    models: Path, monkeypatch: pytest.MonkeyPatch, error: SlmbenchError, verdict: str
) -> None:
    def cannot(*_: object) -> Subject:
        raise error

    (models.parent / "hf").mkdir()
    text = models.read_text().replace("format: fake", "format: hf, source: {file: hf}")
    models.write_text(text.replace("backend: fake", "backend: transformers"))
    here = subject_of(models.parent / "hf", "fake")
    monkeypatch.setattr(Stock, "subject", lambda *_: here)
    monkeypatch.setattr(Stock, "exported", cannot)
    monkeypatch.setattr(gate_run, "missing_engine", lambda _: "")
    monkeypatch.setattr(gate_run, "suite_items", lambda _: Material(()))
    monkeypatch.setattr(gate_run, "choice_items", lambda _: Material(()))
    assert doctor(models) == 4
    kept = {r.gate: r for r in read_gates(models.parent / "results")}
    assert (kept["G1"].verdict, kept["G2"].verdict) == (verdict, verdict)
    assert error.message in kept["G2"].reason
