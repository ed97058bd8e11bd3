"""Checkpoints of a training: what it needs to go on as if it had not been interrupted.

::

    <bench.checkpoints>/step-<n>/   state.safetensors   trained weights, moments, hooks' tensors
                                    position.json       step, curve; written last

Trained weights, AdamW's moments and the random generator's state are tensors, all else is JSON;
there are no pickles. A checkpoint is written into a hidden folder and renamed, then older ones are
removed, so one that is whole is always there. The folder belongs to one identity (recipe and
parents); a checkpoint of another recipe or text, or whose tensors have other names or shapes, is
not taken up.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Protocol, Self

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from slmbench.made import CurvePoint
from slmbench.spec import Frozen

EVERY_S = 60.0
"""So long after a checkpoint the next one is due …"""
_SHARE = 20
"""… unless writing takes more than a twentieth of that time; then it comes so much later."""
_TENSORS = "state.safetensors"
_POSITION = "position.json"
_RANDOM = "random"


class Position(Frozen):
    """Where a training stands, its tensors left out."""

    step: int
    """Steps done."""
    curve: tuple[CurvePoint, ...]
    interruptions: int
    seconds: float
    nats: float
    """Sum of the losses of the steps since the last point of the curve."""
    since: int
    """How many steps that are."""
    stopped: str = ""
    purpose: str
    """Digest of recipe and text: a checkpoint of another training is not taken up."""


class Stateful(Protocol):
    """A hook of the loop, as far as checkpoints know it."""

    def state(self) -> Mapping[str, torch.Tensor]:
        """Tensors to keep."""

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take them back."""


class Checkpoints:
    """Writer and reader of one training's checkpoints; with no folder it does neither."""

    def __init__(
        self,
        folder: Path | None,
        weights: Mapping[str, torch.Tensor],
        optimiser: torch.optim.Optimizer,
        hooks: Sequence[Stateful] = (),
    ) -> None:
        self._folder = folder
        self._weights = weights
        self._optimiser = optimiser
        self._hooks = hooks
        self._last = time.monotonic()
        self._took = 0.0

    def due(self) -> bool:
        """Whether it is time for the next one."""
        waited = time.monotonic() - self._last
        return self._folder is not None and waited >= max(EVERY_S, _SHARE * self._took)

    def write(self, position: Position) -> None:
        """Keep everything; appears whole or not at all."""
        if self._folder is None:
            return
        begun = time.monotonic()
        final = self._folder / f"step-{position.step}"
        partial = self._folder / f".partial-{os.getpid()}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        save_file(self._tensors(), partial / _TENSORS)
        (partial / _POSITION).write_text(position.model_dump_json() + "\n", "utf-8")
        for file in partial.iterdir():
            _sync(file)
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        for other in self._folder.iterdir():
            if other != final and other.name.startswith(("step-", ".partial-")):
                shutil.rmtree(other, ignore_errors=True)
        self._last = time.monotonic()
        self._took = self._last - begun

    def read(self, purpose: str) -> Position | None:
        """Take up the newest checkpoint of that purpose that is whole; None where there is none."""
        if self._folder is None:
            return None
        found = sorted(self._folder.glob("step-*"), key=_number, reverse=True)
        taken = (self._take(folder, purpose) for folder in found)
        return next((position for position in taken if position is not None), None)

    def _take(self, folder: Path, purpose: str) -> Position | None:
        try:
            position = Position.model_validate_json((folder / _POSITION).read_bytes())
            if position.purpose != purpose:
                return None
            tensors = load_file(folder / _TENSORS)
        except (OSError, ValidationError, SafetensorError):
            return None
        return position if self._restore(tensors) else None

    def _tensors(self) -> dict[str, torch.Tensor]:
        found = {f"weight.{name}": p.detach() for name, p in self._weights.items()}
        for name, parameter in self._weights.items():
            for kind, value in self._optimiser.state.get(parameter, {}).items():
                found[f"moment.{name}.{kind}"] = value
        for i, hook in enumerate(self._hooks):
            found |= {f"hook.{i}.{name}": value for name, value in hook.state().items()}
        found[_RANDOM] = torch.get_rng_state()
        return {name: value.contiguous() for name, value in found.items()}

    def _restore(self, tensors: dict[str, torch.Tensor]) -> bool:
        """Put everything back; False, and nothing changed, where it is another model's."""
        wanted = {f"weight.{name}": p.shape for name, p in self._weights.items()}
        there = {n: t.shape for n, t in tensors.items() if n.startswith("weight.")}
        if wanted != there or _RANDOM not in tensors:
            return False
        with torch.no_grad():
            for name, parameter in self._weights.items():
                parameter.copy_(tensors[f"weight.{name}"])
                moments = _below(tensors, f"moment.{name}.")
                if moments:
                    self._optimiser.state[parameter] = dict[str, Any](moments)
        for i, hook in enumerate(self._hooks):
            hook.restore(_below(tensors, f"hook.{i}."))
        torch.set_rng_state(tensors[_RANDOM])
        return True


class Signals:
    """While open, SIGTERM and SIGINT are noted instead of ending the process."""

    def __init__(self) -> None:
        self.seen = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.seen = True


def _below(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _number(folder: Path) -> int:
    end = folder.name.removeprefix("step-")
    return int(end) if end.isdigit() else -1


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
