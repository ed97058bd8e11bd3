"""Timed decoding in transformers: the layers as they are, one wait for the device per token.

A model carries what it has read from step to step in a cache that the backend makes, or, where
a layer keeps something else than plain keys and values (a running state, a sliding window), in
whatever the model itself returned.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter_ns
from typing import Any

import torch

from slmbench.backends.protocol import BackendError
from slmbench.backends.speculative import Picks
from slmbench.backends.steps import Step
from slmbench.backends.transformers_load import endings
from slmbench.prefix_tree import Ids
from slmbench.records import Status

_CARRIED = ("past_key_values", "cache_params")
"""Argument, and attribute of the output, that holds what was read: attention, Mamba. RWKV's
``state`` is left out: in transformers 5.23 it predicts other tokens than one pass does."""


_ONE_AT_A_TIME = ("mamba", "falcon_mamba")
"""Models whose pass over several tokens starts from an empty state (transformers 5.23, CPU)."""


def carried(model: Any) -> str:
    """Name of the argument that ``model`` takes its cache by; BackendError (unsupported)."""
    known = inspect.signature(type(model).forward).parameters
    name = next((name for name in _CARRIED if name in known), None)
    if name is None:
        raise BackendError(
            Status.UNSUPPORTED,
            f"{type(model).__name__} takes no cache ({', '.join(_CARRIED)})",
            "token by token it can only be run with a model class that keeps what it has read",
        )
    return name


class TorchDecoder:
    """A :class:`slmbench.backends.steps.Decoder` in one growing cache."""

    def __init__(
        self, model: Any, device: torch.device, new_cache: Callable[[], Any] | None
    ) -> None:
        """``new_cache``: an empty cache of plain keys and values; None: the model makes its own."""
        self._model, self._device, self._new_cache = model, device, new_cache
        self._name = carried(model)
        self._keep = (
            {"logits_to_keep": 1}
            if "logits_to_keep" in inspect.signature(type(model).forward).parameters
            else {}
        )
        self._cache: Any = None
        self._held = 0

    def hold(self, before: Sequence[Ids]) -> None:
        """Start cold; one pass over what is held."""
        self._cache = self._new_cache() if self._new_cache is not None else None
        self._held = len(before[0])
        if not self._held:
            return
        with torch.inference_mode(), endings():
            self._logits(self._tensor(before))
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)

    def steps(self, prompts: Sequence[Ids]) -> Iterator[Step]:
        """One pass over the prompts, then one per token."""
        self._check_prompts(prompts)
        ids, padding = self._arranged(prompts)
        evaluated = tuple(map(len, prompts))
        while True:
            begin = perf_counter_ns()
            with torch.inference_mode(), endings():
                top, best = self._logits(ids, **padding).max(-1)
                # one transfer: on a GPU it also waits for the kernels
                chosen, finite = torch.stack((best, top.isfinite().long())).tolist()
                now = perf_counter_ns()
                ids, padding = best[:, None], _grown(padding)
            yield Step(tuple(chosen), now, all(finite), evaluated, now - begin)
            evaluated = ()

    def _check_prompts(self, prompts: Sequence[Ids]) -> None:
        """Refuse what a model would compute wrongly."""
        wrong = getattr(self._model.config, "model_type", "") in _ONE_AT_A_TIME
        if wrong and self._held and max(map(len, prompts)) > 1:
            raise BackendError(
                Status.UNSUPPORTED,
                f"{type(self._model).__name__} goes on from a state with one token at a time: a "
                "prompt of several tokens at a depth would be computed from an empty state",
                "measure prompts without a depth (pp512) and generation at one (tg128@d512)",
            )

    def _arranged(self, prompts: Sequence[Ids]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Prompts as one tensor; padded on the left and masked when their lengths differ."""
        width = max(map(len, prompts))
        gaps = [width - len(prompt) for prompt in prompts]
        ids = self._tensor([(0,) * gap + p for gap, p in zip(gaps, prompts, strict=True)])
        if not any(gaps):
            return ids, {}
        if self._new_cache is None:
            raise BackendError(
                Status.UNSUPPORTED,
                "prompts of different lengths in one batch, and a layer of this model has a "
                "sliding window or a running state",
                "give all prompts of a batch one length, or set batch 1",
            )
        own = torch.arange(width, device=self._device)[None, :] - self._tensor([gaps]).T
        seen = torch.cat((own.new_ones(len(gaps), self._held), (own >= 0).long()), 1)
        return ids, {"attention_mask": seen, "position_ids": own.clamp(min=0) + self._held}

    def _logits(self, ids: torch.Tensor, **padding: torch.Tensor) -> torch.Tensor:
        """Logits after the last token of each row, shape (rows, vocabulary)."""
        output = self._model(
            input_ids=ids, use_cache=True, **{self._name: self._cache}, **self._keep, **padding
        )
        self._cache = getattr(output, self._name)
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def _tensor(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        return torch.tensor(rows, dtype=torch.long, device=self._device)


class TorchReader:
    """A :class:`slmbench.backends.speculative.Reader` in one growing cache, of plain layers."""

    def __init__(
        self, model: Any, device: torch.device, new_cache: Callable[[], Any], room: int
    ) -> None:
        self._model, self._device, self._new_cache = model, device, new_cache
        self._keeps = "logits_to_keep" in inspect.signature(type(model).forward).parameters
        self._cache = new_cache()
        self.room = room

    def clear(self) -> None:
        """Forget everything."""
        self._cache = self._new_cache()

    def read(self, tokens: Ids, wanted: int) -> Picks:
        """One pass."""
        ids = torch.tensor([tokens], dtype=torch.long, device=self._device)
        keep = {"logits_to_keep": max(1, wanted)} if self._keeps else {}
        with torch.inference_mode(), endings():
            output = self._model(input_ids=ids, use_cache=True, past_key_values=self._cache, **keep)
            top, best = output.logits[0, -max(1, wanted) :].max(-1)
            # one transfer: on a GPU it also waits for the kernels
            chosen, finite = torch.stack((best, top.isfinite().long())).tolist()
        return Picks(tuple(chosen[:wanted]), all(finite[:wanted]))

    def keep(self, length: int) -> None:
        """Cut the cache; a negative number says how many tokens go."""
        beyond = int(self._cache.get_seq_length()) - length
        if beyond > 0:
            self._cache.crop(-beyond)


def _grown(padding: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Room for one more token per row."""
    if not padding:
        return padding
    mask, positions = padding["attention_mask"], padding["position_ids"]
    return {
        "attention_mask": torch.cat((mask, mask.new_ones(len(mask), 1)), 1),
        "position_ids": positions[:, -1:] + 1,
    }
