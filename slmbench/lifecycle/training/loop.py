"""The one training loop: AdamW over packed rows for a budget of tokens.

The rate rises linearly over the first part of the steps and falls along a half cosine to a tenth
(Loshchilov & Hutter, arXiv 1608.03983). AdamW (arXiv 1711.05101) with betas 0.9 and 0.95, as for
other models of this kind that train briefly (arXiv 2005.14165); matrices decay, vectors do not.
Gradients are clipped to norm 1. A step's rows go through the model in parts whose logits fit into
128 MiB, which changes no result but the last bits. Validation computes in the type that training
does.

With the same seed, thread count, library versions and processor the weights are the same bit for
bit, interrupted or not.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from slmbench.errors import ArtefactError, InterruptedRunError
from slmbench.lifecycle.training.checkpoint import Checkpoints, Position, Signals
from slmbench.lifecycle.training.validation import (
    Forward,
    HeldOut,
    computing,
    logits_of,
    rows_of,
)
from slmbench.lifecycle.workbench import Workbench
from slmbench.made import CurvePoint
from slmbench.spec.base import digest_of
from slmbench.spec.recipes.training import Train

_BETAS = (0.9, 0.95)
_MAX_GRADIENT = 1.0
_FLOOR = 0.1
_REPORT_S = 10.0


class Objective(Protocol):
    """What is made small."""

    def loss(self, model: Any, rows: torch.Tensor) -> torch.Tensor:
        """Mean loss of rows of ids [n, length + 1], a scalar with a graph [nats/token]."""


class Hook:
    """What looks on while a model is trained; this one does nothing. Derive from it."""

    def before_update(self, step: int) -> None:
        """Gradients of step ``step`` (from 0) are there, clipped; weights are as before."""

    def after_step(self, step: int) -> str:
        """Weights are updated and gradients gone. A text that is not empty ends the training."""
        return ""

    def state(self) -> Mapping[str, torch.Tensor]:
        """What a checkpoint must hold besides weights."""
        return {}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on with what :meth:`state` gave, before the first step after an interruption."""


@dataclass(frozen=True, slots=True)
class TextLoss:
    """Cross-entropy of the next token, all tokens alike."""

    forward: Forward = logits_of

    def loss(self, model: Any, rows: torch.Tensor) -> torch.Tensor:
        """As :class:`Objective`."""
        logits = self.forward(model, rows[:, :-1])
        return torch.nn.functional.cross_entropy(
            logits.float().flatten(0, 1), rows[:, 1:].flatten()
        )


@dataclass(frozen=True, slots=True)
class Task:
    """One training: a model whose trainable parameters require gradients, and what on."""

    model: Any
    rows: torch.Tensor
    """Ids [rows, length + 1], see :mod:`.packing`."""
    recipe: Train
    bench: Workbench
    objective: Objective = field(default_factory=TextLoss)
    held_out: HeldOut | None = None
    """None: no validation, hence a curve without."""
    forward: Forward = logits_of
    """Of validation."""
    hooks: Sequence[Hook] = ()
    keep: bool = True
    """Whether checkpoints are written and read."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How it went."""

    curve: tuple[CurvePoint, ...]
    steps: int
    tokens: int
    """That a loss was taken of."""
    sequences: int
    interruptions: int
    stopped: str
    """Why it ended before its budget; empty: it did not."""


def train(task: Task) -> Ended:
    """Run all steps; updates ``task.model`` in place and leaves it in evaluation mode.

    Raises ArtefactError for a loss that is no number, InterruptedRunError on SIGTERM or SIGINT,
    after a checkpoint was written.
    """
    running = _Running(task)
    with Signals() as signals:
        running.resume()
        while running.step < running.steps and not running.stopped:
            running.one_step(signals)
            running.keep_if_due()
    task.model.eval()
    recipe, done = task.recipe, running.step
    return Ended(
        curve=tuple(running.curve),
        steps=done,
        tokens=done * recipe.batch * recipe.sequence,
        sequences=done * recipe.batch,
        interruptions=running.interruptions,
        stopped=running.stopped,
    )


def steps_of(recipe: Train) -> int:
    """Whole steps that the budget pays for."""
    return recipe.tokens // (recipe.batch * recipe.sequence)


def rate(step: int, steps: int, warmup: float) -> float:
    """Share of the highest learning rate in that step (from 0).

    >>> [round(rate(s, 5, 0.4), 2) for s in range(5)]
    [0.5, 1.0, 1.0, 0.55, 0.1]
    """
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    way = (step - rising) / max(1, steps - 1 - rising)
    return _FLOOR + (1 - _FLOOR) * (1 + math.cos(math.pi * way)) / 2


def validated(steps: int, points: int) -> frozenset[int]:
    """Numbers of steps done at which validation loss is taken: evenly, 0 and the last included.

    >>> sorted(validated(10, 4))
    [0, 3, 7, 10]
    """
    return frozenset(round(i * steps / (points - 1)) for i in range(points))


class _Running:
    """A training between its first step and its last."""

    def __init__(self, task: Task) -> None:
        recipe = task.recipe
        self.task = task
        self.steps = steps_of(recipe)
        self.step = 0
        self.stopped = ""
        self.curve: list[CurvePoint] = []
        self.interruptions = 0
        self._seconds = 0.0
        self._nats, self._since = 0.0, 0
        self._told = time.monotonic()
        self._told_step = 0
        self._points = validated(self.steps, recipe.validations)
        named = {n: p for n, p in task.model.named_parameters() if p.requires_grad}
        self._weights = list(named.values())
        self._optimiser = torch.optim.AdamW(
            _groups(self._weights, recipe.weight_decay), lr=recipe.learning_rate, betas=_BETAS
        )
        self._purpose = _purpose(task)
        place = task.bench.checkpoints if task.keep else None
        self._checkpoints = Checkpoints(place, named, self._optimiser, tuple(task.hooks))
        torch.manual_seed(recipe.seed)

    def resume(self) -> None:
        """Go on where a checkpoint was taken; else take the first validation loss."""
        if (found := self._checkpoints.read(self._purpose)) is None:
            self._point(None)
        else:
            self.step, self.stopped = found.step, found.stopped
            self.curve = list(found.curve)
            self.interruptions = found.interruptions + 1
            self._seconds, self._nats, self._since = found.seconds, found.nats, found.since
            self.task.bench.report(f"going on after step {self.step} of {self.steps}")
        self._told_step = self.step
        self.task.model.train()

    def one_step(self, signals: Signals) -> None:
        """Gradients of one batch, and the update; on a signal the step is given up."""
        begun = time.monotonic()
        recipe = self.task.recipe
        loss = self._gradients(signals)
        torch.nn.utils.clip_grad_norm_(self._weights, _MAX_GRADIENT)
        for hook in self.task.hooks:
            hook.before_update(self.step)
        now = recipe.learning_rate * rate(self.step, self.steps, recipe.warmup)
        for group in self._optimiser.param_groups:
            group["lr"] = now
        self._optimiser.step()
        self._optimiser.zero_grad()
        for hook in self.task.hooks:
            self.stopped = self.stopped or hook.after_step(self.step)
        self.step += 1
        self._seconds += time.monotonic() - begun
        self._nats, self._since = self._nats + loss, self._since + 1
        if self.step in self._points or self.stopped:
            self._point(self._nats / self._since)
        elif time.monotonic() - self._told >= _REPORT_S:
            self._tell(self._nats / self._since)

    def keep_if_due(self) -> None:
        """A checkpoint, when the last one is a minute old."""
        if self.step < self.steps and self._checkpoints.due():
            self._checkpoints.write(self._position())

    def _gradients(self, signals: Signals) -> float:
        """Of one batch, part by part; its mean loss."""
        rows = self.task.rows[_batch(self.step, len(self.task.rows), self.task.recipe)]
        at_once = rows_of(rows, self.task.model)
        total = 0.0
        for part in rows.split(at_once):
            if signals.seen:
                self._give_up()
            with computing(self.task.recipe.compute):
                loss = self.task.objective.loss(self.task.model, part) * (len(part) / len(rows))
            loss.backward()
            total += float(loss.detach())
        if not math.isfinite(total):
            raise ArtefactError(
                f"the loss is no number any more, in step {self.step + 1} of {self.steps}",
                hint="lower learning_rate, or compute in float32",
            )
        return total

    def _give_up(self) -> None:
        self._checkpoints.write(self._position())
        raise InterruptedRunError(
            f"training was interrupted after step {self.step} of {self.steps}",
            hint="run it again: it goes on from there",
        )

    def _point(self, loss: float | None) -> None:
        held_out = self.task.held_out
        with computing(self.task.recipe.compute):
            taken = held_out.loss(self.task.model, self.task.forward) if held_out else None
        tokens = self.step * self.task.recipe.batch * self.task.recipe.sequence
        self.curve.append(
            CurvePoint(
                step=self.step, tokens=tokens, seconds=self._seconds, loss=loss, validation=taken
            )
        )
        self._nats, self._since = 0.0, 0
        self._tell(loss)

    def _tell(self, loss: float | None) -> None:
        """A line for people: where it stands, how fast, how long it will take."""
        now = time.monotonic()
        self._told = now
        words = [f"step {self.step} of {self.steps}"]
        if loss is not None:
            words.append(f"loss {loss:.3f}")
        if self.curve and self.curve[-1].step == self.step:
            taken = self.curve[-1].validation
            words += [] if taken is None else [f"validation {taken:.4f} nats/byte"]
        if self.step and self._seconds:
            recipe = self.task.recipe
            speed = self.step / self._seconds
            left = (self.steps - self.step) / speed
            words.append(f"{speed * recipe.batch * recipe.sequence:.0f} tokens/s")
            words += [f"{left:.0f} s left"] if self.step < self.steps else []
        self.task.bench.report(", ".join(words))

    def _position(self) -> Position:
        return Position(
            step=self.step,
            curve=tuple(self.curve),
            interruptions=self.interruptions,
            seconds=self._seconds,
            nats=self._nats,
            since=self._since,
            stopped=self.stopped,
            purpose=self._purpose,
        )


def _purpose(task: Task) -> str:
    """Digest of recipe and rows."""
    rows = hashlib.sha256(task.rows.numpy().tobytes()).hexdigest()
    return hashlib.sha256(f"{digest_of(task.recipe)} {rows}".encode()).hexdigest()


def _groups(weights: Sequence[torch.Tensor], decay: float) -> list[dict[str, Any]]:
    """Matrices decay; norms and biases do not."""
    parts = [
        {"params": [p for p in weights if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [part for part in parts if part["params"]]


def _batch(step: int, rows: int, recipe: Train) -> torch.Tensor:
    """Row numbers of that step: every row once in an order of its own, then all again."""
    first = step * recipe.batch
    chosen: list[int] = []
    while len(chosen) < recipe.batch:
        turn, offset = divmod(first + len(chosen), rows)
        order = _order(recipe.seed, turn, rows)
        chosen += order[offset : offset + recipe.batch - len(chosen)]
    return torch.tensor(chosen)


def _order(seed: int, turn: int, rows: int) -> list[int]:
    made = torch.Generator().manual_seed((seed * 1_000_003 + turn) % (1 << 63))
    found: list[int] = torch.randperm(rows, generator=made).tolist()
    return found
