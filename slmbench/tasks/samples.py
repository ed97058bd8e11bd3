"""Sampled answers beside the greedy one, for what their agreement says about them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slmbench.errors import UsageError
from slmbench.requests import GenerateRequest


@dataclass(frozen=True, slots=True)
class SamplingRule:
    """How a question that is answered in words is asked."""

    samples: int = 0
    """Sampled answers after the greedy one."""
    temperature: float = 1.0
    """Of the samples."""
    logprobs: bool = False
    """Keep log p of the greedy answer's tokens."""

    @classmethod
    def of(cls, task: str, metadata: Mapping[str, Any]) -> SamplingRule:
        """From a task's metadata; UsageError for what cannot be."""
        samples, temperature = metadata.get("samples", 0), metadata.get("temperature", 1.0)
        if not isinstance(samples, int) or isinstance(samples, bool) or samples < 0:
            raise UsageError(f"task {task!r}: metadata.samples is {samples!r}",
                             hint="a number of answers, 0 or more")  # fmt: skip
        if not isinstance(temperature, int | float) or temperature <= 0:
            raise UsageError(f"task {task!r}: metadata.temperature is {temperature!r}",
                             hint="a number above 0")  # fmt: skip
        return cls(samples, float(temperature), metadata.get("logprobs") is True)

    def requests(
        self, greedy: GenerateRequest, seed: int, item_id: str
    ) -> tuple[GenerateRequest, ...]:
        """The greedy request, then the samples; their seeds depend on the item alone."""
        first = greedy.model_copy(update={"logprobs": self.logprobs})
        more = tuple(
            greedy.model_copy(
                update={"temperature": self.temperature, "seed": _seed(seed, item_id, i)}
            )
            for i in range(self.samples)
        )
        return (first, *more)


def _seed(seed: int, item_id: str, number: int) -> int:
    text = f"{seed}\0sample\0{item_id}\0{number}"
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)
