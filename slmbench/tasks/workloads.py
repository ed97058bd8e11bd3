"""Synthetic loads: which prompts, how long, how often. Who runs and times them is elsewhere.

Prompts are random token ids, as in llama-bench: neither tokenisation nor the text's content is
measured. Every repetition starts with other ids, so no prefix cache can help (gate G6).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from slmbench.errors import UsageError
from slmbench.spec import SizeKnobs, WorkloadPoint, WorkloadSpec
from slmbench.spec.points import parse_point

WORKLOADS: dict[str, str] = {
    "latency": "TTFT, TPOT, ITL and rates over a grid of prompt and output lengths",
    "memory": "peak and resident memory per phase of a fresh process",
    "energy": "energy over windows of steady generation, idle observed before and after",
    "serving": "latency and goodput of a server under load",
    "sustained": "minutes of back-to-back generation: burst and steady rates",
    "memory_context": "memory at several context lengths, a process each",
    "oom_frontier": "the largest context and batch that fit below a memory limit",
    "fidelity": "next-token distributions on a text against the parent's: KL divergence and kin",
}
"""Name and purpose of the workloads."""


SERVED = frozenset({"serving"})
"""Workloads that need ``loads``."""
LIMITED = frozenset({"oom_frontier"})
"""Workloads that need ``memory_limits_mb``."""


def points_of(suite: str, knobs: SizeKnobs) -> tuple[WorkloadPoint, ...]:
    """The points that a size names, else its grid: prompts × outputs × depths × batches.

    Raises UsageError for neither, for both, and for a name that is no point.
    """
    if knobs.points is not None:
        if knobs.prompt_tokens or knobs.output_tokens or knobs.depths or knobs.batches:
            raise UsageError(
                f"suite {suite}: points and a grid (prompt_tokens …) exclude each other",
                hint="write either",
            )
        try:
            return tuple(map(parse_point, knobs.points))
        except ValueError as error:
            raise UsageError(f"suite {suite}: {error}", hint="see docs/quickstart.md") from None
    if not knobs.prompt_tokens or not knobs.output_tokens:
        raise UsageError(
            f"suite {suite}: a workload needs points, or prompt_tokens and output_tokens",
            hint="add them to each of the suite's sizes",
        )
    return tuple(
        WorkloadPoint(prompt_tokens=p, output_tokens=o, depth=d, batch=b)
        for p in knobs.prompt_tokens
        for o in knobs.output_tokens
        for d in knobs.depths or (0,)
        for b in knobs.batches or (1,)
    )


@dataclass(frozen=True, slots=True)
class Repetition:
    """One call of the engine."""

    point: WorkloadPoint
    prompts: tuple[tuple[int, ...], ...]
    """Token ids, shape (batch, depth + prompt_tokens)."""
    timed: bool
    """False for warm-up: run, and left out."""


def repetitions(spec: WorkloadSpec, vocab_size: int, process: int = 0) -> Iterator[Repetition]:
    """All repetitions of a workload in one of its processes, point by point.

    First the warm-up, then the timed ones; every process draws other prompts.
    """
    each = spec.warmup + spec.repeats
    for point in spec.points:
        for index in range(each):
            prompts = random_prompts(point, vocab_size, spec.seed, process * each + index)
            yield Repetition(point, prompts, index >= spec.warmup)


def random_prompts(
    point: WorkloadPoint, vocab_size: int, seed: int, index: int
) -> tuple[tuple[int, ...], ...]:
    """Reproducible random ids in [3, vocab_size), shape (batch, depth + prompt_tokens).

    Ids 0 to 2 are special tokens in most vocabularies and are left out. The generator depends
    on the seed, the point and the repetition's index only: the same for every variant.
    """
    rng = random.Random(f"{seed}:{point.label}:{index}")  # noqa: S311 - not cryptographic
    return tuple(
        tuple(rng.randrange(3, vocab_size) for _ in range(point.depth + point.prompt_tokens))
        for _ in range(point.batch)
    )
