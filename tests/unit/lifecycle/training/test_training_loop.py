"""The loop: its rate and order, that it learns, repeats itself, and goes on where it stopped."""

from __future__ import annotations

import math
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs torch")

import torch
from small_training import bench, recipe
from transformers import AutoModelForCausalLM, AutoTokenizer

from slmbench.errors import ArtefactError, InterruptedRunError
from slmbench.lifecycle.training import checkpoint, loop, validation
from slmbench.lifecycle.training.loop import Ended, Hook, Task, TextLoss
from slmbench.lifecycle.training.material import Material, material
from slmbench.spec.recipes.training import Train

pytestmark = pytest.mark.engine


def begin(
    parent: Path,
    out: Path,
    asked: Train | None = None,
    checkpoints: Path | None = None,
    **more: Any,
) -> Task:
    """A task on a fresh copy of the parent."""
    asked = asked or recipe()
    torch.set_num_threads(1)
    at = bench(parent, out, more.pop("told", None), checkpoints)
    model = AutoModelForCausalLM.from_pretrained(parent, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(parent, local_files_only=True)
    read: Material = material(asked, at, model, tokenizer)
    return Task(model, read.rows, asked, at, held_out=read.held_out, **more)


def weights(task: Task) -> dict[str, torch.Tensor]:
    return {n: p.detach().clone() for n, p in task.model.named_parameters()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


class StopAt(Hook):
    """Sends a signal, raises or ends the training after a step."""

    def __init__(self, step: int, how: str = "") -> None:
        self.step, self.how = step, how
        self.calls: list[str] = []

    def before_update(self, step: int) -> None:
        self.calls.append(f"before {step}")

    def after_step(self, step: int) -> str:
        self.calls.append(f"after {step}")
        if step == self.step and self.how == "raise":
            raise KeyError("dies")
        if step == self.step and self.how.startswith("SIG"):
            os.kill(os.getpid(), getattr(signal, self.how))
        return "enough" if step == self.step and not self.how else ""


# --- schedule and order ---------------------------------------------------------------------


def test_rate_rises_and_falls_along_a_cosine_to_a_tenth() -> None:
    rates = [loop.rate(step, 101, 0.1) for step in range(101)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[55] == pytest.approx(0.55)  # half-way: the mean of 1 and 0.1
    assert rates[-1] == pytest.approx(0.1)
    assert [loop.rate(0, 1, w) for w in (0.0, 0.05)] == [1.0, 1.0]


@pytest.mark.parametrize(("steps", "points"), [(1, 2), (1, 8), (7, 8), (64, 8)])
def test_validation_is_taken_first_and_last(steps: int, points: int) -> None:
    found = loop.validated(steps, points)
    assert {0, steps} <= found <= set(range(steps + 1))
    assert len(found) == min(points, steps + 1)


def test_every_row_once_before_any_comes_again() -> None:
    asked = recipe(batch=4)
    seen = [int(i) for step in range(15) for i in loop._batch(step, 10, asked)]
    for turn in range(6):
        assert sorted(seen[10 * turn : 10 * turn + 10]) == list(range(10))
    assert seen[:10] != seen[10:20]
    assert seen != [int(i) for s in range(15) for i in loop._batch(s, 10, recipe(seed=9))]
    assert sorted(loop._batch(0, 3, asked).tolist())[1:3] in ([0, 1], [1, 1], [1, 2], [0, 0])


# --- learning -------------------------------------------------------------------------------


def test_it_learns_and_says_how_far_it_is(parent: Path, tmp_path: Path) -> None:
    told: list[str] = []
    task = begin(parent, tmp_path / "out", told=told)
    ended = loop.train(task)
    assert (ended.steps, ended.sequences, ended.tokens) == (16, 64, 16 * 4 * 32)
    assert (ended.interruptions, ended.stopped) == (0, "")
    first, middle, last = ended.curve
    assert [p.step for p in ended.curve] == [0, 8, 16]
    assert [p.tokens for p in ended.curve] == [0, 1024, 2048]
    assert first.loss is None
    assert first.seconds == 0 < middle.seconds < last.seconds
    assert None not in (first.validation, last.validation, middle.loss, last.loss)
    assert last.validation < 0.7 * first.validation
    assert last.loss < middle.loss
    assert task.held_out is not None
    assert last.validation == pytest.approx(task.held_out.loss(task.model))
    assert not task.model.training
    assert told[-1].startswith("step 16 of 16, loss ")
    assert "tokens/s" in told[-1]
    assert "s left" in told[-2]


def test_one_step_is_adamw_with_clipped_gradients(parent: Path, tmp_path: Path) -> None:
    """Against the formula of AdamW for its first step: m/(√v + ε) is the sign of the gradient."""
    asked = recipe(tokens=128, weight_decay=0.5, learning_rate=0.01, validations=2)
    task = begin(parent, tmp_path / "out", asked)
    before = weights(task)
    rows = task.rows[loop._batch(0, len(task.rows), asked)]
    TextLoss().loss(task.model, rows).backward()
    grads = {n: p.grad.clone() for n, p in task.model.named_parameters()}
    norm = math.sqrt(sum(float(g.double().square().sum()) for g in grads.values()))
    task.model.zero_grad()
    loop.train(task)
    for name, after in weights(task).items():
        grad = grads[name] / max(1.0, norm)
        decay = 0.5 if before[name].ndim == 2 else 0.0
        step = grad / (grad.abs() + 1e-8)
        expected = before[name] * (1 - 0.01 * decay) - 0.01 * step
        sure = grad.abs() > 1e-5  # smaller ones are rounding
        torch.testing.assert_close(after[sure], expected[sure], atol=2e-5, rtol=1e-3)


def test_parts_of_a_batch_give_the_gradient_of_the_whole(
    parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = begin(parent, tmp_path / "a"), begin(parent, tmp_path / "b")
    one = loop.train(whole)
    monkeypatch.setattr(validation, "_LOGITS", 1)
    other = loop.train(parts)
    assert validation.rows_of(parts.rows, parts.model) == 1
    for a, b in zip(one.curve, other.curve, strict=True):
        assert a.validation == pytest.approx(b.validation, rel=2e-3)


def test_same_seed_same_weights(parent: Path, tmp_path: Path) -> None:
    found = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        task = begin(parent, tmp_path / name, recipe(seed=seed))
        loop.train(task)
        found.append(weights(task))
    assert equal(found[0], found[1])
    assert not equal(found[0], found[2])


def test_bfloat16_learns_the_same_within_its_precision(parent: Path, tmp_path: Path) -> None:
    curves = [
        loop.train(begin(parent, tmp_path / how, recipe(compute=how))).curve
        for how in ("float32", "bfloat16")
    ]
    assert curves[0][-1].validation == pytest.approx(curves[1][-1].validation, rel=0.05)
    assert curves[0] != curves[1]


def test_a_loss_that_is_no_number_is_an_error(parent: Path, tmp_path: Path) -> None:
    class Broken:
        def loss(self, model: Any, rows: torch.Tensor) -> torch.Tensor:
            return TextLoss().loss(model, rows) * float("nan")

    task = begin(parent, tmp_path / "out", objective=Broken())
    with pytest.raises(ArtefactError, match="no number any more, in step 1 of 16"):
        loop.train(task)


def test_a_hook_sees_gradients_and_may_stop(parent: Path, tmp_path: Path) -> None:
    class Looks(StopAt):
        grads = 0.0

        def before_update(self, step: int) -> None:
            super().before_update(step)
            self.grads = float(task.model.lm_head.weight.grad.abs().sum())

    hook = Looks(2)
    task = begin(parent, tmp_path / "out", hooks=(hook,))
    ended = loop.train(task)
    assert hook.calls == [f"{when} {i}" for i in range(3) for when in ("before", "after")]
    assert hook.grads > 0
    assert (ended.steps, ended.stopped) == (3, "enough")
    assert ended.curve[-1].step == 3
    assert ended.curve[-1].validation is not None


# --- interruptions --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def straight(parent: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Weights and curve of a run that nothing interrupts; made when a test asks."""
    made: list[tuple[dict[str, torch.Tensor], Ended]] = []

    def run() -> tuple[dict[str, torch.Tensor], Ended]:
        if not made:
            task = begin(parent, tmp_path_factory.mktemp("straight"))
            ended = loop.train(task)
            made.append((weights(task), ended))
        return made[0]

    return run


def without_seconds(ended: Ended) -> list[tuple[Any, ...]]:
    return [(p.step, p.tokens, p.loss, p.validation) for p in ended.curve]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_keeps_a_checkpoint_and_the_next_run_ends_alike(
    parent: Path, tmp_path: Path, straight: Any, name: str
) -> None:
    """Bit for bit, with the moments of AdamW, in the middle between two points of the curve."""
    kept = tmp_path / "kept"
    before = signal.getsignal(getattr(signal, name))
    stopped = begin(parent, tmp_path / "a", checkpoints=kept, hooks=(StopAt(4, name),))
    with pytest.raises(InterruptedRunError, match="after step 5 of 16"):
        loop.train(stopped)
    assert signal.getsignal(getattr(signal, name)) is before
    assert [p.name for p in kept.iterdir()] == ["step-5"]
    assert {p.suffix for p in (kept / "step-5").iterdir()} == {".safetensors", ".json"}
    told: list[str] = []
    again = begin(parent, tmp_path / "b", checkpoints=kept, told=told, hooks=(StopAt(99),))
    ended = loop.train(again)
    assert told[0] == "going on after step 5 of 16"
    expected, alone = straight()
    assert equal(weights(again), expected)
    assert without_seconds(ended) == without_seconds(alone)
    assert ended.interruptions == 1


def test_a_process_that_dies_loses_what_came_after_its_last_checkpoint(
    parent: Path, tmp_path: Path, straight: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "EVERY_S", 0.0)
    monkeypatch.setattr(checkpoint, "_SHARE", 0)
    kept = tmp_path / "kept"
    with pytest.raises(KeyError, match="dies"):
        loop.train(begin(parent, tmp_path / "a", checkpoints=kept, hooks=(StopAt(9, "raise"),)))
    assert [p.name for p in kept.iterdir()] == ["step-9"]  # of its tenth step nothing is left
    again = begin(parent, tmp_path / "b", checkpoints=kept, hooks=(StopAt(99),))
    ended = loop.train(again)
    assert equal(weights(again), straight()[0])
    assert ended.interruptions == 1


def interrupted(parent: Path, folder: Path, asked: Train | None = None) -> Path:
    """A folder with a checkpoint after step 5."""
    kept = folder / "kept"
    with pytest.raises(InterruptedRunError):
        loop.train(
            begin(parent, folder / "a", asked, checkpoints=kept, hooks=(StopAt(4, "SIGTERM"),))
        )
    return kept


def test_what_is_half_written_is_not_taken_up(parent: Path, tmp_path: Path, straight: Any) -> None:
    kept = interrupted(parent, tmp_path)
    shutil.copytree(kept / "step-5", kept / "step-7")
    tensors = kept / "step-7" / "state.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-100])
    shutil.copytree(kept / "step-5", kept / "step-8")
    (kept / "step-8" / "position.json").unlink()
    shutil.copytree(kept / "step-5", kept / ".partial-1")
    told: list[str] = []
    task = begin(parent, tmp_path / "b", checkpoints=kept, told=told)
    loop.train(task)
    assert told[0] == "going on after step 5 of 16"
    assert equal(weights(task), straight()[0])


def test_another_recipes_checkpoint_is_not_taken_up(parent: Path, tmp_path: Path) -> None:
    kept = interrupted(parent, tmp_path, recipe(learning_rate=0.02))
    told: list[str] = []
    ended = loop.train(begin(parent, tmp_path / "b", checkpoints=kept, told=told))
    assert told[0].startswith("step 0 of 16")
    assert ended.interruptions == 0


def test_another_models_tensors_are_not_taken_up(parent: Path, tmp_path: Path) -> None:
    from tiny_smollm import save_tiny_smollm

    kept = interrupted(parent, tmp_path)
    other = save_tiny_smollm(tmp_path / "other", intermediate_size=128)
    told: list[str] = []
    loop.train(begin(other, tmp_path / "b", checkpoints=kept, told=told))
    assert told[0].startswith("step 0 of 16")


def test_hooks_go_on_with_their_tensors(parent: Path, tmp_path: Path) -> None:
    class Sums(StopAt):
        total = torch.zeros(1)

        def after_step(self, step: int) -> str:
            self.total = self.total + step
            return super().after_step(step)

        def state(self) -> dict[str, torch.Tensor]:
            return {"total": self.total}

        def restore(self, state: Any) -> None:
            self.total = state["total"]

    kept, last = tmp_path / "kept", Sums(99)
    with pytest.raises(InterruptedRunError):
        loop.train(begin(parent, tmp_path / "a", checkpoints=kept, hooks=(Sums(4, "SIGTERM"),)))
    loop.train(begin(parent, tmp_path / "b", checkpoints=kept, hooks=(last,)))
    assert float(last.total) == sum(range(16))


def test_without_a_folder_or_unwanted_nothing_is_kept(
    parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "EVERY_S", 0.0)
    monkeypatch.setattr(checkpoint, "_SHARE", 0)
    kept = tmp_path / "kept"
    asked = recipe(tokens=256)
    loop.train(begin(parent, tmp_path / "a", asked, checkpoints=kept, keep=False))
    loop.train(begin(parent, tmp_path / "b", asked))
    assert not kept.exists()


def test_checkpoints_come_every_minute_and_later_when_they_are_dear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    model = torch.nn.Linear(2, 2)
    kept = checkpoint.Checkpoints(
        tmp_path / "kept", dict(model.named_parameters()), torch.optim.AdamW(model.parameters())
    )
    now[0] += 59
    assert not kept.due()
    now[0] += 1
    assert kept.due()
    monkeypatch.setattr(checkpoint, "save_file", _slow(now, 5.0))
    kept.write(
        checkpoint.Position(
            step=1, curve=(), interruptions=0, seconds=1, nats=1, since=1, purpose="x"
        )
    )
    now[0] += 99
    assert not kept.due()  # five seconds are a twentieth of a hundred
    now[0] += 1
    assert kept.due()


def _slow(now: list[float], seconds: float) -> Any:
    def save(tensors: Any, path: Path) -> None:
        now[0] += seconds
        path.write_bytes(b"")

    return save
