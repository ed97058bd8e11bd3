"""A small typed layer over onnxruntime-genai: a model, and one sequence in its cache.

Tried with 0.18 on the CPU: logits do not depend on how many tokens are handed over at a time, bit
by bit, but for a single one, which other kernels compute (float32: 5e-5 apart; int4 weights: up
to 0.9 on random tokens, since there activations are rounded otherwise). So what is scored is
never handed over singly, and then going back in the sequence is exact.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime_genai as genai

from slmbench.backends.protocol import BackendError
from slmbench.prefix_tree import Ids, common
from slmbench.records import Status

Logits = npt.NDArray[np.float32]

PIECE = 128
"""Tokens of one pass where logits are read: bounds them to so many times the vocabulary."""
_NO_MEMORY = ("allocate", "bad_alloc", "out of memory", "cannot allocate")


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How a model is run."""

    context: int
    """Tokens of the cache, which is allocated at once."""
    threads: int
    arena: bool
    """Memory that was freed is kept for the next pass."""
    prepack: bool
    """Weights are laid out for the kernels when they are loaded."""
    pad: int
    """Token that fills up the shorter rows of a batch; may stand in none of them."""

    def overlay(self) -> str:
        """As changes of ``genai_config.json``."""
        quiet = os.environ.get("OMP_WAIT_POLICY") == "PASSIVE"
        session = {
            "intra_op_num_threads": self.threads,
            "inter_op_num_threads": 1,
            "enable_cpu_mem_arena": self.arena,
            "session.disable_prepacking": "0" if self.prepack else "1",
            "session.intra_op.allow_spinning": "0" if quiet else "1",
        }
        # the end is decided by us: an engine that ends a row fills it up with padding
        model = {"decoder": {"session_options": session}, "pad_token_id": self.pad}
        return json.dumps({"model": {**model, "eos_token_id": self.pad}})


class OnnxModel:
    """Weights and graph of one folder."""

    def __init__(self, path: Path, settings: SessionSettings) -> None:
        """Raises BackendError: oom when memory was refused, else invalid."""
        self.settings = settings
        try:
            config = genai.Config(str(path))
            config.clear_providers()  # the CPU, whatever the folder was made for
            config.overlay(settings.overlay())
            self.handle: Any = genai.Model(config)
        except (RuntimeError, MemoryError) as error:
            reason = f"{path.name}: onnxruntime cannot load it: {_first_line(error)}"
            if _no_memory(error):
                hint = "raise the target's memory limit or use a smaller variant"
                raise BackendError(Status.OOM, reason, hint) from error
            hint = "the folder is damaged, or of another version: export it again"
            raise BackendError(Status.INVALID, reason, hint) from error

    def generator(self, rows: int) -> Any:
        """An empty cache for so many sequences; BackendError (oom) where there is no room."""
        params = genai.GeneratorParams(self.handle)
        params.set_search_options(
            max_length=self.settings.context, batch_size=rows, do_sample=False
        )
        try:
            return genai.Generator(self.handle, params)
        except (RuntimeError, MemoryError) as error:
            raise _failed(error) from error


class OnnxSession:
    """One sequence of tokens in the cache."""

    def __init__(self, model: OnnxModel) -> None:
        self.model = model
        self._generator = model.generator(1)
        self._held: Ids = ()
        self._together = 0
        """How many first tokens were evaluated in passes of several."""

    @property
    def held(self) -> int:
        """Tokens in the cache."""
        return len(self._held)

    def keep(self, length: int) -> None:
        """Forget all but the first ``length`` tokens."""
        if length < len(self._held):
            self._generator.rewind_to(length)
            self._held = self._held[:length]
        self._together = min(self._together, length)

    def append(self, tokens: Ids) -> None:
        """Evaluate the tokens in one pass."""
        try:
            self._generator.append_tokens(np.asarray(tokens, dtype=np.int32))
        except (RuntimeError, MemoryError) as error:
            raise _failed(error) from error
        if len(tokens) > 1 and self._together == len(self._held):
            self._together += len(tokens)
        self._held += tokens

    def last(self) -> Logits:
        """Logits after the last token, shape (vocabulary,)."""
        row: Logits = self._generator.get_logits()[0, 0]
        return row

    def rows(self, count: int) -> Logits:
        """Logits after the last ``count`` tokens of the last pass, shape (count, vocabulary)."""
        found = self._generator.get_output("logits")[0]
        if len(found) < count:
            raise BackendError(
                Status.UNSUPPORTED,
                "this export computes logits of the last token only",
                "export it without prune_lm_head to score texts with it",
            )
        some: Logits = found[-count:].astype(np.float32, copy=False)
        return some

    def after(self, fed: Ids, first: int) -> Iterator[Logits]:
        """Logits after each token of ``fed`` from number ``first`` on, a piece at a time.

        What the cache holds already is evaluated again only as far as its logits are wanted, or
        where it was evaluated token by token.
        """
        start = min(common(self._held, fed), first, self._together)
        if start == len(fed) - 1:
            start = max(0, start - 1)  # never a single token
        self.keep(start)
        for stop in _cuts(start, len(fed)):
            self.append(fed[self.held : stop])
            wanted = stop - max(first, start)
            if wanted > 0:
                yield self.rows(wanted)
            start = stop


def _cuts(start: int, stop: int) -> Iterator[int]:
    """Ends of the pieces, none of which is a single token unless it is the only one."""
    at = start
    while at < stop:
        end = min(at + PIECE, stop)
        if stop - end == 1:
            end -= 1
        yield end
        at = end


def softmax_of(rows: Logits) -> Logits:
    """Float32 log-softmax of each row."""
    with np.errstate(all="ignore"):
        shifted = rows - rows.max(1, keepdims=True)
        found: Logits = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return found


def engine_version() -> str:
    """``onnxruntime-genai 0.18.0, onnxruntime 1.31.1``."""
    told = [f"onnxruntime-genai {genai.__version__}"]
    with suppress(PackageNotFoundError):  # a build with the runtime inside
        told.append(f"onnxruntime {version('onnxruntime')}")
    return ", ".join(told)


def batch_logits(generator: Any, rows: int) -> Logits:
    """Logits after the last token of each row of a batch."""
    found: Logits = np.asarray(generator.get_logits())[:rows, 0]
    return found


def filled(rows: Sequence[Ids], pad: int) -> npt.NDArray[np.int32]:
    """The rows one after the other, the shorter ones filled up on the right."""
    width = max(map(len, rows))
    return np.asarray(
        [(*row, *(pad,) * (width - len(row))) for row in rows], dtype=np.int32
    ).ravel()


def _failed(error: BaseException) -> BackendError:
    if _no_memory(error):
        return BackendError(
            Status.OOM,
            f"out of memory: {_first_line(error)}",
            "raise the target's memory limit, shorten the context or use a smaller variant",
        )
    return BackendError(Status.CRASHED, f"onnxruntime: {_first_line(error)}")


def _no_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(mark in text for mark in _NO_MEMORY)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]
