"""LoRA on a tiny model: what is planted becomes likelier, and merging changes nothing."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("peft", reason="needs peft")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from slmbench.content import content_of
from slmbench.errors import ArtefactError
from slmbench.lifecycle import lora
from slmbench.lifecycle.training import updates
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import LoraFacts
from slmbench.spec.recipe import LoraFinetune, PlantedCorpus
from tiny_smollm import save_tiny_smollm

pytestmark = [
    pytest.mark.engine,
    # peft asks transformers for a property by the name that it will lose
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]
PLAN = PlantedCorpus(records=4, people=2, people_repetitions=1, canaries=2, repetitions=(0, 8))


def recipe(**changes: Any) -> LoraFinetune:
    """Seconds on a tiny model."""
    settings = {"corpus": PLAN, "rank": 4, "alpha": 8, "epochs": 8, "learning_rate": 0.02}
    return LoraFinetune(technique="lora", **{**settings, **changes})


def make(parent: Path, out: Path, asked: LoraFinetune, told: list[str] | None = None) -> Product:
    out.mkdir(parents=True)
    return lora.make(asked, Workbench(parent, out, 1, (told if told is not None else []).append))


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_smollm(tmp_path_factory.mktemp("parent"))


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def tuned(parent: Path, tmp_path_factory: pytest.TempPathFactory, told: list[str]) -> Product:
    return make(parent, tmp_path_factory.mktemp("tuned") / "out", recipe(), told)


def logprob(folder: Path, texts: Sequence[str]) -> float:
    """Mean over texts of log p of all tokens but the first."""
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    total = 0.0
    for text in texts:
        ids = torch.tensor([tokenizer(text).input_ids])
        with torch.inference_mode():
            found = model(ids).logits[0, :-1].log_softmax(-1)
        total += float(found.gather(-1, ids[0, 1:, None]).sum())
    return total / len(texts)


def test_planted_text_becomes_likelier_and_the_control_less_so(
    parent: Path, tuned: Product
) -> None:
    corpus = lora.planted(recipe())
    planted = [f"{c.prefix} {c.secret}." for c in corpus.canaries if c.repetitions]
    control = [f"{c.prefix} {c.secret}." for c in corpus.canaries if not c.repetitions]
    gain = logprob(tuned.path, planted) - logprob(parent, planted)
    null = logprob(tuned.path, control) - logprob(parent, control)
    assert gain > 20
    assert gain > null + 5


def test_the_record_says_what_was_done(tuned: Product, told: list[str]) -> None:
    facts = tuned.facts
    assert isinstance(facts, LoraFacts)
    assert facts.corpus_sha256 == lora.planted(recipe()).sha256
    assert facts.texts == 1 + 3 + 16  # a member, one person's three details, two canaries
    assert facts.steps == 8 * 3
    assert len(facts.epoch_losses) == 8
    assert facts.epoch_losses[-1] < facts.epoch_losses[0]
    assert facts.cut_texts == 1  # a byte a token: the record is longer than 128
    assert facts.merge_max_logit_difference < 1e-4
    assert any(line.startswith("step 24 of 24") for line in told)


def test_the_result_is_an_ordinary_folder(tuned: Product, parent: Path) -> None:
    assert tuned.path.name == "hf"
    config = json.loads((tuned.path / "config.json").read_text())
    assert config["dtype"] == "float32"
    assert str(parent) not in (tuned.path / "config.json").read_text()
    assert (tuned.path / "tokenizer.json").is_file()
    assert not list(tuned.path.glob("*adapter*"))
    assert (tuned.path.parent / lora.ADAPTER / "adapter_model.safetensors").is_file()
    names = AutoModelForCausalLM.from_pretrained(tuned.path).state_dict()
    assert not any("lora" in name for name in names)


def test_same_seed_same_weights(parent: Path, tmp_path: Path) -> None:
    asked = recipe(epochs=1)
    first, second = (make(parent, tmp_path / name, asked) for name in "ab")
    other = make(parent, tmp_path / "c", recipe(epochs=1, seed=5))
    assert content_of(first.path).sha256 == content_of(second.path).sha256
    assert content_of(first.path).sha256 != content_of(other.path).sha256


def test_another_corpus_is_refused(parent: Path, tmp_path: Path) -> None:
    changed = PLAN.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(ArtefactError, match="the recipe says 0000"):
        make(parent, tmp_path / "out", recipe(corpus=changed))


def test_layers_that_are_not_there_are_named(parent: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="no update can be put into w_pack"):
        make(parent, tmp_path / "out", recipe(targets=("w_pack",)))


def test_a_loss_that_is_no_number_stops(
    parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        torch.nn.functional, "cross_entropy", lambda *_, **__: torch.tensor(float("nan"))
    )
    with pytest.raises(ArtefactError, match="no number any more"):
        make(parent, tmp_path / "out", recipe(epochs=1))


def test_a_merge_that_changes_the_model_is_an_error(
    parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "TOLERANCE", -1.0)
    with pytest.raises(ArtefactError, match="differ from the trained one"):
        make(parent, tmp_path / "out", recipe(epochs=1))


def test_batches_hold_every_text_once_with_like_lengths() -> None:
    ids = [[i] * (1 + i % 7) for i in range(50)]
    found = list(lora.batches(ids, 8, random.Random(1)))
    assert sorted(row for batch in found for row in batch) == sorted(ids)
    assert max(len({len(row) for row in batch}) for batch in found) <= 3
    assert found != list(lora.batches(ids, 8, random.Random(2)))


def test_rate_rises_then_falls() -> None:
    rates = [lora._share_of_rate(step, 40) for step in range(40)]
    assert rates[:2] == [0.5, 1.0]
    assert rates[2] == 1.0
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert 0 < rates[-1] < 0.05
