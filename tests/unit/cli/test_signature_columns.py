"""Signatures in the terminal: lines of ``compare``, the column of ``list models``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import builders as b
import signature_store as s
from slmbench.cli.main import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The demo's Q2_K at the level of guessing, its Q8_0 as good as the base."""
    root: Path = tmp_path_factory.mktemp("results")
    shelf = b.Shelf(root)
    s.choice(shelf, b.variant("smollm2-q4_1"), s.both(0.55))
    s.choice(shelf, b.variant("smollm2-q2_k", parent="smollm2-q4_1"), s.both(0.25))
    s.choice(shelf, b.variant("smollm2-q8_0", parent="smollm2-q4_1"), s.both(0.55))
    return str(root)


def test_compare_tells_signatures_in_every_form(folder: str, capsys: Capture) -> None:
    assert main(["compare", folder]) == 0
    table = capsys.readouterr().out
    assert "signatures: 1 found in 3 systems" in table
    assert "holds guessing (25.0 %)" in table
    assert "not decidable: fails on long texts: no results of suite long_context (3 of 3" in table
    assert main(["compare", folder, "--format", "csv"]) == 0
    told = capsys.readouterr()
    assert "severe: smollm2-q2_k on fake-cpu: accuracy collapse: mean of 2" in told.err
    assert "collapse" not in told.out
    assert main(["compare", folder, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["signatures"]
    assert [r["variant"] for r in rows if r["verdict"] == "yes"] == ["smollm2-q2_k"]
    assert len(rows) == 3 * 7


def test_compare_of_two_speaks_of_these_two_only(folder: str, capsys: Capture) -> None:
    assert main(["compare", folder, "smollm2-q4_1", "smollm2-q8_0"]) == 0
    assert "signatures: 0 found in 2 systems" in capsys.readouterr().out


def test_models_get_a_column_of_what_their_runs_show(folder: str, capsys: Capture) -> None:
    assert main(["list", "models", "smollm2-q", "--results", folder, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    seen = {r["variant"]: r["signatures"] for r in rows if r["file"] == "demo"}
    assert seen["smollm2-q2_k"] == "collapse"
    assert seen["smollm2-q8_0"] == "none found"
    assert seen["smollm2-q3_k_m"] == "not run"


def test_a_column_of_signatures_needs_models_and_a_folder(folder: str, capsys: Capture) -> None:
    assert main(["list", "suites", "--results", folder]) == 2
    assert main(["list", "models", "--results", folder + "/nowhere"]) == 2
    assert "no results folder" in capsys.readouterr().err
