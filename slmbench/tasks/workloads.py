"""Synthetic loads: which prompts, how long, how often. Who runs and times them is elsewhere.

Prompts are random token ids, as in llama-bench: neither tokenisation nor the text's content is
measured. Every repetition starts with other ids, so no prefix cache can help (gate G6).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from slmbench.spec import WorkloadPoint, WorkloadSpec

WORKLOADS: dict[str, str] = {
    "latency": "TTFT, TPOT, ITL and rates over a grid of prompt and output lengths",
    "memory": "peak and resident memory per phase of a fresh process",
    "energy": "energy over windows of steady generation, idle observed before and after",
    "fidelity": "next-token distributions on a text against the parent's: KL divergence and kin",
}
"""Name and purpose of the workloads."""


@dataclass(frozen=True, slots=True)
class Repetition:
    """One call of the engine."""

    point: WorkloadPoint
    prompts: tuple[tuple[int, ...], ...]
    """Token ids, shape (batch, prompt_tokens)."""
    timed: bool
    """False for warm-up: run, and left out."""


def repetitions(spec: WorkloadSpec, vocab_size: int) -> Iterator[Repetition]:
    """All repetitions of a workload, point by point: first the warm-up, then the timed ones."""
    for point in spec.points:
        for index in range(spec.warmup + spec.repeats):
            yield Repetition(
                point, random_prompts(point, vocab_size, spec.seed, index), index >= spec.warmup
            )


def random_prompts(
    point: WorkloadPoint, vocab_size: int, seed: int, index: int
) -> tuple[tuple[int, ...], ...]:
    """Reproducible random ids in [3, vocab_size), shape (batch, prompt_tokens).

    Ids 0 to 2 are special tokens in most vocabularies and are left out. The generator depends
    on the seed, the point and the repetition's index only: the same for every variant.
    """
    rng = random.Random(f"{seed}:{point.label}:{index}")  # noqa: S311 - not cryptographic
    return tuple(
        tuple(rng.randrange(3, vocab_size) for _ in range(point.prompt_tokens))
        for _ in range(point.batch)
    )
