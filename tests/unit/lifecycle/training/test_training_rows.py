"""Packing and validation: every token once, nats per byte by hand."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs torch")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from slmbench.errors import ArtefactError
from slmbench.lifecycle.training import validation
from slmbench.lifecycle.training.packing import pack, stream
from slmbench.lifecycle.training.text import Corpus
from slmbench.lifecycle.training.validation import held_out

pytestmark = pytest.mark.engine


class Letters:
    """A token a letter; ``end`` behind every text where ``adds``."""

    eos_token_id: int | None = 0

    def __init__(self, *, adds: bool = False) -> None:
        self._adds = adds

    def __call__(self, text: str) -> Any:
        return SimpleNamespace(input_ids=[ord(c) for c in text] + [0] * self._adds)


@pytest.mark.parametrize("adds", [False, True])
def test_texts_are_joined_by_one_end_token(adds: bool) -> None:
    assert stream(Letters(adds=adds), ["ab", "c"]) == [0, 97, 98, 0, 99, 0]


def test_rows_share_one_id_and_score_every_token_once() -> None:
    packed = pack(Letters(), ["abcdefg"], 3)
    assert packed.rows.tolist() == [[0, 97, 98, 99], [99, 100, 101, 102]]
    assert packed.tokens == 8  # g and the last end token do not fill a row


def test_less_than_a_row_is_an_error() -> None:
    with pytest.raises(ArtefactError, match="the text has 3 tokens, less than one row of 4"):
        pack(Letters(), ["ab"], 4)


def test_a_tokenizer_without_an_end_is_an_error() -> None:
    endless = Letters()
    endless.eos_token_id = None
    with pytest.raises(ArtefactError, match="no end token"):
        pack(endless, ["ab"], 4)


@pytest.mark.parametrize("logits", [1, 1 << 25])
def test_nats_per_byte_by_hand(parent: Path, monkeypatch: pytest.MonkeyPatch, logits: int) -> None:
    """The same however many rows go at once, and end tokens are not counted."""
    monkeypatch.setattr(validation, "_LOGITS", logits)
    model = AutoModelForCausalLM.from_pretrained(parent, local_files_only=True).train()
    tokenizer = AutoTokenizer.from_pretrained(parent, local_files_only=True)
    texts = ("The kettle is née here.", "And the meadow, too.")
    found = held_out(tokenizer, Corpus((), texts, ("here",)), 8)
    ids = stream(tokenizer, texts)
    nats = 0.0
    with torch.inference_mode():
        for start in range(0, len(ids) - 1, 8):
            row = torch.tensor([ids[start : start + 9]])
            logps = model.eval()(row).logits[0].log_softmax(-1)
            for i, token in enumerate(row[0, 1:].tolist()):
                nats -= float(logps[i, token]) if token != ids[0] else 0.0
    model.train()
    expected = nats / sum(len(text.encode()) for text in texts)
    assert found.loss(model) == pytest.approx(expected, rel=1e-5)
    assert model.training
    assert int(found.counted.sum()) == len(ids) - 3  # two ends, and the one in front
    assert found.facts.tokens == len(ids) - 1


def test_chance_is_the_logarithm_of_the_vocabulary(parent: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(parent, local_files_only=True)
    found = held_out(tokenizer, Corpus((), ("12345678",), ()), 4)  # digits are tokens of a byte

    def flat(_: Any, ids: torch.Tensor) -> torch.Tensor:
        return torch.zeros(*ids.shape, len(tokenizer))

    model = AutoModelForCausalLM.from_pretrained(parent, local_files_only=True)
    assert found.loss(model, flat) == pytest.approx(math.log(len(tokenizer)))
