"""White-box distillation: the loss by hand, and teachers that do not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs torch")

import torch
from small_training import bench, recipe
from transformers import AutoModelForCausalLM

from slmbench.errors import ArtefactError
from slmbench.lifecycle.job import OtherInput
from slmbench.lifecycle.training import loop, train
from slmbench.lifecycle.training.distil import Distillation, divergence, load_teacher
from slmbench.made import TrainFacts
from slmbench.spec.recipes.training import Teacher
from tiny_smollm import edit_json, save_tiny_smollm, smollm_tokenizer

pytestmark = pytest.mark.engine
ROWS = torch.arange(40).view(2, 20) % 200


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model of the same vocabulary, with a wider layer inside."""
    return save_tiny_smollm(tmp_path_factory.mktemp("teacher"), seed=8, intermediate_size=160)


def given(path: Path, format_: str = "hf") -> OtherInput:
    return OtherInput(
        name="big",
        identity="i",
        sha256="b" * 64,
        path=str(path),
        format=format_,  # type: ignore[arg-type]
    )


def load(path: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(path, local_files_only=True).eval()


def test_divergence_by_its_definition() -> None:
    torch.manual_seed(1)
    ours, theirs = torch.randn(5, 7), torch.randn(5, 7)
    expected = 0.0
    for z, y in zip(ours.double(), theirs.double(), strict=True):
        p, q = torch.softmax(y / 3, 0), torch.softmax(z / 3, 0)
        expected += float((p * (p / q).log()).sum()) * 9 / 5
    assert float(divergence(ours, theirs, 3.0)) == pytest.approx(expected, rel=1e-5)
    assert float(divergence(theirs, ours, 3.0)) != pytest.approx(expected, rel=1e-2)
    assert float(divergence(ours, ours, 3.0)) == pytest.approx(0, abs=1e-6)


def test_loss_mixes_text_divergence_and_hidden_states(parent: Path, other: Path) -> None:
    student, teacher = load(parent), load(other)
    settings = Teacher(variant="big", temperature=2.0, weight=0.25, hidden=0.5)
    found = Distillation(teacher, settings).loss(student, ROWS)
    with torch.no_grad():
        ids, labels = ROWS[:, :-1], ROWS[:, 1:]
        mine = student(ids, output_hidden_states=True)
        theirs = teacher(ids, output_hidden_states=True)
        text = -mine.logits.log_softmax(-1).gather(-1, labels[..., None]).mean()
        p = (theirs.logits / 2).softmax(-1)
        q = (mine.logits / 2).softmax(-1)
        soft = 4 * (p * (p / q).log()).sum(-1).mean()
        x, y = mine.hidden_states[-1], theirs.hidden_states[-1]
        apart = ((x - y) ** 2).mean() / (y**2).mean()
        expected = 0.75 * text + 0.25 * soft + 0.5 * apart
    torch.testing.assert_close(found.detach(), expected, rtol=1e-4, atol=1e-5)
    assert found.requires_grad


def test_a_model_is_its_own_best_teacher(parent: Path) -> None:
    """With all weight on the divergence there is nothing to learn, and no gradient."""
    student = load(parent)
    whole = Distillation(load(parent), Teacher(variant="big", weight=1.0, hidden=1.0))
    loss = whole.loss(student, ROWS)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-5)
    assert max(float(p.grad.abs().max()) for p in student.parameters()) < 1e-4


def test_the_teacher_does_not_learn(parent: Path, other: Path) -> None:
    teacher = load_teacher(given(other), parent, Teacher(variant="big"))
    Distillation(teacher, Teacher(variant="big")).loss(load(parent), ROWS).backward()
    assert not any(p.requires_grad or p.grad is not None for p in teacher.parameters())
    assert not teacher.training


def test_distilling_brings_the_student_nearer_to_its_teacher(
    parent: Path, other: Path, tmp_path: Path
) -> None:
    asked = recipe(teacher={"variant": "big", "weight": 1.0}, tokens=40 * 128)
    at = bench(parent, tmp_path / "out")
    at = type(at)(at.made_from, at.out, 1, at.report, {"big": given(other)})
    product = train.make(asked, at)
    teacher, ids = load(other), ROWS[:, :-1]
    with torch.inference_mode():
        theirs = teacher(ids).logits.flatten(0, 1)
        before, after = (
            float(divergence(load(path)(ids).logits.flatten(0, 1), theirs, 1.0))
            for path in (parent, product.path)
        )
    assert after < 0.8 * before
    facts = product.facts
    assert isinstance(facts, TrainFacts)
    assert facts.training.teacher_sha256 == ("b" * 64,)


def test_another_vocabulary_is_refused_with_both_sizes(parent: Path, tmp_path: Path) -> None:
    tokens = len(smollm_tokenizer())
    big = save_tiny_smollm(tmp_path / "big", vocab_size=tokens + 8)
    with pytest.raises(ArtefactError, match=rf"big has {tokens + 8} tokens, the student {tokens}"):
        load_teacher(given(big), parent, Teacher(variant="big"))


def test_other_words_at_equal_size_are_refused(parent: Path, tmp_path: Path) -> None:
    big = save_tiny_smollm(tmp_path / "big")
    document = json.loads((big / "tokenizer.json").read_text())
    words = document["model"]["vocab"]
    words["!"], words['"'] = words['"'], words["!"]
    edit_json(big / "tokenizer.json", model=document["model"])
    with pytest.raises(ArtefactError, match=r"but others: token \d+ is another word"):
        load_teacher(given(big), parent, Teacher(variant="big"))


def test_hidden_states_of_other_sizes_are_refused(parent: Path, tmp_path: Path) -> None:
    big = save_tiny_smollm(tmp_path / "big", hidden_size=128)
    assert load_teacher(given(big), parent, Teacher(variant="big")).config.hidden_size == 128
    with pytest.raises(ArtefactError, match=r"64 \(student\) and 128 numbers \(teacher big\)"):
        load_teacher(given(big), parent, Teacher(variant="big", hidden=1.0))


def test_a_teacher_that_is_no_folder_is_refused(parent: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="big is of format gguf"):
        load_teacher(given(tmp_path / "big.gguf", "gguf"), parent, Teacher(variant="big"))


def test_a_teacher_and_parts_of_a_batch(
    parent: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The divergence is a mean over tokens: parts weighted by their rows give the whole."""
    student, settings = load(parent), Teacher(variant="big", hidden=0.0)
    whole = Distillation(load(other), settings)
    parts = [whole.loss(student, ROWS[i : i + 1]) / 2 for i in range(2)]
    torch.testing.assert_close(sum(parts), whole.loss(student, ROWS))
    assert loop.steps_of(recipe(tokens=129)) == 1
