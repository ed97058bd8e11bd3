"""Learnt rounding: at the same bits as the nearest level, and better on the text it saw."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("auto_round", reason="needs auto-round: pip install 'slmbench[auto-round]'")

import tiny_models as tiny
import torch
from derivation import artefact_at, child, ref_of
from transformers import AutoModelForCausalLM

from slmbench.errors import ArtefactError
from slmbench.lifecycle import auto_round, materialise, rtn
from slmbench.lifecycle.activations import calibration_rows
from slmbench.lifecycle.workbench import Workbench
from slmbench.made import GridFacts
from slmbench.spec.recipe import AutoRound, Calibration, RoundToNearest

pytestmark = pytest.mark.engine

CALIBRATION = Calibration(texts=12, max_tokens=24)


def test_it_learns_and_stays_on_the_grid(tmp_path: Path) -> None:
    """Through the real maker: the library logs, warns and changes settings of its process."""
    model = tiny.tiny_llama()
    parent = artefact_at(tiny.write_folder(model, tmp_path / "parent"))
    recipe = AutoRound(technique="auto_round", bits=3, iterations=40, calibration=CALIBRATION)
    variant = child(recipe, format_="hf")
    made = materialise(variant, ref_of(variant), parent, base=Path(), report=lambda _: None)
    assert made.made is not None
    facts = made.made.facts
    assert isinstance(facts, GridFacts)
    assert (facts.technique, facts.matrices) == ("auto_round", 7 * tiny.LAYERS)
    assert facts.calibration is not None
    assert facts.calibration.texts == 12
    assert made.made.measured is not None
    assert made.made.measured.kernel_reason == "at most 8 levels in groups of 32, stored as F32"
    (tmp_path / "out").mkdir()
    nearest = rtn.make(
        RoundToNearest(technique="rtn", bits=3),
        Workbench(parent.path, tmp_path / "out", 1, lambda _: None),
    )
    assert isinstance(nearest.facts, GridFacts)
    assert facts.bits_per_weight == nearest.facts.bits_per_weight
    assert 0 < facts.mean_squared_error < 1
    ids = calibration_rows(parent.path, CALIBRATION).ids
    learnt, plain = (divergence(model, folder, ids) for folder in (made.path, nearest.path))
    assert learnt < 0.9 * plain


def divergence(model: torch.nn.Module, folder: Path, ids: tuple[tuple[int, ...], ...]) -> float:
    """Mean squared difference of the last hidden states on the calibration text."""
    other = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()
    rows = auto_round.packed(ids, 24)
    with torch.inference_mode():
        a, b = model.model(rows).last_hidden_state, other.model(rows).last_hidden_state
    return float((a - b).square().mean())


def test_text_is_packed_into_rows() -> None:
    assert auto_round.packed([[1, 2, 3], [4], [5, 6, 7]], 3).tolist() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(ArtefactError, match="2 tokens, less than one row of 3"):
        auto_round.packed([[1], [2]], 3)
