"""Data selection: what each rule keeps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch")

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from slmbench.lifecycle.training.selection import apart, middle, perplexity_by, select, words
from slmbench.spec.recipes.training import TrainingText

pytestmark = pytest.mark.engine
TEXTS = tuple("word " * (1 + i % 17) + f"number {i}" for i in range(100))


def unasked(texts: Sequence[str]) -> list[float]:
    raise AssertionError("no rule but perplexity may ask the model")


def chosen(rule: str, keep: float = 0.25, seed: int = 1) -> tuple[str, ...]:
    text = TrainingText.model_validate({"selection": rule, "keep": keep, "seed": seed})
    return select(text, TEXTS, unasked)


@pytest.mark.parametrize("rule", ["random", "length", "diversity"])
def test_a_quarter_is_kept_in_its_order(rule: str) -> None:
    found = chosen(rule)
    assert len(found) == 25
    assert list(found) == sorted(found, key=TEXTS.index)
    assert chosen(rule) == found


def test_everything_is_kept_without_asking() -> None:
    assert select(TrainingText(selection="perplexity"), TEXTS, unasked) == TEXTS


def test_random_follows_its_seed() -> None:
    assert chosen("random", seed=1) != chosen("random", seed=2)


def test_length_keeps_the_longest() -> None:
    found = chosen("length")
    shortest = min(len(text) for text in found)
    assert all(len(text) <= shortest for text in set(TEXTS) - set(found))


def test_perplexity_keeps_the_middle() -> None:
    text = TrainingText(selection="perplexity", keep=0.5)
    found = select(text, TEXTS, lambda texts: [float(i) for i in range(len(texts))])
    assert found == TEXTS[25:75]


def test_ties_are_not_broken_by_place() -> None:
    assert middle([1.0] * 4, [0.4, 0.1, 0.3, 0.2], 2) == [3, 2]


def test_vectors_have_length_one_and_rare_words_count_more() -> None:
    found = words(["the harbour", "the orchard", "the the violin", "..."])
    assert np.linalg.norm(found[:3], axis=1) == pytest.approx([1, 1, 1])
    assert not found[3].any()
    assert (found[0] * found[1]).sum() < 0.2  # only the common word is shared


def test_diversity_takes_one_of_each_cluster() -> None:
    """Three directions, the first crowded; three choices must cover all of them."""
    vectors = np.zeros((12, 3))
    vectors[:10, 0] = 1
    vectors[:10, 1] = np.linspace(0, 0.1, 10)
    vectors[10, 1] = vectors[11, 2] = 1
    found = apart(vectors, 3)
    assert found[0] < 10
    assert set(found[1:]) == {10, 11}
    assert sorted(apart(vectors, 12)) == list(range(12))


def test_perplexity_is_the_mean_loss_of_the_first_tokens(parent: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(parent, local_files_only=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(parent, local_files_only=True)
    texts = ["The kettle.", "A much longer sentence about the harbour. " * 9, "x", ""]
    found = perplexity_by(model, tokenizer)(texts)
    for text, loss in zip(texts[:2], found[:2], strict=True):
        ids = torch.tensor([tokenizer(text).input_ids[:65]])
        with torch.inference_mode():
            expected = float(model(ids, labels=ids).loss)
        assert loss == pytest.approx(expected, rel=1e-4)
    assert found[2:] == [0.0, 0.0]  # nothing comes after their first token
