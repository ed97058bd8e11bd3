"""Variants as a table and as a lineage: costs from records, quality from paired items."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import builders as b
from recipes_made import made_record, train
from slmbench import load_results
from slmbench.analysis.lineage import lineage_steps
from slmbench.analysis.variant_frame import VARIANT_COLUMNS
from slmbench.cli.main import main
from slmbench.store import VariantRecord, save_variant
from synthetic_store import build

Capture = pytest.CaptureFixture[str]
CHILD = b.variant("smollm2-q2_k", parent="smollm2-q4_1", technique="q2_k", stage="quantized")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of seven variants; of two it is known how they were made."""
    root = build(tmp_path_factory.mktemp("store"))
    save_variant(root, VariantRecord(variant=CHILD, made=made_record(ref=CHILD),
                                     artefact_bytes=4000))  # fmt: skip
    root_ref = b.variant("smollm2-q4_1", technique="q4_1", stage="quantized")
    save_variant(root, VariantRecord(variant=root_ref, artefact_bytes=8000))
    tuned = b.variant("tuned", parent="smollm2-q2_k", technique="lora", stage="finetuned")
    record = made_record(train(), ref=tuned, joules=None)
    save_variant(root, VariantRecord(variant=tuned, made=record, artefact_bytes=4000))
    broken = b.variant("broken", parent="smollm2-q4_1", technique="merge", stage="initialized")
    save_variant(root, VariantRecord(variant=broken, failure="other shapes"))
    return root


def test_the_table_has_what_records_and_runs_say(store: Path) -> None:
    table = load_results(store).variants().set_index("variant")
    assert list(load_results(store).variants().columns) == [c.name for c in VARIANT_COLUMNS]
    made = table.loc["smollm2-q2_k"]
    assert (made["seconds"], made["energy"], made["energy_provenance"]) == (12.5, 80.0, "estimated")
    assert (made["peak_memory"], made["artefact_bytes"]) == (123_000_000, 4000)
    tuned = table.loc["tuned"]
    assert (tuned["tokens"], tuned["validation_before"], tuned["validation_after"]) == (
        65_536, 0.9, 0.8,
    )  # fmt: skip
    assert tuned["interruptions"] == 1
    assert table.loc["broken", "failure"] == "other shapes"
    only_runs = table.loc["smollm2-q8_0"]
    assert only_runs["bits_per_weight"] == 8.5
    assert only_runs[["seconds", "energy", "tokens"]].isna().all()


def test_parents_stand_before_their_children(store: Path) -> None:
    names = [step.name for step in lineage_steps(load_results(store))]
    assert len(names) == len(set(names))
    for step in lineage_steps(load_results(store)):
        if step.parent is not None:
            assert names.index(step.parent.ref.name) < names.index(step.name)


def test_an_older_results_folder_has_a_lineage_without_costs(tmp_path: Path) -> None:
    results = load_results(build(tmp_path))
    assert results.made == ()
    steps = {step.name: step for step in lineage_steps(results)}
    assert steps["smollm2-f32"].parent_name == "smollm2-q4_1"
    assert {step.seconds for step in steps.values()} == {None}


def test_the_change_of_accuracy_is_the_mean_of_paired_differences(store: Path) -> None:
    results = load_results(store)
    step = next(s for s in lineage_steps(results) if s.name == "smollm2-q2_k")
    assert step.quality is not None
    compared = [
        d for d in results.compare().deltas
        if d.variant == "smollm2-q2_k" and d.metric in ("acc", "acc_norm")
        and d.row.run.spec.suite == "accuracy"
    ]  # fmt: skip
    assert step.quality.tasks == len(compared) == 3
    mean = sum(d.difference.delta for d in compared) / 3
    assert step.quality.difference.delta == pytest.approx(mean)
    assert step.quality.difference.low is not None
    assert step.quality.difference.low < mean
    assert step.quality.same_target


def test_what_cannot_be_compared_says_why(store: Path) -> None:
    steps = {step.name: step for step in lineage_steps(load_results(store))}
    assert steps["tuned"].quality is None
    assert steps["tuned"].no_quality == "no accuracy results"
    assert steps["smollm2-q4_1"].no_quality == "a root"
    assert not steps["smollm2-f32"].quality or not steps["smollm2-f32"].quality.same_target


def test_sizes_are_told_against_the_parent(store: Path) -> None:
    step = next(s for s in lineage_steps(load_results(store)) if s.name == "smollm2-q2_k")
    assert (step.size_ratio, step.bytes_change) == (0.5, -4000)
    assert step.energy is not None
    assert step.energy.joules == 80.0


def test_the_command_draws_a_tree(store: Path, capsys: Capture) -> None:
    assert main(["lineage", str(store)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("smollm2-q4_1: gguf")
    q2 = next(line for line in lines if "smollm2-q2_k" in line)
    assert q2.startswith(("├─ ", "└─ "))
    assert "by q2_k, 12 s, 80 J (estimated), gguf" in q2
    assert "(×0.50)" in q2
    assert "points [" in q2
    assert "over 3 tasks" in q2
    below = lines[lines.index(q2) + 1]
    assert "└─ tuned: by lora" in below
    assert below[0] in "│ "
    assert any("could not be made: other shapes" in line for line in lines)


def test_the_command_writes_mermaid_and_json(store: Path, capsys: Capture) -> None:
    assert main(["lineage", str(store), "--format", "mermaid"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("flowchart LR\n")
    assert main(["lineage", str(store), "--format", "json"]) == 0
    rows = {row["variant"]: row for row in json.loads(capsys.readouterr().out)}
    assert text.count(" -->|") == sum(row["parent"] is not None for row in rows.values())
    assert rows["smollm2-q2_k"]["seconds"] == 12.5
    assert rows["smollm2-q2_k"]["accuracy_change"] < 0
    assert rows["broken"]["failure"] == "other shapes"


def test_a_models_file_has_a_lineage_without_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("SLMBENCH_CACHE", str(tmp_path / "cache"))
    assert main(["lineage", "--models", "demo"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "smollm2-q4_1: gguf"
    assert lines[-1] == "   └─ smollm2-pruned26: by depth_prune, hf"
    assert main(["lineage", str(tmp_path / "none")]) == 2
    assert "no results folder" in capsys.readouterr().err
