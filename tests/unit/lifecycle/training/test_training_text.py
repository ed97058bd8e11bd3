"""Passages: each once, a part held out by its own words, facts about what was read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from small_training import PASSAGES, write_passages

from slmbench.errors import ArtefactError, MissingDataError
from slmbench.lifecycle.calibration_text import calibration_text, sample, text_facts
from slmbench.lifecycle.training.text import key, read_corpus, split
from slmbench.spec.recipes.quantization import Calibration
from slmbench.spec.recipes.training import TrainingText

TEXTS = tuple(f"passage number {i}" for i in range(4000))


def test_a_share_is_held_out_and_nothing_is_in_both() -> None:
    kept, out = split(TEXTS, 0.05)
    assert set(kept) | set(out) == set(TEXTS)
    assert not set(kept) & set(out)
    assert 140 < len(out) < 260  # 200 of 4000, within 4 standard deviations
    assert list(kept) == sorted(kept, key=TEXTS.index)
    assert list(out) == sorted(out, key=key)


def test_what_is_held_out_follows_from_the_text_alone() -> None:
    _, out = split(TEXTS, 0.05)
    _, again = split(reversed(TEXTS[:1000]), 0.05)
    assert set(again) == set(out) & set(TEXTS[:1000])
    _, more = split(TEXTS, 0.2)
    assert set(out) < set(more)


def test_texts_that_differ_in_case_and_spaces_are_one() -> None:
    kept, out = split(["One  two", "one two ", "ONE TWO", "three", "  "], 0.0)
    assert (kept, out) == (("One  two", "three"), ())


def test_the_same_passages_in_two_sets_are_read_once() -> None:
    both = read_corpus(TrainingText(passages=("boolq", "squad"), held_out=0.2))
    one = read_corpus(TrainingText(passages=("boolq",), held_out=0.2))
    assert both.texts == one.texts
    assert both.held_out == one.held_out
    assert len(both.sources) == 2
    assert both.sources[1].startswith("squad: local folder, sha256 ")
    assert set(one.texts) < set(PASSAGES)


def test_validation_reads_so_many_bytes_of_cut_passages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_passages(tmp_path / "boolq", [f"{i} " + "word " * 500 for i in range(30)])
    monkeypatch.setenv("SLMBENCH_DATA", str(tmp_path))
    found = read_corpus(TrainingText(passages=("boolq",), held_out=0.5, validation_bytes=2500))
    assert [len(text) for text in found.held_out] == [1000, 1000, 1000]
    assert all(len(text) > 2000 for text in found.texts)


def test_too_few_passages_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_passages(tmp_path / "boolq", ["only one"])
    monkeypatch.setenv("SLMBENCH_DATA", str(tmp_path))
    with pytest.raises(ArtefactError, match="boolq: 1 passages to train on and 0 to validate"):
        read_corpus(TrainingText(passages=("boolq",), held_out=0.001))


def test_facts_digest_the_texts_in_their_order() -> None:
    facts = text_facts(["a", "né"], ("here",), 7)
    parts = b"".join(hashlib.sha256(text.encode()).digest() for text in ("a", "né"))
    assert facts.sha256 == hashlib.sha256(parts).hexdigest()
    assert (facts.texts, facts.tokens, facts.bytes) == (2, 7, 4)
    assert text_facts(["né", "a"], (), 7).sha256 != facts.sha256
    assert text_facts(["an", "é"], (), 7).sha256 != facts.sha256


def test_calibration_text_is_a_seeded_sample() -> None:
    wanted = Calibration(data="boolq", texts=5)
    texts, sources = calibration_text(wanted)
    assert texts == [PASSAGES[i] for i in sample(len(PASSAGES), 5, 1234)]
    assert calibration_text(wanted)[0] == texts
    assert calibration_text(wanted.model_copy(update={"seed": 2}))[0] != texts
    assert sources[0].startswith("boolq: local folder, sha256 ")


def test_a_set_that_nobody_has_is_missing_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MissingDataError, match="no source has the data set 'bbq'"):
        read_corpus(TrainingText(passages=("bbq",)))
